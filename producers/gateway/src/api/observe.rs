//! Loki and OTLP.

use super::{Answer, Dialect, Promise, Reply, Request};
use crate::item::Taken;
use crate::protocol::loki::{self, PushError};
use crate::protocol::otlp::{self, Form, ReadError};
use crate::quota::Meter;

/// `POST /loki/api/v1/push`
pub(super) fn loki<'a>(request: &Request<'a>, body: &'a [u8], most: usize, meter: &Meter<'_>) -> Reply<'a> {
    let refuse = |status, reason: &str| Reply::Now(Dialect::Loki.refuse(request, status, reason, None));
    let read = loki::read(request.header("content-type"), "loki", body, most);
    match read.map(|taken| sifted(taken, meter)) {
        Err(error @ PushError::MediaType(_)) => refuse(415, &error.to_string()),
        Err(error @ PushError::TooMany(_)) => refuse(413, &error.to_string()),
        Err(error) => refuse(400, &error.to_string()),
        Ok(taken) if taken.is_hopeless() => refuse(400, &taken.refused[0].reason),
        Ok(taken) => {
            // Loki has no answer for parts: what is taken is taken, and the refusal says what is not.
            let answer = match taken.refused.first() {
                None => Answer { media_type: "", ..Answer::text(204, "") },
                Some(first) => {
                    let n_refused = taken.refused.len();
                    Answer::text(
                        400,
                        &format!("{n_refused} lines refused, the others taken: {}", first.reason),
                    )
                }
            };
            Reply::Commit(taken.items, Promise::Answer(answer))
        }
    }
}

/// `POST /v1/logs`
pub(super) fn otlp<'a>(request: &Request<'a>, body: &'a [u8], most: usize, meter: &Meter<'_>) -> Reply<'a> {
    let Some(form) = Form::of(&request.media_type()) else {
        let reason = "send application/json or application/x-protobuf; plain logs go to /v1/logs/{stream}";
        return Reply::Now(refuse_otlp(request, 415, reason));
    };
    match otlp::read(form, "otlp", body, most).map(|taken| sifted(taken, meter)) {
        Err(ReadError::TooMany(error)) => Reply::Now(refuse_otlp(request, 413, &error.to_string())),
        Err(error) => Reply::Now(refuse_otlp(request, 400, &error.to_string())),
        Ok(taken) if taken.is_hopeless() => Reply::Now(refuse_otlp(request, 400, &taken.refused[0].reason)),
        Ok(taken) => {
            let reason = taken.refused.first().map_or("", |own| own.reason.as_str());
            let body = otlp::answer(form, taken.refused.len(), reason);
            Reply::Commit(taken.items, Promise::Answer(Answer::new(200, form.media_type(), body)))
        }
    }
}

fn sifted<'a>(mut taken: Taken<'a>, meter: &Meter<'_>) -> Taken<'a> {
    meter.sift(&mut taken);
    taken
}

/// With the codes of gRPC, as OTLP says.
pub(super) fn refuse_otlp(request: &Request<'_>, status: u16, reason: &str) -> Answer {
    let form = Form::of(&request.media_type()).unwrap_or(Form::Json);
    let code = match status {
        401 => 16,
        403 => 7,
        404 => 5,
        408 => 4,
        413 | 429 => 8,
        415 => 12,
        500 => 13,
        503 => 14,
        _ => 3,
    };
    Answer::new(status, form.media_type(), otlp::refusal(form, code, reason))
}
