//! Times as lines write them, found without being told how they look.
//!
//! Read at the earliest place where one stands. Where numbers can be a day or a month: with slashes and four digits of
//! the year the month is first, else the day; what is then no date is tried the other way round.

use super::zone::{Zone, abbreviation, at_clock};
use super::{Civil, Clock, Form, access_log, digits, epoch, fraction, month, rfc3339};

/// Nobody writes the time later in a line than this.
const MAX_SEARCHED: usize = 512;

/// A time as it is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Written {
    /// µs since the epoch.
    Unix(i64),
    /// A date with or without year, with or without zone.
    Civil { civil: Civil, year: bool, offset: Option<i64> },
}

/// The first time in `text`: µs, and where it stands.
pub(crate) fn find(text: &str, clock: Clock<'_>) -> Option<(i64, std::ops::Range<usize>)> {
    let bytes = text.as_bytes();
    let mut before = b' ';
    for at in 0..bytes.len().min(MAX_SEARCHED) {
        let own = bytes[at];
        let begins = own == b'@'
            || own.is_ascii_digit() && !before.is_ascii_digit()
            || own.is_ascii_alphabetic() && !before.is_ascii_alphanumeric();
        // A digit after a dot or a letter belongs to a number or a name, but for `T` and the like no time begins there.
        let within = own.is_ascii_digit() && (before.is_ascii_alphabetic() || before == b'.');
        if begins && !within {
            // A dash of its own says that there is nothing before it.
            let head = bytes[..at].strip_prefix(b"- ").unwrap_or(&bytes[..at]);
            let first = head.iter().all(|byte| matches!(byte, b'[' | b'(' | b'<' | b' '));
            let audit = bytes[..at].ends_with(b"audit(");
            if let Some((micros, len)) = read(&bytes[at..], first || audit, clock) {
                return Some((micros, at..at + len));
            }
        }
        before = own;
    }
    None
}

/// A time at the start of `bytes`, other than bare seconds: µs, and where it ends.
pub(crate) fn at_start(bytes: &[u8], clock: Clock<'_>) -> Option<(i64, usize)> {
    read(bytes, false, clock)
}

/// A time at the beginning of a line: bare seconds, too, `200518143834.123`, `30 May 12:35:54`, and dates of three
/// short numbers, whose order is that by which they lie next to the receipt and not a day ahead of it (`20/05/18` is of 2020 for Spark).
pub(crate) fn at_beginning(bytes: &[u8], clock: Clock<'_>) -> Option<(i64, usize)> {
    match bytes {
        [b'0'..=b'9', ..] if run(bytes, 0) == 12 => twelve(bytes, clock),
        [b'0'..=b'9', ..] => short_year(bytes, clock)
            .or_else(|| day_and_month(bytes, clock))
            .or_else(|| read(bytes, true, clock)),
        _ => read(bytes, true, clock),
    }
}

/// `20/05/18 14:38:34`, `5/18/20 14:38:34`: a year of two digits, in any order.
fn short_year(bytes: &[u8], clock: Clock<'_>) -> Option<(i64, usize)> {
    let first = run(bytes, 0);
    let second = run(bytes, first + 1);
    let third = first + second + 2;
    let shape = (1..=2).contains(&first) && (1..=2).contains(&second) && run(bytes, third) == 2;
    let slashes = bytes.get(first) == Some(&b'/') && bytes.get(third - 1) == Some(&b'/');
    if !shape || !slashes || bytes.get(third + 2) != Some(&b' ') {
        return None;
    }
    let three = [digits(bytes, 0, first)?, digits(bytes, first + 1, second)?, digits(bytes, third, 2)?];
    let orders: &[[usize; 3]] =
        if first == 2 && second == 2 { &[[0, 1, 2], [2, 0, 1], [2, 1, 0]] } else { &[[2, 0, 1], [2, 1, 0]] };
    let all = orders.iter().filter_map(|[year, month, day]| {
        let own = date(full_year(three[*year], 2), three[*month], three[*day]);
        let (civil, offset, len) = with_clock(bytes, third + 2, own)?;
        let zone = offset.map(Zone::Fixed);
        Some((zone.as_ref().unwrap_or(clock.zone).micros(&civil)?, len))
    });
    let ahead = |micros: i64| micros.saturating_sub(clock.received) > 86_400_000_000;
    all.min_by_key(|(micros, _)| (ahead(*micros), micros.abs_diff(clock.received)))
}

