//! CEF (ArcSight) and LEEF (QRadar): a head with bars, then pairs.
//!
//! A head of syslog before it may have been read by a step of its own; one that was not is read here, for its host and, where
//! the event says none, its time. Fields of CEF that are free to use have their name in another field: `cs1=1.2 cs1Label=Version`.
//! The time is that of `rt`, when the device had the event, else of `end`; in LEEF that of `devTime`, in the form of
//! `devTimeFormat`. A head that is cut short ends where the pairs begin.

use std::borrow::Cow;
use std::collections::HashMap;

use millrace_schemas::Value;

use super::{rfc3164, rfc5424};
use crate::parse::found::{Found, Stopped};
use crate::parse::time::{Clock, Layout, since, whole};

const CEF_HEAD: [&str; 7] = [
    "cefVersion",
    "deviceVendor",
    "deviceProduct",
    "deviceVersion",
    "deviceEventClassId",
    "name",
    "severity",
];
const LEEF_HEAD: [&str; 5] = ["leefVersion", "vendor", "product", "version", "eventId"];

/// `CEF:0|vendor|product|version|class|name|severity|key=value key=value`
pub(crate) fn cef<'t>(text: &'t str, clock: Clock<'_>) -> Result<Found<'t>, Stopped> {
    let start = memchr::memmem::find(text.as_bytes(), b"CEF:").ok_or(Stopped::new(0, "CEF:"))?;
    let mut found = Found::default();
    let mut at = head(text, start + 4, &CEF_HEAD, &mut found)?;
    if let Some(Value::String(level)) = found.fields.find("severity") {
        found.severity = cef_severity(level);
    }
    at += text[at..].len() - text[at..].trim_start().len();
    let rest = &text[at..];
    let mut keys = keys(rest).peekable();
    if !rest.is_empty() && keys.peek().is_none_or(|(start, _)| *start != 0) {
        return Err(Stopped::new(at, "key=value"));
    }
    while let Some((start, len)) = keys.next() {
        let end = keys.peek().map_or(rest.len(), |(next, _)| *next);
        let value = unguard(rest[start + len + 1..end].trim_end(), &['=', '|']);
        let key = &rest[start..start + len];
        if key == "msg" && !value.is_empty() {
            found.message = Some(value.clone());
        }
        if matches!(key, "suser" | "duser") && found.user.is_none() && !value.is_empty() {
            found.user = Some(value.clone());
        }
        if key == "rt" || key == "end" && found.time.is_none() {
            found.time = time(&value, clock).or(found.time);
        }
        if !value.is_empty() {
            found.fields.push(key, Value::String(value));
        }
    }
    Ok(behind(&text[..start], found, clock))
}

/// Adds what a head of syslog says that the event does not.
fn behind<'t>(before: &'t str, mut found: Found<'t>, clock: Clock<'_>) -> Found<'t> {
    let before = before.trim_ascii_start();
    if before.is_empty() {
        return found;
    }
    let head = rfc5424::parse(before).ok().or_else(|| rfc5424::lenient(before, clock));
    let Some(head) = head.or_else(|| rfc3164::parse(before, clock).ok()) else { return found };
    found.behind(head);
    found
}

/// Written out, or in ms; no number that is too small for one.
fn time(value: &str, clock: Clock<'_>) -> Option<i64> {
    whole(value, clock).filter(|micros| since(*micros))
}

/// Words before a bare `=`: where each begins and how long it is.
fn keys(rest: &str) -> impl Iterator<Item = (usize, usize)> {
    memchr::memchr_iter(b'=', rest.as_bytes()).filter_map(|at| {
        let is_key =
            |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'-' | b'[' | b']');
        let before = &rest.as_bytes()[..at];
        let len = before.iter().rev().take_while(|byte| is_key(byte)).count();
        let apart = matches!(before[..at - len].last(), None | Some(b' ' | b'\t'));
        (len > 0 && apart).then_some((at - len, len))
    })
}

/// Bars and backslashes are guarded by a backslash. Ends behind the last bar, or before pairs that stand where a part should.
fn head<'t>(
    text: &'t str,
    mut at: usize,
    names: &[&'static str],
    found: &mut Found<'t>,
) -> Result<usize, Stopped> {
    for (number, name) in names.iter().enumerate() {
        let rest = &text[at..];
        let mut end = 0;
        loop {
            match memchr::memchr2(b'|', b'\\', &rest.as_bytes()[end..]) {
                None if number > 1 && begins_pairs(rest) => return Ok(at),
                Some(len) if rest.as_bytes()[end + len] == b'|' => break end += len,
                Some(len) => end = (end + len + 2).min(rest.len()),
                // The last part may end the line, if it is there.
                None if number + 1 == names.len() && !rest.trim().is_empty() => break end = rest.len(),
                None => return Err(Stopped::new(text.len(), "a bar after a part of the head")),
            }
            end = rest.ceil_char_boundary(end);
        }
        let value = unguard(rest[..end].trim(), &['|']);
        if !value.is_empty() {
            found.fields.push(*name, Value::String(value));
        }
        at = (at + end + 1).min(text.len());
    }
    Ok(at)
}

