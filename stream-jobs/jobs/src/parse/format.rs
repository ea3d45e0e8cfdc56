//! The formats that need no settings, by name.

use std::collections::BTreeMap;

use millrace_schemas::Value;

use super::formats::key_value::KeyValue;
use super::formats::{
    apache, apache_error, cef, container, delimited, glog, json, nginx_error, rfc3164, rfc5424,
};
use super::found::{Found, Stopped};
use super::roles::lift;
use super::time::{Clock, weekday};

/// How the lines of a stream are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Format {
    /// By what the line looks like; what looks like nothing else is taken for Apache's access log.
    Auto,
    /// One object a line.
    Json,
    /// Common and combined access log.
    Apache,
    /// Apache's error log.
    ApacheError,
    /// Nginx's error log.
    NginxError,
    /// Syslog as RFC 5424 has it.
    Rfc5424,
    /// Syslog as RFC 3164 found it.
    Rfc3164,
    /// Either, by what stands behind the priority.
    Syslog,
    /// `key=value` pairs.
    Logfmt,
    /// `label:value`, separated by tabs.
    Ltsv,
    /// ArcSight's format.
    Cef,
    /// QRadar's format.
    Leef,
    /// Kubernetes' container logs.
    Cri,
    /// Docker's json-file.
    Docker,
    /// Google's, with or without year.
    Glog,
}

impl Format {
    /// All of them.
    pub const ALL: [Format; 15] = [
        Format::Auto,
        Format::Json,
        Format::Apache,
        Format::ApacheError,
        Format::NginxError,
        Format::Rfc5424,
        Format::Rfc3164,
        Format::Syslog,
        Format::Logfmt,
        Format::Ltsv,
        Format::Cef,
        Format::Leef,
        Format::Cri,
        Format::Docker,
        Format::Glog,
    ];

