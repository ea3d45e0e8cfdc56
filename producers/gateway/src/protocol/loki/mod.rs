//! Loki's push API: streams of labels with lines, as JSON or as protobuf in one block of snappy.
//!
//! Labels and structured metadata become attributes; the stream is named by the first label that says what wrote the
//! lines. Times are whole nanoseconds, as Loki has them.

mod json;
mod labels;
mod protobuf;

use std::borrow::Cow;

use crate::encoding::EncodingError;
use crate::item::{Item, Malformed, Room, TIME, Taken, TooMany, stream_of};

/// Labels that name the stream, in the order in which Loki itself looks for the name of a service.
const NAMES: [&str; 8] =
    ["service_name", "service", "app", "application", "name", "container", "component", "job"];
/// Labels that name the host.
const HOSTS: [&str; 4] = ["host", "hostname", "node_name", "instance"];

/// Labels, or structured metadata.
type Pairs<'a> = Vec<(Cow<'a, str>, Cow<'a, str>)>;

/// A line as either form gives it.
#[derive(Debug)]
struct Entry<'a> {
    nanos: i64,
    line: Cow<'a, [u8]>,
    metadata: Pairs<'a>,
}

/// Why a push is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PushError {
    /// Not of the form that the media type promises.
    #[error(transparent)]
    Malformed(#[from] Malformed),
    /// Snappy's block is damaged or too large.
    #[error(transparent)]
    Encoding(#[from] EncodingError),
    /// Too much at once.
    #[error(transparent)]
    TooMany(#[from] TooMany),
    /// Neither JSON nor protobuf.
    #[error("media type {0:?} is not taken: send application/json or application/x-protobuf")]
    MediaType(String),
}

/// Reads a push. `content_type` is the whole header; lines go to `default_stream` where no label names one.
///
/// # Errors
/// [`PushError`]: nothing of the push is taken.
pub fn read<'a>(
    content_type: &str,
    default_stream: &'a str,
    body: &'a [u8],
    most: usize,
) -> Result<Taken<'a>, PushError> {
    let mut lines = Lines { default_stream, taken: Taken::default(), room: Room::new(2 * most), at: 0 };
    match media_type(content_type).as_deref() {
        Some("application/json") => json::read(body, &mut lines)?,
        Some("application/x-protobuf") => {
            protobuf::read(&crate::encoding::snappy_block(body, most)?, &mut lines)?;
        }
        _ => return Err(PushError::MediaType(content_type.chars().take(64).collect())),
    }
    Ok(lines.taken)
}

/// A stream's labels, and what they name.
struct Flow<'a> {
    labels: Pairs<'a>,
    stream: Cow<'a, str>,
    host: Option<Cow<'a, str>>,
    /// Bytes of the labels.
    size: usize,
}

/// Lines as they are read, and what they become.
struct Lines<'a> {
    default_stream: &'a str,
    taken: Taken<'a>,
    room: Room,
    at: usize,
}

impl<'a> Lines<'a> {
    fn flow(&self, labels: Pairs<'a>) -> Flow<'a> {
        let label = |names: &[&str]| {
            names.iter().find_map(|name| labels.iter().find(|(own, value)| own == name && !value.is_empty()))
        };
        let stream = label(&NAMES).and_then(|(_, value)| stream_of(value));
        let stream = stream.map_or(Cow::Borrowed(self.default_stream), Cow::Owned);
        let host = label(&HOSTS).map(|(_, value)| value.clone());
        let size = labels.iter().map(|(name, value)| name.len() + value.len()).sum();
        Flow { labels, stream, host, size }
    }

    fn take(&mut self, flow: &Flow<'a>, entry: Entry<'a>) -> Result<(), TooMany> {
        self.room.take(flow.size + entry.line.len())?;
        let mut item = Item::new(flow.stream.clone(), entry.line);
        item.host.clone_from(&flow.host);
        item.attributes.clone_from(&flow.labels);
        for (name, value) in entry.metadata {
            item.attribute(name, value);
        }
        item.attribute(TIME, entry.nanos.to_string());
        self.taken.push(self.at, item);
        self.at += 1;
        Ok(())
    }
}

/// Media type in lower case; `None` where the header is none, its parameters included.
fn media_type(content_type: &str) -> Option<String> {
    let mut parts = content_type.split(';').map(str::trim);
    let media_type = parts.next().filter(|name| !name.is_empty())?;
    let valid =
        |part: &str| part.is_empty() || part.split_once('=').is_some_and(|(name, _)| !name.is_empty());
    parts.all(valid).then(|| media_type.to_ascii_lowercase())
}

#[cfg(test)]
mod tests;
