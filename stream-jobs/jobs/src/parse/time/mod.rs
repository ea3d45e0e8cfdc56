//! Times as lines write them, to µs since the epoch, UTC.

mod detect;
mod layout;
mod zone;

pub(crate) use detect::{at_beginning, at_start, find, iso8601, seconds_at_start, tai64, weekday, whole};
pub(crate) use layout::Layout;
pub(crate) use zone::{Zone, at_clock as clock_offset, behind_blank as clock_zone};

/// What a time that says too little is read by.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Clock<'z> {
    /// When the line was received, µs: gives the year.
    pub(crate) received: i64,
    /// Gives the zone.
    pub(crate) zone: &'z Zone,
}

impl Clock<'_> {
    /// µs of a date without year: of the newest year that does not lie more than a day after the receipt, since lines are
    /// written before they are read and clocks differ by less.
    pub(crate) fn guess_year(&self, mut civil: Civil) -> Option<i64> {
        let newest = civil_of(self.received).year + 1;
        // Eight years back there is a 29th of February, whatever the century.
        (newest - 9..=newest).rev().find_map(|year| {
            civil.year = year;
            self.zone.micros(&civil).filter(|micros| micros.saturating_sub(self.received) <= DAY * 1_000_000)
        })
    }
}

/// A civil date and time. Fields are checked by [`Civil::micros`].
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Civil {
    pub(crate) year: i64,
    pub(crate) month: i64,
    pub(crate) day: i64,
    pub(crate) hour: i64,
    pub(crate) minute: i64,
    /// 60 is a leap second: the first of the next minute.
    pub(crate) second: i64,
    pub(crate) micro: i64,
    /// Seconds east of UTC.
    pub(crate) offset: i64,
}

const DAY: i64 = 86_400;

impl Civil {
    /// µs since the epoch; `None` where there is no such time.
    pub(crate) fn micros(&self) -> Option<i64> {
        let Civil { year, month, day, hour, minute, second, micro, offset } = *self;
        let valid = (0..=9999).contains(&year)
            && (1..=12).contains(&month)
            && (1..=days_in_month(year, month)).contains(&day)
            && (0..24).contains(&hour)
            && (0..60).contains(&minute)
            && (0..=60).contains(&second)
            && (0..1_000_000).contains(&micro)
            && offset.abs() < DAY;
        if !valid {
            return None;
        }
        let seconds = days(year, month, day) * DAY + hour * 3600 + minute * 60 + second - offset;
        Some(seconds * 1_000_000 + micro)
    }
}

fn leap(year: i64) -> bool {
    year % 4 == 0 && (year % 100 != 0 || year % 400 == 0)
}

