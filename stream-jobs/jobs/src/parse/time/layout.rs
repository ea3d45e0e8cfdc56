//! Times in a form that is given: strftime's, Java's, or by name.

use super::zone::{abbreviation, offset};
use super::{Civil, Clock, Form, civil_of, digits, epoch, iso8601, month, number, rfc3339, tai64, whole};

/// How a time is written.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Layout {
    /// Any way that is known.
    Auto,
    Rfc3339,
    /// The same, or without seconds, time of day or separators.
    Iso8601,
    /// TAI64 and TAI64N, with or without the `@`.
    Tai,
    /// Seconds and smaller units since the epoch, by how many of them a second has; 0: by size.
    Unix(i64),
    Parts(Vec<Part>),
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Part {
    Text(String),
    Blanks,
    /// Year of 4 and of 2 digits, month, day, day of the year, hour, hour of twelve, minute, second.
    Year,
    ShortYear,
    Month,
    MonthName,
    Day,
    DayOfYear,
    Hour,
    /// 24 is the hour after midnight.
    HourTo24,
    HalfDayHour,
    Minute,
    Second,
    /// Fraction of a second with so many digits; 0: as many as there are.
    Fraction(usize),
    /// Same after a point or comma, or nothing.
    MaybeFraction,
    Half,
    Zone,
    Weekday,
    /// Week of the year and day of the week as in ISO 8601, which make a date.
    Week,
    DayOfWeek,
    /// Digits that say nothing new.
    Digits,
    UnixSeconds,
    UnixMillis,
}

impl Layout {
    /// Reads a layout: `auto`, `rfc3339`, `iso8601`, `tai64n`, `unix`, `unix_ms`, `unix_us`, `unix_ns`, strftime's with `%`, Java's
    /// otherwise.
    ///
    /// # Errors
    /// What is not known in it.
    pub(crate) fn read(layout: &str) -> Result<Layout, String> {
        Ok(match layout.to_ascii_lowercase().as_str() {
            "auto" => Layout::Auto,
            "tai64" | "tai64n" => Layout::Tai,
            "rfc3339" | "%+" => Layout::Rfc3339,
            "iso8601" => Layout::Iso8601,
            "unix" | "epoch" => Layout::Unix(0),
            "unix_s" => Layout::Unix(1),
            "unix_ms" => Layout::Unix(1000),
            "unix_us" => Layout::Unix(1_000_000),
            "unix_ns" => Layout::Unix(1_000_000_000),
            _ if layout.contains('%') => Layout::Parts(strftime(layout)?),
            _ => Layout::Parts(java(layout)?),
        })
    }

    /// µs of `text`, all of it.
    pub(crate) fn micros(&self, text: &str, clock: Clock<'_>) -> Option<i64> {
        let text = text.trim();
        match self {
            Layout::Auto => whole(text, clock),
            Layout::Rfc3339 => {
                let (micros, len) = rfc3339(text.as_bytes(), Form::Lenient, clock.zone)?;
                (len == text.len()).then_some(micros)
            }
            Layout::Iso8601 => iso8601(text, clock),
            Layout::Tai => tai64(text),
            Layout::Unix(0) => number(text),
            Layout::Unix(unit) => unix(text, *unit),
            Layout::Parts(parts) => parse(parts, text, clock),
        }
    }
}

fn unix(text: &str, unit: i64) -> Option<i64> {
    match text.parse::<i64>() {
        Ok(number) if unit <= 1_000_000 => number.checked_mul(1_000_000 / unit),
        Ok(number) => Some(number.div_euclid(unit / 1_000_000)),
        Err(_) => {
            let number = text.parse::<f64>().ok().filter(|number| number.is_finite())?;
            let micros = number * (1e6 / unit as f64);
            (micros.abs() < 9e18).then_some(micros.round() as i64)
        }
    }
}

