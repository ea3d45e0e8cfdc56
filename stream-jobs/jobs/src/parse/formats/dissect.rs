//! Dissect, as Logstash and Beats have it: fields between texts, without patterns.
//!
//! `%{a}` field · `%{}`, `%{?a}` passed over · `%{a->}` takes what follows it several times · `%{+a}` added to `a`, `%{+a/2}`
//! in that order · `%{*a}` or `%{?a}` with `%{&a}`: the one's value names the other's, `%{*a}` or `%{&a}` alone is a field ·
//! `%{a|long}` with a type · `%{[a][b]}` is `a.b`. What stands behind the last text is passed over.

use std::borrow::Cow;

use millrace_schemas::Value;

use crate::grok::dotted;
use crate::parse::found::{Found, Stopped};
use crate::parse::source::Cast;

#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Dissect {
    /// Text before the first key.
    prefix: String,
    keys: Vec<Key>,
    /// Between parts that are put together.
    joint: String,
}

#[derive(Debug, Clone, PartialEq)]
struct Key {
    name: String,
    kind: Kind,
    /// What its value is read as.
    read: Cast,
    /// What follows may come several times.
    padded: bool,
    /// Text behind it; empty: it takes the rest.
    delimiter: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Field,
    Skip,
    Append(usize),
    Name,
    Value,
}

impl Dissect {
    /// Reads a pattern.
    ///
    /// # Errors
    /// What is wrong in it.
    pub(crate) fn new(pattern: &str, joint: &str) -> Result<Dissect, String> {
        let mut pieces = pattern.split("%{");
        let prefix = pieces.next().unwrap_or_default().to_owned();
        let mut keys = Vec::new();
        for piece in pieces {
            let (key, delimiter) = piece.split_once('}').ok_or("a %{ has no }")?;
            let (key, read) = match key.split_once('|') {
                Some((key, name)) => (key, Cast::named(name).ok_or(format!("{name} is no type"))?),
                None => (key, Cast::Text),
            };
            let (key, padded) = key.strip_suffix("->").map_or((key, false), |key| (key, true));
            let (kind, name) = match key.chars().next() {
                None => (Kind::Skip, ""),
                Some('?') => (Kind::Skip, &key[1..]),
                Some('*') => (Kind::Name, &key[1..]),
                Some('&') => (Kind::Value, &key[1..]),
                Some('+') => {
                    let (name, order) = key[1..].split_once('/').unwrap_or((&key[1..], ""));
                    (Kind::Append(order.parse().unwrap_or(usize::MAX)), name)
                }
                Some(_) => (Kind::Field, key),
            };
            if name.is_empty() && kind != Kind::Skip {
                return Err("a key without a name".into());
            }
            keys.push(Key { name: dotted(name), kind, read, padded, delimiter: delimiter.to_owned() });
        }
        // A name that is passed over is one where another key's value waits for it.
        for at in 0..keys.len() {
            let waits = keys.iter().any(|key| key.kind == Kind::Value && key.name == keys[at].name);
            if keys[at].kind == Kind::Skip && waits {
                keys[at].kind = Kind::Name;
            }
        }
        // One of the two without the other is a field.
        for at in 0..keys.len() {
            let other = match keys[at].kind {
                Kind::Name => Kind::Value,
                Kind::Value => Kind::Name,
                _ => continue,
            };
            if !keys.iter().any(|key| key.kind == other && key.name == keys[at].name) {
                keys[at].kind = Kind::Field;
            }
        }
        let touching = keys.iter().rev().skip(1).any(|key| key.delimiter.is_empty());
        match (keys.is_empty(), touching) {
            (true, _) => Err("there is no key in it".into()),
            (_, true) => Err("between two keys there must be a text".into()),
            _ => Ok(Dissect { prefix, keys, joint: joint.to_owned() }),
        }
    }

    pub(crate) fn read<'t>(&'t self, text: &'t str) -> Result<Found<'t>, Stopped> {
        let mut found = Found::default();
        if !text.starts_with(self.prefix.as_str()) {
            return Err(Stopped { expected: format!("{:?}", self.prefix).into(), ..Stopped::new(0, "") });
        }
        let mut at = self.prefix.len();
        let mut values: Vec<(&Key, &'t str)> = Vec::with_capacity(self.keys.len());
        for key in &self.keys {
            let rest = &text[at..];
            let len = match key.delimiter.as_str() {
                "" => rest.len(),
                delimiter => rest.find(delimiter).ok_or_else(|| Stopped {
                    expected: format!("{delimiter:?} after {:?}", key.name).into(),
                    ..Stopped::new(at, "")
                })?,
            };
            values.push((key, &rest[..len]));
            at += len + key.delimiter.len();
            while key.padded && !key.delimiter.is_empty() && text[at..].starts_with(key.delimiter.as_str()) {
                at += key.delimiter.len();
            }
        }
        self.put(&values, &mut found);
        Ok(found)
    }

    fn put<'t>(&'t self, values: &[(&'t Key, &'t str)], found: &mut Found<'t>) {
        let borrowed = |value: &'t str| Value::String(Cow::Borrowed(value));
        for (at, (key, value)) in values.iter().enumerate() {
            match key.kind {
                Kind::Skip | Kind::Value => {}
                Kind::Name => {
                    let other =
                        values.iter().find(|(other, _)| other.kind == Kind::Value && other.name == key.name);
                    if let Some((_, other)) = other.filter(|_| !value.is_empty()) {
                        found.fields.push(*value, borrowed(other));
                    }
                }
                Kind::Field | Kind::Append(_) => {
                    let same = |other: &&(&Key, &str)| {
                        other.0.name == key.name && matches!(other.0.kind, Kind::Field | Kind::Append(_))
                    };
                    if values[..at].iter().any(|other| same(&other)) {
                        continue;
                    }
                    let mut parts: Vec<_> = values.iter().filter(same).collect();
                    if parts.len() == 1 {
                        if !value.is_empty() {
                            let own = key.read.apply(&borrowed(value)).unwrap_or(borrowed(value));
                            found.fields.push(key.name.as_str(), own);
                        }
                        continue;
                    }
                    parts.sort_by_key(|(key, _)| match key.kind {
                        Kind::Append(order) => order,
                        _ => 0,
                    });
                    let joined = parts.iter().map(|(_, value)| *value).collect::<Vec<_>>().join(&self.joint);
                    found.fields.push(key.name.as_str(), Value::String(Cow::Owned(joined)));
                }
            }
        }
    }
}