fn days_in_month(year: i64, month: i64) -> i64 {
    match month {
        2 => 28 + i64::from(leap(year)),
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Days since 1970-01-01 in the proleptic Gregorian calendar. Counted in years that begin in March, so that the leap day
/// is the last of its year, and in eras of 400 years, which all have 146,097 days.
pub(crate) fn days(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    era * 146_097 + day_of_era - 719_468
}

/// Same of a day in a week, both from 1. The first week is that of the 4th of January; 1970 began on a Thursday.
pub(crate) fn day_of_week(year: i64, week: i64, day: i64) -> i64 {
    let fourth = days(year, 1, 4);
    fourth - (fourth + 3).rem_euclid(7) + (week - 1) * 7 + day - 1
}

/// Date and time of day of µs since the epoch, UTC.
pub(crate) fn civil_of(micros: i64) -> Civil {
    let day_number = micros.div_euclid(DAY * 1_000_000);
    let rest = micros.rem_euclid(DAY * 1_000_000);
    // Off by one at most, near New Year.
    let guess = 1970 + (day_number * 400).div_euclid(146_097);
    let year = (guess - 1..=guess + 1).rev().find(|&year| days(year, 1, 1) <= day_number).unwrap_or(guess);
    let month = (1..=12).rev().find(|&month| days(year, month, 1) <= day_number).unwrap_or(1);
    let second = rest / 1_000_000;
    Civil {
        year,
        month,
        day: day_number - days(year, month, 1) + 1,
        hour: second / 3600,
        minute: second / 60 % 60,
        second: second % 60,
        micro: rest % 1_000_000,
        offset: 0,
    }
}

/// Number of an English month by its three letters in any case, from 1.
pub(crate) fn month(name: &[u8]) -> Option<i64> {
    let &[first, second, third] = name else { return None };
    Some(match &[first | 0x20, second | 0x20, third | 0x20] {
        b"jan" => 1,
        b"feb" => 2,
        b"mar" => 3,
        b"apr" => 4,
        b"may" => 5,
        b"jun" => 6,
        b"jul" => 7,
        b"aug" => 8,
        b"sep" => 9,
        b"oct" => 10,
        b"nov" => 11,
        b"dec" => 12,
        _ => return None,
    })
}

/// `17/May/2015:10:05:03 +0000`, as web servers write it.
pub(crate) fn access_log(bytes: &[u8; 26]) -> Option<Civil> {
    let two = |at: usize| {
        let (tens, ones) = (bytes[at].wrapping_sub(b'0'), bytes[at + 1].wrapping_sub(b'0'));
        (tens < 10 && ones < 10).then(|| i64::from(tens) * 10 + i64::from(ones))
    };
    let shape = bytes[2] == b'/' && bytes[6] == b'/' && bytes[11] == b':' && bytes[14] == b':';
    let sign = match bytes[21] {
        b'+' => 1,
        b'-' => -1,
        _ => return None,
    };
    (shape && bytes[17] == b':' && bytes[20] == b' ').then_some(())?;
    Some(Civil {
        year: two(7)? * 100 + two(9)?,
        month: month(&bytes[3..6])?,
        day: two(0)?,
        hour: two(12)?,
        minute: two(15)?,
        second: two(18)?,
        micro: 0,
        offset: sign * (two(22)? * 3600 + two(24)? * 60),
    })
}

/// `len` decimal digits at `at`; none where they are more than a number has.
pub(crate) fn digits(bytes: &[u8], at: usize, len: usize) -> Option<i64> {
    let digits = bytes.get(at..at + len)?;
    digits.iter().try_fold(0_i64, |sum, digit| {
        let digit = digit.is_ascii_digit().then(|| i64::from(digit - b'0'))?;
        sum.checked_mul(10)?.checked_add(digit)
    })
}

/// `hh:mm:ss` at `at`.
pub(crate) fn clock(bytes: &[u8], at: usize) -> Option<(i64, i64, i64)> {
    let colons = bytes.get(at + 2) == Some(&b':') && bytes.get(at + 5) == Some(&b':');
    let parts = (digits(bytes, at, 2)?, digits(bytes, at + 3, 2)?, digits(bytes, at + 6, 2)?);
    colons.then_some(parts)
}

/// A fraction of a second at `at`, which is its point: µs (cut, not rounded) and where it ends.
pub(crate) fn fraction(bytes: &[u8], at: usize) -> (i64, usize) {
    let n_digits = bytes[(at + 1).min(bytes.len())..].iter().take_while(|byte| byte.is_ascii_digit()).count();
    let kept = n_digits.min(6);
    let micro = digits(bytes, at + 1, kept).unwrap_or(0) * 10_i64.pow(6 - kept as u32);
    (micro, at + 1 + n_digits)
}

/// RFC 3339 at the start of `bytes`: µs and where it ends. `Lenient` also takes small letters, a blank between date and
/// time, a comma before the fraction, a zone without colon, and none (that of the source); `Strict` is RFC 5424's form.
pub(crate) fn rfc3339(bytes: &[u8], form: Form, zone: &Zone) -> Option<(i64, usize)> {
    let lenient = form == Form::Lenient;
    let separator = *bytes.get(10)?;
    let dashes = bytes[4] == b'-' && bytes[7] == b'-';
    if !dashes || !(separator == b'T' || lenient && (separator == b't' || separator == b' ')) {
        return None;
    }
    let (hour, minute, second) = clock(bytes, 11)?;
    let (mut micro, mut at) = (0, 19);
    if bytes.get(at) == Some(&b'.') || lenient && bytes.get(at) == Some(&b',') {
        let end;
        (micro, end) = fraction(bytes, at);
        if end == at + 1 || !lenient && end > at + 7 {
            return None;
        }
        at = end;
    }
    let offset = match bytes.get(at) {
        Some(b'Z') => {
            at += 1;
            Some(0)
        }
        Some(b'z') if lenient => {
            at += 1;
            Some(0)
        }
        Some(sign @ (b'+' | b'-')) => {
            let colon = bytes.get(at + 3) == Some(&b':');
            let (hours, minutes) =
                (digits(bytes, at + 1, 2)?, digits(bytes, at + 3 + usize::from(colon), 2)?);
            if hours > 23 || minutes > 59 || !(colon || lenient) {
                return None;
            }
            at += 5 + usize::from(colon);
            Some((hours * 3600 + minutes * 60) * if *sign == b'-' { -1 } else { 1 })
        }
        _ if lenient => None,
        _ => return None,
    };
    if form == Form::Strict && second > 59 {
        return None; // RFC 5424 6.2.3.1 excludes leap seconds
    }
    let (year, month, day) = (digits(bytes, 0, 4)?, digits(bytes, 5, 2)?, digits(bytes, 8, 2)?);
    let civil = Civil { year, month, day, hour, minute, second, micro, offset: offset.unwrap_or(0) };
    let micros = if offset.is_some() { civil.micros() } else { zone.micros(&civil) };
    Some((micros?, at))
}

/// How closely [`rfc3339`] looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    /// As RFC 5424 has it.
    Strict,
    /// As people write it.
    Lenient,
}

/// Seconds, ms, µs or ns since the epoch, told apart by size: seconds reach to the year 5138, the others from 1973 on.
pub(crate) fn epoch(number: i64) -> i64 {
    match number.unsigned_abs() {
        0..100_000_000_000 => number * 1_000_000,
        100_000_000_000..100_000_000_000_000 => number * 1000,
        100_000_000_000_000..100_000_000_000_000_000 => number,
        _ => number.div_euclid(1000),
    }
}

/// Whether a time is late enough (from 1973 on) for the number that it was read from to be one: smaller ones are durations.
pub(crate) fn since(micros: i64) -> bool {
    micros >= 100_000_000_000_000
}

/// Same, with a fraction.
pub(crate) fn epoch_fraction(number: f64) -> Option<i64> {
    let micros = match number.abs() {
        size if size < 1e11 => number * 1e6,
        size if size < 1e14 => number * 1e3,
        size if size < 1e17 => number,
        size if size < 9e18 => number / 1e3,
        _ => return None,
    };
    Some(micros.round() as i64)
}

/// An epoch number as the whole of a text.
pub(crate) fn number(text: &str) -> Option<i64> {
    if let Ok(number) = text.parse::<i64>() {
        return Some(epoch(number));
    }
    let numeric = text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.' || byte == b'-');
    if numeric { epoch_fraction(text.parse().ok()?) } else { None }
}
