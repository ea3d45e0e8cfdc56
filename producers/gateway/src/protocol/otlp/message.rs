//! The messages of `opentelemetry/proto/collector/logs/v1`, as far as logs need them.

use prost::{Message, Oneof};

const RETRY_INFO: &str = "type.googleapis.com/google.rpc.RetryInfo";
/// Longest message of an error, characters.
const MAX_MESSAGE: usize = 512;

#[derive(Clone, PartialEq, Message)]
pub(super) struct Resource {
    #[prost(message, repeated, tag = "1")]
    pub(super) attributes: Vec<KeyValue>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct Scope {
    #[prost(string, tag = "1")]
    pub(super) name: String,
    #[prost(string, tag = "2")]
    pub(super) version: String,
    #[prost(message, repeated, tag = "3")]
    pub(super) attributes: Vec<KeyValue>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct LogRecord {
    #[prost(fixed64, tag = "1")]
    pub(super) time_unix_nano: u64,
    #[prost(int32, tag = "2")]
    pub(super) severity_number: i32,
    #[prost(string, tag = "3")]
    pub(super) severity_text: String,
    #[prost(message, optional, tag = "5")]
    pub(super) body: Option<AnyValue>,
    #[prost(message, repeated, tag = "6")]
    pub(super) attributes: Vec<KeyValue>,
    #[prost(uint32, tag = "7")]
    pub(super) dropped_attributes_count: u32,
    #[prost(fixed32, tag = "8")]
    pub(super) flags: u32,
    #[prost(bytes = "vec", tag = "9")]
    pub(super) trace_id: Vec<u8>,
    #[prost(bytes = "vec", tag = "10")]
    pub(super) span_id: Vec<u8>,
    #[prost(fixed64, tag = "11")]
    pub(super) observed_time_unix_nano: u64,
    #[prost(string, tag = "12")]
    pub(super) event_name: String,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct KeyValue {
    #[prost(string, tag = "1")]
    pub(super) key: String,
    #[prost(message, optional, tag = "2")]
    pub(super) value: Option<AnyValue>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct AnyValue {
    #[prost(oneof = "Any", tags = "1, 2, 3, 4, 5, 6, 7")]
    pub(super) value: Option<Any>,
}

#[derive(Clone, PartialEq, Oneof)]
pub(super) enum Any {
    #[prost(string, tag = "1")]
    String(String),
    #[prost(bool, tag = "2")]
    Bool(bool),
    #[prost(int64, tag = "3")]
    Int(i64),
    #[prost(double, tag = "4")]
    Double(f64),
    #[prost(message, tag = "5")]
    Array(Array),
    #[prost(message, tag = "6")]
    List(List),
    #[prost(bytes, tag = "7")]
    Bytes(Vec<u8>),
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct Array {
    #[prost(message, repeated, tag = "1")]
    pub(super) values: Vec<AnyValue>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct List {
    #[prost(message, repeated, tag = "1")]
    pub(super) values: Vec<KeyValue>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct Response {
    #[prost(message, optional, tag = "1")]
    partial_success: Option<Partial>,
}

#[derive(Clone, PartialEq, Message)]
struct Partial {
    #[prost(int64, tag = "1")]
    rejected_log_records: i64,
    #[prost(string, tag = "2")]
    error_message: String,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct Status {
    #[prost(int32, tag = "1")]
    code: i32,
    #[prost(string, tag = "2")]
    message: String,
    #[prost(message, repeated, tag = "3")]
    details: Vec<Detail>,
}

/// `google.protobuf.Any`
#[derive(Clone, PartialEq, Message)]
struct Detail {
    #[prost(string, tag = "1")]
    type_url: String,
    #[prost(bytes = "vec", tag = "2")]
    value: Vec<u8>,
}

/// `google.rpc.RetryInfo`
#[derive(Clone, PartialEq, Message)]
struct RetryInfo {
    #[prost(message, optional, tag = "1")]
    retry_delay: Option<Delay>,
}

/// `google.protobuf.Duration`
#[derive(Clone, PartialEq, Message)]
struct Delay {
    #[prost(int64, tag = "1")]
    seconds: i64,
}

impl KeyValue {
    /// Its value, where that is text.
    pub(super) fn text(&self) -> Option<&str> {
        match self.value.as_ref()?.value.as_ref()? {
            Any::String(text) => Some(text),
            _ => None,
        }
    }
}

impl LogRecord {
    /// When it happened, or else was observed.
    pub(super) fn nanos(&self) -> Option<u64> {
        [self.time_unix_nano, self.observed_time_unix_nano].into_iter().find(|nanos| *nanos != 0)
    }
}

impl Response {
    pub(super) fn bytes(n_refused: usize, reason: &str) -> Vec<u8> {
        let partial = Partial { rejected_log_records: n_refused as i64, error_message: reason.to_owned() };
        Response { partial_success: (n_refused > 0).then_some(partial) }.encode_to_vec()
    }
}

impl Status {
    pub(super) fn bytes(code: i32, message: &str) -> Vec<u8> {
        Status { code, message: message.to_owned(), details: Vec::new() }.encode_to_vec()
    }

    /// Code and message of what [`Status::bytes`] gave, and the same with when to come again. Not longer than what fits
    /// the head of an answer.
    pub(super) fn ended(bytes: &[u8], retry: Option<u32>) -> (i32, String, Vec<u8>) {
        let mut status = Status::decode(bytes).unwrap_or_default();
        status.message = status.message.chars().take(MAX_MESSAGE).collect();
        status.details.extend(retry.map(|seconds| {
            let info = RetryInfo { retry_delay: Some(Delay { seconds: i64::from(seconds) }) };
            Detail { type_url: RETRY_INFO.to_owned(), value: info.encode_to_vec() }
        }));
        let bytes = status.encode_to_vec();
        (status.code, status.message, bytes)
    }
}
