//! Access logs by the setting that wrote them: Apache's `LogFormat`, Nginx's `log_format`.

use std::borrow::Cow;

use millrace_schemas::Value;

use super::apache::{request, unescape, user_cookie};
use crate::parse::found::{Found, Stopped};
use crate::parse::time::{Clock, Layout as TimeLayout};

/// Texts and fields in the order of the line.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct AccessLog {
    parts: Vec<Part>,
}

#[derive(Debug, Clone, PartialEq)]
enum Part {
    Text(String),
    Field { name: String, kind: Kind },
}

#[derive(Debug, Clone, PartialEq)]
enum Kind {
    Text,
    Long,
    Double,
    /// Method, path and protocol.
    Request,
    User,
    Cookie,
    Time(TimeLayout),
}

const APACHE_TIME: &str = "%d/%b/%Y:%H:%M:%S %z";

impl AccessLog {
    /// Reads a `LogFormat`; `common`, `combined` and `vhost_combined` are known by name.
    ///
    /// # Errors
    /// A directive that is not known.
    pub(crate) fn apache(format: &str) -> Result<AccessLog, String> {
        const COMMON: &str = "%h %l %u %t \"%r\" %>s %b";
        let format = match format {
            "common" => COMMON.to_owned(),
            "combined" => format!("{COMMON} \"%{{Referer}}i\" \"%{{User-Agent}}i\""),
            "vhost_combined" => format!("%v:%p {COMMON} \"%{{Referer}}i\" \"%{{User-Agent}}i\""),
            own => own.replace("\\\"", "\"").replace("\\t", "\t"),
        };
        let mut log = AccessLog { parts: Vec::new() };
        let mut rest = format.chars();
        while let Some(own) = rest.next() {
            if own != '%' {
                log.text(own);
                continue;
            }
            // Conditions and which of several requests: `%!200,304r`, `%>s`.
            while rest.as_str().starts_with(|own: char| "!<>,0123456789".contains(own)) {
                rest.next();
            }
            let mut argument = "";
            if let Some(inner) = rest.as_str().strip_prefix('{') {
                let len = inner.find('}').ok_or("a { has no }")?;
                argument = &inner[..len];
                rest = inner[len + 1..].chars();
            }
            let letter = rest.next().ok_or("% stands at the end")?;
            if letter == '^' {
                rest.nth(1);
            }
            log.directive(letter, argument)?;
        }
        log.checked()
    }

    fn directive(&mut self, letter: char, argument: &str) -> Result<(), String> {
        let header = |argument: &str| match argument.to_ascii_lowercase().as_str() {
            "referer" => ("referer".to_owned(), Kind::Text),
            "user-agent" => ("agent".to_owned(), Kind::Text),
            "cookie" => ("cookie".to_owned(), Kind::Cookie),
            other => (format!("header.{other}"), Kind::Text),
        };
        let named = |name: &str, kind| (name.to_owned(), kind);
        let (name, kind) = match letter {
            '%' => {
                self.text('%');
                return Ok(());
            }
            'h' | 'a' if argument.is_empty() || argument == "c" => named("client", Kind::Text),
            'l' => named("ident", Kind::Text),
            'u' => named("auth", Kind::User),
            't' if argument.is_empty() => {
                self.text('[');
                self.field("", Kind::Time(TimeLayout::read(APACHE_TIME)?));
                self.text(']');
                return Ok(());
            }
            't' => {
                let layout = argument.trim_start_matches("begin:").trim_start_matches("end:");
                let layout = match layout {
                    "sec" => TimeLayout::Unix(1),
                    "msec" => TimeLayout::Unix(1000),
                    "usec" => TimeLayout::Unix(1_000_000),
                    "msec_frac" | "usec_frac" => return Err(format!("%{{{layout}}}t alone is no time")),
                    own => TimeLayout::read(own)?,
                };
                (String::new(), Kind::Time(layout))
            }
            'r' => named("request", Kind::Request),
            's' => named("status", Kind::Long),
            'b' | 'B' => named("bytes", Kind::Long),
            'i' => header(argument),
            'o' => (format!("response_header.{}", argument.to_ascii_lowercase()), Kind::Text),
            'C' => (format!("cookie.{argument}"), if argument == "userid" { Kind::User } else { Kind::Text }),
            'e' => (format!("env.{argument}"), Kind::Text),
            'n' => (format!("note.{argument}"), Kind::Text),
            'x' => (format!("ssl.{}", argument.to_ascii_lowercase()), Kind::Text),
            'v' | 'V' => named("vhost", Kind::Text),
            'p' => named("port", Kind::Long),
            'A' => named("server", Kind::Text),
            'm' => named("method", Kind::Text),
            'U' => named("path", Kind::Text),
            'q' => named("query", Kind::Text),
            'H' => named("protocol", Kind::Text),
            'D' => named("took_us", Kind::Long),
            'T' => named(
                if argument == "ms" {
                    "took_ms"
                } else if argument == "us" {
                    "took_us"
                } else {
                    "took_s"
                },
                Kind::Double,
            ),
            'P' => named(if argument == "tid" { "tid" } else { "pid" }, Kind::Long),
            'k' => named("keepalive", Kind::Long),
            'I' => named("bytes_in", Kind::Long),
            'O' => named("bytes_out", Kind::Long),
            'S' => named("bytes_both", Kind::Long),
            'X' => named("connection", Kind::Text),
            'L' => named("log_id", Kind::Text),
            'R' => named("handler", Kind::Text),
            'f' => named("file", Kind::Text),
            other => return Err(format!("the directive %{other} is not known")),
        };
        self.field(&name, kind);
        Ok(())
    }

