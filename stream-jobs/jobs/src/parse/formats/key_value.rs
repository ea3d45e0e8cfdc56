//! `key=value` pairs, logfmt among them.
//!
//! Blanks before the sign belong to it, and then so do those behind it: `key = value`. Without any before it, `key= ` is empty.
//! A value or a key in double quotes may hold anything; `\"` and `\\` stand for themselves there, and in logfmt, whose quoted
//! values are written as JSON's strings, `\n` and its like are what they are there. So may a value in single quotes, which has no
//! escapes, if they stand around all of it. A key alone is true. A key that comes again makes an array, as
//! JSON text.

use std::borrow::Cow;

use millrace_schemas::Value;

use super::gather::Gather;
use super::syslog::pri;
use crate::parse::found::{Cursor, Found, Stopped};
use crate::parse::roles::lift_of_program;
use crate::parse::time::Clock;

/// What stands between what.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct KeyValue {
    /// Between key and value.
    pub(crate) pair: String,
    /// Between pairs. A blank stands for any number of them.
    pub(crate) field: String,
    /// Whether a key may stand alone.
    pub(crate) alone: bool,
    /// Whether a value in double quotes has the escapes of JSON.
    pub(crate) escapes: bool,
}

impl KeyValue {
    pub(crate) fn logfmt() -> KeyValue {
        KeyValue { pair: "=".into(), field: " ".into(), alone: true, escapes: true }
    }

    /// Logfmt: at least one key has a value, so that plain words are not taken for it. `<PRI>` before all is syslog's.
    pub(crate) fn read_logfmt<'t>(text: &'t str, clock: Clock<'_>) -> Result<Found<'t>, Stopped> {
        let mut head = Found::default();
        let mut at = Cursor::new(text);
        pri(&mut at, &mut head);
        let behind = |stopped: Stopped| Stopped { at: stopped.at + at.at, ..stopped };
        let mut found = KeyValue::logfmt().read(at.rest()).map_err(behind)?;
        if !found.fields.0.iter().any(|(_, value)| *value != Value::Boolean(true)) {
            return Err(Stopped::new(at.at, "key=value"));
        }
        lift_of_program(&mut found, clock);
        found.behind(head);
        Ok(found)
    }

