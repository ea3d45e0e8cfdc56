//! Elasticsearch: `_bulk`, and what its senders ask before they send.

use std::borrow::Cow;

use millrace_schemas::id::valid_stream;
use serde_json::json;

use super::{Answer, Promise, Reply, Request};
use crate::protocol::bulk::{self, Action, ItemError, Operation};
use crate::quota::Meter;

/// With this header the official clients know a server of theirs.
const PRODUCT: (&str, &str) = ("x-elastic-product", "Elasticsearch");

/// In the client's own media type: those of versions 8 and 9 send and expect a vendor's.
fn answer(request: &Request<'_>, status: u16, body: impl Into<Vec<u8>>) -> Answer {
    let mut answer = Answer::new(status, "application/json", body);
    answer.headers.push((PRODUCT.0, PRODUCT.1.to_owned()));
    let accept = request.header("accept");
    if accept.contains("application/vnd.elasticsearch+") {
        answer.media_type = if speaks(accept, "9") {
            "application/vnd.elasticsearch+json;compatible-with=9"
        } else {
            "application/vnd.elasticsearch+json;compatible-with=8"
        };
    }
    answer
}

/// What is to be sent again is refused in plain text: rsyslog drops what any JSON without items answers, and tries again at
/// what it cannot read. The official clients go by the status.
pub(super) fn refuse(request: &Request<'_>, status: u16, reason: &str) -> Answer {
    if matches!(status, 408 | 429 | 503) {
        let mut answer = Answer::text(status, reason);
        answer.headers.push((PRODUCT.0, PRODUCT.1.to_owned()));
        return answer;
    }
    answer(request, status, bulk::refusal(status, kind_of(status), reason).to_string())
}

fn kind_of(status: u16) -> &'static str {
    match status {
        401 | 403 => "security_exception",
        404 => "resource_not_found_exception",
        429 => "es_rejected_execution_exception",
        _ => "illegal_argument_exception",
    }
}

/// Whether a media type is that of clients of this version.
fn speaks(media_type: &str, version: &str) -> bool {
    let named = media_type.split_once("compatible-with=").map_or("", |(_, version)| version);
    named.split(|char: char| !char.is_ascii_digit()).next() == Some(version)
}

/// The version that a client finds: its own.
fn version(request: &Request<'_>) -> &'static str {
    if speaks(request.header("accept"), "9") { "9.0.0" } else { "8.17.0" }
}

/// What an answer promises: whether it waits until a search finds what was sent.
fn refresh(request: &Request<'_>) -> Result<fn(Answer) -> Promise, Answer> {
    match request.parameter("refresh").as_deref() {
        None | Some("false") => Ok(Promise::Answer),
        Some("" | "true" | "wait_for") => Ok(Promise::Found),
        Some(other) => {
            let other: String = other.chars().take(64).collect();
            let reason = format!("refresh is {other:?}: only true, false and wait_for are known");
            Err(refuse(request, 400, &reason))
        }
    }
}

/// `POST /{index}/_doc`, `PUT /{index}/_doc/{id}`, `PUT /{index}/_create/{id}`
pub(super) fn document<'a>(
    request: &Request<'a>,
    operation: Operation,
    index: Cow<'a, str>,
    id: Option<Cow<'a, str>>,
    body: &'a [u8],
) -> Reply<'a> {
    let promise = match refresh(request) {
        Ok(promise) => promise,
        Err(answer) => return Reply::Now(answer),
    };
    let action = Action::alone(operation, index, id, body);
    let said = action.said(request.nonce).to_string();
    match action.outcome {
        Err(ItemError { status, kind, reason }) => {
            Reply::Now(answer(request, status, bulk::refusal(status, kind, &reason).to_string()))
        }
        Ok(item) => {
            let answer = answer(request, 201, said);
            Reply::Commit(vec![item], promise(answer))
        }
    }
}