/// `30 May 12:35:54.123`, without a year.
fn day_and_month(bytes: &[u8], clock: Clock<'_>) -> Option<(i64, usize)> {
    let n_day = run(bytes, 0);
    let day = digits(bytes, 0, n_day).filter(|_| n_day < 3 && bytes.get(n_day) == Some(&b' '))?;
    let (month, len) = month_name(bytes.get(n_day + 1..)?, b' ')?;
    let (civil, offset, len) = with_clock(bytes, n_day + 1 + len, date(0, month, day))?;
    let zone = offset.map(Zone::Fixed);
    let micros = Clock { zone: zone.as_ref().unwrap_or(clock.zone), ..clock }.guess_year(civil)?;
    Some((micros, len))
}

/// `200518143834`, perhaps with a fraction.
fn twelve(bytes: &[u8], clock: Clock<'_>) -> Option<(i64, usize)> {
    let two = |at: usize| digits(bytes, at, 2);
    let own = date(full_year(two(0)?, 2), two(2)?, two(4)?);
    let (micro, len) = match bytes.get(12..14) {
        Some([b'.', digit]) if digit.is_ascii_digit() => fraction(bytes, 12),
        _ => (0, 12),
    };
    let civil = Civil { hour: two(6)?, minute: two(8)?, second: two(10)?, micro, ..own };
    Some((clock.zone.micros(&civil)?, len))
}

/// Seconds with a fraction at the start of `bytes`: µs, and where they end.
pub(crate) fn seconds_at_start(bytes: &[u8]) -> Option<(i64, usize)> {
    match since_epoch(bytes, 10).filter(|(_, len)| *len > 10)? {
        (Written::Unix(micros), len) => Some((micros, len)),
        _ => None,
    }
}

/// A time that is the whole of `text`.
pub(crate) fn whole(text: &str, clock: Clock<'_>) -> Option<i64> {
    if let Some(micros) = web_server(text) {
        return Some(micros);
    }
    // And the next most.
    if let Some((micros, len)) = rfc3339(text.as_bytes(), Form::Lenient, clock.zone)
        && len == text.len()
    {
        return Some(micros);
    }
    let text = text.trim();
    let text = text.strip_prefix('[').and_then(|text| text.strip_suffix(']')).unwrap_or(text);
    match read(text.as_bytes(), false, clock) {
        Some((micros, len)) if len == text.len() => Some(micros),
        _ => super::number(text),
    }
}

/// A time of ISO 8601 that is the whole of `text`: also a date alone (its first moment), without seconds, without separators.
pub(crate) fn iso8601(text: &str, clock: Clock<'_>) -> Option<i64> {
    let read = |text: &str| match rfc3339(text.as_bytes(), Form::Lenient, clock.zone) {
        Some((micros, len)) if len == text.len() => Some(micros),
        _ => None,
    };
    let bytes = text.as_bytes();
    read(text).or_else(|| match bytes.len() {
        8 if run(bytes, 0) == 8 => whole(&format!("{text}T000000"), clock),
        10 => read(&format!("{text}T00:00:00")),
        _ if run(bytes, 0) == 8 && bytes[8] == b'T' => whole(text, clock),
        16.. if bytes[13] == b':' && bytes.get(16) != Some(&b':') => {
            read(&format!("{}:00{}", text.get(..16)?, text.get(16..)?))
        }
        _ => None,
    })
}

/// TAI64 or TAI64N that is the whole of `text`, with or without its `@`.
pub(crate) fn tai64(text: &str) -> Option<i64> {
    let label = if text.starts_with('@') { text.to_owned() } else { format!("@{text}") };
    match tai(label.as_bytes())? {
        (Written::Unix(micros), len) if len == label.len() => Some(micros),
        _ => None,
    }
}

/// The time that most texts have, without a search for its form.
fn web_server(text: &str) -> Option<i64> {
    let civil = access_log(text.as_bytes().try_into().ok()?)?;
    civil.micros().filter(|_| text.as_bytes()[24] < b'6')
}

