//! Lines through a source, as a corpus wants to see them.

use millrace_jobs::grok::Library;
use millrace_jobs::parse::Source;
use millrace_schemas::Value as Field;
use serde_json::{Map, Value, json};

/// 2026-12-31T00:00:00Z: dates without a year are of 2026.
pub(crate) const RECEIVED: i64 = 1_798_675_200_000_000;

/// What came of a line.
#[derive(Debug, Default)]
pub(crate) struct Read {
    /// µs
    pub(crate) time: Option<i64>,
    pub(crate) message: Option<String>,
    pub(crate) severity: Option<String>,
    pub(crate) user: Option<String>,
    pub(crate) fields: Map<String, Value>,
}

impl Read {
    /// A field, or what was lifted out of the fields under one of its usual names.
    pub(crate) fn get(&self, name: &str) -> Option<Value> {
        let own = |text: &Option<String>| text.as_ref().map(|text| json!(text));
        self.fields.get(name).cloned().or_else(|| match name {
            "message" | "msg" => own(&self.message),
            "level" | "severity" | "lvl" | "log.level" => own(&self.severity),
            "user" | "user_id" | "userid" => own(&self.user),
            _ => None,
        })
    }
}

/// A source whose steps are given as TOML.
pub(crate) fn steps(steps: &str) -> Result<Source, String> {
    source(&format!("name = \"case\"\nsteps = {steps}"), &Library::base())
}

pub(crate) fn source(toml: &str, library: &Library) -> Result<Source, String> {
    let table: toml::Table = toml.parse().map_err(|error| format!("{error}"))?;
    Source::new(table, library).map_err(|error| error.to_string())
}

/// A text as TOML writes it.
pub(crate) fn quoted(text: &str) -> String {
    toml::Value::String(text.to_owned()).to_string()
}

pub(crate) fn read(source: &Source, line: &str, received: i64) -> Result<Read, String> {
    let found = source
        .read(line, received)
        .map_err(|stopped| format!("expected {} at byte {}", stopped.expected, stopped.at))?;
    let value = |value: &Field<'_>| match value {
        Field::String(text) => json!(text),
        Field::Long(number) => json!(number),
        Field::Double(number) => json!(number),
        Field::Boolean(truth) => json!(truth),
    };
    let own = |text: Option<std::borrow::Cow<'_, str>>| text.map(std::borrow::Cow::into_owned);
    Ok(Read {
        time: found.time,
        fields: found.fields.0.iter().map(|(name, own)| (name.to_string(), value(own))).collect(),
        message: own(found.message),
        severity: own(found.severity),
        user: own(found.user),
    })
}

/// µs of a time as a corpus writes it; without zone it is UTC.
pub(crate) fn micros(text: &str) -> Option<i64> {
    let source = steps(r#"[{ timestamp = { field = "message", format = "rfc3339" } }]"#).ok()?;
    let dated = if text.len() == 10 { format!("{text}T00:00:00") } else { text.to_owned() };
    read(&source, &dated, RECEIVED).ok()?.time
}
