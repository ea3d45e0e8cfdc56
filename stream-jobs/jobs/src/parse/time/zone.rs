//! The zone that times without one are in.
//!
//! Zones by name come from the database in the program, not from that of the machine: the same line gives the same event
//! everywhere (I3).

use jiff::civil::DateTime;
use jiff::tz::{TimeZone, TimeZoneDatabase};

use super::{Civil, digits};

/// A time zone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Zone {
    /// Seconds east of UTC.
    Fixed(i64),
    /// By the rules of a place.
    Place(Box<TimeZone>),
}

impl Zone {
    /// Greenwich.
    pub(crate) const UTC: Zone = Zone::Fixed(0);

    /// `UTC`, `+02:00`, `UTC+3`, `EST`, `Europe/Berlin`.
    pub(crate) fn named(name: &str) -> Option<Zone> {
        let (letters, shift) = name.split_at(name.find(['+', '-']).unwrap_or(name.len()));
        let known = if letters.is_empty() { Some(0) } else { abbreviation(letters) };
        match (known, offset(shift.as_bytes())) {
            (Some(seconds), None) if shift.is_empty() && !letters.is_empty() => {
                return Some(Zone::Fixed(seconds));
            }
            (Some(seconds), Some((more, len))) if len == shift.len() => {
                return Some(Zone::Fixed(seconds + more));
            }
            _ => {}
        }
        let found = TimeZoneDatabase::bundled().get(name).ok()?;
        Some(Zone::Place(Box::new(found)))
    }

    /// µs since the epoch of a civil time in this zone. Of an hour that comes twice it is the first; one that does not come
    /// is moved by what is left out.
    pub(crate) fn micros(&self, civil: &Civil) -> Option<i64> {
        match self {
            Zone::Fixed(offset) => Civil { offset: *offset, ..*civil }.micros(),
            Zone::Place(zone) => {
                let utc = Civil { offset: 0, ..*civil }.micros()?;
                // A leap second has no name in the database.
                let second = civil.second.min(59);
                let date = DateTime::new(
                    i16::try_from(civil.year).ok()?,
                    i8::try_from(civil.month).ok()?,
                    i8::try_from(civil.day).ok()?,
                    i8::try_from(civil.hour).ok()?,
                    i8::try_from(civil.minute).ok()?,
                    i8::try_from(second).ok()?,
                    0,
                );
                let found = zone.to_timestamp(date.ok()?).ok()?;
                let there = Civil { offset: 0, second, micro: 0, ..*civil }.micros()?;
                Some(utc + found.as_microsecond() - there)
            }
        }
    }
}

/// `+02:00`, `-0500`, `+3` at the start: seconds, and where it ends.
pub(crate) fn offset(bytes: &[u8]) -> Option<(i64, usize)> {
    let sign = match bytes.first()? {
        b'+' => 1,
        b'-' => -1,
        _ => return None,
    };
    let n_digits = bytes[1..].iter().take_while(|byte| byte.is_ascii_digit()).count();
    let (hours, minutes, len) = match n_digits {
        1 => (digits(bytes, 1, 1)?, 0, 2),
        2 if bytes.get(3) == Some(&b':') && digits(bytes, 4, 2).is_some() => {
            (digits(bytes, 1, 2)?, digits(bytes, 4, 2)?, 6)
        }
        2 => (digits(bytes, 1, 2)?, 0, 3),
        4 => (digits(bytes, 1, 2)?, digits(bytes, 3, 2)?, 5),
        _ => return None,
    };
    (hours < 24 && minutes < 60).then_some((sign * (hours * 3600 + minutes * 60), len))
}

/// `Z`, `+0100`, `+01:00`, ` +0100`, ` UTC`, `GMT+0100`: seconds, and where it ends. A name behind the numbers says the same
/// once more: `+0000 UTC`, `+0100 (CET)`, `+01:00[Europe/Paris]`.
pub(crate) fn at_clock(bytes: &[u8], at: usize) -> Option<(i64, usize)> {
    let from = at + usize::from(bytes.get(at) == Some(&b' '));
    let rest = bytes.get(from..)?;
    match numbers(rest) {
        Some((seconds, len)) if len > 3 || from == at => {
            return Some((seconds, from + len + named_again(&rest[len..])));
        }
        _ => {}
    }
    let (seconds, len) = letters(rest)?;
    if let Some((more, more_len)) = numbers(&rest[len..]) {
        let len = len + more_len;
        return Some((seconds + more, from + len + named_again(&rest[len..])));
    }
    // Behind a blank it is a zone only where nothing else is meant.
    let apart = |byte: &u8| from > at && matches!(byte, b':' | b'=');
    (!rest.get(len).is_some_and(apart)).then_some((seconds, from + len + named_again(&rest[len..])))
}

/// The letters of a zone behind one blank: seconds, and where they end.
pub(crate) fn behind_blank(bytes: &[u8], at: usize) -> Option<(i64, usize)> {
    let rest = bytes.get(at..)?.strip_prefix(b" ")?;
    letters(rest).map(|(seconds, len)| (seconds, at + 1 + len))
}

/// A difference to UTC that no digit follows.
fn numbers(bytes: &[u8]) -> Option<(i64, usize)> {
    offset(bytes).filter(|(_, len)| !bytes.get(*len).is_some_and(u8::is_ascii_digit))
}

/// The letters of a zone, as a word of its own.
fn letters(bytes: &[u8]) -> Option<(i64, usize)> {
    let len = bytes.iter().take_while(|byte| byte.is_ascii_alphabetic()).count();
    let name = std::str::from_utf8(&bytes[..len]).ok().filter(|_| len <= 4)?;
    let word = !bytes.get(len).is_some_and(u8::is_ascii_digit);
    Some((abbreviation(name).filter(|_| word)?, len))
}

/// Length of the name of a zone that is said already.
fn named_again(bytes: &[u8]) -> usize {
    let closed = |open: usize, close: u8| {
        let len = bytes[open..].iter().position(|byte| *byte == close)?;
        let name = std::str::from_utf8(&bytes[open..open + len]).ok()?;
        let known = name.contains('/') || abbreviation(name).is_some();
        (known && !name.contains(' ')).then_some(open + len + 1)
    };
    let own = match bytes {
        [b'[', ..] => closed(1, b']'),
        [b' ', b'(', ..] => closed(2, b')'),
        [b' ', rest @ ..] => letters(rest).map(|(_, len)| 1 + len).filter(|len| *len > 2),
        _ => None,
    };
    own.unwrap_or(0)
}

/// Letters that mean one zone only, or mostly: seconds east of UTC.
pub(crate) fn abbreviation(name: &str) -> Option<i64> {
    let hours = match name {
        "Z" | "z" | "UTC" | "GMT" | "UT" | "WET" => 0,
        "BST" | "CET" | "WEST" | "MEZ" => 1,
        "CEST" | "EET" | "MESZ" | "SAST" => 2,
        "EEST" | "MSK" => 3,
        "JST" | "KST" => 9,
        "AEST" => 10,
        "AEDT" => 11,
        "EDT" => -4,
        "EST" | "CDT" => -5,
        "CST" | "MDT" => -6,
        "MST" | "PDT" => -7,
        "PST" => -8,
        _ => return None,
    };
    Some(hours * 3600)
}
