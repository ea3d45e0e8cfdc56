//! OTLP logs over HTTP, JSON or protobuf: both forms give the same records, and each record one JSON document.

mod json;
mod message;
mod record;

use crate::item::{Item, Malformed, Room, TIME, Taken, TooMany, stream_of};

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
    let request = match form {
        Form::Json => json::read(body)?,
        Form::Protobuf => message::Request::read(body)?,
    };
    let mut taken = Taken::default();
    let mut room = Room::new(2 * most);
    let mut at = 0;
    for group in &request.resource_logs {
        let resource = group.resource.as_ref().map(|own| own.attributes.as_slice()).unwrap_or_default();
        let named =
            |name: &str| resource.iter().find(|own| own.key == name).and_then(message::KeyValue::text);
        let stream = named("service.name").and_then(stream_of).unwrap_or_else(|| default_stream.to_owned());
        let host = HOSTS.iter().find_map(|name| named(name)).map(str::to_owned);
        for scope in &group.scope_logs {
            for record in &scope.log_records {
                match record::document(resource, scope.scope.as_ref(), record) {
                    Ok(document) => {
                        room.take(document.len())?;
                        let mut item = Item::new(stream.clone(), document.into_bytes());
                        item.host = host.clone().filter(|host| !host.is_empty()).map(Into::into);
                        if let Some(nanos) = record.nanos() {
                            item.attribute(TIME, nanos.to_string());
                        }
                        taken.push(at, item);
                    }
                    Err(reason) => {
                        room.take(reason.len())?;
                        taken.refuse(at, reason);
                    }
                }
                at += 1;
            }
        }
    }
    Ok(taken)
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

#[cfg(test)]
mod tests;