/// Whether a text begins with `key=`.
fn begins_pairs(rest: &str) -> bool {
    let is_key = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    let len = rest.trim_ascii_start().bytes().position(|byte| !is_key(byte)).unwrap_or(0);
    len > 0 && rest.trim_ascii_start().as_bytes()[len] == b'='
}

/// Gives fields the names that their labels say: `cs1=1.2 cs1Label=Version` is `Version=1.2`.
pub(crate) fn named_by_labels(mut found: Found<'_>) -> Found<'_> {
    let mut places = HashMap::new();
    for (at, (name, _)) in found.fields.0.iter().enumerate() {
        places.entry(name.clone()).or_insert(at);
    }
    let mut spent = vec![false; found.fields.0.len()];
    for at in 0..spent.len() {
        let (name, label) = &found.fields.0[at];
        let named =
            name.strip_suffix("Label").and_then(|key| places.remove(key)).filter(|named| !spent[*named]);
        if let (Some(named), Value::String(label)) = (named, label) {
            found.fields.0[named].0 = label.clone();
            spent[at] = true;
        }
    }
    let mut spent = spent.into_iter();
    found.fields.0.retain(|_| spent.next() != Some(true));
    found
}

fn unguard<'t>(text: &'t str, guarded: &[char]) -> Cow<'t, str> {
    if !text.contains('\\') {
        return Cow::Borrowed(text);
    }
    let mut plain = String::with_capacity(text.len());
    let mut rest = text.chars();
    while let Some(own) = rest.next() {
        let mut ahead = rest.clone();
        match (own, ahead.next()) {
            ('\\', Some(next)) if next == '\\' || guarded.contains(&next) => plain.push(next),
            ('\\', Some('n')) => plain.push('\n'),
            ('\\', Some('r')) => plain.push('\r'),
            _ => {
                plain.push(own);
                continue;
            }
        }
        rest = ahead;
    }
    Cow::Owned(plain)
}

/// 0 to 10, or the word that the device has for it.
fn cef_severity(level: &str) -> Option<Cow<'static, str>> {
    if let Ok(number) = level.parse::<f64>() {
        let name = match number {
            0.0..4.0 => "low",
            4.0..7.0 => "medium",
            7.0..9.0 => "high",
            9.0..=10.0 => "very-high",
            _ => return None,
        };
        return Some(Cow::Borrowed(name));
    }
    const LONGEST: usize = 32;
    let is_word = level.len() <= LONGEST
        && level.starts_with(|own: char| own.is_ascii_alphabetic())
        && level.bytes().all(|byte| byte.is_ascii_alphabetic() || matches!(byte, b' ' | b'-' | b'_'));
    is_word.then(|| Cow::Owned(level.to_ascii_lowercase().replace([' ', '_'], "-")))
}

/// `LEEF:1.0|vendor|product|version|event|key=value<TAB>key=value`; 2.0 may name another separator after the event.
pub(crate) fn leef<'t>(text: &'t str, clock: Clock<'_>) -> Result<Found<'t>, Stopped> {
    let start = memchr::memmem::find(text.as_bytes(), b"LEEF:").ok_or(Stopped::new(0, "LEEF:"))?;
    let mut found = Found::default();
    let mut at = head(text, start + 5, &LEEF_HEAD, &mut found)?;
    let mut separator = '\t';
    if text[start + 5..].starts_with('2')
        && let Some((own, _)) =
            text[at..].split_once('|').filter(|(own, _)| own.len() <= 6 && !own.contains('='))
    {
        let code = own.strip_prefix("0x").or_else(|| own.strip_prefix('x'));
        let code = code.and_then(|hex| u32::from_str_radix(hex, 16).ok()).and_then(char::from_u32);
        separator = code.or_else(|| own.chars().next()).unwrap_or('\t');
        at += own.len() + 1;
    }
    for pair in text[at..].split(separator) {
        let here = at;
        at += pair.len() + separator.len_utf8();
        if pair.trim().is_empty() {
            continue;
        }
        let (key, value) = pair.split_once('=').ok_or(Stopped::new(here, "key=value"))?;
        let (key, value) = (key.trim(), value.trim());
        match key {
            _ if value.is_empty() => continue,
            "usrName" => found.user = Some(Cow::Borrowed(value)),
            "sev" => found.severity = cef_severity(value),
            _ => {}
        }
        found.fields.push(key, Value::String(Cow::Borrowed(value)));
    }
    let text_of = |name: &str| match found.fields.find(name) {
        Some(Value::String(value)) => Some(value.as_ref()),
        _ => None,
    };
    let layout = text_of("devTimeFormat").and_then(|form| Layout::read(form).ok());
    found.time = text_of("devTime").and_then(|value| match layout {
        Some(layout) => layout.micros(value, clock).or_else(|| time(value, clock)),
        None => time(value, clock),
    });
    Ok(behind(&text[..start], found, clock))
}
