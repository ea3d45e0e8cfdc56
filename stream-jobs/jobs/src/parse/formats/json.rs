//! One JSON object a line.
//!
//! Nested objects become fields with dots in their names, arrays become their JSON text, whole numbers are longs, others
//! doubles; null is no field. Of a name that comes twice the last value counts (flag `duplicate_key`). Time, message,
//! severity and user are taken from the first of their usual keys that has a usable value; it is no field then. `<PRI>` before
//! the object is syslog's.

use std::borrow::Cow;
use std::collections::HashMap;
use std::fmt;

use millrace_schemas::{Fields, Value};
use serde::de::{
    self, DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor, value::SeqAccessDeserializer,
};
use serde_json::Value as Json;

use super::syslog::pri;
use crate::parse::found::{Cursor, Found, Stopped};
use crate::parse::roles::lift_of_program;
use crate::parse::time::Clock;

/// Objects nested deeper, and names longer than this, stay JSON text: names repeat for every leaf below them.
const MAX_DEPTH: usize = 16;
const MAX_NAME: usize = 512;

/// Bytes that names and values may take beyond the length of the line (I10); the rest is left to the body, flag
/// `fields_cut`.
const SLACK: usize = 64 << 10;
const FIELD_OVERHEAD: usize = 16;

/// Reads one line.
pub(crate) fn parse<'t>(text: &'t str, clock: Clock<'_>) -> Result<Found<'t>, Stopped> {
    let (mut head, mut at) = (Found::default(), Cursor::new(text));
    if !at.skip("\u{feff}") {
        pri(&mut at, &mut head);
    }
    let mut found = fields(at.rest()).map_err(|stopped| Stopped { at: stopped.at + at.at, ..stopped })?;
    lift_of_program(&mut found, clock);
    found.behind(head);
    Ok(found)
}

/// Same, with time, message, severity and user left among the fields.
pub(super) fn fields(text: &str) -> Result<Found<'_>, Stopped> {
    let start = text.bytes().position(|byte| !byte.is_ascii_whitespace()).unwrap_or(text.len());
    if text.as_bytes().get(start) != Some(&b'{') {
        return Err(Stopped::new(start, "a JSON object"));
    }
    let mut flat = Flat { fields: Fields(Vec::with_capacity(12)), room: text.len() + SLACK, cut: false };
    let mut json = serde_json::Deserializer::from_str(text);
    let object = Object { flat: &mut flat, prefix: "", depth: 0 };
    let read = (&mut json).deserialize_map(object).and_then(|()| json.end());
    read.map_err(|error| stopped(text, &error))?;

    let mut found = Found::default();
    if flat.cut {
        found.flags.push("fields_cut");
    }
    if drop_repeated(&mut flat.fields.0) {
        found.flags.push("duplicate_key");
    }
    found.fields = flat.fields;
    Ok(found)
}

fn stopped(text: &str, error: &serde_json::Error) -> Stopped {
    let before: usize = text.split_inclusive('\n').take(error.line().saturating_sub(1)).map(str::len).sum();
    let message = error.to_string();
    let reason = message.split(" at line ").next().unwrap_or_default();
    Stopped {
        at: before + error.column().saturating_sub(1),
        expected: format!("valid JSON ({reason})").into(),
        complex: false,
    }
}

/// Fields in the making.
struct Flat<'t> {
    fields: Fields<'t>,
    room: usize,
    cut: bool,
}

impl<'t> Flat<'t> {
    fn push(&mut self, name: Cow<'t, str>, value: Value<'t>) {
        let len = if let Value::String(text) = &value { text.len() } else { 0 };
        match self.room.checked_sub(name.len() + len + FIELD_OVERHEAD) {
            Some(room) => {
                self.room = room;
                self.fields.push(name, value);
            }
            None => self.cut = true,
        }
    }
}

/// An object whose fields are named below `prefix`.
struct Object<'f, 'p, 't> {
    flat: &'f mut Flat<'t>,
    prefix: &'p str,
    depth: usize,
}

impl<'t> Visitor<'t> for Object<'_, '_, 't> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'t>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(key) = map.next_key_seed(Key)? {
            let name = if self.depth == 0 { key } else { Cow::Owned(format!("{}.{key}", self.prefix)) };
            map.next_value_seed(Member { flat: self.flat, name, depth: self.depth })?;
        }
        Ok(())
    }
}

