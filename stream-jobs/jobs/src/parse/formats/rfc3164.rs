//! Syslog as RFC 3164 found it in the wild.
//!
//! `<PRI>Mmm dd hh:mm:ss hostname tag[pid]: message`. `<PRI>` may be missing, and so may host name and tag; the time may
//! have a day of the week, a year, a fraction and a zone, or be RFC 3339 as rsyslog forwards it; behind `<PRI>` it may have any form
//! that says date and clock. Without a year it is that of the receipt, or of the year before where that lies ahead; without a zone
//! it is that of the source. With `<PRI>` and no time, all that follows is the message.
//! Cisco's devices count messages before the time, mark it with `*` where they do not trust their clock, and may say its zone:
//! `<189>44: host: *Mar  1 18:46:11.123 UTC: %SYS-5-CONFIG_I: message`. A relay puts its own time and the device's address before
//! that: then the device's time counts, unless it is marked. A device that has no clock says how long it is up (`1w2d`), which is no
//! time. Without `<PRI>` the level is that of the mnemonic, and that may begin the line. Sophos' time (`2020:05:18-14:38:34`) needs no `<PRI>`.

use std::borrow::Cow;

use millrace_schemas::Value;

use super::bsd_time::{bsd_time, uptime};
use super::syslog::{is_severity, pri, severity};
use crate::parse::found::{Cursor, Found, Stopped};
use crate::parse::time::{Clock, Form, at_start, rfc3339, seconds_at_start};

/// Reads one line.
pub(crate) fn parse<'t>(text: &'t str, clock: Clock<'_>) -> Result<Found<'t>, Stopped> {
    let mut at = Cursor::new(text);
    let mut found = Found::default();
    let has_pri = pri(&mut at, &mut found).is_some();
    let blanks = at.run(|byte| byte == b' ').len();
    let bytes = at.rest().as_bytes();
    let time = rfc3339(bytes, Form::Lenient, clock.zone).or_else(|| bsd_time(bytes, clock));
    let time = time.map(|(micros, len)| (Some(micros), len));
    let time = time.or_else(|| counted(&mut at, has_pri, clock, &mut found));
    let Some((micros, len)) = time.or_else(|| other_time(bytes, has_pri, clock)) else {
        let name = at.rest().split(' ').next().unwrap_or_default();
        if !has_pri && mnemonic(name.trim_end_matches(':').as_bytes()).is_none() {
            return Err(at.stop("<PRI>, or a time as Oct 11 22:14:15"));
        }
        at.at -= if has_pri { blanks } else { 0 };
        if !has_pri && tag(&mut at, &mut found) {
            found.severity = mnemonic(name.as_bytes()).and_then(severity).map(Cow::Borrowed);
        }
        found.message = Some(Cow::Borrowed(at.rest()));
        return Ok(found);
    };
    found.time = micros;
    at.at += len;
    if at.peek().is_some() {
        let _ = at.skip(":") || at.skip(" :"); // Cisco's
        at.expect(" ", "a blank after the time")?;
    }
    at.run(|byte| byte == b' ');
    if let Some((host, behind)) = before_mnemonic(at) {
        found.text("hostname", host);
        at = behind;
    }
    if !tag(&mut at, &mut found) && !in_brackets(&mut at, &mut found) {
        let mut ahead = at;
        let mut host = ahead.run_any(|byte| !matches!(byte, b' ' | b'\t'));
        if is_host(host) {
            ahead.skip(" : ");
            let _ = ahead.skip(" ") || ahead.skip("\t");
            at = ahead;
            if let Some(device) = Device::read(at, clock).filter(|device| device.is_cisco) {
                host = device.host.unwrap_or(host);
                found.time = device.micros.filter(|_| device.is_set).or(found.time);
                at = device.behind;
                at.run(|byte| byte == b' ');
                at.skip(": ");
            }
            if !host.is_empty() {
                found.text("hostname", host);
            }
        }
        let mut ahead = at;
        ahead.run(|byte| byte == b' ');
        // F5's devices write the severity once more before the tag: `notice tmsh[7]: x`.
        let mut behind = ahead;
        let level = behind.run(|byte| byte.is_ascii_lowercase());
        if is_severity(level) && behind.skip(" ") && tag(&mut behind, &mut found) {
            found.severity.get_or_insert(Cow::Borrowed(level));
            at = behind;
        } else if tag(&mut ahead, &mut found) {
            at = ahead;
        }
    }
    if found.severity.is_none()
        && let Some(Value::String(name)) = found.fields.find("appname")
    {
        found.severity = mnemonic(name.as_bytes()).and_then(severity).map(Cow::Borrowed);
    }
    found.message = Some(Cow::Borrowed(at.rest()));
    Ok(found)
}

/// Whether a word can name a host. One of signs alone cannot (`--- last message repeated 1 time ---`), nor one that begins data or
/// is a tag in brackets: `{"a":1}`, `id=7`, `1,2`, `[sshd]`.
fn is_host(word: &str) -> bool {
    let bracketed = word.strip_prefix('[').map(|rest| rest.strip_suffix(']').unwrap_or(rest));
    let address = bracketed.is_none_or(|inner| inner.parse::<std::net::IpAddr>().is_ok());
    let columns = word.starts_with(|own: char| own.is_ascii_digit()) && word.contains(',');
    let data = columns || word.bytes().any(|byte| matches!(byte, b'=' | b'"' | b'{' | b'}'));
    // Ubiquiti's access points say model, address and version in quotes and parentheses.
    let model = word.starts_with("(\"");
    (word.len() < 2 || word.contains(char::is_alphanumeric)) && address && (!data || model)
}

