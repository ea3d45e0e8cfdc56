//! What a request is answered, as a function: either at once, or with an answer that holds once its items are committed.
//! No I/O: the server brings bytes here and carries answers back.

mod elastic;
pub mod grpc;
mod native;
mod observe;
mod splunk;

use std::borrow::Cow;

use millrace_schemas::{TraceContext, trace};
use serde_json::Value;

use crate::encoding::{self, EncodingError};
use crate::item::{Item, MAX_ITEMS, Refusal, too_many};
use crate::protocol::bulk::Operation;
use crate::quota::Meter;

/// A request, but for its body.
#[derive(Debug, Clone, Copy)]
pub struct Request<'a> {
    /// Method, upper case.
    pub method: &'a str,
    /// Path, as it was sent.
    pub path: &'a str,
    /// Query string, as it was sent.
    pub query: &'a str,
    /// Headers by name, lower case.
    pub headers: &'a [(&'a str, &'a str)],
    /// Unique: what ids in answers are made of.
    pub nonce: &'a str,
}

impl<'a> Request<'a> {
    /// The header `name`, empty where there is none.
    pub fn header(&self, name: &str) -> &'a str {
        self.headers.iter().find(|(own, _)| *own == name).map_or("", |(_, value)| *value)
    }

    /// The trace that it belongs to.
    pub(crate) fn trace(&self) -> Option<TraceContext> {
        TraceContext::parse(self.header(trace::HEADER).as_bytes())
    }

    /// Media type without parameters, lower case.
    pub(crate) fn media_type(&self) -> String {
        let header = self.header("content-type");
        header.split(';').next().unwrap_or_default().trim().to_ascii_lowercase()
    }

    /// Value of a query parameter, decoded.
    pub fn parameter(&self, name: &str) -> Option<Cow<'a, str>> {
        let pairs = self.query.split('&').map(|pair| pair.split_once('=').unwrap_or((pair, "")));
        let mut values = pairs.filter_map(|(own, value)| (decoded(own, true)? == name).then_some(value));
        decoded(values.next()?, true)
    }

    /// Parts of the path, decoded; `None` where one is not UTF-8.
    pub(crate) fn parts(&self) -> Option<Vec<Cow<'a, str>>> {
        let parts = self.path.split('/').filter(|part| !part.is_empty());
        parts.map(|part| decoded(part, false)).collect()
    }
}

/// Undoes percent signs (and, in queries, plus signs); `None` where the result is not UTF-8.
fn decoded(text: &str, plus: bool) -> Option<Cow<'_, str>> {
    let is_plain = |byte: u8| byte != b'%' && !(plus && byte == b'+');
    if text.bytes().all(is_plain) {
        return Some(Cow::Borrowed(text));
    }
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&byte, after)) = rest.split_first() {
        rest = after;
        let digit = |at: usize| after.get(at).and_then(|byte| char::from(*byte).to_digit(16));
        match (byte, digit(0), digit(1)) {
            (b'%', Some(high), Some(low)) => {
                bytes.push((high * 16 + low) as u8);
                rest = &after[2..];
            }
            (b'+', _, _) if plus => bytes.push(b' '),
            _ => bytes.push(byte),
        }
    }
    String::from_utf8(bytes).ok().map(Cow::Owned)
}

/// An answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// HTTP status.
    pub status: u16,
    /// Content-Type.
    pub media_type: &'static str,
    /// Further headers.
    pub headers: Vec<(&'static str, String)>,
    /// Body.
    pub body: Vec<u8>,
}

impl Answer {
    fn new(status: u16, media_type: &'static str, body: impl Into<Vec<u8>>) -> Answer {
        Answer { status, media_type, headers: Vec::new(), body: body.into() }
    }

    pub(crate) fn json(status: u16, body: &Value) -> Answer {
        Answer::new(status, "application/json", body.to_string())
    }

    /// A refusal in our own words.
    pub(crate) fn refused(status: u16, reason: &str) -> Answer {
        Answer::json(status, &serde_json::json!({ "error": reason }))
    }

    fn text(status: u16, body: &str) -> Answer {
        Answer::new(status, "text/plain; charset=utf-8", body)
    }
}

