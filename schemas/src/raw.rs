//! A line as it was read.

use std::borrow::Cow;

use serde::{Deserialize, Serialize, de, ser::SerializeMap};

use crate::codec::{put_bytes, put_long, put_str};

/// Attribute that carries the sender's own time of a line, ns since the epoch: for lines whose text has no time.
pub const TIME: &str = "millrace-time";

/// One log line (or one piece of an over-long line) exactly as it was read; borrows from the record it was decoded from.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RawEvent<'a> {
    /// Tenant id, `[a-z0-9-]{1,64}`.
    pub tenant: &'a str,
    /// Name of the flow of lines.
    pub stream: &'a str,
    /// Host that wrote the line.
    pub host: &'a str,
    /// Path at first sight, for lines that came from a file.
    #[serde(borrow)]
    pub file: Option<&'a str>,
    /// One incarnation of a path: new at every creation and truncation.
    #[serde(borrow)]
    pub file_id: Option<&'a str>,
    /// What the producer's configuration adds.
    #[serde(borrow)]
    pub attributes: Attributes<'a>,
    /// When the producer read it, µs since the epoch; stamped once.
    pub received: i64,
    /// Where in the file it stood.
    pub position: Option<Position>,
    /// How the line ended.
    pub line_end: LineEnd,
    /// Set on the pieces of a line over the limit.
    pub piece: Option<Piece>,
    /// Identity for deduplication, set at the edge.
    #[serde(borrow)]
    pub dedup: Option<Dedup<'a>>,
    /// The exact bytes without the line end.
    #[serde(borrow, with = "serde_bytes")]
    pub body: &'a [u8],
}

/// Place of a line in its file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Position {
    /// Offset of the first byte in the incarnation.
    pub byte: i64,
    /// Number of line ends before it.
    pub line: i64,
}

/// How a line ended; the bytes are not part of the body.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum LineEnd {
    /// No line end: end of file, or a piece that is not the last.
    #[serde(rename = "NONE")]
    None,
    /// `\n`
    #[serde(rename = "LF")]
    Lf,
    /// `\r\n`
    #[serde(rename = "CRLF")]
    CrLf,
}

impl LineEnd {
    /// The bytes that stood there.
    pub fn bytes(self) -> &'static [u8] {
        match self {
            LineEnd::None => b"",
            LineEnd::Lf => b"\n",
            LineEnd::CrLf => b"\r\n",
        }
    }

    /// Inverse of `index`.
    pub fn from_index(index: i32) -> Option<LineEnd> {
        [LineEnd::None, LineEnd::Lf, LineEnd::CrLf].get(usize::try_from(index).ok()?).copied()
    }

    /// Number of the symbol in the Avro enum.
    pub fn index(self) -> i32 {
        match self {
            LineEnd::None => 0,
            LineEnd::Lf => 1,
            LineEnd::CrLf => 2,
        }
    }
}

/// Number of a piece of a line over the limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Piece {
    /// From 0.
    pub index: i32,
    /// Whether the line ends with this piece.
    pub last: bool,
}

/// Identity for deduplication: index `index` within `scope`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Dedup<'a> {
    /// Idempotency key, batch minute, or host + file.
    pub scope: &'a str,
    /// Item or line.
    pub index: i64,
    /// Number of the attempt, where a later one supersedes.
    pub attempt: Option<i64>,
}

/// String pairs in the order they were written.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Attributes<'a>(pub Vec<(Cow<'a, str>, Cow<'a, str>)>);

impl Serialize for Attributes<'_> {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        for (name, value) in &self.0 {
            map.serialize_entry(name.as_ref(), value.as_ref())?;
        }
        map.end()
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Attributes<'a> {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Pairs;
        impl<'de> de::Visitor<'de> for Pairs {
            type Value = Attributes<'de>;
            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a map of strings")
            }
            fn visit_map<A: de::MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut pairs = Vec::new();
                while let Some((name, value)) = map.next_entry::<&'de str, &'de str>()? {
                    pairs.push((Cow::Borrowed(name), Cow::Borrowed(value)));
                }
                Ok(Attributes(pairs))
            }
        }
        deserializer.deserialize_map(Pairs)
    }
}

/// What stays the same for all lines of one source of lines, encoded once; `encode` then costs two copies and a few
/// varints a line. Byte-equal to the general encoder (tested).
#[derive(Debug, Clone)]
pub struct RawTemplate {
    head: Vec<u8>,
}

impl RawTemplate {
    /// Encodes the framing for registry id `schema_id` and the constant fields.
    pub fn new(
        schema_id: u32,
        tenant: &str,
        stream: &str,
        host: &str,
        file: Option<(&str, &str)>,
        attributes: &Attributes<'_>,
    ) -> RawTemplate {
        let mut head = vec![0];
        head.extend_from_slice(&schema_id.to_be_bytes());
        for text in [tenant, stream, host] {
            put_str(&mut head, text);
        }
        match file {
            Some((path, file_id)) => {
                for text in [path, file_id] {
                    put_long(&mut head, 1);
                    put_str(&mut head, text);
                }
            }
            None => {
                put_long(&mut head, 0);
                put_long(&mut head, 0);
            }
        }
        if !attributes.0.is_empty() {
            put_long(&mut head, attributes.0.len() as i64);
            for (name, value) in &attributes.0 {
                put_str(&mut head, name);
                put_str(&mut head, value);
            }
        }
        put_long(&mut head, 0);
        RawTemplate { head }
    }

    /// Appends one framed record to `out`.
    pub fn encode(
        &self,
        out: &mut Vec<u8>,
        received: i64,
        position: Option<Position>,
        line_end: LineEnd,
        piece: Option<Piece>,
        body: &[u8],
    ) {
        out.extend_from_slice(&self.head);
        put_long(out, received);
        match position {
            Some(position) => {
                put_long(out, 1);
                put_long(out, position.byte);
                put_long(out, position.line);
            }
            None => put_long(out, 0),
        }
        put_long(out, i64::from(line_end.index()));
        match piece {
            Some(piece) => {
                put_long(out, 1);
                put_long(out, i64::from(piece.index));
                out.push(u8::from(piece.last));
            }
            None => put_long(out, 0),
        }
        put_long(out, 0); // dedup: null
        put_bytes(out, body);
    }
}
