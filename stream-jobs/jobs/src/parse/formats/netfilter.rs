//! What Linux's packet filter logs (iptables, nftables, UFW), behind a head of syslog: `[UFW BLOCK] IN=eth0 OUT= SRC=10.0.0.1 …`.
//!
//! Pairs are fields under the names that the line gives them, numbers as longs; a word alone (`SYN`) is true. The message is that of
//! syslog.

use millrace_schemas::Value;

use super::key_value::KeyValue;
use super::{rfc3164, rfc5424};
use crate::parse::found::{Found, Places, Stopped};
use crate::parse::time::Clock;

const NUMBERS: [&str; 10] = ["LEN", "TTL", "ID", "SPT", "DPT", "WINDOW", "UID", "GID", "TYPE", "CODE"];

/// Whether the message of a line of syslog is one of these.
pub(crate) fn is_like(message: &str) -> bool {
    pairs(message).is_some_and(|at| message[at..].contains(" SRC=") && message[at..].contains(" PROTO="))
}

/// Where the pairs begin.
fn pairs(text: &str) -> Option<usize> {
    if text.starts_with("IN=") { Some(0) } else { text.find(" IN=").map(|at| at + 1) }
}

/// Reads one line.
pub(crate) fn parse<'t>(text: &'t str, clock: Clock<'_>) -> Result<Found<'t>, Stopped> {
    let start = pairs(text).ok_or(Stopped::new(0, "IN="))?;
    let head = rfc5424::parse(text).ok().or_else(|| rfc5424::lenient(text, clock));
    let head = head.or_else(|| rfc3164::parse(text, clock).ok());
    let mut found = head.unwrap_or_default();
    let mut places = Places::default();
    for (name, value) in KeyValue::logfmt().read(&text[start..])?.fields.0 {
        let value = match value {
            Value::String(own) if own.is_empty() => continue,
            Value::String(own) if NUMBERS.contains(&name.as_ref()) => {
                own.parse().map_or(Value::String(own), Value::Long)
            }
            own => own,
        };
        if places.of(&name, &found.fields).is_none() {
            found.fields.push(name, value);
        }
    }
    Ok(found)
}
