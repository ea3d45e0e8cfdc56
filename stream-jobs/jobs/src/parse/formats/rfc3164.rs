//! Syslog as RFC 3164 found it in the wild.
//!
//! `<PRI>Mmm dd hh:mm:ss hostname tag[pid]: message`. `<PRI>` may be missing, and so may host name and tag; the time may
//! have a year, a fraction, or be RFC 3339 as rsyslog forwards it. Without a year it is that of the receipt, or of the
//! year before where that lies ahead; without a zone it is that of the source. With `<PRI>` and no time, all that follows is the message.
//! Cisco's devices count messages before the time, mark it with `*` where they do not trust their clock, and may say its zone:
//! `<189>44: host: *Mar  1 18:46:11.123 UTC: %SYS-5-CONFIG_I: message`. A relay puts its own time and the device's address before
//! that: then the device's time counts, unless it is marked. Others have the year behind the time.

use std::borrow::Cow;

use super::syslog::pri;
use crate::parse::found::{Cursor, Found, Stopped};
use crate::parse::time::{
    Civil, Clock, Form, Zone, clock as time_of_day, clock_zone, digits, fraction, month, rfc3339,
};

/// Reads one line.
pub(crate) fn parse<'t>(text: &'t str, clock: Clock<'_>) -> Result<Found<'t>, Stopped> {
    let mut at = Cursor::new(text);
    let mut found = Found::default();
    let has_pri = pri(&mut at, &mut found).is_some();
    let blanks = at.run(|byte| byte == b' ').len();
    let time = rfc3339(at.rest().as_bytes(), Form::Lenient, clock.zone)
        .or_else(|| bsd_time(at.rest().as_bytes(), clock));
    let Some((micros, len)) = time.or_else(|| counted(&mut at, has_pri, clock, &mut found)) else {
        if !has_pri {
            return Err(at.stop("<PRI>, or a time as Oct 11 22:14:15"));
        }
        at.at -= blanks;
        found.message = Some(Cow::Borrowed(at.rest()));
        return Ok(found);
    };
    found.time = Some(micros);
    at.at += len;
    if at.peek().is_some() {
        at.skip(":"); // Cisco's
        at.expect(" ", "a blank after the time")?;
    }
    at.run(|byte| byte == b' ');
    if !tag(&mut at, &mut found) {
        let mut ahead = at;
        let mut host = ahead.until(b' ');
        // A word of signs alone is none: `--- last message repeated 1 time ---`.
        if host.len() < 2 || host.contains(char::is_alphanumeric) {
            ahead.skip(" : ");
            ahead.skip(" ");
            at = ahead;
            if let Some(device) = Device::read(at, clock).filter(|device| device.is_cisco) {
                host = device.host.unwrap_or(host);
                found.time = if device.is_set { Some(device.micros) } else { found.time };
                at = device.behind;
                at.skip(": ");
            }
            if !host.is_empty() {
                found.text("hostname", host);
            }
        }
        tag(&mut at, &mut found);
    }
    found.message = Some(Cow::Borrowed(at.rest()));
    Ok(found)
}

/// Steps over what Cisco's devices write between priority and time.
fn counted<'t>(
    at: &mut Cursor<'t>,
    has_pri: bool,
    clock: Clock<'_>,
    found: &mut Found<'t>,
) -> Option<(i64, usize)> {
    let counts = at.rest().trim_start_matches(|own: char| own.is_ascii_digit()).starts_with(':');
    let device =
        Device::read(*at, clock).filter(|own| has_pri && (own.is_cisco || counts && own.has_colons))?;
    if let Some(host) = device.host {
        found.text("hostname", host);
    }
    *at = device.behind;
    Some((device.micros, 0))
}

/// What Cisco's devices write before a message: counts and their own name, then the time.
struct Device<'t> {
    host: Option<&'t str>,
    micros: i64,
    /// Whether the device says no other of its clock.
    is_set: bool,
    /// Whether counts and name end in colons.
    has_colons: bool,
    /// Whether the message that follows is one of Cisco's: `: %SYS-5-CONFIG_I`.
    is_cisco: bool,
    /// Where the time ends.
    behind: Cursor<'t>,
}