/// What strftime's letters mean.
fn strftime(layout: &str) -> Result<Vec<Part>, String> {
    let mut parts = Vec::new();
    let mut rest = layout.chars();
    while let Some(own) = rest.next() {
        if own != '%' {
            text(&mut parts, own);
            continue;
        }
        let mut letter = rest.next();
        // Glibc's and chrono's ways to say how a number is filled up.
        while matches!(letter, Some('-' | '_' | '0' | '^' | '#' | ':')) {
            letter = rest.next();
        }
        let Some(letter) = letter else { return Err("% stands at the end".into()) };
        let several = |layout: &str| strftime(layout);
        parts.push(match letter {
            'Y' | 'G' => Part::Year,
            'y' | 'g' => Part::ShortYear,
            'm' => Part::Month,
            'b' | 'B' | 'h' => Part::MonthName,
            'd' | 'e' => Part::Day,
            'j' => Part::DayOfYear,
            'H' | 'k' => Part::Hour,
            'I' | 'l' => Part::HalfDayHour,
            'M' => Part::Minute,
            'S' => Part::Second,
            'f' | 'N' => Part::Fraction(0),
            'L' => Part::Fraction(0),
            '3' | '6' | '9' => {
                rest.next();
                Part::Fraction(letter as usize - '0' as usize)
            }
            '.' => {
                while rest.as_str().starts_with(|own: char| own.is_ascii_digit()) {
                    rest.next();
                }
                rest.next();
                Part::MaybeFraction
            }
            'p' | 'P' => Part::Half,
            'z' | 'Z' => Part::Zone,
            'a' | 'A' => Part::Weekday,
            'V' => Part::Week,
            'u' => Part::DayOfWeek,
            'w' | 'U' | 'W' | 'C' => Part::Digits,
            's' => Part::UnixSeconds,
            'Q' => Part::UnixMillis,
            'n' | 't' => Part::Blanks,
            '%' => Part::Text("%".into()),
            'T' | 'X' => {
                parts.extend(several("%H:%M:%S")?);
                continue;
            }
            'R' => {
                parts.extend(several("%H:%M")?);
                continue;
            }
            'r' => {
                parts.extend(several("%I:%M:%S %p")?);
                continue;
            }
            'F' => {
                parts.extend(several("%Y-%m-%d")?);
                continue;
            }
            'D' | 'x' => {
                parts.extend(several("%m/%d/%y")?);
                continue;
            }
            'c' => {
                parts.extend(several("%a %b %e %H:%M:%S %Y")?);
                continue;
            }
            'v' => {
                parts.extend(several("%e-%b-%Y")?);
                continue;
            }
            other => return Err(format!("%{other} is not known")),
        });
    }
    Ok(parts)
}

/// What Java's letters mean, as Logstash and Elasticsearch have them. `Y` is a year like `y`; with a week it is that of the week.
fn java(layout: &str) -> Result<Vec<Part>, String> {
    let mut parts = Vec::new();
    let mut rest = layout;
    while let Some(own) = rest.chars().next() {
        if let Some(after) = rest.strip_prefix("''") {
            text(&mut parts, '\'');
            rest = after;
            continue;
        }
        if own == '\'' {
            let inner = &rest[1..];
            let len = inner.find('\'').ok_or("a quote has no end")?;
            inner[..len].chars().for_each(|own| text(&mut parts, own));
            rest = &inner[len + 1..];
            // Twice within quotes it is one of the text.
            if rest.starts_with('\'') {
                text(&mut parts, '\'');
            }
            continue;
        }
        let len = rest.chars().take_while(|other| *other == own).count() * own.len_utf8();
        rest = &rest[len..];
        parts.push(match own {
            'y' | 'u' | 'Y' if len == 2 => Part::ShortYear,
            'y' | 'u' | 'Y' => Part::Year,
            'M' | 'L' if len > 2 => Part::MonthName,
            'M' | 'L' => Part::Month,
            'd' => Part::Day,
            'D' => Part::DayOfYear,
            'H' => Part::Hour,
            'k' => Part::HourTo24,
            'h' | 'K' => Part::HalfDayHour,
            'm' => Part::Minute,
            's' => Part::Second,
            'S' => Part::Fraction(if len > 3 { 0 } else { len }),
            'a' => Part::Half,
            'E' => Part::Weekday,
            'w' => Part::Week,
            'e' => Part::DayOfWeek,
            'Z' | 'z' | 'X' | 'x' => Part::Zone,
            letter if letter.is_ascii_alphabetic() => return Err(format!("{letter} is not known")),
            other => {
                (0..len / other.len_utf8()).for_each(|_| text(&mut parts, other));
                continue;
            }
        });
    }
    Ok(parts)
}

