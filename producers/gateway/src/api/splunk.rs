//! Splunk's HTTP Event Collector.

use serde_json::{Value, json};

use super::{Answer, Promise, Reply, Request};
use crate::protocol::splunk::{self, Meta};

/// `/services/collector…`
pub(super) fn collector<'a>(request: &Request<'a>, method: &str, rest: &[&str], body: &'a [u8]) -> Reply<'a> {
    let meta = Meta {
        index: request.parameter("index"),
        host: request.parameter("host"),
        source: request.parameter("source"),
        sourcetype: request.parameter("sourcetype"),
    };
    let taken = match (method, rest) {
        ("GET", ["health", ..]) => {
            return Reply::Now(Answer::json(200, &json!({"text": "HEC is healthy", "code": 17})));
        }
        ("POST", ["ack"]) => return Reply::Now(ack(body)),
        ("POST", [] | ["event"] | ["event", "1.0"]) => splunk::events("main", &meta, body),
        ("POST", ["raw"] | ["raw", "1.0"]) => splunk::raw("main", &meta, body),
        _ => return Reply::Now(refuse(404, "The requested URL was not found on this server.")),
    };
    match taken {
        Err(error) => Reply::Now(Answer::json(error.status(), &error.answer())),
        Ok(taken) => {
            let channel = !request.header("x-splunk-request-channel").is_empty()
                || request.parameter("channel").is_some();
            let answer = match channel {
                false => json!({"text": "Success", "code": 0}),
                // An answer is given when all is committed: the id is for clients that ask again.
                true => json!({"text": "Success", "code": 0, "ackId": 0}),
            };
            Reply::Commit(taken.items, Promise::Answer(Answer::json(200, &answer)))
        }
    }
}

/// `POST /services/collector/ack`: whatever has an id was committed before the id was given.
fn ack(body: &[u8]) -> Answer {
    let asked: Option<Value> = serde_json::from_slice(body).ok();
    let ids = asked.as_ref().and_then(|asked| asked.get("acks")?.as_array());
    let Some(ids) = ids.filter(|ids| ids.iter().all(Value::is_u64)) else {
        return refuse(400, "Invalid data format");
    };
    let acks: serde_json::Map<String, Value> =
        ids.iter().map(|id| (id.to_string(), Value::Bool(true))).collect();
    Answer::json(200, &json!({ "acks": acks }))
}

pub(super) fn refuse(status: u16, reason: &str) -> Answer {
    let code = match status {
        401 => 2,
        403 => 4,
        413 => 27,
        429 | 503 => 9,
        404 => 404,
        _ => 6,
    };
    Answer::json(status, &json!({"text": reason, "code": code}))
}
