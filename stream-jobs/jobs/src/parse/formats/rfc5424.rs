//! Syslog as RFC 5424 has it.
//!
//! `<PRI>VERSION time hostname appname procid msgid structured-data message`. A `-` is no value. Parameters of structured
//! data become fields `sd_id.param`; one that comes again is `sd_id.param.2` and so on. [`lenient`] reads what senders make of it.

use std::borrow::Cow;
use std::collections::HashMap;

use millrace_schemas::Value;

use super::syslog::pri;
use crate::parse::found::{Cursor, Found, Stopped};
use crate::parse::time::{Clock, Form, Zone, rfc3339};

/// Reads one line whose head is of this kind and not to the letter: without a priority, a time without zone or with ns, names
/// that are too long. Where structured data is none, the message begins.
pub(crate) fn lenient<'t>(text: &'t str, clock: Clock<'_>) -> Option<Found<'t>> {
    let mut at = Cursor::new(text);
    let mut found = Found::default();
    at.run(|byte| byte.is_ascii_whitespace());
    if at.peek() == Some(b'<') {
        pri(&mut at, &mut found)?;
    }
    let version = at.run(|byte| byte.is_ascii_digit());
    if !(1..=3).contains(&version.len()) || !at.skip(" ") {
        return None;
    }
    if !at.skip("- ") {
        let (micros, len) = rfc3339(at.rest().as_bytes(), Form::Lenient, clock.zone)?;
        found.time = Some(micros);
        at.at += len;
        at.skip(" ").then_some(())?;
    }
    for name in ["hostname", "appname", "procid", "msgid"] {
        let value = at.run_any(|byte| byte != b' ');
        (!value.is_empty() && at.skip(" ")).then_some(())?;
        found.text(name, value);
    }
    let (start, n_fields) = (at, found.fields.0.len());
    if !at.skip("-") && structured_data(&mut at, &mut found).is_err() {
        at = start;
        found.fields.0.truncate(n_fields);
    }
    at.skip(" ");
    let rest = at.rest();
    found.message = Some(Cow::Borrowed(rest.strip_prefix('\u{feff}').unwrap_or(rest)));
    Some(found)
}

/// Reads one line.
pub(crate) fn parse(text: &str) -> Result<Found<'_>, Stopped> {
    let mut at = Cursor::new(text);
    let mut found = Found::default();
    pri(&mut at, &mut found).ok_or(Stopped::new(0, "<PRI> from <0> to <191>"))?;
    let version = at.run(|byte| byte.is_ascii_digit());
    if !(1..=3).contains(&version.len()) || version.starts_with('0') {
        return Err(at.stop("a version"));
    }
    at.expect(" ", "a blank after the version")?;

    if !at.skip("-") {
        let (micros, len) =
            rfc3339(at.rest().as_bytes(), Form::Strict, &Zone::UTC).ok_or(at.stop("a time or -"))?;
        found.time = Some(micros);
        at.at += len;
    }
    for (name, max, expected) in [
        ("hostname", 255, "a host name of at most 255 printable characters or -"),
        ("appname", 48, "an app name of at most 48 printable characters or -"),
        ("procid", 128, "a process id of at most 128 printable characters or -"),
        ("msgid", 32, "a message id of at most 32 printable characters or -"),
    ] {
        at.expect(" ", expected)?;
        let value = at.run(|byte| byte.is_ascii_graphic());
        if !(1..=max).contains(&value.len()) {
            return Err(at.stop(expected));
        }
        found.text(name, value);
    }
    at.expect(" ", "structured data or -")?;
    if !at.skip("-") {
        structured_data(&mut at, &mut found)?;
    }
    let message = match at.peek() {
        None => "",
        Some(_) => {
            at.expect(" ", "a blank before the message, or the end")?;
            let rest = at.rest();
            rest.strip_prefix('\u{feff}').unwrap_or(rest)
        }
    };
    found.message = Some(Cow::Borrowed(message));
    Ok(found)
}

/// `[id name="value" …][…]`
fn structured_data<'t>(at: &mut Cursor<'t>, found: &mut Found<'t>) -> Result<(), Stopped> {
    if at.peek() != Some(b'[') {
        return Err(at.stop("structured data or -"));
    }
    // How often each full name came so far. Only looked up: its order decides nothing.
    let mut seen: HashMap<String, usize> = HashMap::new();
    while at.skip("[") {
        let id = name(at, "the id of a structured data element")?;
        while at.skip(" ") {
            let param = name(at, "the name of a parameter")?;
            at.expect("=\"", "=\" after the name of a parameter")?;
            let value = value(at)?;
            let full = unused(format!("{id}.{param}"), &mut seen);
            found.fields.push(full, Value::String(value));
        }
        at.expect("]", "] after a structured data element")?;
    }
    Ok(())
}

/// `full`, or with a number behind it where it was used before.
fn unused(full: String, seen: &mut HashMap<String, usize>) -> String {
    let mut number = seen.get(&full).copied().unwrap_or(0);
    let mut name = full.clone();
    while seen.contains_key(&name) {
        number += 1;
        name = format!("{full}.{number}");
    }
    seen.insert(full, number.max(1));
    seen.entry(name.clone()).or_insert(1);
    name
}

/// 1 to 32 printable characters without blank, `=`, `]` and `"`.
fn name<'t>(at: &mut Cursor<'t>, expected: &'static str) -> Result<&'t str, Stopped> {
    let name = at.run(|byte| byte.is_ascii_graphic() && !matches!(byte, b'=' | b']' | b'"'));
    if (1..=32).contains(&name.len()) { Ok(name) } else { Err(at.stop(expected)) }
}

/// Up to the closing quote; `\"`, `\\` and `\]` are escapes, a bare `]` is not allowed.
fn value<'t>(at: &mut Cursor<'t>) -> Result<Cow<'t, str>, Stopped> {
    let rest = at.rest();
    let mut plain: Option<String> = None;
    let mut from = 0;
    loop {
        let Some(len) = memchr::memchr3(b'"', b'\\', b']', &rest.as_bytes()[from..]) else {
            at.at = at.text.len();
            return Err(at.stop("a closing quote"));
        };
        let end = from + len;
        match (rest.as_bytes()[end], rest.as_bytes().get(end + 1)) {
            (b'"', _) => {
                at.at += end + 1;
                return Ok(match plain {
                    Some(plain) => Cow::Owned(plain + &rest[from..end]),
                    None => Cow::Borrowed(&rest[..end]),
                });
            }
            (b'\\', Some(b'"' | b'\\' | b']')) => {
                let plain = plain.get_or_insert_default();
                plain.push_str(&rest[from..end]);
                plain.push_str(&rest[end + 1..end + 2]);
                from = end + 2;
            }
            (b'\\', _) => {
                // Not an escape: the backslash stands for itself (RFC 5424 6.3.3).
                plain.get_or_insert_default().push_str(&rest[from..end + 1]);
                from = end + 1;
            }
            _ => {
                at.at += end;
                return Err(at.stop("\\] for ] in a value"));
            }
        }
    }
}
