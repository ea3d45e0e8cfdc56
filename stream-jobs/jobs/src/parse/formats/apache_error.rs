//! Apache's error log, of 2.2 and 2.4.
//!
//! `[time] [module:level] [pid 1:tid 2] [client address:port] message`; parts in brackets may be missing.

use std::borrow::Cow;

use millrace_schemas::Value;

use crate::parse::found::{Cursor, Found, Stopped};
use crate::parse::time::{Clock, since, whole};

/// Reads one line.
pub(crate) fn parse<'t>(text: &'t str, clock: Clock<'_>) -> Result<Found<'t>, Stopped> {
    let mut at = Cursor::new(text);
    let mut found = Found::default();
    at.expect("[", "[ before the time")?;
    let time = at.until(b']');
    let micros = whole(time, clock).filter(|micros| time.len() > 9 || since(*micros));
    found.time = Some(micros.ok_or(Stopped::new(1, "a time"))?);
    at.expect("]", "] after the time")?;
    for _ in 0..8 {
        at.run(|byte| byte == b' ');
        let start = at;
        if !at.skip("[") {
            break;
        }
        // An address of IPv6 has brackets of its own: `[client [::1]:80]`.
        let rest = at.rest();
        let own = rest.starts_with("client [") || rest.starts_with("remote [");
        let skipped = if own { memchr::memchr(b']', rest.as_bytes()).map_or(0, |len| len + 1) } else { 0 };
        at.at += skipped;
        let len = at.until(b']').len();
        let inner = &rest[..skipped + len];
        at.expect("]", "a closing ]")?;
        if !part(inner, &mut found) {
            at = start;
            break;
        }
    }
    found.message = Some(Cow::Borrowed(at.rest()));
    Ok(found)
}

/// Takes a part in brackets; false where it belongs to the message.
fn part<'t>(inner: &'t str, found: &mut Found<'t>) -> bool {
    if let Some(pid) = inner.strip_prefix("pid ") {
        let (pid, tid) = pid.split_once(":tid ").map_or((pid, None), |(pid, tid)| (pid, Some(tid)));
        for (name, value) in [("pid", Some(pid)), ("tid", tid)] {
            if let Some(number) = value.and_then(|value| value.parse().ok()) {
                found.fields.push(name, Value::Long(number));
            }
        }
        return true;
    }
    if let Some(client) = inner.strip_prefix("client ").or_else(|| inner.strip_prefix("remote ")) {
        let (address, port) = with_port(client);
        found.text("client", address);
        if let Some(port) = port {
            found.fields.push("port", Value::Long(port));
        }
        return true;
    }
    if found.severity.is_some() {
        return false;
    }
    let (module, level) =
        inner.split_once(':').map_or((None, inner), |(module, level)| (Some(module), level));
    let is_word =
        |word: &str| word.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-'));
    if !is_level(level) || !module.is_none_or(is_word) {
        return false;
    }
    if let Some(module) = module.filter(|module| !module.is_empty() && *module != "-") {
        found.text("module", module);
    }
    found.severity = Some(Cow::Owned(level.to_ascii_lowercase()));
    true
}

/// Whether a word is one of Apache's levels, in any case of letters.
fn is_level(word: &str) -> bool {
    const LEVELS: [&str; 9] = ["emerg", "alert", "crit", "error", "warn", "notice", "info", "debug", "trace"];
    let name = word.trim_end_matches(|own: char| own.is_ascii_digit());
    LEVELS.iter().any(|own| own.eq_ignore_ascii_case(name))
}

/// `192.0.2.1:80`, `2001:db8::1:80`, `[::1]:80`: the part behind the last colon is a port if what is before it is an address.
pub(crate) fn with_port(client: &str) -> (&str, Option<i64>) {
    match client.rsplit_once(':') {
        Some((address, port)) if !address.ends_with(':') && port.parse::<u16>().is_ok() => {
            let bare = address.trim_start_matches('[').trim_end_matches(']');
            let six = bare.contains(':');
            let own_groups = bare.split(':').count();
            // A short IPv6 address without port ends in a group like any other.
            if six
                && client.parse::<std::net::Ipv6Addr>().is_ok()
                && own_groups < 8
                && !address.starts_with('[')
            {
                return (client, None);
            }
            (bare, port.parse().ok())
        }
        _ => (client, None),
    }
}
