//! A parsed line.

use std::borrow::Cow;

use serde::{Deserialize, Serialize, de, ser::SerializeMap};

use crate::raw::{Attributes, Dedup, LineEnd, Piece, Position, RawEvent};

/// A parsed line: all of [`RawEvent`], then what the parser found. Borrows from the record it was decoded from.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Event<'a> {
    /// As in [`RawEvent`].
    pub tenant: &'a str,
    /// As in [`RawEvent`].
    pub stream: &'a str,
    /// As in [`RawEvent`].
    pub host: &'a str,
    /// As in [`RawEvent`].
    #[serde(borrow)]
    pub file: Option<&'a str>,
    /// As in [`RawEvent`].
    #[serde(borrow)]
    pub file_id: Option<&'a str>,
    /// As in [`RawEvent`].
    #[serde(borrow)]
    pub attributes: Attributes<'a>,
    /// As in [`RawEvent`].
    pub received: i64,
    /// As in [`RawEvent`].
    pub position: Option<Position>,
    /// As in [`RawEvent`].
    pub line_end: LineEnd,
    /// As in [`RawEvent`].
    pub piece: Option<Piece>,
    /// As in [`RawEvent`].
    #[serde(borrow)]
    pub dedup: Option<Dedup<'a>>,
    /// As in [`RawEvent`].
    #[serde(borrow, with = "serde_bytes")]
    pub body: &'a [u8],
    /// Event time, µs since the epoch, UTC.
    pub time: i64,
    /// Severity as the format names it, lower case.
    #[serde(borrow)]
    pub severity: Option<Cow<'a, str>>,
    /// User id, where the format has one.
    #[serde(borrow)]
    pub user: Option<Cow<'a, str>>,
    /// The message proper; `None` means that the whole body is the message.
    #[serde(borrow)]
    pub message: Option<Cow<'a, str>>,
    /// Typed fields in the order of the line.
    #[serde(borrow)]
    pub fields: Fields<'a>,
    /// Which parser read it.
    #[serde(borrow)]
    pub parser: Parser<'a>,
    /// What was odd: `no_time`, `piece`, …
    #[serde(borrow)]
    pub flags: Vec<Cow<'a, str>>,
    /// The raw record this came from.
    pub origin: Origin,
}

impl<'a> Event<'a> {
    /// The line as it was read.
    pub fn raw(&self) -> RawEvent<'a> {
        RawEvent {
            tenant: self.tenant,
            stream: self.stream,
            host: self.host,
            file: self.file,
            file_id: self.file_id,
            attributes: self.attributes.clone(),
            received: self.received,
            position: self.position,
            line_end: self.line_end,
            piece: self.piece,
            dedup: self.dedup,
            body: self.body,
        }
    }

    /// An event with nothing found: `raw` at the time it was received.
    pub fn unparsed(raw: RawEvent<'a>, parser: Parser<'a>, origin: Origin) -> Event<'a> {
        Event {
            tenant: raw.tenant,
            stream: raw.stream,
            host: raw.host,
            file: raw.file,
            file_id: raw.file_id,
            attributes: raw.attributes,
            received: raw.received,
            position: raw.position,
            line_end: raw.line_end,
            piece: raw.piece,
            dedup: raw.dedup,
            body: raw.body,
            time: raw.received,
            severity: None,
            user: None,
            message: None,
            fields: Fields::default(),
            parser,
            flags: Vec::new(),
            origin,
        }
    }
}

/// Which parser read a line, and in which version.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Parser<'a> {
    /// Name of the format or source.
    pub id: &'a str,
    /// Version of its definition.
    pub version: i32,
}

/// Identity and provenance of a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Origin {
    /// Generation of the raw topic.
    pub generation: i32,
    /// Partition in it.
    pub partition: i32,
    /// Offset in it.
    pub offset: i64,
}

/// Value of a field.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Value<'a> {
    /// Text.
    String(#[serde(borrow)] Cow<'a, str>),
    /// Whole number.
    Long(i64),
    /// Floating-point number.
    Double(f64),
    /// True or false.
    Boolean(bool),
}

/// Named values in the order of the line.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Fields<'a>(pub Vec<(Cow<'a, str>, Value<'a>)>);

impl<'a> Fields<'a> {
    /// Adds a value.
    pub fn push(&mut self, name: impl Into<Cow<'a, str>>, value: Value<'a>) {
        self.0.push((name.into(), value));
    }

    /// The value of the first field of that name.
    pub fn find(&self, name: &str) -> Option<&Value<'a>> {
        self.0.iter().find(|(own, _)| own == name).map(|(_, value)| value)
    }
}

impl Serialize for Fields<'_> {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        for (name, value) in &self.0 {
            map.serialize_entry(name.as_ref(), value)?;
        }
        map.end()
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Fields<'a> {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Pairs;
        impl<'de> de::Visitor<'de> for Pairs {
            type Value = Fields<'de>;
            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a map of typed values")
            }
            fn visit_map<A: de::MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut pairs = Vec::with_capacity(map.size_hint().unwrap_or(0));
                while let Some((name, value)) = map.next_entry::<&'de str, Value<'de>>()? {
                    pairs.push((Cow::Borrowed(name), value));
                }
                Ok(Fields(pairs))
            }
        }
        deserializer.deserialize_map(Pairs)
    }
}
