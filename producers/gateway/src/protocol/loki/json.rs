//! The JSON form: `{"streams": [{"stream": {…}, "values": [["<ns>", "<line>", {…}], …]}]}`.

use std::borrow::Cow;

use serde_json::{Map, Value};

use super::{Entry, Pairs, Pushed};
use crate::item::Malformed;
use crate::json::kind;

pub(super) fn read(body: &[u8]) -> Result<Vec<Pushed<'static>>, Malformed> {
    let root: Value =
        serde_json::from_slice(body).map_err(|error| Malformed(format!("the push is not JSON: {error}")))?;
    let streams = root.get("streams").ok_or_else(|| Malformed::new("streams is missing"))?;
    let streams = streams.as_array().ok_or_else(|| not("streams", streams, "an array"))?;
    streams.iter().enumerate().map(|(at, stream)| one(at, stream)).collect()
}

fn one(at: usize, stream: &Value) -> Result<Pushed<'static>, Malformed> {
    let path = format!("streams[{at}]");
    let object = stream.as_object().ok_or_else(|| not(&path, stream, "an object"))?;
    let labels = match object.get("stream") {
        None => Vec::new(),
        Some(Value::Object(labels)) => pairs(&format!("{path}.stream"), labels, true)?,
        Some(other) => return Err(not(&format!("{path}.stream"), other, "an object")),
    };
    let values = object.get("values").ok_or_else(|| Malformed(format!("{path}.values is missing")))?;
    let values = values.as_array().ok_or_else(|| not(&format!("{path}.values"), values, "an array"))?;
    let entry = |(at, value): (usize, &Value)| entry(&format!("{path}.values[{at}]"), value);
    Ok(Pushed { labels, entries: values.iter().enumerate().map(entry).collect::<Result<_, _>>()? })
}

fn entry(path: &str, value: &Value) -> Result<Entry<'static>, Malformed> {
    let (time, line, metadata) = match value.as_array().map(Vec::as_slice) {
        Some([time, line]) => (time, line, None),
        Some([time, line, metadata]) => (time, line, Some(metadata)),
        _ => return Err(Malformed(format!("{path} is not [time, line] or [time, line, metadata]"))),
    };
    let time = time.as_str().ok_or_else(|| not(&format!("{path}[0]"), time, "text"))?;
    let nanos = time.parse().map_err(|_| {
        Malformed(format!("{path}[0] is {:?}, not whole nanoseconds since the epoch", short(time)))
    })?;
    let line = line.as_str().ok_or_else(|| not(&format!("{path}[1]"), line, "text"))?;
    let metadata = match metadata {
        None => Vec::new(),
        Some(Value::Object(metadata)) => pairs(&format!("{path}[2]"), metadata, false)?,
        Some(other) => return Err(not(&format!("{path}[2]"), other, "an object")),
    };
    Ok(Entry { nanos, line: Cow::Owned(line.as_bytes().to_vec()), metadata })
}

/// A number as a label's value is taken as its text; in metadata only text is.
fn pairs(path: &str, object: &Map<String, Value>, numbers: bool) -> Result<Pairs<'static>, Malformed> {
    let pair = |(name, value): (&String, &Value)| {
        let value = match value {
            Value::String(text) => text.clone(),
            Value::Number(number) if numbers => number.to_string(),
            other => return Err(not(&format!("{path}.{}", short(name)), other, "text")),
        };
        Ok((name.clone().into(), value.into()))
    };
    object.iter().map(pair).collect()
}

fn not(path: &str, is: &Value, wanted: &str) -> Malformed {
    Malformed(format!("{path} is {}, not {wanted}", kind(is)))
}

fn short(text: &str) -> String {
    text.chars().take(64).collect()
}
