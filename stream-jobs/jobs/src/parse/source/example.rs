//! Examples that a source brings along: a line, and what must come of it.

use std::fmt;

use millrace_schemas::Value;
use toml::Table;

use super::Source;
use super::settings::{Settings, SourceError};
use crate::parse::found::Found;
use crate::parse::time::{Form, Zone, civil_of, rfc3339};

/// When examples were received that do not say it: 2026-01-02T03:04:05Z.
const RECEIVED: i64 = 1_767_323_045_000_000;

/// A line and what it gives.
#[derive(Debug, Clone, PartialEq)]
pub struct Example {
    line: String,
    received: i64,
    /// Fields, and `time`, `severity`, `user`, `message`; those that are not named may be anything.
    expect: Table,
    /// Whether it must become a dead letter.
    dead: bool,
}

/// An example that does not hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// The line.
    pub line: String,
    /// What came instead.
    pub what: String,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}\n  {}", self.line, self.what)
    }
}

impl Example {
    pub(super) fn list(settings: &mut Settings) -> Result<Vec<Example>, SourceError> {
        let all = match settings.take("example") {
            None => return Ok(Vec::new()),
            Some(toml::Value::Array(all)) => all,
            Some(_) => return settings.fault("example", "is not a list of tables: [[source.example]]"),
        };
        let read = |(at, own)| {
            let toml::Value::Table(table) = own else {
                return settings.fault("example", "is not a list of tables");
            };
            let mut own = Settings::new(format!("{}.example.{at}", settings.path), table);
            let received = match own.text("received")? {
                None => RECEIVED,
                Some(text) => match rfc3339(text.as_bytes(), Form::Lenient, &Zone::UTC) {
                    Some((micros, _)) => micros,
                    None => return own.fault("received", format!("{text:?} is no time as in RFC 3339")),
                },
            };
            let expect = match own.take("expect") {
                None => Table::new(),
                Some(toml::Value::Table(table)) => table,
                Some(_) => return own.fault("expect", "is not a table"),
            };
            let example = Example { line: own.required("line")?, received, expect, dead: own.truth("dead")? };
            own.finish()?;
            Ok(example)
        };
        all.into_iter().enumerate().map(read).collect()
    }

    /// Whether `source` makes of the line what is expected.
    ///
    /// # Errors
    /// What it makes of it instead.
    pub fn check(&self, source: &Source) -> Result<(), Failure> {
        let fail = |what: String| Err(Failure { line: self.line.clone(), what });
        match source.read(&self.line, self.received) {
            Err(_) if self.dead => Ok(()),
            Err(stopped) => {
                fail(format!("does not match: expected {} at byte {}", stopped.expected, stopped.at))
            }
            Ok(_) if self.dead => fail("is read, and should not be".to_owned()),
            Ok(found) => {
                for (name, wanted) in &self.expect {
                    let is = member(&found, &self.line, name);
                    if !is.as_ref().is_some_and(|is| same(is, wanted)) {
                        let is = is.map_or("missing".to_owned(), |is| is.to_string());
                        return fail(format!("{name} is {is}, not {wanted}"));
                    }
                }
                Ok(())
            }
        }
    }
}

fn member(found: &Found<'_>, line: &str, name: &str) -> Option<toml::Value> {
    let text = |text: &str| Some(toml::Value::String(text.to_owned()));
    match (name, found.fields.find(name)) {
        (_, Some(Value::String(own))) => text(own),
        (_, Some(Value::Long(number))) => Some(toml::Value::Integer(*number)),
        (_, Some(Value::Double(number))) => Some(toml::Value::Float(*number)),
        (_, Some(Value::Boolean(truth))) => Some(toml::Value::Boolean(*truth)),
        ("time", None) => found.time.map(|micros| toml::Value::String(rfc3339_text(micros))),
        ("severity", None) => found.severity.as_deref().and_then(text),
        ("user", None) => found.user.as_deref().and_then(text),
        ("message", None) => text(found.message.as_deref().unwrap_or(line)),
        _ => None,
    }
}

fn same(is: &toml::Value, wanted: &toml::Value) -> bool {
    let time = |value: &toml::Value| match value {
        toml::Value::Datetime(time) => Some(time.to_string()),
        other => other.as_str().map(str::to_owned),
    };
    match (is, wanted) {
        (toml::Value::String(is), toml::Value::String(_) | toml::Value::Datetime(_)) => {
            let wanted = time(wanted).unwrap_or_default();
            let micros = |text: &str| {
                rfc3339(text.as_bytes(), Form::Lenient, &Zone::UTC).filter(|(_, len)| *len == text.len())
            };
            *is == wanted
                || micros(is).is_some() && micros(is).map(|own| own.0) == micros(&wanted).map(|own| own.0)
        }
        _ => is == wanted,
    }
}

/// µs as people write them.
pub fn rfc3339_text(micros: i64) -> String {
    let civil = civil_of(micros);
    let fraction = match civil.micro {
        0 => String::new(),
        micro => format!(".{micro:06}").trim_end_matches('0').to_owned(),
    };
    let (hour, minute, second) = (civil.hour, civil.minute, civil.second);
    format!(
        "{:04}-{:02}-{:02}T{hour:02}:{minute:02}:{second:02}{fraction}Z",
        civil.year, civil.month, civil.day
    )
}
