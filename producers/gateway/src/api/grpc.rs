//! OTLP over gRPC is OTLP over HTTP in other frames: what a call brings becomes the same request, and the answer becomes the
//! end of the call. No I/O.

use base64::Engine;

use super::{Answer, Request};
use crate::item::Malformed;
use crate::protocol::otlp::{self, Form};

/// The one call that is served.
pub const EXPORT: &str = "/opentelemetry.proto.collector.logs.v1.LogsService/Export";
/// What calls may be packed with.
pub const ENCODINGS: &str = "identity,gzip,zstd,deflate,snappy";
/// Bytes before a message.
pub const PREFIX: usize = 5;

const UNIMPLEMENTED: i32 = 12;

/// What stands before a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Prefix {
    /// Whether it is packed, as `grpc-encoding` says.
    pub is_packed: bool,
    /// Its bytes, as they are sent.
    pub length: usize,
}

impl Prefix {
    /// Reads it.
    ///
    /// # Errors
    /// A first byte that means nothing.
    pub fn read([flag, length @ ..]: [u8; PREFIX]) -> Result<Prefix, Malformed> {
        if flag > 1 {
            return Err(Malformed(format!("a message begins with {flag}, neither 0 nor 1")));
        }
        Ok(Prefix { is_packed: flag == 1, length: u32::from_be_bytes(length) as usize })
    }

    fn bytes(self) -> [u8; PREFIX] {
        let [a, b, c, d] = (self.length as u32).to_be_bytes();
        [u8::from(self.is_packed), a, b, c, d]
    }
}

/// The headers of the request that a call with this metadata stands for.
pub fn headers<'a>(metadata: &[(&'a str, &'a str)], is_packed: bool) -> Vec<(&'a str, &'a str)> {
    let named = metadata.iter().find(|(name, _)| *name == "grpc-encoding").map(|(_, value)| *value);
    // A message that is packed in a way that nobody names is not to be taken for one that is not packed.
    let encoding = is_packed.then(|| named.filter(|own| *own != "identity").unwrap_or("unnamed"));
    let others = metadata.iter().filter(|(name, _)| !name.starts_with("content-")).copied();
    let own = [("content-type", Form::Protobuf.media_type())];
    own.into_iter().chain(encoding.map(|value| ("content-encoding", value))).chain(others).collect()
}

/// The request that a call stands for.
pub fn request<'a>(headers: &'a [(&'a str, &'a str)], nonce: &'a str) -> Request<'a> {
    Request { method: "POST", path: "/v1/logs", query: "", headers, nonce }
}

/// How a call ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct End {
    /// What comes before the trailers: a message with its prefix, or nothing.
    pub message: Vec<u8>,
    /// Names and values.
    pub trailers: Vec<(&'static str, String)>,
}

impl End {
    /// With what was answered.
    pub fn of(answer: &Answer) -> End {
        if answer.status == 200 {
            let prefix = Prefix { is_packed: false, length: answer.body.len() };
            let message = [&prefix.bytes()[..], &answer.body].concat();
            return End { message, trailers: vec![("grpc-status", "0".to_owned())] };
        }
        let retry = answer.headers.iter().find(|(name, _)| *name == "retry-after");
        End::refused(&answer.body, retry.and_then(|(_, seconds)| seconds.parse().ok()))
    }

    /// Of a call that is not served.
    pub fn unimplemented(path: &str) -> End {
        let path: String = path.chars().take(128).collect();
        let reason = format!("{path} is not served: this gateway takes logs, by {EXPORT}");
        End::refused(&otlp::refusal(Form::Protobuf, UNIMPLEMENTED, &reason), None)
    }

    fn refused(status: &[u8], retry: Option<u32>) -> End {
        let (code, reason, details) = otlp::ended(status, retry);
        let details = base64::engine::general_purpose::STANDARD_NO_PAD.encode(details);
        let pushback =
            retry.map(|seconds| ("grpc-retry-pushback-ms", format!("{}", u64::from(seconds) * 1_000)));
        let trailers = [
            ("grpc-status", code.to_string()),
            ("grpc-message", escaped(&reason)),
            ("grpc-status-details-bin", details),
        ];
        End { message: Vec::new(), trailers: trailers.into_iter().chain(pushback).collect() }
    }
}

/// As gRPC has its messages: percent signs for what is not printable ASCII.
fn escaped(text: &str) -> String {
    text.bytes().fold(String::with_capacity(text.len()), |mut escaped, byte| {
        match byte {
            b' '..=b'~' if byte != b'%' => escaped.push(char::from(byte)),
            _ => escaped.push_str(&format!("%{byte:02X}")),
        }
        escaped
    })
}

