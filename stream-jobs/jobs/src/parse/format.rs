//! The formats that need no settings, by name.

use std::collections::BTreeMap;

use millrace_schemas::Value;

use super::formats::key_value::KeyValue;
use super::formats::{
    access, apache, apache_error, cef, container, delimited, glog, haproxy, json, mysql_slow, netfilter,
    nginx_error, plain, rfc3164, rfc5424,
};
use super::found::{Found, Stopped};
use super::roles::lift;
use super::time::{Clock, weekday};

/// How the lines of a stream are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Format {
    /// By what the line looks like; what looks like nothing else, and has neither time nor level, is taken for Apache's access log.
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
    /// Access logs in columns: those of Envoy, ELB, S3, CloudFront, IIS, Squid and HAProxy.
    Access,
    /// What Linux's packet filter logs, in a line of syslog.
    Netfilter,
    /// MySQL's log of slow queries.
    MysqlSlow,
    /// A time, a level and a message, as programs write them.
    Plain,
}

impl Format {
    /// All of them.
    pub const ALL: [Format; 19] = [
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
        Format::Access,
        Format::Netfilter,
        Format::MysqlSlow,
        Format::Plain,
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
            Format::Access => "access",
            Format::Netfilter => "netfilter",
            Format::MysqlSlow => "mysql_slow",
            Format::Plain => "plain",
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
            Format::Auto => 7,
            Format::Logfmt => 6,
            Format::Apache | Format::Rfc3164 | Format::Syslog => 5,
            Format::Cef | Format::Json | Format::Ltsv => 4,
            Format::Leef | Format::ApacheError => 3,
            Format::Rfc5424
            | Format::NginxError
            | Format::Cri
            | Format::Glog
            | Format::Access
            | Format::Netfilter
            | Format::MysqlSlow
            | Format::Plain => 1,
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
                match second_word(text) {
                    "stdout" | "stderr" => Format::Cri,
                    word if plain::is_no_host(word) => Format::Plain,
                    _ => Format::Rfc3164,
                }
            }
            // Of Sophos.
            b'0'..=b'9' if bytes.get(at + 4) == Some(&b':') && bytes.get(at + 10) == Some(&b'-') => {
                Format::Rfc3164
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
            Format::Auto => auto(text, clock),
            Format::Json => (self, json::parse(text, clock)),
            Format::Apache => (self, apache::parse(text, clock)),
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
            Format::Access => (self, access::parse(text, clock)),
            Format::Netfilter => (self, netfilter::parse(text, clock)),
            Format::MysqlSlow => (self, mysql_slow::parse(text, clock)),
            Format::Plain => (self, plain::parse(text, clock)),
        }
    }
}

/// The word behind a time.
fn second_word(text: &str) -> &str {
    let rest = memchr::memchr(b' ', text.as_bytes()).map_or("", |at| text[at..].trim_ascii_start());
    &rest[..memchr::memchr(b' ', rest.as_bytes()).unwrap_or(rest.len())]
}

/// Reads a line as what it looks like.
fn auto<'t>(text: &'t str, clock: Clock<'_>) -> (Format, Result<Found<'t>, Stopped>) {
    let mut read = Format::of(text).read(text, clock);
    match &read {
        // With a version and no more of RFC 5424's head it is another's, if it has a time.
        (Format::Rfc5424, Err(_)) => {
            let other = Format::Syslog.read(text, clock);
            let is_timed =
                |found: &Found<'_>| found.time.is_some() || rfc5424::lenient(text, clock).is_some();
            if other.1.as_ref().is_ok_and(is_timed) {
                read = other;
            }
        }
        // What only looks like more behind `<PRI>` is a message.
        (Format::Json | Format::Logfmt, Err(_)) if text.starts_with('<') => {
            read = Format::Rfc3164.read(text, clock);
        }
        (format, found) if is_doubtful(text, *format, found) => {
            if let Some(other) = in_columns_or_plain(text, clock) {
                read = other;
            }
        }
        _ => {}
    }
    let is_syslog = matches!(read.0, Format::Rfc3164 | Format::Rfc5424 | Format::Syslog);
    let inner = read.1.as_ref().ok().filter(|_| is_syslog).and_then(|found| of_message(text, found));
    let inner = inner.map(|format| format.read(text, clock));
    inner.filter(|(_, found)| found.is_ok()).unwrap_or(read)
}

/// Whether a line that is not marked as syslog may be of a program that says only time and level, or of columns: it was not read, or
/// what was taken for syslog has no tag.
fn is_doubtful(text: &str, format: Format, found: &Result<Found<'_>, Stopped>) -> bool {
    let marked = text.starts_with('<');
    match (format, found) {
        (Format::Rfc3164, Ok(found)) => {
            !marked && text.as_bytes().get(10) == Some(&b'T') && found.fields.find("appname").is_none()
        }
        (Format::Json | Format::Docker | Format::Cef | Format::Leef, _) => false,
        (_, found) => !marked && found.is_err(),
    }
}

/// Reads a line that is nothing more special.
fn in_columns_or_plain<'t>(text: &'t str, clock: Clock<'_>) -> Option<(Format, Result<Found<'t>, Stopped>)> {
    let columns = access::shape(text).and_then(|shape| shape.read(text, clock).ok());
    if let Some(found) = columns {
        return Some((Format::Access, Ok(found)));
    }
    if mysql_slow::is_like(text) {
        return mysql_slow::parse(text, clock).ok().map(|found| (Format::MysqlSlow, Ok(found)));
    }
    // Syslog with another time: `2026-01-01 00:00:01 host tag[7]: x`.
    let tagged = |found: &Found<'_>| {
        ["hostname", "appname", "procid"].iter().all(|name| found.fields.find(name).is_some())
    };
    if text.as_bytes().get(10) == Some(&b' ')
        && let Ok(found) = rfc3164::parse(text, clock)
        && tagged(&found)
    {
        return Some((Format::Rfc3164, Ok(found)));
    }
    plain::parse(text, clock).ok().map(|found| (Format::Plain, Ok(found)))
}

/// What devices and programs send as the message of syslog, by a format that reads the head of syslog itself.
fn of_message(text: &str, found: &Found<'_>) -> Option<Format> {
    const NAMES: [(&str, Format); 2] = [("CEF", Format::Cef), ("LEEF", Format::Leef)];
    let message = found.message.as_deref()?;
    let begins =
        |name: &str| message.trim_ascii_start().strip_prefix(name).is_some_and(|rest| rest.starts_with(':'));
    let tag = match found.fields.find("appname") {
        Some(Value::String(own)) => own.as_ref(),
        _ => "",
    };
    // Where a blank is behind the colon the name was taken for that of a program.
    let of_device = NAMES.into_iter().find(|(name, _)| begins(name) || tag == *name);
    match of_device {
        Some((_, format)) => Some(format),
        None if haproxy::is_like(message) => access::behind_syslog(text).map(|_| Format::Access),
        None => (tag == "kernel" && netfilter::is_like(message)).then_some(Format::Netfilter),
    }
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
