//! A request of a corpus, given to the gateway: its answer, and what it would commit.

use base64::Engine;
use millrace_gateway::api::{self, Reply, Request};
use millrace_gateway::item::{Item, TIME};
use millrace_gateway::quota::Meter;
use serde_json::Value;

/// Bodies are unpacked up to this.
const MOST: usize = 64 << 20;

/// What came of a request.
pub(crate) struct Outcome {
    pub(crate) status: u16,
    pub(crate) body: Vec<u8>,
    pub(crate) items: Vec<Item<'static>>,
}

impl Outcome {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }

    pub(crate) fn is_ok(&self) -> bool {
        (200..300).contains(&self.status)
    }
}

/// The body of a case: `body` as text or JSON, or `body_base64`.
pub(crate) fn body(case: &Value) -> Vec<u8> {
    match (&case["body"], case["body_base64"].as_str()) {
        (_, Some(base64)) => decode(base64),
        (Value::String(text), None) => text.clone().into_bytes(),
        (Value::Null, None) => Vec::new(),
        (other, None) => other.to_string().into_bytes(),
    }
}

pub(crate) fn decode(base64: &str) -> Vec<u8> {
    base64::engine::general_purpose::STANDARD.decode(base64).expect("base64 of a corpus is valid")
}

/// Posts to `target`.
pub(crate) fn post(target: &str, content_type: &str, encoding: &str, body: &[u8]) -> Outcome {
    send("POST", target, content_type, encoding, body)
}

pub(crate) fn send(method: &str, target: &str, content_type: &str, encoding: &str, body: &[u8]) -> Outcome {
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let headers = [("content-type", content_type), ("content-encoding", encoding)];
    let request = Request { method, path, query, headers: &headers, nonce: "n" };
    let now = |answer: api::Answer| Outcome { status: answer.status, body: answer.body, items: Vec::new() };
    let body = match api::unpack(&request, body, MOST) {
        Ok(body) => body,
        Err(answer) => return now(answer),
    };
    match api::read(&request, &body, MOST, &Meter::open()) {
        Reply::Now(answer) => now(answer),
        Reply::Commit(items, promise) => {
            let items: Vec<_> = items.into_iter().map(owned).collect();
            let answer = promise.keep(items.len(), 0);
            Outcome { status: answer.status, body: answer.body, items }
        }
    }
}

fn owned(item: Item<'_>) -> Item<'static> {
    Item {
        stream: item.stream.into_owned().into(),
        host: item.host.map(|host| host.into_owned().into()),
        file: item.file.map(|file| file.into_owned().into()),
        attributes: item
            .attributes
            .into_iter()
            .map(|(name, value)| (name.into_owned().into(), value.into_owned().into()))
            .collect(),
        dedup: item.dedup.map(|(scope, index)| (scope.into_owned().into(), index)),
        line_end: item.line_end,
        piece: item.piece,
        body: item.body.into_owned().into(),
    }
}

/// The sender's time of an item.
pub(crate) fn nanos(item: &Item<'_>) -> Option<String> {
    item.attributes.iter().find(|(name, _)| name == TIME).map(|(_, value)| value.to_string())
}