    /// Reads a `log_format`; `combined` and `main` are known by name.
    ///
    /// # Errors
    /// Two variables without a text between them.
    pub(crate) fn nginx(format: &str) -> Result<AccessLog, String> {
        const COMBINED: &str = r#"$remote_addr - $remote_user [$time_local] "$request" $status $body_bytes_sent "$http_referer" "$http_user_agent""#;
        let format = match format {
            "combined" => COMBINED.to_owned(),
            "main" => format!("{COMBINED} \"$http_x_forwarded_for\""),
            own => own.to_owned(),
        };
        let mut log = AccessLog { parts: Vec::new() };
        let mut rest = format.as_str();
        while let Some(own) = rest.chars().next() {
            rest = &rest[own.len_utf8()..];
            if own != '$' {
                log.text(own);
                continue;
            }
            let braced = rest.starts_with('{');
            let inner = rest.trim_start_matches('{');
            let len =
                inner.find(|own: char| !own.is_ascii_alphanumeric() && own != '_').unwrap_or(inner.len());
            let (name, after) = inner.split_at(len);
            rest = if braced { after.strip_prefix('}').ok_or("a { has no }")? } else { after };
            log.variable(name)?;
        }
        log.checked()
    }

    fn variable(&mut self, name: &str) -> Result<(), String> {
        let ends = |ends: &[&str]| ends.iter().any(|end| name.ends_with(end));
        let (own, kind) = match name {
            "" => return Err("a $ without a name".into()),
            "remote_addr" => ("client", Kind::Text),
            "remote_user" => ("auth", Kind::User),
            "time_local" => ("", Kind::Time(TimeLayout::read(APACHE_TIME)?)),
            "time_iso8601" => ("", Kind::Time(TimeLayout::Rfc3339)),
            "msec" => ("", Kind::Time(TimeLayout::Unix(1))),
            "request" => ("request", Kind::Request),
            "status" => ("status", Kind::Long),
            "body_bytes_sent" => ("bytes", Kind::Long),
            "http_referer" => ("referer", Kind::Text),
            "http_user_agent" => ("agent", Kind::Text),
            "http_cookie" => ("cookie", Kind::Cookie),
            "cookie_userid" => ("cookie_userid", Kind::User),
            "request_method" => ("method", Kind::Text),
            "uri" | "request_uri" => ("path", Kind::Text),
            "server_protocol" => ("protocol", Kind::Text),
            _ if ends(&["_time", "_ratio"]) => (name, Kind::Double),
            _ if ends(&["_length", "_bytes", "_port", "_status", "_received", "_sent"])
                || matches!(name, "pid" | "connection" | "connection_requests") =>
            {
                (name, Kind::Long)
            }
            other => (other, Kind::Text),
        };
        self.field(own, kind);
        Ok(())
    }

    fn text(&mut self, own: char) {
        match self.parts.last_mut() {
            Some(Part::Text(text)) => text.push(own),
            _ => self.parts.push(Part::Text(own.into())),
        }
    }

    fn field(&mut self, name: &str, kind: Kind) {
        self.parts.push(Part::Field { name: name.to_owned(), kind });
    }

    fn checked(self) -> Result<AccessLog, String> {
        let touching =
            self.parts.windows(2).any(|pair| matches!(pair, [Part::Field { .. }, Part::Field { .. }]));
        let fields = self.parts.iter().any(|part| matches!(part, Part::Field { .. }));
        match (touching, fields) {
            (true, _) => Err("between two fields there must be a text".into()),
            (_, false) => Err("there is no field in it".into()),
            _ => Ok(self),
        }
    }

