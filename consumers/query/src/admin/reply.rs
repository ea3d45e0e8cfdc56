//! What a request to the admin API is answered.

use axum::Json;
use axum::http::StatusCode;
use axum::http::header::{ETAG, RETRY_AFTER, WWW_AUTHENTICATE};
use axum::response::{IntoResponse, Response};
use millrace_admin::control::Error;
use millrace_admin::{Kind, Refusal};
use serde_json::{Value, json};

#[derive(Debug, Clone, PartialEq)]
pub(super) struct Reply {
    pub(super) status: StatusCode,
    pub(super) body: Value,
    /// Version of the source or stream that it shows.
    pub(super) version: Option<i64>,
}

impl Reply {
    pub(super) fn new(status: StatusCode, body: Value) -> Reply {
        Reply { status, body, version: None }
    }

    pub(super) fn ok(body: Value) -> Reply {
        Reply::new(StatusCode::OK, body)
    }

    /// A refusal: what is wrong, and what to do.
    pub(super) fn refused(status: u16, reason: &str) -> Reply {
        let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        Reply::new(status, json!({ "error": reason }))
    }

    /// To be sent again.
    pub(super) fn later(reason: &str) -> Reply {
        Reply::refused(503, &format!("{reason}; try again later"))
    }

    /// Why `tried` was not done.
    pub(super) fn failed(tried: &str, error: &Error) -> Reply {
        match error {
            Error::Refused(refusal) => {
                let mut reply =
                    Reply::refused(status(refusal.kind), &format!("could not {tried}: {refusal}"));
                if let [_, _, ..] = &refusal.reasons[..] {
                    reply.body["faults"] = json!(refusal.reasons);
                }
                reply
            }
            Error::Kafka(error) => Reply::later(&format!(
                "could not {tried}: {error}; if this was a write, it is not known whether it was done: look first"
            )),
            Error::Codec(error) => Reply::refused(500, &format!("could not {tried}: {error}")),
        }
    }
}

impl From<Refusal> for Reply {
    fn from(refusal: Refusal) -> Reply {
        Reply::refused(status(refusal.kind), &refusal.to_string())
    }
}

fn status(kind: Kind) -> u16 {
    match kind {
        Kind::Wrong => 422,
        Kind::Missing => 404,
        Kind::Taken => 409,
        Kind::Stale => 412,
    }
}

impl IntoResponse for Reply {
    fn into_response(self) -> Response {
        let mut response = (self.status, Json(self.body)).into_response();
        let headers = response.headers_mut();
        if let Some(version) = self.version.and_then(|version| format!("\"{version}\"").parse().ok()) {
            headers.insert(ETAG, version);
        }
        if self.status == StatusCode::SERVICE_UNAVAILABLE {
            headers.insert(RETRY_AFTER, 2.into());
        }
        if self.status == StatusCode::UNAUTHORIZED {
            headers.insert(WWW_AUTHENTICATE, axum::http::HeaderValue::from_static("Bearer"));
        }
        response
    }
}