/// The name of a device with a colon, before one of Cisco's messages: `192.0.2.1: %ACE-3-251010: x`. And where the message begins.
fn before_mnemonic<'t>(mut at: Cursor<'t>) -> Option<(&'t str, Cursor<'t>)> {
    let host = at.run(|byte| byte.is_ascii_graphic()).strip_suffix(':')?;
    at.skip(" ").then_some(())?;
    let behind = at;
    let name = at.run(|byte| byte.is_ascii_graphic()).strip_suffix(':')?;
    (is_host(host) && mnemonic(name.as_bytes()).is_some()).then_some((host, behind))
}

/// The level in `%FACILITY-5-MNEMONIC`, as Cisco's devices write it.
fn mnemonic(name: &[u8]) -> Option<usize> {
    let level = |own: &&[u8]| own[0] == b'-' && own[2] == b'-' && (b'0'..=b'7').contains(&own[1]);
    name.strip_prefix(b"%")?.windows(3).find(level).map(|own| usize::from(own[1] - b'0'))
}

/// Whether one of Cisco's messages begins near the start of a text: `1w2d: %LINK-3-UPDOWN: x`.
pub(crate) fn is_cisco(text: &str) -> bool {
    const NEAR: usize = 64;
    let near = &text.as_bytes()[..text.len().min(NEAR)];
    let at = memchr::memchr_iter(b'%', near).find(|at| *at == 0 || near[..*at].ends_with(b": "));
    let name =
        at.map(|at| &near[at..]).and_then(|rest| rest.split(|byte| matches!(byte, b' ' | b':')).next());
    name.and_then(mnemonic).is_some()
}

/// A time in another form than syslog's own, behind `<PRI>` and as words of their own: `2020:05:18-14:38:34`, `18 May 2020 14:38:34`,
/// and Meraki's, with a version before it: `1 1583934498.497235`.
fn other_time(bytes: &[u8], has_pri: bool, clock: Clock<'_>) -> Option<(Option<i64>, usize)> {
    let of_sophos = bytes.get(4) == Some(&b':') && bytes.get(10) == Some(&b'-');
    if !has_pri && !of_sophos {
        return None;
    }
    let version = if bytes.starts_with(b"1 ") { 2 } else { 0 };
    let behind = &bytes[version..];
    let own = seconds_at_start(behind).or_else(|| bsd_time(behind, clock));
    let own = own.map(|(micros, len)| (micros, version + len));
    let (micros, len) = own.or_else(|| at_start(bytes, clock))?;
    matches!(bytes.get(len), None | Some(b' ' | b':')).then_some((Some(micros), len))
}

/// Steps over what Cisco's devices write between priority and time.
fn counted<'t>(
    at: &mut Cursor<'t>,
    has_pri: bool,
    clock: Clock<'_>,
    found: &mut Found<'t>,
) -> Option<(Option<i64>, usize)> {
    let counts = at.rest().trim_start_matches(|own: char| own.is_ascii_digit()).starts_with(':');
    let device =
        Device::read(*at, clock).filter(|own| own.is_cisco || has_pri && counts && own.has_colons)?;
    if let Some(host) = device.host {
        found.text("hostname", host);
    }
    *at = device.behind;
    Some((device.micros, 0))
}

/// What Cisco's devices write before a message: counts and their own name, then the time.
struct Device<'t> {
    host: Option<&'t str>,
    /// None where it says how long it is up.
    micros: Option<i64>,
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
            let rest = behind.rest();
            let up = uptime(rest.as_bytes()).filter(|len| is_message(&rest[*len..])).map(|len| (None, len));
            let time = || bsd_time(rest.as_bytes(), clock).map(|(micros, len)| (Some(micros), len));
            if let Some((micros, len)) = up.or_else(time) {
                behind.at += len;
                behind.at += unknown_zone(behind.rest());
                let is_cisco = is_message(behind.rest());
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
            // Behind a star it is the name of a task.
            let is_name = name.bytes().any(|byte| !byte.is_ascii_digit()) && !marks.contains('*');
            if is_name && host.replace(name).is_some() {
                return None;
            }
            if behind.peek() != Some(b' ') {
                return None;
            }
        }
        None
    }
}

/// `[tag]` or `[tag]:` in place of host and tag, as metalog writes it.
fn in_brackets<'t>(at: &mut Cursor<'t>, found: &mut Found<'t>) -> bool {
    let mut ahead = *at;
    let word = ahead.run(|byte| byte.is_ascii_graphic());
    let name =
        word.strip_suffix(':').unwrap_or(word).strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
    let Some(name) = name.filter(|name| name.starts_with(|own: char| own.is_ascii_alphabetic())) else {
        return false;
    };
    if name.contains([':', '[', ']', '=']) {
        return false;
    }
    ahead.skip(" ");
    found.text("appname", name);
    *at = ahead;
    true
}

/// Whether one of Cisco's messages follows.
fn is_message(rest: &str) -> bool {
    rest.trim_start_matches(' ').starts_with(": %")
}

/// Length of the letters of a zone that is not known, or could be several, before one of Cisco's messages.
fn unknown_zone(rest: &str) -> usize {
    let letters = rest.bytes().skip(1).take_while(u8::is_ascii_uppercase).count();
    let is_zone = rest.starts_with(' ') && (2..=5).contains(&letters) && is_message(&rest[1 + letters..]);
    if is_zone { 1 + letters } else { 0 }
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
