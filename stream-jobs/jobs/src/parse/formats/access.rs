//! Access logs whose columns stand between blanks: those of Envoy, Amazon's load balancers, S3 and CloudFront, IIS, Squid and
//! HAProxy, each known by how it begins.
//!
//! A `-` is no value. Columns that these programs added later at the end may be missing; what is behind all of them is the field
//! `extra`. IIS and CloudFront write their columns in any order that a `#Fields:` line says: here they are those they have unless
//! told otherwise, under the names that the line gives them. Directives are events of their own, flag `directive`.

use std::borrow::Cow;
use std::net::IpAddr;
use std::sync::OnceLock;

use millrace_schemas::Value;

use super::apache::{quoted, request, unescape};
use super::apache_error::with_port;
use super::w3c::W3c;
use super::{haproxy, rfc3164, rfc5424};
use crate::parse::found::{Cursor, Found, Stopped};
use crate::parse::time::{Clock, whole};

/// What a column holds.
#[derive(Clone, Copy)]
pub(crate) enum Kind {
    Text,
    Long,
    /// Less than none is none.
    Double,
    Time,
    Request,
    User,
    /// An address and its port, the latter under the other name.
    Address(&'static str),
    /// `TCP_MISS/200`
    Result,
}

use Kind::{Address, Double, Long, Request, Result as Outcome, Text, Time, User};

pub(crate) type Column = (&'static str, Kind);

const ENVOY: &[Column] = &[
    ("time", Time),
    ("request", Request),
    ("status", Long),
    ("response_flags", Text),
    ("bytes_in", Long),
    ("bytes", Long),
    ("took_ms", Long),
    ("upstream_took_ms", Long),
    ("forwarded", Text),
    ("agent", Text),
    ("request_id", Text),
    ("vhost", Text),
    ("upstream", Text),
    ("upstream_cluster", Text),
    ("upstream_local", Text),
    ("server", Text),
    ("client", Address("port")),
    ("server_name", Text),
    ("route", Text),
];

const BALANCER: &[Column] = &[
    ("time", Time),
    ("balancer", Text),
    ("client", Address("port")),
    ("upstream", Text),
    ("request_s", Double),
    ("upstream_took_s", Double),
    ("response_s", Double),
    ("status", Long),
    ("upstream_status", Long),
    ("bytes_in", Long),
    ("bytes", Long),
    ("request", Request),
    ("agent", Text),
    ("ssl_cipher", Text),
    ("ssl_protocol", Text),
    ("target_group", Text),
    ("trace_id", Text),
    ("vhost", Text),
    ("certificate", Text),
    ("rule_priority", Long),
    ("request_time", Text),
    ("actions", Text),
    ("redirect_url", Text),
    ("error_reason", Text),
    ("targets", Text),
    ("target_statuses", Text),
    ("classification", Text),
    ("classification_reason", Text),
    ("connection_trace_id", Text),
];

const NETWORK_BALANCER: &[Column] = &[
    ("version", Text),
    ("time", Time),
    ("balancer", Text),
    ("listener", Text),
    ("client", Address("port")),
    ("upstream", Text),
    ("connection_ms", Long),
    ("tls_handshake_ms", Long),
    ("bytes_in", Long),
    ("bytes", Long),
    ("tls_alert", Text),
    ("certificate", Text),
    ("certificate_serial", Text),
    ("ssl_cipher", Text),
    ("ssl_protocol", Text),
    ("tls_group", Text),
    ("vhost", Text),
];

const S3: &[Column] = &[
    ("owner", Text),
    ("bucket", Text),
    ("time", Time),
    ("client", Text),
    ("requester", User),
    ("request_id", Text),
    ("operation", Text),
    ("key", Text),
    ("request", Request),
    ("status", Long),
    ("error_code", Text),
    ("bytes", Long),
    ("object_bytes", Long),
    ("took_ms", Long),
    ("turnaround_ms", Long),
    ("referer", Text),
    ("agent", Text),
    ("version_id", Text),
    ("host_id", Text),
    ("signature_version", Text),
    ("ssl_cipher", Text),
    ("auth_type", Text),
    ("vhost", Text),
    ("ssl_protocol", Text),
    ("access_point", Text),
    ("acl_required", Text),
];

const SQUID: &[Column] = &[
    ("time", Time),
    ("took_ms", Long),
    ("client", Text),
    ("result", Outcome),
    ("bytes", Long),
    ("method", Text),
    ("path", Text),
    ("auth", User),
    ("hierarchy", Text),
    ("content_type", Text),
];

const CLOUDFRONT: &str = "date time x-edge-location sc-bytes c-ip cs-method cs(Host) cs-uri-stem sc-status cs(Referer) cs(User-Agent) cs-uri-query cs(Cookie) x-edge-result-type x-edge-request-id x-host-header cs-protocol cs-bytes time-taken x-forwarded-for ssl-protocol ssl-cipher x-edge-response-result-type cs-protocol-version fle-status fle-encrypted-fields c-port time-to-first-byte x-edge-detailed-result-type sc-content-type sc-content-len sc-range-start sc-range-end";
const IIS: &str = "date time s-ip cs-method cs-uri-stem cs-uri-query s-port cs-username c-ip cs(User-Agent) cs(Referer) sc-status sc-substatus sc-win32-status time-taken";
const IIS_7: &str = "date time s-ip cs-method cs-uri-stem cs-uri-query s-port cs-username c-ip cs(User-Agent) sc-status sc-substatus sc-win32-status time-taken";

/// What a line looks like.
#[derive(Clone, Copy)]
pub(crate) enum Shape {
    Columns {
        /// Before the columns.
        first: Option<&'static str>,
        columns: &'static [Column],
        /// So many must be there.
        least: usize,
    },
    Extended(&'static W3c),
    HaProxy,
    Directive,
}

/// The shape of a line, if it has one of these.
pub(crate) fn shape(text: &str) -> Option<Shape> {
    // The longest of them differ within these; a line of any length is looked at no further.
    const LOOKED: usize = 15;
    let bytes = text.as_bytes();
    let columns = |columns, least| Some(Shape::Columns { first: None, columns, least });
    match *bytes.first()? {
        b'#' => is_directive(text).then_some(Shape::Directive),
        b'[' => {
            let envoy = bytes.get(11) == Some(&b'T') && text.find("] \"").is_some_and(|at| at < 40);
            envoy.then_some(()).and(columns(ENVOY, 13))
        }
        _ if haproxy::is_like(text) => Some(Shape::HaProxy),
        b'0'..=b'9' if bytes.get(10) == Some(&b'\t') && bytes.get(19) == Some(&b'\t') => {
            (text.split('\t').take(20).count() == 20)
                .then(|| Shape::Extended(extended(&CLOUDFRONT_READ, CLOUDFRONT)))
        }
        b'0'..=b'9' => {
            let mut words = [""; LOOKED];
            let mut n_words = 0;
            for (place, word) in words.iter_mut().zip(text.split_ascii_whitespace()) {
                *place = word;
                n_words += 1;
            }
            let is_address = |word: &str| word.parse::<IpAddr>().is_ok();
            let is_number = |word: &str| !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_digit());
            if bytes.get(10) == Some(&b'.')
                && is_number(words[1])
                && words[3].contains('/')
                && is_number(words[4])
            {
                return columns(SQUID, 9);
            }
            if bytes.get(10) == Some(&b'T') && with_port(words[2]).1.is_some() && is_number(words[9]) {
                return columns(BALANCER, 12);
            }
            let iis = bytes.get(10) == Some(&b' ')
                && is_address(words[2])
                && is_number(words[6])
                && is_address(words[8]);
            match n_words {
                15 if iis => Some(Shape::Extended(extended(&IIS_READ, IIS))),
                14 if iis => Some(Shape::Extended(extended(&IIS_7_READ, IIS_7))),
                _ => of_s3(text),
            }
        }
        _ => {
            let (first, rest) = text.split_once(' ')?;
            let timed = |rest: &str| rest.as_bytes().get(10) == Some(&b'T');
            match first {
                "http" | "https" | "h2" | "grpcs" | "ws" | "wss" if timed(rest) => {
                    Some(Shape::Columns { first: Some("type"), columns: BALANCER, least: 12 })
                }
                "tls" if rest.get(4..).is_some_and(timed) => {
                    Some(Shape::Columns { first: Some("type"), columns: NETWORK_BALANCER, least: 12 })
                }
                _ => of_s3(text),
            }
        }
    }
}

/// Owner, bucket and the time in brackets.
fn of_s3(text: &str) -> Option<Shape> {
    let (_, rest) = text.split_once(' ')?;
    let (_, time) = rest.split_once(' ')?;
    let is_time = time.starts_with('[') && time.as_bytes().get(27) == Some(&b']');
    is_time.then_some(Shape::Columns { first: None, columns: S3, least: 16 })
}

static CLOUDFRONT_READ: OnceLock<W3c> = OnceLock::new();
static IIS_READ: OnceLock<W3c> = OnceLock::new();
static IIS_7_READ: OnceLock<W3c> = OnceLock::new();

fn extended(read: &'static OnceLock<W3c>, columns: &str) -> &'static W3c {
    read.get_or_init(|| W3c { columns: columns.split(' ').map(str::to_owned).collect() })
}

fn is_directive(text: &str) -> bool {
    const NAMES: [&str; 8] = [
        "#Version:",
        "#Fields:",
        "#Software:",
        "#Date:",
        "#Start-Date:",
        "#End-Date:",
        "#Remark:",
        "#GMT-Offset:",
    ];
    const ZEEK: [&str; 8] = [
        "#separator",
        "#set_separator",
        "#empty_field",
        "#unset_field",
        "#path",
        "#open",
        "#close",
        "#fields",
    ];
    let zeek = |name: &str| text.strip_prefix(name).is_some_and(|rest| rest.starts_with([' ', '\t']));
    NAMES.iter().any(|name| text.starts_with(name)) || ZEEK.iter().any(|name| zeek(name)) || zeek("#types")
}

/// Where HAProxy's part begins in a line of syslog.
pub(crate) fn behind_syslog(text: &str) -> Option<usize> {
    // Its first bracket is that of the time, or that of the number of its process.
    let at = memchr::memmem::find_iter(text.as_bytes(), b" [").next()?;
    let start = text[..at].rfind(' ').map_or(0, |blank| blank + 1);
    (start > 0 && haproxy::is_like(&text[start..])).then_some(start)
}

/// Reads one line of any of these shapes; what HAProxy writes may stand behind a head of syslog.
pub(crate) fn parse<'t>(text: &'t str, clock: Clock<'_>) -> Result<Found<'t>, Stopped> {
    if let Some(start) = behind_syslog(text) {
        let mut found = haproxy::parse(&text[start..], clock)
            .map_err(|stopped| Stopped { at: stopped.at + start, ..stopped })?;
        found.behind(syslog_head(&text[..start], clock));
        return Ok(found);
    }
    let shape =
        shape(text).ok_or(Stopped::new(0, "a line of Envoy, ELB, S3, CloudFront, IIS, Squid or HAProxy"))?;
    shape.read(text, clock)
}

fn syslog_head<'t>(head: &'t str, clock: Clock<'_>) -> Found<'t> {
    let found = rfc5424::parse(head).ok().or_else(|| rfc5424::lenient(head, clock));
    found.or_else(|| rfc3164::parse(head, clock).ok()).unwrap_or_default()
}

impl Shape {
    pub(crate) fn read<'t>(self, text: &'t str, clock: Clock<'_>) -> Result<Found<'t>, Stopped> {
        match self {
            Shape::HaProxy => haproxy::parse(text, clock),
            Shape::Directive => Ok(Found { flags: vec!["directive"], ..Found::default() }),
            Shape::Extended(w3c) => w3c.read(text, clock.received),
            Shape::Columns { first, columns, least } => {
                let mut at = Cursor::new(text.trim_ascii_end());
                let mut found = Found::default();
                if let Some(name) = first {
                    found.text(name, at.until(b' '));
                    at.skip(" ");
                }
                read(&mut at, columns, least, clock, &mut found)?;
                Ok(found)
            }
        }
    }
}

fn read<'t>(
    at: &mut Cursor<'t>,
    columns: &[Column],
    least: usize,
    clock: Clock<'_>,
    found: &mut Found<'t>,
) -> Result<(), Stopped> {
    for (number, (name, kind)) in columns.iter().enumerate() {
        if at.peek().is_none() {
            if number >= least {
                return Ok(());
            }
            return Err(at.stop("more columns"));
        }
        // Meshes tell more of the response before its numbers.
        if *name == "bytes_in" && number == 4 {
            for name in ["response_details", "termination", "upstream_failure"] {
                if at.peek().is_none_or(|own| own.is_ascii_digit()) {
                    break;
                }
                let (value, _) = column(at)?;
                if value != "-" {
                    found.fields.push(name, Value::String(unescape(value)));
                }
            }
        }
        let start = at.at;
        let (value, is_quoted) = column(at)?;
        if value == "-" || value.is_empty() && is_quoted {
            continue;
        }
        let wrong = |expected| Stopped::new(start, expected);
        let text = |value: &'t str| match is_quoted {
            true => Value::String(unescape(value)),
            false => Value::String(Cow::Borrowed(value)),
        };
        match kind {
            Text => found.fields.push(*name, text(value)),
            Long => {
                found.fields.push(*name, Value::Long(value.parse().map_err(|_| wrong("a whole number"))?))
            }
            Double => {
                let number: f64 = value.parse().map_err(|_| wrong("a number"))?;
                if number >= 0.0 {
                    found.fields.push(*name, Value::Double(number));
                }
            }
            Time => found.time = Some(whole(value, clock).ok_or(wrong("a time"))?),
            Request => request(value, found),
            User => {
                found.user = Some(Cow::Borrowed(value));
                found.text(name, value);
            }
            Address(port_name) => {
                let (address, port) = with_port(value);
                found.text(name, address);
                if let Some(port) = port {
                    found.fields.push(*port_name, Value::Long(port));
                }
            }
            Outcome => {
                let (result, status) = value.split_once('/').ok_or(wrong("a result and a status"))?;
                found.text(name, result);
                found.fields.push("status", Value::Long(status.parse().map_err(|_| wrong("a status"))?));
            }
        }
    }
    if at.peek().is_some() {
        found.text("extra", at.rest());
    }
    Ok(())
}

/// The next column, without its quotes or brackets, and the blanks behind it; whether it stood in quotes.
fn column<'t>(at: &mut Cursor<'t>) -> Result<(&'t str, bool), Stopped> {
    let (value, is_quoted) = match at.peek() {
        Some(b'"') => (quoted(at, "a text in quotes")?, true),
        Some(b'[') => {
            at.at += 1;
            let value = at.until(b']');
            at.expect("]", "a closing ]")?;
            (value, false)
        }
        _ => (at.until(b' '), false),
    };
    at.run(|byte| byte == b' ');
    Ok((value, is_quoted))
}