/// A name, borrowed where it has no escapes.
struct Key;

impl<'t> DeserializeSeed<'t> for Key {
    type Value = Cow<'t, str>;
    fn deserialize<D: Deserializer<'t>>(self, json: D) -> Result<Cow<'t, str>, D::Error> {
        json.deserialize_str(self)
    }
}

impl<'t> Visitor<'t> for Key {
    type Value = Cow<'t, str>;
    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a name")
    }
    fn visit_borrowed_str<E>(self, name: &'t str) -> Result<Cow<'t, str>, E> {
        Ok(Cow::Borrowed(name))
    }
    fn visit_str<E>(self, name: &str) -> Result<Cow<'t, str>, E> {
        Ok(Cow::Owned(name.to_owned()))
    }
}

/// The value of a name.
struct Member<'f, 't> {
    flat: &'f mut Flat<'t>,
    name: Cow<'t, str>,
    depth: usize,
}

impl<'t> DeserializeSeed<'t> for Member<'_, 't> {
    type Value = ();
    fn deserialize<D: Deserializer<'t>>(self, json: D) -> Result<(), D::Error> {
        json.deserialize_any(self)
    }
}

impl<'t> Member<'_, 't> {
    fn push(self, value: Value<'t>) {
        self.flat.push(self.name, value);
    }
}

impl<'t> Visitor<'t> for Member<'_, 't> {
    type Value = ();
    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }
    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }
    fn visit_bool<E>(self, truth: bool) -> Result<(), E> {
        self.push(Value::Boolean(truth));
        Ok(())
    }
    fn visit_i64<E>(self, number: i64) -> Result<(), E> {
        self.push(Value::Long(number));
        Ok(())
    }
    fn visit_u64<E>(self, number: u64) -> Result<(), E> {
        self.push(i64::try_from(number).map_or(Value::Double(number as f64), Value::Long));
        Ok(())
    }
    fn visit_f64<E>(self, number: f64) -> Result<(), E> {
        self.push(Value::Double(number));
        Ok(())
    }
    fn visit_borrowed_str<E>(self, text: &'t str) -> Result<(), E> {
        self.push(Value::String(Cow::Borrowed(text)));
        Ok(())
    }
    fn visit_str<E>(self, text: &str) -> Result<(), E> {
        self.push(Value::String(Cow::Owned(text.to_owned())));
        Ok(())
    }
    fn visit_seq<A: SeqAccess<'t>>(self, items: A) -> Result<(), A::Error> {
        let items: Json = de::Deserialize::deserialize(SeqAccessDeserializer::new(items))?;
        self.push(Value::String(Cow::Owned(items.to_string())));
        Ok(())
    }
    fn visit_map<A: MapAccess<'t>>(self, map: A) -> Result<(), A::Error> {
        let depth = self.depth + 1;
        if depth >= MAX_DEPTH || self.name.len() > MAX_NAME {
            let object: Json = de::Deserialize::deserialize(de::value::MapAccessDeserializer::new(map))?;
            self.push(Value::String(Cow::Owned(object.to_string())));
            return Ok(());
        }
        Object { flat: self.flat, prefix: &self.name, depth }.visit_map(map)
    }
}

/// Keeps the last value of each name, where the name stood first. Says whether there was a repetition.
fn drop_repeated(fields: &mut Vec<(Cow<'_, str>, Value<'_>)>) -> bool {
    const FEW: usize = 24;
    let repeated = if fields.len() <= FEW {
        fields
            .iter()
            .enumerate()
            .any(|(at, (name, _))| fields[..at].iter().any(|(earlier, _)| earlier == name))
    } else {
        let mut seen = std::collections::HashSet::with_capacity(fields.len());
        !fields.iter().all(|(name, _)| seen.insert(name.as_ref()))
    };
    if repeated {
        let mut places: HashMap<Cow<'_, str>, usize> = HashMap::new();
        for (name, value) in std::mem::take(fields) {
            match places.get(&name) {
                Some(&at) => fields[at].1 = value,
                None => {
                    places.insert(name.clone(), fields.len());
                    fields.push((name, value));
                }
            }
        }
    }
    repeated
}