/// `POST /_bulk`, `POST /{index}/_bulk`
pub(super) fn bulk<'a>(
    request: &Request<'a>,
    index: Option<Cow<'a, str>>,
    body: &'a [u8],
    meter: &Meter<'_>,
) -> Reply<'a> {
    let promise = match refresh(request) {
        Ok(promise) => promise,
        Err(answer) => return Reply::Now(answer),
    };
    let media_types = [request.header("content-type"), request.header("accept")];
    let lenient = media_types.iter().any(|own| ["7", "8"].iter().any(|version| speaks(own, version)));
    let mut actions = match bulk::read(index, body, lenient) {
        Ok(actions) => actions,
        Err(error) => {
            let body = bulk::refusal(400, error.kind(), &error.to_string());
            return Reply::Now(answer(request, 400, body.to_string()));
        }
    };
    // What is over a quota is refused document by document: its neighbours are taken.
    let mut retry = None;
    for action in &mut actions {
        let Ok(item) = &action.outcome else { continue };
        if let Err(over) = meter.take(std::slice::from_ref(item)) {
            retry = retry.max(over.retry());
            let kind = kind_of(over.status());
            action.outcome = Err(ItemError { status: over.status(), kind, reason: over.reason });
        }
    }
    let id = |at: usize| format!("{}-{at}", request.nonce);
    let errors = actions.iter().any(|action| action.outcome.is_err());
    // Written item by item: a tree of all of them would take several times the request.
    let mut body = format!(r#"{{"took":0,"errors":{errors},"items":["#);
    for (at, action) in actions.iter().enumerate() {
        let comma = if at > 0 { "," } else { "" };
        body.push_str(&format!("{comma}{}", action.answer(&id(at))));
    }
    body.push_str("]}");
    let taken = actions.into_iter().filter_map(|action| action.outcome.ok());
    let mut answer = answer(request, 200, body);
    answer.headers.extend(retry.map(|seconds| ("retry-after", seconds.to_string())));
    Reply::Commit(taken.collect(), promise(answer))
}

/// The one node, where the client has reached it: those that sniff go on there.
fn nodes(request: &Request<'_>) -> serde_json::Value {
    let host = request.header("host");
    let port = host.rsplit_once(':').map_or("", |(_, port)| port);
    let mut nodes = json!({});
    // Without a port there is something in front of us, and who knows at which.
    if !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit()) {
        let http = json!({"bound_address": [host], "publish_address": host});
        let roles = ["data", "ingest", "master"];
        nodes["millrace"] = json!({"name": "millrace", "host": host, "version": version(request), "roles": roles, "http": http});
    }
    let count = json!({"total": 1, "successful": 1, "failed": 0});
    json!({"_nodes": count, "cluster_name": "millrace", "nodes": nodes})
}

/// What Filebeat, Logstash, Fluent Bit, Vector and the official clients ask first. Templates and policies mean nothing
/// here: they are said to be there, and taken where they are sent.
pub(super) fn handshake(request: &Request<'_>, method: &str, parts: &[&str]) -> Option<Answer> {
    let reading = matches!(method, "GET" | "HEAD");
    let body = match parts {
        [] if reading => {
            let version = version(request);
            json!({
                "name": "millrace", "cluster_name": "millrace", "cluster_uuid": "millrace",
                "version": {
                    "number": version, "build_flavor": "default", "build_type": "tar", "build_hash": "unknown",
                    "build_date": "2026-01-01T00:00:00Z", "build_snapshot": false, "lucene_version": "10.0.0",
                    "minimum_wire_compatibility_version": "8.0.0", "minimum_index_compatibility_version": "8.0.0",
                },
                "tagline": "You Know, for Search",
            })
        }
        ["_license"] if reading => {
            let licence = json!({"status": "active", "uid": "millrace", "type": "basic", "mode": "basic", "max_nodes": 1000});
            json!({ "license": licence })
        }
        ["_xpack"] if reading => {
            let on = json!({"available": true, "enabled": true});
            let licence = json!({"uid": "millrace", "type": "basic", "mode": "basic", "status": "active"});
            json!({"build": {}, "license": licence, "features": {"ilm": on, "data_streams": on}, "tagline": ""})
        }
        ["_cluster", "health"] if reading => {
            json!({"cluster_name": "millrace", "status": "green", "timed_out": false, "number_of_nodes": 1})
        }
        ["_nodes", ..] if reading => nodes(request),
        // A stream is made on first use: there is none that is missing.
        [index] if method == "HEAD" && valid_stream(index) => json!({}),
        [index] if method == "PUT" && valid_stream(index) => {
            json!({"acknowledged": true, "shards_acknowledged": true, "index": index})
        }
        ["_refresh"] | [_, "_refresh"] if matches!(method, "GET" | "POST") => {
            json!({"_shards": {"total": 1, "successful": 1, "failed": 0}})
        }
        ["_template" | "_index_template" | "_component_template" | "_data_stream" | "_alias", ..]
        | ["_ilm", "policy", ..]
        | ["_ingest", "pipeline", ..]
            if reading =>
        {
            json!({})
        }
        ["_template" | "_index_template" | "_component_template" | "_data_stream", _]
        | ["_ilm", "policy", _]
        | ["_ingest", "pipeline", _]
            if matches!(method, "PUT" | "POST") =>
        {
            json!({"acknowledged": true})
        }
        _ => return None,
    };
    Some(answer(request, 200, body.to_string()))
}