    /// Name in configurations and in [`millrace_schemas::Parser`].
    pub fn id(self) -> &'static str {
        match self {
            Format::Auto => "auto",
            Format::Json => "json",
            Format::Apache => "apache",
            Format::ApacheError => "apache_error",
            Format::NginxError => "nginx_error",
            Format::Rfc5424 => "rfc5424",
            Format::Rfc3164 => "rfc3164",
            Format::Syslog => "syslog",
            Format::Logfmt => "logfmt",
            Format::Ltsv => "ltsv",
            Format::Cef => "cef",
            Format::Leef => "leef",
            Format::Cri => "cri",
            Format::Docker => "docker",
            Format::Glog => "glog",
        }
    }

    /// The format of that name; `klog` is glog, too.
    pub fn named(name: &str) -> Option<Format> {
        let name = if name == "klog" { "glog" } else { name };
        Format::ALL.into_iter().find(|format| format.id() == name)
    }

    /// Version of its definition. To be raised whenever the same line gives another event.
    pub fn version(self) -> i32 {
        match self {
            Format::Auto => 6,
            Format::Logfmt => 5,
            Format::Apache | Format::Rfc3164 | Format::Syslog | Format::Cef => 4,
            Format::Json | Format::Ltsv | Format::Leef => 3,
            Format::Rfc5424 | Format::NginxError | Format::Cri | Format::Glog => 1,
            _ => 2,
        }
    }

    /// The format that `text` looks like.
    pub(crate) fn of(text: &str) -> Format {
        let bytes = text.as_bytes();
        let Some(at) = bytes.iter().position(|byte| !byte.is_ascii_whitespace()) else {
            return Format::Apache;
        };
        let month = |at: usize| super::time::month(bytes.get(at..at + 3).unwrap_or_default()).is_some();
        match bytes[at] {
            b'{' if text[at..].starts_with("{\"log\":") && text.contains("\"stream\":") => Format::Docker,
            b'{' => Format::Json,
            b'<' if at == 0 => {
                let after_pri =
                    bytes.iter().take(6).position(|byte| *byte == b'>').map_or(bytes.len(), |at| at + 1);
                let version =
                    bytes[after_pri..].iter().take(4).take_while(|byte| byte.is_ascii_digit()).count();
                let versioned = (1..=3).contains(&version) && bytes.get(after_pri + version) == Some(&b' ');
                match text.get(after_pri..) {
                    _ if versioned => Format::Rfc5424,
                    Some(rest) if pairs(rest) => Format::Logfmt,
                    Some(rest) if rest.starts_with('{') => Format::Json,
                    _ => Format::Rfc3164,
                }
            }
            b'C' if text[at..].starts_with("CEF:") => Format::Cef,
            b'L' if text[at..].starts_with("LEEF:") => Format::Leef,
            b'I' | b'W' | b'E' | b'F'
                if bytes[at + 1..].iter().take(4).filter(|byte| byte.is_ascii_digit()).count() == 4 =>
            {
                Format::Glog
            }
            b'[' if bytes.get(at + 4) == Some(&b' ') && month(at + 5) => Format::ApacheError,
            _ if month(at) || weekday(&bytes[at..]) == Some(3) && month(at + 4) => Format::Rfc3164,
            b'0'..=b'9' if bytes.get(at + 4) == Some(&b'/') && bytes.get(at + 19..at + 21) == Some(b" [") => {
                Format::NginxError
            }
            _ if bytes.get(at + 4) == Some(&b'-') && bytes.get(at + 10) == Some(&b'T') => {
                let container =
                    text.split(' ').nth(1).is_some_and(|word| word == "stdout" || word == "stderr");
                if container { Format::Cri } else { Format::Rfc3164 }
            }
            _ if rfc3164::is_cisco(text) => Format::Rfc3164,
            _ if pairs(text) => Format::Logfmt,
            _ if text.contains('\t') && text.split('\t').all(|column| label(column, b':')) => Format::Ltsv,
            _ => Format::Apache,
        }
    }

    /// Reads `text` as this format; says which one it was.
    pub(crate) fn read<'t>(self, text: &'t str, clock: Clock<'_>) -> (Format, Result<Found<'t>, Stopped>) {
        let lifted = |found: Result<Found<'t>, Stopped>| {
            found.map(|mut found| {
                lift(&mut found, clock);
                found
            })
        };
        match self {
            Format::Auto => {
                let read = match Format::of(text).read(text, clock) {
                    // With a version and no more of RFC 5424's head it is another's, if it has a time.
                    (Format::Rfc5424, Err(stopped)) => match Format::Syslog.read(text, clock) {
                        (_, Ok(found)) if found.time.is_some() || rfc5424::lenient(text, clock).is_some() => {
                            (Format::Syslog, Ok(found))
                        }
                        _ => (Format::Rfc5424, Err(stopped)),
                    },
                    // What only looks like more behind `<PRI>` is a message.
                    (Format::Json | Format::Logfmt, Err(_)) if text.starts_with('<') => {
                        Format::Rfc3164.read(text, clock)
                    }
                    read => read,
                };
                let is_syslog = matches!(read.0, Format::Rfc3164 | Format::Rfc5424 | Format::Syslog);
                let inner = read.1.as_ref().ok().filter(|_| is_syslog).and_then(of_message);
                let inner = inner.map(|format| format.read(text, clock));
                inner.filter(|(_, found)| found.is_ok()).unwrap_or(read)
            }
            Format::Json => (self, json::parse(text, clock)),
            Format::Apache => (self, apache::parse(text)),
            Format::ApacheError => (self, apache_error::parse(text, clock)),
            Format::NginxError => (self, nginx_error::parse(text, clock)),
            Format::Rfc5424 => (self, rfc5424::parse(text)),
            Format::Rfc3164 => (self, rfc3164::parse(text, clock)),
            Format::Syslog => {
                let text = text.trim_ascii_start();
                let found = rfc5424::parse(text).ok().or_else(|| rfc5424::lenient(text, clock));
                (self, found.map_or_else(|| rfc3164::parse(text, clock), Ok))
            }
            Format::Logfmt => (self, KeyValue::read_logfmt(text, clock)),
            Format::Ltsv => (self, lifted(delimited::ltsv(text))),
            Format::Cef => (self, cef::cef(text, clock)),
            Format::Leef => (self, cef::leef(text, clock)),
            Format::Cri => (self, container::cri(text)),
            Format::Docker => (self, container::docker(text, clock)),
            Format::Glog => (self, glog::parse(text, clock)),
        }
    }
}

/// What devices send as the message of syslog and reads the head of syslog itself.
fn of_message(found: &Found<'_>) -> Option<Format> {
    const NAMES: [(&str, Format); 2] = [("CEF", Format::Cef), ("LEEF", Format::Leef)];
    let message = found.message.as_deref()?;
    let begins =
        |name: &str| message.trim_ascii_start().strip_prefix(name).is_some_and(|rest| rest.starts_with(':'));
    // Where a blank is behind the colon the name was taken for that of a program.
    let is_tag = |name: &str| matches!(found.fields.find("appname"), Some(Value::String(own)) if own == name);
    NAMES.into_iter().find(|(name, _)| begins(name) || is_tag(name)).map(|(_, format)| format)
}

/// Whether the first two words are `key=value`.
fn pairs(text: &str) -> bool {
    let mut words = text.split_ascii_whitespace().take(2).map(|word| label(word, b'='));
    words.next() == Some(true) && words.next() != Some(false)
}

fn label(word: &str, sign: u8) -> bool {
    let len = word.bytes().position(|byte| byte == sign).unwrap_or(0);
    len > 0
        && word[..len]
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'-' | b'@'))
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
