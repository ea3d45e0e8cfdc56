//! Our own interface and the two early ones.

use std::borrow::Cow;

use millrace_schemas::id::stream_fault;
use serde_json::json;

use super::{Answer, Dialect, Promise, Reply, Request, listed};
use crate::protocol::{native, store};
use crate::quota::Meter;

/// Stream of `POST /store/batch`.
const STORE: &str = "store";
/// Stream of `POST /message/send`.
const MESSAGES: &str = "messages";

/// Longest idempotency key.
const MAX_KEY: usize = 256;

fn refuse<'a>(request: &Request<'_>, status: u16, reason: &str) -> Reply<'a> {
    Reply::Now(Dialect::Plain.refuse(request, status, reason, None))
}

/// `POST /v1/logs/{stream}`
pub(super) fn logs<'a>(
    request: &Request<'a>,
    stream: Cow<'a, str>,
    body: &'a [u8],
    meter: &Meter<'_>,
) -> Reply<'a> {
    if !millrace_schemas::id::valid_stream(&stream) {
        return refuse(request, 400, &stream_fault(&stream));
    }
    let key = request.header("idempotency-key");
    if key.len() > MAX_KEY {
        return refuse(
            request,
            400,
            &format!("Idempotency-Key has {} bytes, at most {MAX_KEY} are taken", key.len()),
        );
    }
    let host = request.parameter("host").unwrap_or(Cow::Borrowed(request.header("x-millrace-host")));
    let about = native::About {
        stream,
        host: (!host.is_empty()).then_some(host),
        idempotency_key: (!key.is_empty()).then_some(key),
    };
    let mut taken = match native::read(&request.media_type(), &about, body) {
        Ok(taken) => taken,
        Err(error) => return refuse(request, 400, &error.to_string()),
    };
    meter.sift(&mut taken);
    let (n_items, n_refused) = (taken.items.len(), taken.refused.len());
    let errors = listed(&taken.refused);
    if taken.is_hopeless() {
        let body =
            json!({"error": "nothing in this request can be taken", "rejected": n_refused, "errors": errors});
        return Reply::Now(Answer::json(400, &body));
    }
    let answer = match n_refused {
        0 => json!({ "accepted": n_items }),
        _ => json!({"accepted": n_items, "rejected": n_refused, "errors": errors}),
    };
    Reply::Commit(taken.items, Promise::Answer(Answer::json(200, &answer)))
}

/// `POST /store/batch`
pub(super) fn store<'a>(request: &Request<'a>, body: &'a [u8]) -> Reply<'a> {
    match store::batch(STORE, body) {
        Err(error) => refuse(request, 400, &error.to_string()),
        // Its clients send a batch again as a whole: nothing is taken of one with a line that cannot be.
        Ok(taken) if !taken.refused.is_empty() => {
            let body = json!({"error": "some lines cannot be stored", "errors": listed(&taken.refused)});
            Reply::Now(Answer::json(400, &body))
        }
        Ok(taken) => Reply::Commit(taken.items, Promise::Stored),
    }
}

/// `POST /message/send`
pub(super) fn message<'a>(request: &Request<'a>, body: &'a [u8]) -> Reply<'a> {
    match store::message(MESSAGES, body) {
        Err(error) => refuse(request, 400, &error.to_string()),
        Ok(item) => {
            let answer = Answer::json(202, &json!({"id": request.nonce}));
            Reply::Commit(vec![item], Promise::Answer(answer))
        }
    }
}