/// Who speaks: decides how refusals look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dialect {
    /// Our own and the two early interfaces.
    Plain,
    /// Elasticsearch.
    Elastic,
    /// Loki: plain text.
    Loki,
    /// OTLP: a status in the form of the request.
    Otlp,
    /// Splunk.
    Splunk,
}

impl Dialect {
    /// By path. What is none of ours is below an index of Elasticsearch, whatever its version: its clients look for a
    /// status in the answer, and rsyslog takes one without for a yes.
    pub fn of(path: &str) -> Dialect {
        let mut parts = path.split('/').filter(|part| !part.is_empty());
        match (parts.next(), parts.next()) {
            (Some("v1"), Some("logs")) if parts.next().is_none() => Dialect::Otlp,
            (_, Some(own)) if own.starts_with('_') => Dialect::Elastic,
            (Some("loki"), _) => Dialect::Loki,
            (Some("services"), Some("collector")) => Dialect::Splunk,
            (Some("v1" | "api" | "store" | "message" | "ruok"), _) => Dialect::Plain,
            _ => Dialect::Elastic,
        }
    }

    /// A refusal in these words; `retry` is after how many seconds to try again.
    pub fn refuse(self, request: &Request<'_>, status: u16, reason: &str, retry: Option<u32>) -> Answer {
        let mut answer = match self {
            Dialect::Plain => Answer::refused(status, reason),
            Dialect::Elastic => elastic::refuse(request, status, reason),
            Dialect::Loki => Answer::text(status, reason),
            Dialect::Otlp => observe::refuse_otlp(request, status, reason),
            Dialect::Splunk => splunk::refuse(status, reason),
        };
        if let Some(seconds) = retry {
            answer.headers.push(("retry-after", seconds.to_string()));
        }
        answer
    }
}

/// What to do with a request.
#[derive(Debug, PartialEq)]
pub enum Reply<'a> {
    /// Answer, at once.
    Now(Answer),
    /// Commit the items, then answer.
    Commit(Vec<Item<'a>>, Promise),
}

/// What is answered once all is committed.
#[derive(Debug, PartialEq)]
pub enum Promise {
    /// This.
    Answer(Answer),
    /// This, once a search finds the items.
    Found(Answer),
    /// How many items were new and how many were known: the early interface's counts.
    Stored,
}

impl Promise {
    /// Bytes that it holds.
    pub(crate) fn size(&self) -> usize {
        match self {
            Promise::Answer(answer) | Promise::Found(answer) => answer.body.capacity(),
            Promise::Stored => 0,
        }
    }

    /// The answer, where `n_known` of `n_items` had been committed before.
    pub fn keep(self, n_items: usize, n_known: usize) -> Answer {
        match self {
            Promise::Answer(answer) | Promise::Found(answer) => answer,
            Promise::Stored => {
                Answer::json(200, &serde_json::json!({"stored": n_items - n_known, "duplicate": n_known}))
            }
        }
    }
}

/// Unpacks a body.
///
/// # Errors
/// The refusal.
pub fn unpack<'a>(request: &Request<'_>, body: &'a [u8], most: usize) -> Result<Cow<'a, [u8]>, Answer> {
    let mut encoding = request.header("content-encoding");
    // What Loki's form is packed in by itself some senders name here, too, as Loki allows.
    let is_block = request.path.trim_end_matches('/') == "/loki/api/v1/push"
        && request.media_type() == "application/x-protobuf";
    if is_block && encoding.trim().eq_ignore_ascii_case("snappy") {
        encoding = "";
    }
    encoding::decode(encoding, body, most).map_err(|error| {
        let status = match &error {
            EncodingError::TooLarge { .. } => 413,
            EncodingError::Unknown(_) => 415,
            EncodingError::Damaged { .. } => 400,
        };
        Dialect::of(request.path).refuse(request, status, &error.to_string(), None)
    })
}

/// Reads a request whose body has been unpacked. `most` bounds what is packed within it; of its lines those are taken
/// that `meter` allows.
pub fn read<'a>(request: &Request<'a>, body: &'a [u8], most: usize, meter: &Meter<'_>) -> Reply<'a> {
    let reply = route(request, body, most, meter);
    // Where the protocol has no answer for parts, all may be taken or nothing; `_bulk` has asked for each document.
    let over = match &reply {
        Reply::Commit(items, _) if !request.path.ends_with("/_bulk") => meter.take(items).err(),
        _ => None,
    };
    over.map_or(reply, |over| {
        let dialect = Dialect::of(request.path);
        Reply::Now(dialect.refuse(request, over.status(), &over.reason, over.retry()))
    })
}