/// A time at the start of `bytes`; `number`: bare seconds are one, too.
fn read(bytes: &[u8], number: bool, clock: Clock<'_>) -> Option<(i64, usize)> {
    let n_digits = bytes.iter().take(20).take_while(|byte| byte.is_ascii_digit()).count();
    let (written, len) = match n_digits {
        0 if bytes.is_empty() => return None,
        0 if bytes[0] == b'@' => tai(bytes)?,
        0 => named(bytes)?,
        10 | 13 | 16 if number => since_epoch(bytes, n_digits)?,
        4 => year_first(bytes)?,
        1 | 2 => day_or_month_first(bytes, n_digits)?,
        6 | 8 => compact(bytes, n_digits)?,
        14 => {
            let (hour, minute, second) = (digits(bytes, 8, 2)?, digits(bytes, 10, 2)?, digits(bytes, 12, 2)?);
            let civil = Civil {
                hour,
                minute,
                second,
                ..date(digits(bytes, 0, 4)?, digits(bytes, 4, 2)?, digits(bytes, 6, 2)?)
            };
            (Written::Civil { civil, year: true, offset: None }, 14)
        }
        _ => return None,
    };
    let micros = match written {
        Written::Unix(micros) => micros,
        Written::Civil { civil, year: true, offset: Some(offset) } => Civil { offset, ..civil }.micros()?,
        Written::Civil { civil, year: true, offset: None } => clock.zone.micros(&civil)?,
        Written::Civil { civil, year: false, offset: Some(offset) } => {
            Clock { zone: &Zone::Fixed(offset), ..clock }.guess_year(civil)?
        }
        Written::Civil { civil, year: false, offset: None } => clock.guess_year(civil)?,
    };
    Some((micros, len))
}

fn date(year: i64, month: i64, day: i64) -> Civil {
    Civil { year, month, day, ..Civil::default() }
}

/// TAI was ahead of UTC by so much in 1970, and those who write TAI64 know of no leap second since.
const TAI_AHEAD: u64 = 10;

/// `@4000000041f4104f00000000`: TAI64N; `@4000000041f4104f`: TAI64.
fn tai(bytes: &[u8]) -> Option<(Written, usize)> {
    let len = bytes[1..].iter().take_while(|byte| byte.is_ascii_hexdigit()).count();
    let hex = std::str::from_utf8(&bytes[1..=len]).ok().filter(|_| len == 24 || len == 16)?;
    let seconds = u64::from_str_radix(&hex[..16], 16).ok()?.checked_sub((1 << 62) + TAI_AHEAD)?;
    let nanos = if len == 24 { u32::from_str_radix(&hex[16..], 16).ok()? } else { 0 };
    let micros = i64::try_from(seconds).ok()?.checked_mul(1_000_000)? + i64::from(nanos / 1000);
    Some((Written::Unix(micros), 1 + len))
}

/// `1106513999`, `1106513999.000`, and in ms and µs.
fn since_epoch(bytes: &[u8], n_digits: usize) -> Option<(Written, usize)> {
    let whole = epoch(digits(bytes, 0, n_digits)?);
    let (micro, len) = match bytes.get(n_digits..n_digits + 2) {
        Some([b'.', digit]) if n_digits == 10 && digit.is_ascii_digit() => fraction(bytes, n_digits),
        _ => (0, n_digits),
    };
    let ends = !bytes.get(len).is_some_and(u8::is_ascii_alphanumeric);
    ends.then_some((Written::Unix(whole + micro), len))
}

/// `2005-01-23 21:59:59`, with any separators, `2005 Jan 23 Sun 21:59:59`, `2023-200T00:59:36`
/// and `2023-W29-3T00:59:36`.
fn year_first(bytes: &[u8]) -> Option<(Written, usize)> {
    let year = digits(bytes, 0, 4)?;
    let separator = *bytes.get(4).filter(|byte| matches!(byte, b'-' | b'/' | b'.' | b':' | b' '))?;
    if let Some(day) = digits(bytes, 5, 3).filter(|_| bytes.get(8) == Some(&b'T')) {
        let (civil, offset, len) = with_clock(bytes, 8, date(year, 1, 1))?;
        let first = Civil { month: 1, day: 1, ..civil }.micros()?;
        let own = super::civil_of(first + (day - 1) * 86_400_000_000);
        let valid = (1..=366).contains(&day) && own.year == year;
        return valid.then_some((Written::Civil { civil: own, year: true, offset }, len));
    }
    if bytes.get(5) == Some(&b'W') {
        return in_week(bytes, year);
    }
    let n_month = run(bytes, 5);
    let (month, mut at) = match digits(bytes, 5, n_month).filter(|_| n_month == 1 || n_month == 2) {
        Some(month) => (month, 5 + n_month),
        None => month_name(&bytes[5..], separator).map(|(month, len)| (month, 5 + len))?,
    };
    if bytes.get(at) != Some(&separator) {
        return None;
    }
    let n_day = run(bytes, at + 1);
    let day = digits(bytes, at + 1, n_day).filter(|_| n_day == 1 || n_day == 2)?;
    at += 1 + n_day;
    let (civil, offset, len) = with_clock(bytes, at, date(year, month, day))?;
    Some((Written::Civil { civil, year: true, offset }, len))
}