impl<'t> Device<'t> {
    fn read(at: Cursor<'t>, clock: Clock<'_>) -> Option<Device<'t>> {
        const MAX_WORDS: usize = 3;
        let mut behind = at;
        let (mut host, mut has_colons) = (None, true);
        for _ in 0..=MAX_WORDS {
            behind.skip(":");
            let marks = behind.run(|byte| matches!(byte, b' ' | b'*' | b'.'));
            if let Some((micros, len)) = bsd_time(behind.rest().as_bytes(), clock) {
                behind.at += len;
                let is_cisco = behind.rest().starts_with(": %");
                return Some(Device {
                    host,
                    micros,
                    is_set: !marks.contains('*'),
                    has_colons,
                    is_cisco,
                    behind,
                });
            }
            let word = behind.run(|byte| byte.is_ascii_graphic());
            let name = word.strip_suffix(':').unwrap_or(word);
            has_colons &= name.len() < word.len();
            if name.bytes().any(|byte| !byte.is_ascii_digit()) && host.replace(name).is_some() {
                return None;
            }
            if behind.peek() != Some(b' ') {
                return None;
            }
        }
        None
    }
}

/// `Mmm dd hh:mm:ss` with or without a year, which may stand before it, behind the day or at the end; with or without a fraction,
/// and with a zone if a colon is behind it: µs and where it ends.
fn bsd_time(bytes: &[u8], clock: Clock<'_>) -> Option<(i64, usize)> {
    let first = digits(bytes, 0, 4).filter(|_| bytes.get(4) == Some(&b' '));
    let mut at = if first.is_some() { 5 } else { 0 };
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
    let mut civil = Civil { month, day, hour, minute, second, ..Civil::default() };
    if bytes.get(at) == Some(&b'.') && bytes.get(at + 1).is_some_and(u8::is_ascii_digit) {
        (civil.micro, at) = fraction(bytes, at);
    }
    if let (None, Some(own)) = (year, year_behind(bytes, at)) {
        (year, at) = (Some(own), at + 5);
    }
    let zone = clock_zone(bytes, at).filter(|(_, end)| bytes.get(*end) == Some(&b':'));
    let fixed = zone.map(|(seconds, _)| Zone::Fixed(seconds));
    let clock = Clock { zone: fixed.as_ref().unwrap_or(clock.zone), ..clock };
    let micros = match year {
        Some(year) => clock.zone.micros(&Civil { year, ..civil })?,
        None => clock.guess_year(civil)?,
    };
    Some((micros, zone.map_or(at, |(_, end)| end)))
}

/// ` 2016` as a word of its own, where it can be a year.
fn year_behind(bytes: &[u8], at: usize) -> Option<i64> {
    let is_word = bytes.get(at) == Some(&b' ') && matches!(bytes.get(at + 5), None | Some(b' ' | b':'));
    digits(bytes, at + 1, 4).filter(|year| is_word && (1970..2100).contains(year))
}

/// One or more blanks at `at`.
fn blanks(bytes: &[u8], at: usize) -> Option<usize> {
    let n = bytes.get(at..)?.iter().take_while(|byte| **byte == b' ').count();
    (n > 0).then_some(n)
}

/// `tag:`, `tag[pid]:` or `tag[pid]`, and the blank after it. A word without colon or bracket is no tag.
fn tag<'t>(at: &mut Cursor<'t>, found: &mut Found<'t>) -> bool {
    let mut ahead = *at;
    let name = ahead.run(|byte| byte.is_ascii_graphic() && !matches!(byte, b':' | b'['));
    let mut pid = None;
    let mut ended = false;
    if !name.is_empty() && ahead.skip("[") {
        let id = ahead.run(|byte| byte.is_ascii_graphic() && byte != b']');
        pid = Some(id);
        ended = ahead.skip("]");
        if !ended {
            return false;
        }
    }
    let colon = ahead.skip(":") || ended && ahead.skip(" :");
    // A colon within a word is a part of it: of an IPv6 address, of `module::name`.
    let closed = colon && matches!(ahead.peek(), None | Some(b' '));
    if name.is_empty() || !(closed || ended) {
        return false;
    }
    ahead.skip(" ");
    found.text("appname", name);
    if let Some(pid) = pid.filter(|pid| !pid.is_empty()) {
        found.text("procid", pid);
    }
    *at = ahead;
    true
}
