//! A line on its way through the steps.

use std::borrow::Cow;
use std::collections::BTreeMap;

use millrace_schemas::{Fields, Value};

use super::cast::Cast;
use super::reader::Reader;
use crate::parse::found::{Found, Places, Stopped};
use crate::parse::time::Clock;

/// Where a value goes that does not have the type of its field.
const SIDE: &str = "_text";

/// What was found so far.
#[derive(Debug, Clone)]
pub(super) struct Line<'t> {
    /// The message, until a step finds another.
    whole: &'t str,
    pub(super) found: Found<'t>,
}

impl<'t> Line<'t> {
    pub(super) fn new(whole: &'t str) -> Line<'t> {
        Line { whole, found: Found::default() }
    }

    pub(super) fn message(&self) -> &str {
        self.found.message.as_deref().unwrap_or(self.whole)
    }

    /// Reads the message, or a field. What is read from a text that was made on the way is copied.
    pub(super) fn read(
        &self,
        reader: &'t Reader,
        field: Option<&str>,
        clock: Clock<'_>,
    ) -> Result<Found<'t>, Stopped> {
        let text = match field {
            None => self.found.message.as_ref().unwrap_or(&Cow::Borrowed(self.whole)).clone(),
            Some(field) => self.text_of(field).ok_or_else(|| Stopped {
                expected: format!("a field {field}").into(),
                ..Stopped::new(0, "")
            })?,
        };
        match text {
            Cow::Borrowed(text) => reader.read(text, clock),
            Cow::Owned(text) => reader.read(&text, clock).map(owned),
        }
    }

    /// Adds what a step found; what it found before of the same name goes.
    pub(super) fn absorb(&mut self, other: Found<'t>, prefix: &str, is_message: bool) {
        self.found.time = other.time.or(self.found.time);
        self.found.severity = other.severity.or(self.found.severity.take());
        self.found.user = other.user.or(self.found.user.take());
        self.found.flags.extend(other.flags);
        if self.found.fields.0.is_empty() && prefix.is_empty() {
            self.found.fields = other.fields;
        } else {
            let mut places = Places::default();
            for (name, value) in other.fields.0 {
                let name = if prefix.is_empty() { name } else { Cow::Owned(format!("{prefix}{name}")) };
                match places.of(&name, &self.found.fields) {
                    Some(at) => self.found.fields.0[at].1 = value,
                    None => self.found.fields.push(name, value),
                }
            }
        }
        match other.message {
            Some(message) if is_message => self.found.message = Some(message),
            Some(message) => self.put(Cow::Owned(format!("{prefix}message")), Value::String(message)),
            None => {}
        }
    }

    pub(super) fn put(&mut self, name: Cow<'t, str>, value: Value<'t>) {
        match self.found.fields.0.iter_mut().find(|(own, _)| *own == name) {
            Some((_, own)) => *own = value,
            None => self.found.fields.push(name, value),
        }
    }

    pub(super) fn find(&self, name: &str) -> Option<&Value<'t>> {
        self.found.fields.find(name)
    }

    /// A field as text; `message`, `severity` and `user` are those that were found.
    pub(super) fn text_of(&self, name: &str) -> Option<Cow<'t, str>> {
        match (self.find(name), name) {
            (Some(value), _) => Some(as_text(value)),
            (None, "severity") => self.found.severity.clone(),
            (None, "user") => self.found.user.clone(),
            (None, "message") => Some(self.found.message.clone().unwrap_or(Cow::Borrowed(self.whole))),
            (None, _) => None,
        }
    }

    pub(super) fn take(&mut self, name: &str) -> Option<Value<'t>> {
        let at = self.found.fields.0.iter().position(|(own, _)| own == name)?;
        Some(self.found.fields.0.remove(at).1)
    }

    pub(super) fn take_text(&mut self, name: &str) -> Option<Cow<'t, str>> {
        self.take(name).map(|value| as_text(&value))
    }

    pub(super) fn rename(&mut self, from: &str, to: &'t str) {
        let Some(value) = self.take(from) else { return };
        match (to, &value) {
            ("message", _) => self.found.message = Some(as_text(&value)),
            ("severity", _) => self.found.severity = Some(as_text(&value)),
            ("user", _) => self.found.user = Some(as_text(&value)),
            _ => self.put(Cow::Borrowed(to), value),
        }
    }

    /// Gives a field another type, each time that it is there; a value that cannot have it goes to the side.
    pub(super) fn cast(&mut self, name: &str, cast: Cast) {
        for (own, value) in self.found.fields.0.iter_mut().filter(|(own, _)| own == name) {
            if cast.is_of(value) {
                continue;
            }
            match cast.apply(value) {
                Some(cast) => *value = cast,
                None => {
                    *own = Cow::Owned(format!("{own}{SIDE}"));
                    *value = Value::String(as_text(value));
                }
            }
        }
    }

    /// Holds fields to the types that the source gives them.
    pub(super) fn hold(&mut self, types: &BTreeMap<String, Cast>) {
        types.iter().for_each(|(name, cast)| self.cast(name, *cast));
    }

    /// Takes the sequences that colour a terminal out of the message.
    pub(super) fn strip_ansi(&mut self) {
        let message = self.message();
        if memchr::memchr(0x1b, message.as_bytes()).is_none() {
            return;
        }
        let mut plain = String::with_capacity(message.len());
        let mut rest = message;
        while let Some(at) = rest.find('\u{1b}') {
            plain.push_str(&rest[..at]);
            rest = &rest[at + 1..];
            let sequence = rest.strip_prefix('[').map(|inner| {
                let len = inner.bytes().take_while(|byte| (0x20..0x40).contains(byte)).count();
                inner.get(len + 1..).unwrap_or_default()
            });
            rest = sequence.unwrap_or_else(|| rest.get(1..).unwrap_or(rest));
        }
        plain.push_str(rest);
        self.found.message = Some(Cow::Owned(plain));
    }
}

pub(super) fn as_text<'t>(value: &Value<'t>) -> Cow<'t, str> {
    match value {
        Value::String(text) => text.clone(),
        Value::Long(number) => Cow::Owned(number.to_string()),
        Value::Double(number) => Cow::Owned(number.to_string()),
        Value::Boolean(truth) => Cow::Borrowed(if *truth { "true" } else { "false" }),
    }
}

fn owned<'t>(found: Found<'_>) -> Found<'t> {
    let text = |text: Cow<'_, str>| Cow::Owned(text.into_owned());
    let value = |value: Value<'_>| match value {
        Value::String(own) => Value::String(text(own)),
        Value::Long(number) => Value::Long(number),
        Value::Double(number) => Value::Double(number),
        Value::Boolean(truth) => Value::Boolean(truth),
    };
    Found {
        time: found.time,
        severity: found.severity.map(text),
        user: found.user.map(text),
        message: found.message.map(text),
        fields: Fields(found.fields.0.into_iter().map(|(name, own)| (text(name), value(own))).collect()),
        flags: found.flags,
    }
}