fn in_week(bytes: &[u8], year: i64) -> Option<(Written, usize)> {
    let week = digits(bytes, 6, 2).filter(|week| (1..=53).contains(week))?;
    let day = digits(bytes, 9, 1).filter(|day| (1..=7).contains(day) && bytes[8] == b'-')?;
    let own = super::civil_of(super::day_of_week(year, week, day) * 86_400_000_000);
    let (civil, offset, len) = with_clock(bytes, 10, own)?;
    Some((Written::Civil { civil, year: true, offset }, len))
}

/// `050123 21:59:59`, `20050123T215959`.
fn compact(bytes: &[u8], n_digits: usize) -> Option<(Written, usize)> {
    let n_year = n_digits - 4;
    let year = full_year(digits(bytes, 0, n_year)?, n_year);
    let own = date(year, digits(bytes, n_year, 2)?, digits(bytes, n_year + 2, 2)?);
    let (civil, offset, len) = with_clock(bytes, n_digits, own)?;
    Some((Written::Civil { civil, year: true, offset }, len))
}

/// `23/Jan/2005:21:59:59`, `23-01-2005 21:59:59`, `01/23/05@21:59:59`, `03-17 16:13:38`, `15 Nov 1994 08:12:31`.
fn day_or_month_first(bytes: &[u8], n_digits: usize) -> Option<(Written, usize)> {
    let first = digits(bytes, 0, n_digits)?;
    let separator = *bytes.get(n_digits).filter(|byte| matches!(byte, b'-' | b'/' | b'.' | b' '))?;
    let mut at = n_digits + 1;
    if let Some((month, len)) = month_name(bytes.get(at..)?, separator) {
        at += len;
        if bytes.get(at) != Some(&separator) {
            return None;
        }
        let n_year = run(bytes, at + 1);
        let year = full_year(digits(bytes, at + 1, n_year).filter(|_| n_year == 2 || n_year == 4)?, n_year);
        let (civil, offset, len) = with_clock(bytes, at + 1 + n_year, date(year, month, first))?;
        return Some((Written::Civil { civil, year: true, offset }, len));
    }
    let n_second = run(bytes, at);
    let second = digits(bytes, at, n_second).filter(|_| n_second == 1 || n_second == 2)?;
    let padded = n_digits == 2 && n_second == 2;
    if separator == b' ' {
        return None;
    }
    at += n_second;
    if bytes.get(at) != Some(&separator) {
        // No year: month and day, as Android has it.
        let own = date(0, first, second);
        let blank = padded && bytes.get(at) == Some(&b' ') && matches!(separator, b'-' | b'/');
        let (civil, offset, len) = with_clock(bytes, at, own).filter(|_| blank)?;
        return Some((Written::Civil { civil, year: false, offset }, len));
    }
    let n_year = run(bytes, at + 1);
    // With single digits a year of two could be anything.
    let year = digits(bytes, at + 1, n_year).filter(|_| n_year == 4 || n_year == 2 && padded)?;
    let year = full_year(year, n_year);
    let day_first = date(year, second, first);
    let month_first = date(year, first, second);
    let orders =
        if separator == b'/' && n_year == 4 { [month_first, day_first] } else { [day_first, month_first] };
    let own = orders.into_iter().find(|own| own.micros().is_some())?;
    let (civil, offset, len) = with_clock(bytes, at + 1 + n_year, own)?;
    Some((Written::Civil { civil, year: true, offset }, len))
}

