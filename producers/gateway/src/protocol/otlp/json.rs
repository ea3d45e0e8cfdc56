//! The JSON form, by protobuf's mapping: unknown members are ignored, null is absent, 64-bit numbers may be text. Unlike
//! that mapping, ids are hexadecimal (OTLP says so).

use std::fmt::Display;

use base64::Engine;
use serde_json::{Map, Value};

use super::message::{Any, AnyValue, Array, KeyValue, List, LogRecord, Scope};
use super::{ReadError, Records, Source};
use crate::item::Malformed;
use crate::json;
use crate::protocol::wire::MAX_PART;

type Read<T> = Result<T, Malformed>;

/// Reads a request record by record.
pub(super) fn read(body: &[u8], records: &mut Records<'_>) -> Result<(), ReadError> {
    let text = std::str::from_utf8(body).map_err(broken)?;
    let request = json::whole(text).map_err(broken)?;
    let [groups] = named("the request", request, ["resourceLogs"])?;
    for group in each("resourceLogs", groups)? {
        let [resource, scopes] = named("resourceLogs", group.map_err(broken)?, ["resource", "scopeLogs"])?;
        let resource = match resource.map(part).transpose()? {
            Some(own) => list(object("resource", &own)?, "attributes", key_value)?,
            None => Vec::new(),
        };
        let source = Source::new(&resource, records.default_stream);
        for scope_logs in each("scopeLogs", scopes)? {
            let found = named("scopeLogs", scope_logs.map_err(broken)?, ["scope", "logRecords"])?;
            let [own, log_records] = found;
            let scope = own.map(part).transpose()?;
            let scope = scope.map(|own| scope_of(object("scope", &own)?)).transpose()?;
            for record in each("logRecords", log_records)? {
                let record = record.map_err(broken)?;
                if record.len() > MAX_PART {
                    records.too_long(record.len())?;
                    continue;
                }
                let record = log_record(object("logRecords", &part(record)?)?)?;
                records.take(&source, scope.as_ref(), &record)?;
            }
        }
    }
    Ok(())
}

fn broken(error: impl Display) -> Malformed {
    Malformed(format!("the request is not JSON: {error}"))
}

/// Members of an object that are there and not null.
fn named<'a, const N: usize>(path: &str, object: &'a str, names: [&str; N]) -> Read<[Option<&'a str>; N]> {
    let found = json::named(object, names).map_err(|_| wrong(path, json::kind(object), "an object"))?;
    Ok(found.map(|value| value.filter(|value| *value != "null")))
}

/// Elements of an array, where there is one.
fn each<'a>(
    name: &str,
    array: Option<&'a str>,
) -> Read<impl Iterator<Item = Result<&'a str, String>> + use<'a>> {
    let array = array.unwrap_or("[]");
    json::elements(array).map_err(|_| wrong(name, json::kind(array), "an array"))
}

/// What is read as a tree of values.
fn part(text: &str) -> Read<Value> {
    if text.len() > MAX_PART {
        return Err(Malformed(format!("a part of the request has more than {MAX_PART} bytes")));
    }
    serde_json::from_str(text).map_err(broken)
}

fn scope_of(value: &Map<String, Value>) -> Read<Scope> {
    let (name, version) = (text(value, "name")?, text(value, "version")?);
    Ok(Scope { name, version, attributes: list(value, "attributes", key_value)? })
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
                // Some write null for a value that is empty.
                let value =
                    |own: &Value| if own.is_null() { Ok(AnyValue::default()) } else { any_value(path, own) };
                let values = elements(inner, "values")?.iter().map(value);
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
    wrong(path, json::kind(&is.to_string()), wanted)
}

fn wrong(path: &str, kind: &str, wanted: &str) -> Malformed {
    let path: String = path.chars().take(128).collect();
    Malformed(format!("{path} is {kind}, not {wanted}"))
}
