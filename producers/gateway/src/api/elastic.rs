//! Elasticsearch: `_bulk`, and what its senders ask before they send.

use std::borrow::Cow;

use serde_json::json;

use super::{Answer, Promise, Reply, Request};
use crate::protocol::bulk;

/// With this header the official clients know a server of theirs.
const PRODUCT: (&str, &str) = ("x-elastic-product", "Elasticsearch");

/// In the client's own media type: those of versions 8 and 9 send and expect a vendor's.
fn answer(request: &Request<'_>, status: u16, body: impl Into<Vec<u8>>) -> Answer {
    let mut answer = Answer::new(status, "application/json", body);
    answer.headers.push((PRODUCT.0, PRODUCT.1.to_owned()));
    let accept = request.header("accept");
    if accept.contains("application/vnd.elasticsearch+") {
        answer.media_type = if accept.contains("compatible-with=9") {
            "application/vnd.elasticsearch+json;compatible-with=9"
        } else {
            "application/vnd.elasticsearch+json;compatible-with=8"
        };
    }
    answer
}

pub(super) fn refuse(request: &Request<'_>, status: u16, reason: &str) -> Answer {
    let kind = match status {
        401 | 403 => "security_exception",
        404 => "resource_not_found_exception",
        429 | 503 => "es_rejected_execution_exception",
        _ => "illegal_argument_exception",
    };
    answer(request, status, bulk::refusal(status, kind, reason).to_string())
}

/// `POST /_bulk`, `POST /{index}/_bulk`
pub(super) fn bulk<'a>(request: &Request<'a>, index: Option<Cow<'a, str>>, body: &'a [u8]) -> Reply<'a> {
    let refresh = match request.parameter("refresh").as_deref() {
        None | Some("false") => false,
        Some("" | "true" | "wait_for") => true,
        Some(other) => {
            let other: String = other.chars().take(64).collect();
            let reason = format!("refresh is {other:?}: only true, false and wait_for are known");
            return Reply::Now(refuse(request, 400, &reason));
        }
    };
    let actions = match bulk::read(index, body) {
        Ok(actions) => actions,
        Err(error) => return Reply::Now(refuse(request, 400, &error.to_string())),
    };
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
    let answer = answer(request, 200, body);
    Reply::Commit(taken.collect(), if refresh { Promise::Found(answer) } else { Promise::Answer(answer) })
}

/// What Filebeat, Logstash, Fluent Bit, Vector and the official clients ask first. Templates and policies mean nothing
/// here: they are said to be there, and taken where they are sent.
pub(super) fn handshake(request: &Request<'_>, method: &str, parts: &[&str]) -> Option<Answer> {
    let reading = matches!(method, "GET" | "HEAD");
    let body = match parts {
        [] if reading => {
            let version =
                if request.header("accept").contains("compatible-with=9") { "9.0.0" } else { "8.17.0" };
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
        ["_nodes", ..] if reading => json!({"cluster_name": "millrace", "nodes": {}}),
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