/// `Jan 23 21:59:59`, `Sun Jan 23 2005 21:59:59`, `Thu Jul 11 01:21:41 2013`, `Jan 23, 2005 9:59:59 PM`, `Jan-23-05
/// 21:59:59`, days of the week before anything else, and a zone before all: `PDT Jan 23 21:59:59`.
fn named(bytes: &[u8]) -> Option<(Written, usize)> {
    let Some((month, letters)) = month_name(bytes, b' ') else {
        let Some(len) = weekday(bytes) else { return in_zone(bytes) };
        let mut at = len + usize::from(bytes.get(len) == Some(&b','));
        at += blanks(bytes, at).filter(|n| *n > 0)?;
        let rest = bytes.get(at..).filter(|rest| !rest.is_empty() && weekday(rest).is_none())?;
        let n_digits = run(rest, 0);
        let (written, len) = match n_digits {
            0 => named(rest)?,
            1 | 2 => day_or_month_first(rest, n_digits)?,
            4 => year_first(rest)?,
            _ => return None,
        };
        return Some((written, at + len));
    };
    let mut at = letters;
    let dash = bytes.get(at) == Some(&b'-');
    at += if dash { 1 } else { blanks(bytes, at).filter(|n| *n > 0)? };
    let n_day = run(bytes, at);
    let day = digits(bytes, at, n_day).filter(|_| n_day == 1 || n_day == 2)?;
    at += n_day;
    if dash && bytes.get(at) == Some(&b'-') {
        let n_year = run(bytes, at + 1);
        let year = full_year(digits(bytes, at + 1, n_year).filter(|_| n_year == 2 || n_year == 4)?, n_year);
        let (civil, offset, len) = with_clock(bytes, at + 1 + n_year, date(year, month, day))?;
        return Some((Written::Civil { civil, year: true, offset }, len));
    }
    at += usize::from(bytes.get(at) == Some(&b','));
    at += blanks(bytes, at).filter(|n| *n > 0)?;
    let mut year = digits(bytes, at, 4).filter(|_| run(bytes, at) == 4 && bytes.get(at + 4) != Some(&b':'));
    if year.is_some() {
        at += 4;
    } else {
        at -= 1;
    }
    let (mut civil, offset, mut len) = with_clock(bytes, at, date(0, month, day))?;
    if year.is_none()
        && bytes.get(len) == Some(&b' ')
        && let Some(own) =
            digits(bytes, len + 1, 4).filter(|own| run(bytes, len + 1) == 4 && (1970..2100).contains(own))
        && !bytes.get(len + 5).is_some_and(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-'))
    {
        year = Some(own);
        len += 5;
    }
    civil.year = year.unwrap_or(0);
    Some((Written::Civil { civil, year: year.is_some(), offset }, len))
}

/// The letters of a zone and the time that is meant to be in it.
fn in_zone(bytes: &[u8]) -> Option<(Written, usize)> {
    let len = bytes.iter().take_while(|byte| byte.is_ascii_uppercase()).count();
    let zone = std::str::from_utf8(&bytes[..len]).ok().and_then(abbreviation).filter(|_| len > 2)?;
    let rest = bytes[len..].strip_prefix(b" ")?;
    weekday(rest).or_else(|| month_name(rest, b' ').map(|(_, len)| len))?;
    match named(rest)? {
        (Written::Civil { civil, year, offset: None }, n) => {
            Some((Written::Civil { civil, year, offset: Some(zone) }, len + 1 + n))
        }
        _ => None,
    }
}

/// Between date and clock, then the clock with its fraction, half of the day and zone: ends where they end.
fn with_clock(bytes: &[u8], mut at: usize, own: Civil) -> Option<(Civil, Option<i64>, usize)> {
    match *bytes.get(at)? {
        // Erlang has two colons.
        b':' if bytes.get(at + 1) == Some(&b':') => at += 2,
        b'T' | b't' | b':' | b'@' | b'-' | b'_' => at += 1,
        b' ' if bytes[at..].starts_with(b" - ") => at += 3,
        b' ' => at += blanks(bytes, at)?,
        b',' => at += 1 + blanks(bytes, at + 1)?,
        _ => return None,
    }
    if bytes.get(at).is_some_and(u8::is_ascii_alphabetic)
        && let Some(len) = weekday(&bytes[at..])
    {
        at += len + blanks(bytes, at + len)?;
    }
    let (mut civil, mut at) = clock(bytes, at, own)?;
    let fractional = match bytes.get(at..at + 2) {
        Some([b'.' | b',', digit]) => digit.is_ascii_digit(),
        Some([b':', _]) => run(bytes, at + 1) == 3,
        _ => false,
    };
    if fractional {
        (civil.micro, at) = fraction(bytes, at);
    }
    let apart = at + usize::from(bytes.get(at) == Some(&b' '));
    if let Some(half) = bytes.get(apart..apart + 2).filter(|half| half[1].eq_ignore_ascii_case(&b'm'))
        && !bytes.get(apart + 2).is_some_and(u8::is_ascii_alphanumeric)
    {
        let twelve = civil.hour % 12;
        match half[0].to_ascii_lowercase() {
            b'a' => (civil.hour, at) = (twelve, apart + 2),
            b'p' => (civil.hour, at) = (twelve + 12, apart + 2),
            _ => {}
        }
    }
    let (offset, at) = at_clock(bytes, at).map_or((None, at), |(offset, at)| (Some(offset), at));
    Some((civil, offset, at))
}

/// `21:59:59`, `9:59:59`, `21.59.59`, `215959`, `21:59`.
fn clock(bytes: &[u8], at: usize, own: Civil) -> Option<(Civil, usize)> {
    let n_hour = run(bytes, at);
    if n_hour == 6 {
        let (hour, minute, second) =
            (digits(bytes, at, 2)?, digits(bytes, at + 2, 2)?, digits(bytes, at + 4, 2)?);
        return Some((Civil { hour, minute, second, ..own }, at + 6));
    }
    let hour = digits(bytes, at, n_hour).filter(|_| n_hour == 1 || n_hour == 2)?;
    let separator = *bytes.get(at + n_hour).filter(|byte| matches!(byte, b':' | b'.'))?;
    let at = at + n_hour + 1;
    let minute = digits(bytes, at, 2)?;
    if bytes.get(at + 2) != Some(&separator) {
        return None;
    }
    let second = digits(bytes, at + 3, 2)?;
    let ends = !bytes.get(at + 5).is_some_and(u8::is_ascii_digit);
    ends.then_some((Civil { hour, minute, second, ..own }, at + 5))
}

fn full_year(year: i64, n_digits: usize) -> i64 {
    match n_digits {
        2 if year < 70 => 2000 + year,
        2 => 1900 + year,
        _ => year,
    }
}

/// A month by its name, and how long that is: with the point of a short one, unless points are what separates.
fn month_name(bytes: &[u8], separator: u8) -> Option<(i64, usize)> {
    let number = month(bytes.get(..3)?)?;
    let full: [&[u8]; 12] = [
        b"january",
        b"february",
        b"march",
        b"april",
        b"may",
        b"june",
        b"july",
        b"august",
        b"september",
        b"october",
        b"november",
        b"december",
    ];
    let len = bytes.iter().take_while(|byte| byte.is_ascii_alphabetic()).count();
    let own = &bytes[..len];
    let short = len == 3 || own.eq_ignore_ascii_case(b"sept");
    let point = short && separator != b'.' && bytes.get(len) == Some(&b'.');
    let known = short || own.eq_ignore_ascii_case(full[number as usize - 1]);
    known.then_some((number, len + usize::from(point)))
}

/// A day of the week by its name: how long that is.
pub(crate) fn weekday(bytes: &[u8]) -> Option<usize> {
    let names: [&[u8]; 7] =
        [b"monday", b"tuesday", b"wednesday", b"thursday", b"friday", b"saturday", b"sunday"];
    let len = bytes.iter().take_while(|byte| byte.is_ascii_alphabetic()).count();
    let own = &bytes[..len];
    names
        .iter()
        .any(|name| own.eq_ignore_ascii_case(name) || own.eq_ignore_ascii_case(&name[..3]))
        .then_some(len)
}

/// Digits from `at` on.
fn run(bytes: &[u8], at: usize) -> usize {
    bytes.get(at..).unwrap_or_default().iter().take_while(|byte| byte.is_ascii_digit()).count()
}

fn blanks(bytes: &[u8], at: usize) -> Option<usize> {
    Some(bytes.get(at..)?.iter().take_while(|byte| **byte == b' ').count())
}
