//! The protobuf form: `logproto.PushRequest`. Lines are read as bytes: what is not text is kept.

use std::borrow::Cow;

use prost::Message;

use super::{Entry, Pushed, labels};
use crate::item::Malformed;

#[derive(Clone, PartialEq, Message)]
struct PushRequest {
    #[prost(message, repeated, tag = "1")]
    streams: Vec<Stream>,
}

#[derive(Clone, PartialEq, Message)]
struct Stream {
    #[prost(string, tag = "1")]
    labels: String,
    #[prost(message, repeated, tag = "2")]
    entries: Vec<Line>,
}

#[derive(Clone, PartialEq, Message)]
struct Line {
    #[prost(message, optional, tag = "1")]
    timestamp: Option<Timestamp>,
    #[prost(bytes = "vec", tag = "2")]
    line: Vec<u8>,
    #[prost(message, repeated, tag = "3")]
    metadata: Vec<Pair>,
}

#[derive(Clone, Copy, PartialEq, Message)]
struct Timestamp {
    #[prost(int64, tag = "1")]
    seconds: i64,
    #[prost(int32, tag = "2")]
    nanos: i32,
}

#[derive(Clone, PartialEq, Message)]
struct Pair {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(string, tag = "2")]
    value: String,
}

pub(super) fn read(body: &[u8]) -> Result<Vec<Pushed<'static>>, Malformed> {
    let push = PushRequest::decode(body).map_err(|error| Malformed(format!("not a PushRequest: {error}")))?;
    let stream = |stream: Stream| {
        let labels = labels::read(&stream.labels)?;
        let labels = labels.into_iter().map(|(name, value)| (name.into(), value.into())).collect();
        let entries = stream.entries.into_iter().map(entry).collect::<Result<_, _>>()?;
        Ok(Pushed { labels, entries })
    };
    push.streams.into_iter().map(stream).collect()
}

fn entry(line: Line) -> Result<Entry<'static>, Malformed> {
    let time = line.timestamp.unwrap_or_default();
    let nanos =
        time.seconds.checked_mul(1_000_000_000).and_then(|own| own.checked_add(i64::from(time.nanos)));
    let nanos = nanos.ok_or_else(|| Malformed(format!("{} s is no time that can be kept", time.seconds)))?;
    let metadata = line.metadata.into_iter().map(|pair| (pair.name.into(), pair.value.into())).collect();
    Ok(Entry { nanos, line: Cow::Owned(line.line), metadata })
}