fn route<'a>(request: &Request<'a>, body: &'a [u8], most: usize, meter: &Meter<'_>) -> Reply<'a> {
    let dialect = Dialect::of(request.path);
    let refuse = |status, reason: &str| Reply::Now(dialect.refuse(request, status, reason, None));
    let Some(owned) = request.parts() else { return refuse(400, "the path is not UTF-8") };
    let body = without_mark(request, body);
    let parts: Vec<&str> = owned.iter().map(AsRef::as_ref).collect();
    if is_too_many(dialect, body) {
        return refuse(413, &too_many());
    }
    match (request.method, parts.as_slice()) {
        ("GET" | "HEAD", ["ruok"]) => Reply::Now(Answer::text(200, "imok")),
        ("POST", ["v1", "logs", _]) => native::logs(request, owned[2].clone(), body, meter),
        ("POST", ["v1", "logs"]) => observe::otlp(request, body, most, meter),
        ("POST", ["loki", "api", "v1", "push"]) => observe::loki(request, body, most, meter),
        ("POST", ["store", "batch"]) => native::store(request, body),
        ("POST", ["message", "send"]) => native::message(request, body),
        (method, ["services", "collector", rest @ ..]) => splunk::collector(request, method, rest, body),
        ("POST" | "PUT", ["_bulk"]) => elastic::bulk(request, None, body, meter),
        // Between index and `_bulk` older clients name the type of their documents.
        ("POST" | "PUT", [_, "_bulk"] | [_, _, "_bulk"]) => {
            elastic::bulk(request, Some(owned[0].clone()), body, meter)
        }
        ("POST" | "PUT", [_, "_doc" | "_create", rest @ ..]) if rest.len() < 2 => {
            let is_new = parts[1] == "_create" || request.parameter("op_type").as_deref() == Some("create");
            let operation = if is_new { Operation::Create } else { Operation::Index };
            elastic::document(request, operation, owned[0].clone(), owned.get(2).cloned(), body)
        }
        (method, parts) => match elastic::handshake(request, method, parts) {
            Some(answer) => Reply::Now(answer),
            None if known(parts) => refuse(405, "this path does not take that method"),
            None => refuse(404, "no such path; docs/ingest.md lists those that take lines"),
        },
    }
}

/// Some write UTF-8's mark before JSON: it is no part of a document.
fn without_mark<'a>(request: &Request<'_>, body: &'a [u8]) -> &'a [u8] {
    let rest = body.strip_prefix(b"\xef\xbb\xbf").filter(|_| !request.media_type().starts_with("text/"));
    let is_json = |rest: &&[u8]| matches!(rest.trim_ascii_start().first(), Some(b'{' | b'['));
    rest.filter(is_json).unwrap_or(body)
}

/// Whether `body` holds more than is taken at once, told before anything is made of it: what a line or a value costs in
/// memory is many times a body of one byte.
fn is_too_many(dialect: Dialect, body: &[u8]) -> bool {
    let n_lines = memchr::memchr_iter(b'\n', body).count();
    match dialect {
        // Two lines a document.
        Dialect::Elastic => n_lines > 2 * MAX_ITEMS,
        Dialect::Plain | Dialect::Splunk => n_lines > MAX_ITEMS,
        // These are counted as they are read.
        Dialect::Loki | Dialect::Otlp => false,
    }
}

fn known(parts: &[&str]) -> bool {
    matches!(
        parts,
        ["ruok" | "_bulk"]
            | ["v1", "logs" | "batches", ..]
            | ["loki", "api", "v1", "push"]
            | ["store", "batch" | "log"]
            | ["message", "send"]
            | [_, "_bulk"]
            | [_, _, "_bulk"]
    )
}

/// The first few refusals, for people.
fn listed(refused: &[Refusal]) -> Vec<Value> {
    let shown = refused.iter().take(100);
    shown.map(|own| serde_json::json!({"item": own.at, "reason": own.reason})).collect()
}

#[cfg(test)]
mod tests;
