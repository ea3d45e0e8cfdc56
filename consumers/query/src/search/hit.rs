//! Rows as answers show them.

use base64::Engine;
use millrace_formats::split::Stored;
use millrace_schemas::dead::DeadLetter;
use millrace_schemas::manifest::TableName;
use millrace_schemas::{Attributes, Event, Fields, Origin, Position, RawEvent, Value};
use serde::Serialize;

use super::time;

/// One row.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Hit {
    /// Parsed line or dead letter.
    pub table: TableName,
    /// Event time, RFC 3339 with microseconds, UTC; of a dead letter, when it was read.
    pub time: String,
    /// When it was read.
    pub received: String,
    /// Stream.
    pub stream: String,
    /// Host.
    pub host: String,
    /// Path at first sight.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub file: Option<String>,
    /// Incarnation of the path.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub file_id: Option<String>,
    /// Where in the file.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub position: Option<HitPosition>,
    /// The line; what is not UTF-8 in it is replaced.
    pub body: String,
    /// The exact bytes, where they are not UTF-8.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub body_base64: Option<String>,
    /// Severity.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub severity: Option<String>,
    /// User.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// The message proper, where it is not the whole line.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// What the parser found, in the order of the line.
    pub fields: serde_json::Map<String, serde_json::Value>,
    /// What the producer added.
    #[serde(skip_serializing_if = "serde_json::Map::is_empty")]
    pub attributes: serde_json::Map<String, serde_json::Value>,
    /// What was odd.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub flags: Vec<String>,
    /// `id/version`
    pub parser: String,
    /// The raw record it came from.
    pub origin: HitOrigin,
    /// Why it is a dead letter: code.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Why it is a dead letter, for people.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
    /// Stage that refused it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stage: Option<String>,
}

/// Place of a line in its file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct HitPosition {
    /// Offset of its first byte.
    pub byte: i64,
    /// Line ends before it.
    pub line: i64,
}

/// Identity of a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct HitOrigin {
    /// Generation of the raw topic; of a dead letter not known here.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub generation: Option<i32>,
    /// Partition.
    pub partition: i32,
    /// Offset.
    pub offset: i64,
}

impl Hit {
    /// Shows a stored row.
    pub(super) fn of(stored: &Stored<'_>) -> Hit {
        match stored {
            Stored::Event(event) => Hit::event(event),
            Stored::Dead(letter, raw) => Hit::dead(letter, raw),
        }
    }

    fn event(event: &Event<'_>) -> Hit {
        let Origin { generation, partition, offset } = event.origin;
        Hit {
            time: time::show(event.time),
            severity: event.severity.as_deref().map(str::to_owned),
            user: event.user.as_deref().map(str::to_owned),
            message: event.message.as_deref().map(str::to_owned),
            fields: fields(&event.fields),
            flags: event.flags.iter().map(|flag| flag.to_string()).collect(),
            parser: format!("{}/{}", event.parser.id, event.parser.version),
            origin: HitOrigin { generation: Some(generation), partition, offset },
            ..Hit::line(TableName::Events, &event.raw())
        }
    }

    fn dead(letter: &DeadLetter, raw: &RawEvent<'_>) -> Hit {
        Hit {
            parser: format!("{}/{}", letter.parser, letter.parser_version),
            origin: HitOrigin { generation: None, partition: letter.partition, offset: letter.offset },
            reason: Some(letter.reason.clone()),
            detail: Some(letter.detail.clone()),
            stage: Some(letter.stage.clone()),
            ..Hit::line(TableName::Dead, raw)
        }
    }

    fn line(table: TableName, raw: &RawEvent<'_>) -> Hit {
        let is_text = std::str::from_utf8(raw.body).is_ok();
        Hit {
            table,
            time: time::show(raw.received),
            received: time::show(raw.received),
            stream: raw.stream.to_owned(),
            host: raw.host.to_owned(),
            file: raw.file.map(str::to_owned),
            file_id: raw.file_id.map(str::to_owned),
            position: raw.position.map(|Position { byte, line }| HitPosition { byte, line }),
            body: String::from_utf8_lossy(raw.body).into_owned(),
            body_base64: (!is_text).then(|| base64::engine::general_purpose::STANDARD.encode(raw.body)),
            severity: None,
            user: None,
            message: None,
            fields: serde_json::Map::new(),
            attributes: attributes(&raw.attributes),
            flags: Vec::new(),
            parser: String::new(),
            origin: HitOrigin { generation: None, partition: 0, offset: 0 },
            reason: None,
            detail: None,
            stage: None,
        }
    }
}

fn fields(fields: &Fields<'_>) -> serde_json::Map<String, serde_json::Value> {
    let value = |value: &Value<'_>| match value {
        Value::String(text) => text.as_ref().into(),
        Value::Long(number) => (*number).into(),
        Value::Double(number) => (*number).into(), // null where JSON has no such number
        Value::Boolean(truth) => (*truth).into(),
    };
    fields.0.iter().map(|(name, own)| (name.to_string(), value(own))).collect()
}

fn attributes(attributes: &Attributes<'_>) -> serde_json::Map<String, serde_json::Value> {
    attributes.0.iter().map(|(name, value)| (name.to_string(), value.as_ref().into())).collect()
}
