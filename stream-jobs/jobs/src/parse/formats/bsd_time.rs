//! The time at the head of syslog's older lines.

use crate::parse::time::{
    Civil, Clock, Zone, clock as time_of_day, clock_offset, clock_zone, digits, fraction, month, weekday,
};

/// `Mmm dd hh:mm:ss` with or without a day of the week before it, a year, which may stand before it, behind the day or at the end,
/// a half of the day, a fraction and a zone: µs and where it ends.
pub(super) fn bsd_time(bytes: &[u8], clock: Clock<'_>) -> Option<(i64, usize)> {
    let mut at = day_of_week(bytes).unwrap_or(0);
    let first = digits(bytes, at, 4).filter(|_| bytes.get(at + 4) == Some(&b' '));
    at += if first.is_some() { 5 } else { 0 };
    let month = month(bytes.get(at..at + 3)?)?;
    at += 3;
    at += blanks(bytes, at)?;
    let n_digits = if digits(bytes, at, 2).is_some() { 2 } else { 1 };
    let day = digits(bytes, at, n_digits)?;
    at += n_digits;
    at += blanks(bytes, at)?;
    let mut year = first.or_else(|| digits(bytes, at, 4));
    if year.is_some() && first.is_none() {
        at += 4;
        at += blanks(bytes, at)?;
    }
    let (hour, minute, second) = time_of_day(bytes, at)?;
    at += 8;
    let hour = match half_of_day(bytes, at) {
        Some(afternoon) if (1..=12).contains(&hour) => {
            at += 3;
            hour % 12 + if afternoon { 12 } else { 0 }
        }
        _ => hour,
    };
    let mut civil = Civil { month, day, hour, minute, second, ..Civil::default() };
    if matches!(bytes.get(at), Some(b'.' | b',')) && bytes.get(at + 1).is_some_and(u8::is_ascii_digit) {
        (civil.micro, at) = fraction(bytes, at);
    }
    let mut zone = None;
    // Year and zone may follow in either order.
    for _ in 0..2 {
        if let (None, Some(own)) = (year, year_behind(bytes, at)) {
            (year, at) = (Some(own), at + 5);
        }
        if let (None, Some((seconds, end))) = (&zone, zone_behind(bytes, at)) {
            (zone, at) = (Some(Zone::Fixed(seconds)), end);
        }
    }
    let clock = Clock { zone: zone.as_ref().unwrap_or(clock.zone), ..clock };
    let micros = match year {
        Some(year) => clock.zone.micros(&Civil { year, ..civil })?,
        None => clock.guess_year(civil)?,
    };
    Some((micros, at))
}

/// How long a device is up, as Cisco's write it: `1w2d`, `3d04h`, `00:05:11`, `00:05:11.123`. Where it ends.
pub(super) fn uptime(bytes: &[u8]) -> Option<usize> {
    if time_of_day(bytes, 0).is_some() {
        return Some(if bytes.get(8) == Some(&b'.') { fraction(bytes, 8).1 } else { 8 });
    }
    let mut at = 0;
    for _ in 0..2 {
        let n_digits = bytes[at..].iter().take_while(|byte| byte.is_ascii_digit()).count();
        bytes.get(at + n_digits).filter(|unit| n_digits > 0 && matches!(unit, b'y' | b'w' | b'd' | b'h'))?;
        at += n_digits + 1;
    }
    Some(at)
}

/// `Mon ` or `Mon, `: where what follows begins.
fn day_of_week(bytes: &[u8]) -> Option<usize> {
    let len = weekday(bytes)?;
    let at = len + usize::from(bytes.get(len) == Some(&b','));
    Some(at + blanks(bytes, at)?)
}

/// ` AM` or ` PM`, also with a fraction behind it, as Cisco's call managers have it: whether it is the latter.
fn half_of_day(bytes: &[u8], at: usize) -> Option<bool> {
    let ends = matches!(bytes.get(at + 3), None | Some(b' ' | b':' | b'.'));
    match bytes.get(at..at + 3).filter(|_| ends)? {
        b" AM" => Some(false),
        b" PM" => Some(true),
        _ => None,
    }
}

/// ` 2016` as a word of its own, where it can be a year.
fn year_behind(bytes: &[u8], at: usize) -> Option<i64> {
    let is_word = bytes.get(at) == Some(&b' ') && matches!(bytes.get(at + 5), None | Some(b' ' | b':'));
    digits(bytes, at + 1, 4).filter(|year| is_word && (1970..2100).contains(year))
}

/// A zone: its difference, at once or behind a blank, or its letters: any that are known with a colon behind them, else three and
/// more capitals with a word behind them. Seconds, and where it ends.
fn zone_behind(bytes: &[u8], at: usize) -> Option<(i64, usize)> {
    let apart = bytes.get(at) == Some(&b' ');
    if let Some(own) = clock_zone(bytes, at).filter(|_| apart) {
        let capitals = bytes[at + 1..own.1].iter().filter(|byte| byte.is_ascii_uppercase()).count();
        let is_zone = match bytes.get(own.1) {
            Some(b':') => true,
            Some(b' ') => capitals > 2 && bytes.get(own.1 + 1).is_some_and(|byte| *byte != b' '),
            _ => false,
        };
        return is_zone.then_some(own);
    }
    let signed = bytes.get(at + usize::from(apart)).is_some_and(|sign| matches!(sign, b'+' | b'-' | b'Z'));
    let own = clock_offset(bytes, at).filter(|_| signed)?;
    matches!(bytes.get(own.1), None | Some(b' ' | b':')).then_some(own)
}

/// One or more blanks at `at`.
fn blanks(bytes: &[u8], at: usize) -> Option<usize> {
    let n = bytes.get(at..)?.iter().take_while(|byte| **byte == b' ').count();
    (n > 0).then_some(n)
}
