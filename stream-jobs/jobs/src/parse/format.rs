//! The formats by name.

use std::collections::BTreeMap;

use super::found::{Found, Stopped};
use super::{apache, json, rfc3164, rfc5424};

/// How the lines of a stream are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    /// By what the line looks like: `{` is JSON, `<PRI>` and a version RFC 5424, any other `<PRI>`, a month or a year at
    /// the start RFC 3164, anything else Apache.
    Auto,
    /// One object a line.
    Json,
    /// Common and combined access log.
    Apache,
    /// Syslog as RFC 5424 has it.
    Rfc5424,
    /// Syslog as RFC 3164 found it.
    Rfc3164,
}

impl Format {
    /// All of them.
    pub const ALL: [Format; 5] =
        [Format::Auto, Format::Json, Format::Apache, Format::Rfc5424, Format::Rfc3164];

    /// Name in configurations and in [`millrace_schemas::Parser`].
    pub fn id(self) -> &'static str {
        match self {
            Format::Auto => "auto",
            Format::Json => "json",
            Format::Apache => "apache",
            Format::Rfc5424 => "rfc5424",
            Format::Rfc3164 => "rfc3164",
        }
    }

    /// Version of its definition. To be raised whenever the same line gives another event.
    pub fn version(self) -> i32 {
        match self {
            Format::Auto | Format::Json | Format::Apache | Format::Rfc5424 | Format::Rfc3164 => 1,
        }
    }

    /// The format that `text` looks like.
    pub(crate) fn of(text: &str) -> Format {
        let bytes = text.as_bytes();
        match bytes.iter().position(|byte| !byte.is_ascii_whitespace()).map(|at| (at, bytes[at])) {
            Some((_, b'{')) => Format::Json,
            Some((0, b'<')) => {
                let after_pri =
                    bytes.iter().take(6).position(|byte| *byte == b'>').map_or(bytes.len(), |at| at + 1);
                let version =
                    bytes[after_pri..].iter().take(4).take_while(|byte| byte.is_ascii_digit()).count();
                let versioned = (1..=3).contains(&version) && bytes.get(after_pri + version) == Some(&b' ');
                if versioned { Format::Rfc5424 } else { Format::Rfc3164 }
            }
            Some((at, _)) if super::time::month(bytes.get(at..at + 3).unwrap_or_default()).is_some() => {
                Format::Rfc3164
            }
            Some((at, _)) if bytes.get(at + 4) == Some(&b'-') && bytes.get(at + 10) == Some(&b'T') => {
                Format::Rfc3164
            }
            _ => Format::Apache,
        }
    }

    /// Reads `text` as this format; says which one it was.
    pub(crate) fn read(self, text: &str, received: i64) -> (Format, Result<Found<'_>, Stopped>) {
        match self {
            Format::Auto => Format::of(text).read(text, received),
            Format::Json => (self, json::parse(text)),
            Format::Apache => (self, apache::parse(text)),
            Format::Rfc5424 => (self, rfc5424::parse(text)),
            Format::Rfc3164 => (self, rfc3164::parse(text, received)),
        }
    }
}

/// Which format which stream has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ParseConfig {
    /// Format of the streams that are not named.
    pub default_format: Format,
    /// Format by name of the stream.
    pub by_stream: BTreeMap<String, Format>,
}

impl ParseConfig {
    /// Format of a stream.
    pub fn format(&self, stream: &str) -> Format {
        self.by_stream.get(stream).copied().unwrap_or(self.default_format)
    }
}
