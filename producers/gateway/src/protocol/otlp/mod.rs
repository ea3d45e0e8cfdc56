//! OTLP logs, JSON or protobuf: both forms give the same records, and each record one JSON document.

mod json;
mod message;
mod protobuf;
mod record;

use self::message::{KeyValue, LogRecord, Scope};
use crate::item::{Item, Malformed, Room, TIME, Taken, TooMany, stream_of};
use crate::protocol::wire::MAX_PART;

/// The two forms; the answer has that of the request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// `application/json`
    Json,
    /// `application/x-protobuf`
    Protobuf,
}

impl Form {
    /// By media type without parameters, lower case.
    pub fn of(media_type: &str) -> Option<Form> {
        match media_type {
            "application/json" => Some(Form::Json),
            "application/x-protobuf" | "application/protobuf" => Some(Form::Protobuf),
            _ => None,
        }
    }

    /// Its media type.
    pub fn media_type(self) -> &'static str {
        match self {
            Form::Json => "application/json",
            Form::Protobuf => "application/x-protobuf",
        }
    }
}

/// Why a request is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReadError {
    /// Not of the form that the media type promises.
    #[error(transparent)]
    Malformed(#[from] Malformed),
    /// Too much at once.
    #[error(transparent)]
    TooMany(#[from] TooMany),
}

/// Resource attributes that name the host.
const HOSTS: [&str; 3] = ["host.name", "k8s.node.name", "host.id"];

/// Reads an `ExportLogsServiceRequest`. Lines go to `default_stream` where no `service.name` names one.
///
/// Documents together of not more than twice `most`.
///
/// # Errors
/// [`ReadError`]. A record with an id of a wrong length is refused by itself.
pub fn read(form: Form, default_stream: &str, body: &[u8], most: usize) -> Result<Taken<'static>, ReadError> {
    let mut records = Records { default_stream, taken: Taken::default(), room: Room::new(2 * most), at: 0 };
    match form {
        Form::Protobuf => protobuf::read(body, &mut records)?,
        Form::Json => json::read(body, &mut records)?,
    }
    Ok(records.taken)
}

/// What a resource says of its records.
struct Source<'r> {
    resource: &'r [KeyValue],
    stream: String,
    host: Option<String>,
}

impl<'r> Source<'r> {
    fn new(resource: &'r [KeyValue], default_stream: &str) -> Source<'r> {
        let named = |name: &str| resource.iter().find(|own| own.key == name).and_then(KeyValue::text);
        let stream = named("service.name").and_then(stream_of).unwrap_or_else(|| default_stream.to_owned());
        let host = HOSTS.iter().find_map(|name| named(name)).map(str::to_owned);
        Source { resource, stream, host: host.filter(|host| !host.is_empty()) }
    }
}

/// Records as they are read, and what they become.
struct Records<'s> {
    default_stream: &'s str,
    taken: Taken<'static>,
    room: Room,
    at: usize,
}

impl Records<'_> {
    fn take(
        &mut self,
        source: &Source<'_>,
        scope: Option<&Scope>,
        record: &LogRecord,
    ) -> Result<(), TooMany> {
        let document = match record::document(source.resource, scope, record) {
            Ok(document) => document,
            Err(reason) => return self.refuse(reason),
        };
        self.room.take(document.len())?;
        let mut item = Item::new(source.stream.clone(), document.into_bytes());
        item.host = source.host.clone().map(Into::into);
        if let Some(nanos) = record.nanos() {
            item.attribute(TIME, nanos.to_string());
        }
        self.taken.push(self.at, item);
        self.at += 1;
        Ok(())
    }

    /// Refuses a record that is too long to be read.
    fn too_long(&mut self, n_bytes: usize) -> Result<(), TooMany> {
        self.refuse(format!("a record has {n_bytes} bytes, at most {MAX_PART} are taken"))
    }

    fn refuse(&mut self, reason: String) -> Result<(), TooMany> {
        self.room.take(reason.len())?;
        self.taken.refuse(self.at, reason);
        self.at += 1;
        Ok(())
    }
}

/// The answer to a request whose records were taken, but for `n_refused` of them.
pub fn answer(form: Form, n_refused: usize, reason: &str) -> Vec<u8> {
    match form {
        Form::Protobuf => message::Response::bytes(n_refused, reason),
        Form::Json if n_refused == 0 => b"{}".to_vec(),
        Form::Json => {
            let partial =
                serde_json::json!({"rejectedLogRecords": n_refused.to_string(), "errorMessage": reason});
            serde_json::json!({ "partialSuccess": partial }).to_string().into_bytes()
        }
    }
}

/// The answer to a request that was refused: `google.rpc.Status`.
pub fn refusal(form: Form, code: i32, reason: &str) -> Vec<u8> {
    match form {
        Form::Protobuf => message::Status::bytes(code, reason),
        Form::Json => serde_json::json!({"code": code, "message": reason}).to_string().into_bytes(),
    }
}

/// Code and reason of a refusal in protobuf, and the same refusal with after how many seconds to come again.
pub(crate) fn ended(refusal: &[u8], retry: Option<u32>) -> (i32, String, Vec<u8>) {
    message::Status::ended(refusal, retry)
}

#[cfg(test)]
mod tests;
