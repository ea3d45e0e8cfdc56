//! The JSON form, by protobuf's mapping: unknown members are ignored, null is absent, 64-bit numbers may be text. Unlike
//! that mapping, ids are hexadecimal (OTLP says so).

use base64::Engine;
use serde_json::{Map, Value};

use super::message::{
    Any, AnyValue, Array, KeyValue, List, LogRecord, Request, Resource, ResourceLogs, Scope, ScopeLogs,
};
use crate::item::Malformed;
use crate::json::kind;

type Read<T> = Result<T, Malformed>;

pub(super) fn read(body: &[u8]) -> Read<Request> {
    let root: Value = serde_json::from_slice(body)
        .map_err(|error| Malformed(format!("the request is not JSON: {error}")))?;
    let root = object("the request", &root)?;
    Ok(Request { resource_logs: list(root, "resourceLogs", resource_logs)? })
}

fn resource_logs(value: &Map<String, Value>) -> Read<ResourceLogs> {
    let resource = member(value, "resource").map(|own| object("resource", own)).transpose()?;
    let resource =
        resource.map(|own| Ok(Resource { attributes: list(own, "attributes", key_value)? })).transpose()?;
    Ok(ResourceLogs { resource, scope_logs: list(value, "scopeLogs", scope_logs)? })
}

fn scope_logs(value: &Map<String, Value>) -> Read<ScopeLogs> {
    let scope = member(value, "scope").map(|own| object("scope", own)).transpose()?;
    let scope = scope.map(|own| {
        let (name, version) = (text(own, "name")?, text(own, "version")?);
        Ok(Scope { name, version, attributes: list(own, "attributes", key_value)? })
    });
    Ok(ScopeLogs { scope: scope.transpose()?, log_records: list(value, "logRecords", log_record)? })
}

fn log_record(value: &Map<String, Value>) -> Read<LogRecord> {
    Ok(LogRecord {
        time_unix_nano: number(value, "timeUnixNano")?,
        severity_number: severity(value)?,
        severity_text: text(value, "severityText")?,
        body: member(value, "body").map(|own| any_value("body", own)).transpose()?,
        attributes: list(value, "attributes", key_value)?,
        dropped_attributes_count: number(value, "droppedAttributesCount")?,
        flags: number(value, "flags")?,
        trace_id: hex(text(value, "traceId")?),
        span_id: hex(text(value, "spanId")?),
        observed_time_unix_nano: number(value, "observedTimeUnixNano")?,
        event_name: text(value, "eventName")?,
    })
}

fn key_value(value: &Map<String, Value>) -> Read<KeyValue> {
    let key = text(value, "key")?;
    Ok(KeyValue { value: member(value, "value").map(|own| any_value(&key, own)).transpose()?, key })
}

fn any_value(path: &str, value: &Value) -> Read<AnyValue> {
    let value = object(path, value)?;
    let mut any = None;
    for (name, value) in value.iter().filter(|(_, value)| !value.is_null()) {
        let wrong = || not(&format!("{path}.{name}"), value, "what its name says");
        any = Some(match name.as_str() {
            "stringValue" => Any::String(value.as_str().ok_or_else(wrong)?.to_owned()),
            "boolValue" => Any::Bool(value.as_bool().ok_or_else(wrong)?),
            "intValue" => Any::Int(int(value).ok_or_else(wrong)?),
            "doubleValue" => Any::Double(double(value).ok_or_else(wrong)?),
            "arrayValue" => {
                let inner = object(path, value)?;
                let values = elements(inner, "values")?.iter().map(|own| any_value(path, own));
                Any::Array(Array { values: values.collect::<Read<_>>()? })
            }
            "kvlistValue" => Any::List(List { values: list(object(path, value)?, "values", key_value)? }),
            "bytesValue" => {
                let text = value.as_str().ok_or_else(wrong)?;
                Any::Bytes(base64::engine::general_purpose::STANDARD.decode(text).map_err(|_| wrong())?)
            }
            _ => continue,
        });
    }
    Ok(AnyValue { value: any })
}

/// A member that is there and not null.
fn member<'v>(object: &'v Map<String, Value>, name: &str) -> Option<&'v Value> {
    object.get(name).filter(|value| !value.is_null())
}

fn object<'v>(path: &str, value: &'v Value) -> Read<&'v Map<String, Value>> {
    value.as_object().ok_or_else(|| not(path, value, "an object"))
}

fn elements<'v>(object: &'v Map<String, Value>, name: &str) -> Read<&'v [Value]> {
    let Some(value) = member(object, name) else { return Ok(&[]) };
    value.as_array().map(Vec::as_slice).ok_or_else(|| not(name, value, "an array"))
}

fn list<T>(
    parent: &Map<String, Value>,
    name: &str,
    each: impl Fn(&Map<String, Value>) -> Read<T>,
) -> Read<Vec<T>> {
    elements(parent, name)?.iter().map(|value| each(object(name, value)?)).collect()
}

fn text(object: &Map<String, Value>, name: &str) -> Read<String> {
    let Some(value) = member(object, name) else { return Ok(String::new()) };
    value.as_str().map(str::to_owned).ok_or_else(|| not(name, value, "text"))
}

fn number<N: TryFrom<u64> + Default>(object: &Map<String, Value>, name: &str) -> Read<N> {
    let Some(value) = member(object, name) else { return Ok(N::default()) };
    let number =
        value.as_u64().or_else(|| value.as_str()?.parse().ok()).and_then(|own| N::try_from(own).ok());
    number.ok_or_else(|| not(name, value, "a number that fits"))
}

fn int(value: &Value) -> Option<i64> {
    value.as_i64().or_else(|| value.as_str()?.parse().ok())
}

fn double(value: &Value) -> Option<f64> {
    value.as_f64().or_else(|| value.as_str()?.parse().ok())
}

/// A number, or the name of the enum's value: `SEVERITY_NUMBER_INFO2`.
fn severity(record: &Map<String, Value>) -> Read<i32> {
    let Some(value) = member(record, "severityNumber") else { return Ok(0) };
    let named = |name: &str| {
        let name = name.strip_prefix("SEVERITY_NUMBER_")?;
        let (level, step) =
            name.split_at(name.find(|char: char| char.is_ascii_digit()).unwrap_or(name.len()));
        let levels = ["TRACE", "DEBUG", "INFO", "WARN", "ERROR", "FATAL"];
        let level = levels.iter().position(|own| *own == level)?;
        let step =
            if step.is_empty() { 1 } else { step.parse().ok().filter(|step| (2..=4).contains(step))? };
        Some(level as i32 * 4 + step)
    };
    let number = value.as_i64().and_then(|own| i32::try_from(own).ok()).or_else(|| named(value.as_str()?));
    number.ok_or_else(|| not("severityNumber", value, "a number"))
}

/// Bytes of a hexadecimal text. What is none becomes one byte, which no id has: the record is then refused by itself.
fn hex(text: String) -> Vec<u8> {
    let digit = |byte: u8| char::from(byte).to_digit(16).map(|digit| digit as u8);
    let bytes = text.as_bytes().chunks(2).map(|pair| match pair {
        [high, low] => Some(digit(*high)? << 4 | digit(*low)?),
        _ => None,
    });
    bytes.collect::<Option<Vec<u8>>>().unwrap_or_else(|| vec![0])
}

fn not(path: &str, is: &Value, wanted: &str) -> Malformed {
    let path: String = path.chars().take(128).collect();
    Malformed(format!("{path} is {}, not {wanted}", kind(is)))
}