#[cfg(test)]
mod tests {
    use super::super::{Dialect, Reply, read};
    use super::*;
    use crate::quota::Meter;

    fn trailer<'e>(end: &'e End, name: &str) -> Option<&'e str> {
        end.trailers.iter().find(|(own, _)| *own == name).map(|(_, value)| value.as_str())
    }

    #[test]
    fn a_call_is_the_same_request_as_over_http() {
        let metadata = [
            ("content-type", "application/grpc+proto"),
            ("grpc-encoding", "gzip"),
            ("authorization", "Bearer geheim"),
        ];
        let packed = headers(&metadata, true);
        let request = request(&packed, "n");
        assert_eq!(request.header("content-type"), "application/x-protobuf");
        assert_eq!(request.header("content-encoding"), "gzip");
        assert_eq!(request.header("authorization"), "Bearer geheim");
        assert_eq!(super::request(&headers(&metadata, false), "n").header("content-encoding"), "");
        for metadata in [&[][..], &[("grpc-encoding", "identity")]] {
            assert_eq!(super::request(&headers(metadata, true), "n").header("content-encoding"), "unnamed");
        }
    }

    #[test]
    fn a_prefix_is_read_as_it_is_written() {
        for (bytes, is_packed, length) in
            [([0, 0, 0, 0, 0], false, 0), ([1, 1, 0, 0, 2], true, (1 << 24) + 2)]
        {
            let prefix = Prefix { is_packed, length };
            assert_eq!((Prefix::read(bytes), prefix.bytes()), (Ok(prefix), bytes));
        }
        assert!(Prefix::read([2, 0, 0, 0, 0]).is_err());
    }

    #[test]
    fn an_answer_ends_a_call_with_its_message() {
        let none = headers(&[], false);
        let request = request(&none, "n");
        let ended = |body: &[u8]| match read(&request, body, 1 << 20, &Meter::open()) {
            Reply::Now(answer) => End::of(&answer),
            Reply::Commit(items, promise) => End::of(&promise.keep(items.len(), 0)),
        };
        // A record with nothing in it.
        let end = ended(b"\x0a\x04\x12\x02\x12\x00");
        assert_eq!((end.message.as_slice(), trailer(&end, "grpc-status")), (&[0; 5][..], Some("0")));
        // One with an id of two bytes beside it: partial success.
        let end = ended(b"\x0a\x0a\x12\x08\x12\x00\x12\x04\x4a\x02ab");
        let (prefix, message) = end.message.split_first_chunk().unwrap();
        assert_eq!(Prefix::read(*prefix), Ok(Prefix { is_packed: false, length: message.len() }));
        assert!(message.starts_with(b"\x0a\x28\x08\x01\x12\x24traceId"), "{end:?}");
        let end = ended(b"junk");
        assert_eq!((end.message.len(), trailer(&end, "grpc-status")), (0, Some("3")));
    }

    #[test]
    fn a_refusal_says_why_and_when_to_come_again() {
        let none = headers(&[], false);
        let request = request(&none, "n");
        for (status, code) in [
            (400, "3"),
            (401, "16"),
            (403, "7"),
            (408, "4"),
            (413, "8"),
            (415, "12"),
            (429, "8"),
            (500, "13"),
            (503, "14"),
        ] {
            let end = End::of(&Dialect::Otlp.refuse(&request, status, "ä 100%", None));
            assert_eq!(trailer(&end, "grpc-status"), Some(code), "{status}");
            assert_eq!(trailer(&end, "grpc-message"), Some("%C3%A4 100%25"));
            assert_eq!(trailer(&end, "grpc-retry-pushback-ms"), None);
        }
        let end = End::of(&Dialect::Otlp.refuse(&request, 429, "over", Some(3)));
        assert_eq!(trailer(&end, "grpc-retry-pushback-ms"), Some("3000"));
        let details = trailer(&end, "grpc-status-details-bin").unwrap();
        let details = base64::engine::general_purpose::STANDARD_NO_PAD.decode(details).unwrap();
        // Code 8, "over", and an Any with a RetryInfo of three seconds.
        let name = b"type.googleapis.com/google.rpc.RetryInfo";
        let info = [&b"\x0a\x28"[..], name, b"\x12\x04\x0a\x02\x08\x03"].concat();
        assert_eq!(details, [&b"\x08\x08\x12\x04over\x1a\x30"[..], &info].concat());
        let end = End::unimplemented("/opentelemetry.proto.collector.trace.v1.TraceService/Export");
        assert_eq!(trailer(&end, "grpc-status"), Some("12"));
    }
}
