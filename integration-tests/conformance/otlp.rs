//! Topic otlp: the JSON form and, as `<id>/protobuf`, the same request as protobuf.

use std::path::Path;

use serde_json::{Value, json};

use crate::gateway::{Outcome, body, decode, post};
use crate::{Cases, objects, same, text};

pub(crate) fn cases(folder: &Path) -> Cases {
    let mut all = Vec::new();
    for case in objects(&folder.join("logs_cases.jsonl")) {
        let id = kind(&case).to_owned() + text(&case, "id");
        let content_type = case["content_type"].as_str().unwrap_or("application/json");
        let outcome = post("/v1/logs", content_type, text(&case, "content_encoding"), &body(&case));
        all.push((id.clone(), judge(&case, &outcome)));
        if let Some(protobuf) = case["protobuf_base64"].as_str() {
            let outcome = post("/v1/logs", "application/x-protobuf", "", &decode(protobuf));
            all.push((format!("{id}/protobuf"), judge(&case, &outcome)));
        }
    }
    all
}

/// Cases that want ids of another length kept are a kind of their own.
fn kind(case: &Value) -> &'static str {
    let rows = || case["rows"].as_array().into_iter().flatten();
    let fits = |row: &Value, name: &str, digits: usize| [0, digits].contains(&text(row, name).len());
    if rows().all(|row| fits(row, "trace_id", 32) && fits(row, "span_id", 16)) { "" } else { "ids-" }
}

fn judge(case: &Value, outcome: &Outcome) -> Result<(), String> {
    if case["ok"] == false {
        return same("the status", &outcome.status, &400);
    }
    same("the status", &outcome.status, &200)?;
    let wanted: Vec<Value> = case["rows"].as_array().into_iter().flatten().map(wanted).collect();
    let is: Vec<Value> = outcome.items.iter().map(|item| row(&item.body)).collect();
    same("what is committed", &is, &wanted)
}

/// A row of the corpus; what a case does not say is not compared.
fn wanted(row: &Value) -> Value {
    let mut row = row.clone();
    if row["event_name"].is_null() {
        row["event_name"] = json!("");
    }
    row
}

/// A document as the corpus writes rows.
fn row(body: &[u8]) -> Value {
    let document: Value = serde_json::from_slice(body).unwrap_or_default();
    let number = |name: &str| document[name].as_u64().unwrap_or(0);
    let words = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let object = |value: &Value| if value.is_object() { value.clone() } else { json!({}) };
    let message = if document["message"].is_null() { &document["body"] } else { &document["message"] };
    let scope = &document["scope"];
    json!({
        "timestamp_ns": number("time").to_string(), "observed_ns": number("observed_time").to_string(),
        "severity_number": document["severity_number"].as_i64().unwrap_or(0), "severity_text": words(&document["severity_text"]),
        "body": message, "attributes": object(&document["attributes"]), "trace_id": words(&document["trace_id"]),
        "span_id": words(&document["span_id"]), "resource": object(&document["resource"]),
        "scope": {"name": words(&scope["name"]), "version": words(&scope["version"]), "attributes": object(&scope["attributes"])},
        "event_name": words(&document["event_name"]),
    })
}