    pub(crate) fn read<'t>(&'t self, text: &'t str, clock: Clock<'_>) -> Result<Found<'t>, Stopped> {
        let mut found = Found::default();
        let mut at = 0;
        // Whether a value that is missing stands without its quotes.
        let mut bare = false;
        for (place, part) in self.parts.iter().enumerate() {
            match part {
                Part::Text(own) => {
                    let own = if bare { own.strip_prefix(['"', ']']).unwrap_or(own) } else { own };
                    let open = own.strip_suffix(['"', '[']);
                    bare = false;
                    if let Some(rest) = text[at..].strip_prefix(own) {
                        at = text.len() - rest.len();
                    } else if let Some(rest) = open
                        .and_then(|open| text[at..].strip_prefix(open))
                        .filter(|rest| rest.starts_with('-'))
                    {
                        at = text.len() - rest.len();
                        bare = true;
                    } else {
                        return Err(Stopped { expected: format!("{own:?}").into(), ..Stopped::new(at, "") });
                    }
                }
                Part::Field { .. } if bare => at += 1,
                Part::Field { name, kind } => {
                    let before = place.checked_sub(1).and_then(|place| self.parts.get(place));
                    let in_quotes = matches!(before, Some(Part::Text(own)) if own.ends_with('"'));
                    let next = match self.parts.get(place + 1) {
                        Some(Part::Text(next)) => Some(next.as_str()),
                        _ => None,
                    };
                    let len = end(&text[at..], next, in_quotes).ok_or_else(|| Stopped {
                        expected: format!("{:?} after {name}", next.unwrap_or_default()).into(),
                        ..Stopped::new(at, "")
                    })?;
                    field(name, kind, &text[at..at + len], at, clock, &mut found)?;
                    at += len;
                }
            }
        }
        if at < text.len() {
            return Err(Stopped::new(at, "the end of the line"));
        }
        Ok(found)
    }
}

/// Length of a value that `next` follows.
fn end(rest: &str, next: Option<&str>, in_quotes: bool) -> Option<usize> {
    let Some(next) = next else { return Some(rest.len()) };
    if !(in_quotes && next.starts_with('"')) {
        let bare = || next.strip_suffix(['"', '[']).and_then(|open| rest.find(&format!("{open}-")));
        return rest.find(next).or_else(bare);
    }
    let mut from = 0;
    loop {
        let at = from + memchr::memchr2(b'"', b'\\', &rest.as_bytes()[from..])?;
        if rest.as_bytes()[at] == b'"' && rest[at..].starts_with(next) {
            return Some(at);
        }
        from = at + if rest.as_bytes()[at] == b'"' { 1 } else { 2 };
        if from >= rest.len() {
            return None;
        }
    }
}

fn field<'t>(
    name: &'t str,
    kind: &Kind,
    value: &'t str,
    at: usize,
    clock: Clock<'_>,
    found: &mut Found<'t>,
) -> Result<(), Stopped> {
    if value == "-" || value.is_empty() {
        return Ok(());
    }
    let wrong =
        |what: &str| Stopped { expected: format!("{what} for {name}").into(), ..Stopped::new(at, "") };
    match kind {
        Kind::Text => found.fields.push(name, Value::String(unescape(value))),
        Kind::Long => match value.parse() {
            Ok(number) => found.fields.push(name, Value::Long(number)),
            // Of several servers behind: `200, 404`.
            Err(_) if value.contains([',', ':']) => {
                found.fields.push(name, Value::String(Cow::Borrowed(value)))
            }
            Err(_) => return Err(wrong("a whole number")),
        },
        Kind::Double => match value.parse() {
            Ok(number) => found.fields.push(name, Value::Double(number)),
            Err(_) if value.contains([',', ':']) => {
                found.fields.push(name, Value::String(Cow::Borrowed(value)))
            }
            Err(_) => return Err(wrong("a number")),
        },
        Kind::Request => request(value, found),
        Kind::User => {
            // A cookie that was read before names the user better.
            found.user.get_or_insert_with(|| unescape(value));
            found.fields.push(name, Value::String(unescape(value)));
        }
        Kind::Cookie => {
            if let Some(user) = user_cookie(value) {
                found.user = Some(user);
            }
            found.fields.push(name, Value::String(unescape(value)));
        }
        Kind::Time(layout) => found.time = Some(layout.micros(value, clock).ok_or_else(|| wrong("a time"))?),
    }
    Ok(())
}
