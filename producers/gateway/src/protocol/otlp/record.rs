//! A log record as one JSON document. Absent and empty members are left out; names are such that the parse job finds time,
//! severity and message.

use base64::Engine;
use serde_json::{Map, Value, json};

use super::message::{Any, AnyValue, KeyValue, LogRecord, Scope};

/// The document, or why the record is refused.
pub(super) fn document(
    resource: &[KeyValue],
    scope: Option<&Scope>,
    record: &LogRecord,
) -> Result<String, String> {
    let id = |name: &str, id: &[u8], wanted: usize| match id.len() {
        0 => Ok(None),
        length if length == wanted => {
            Ok(Some(id.iter().map(|byte| format!("{byte:02x}")).collect::<String>()))
        }
        _ => Err(format!("{name} is not {} hexadecimal digits", wanted * 2)),
    };
    let (trace, span) = (id("traceId", &record.trace_id, 16)?, id("spanId", &record.span_id, 8)?);
    let mut document = Map::new();
    let mut put = |name: &str, value: Value| {
        if !value.is_null() {
            document.insert(name.to_owned(), value);
        }
    };
    put("time", count(record.time_unix_nano));
    put("observed_time", count(record.observed_time_unix_nano));
    put("severity", words(&severity(record)));
    put(
        "severity_number",
        if record.severity_number == 0 { Value::Null } else { json!(record.severity_number) },
    );
    put("severity_text", words(&record.severity_text));
    match record.body.as_ref().map(any) {
        Some(text @ Value::String(_)) => put("message", text),
        Some(other) => put("body", other),
        None => {}
    }
    put("attributes", some(&record.attributes));
    put("dropped_attributes_count", count(record.dropped_attributes_count.into()));
    put("flags", count(record.flags.into()));
    put("trace_id", json!(trace));
    put("span_id", json!(span));
    put("event_name", words(&record.event_name));
    put("resource", some(resource));
    put("scope", scope.filter(|own| **own != Scope::default()).map_or(Value::Null, origin));
    Ok(Value::Object(document).to_string())
}

/// The level's short name; the sender's own text where there is no number.
fn severity(record: &LogRecord) -> String {
    let levels = ["trace", "debug", "info", "warn", "error", "fatal"];
    let level = usize::try_from(record.severity_number - 1).ok().and_then(|own| levels.get(own / 4));
    level.map_or_else(|| record.severity_text.to_lowercase(), |level| (*level).to_owned())
}

fn origin(scope: &Scope) -> Value {
    let members = [
        ("name", words(&scope.name)),
        ("version", words(&scope.version)),
        ("attributes", some(&scope.attributes)),
    ];
    let there = members.into_iter().filter(|(_, value)| !value.is_null());
    Value::Object(there.map(|(name, value)| (name.to_owned(), value)).collect())
}

fn count(number: u64) -> Value {
    if number == 0 { Value::Null } else { json!(number) }
}

fn words(text: &str) -> Value {
    if text.is_empty() { Value::Null } else { json!(text) }
}

fn some(values: &[KeyValue]) -> Value {
    if values.is_empty() { Value::Null } else { pairs(values) }
}

fn pairs(values: &[KeyValue]) -> Value {
    let pair = |own: &KeyValue| (own.key.clone(), own.value.as_ref().map_or(Value::Null, any));
    Value::Object(values.iter().map(pair).collect())
}

fn any(value: &AnyValue) -> Value {
    match &value.value {
        None => Value::Null,
        Some(Any::String(text)) => json!(text),
        Some(Any::Bool(yes)) => json!(yes),
        Some(Any::Int(number)) => json!(number),
        // JSON has no infinities: text, as protobuf's own mapping has them.
        Some(Any::Double(number)) if number.is_nan() => json!("NaN"),
        Some(Any::Double(number)) if number.is_infinite() => {
            json!(if *number > 0.0 { "Infinity" } else { "-Infinity" })
        }
        Some(Any::Double(number)) => json!(number),
        Some(Any::Array(array)) => Value::Array(array.values.iter().map(any).collect()),
        Some(Any::List(list)) => pairs(&list.values),
        Some(Any::Bytes(bytes)) => json!({"base64": base64::engine::general_purpose::STANDARD.encode(bytes)}),
    }
}
