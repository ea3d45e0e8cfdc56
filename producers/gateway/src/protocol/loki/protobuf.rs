//! The protobuf form: `logproto.PushRequest`, line by line. Lines are read as bytes: what is not text is kept.

use std::borrow::Cow;

use prost::Message;

use super::{Entry, Lines, PushError, labels};
use crate::item::{MAX_ATTRIBUTES, Malformed};
use crate::protocol::wire::parts;

/// Fields of `PushRequest`, `StreamAdapter` and `EntryAdapter` that are read part by part.
const PUSH: &[u64] = &[1];
const STREAM: &[u64] = &[1, 2];
const LINE: &[u64] = &[3];

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

pub(super) fn read(body: &[u8], lines: &mut Lines<'_>) -> Result<(), PushError> {
    let malformed = |what: String| Malformed(format!("not a PushRequest: {what}"));
    for stream in parts(body, PUSH, 1) {
        let stream = stream?;
        let text = parts(stream, STREAM, 1).last().transpose()?.unwrap_or_default();
        let text = std::str::from_utf8(text).map_err(|error| malformed(error.to_string()))?;
        let labels = labels::read(text)?;
        let labels = labels.into_iter().map(|(name, value)| (name.into(), value.into())).collect();
        let flow = lines.flow(labels);
        for line in parts(stream, STREAM, 2) {
            let line = line?;
            let n_pairs = parts(line, LINE, 3).count();
            if n_pairs > MAX_ATTRIBUTES {
                let what =
                    format!("a line with {n_pairs} pairs beside it, at most {MAX_ATTRIBUTES} are taken");
                return Err(malformed(what).into());
            }
            let line = Line::decode(line).map_err(|error| malformed(error.to_string()))?;
            lines.take(&flow, entry(line)?)?;
        }
    }
    Ok(())
}

fn entry(line: Line) -> Result<Entry<'static>, Malformed> {
    let time = line.timestamp.unwrap_or_default();
    let nanos =
        time.seconds.checked_mul(1_000_000_000).and_then(|own| own.checked_add(i64::from(time.nanos)));
    let nanos = nanos.ok_or_else(|| Malformed(format!("{} s is no time that can be kept", time.seconds)))?;
    let metadata = line.metadata.into_iter().map(|pair| (pair.name.into(), pair.value.into())).collect();
    Ok(Entry { nanos, line: Cow::Owned(line.line), metadata })
}