/// Notes the zone of a place, of which it depends on the date how far it is from UTC.
fn placed(name: &str, there: &mut Option<super::Zone>) -> Option<i64> {
    *there = super::Zone::named(name);
    there.as_ref().map(|_| 0)
}

fn text(parts: &mut Vec<Part>, own: char) {
    match parts.last_mut() {
        _ if own.is_whitespace() => {
            if parts.last() != Some(&Part::Blanks) {
                parts.push(Part::Blanks);
            }
        }
        Some(Part::Text(last)) => last.push(own),
        _ => parts.push(Part::Text(own.to_string())),
    }
}

fn parse(parts: &[Part], text: &str, clock: Clock<'_>) -> Option<i64> {
    let bytes = text.as_bytes();
    let mut at = 0;
    let mut civil = Civil { month: 1, day: 1, ..Civil::default() };
    let (mut year, mut dated, mut day_of_year, mut zone, mut half, mut unix) =
        (None, false, None, None, None, None);
    let mut there = None;
    let (mut week, mut weekday) = (None, 1);
    for (place, part) in parts.iter().enumerate() {
        // A number that another one follows takes no more than its own digits.
        let tight = matches!(parts.get(place + 1), Some(next) if !matches!(next, Part::Text(_) | Part::Blanks | Part::MaybeFraction | Part::Half | Part::Zone));
        let number = |at: &mut usize, least: usize, most: usize| {
            *at += if least == 1 {
                bytes.get(*at..)?.iter().take_while(|byte| **byte == b' ').count()
            } else {
                0
            };
            let n_digits =
                bytes.get(*at..)?.iter().take(most).take_while(|byte| byte.is_ascii_digit()).count();
            let least = if tight { most } else { least };
            let own = digits(bytes, *at, n_digits).filter(|_| n_digits >= least)?;
            *at += n_digits;
            Some(own)
        };
        match part {
            Part::Text(own) => {
                text.get(at..)?.starts_with(own.as_str()).then_some(())?;
                at += own.len();
            }
            Part::Blanks => {
                let n = bytes.get(at..)?.iter().take_while(|byte| byte.is_ascii_whitespace()).count();
                (n > 0).then_some(())?;
                at += n;
            }
            Part::Year => year = Some(number(&mut at, 4, 4)?),
            Part::ShortYear => {
                let own = number(&mut at, 2, 2)?;
                year = Some(if own < 70 { 2000 + own } else { 1900 + own });
            }
            Part::Month => (civil.month, dated) = (number(&mut at, 1, 2)?, true),
            Part::MonthName => {
                civil.month = month(bytes.get(at..at + 3)?)?;
                dated = true;
                at += bytes[at..].iter().take_while(|byte| byte.is_ascii_alphabetic()).count();
            }
            Part::Day => (civil.day, dated) = (number(&mut at, 1, 2)?, true),
            Part::DayOfYear => day_of_year = Some(number(&mut at, 1, 3)?),
            Part::Hour | Part::HalfDayHour => civil.hour = number(&mut at, 1, 2)?,
            Part::HourTo24 => {
                civil.hour = number(&mut at, 1, 2).filter(|hour| (1..=24).contains(hour))? % 24;
            }
            Part::Minute => civil.minute = number(&mut at, 1, 2)?,
            Part::Second => civil.second = number(&mut at, 1, 2)?,
            Part::Fraction(n) => {
                let most = if *n == 0 { 30 } else { *n };
                let n_digits =
                    bytes.get(at..)?.iter().take(most).take_while(|byte| byte.is_ascii_digit()).count();
                let kept = n_digits.min(6);
                civil.micro = digits(bytes, at, kept).filter(|_| n_digits > 0)? * 10_i64.pow(6 - kept as u32);
                at += n_digits;
            }
            Part::MaybeFraction if matches!(bytes.get(at), Some(b'.' | b',')) => {
                (civil.micro, at) = super::fraction(bytes, at);
            }
            Part::MaybeFraction => {}
            Part::Half => {
                half = Some(match bytes.get(at..at + 2)?.to_ascii_lowercase().as_slice() {
                    b"am" => 0,
                    b"pm" => 12,
                    _ => return None,
                });
                at += 2;
            }
            Part::Zone => {
                let rest = bytes.get(at..)?;
                let (seconds, len) = match offset(rest) {
                    Some(found) => found,
                    None => {
                        let place = |byte: &&u8| byte.is_ascii_alphanumeric() || b"/_+-".contains(byte);
                        let len = rest.iter().take_while(place).count();
                        let name = text.get(at..at + len)?;
                        (abbreviation(name).or_else(|| placed(name, &mut there))?, len)
                    }
                };
                zone = Some(seconds).filter(|_| there.is_none());
                at += len;
            }
            Part::Weekday => {
                let len = bytes.get(at..)?.iter().take_while(|byte| byte.is_ascii_alphabetic()).count();
                (len >= 2).then_some(())?;
                at += len;
            }
            Part::Week => week = Some(number(&mut at, 1, 2).filter(|week| (1..=53).contains(week))?),
            Part::DayOfWeek => weekday = number(&mut at, 1, 1).filter(|day| (1..=7).contains(day))?,
            Part::Digits => drop(number(&mut at, 1, 2)?),
            Part::UnixSeconds => unix = Some(number(&mut at, 1, 12)?.checked_mul(1_000_000)?),
            Part::UnixMillis => unix = Some(epoch(number(&mut at, 1, 15)?)),
        }
    }
    if at != text.len() {
        return None;
    }
    if let Some(unix) = unix {
        return Some(unix + civil.micro);
    }
    if let Some(half) = half {
        civil.hour = civil.hour % 12 + half;
    }
    if !dated && year.is_none() && day_of_year.is_none() {
        // A time of day alone is one of the day of the receipt.
        let today = civil_of(clock.received);
        (year, civil.month, civil.day) = (Some(today.year), today.month, today.day);
    }
    if let (Some(day), Some(year)) = (day_of_year, year) {
        let first = Civil { year, month: 1, day: 1, ..Civil::default() }.micros()?;
        let own = civil_of(first + (day - 1) * 86_400_000_000);
        (civil.month, civil.day) = (own.month, own.day);
    }
    if let (Some(week), Some(own), false) = (week, year, dated) {
        let date = civil_of(super::day_of_week(own, week, weekday) * 86_400_000_000);
        (year, civil.month, civil.day) = (Some(date.year), date.month, date.day);
    }
    let clock = Clock { zone: there.as_ref().unwrap_or(clock.zone), ..clock };
    match (year, zone) {
        (Some(year), Some(offset)) => Civil { year, offset, ..civil }.micros(),
        (Some(year), None) => clock.zone.micros(&Civil { year, ..civil }),
        (None, Some(offset)) => Clock { zone: &super::Zone::Fixed(offset), ..clock }.guess_year(civil),
        (None, None) => clock.guess_year(civil),
    }
}