    pub(crate) fn read<'t>(&self, text: &'t str) -> Result<Found<'t>, Stopped> {
        let mut found = Gather::default();
        let mut at = 0;
        let mut pairs = 0;
        while let Some(start) = self.next_start(text, at) {
            let (key, end, quoted) = self.key(text, start)?;
            if key.is_empty() {
                return Err(Stopped::new(start, "a key"));
            }
            let after = if self.pair.starts_with(' ') { end } else { next_word(text, end) };
            let rest = &text[after..];
            // A key in front of the sign; where there is none before it, the sign is a part of it.
            let value = rest.strip_prefix(self.pair.as_str()).filter(|_| end > start || quoted);
            match value {
                Some(rest) => {
                    let from = text.len() - rest.len();
                    let apart = after > end && rest.starts_with(' ');
                    let from = if apart { next_word(text, from) } else { self.blanks(text, from) };
                    let (value, end) = self.value(text, from)?;
                    found.add(key, Value::String(value));
                    at = end;
                    pairs += 1;
                }
                None if !self.alone => return Err(Stopped::new(after, "the sign between key and value")),
                None => {
                    found.add(key, Value::Boolean(true));
                    at = end;
                }
            }
        }
        let fields = found.finish();
        if pairs == 0 && !self.alone || fields.0.is_empty() {
            return Err(Stopped::new(0, "a key and a value"));
        }
        Ok(Found { fields, ..Found::default() })
    }

    /// Where the next pair begins.
    fn next_start(&self, text: &str, at: usize) -> Option<usize> {
        let mut at = at;
        loop {
            let rest = &text[at..];
            let blank = rest.len() - rest.trim_start_matches([' ', '\t']).len();
            if blank > 0 && (self.is_blank() || self.field != "\t") {
                at += blank;
            } else if !self.is_blank() && rest.starts_with(self.field.as_str()) {
                at += self.field.len();
            } else {
                return (!rest.is_empty()).then_some(at);
            }
        }
    }

    fn is_blank(&self) -> bool {
        self.field == " "
    }

    /// Blanks around signs are left out unless they are what separates pairs.
    fn blanks(&self, text: &str, at: usize) -> usize {
        if self.is_blank() || self.field == "\t" {
            return at;
        }
        next_word(text, at)
    }

    fn key<'t>(&self, text: &'t str, start: usize) -> Result<(Cow<'t, str>, usize, bool), Stopped> {
        if let Some((key, end)) = quoted(text, start) {
            return Ok((key, end, true));
        }
        let rest = &text[start..];
        let field = rest.find(self.field.as_str()).unwrap_or(rest.len());
        // The sign is looked for in this pair alone, not in all that follows; its end may lie in what ends the pair.
        let own = &rest[..rest.ceil_char_boundary(field + self.pair.len() - 1)];
        let pair = own.find(self.pair.as_str()).filter(|at| *at > 0).unwrap_or(field);
        let len = pair.min(field);
        Ok((Cow::Borrowed(rest[..len].trim_end()), start + len, false))
    }

    fn value<'t>(&self, text: &'t str, start: usize) -> Result<(Cow<'t, str>, usize), Stopped> {
        if let Some((value, end)) = quoted(text, start).or_else(|| single_quoted(text, start)) {
            let rest = &text[end..];
            let trimmed = if self.is_blank() { rest } else { rest.trim_start_matches(' ') };
            if trimmed.is_empty()
                || trimmed.starts_with(self.field.as_str())
                || rest.starts_with(self.field.as_str())
            {
                let own = &text[start..end];
                let json = self.escapes && own.starts_with('"') && own.contains('\\');
                let read = json.then(|| serde_json::from_str(own).ok()).flatten();
                return Ok((read.map_or(value, Cow::Owned), end));
            }
        }
        let rest = &text[start..];
        let len = rest.find(self.field.as_str()).unwrap_or(rest.len());
        let own = if self.is_blank() { &rest[..len] } else { rest[..len].trim_end() };
        Ok((Cow::Borrowed(own), start + len))
    }
}

fn next_word(text: &str, at: usize) -> usize {
    at + text[at..].len() - text[at..].trim_start_matches(' ').len()
}

/// What stands in double quotes at `start`, and where it ends.
fn quoted(text: &str, start: usize) -> Option<(Cow<'_, str>, usize)> {
    let rest = text[start..].strip_prefix('"')?;
    let mut plain: Option<String> = None;
    let mut from = 0;
    loop {
        let end = from + memchr::memchr2(b'"', b'\\', &rest.as_bytes()[from..])?;
        let before = &rest[from..end];
        if rest.as_bytes()[end] == b'"' {
            let value = match plain {
                Some(plain) => Cow::Owned(plain + before),
                None => Cow::Borrowed(&rest[..end]),
            };
            return Some((value, start + 1 + end + 1));
        }
        let guarded = matches!(rest.as_bytes().get(end + 1), Some(b'"' | b'\\'));
        let plain = plain.get_or_insert_default();
        plain.push_str(if plain.is_empty() { &rest[..end] } else { before });
        let own = if guarded { end + 1 } else { end };
        plain.push_str(&rest[own..own + 1]);
        from = own + 1;
    }
}

/// What stands in single quotes at `start`, and where it ends.
fn single_quoted(text: &str, start: usize) -> Option<(Cow<'_, str>, usize)> {
    let rest = text[start..].strip_prefix('\'')?;
    let len = rest.find('\'')?;
    Some((Cow::Borrowed(&rest[..len]), start + len + 2))
}
