//! What reads a text: a format with its settings.

use std::borrow::Cow;

use millrace_schemas::Value;

use super::settings::{Settings, SourceError};
use crate::grok::{Grok, Library, Sink};
use crate::parse::format::Format;
use crate::parse::formats::delimited::Delimited;
use crate::parse::formats::dissect::Dissect;
use crate::parse::formats::key_value::KeyValue;
use crate::parse::formats::layout::AccessLog;
use crate::parse::formats::w3c::W3c;
use crate::parse::formats::{agent, cef, peer, url};
use crate::parse::found::{Found, Stopped};
use crate::parse::time::Clock;
use crate::pattern::{Dialect, Many, Pattern, TooComplex};

/// Fields that room is made for at once.
const FIELDS: usize = 16;

#[derive(Debug)]
pub(super) enum Reader {
    Format(Format),
    LabelledCef,
    KeyValue(KeyValue),
    Delimited(Delimited),
    AccessLog(AccessLog),
    W3c(W3c),
    Dissect(Dissect),
    Regex { pattern: Pattern, text: String },
    Grok { groks: Vec<Grok>, many: Many, expressions: Vec<String> },
    Url { parameters: bool },
    Query,
    Agent,
    Peer,
}

impl Reader {
    /// The reader of that name with its settings; `None`: there is none of that name.
    pub(super) fn new(
        name: &str,
        settings: &mut Settings,
        library: &Library,
    ) -> Result<Option<Reader>, SourceError> {
        Ok(Some(match name {
            "apache" | "nginx" => match (settings.text("format")?, name) {
                (None, "apache") => Reader::Format(Format::Apache),
                (format, _) => {
                    let format = format.unwrap_or_else(|| "combined".into());
                    let read =
                        if name == "apache" { AccessLog::apache(&format) } else { AccessLog::nginx(&format) };
                    Reader::AccessLog(read.or_else(|what| settings.fault("format", what))?)
                }
            },
            "cef" if settings.truth("labels")? => Reader::LabelledCef,
            "key_value" => {
                let pair = settings.text("pair_separator")?.unwrap_or_else(|| "=".into());
                let field = settings.text("field_separator")?.unwrap_or_else(|| " ".into());
                let alone = !settings.truth("pairs_only")?;
                if pair.is_empty() || field.is_empty() {
                    return settings.fault("pair_separator", "separators are not empty");
                }
                Reader::KeyValue(KeyValue { pair, field, alone, escapes: false })
            }
            "csv" | "dsv" => {
                let separator = settings.text("separator")?.unwrap_or_else(|| ",".into());
                if separator.is_empty() {
                    return settings.fault("separator", "is empty");
                }
                let quote = settings.text("quote")?.map_or(Some('"'), |quote| quote.chars().next());
                Reader::Delimited(Delimited { separator, quote, columns: settings.texts("columns")? })
            }
            "w3c" => {
                let columns = settings.required("columns")?;
                let columns = columns.trim_start_matches("#Fields:").split_whitespace().map(str::to_owned);
                Reader::W3c(W3c { columns: columns.collect() })
            }
            "dissect" => {
                let pattern = settings.required("pattern")?;
                let joint = settings.text("joint")?.unwrap_or_else(|| " ".into());
                Reader::Dissect(
                    Dissect::new(&pattern, &joint).or_else(|what| settings.fault("pattern", what))?,
                )
            }
            "regex" => {
                let text = settings.required("pattern")?;
                let pattern = Pattern::with_named_groups(&text, Dialect::Perl);
                let pattern = pattern.or_else(|error| settings.fault("pattern", error.to_string()))?;
                if pattern.groups().iter().all(Option::is_none) {
                    return settings.fault("pattern", "has no named group, so it would find nothing");
                }
                Reader::Regex { pattern, text }
            }
            "grok" => Reader::grok(settings, library)?,
            "url" => Reader::Url { parameters: settings.truth("parameters")? },
            "query_string" => Reader::Query,
            "user_agent" => Reader::Agent,
            "peer" => Reader::Peer,
            other => match Format::named(other) {
                Some(format) => Reader::Format(format),
                None => return Ok(None),
            },
        }))
    }

    fn grok(settings: &mut Settings, library: &Library) -> Result<Reader, SourceError> {
        let expressions = settings.texts("match")?;
        let ecs = settings.truth("ecs")?;
        let mut library = library.clone();
        for (name, pattern) in settings.pairs("patterns")? {
            library.add(&name, &pattern);
        }
        if expressions.is_empty() {
            return settings.fault("match", "is missing: one expression, or a list of them");
        }
        let (mut groks, mut patterns) = (Vec::new(), Vec::new());
        for expression in &expressions {
            let compiled = Grok::new(expression, &library, ecs);
            let (grok, pattern) = compiled.or_else(|error| settings.fault("match", error.to_string()))?;
            groks.push(grok);
            patterns.push(pattern);
        }
        Ok(Reader::Grok { groks, many: Many::new(patterns), expressions })
    }

    /// Lists of literals, of each of which every text has one that can be read.
    pub(super) fn literals(&self) -> &[Vec<String>] {
        match self {
            Reader::Regex { pattern, .. } => pattern.literals(),
            Reader::Grok { many, .. } => match many.patterns() {
                [one] => one.literals(),
                _ => &[],
            },
            _ => &[],
        }
    }

    pub(super) fn read<'t>(&'t self, text: &'t str, clock: Clock<'_>) -> Result<Found<'t>, Stopped> {
        match self {
            Reader::Format(format) => format.read(text, clock).1,
            Reader::LabelledCef => cef::cef(text, clock).map(cef::named_by_labels),
            Reader::KeyValue(own) => own.read(text),
            Reader::Delimited(own) => own.read(text),
            Reader::AccessLog(own) => own.read(text, clock),
            Reader::W3c(own) => own.read(text, clock.received),
            Reader::Dissect(own) => own.read(text),
            Reader::Url { parameters } => url::parse(text, *parameters),
            Reader::Query => Ok(url::query(text)),
            Reader::Agent => Ok(agent::parse(text)),
            Reader::Peer => peer::parse(text),
            Reader::Regex { pattern, text: own } => match pattern.captures(text) {
                Err(TooComplex) => Err(Stopped::too_complex(own)),
                Ok(None) => Err(no_match(pattern, own, text)),
                Ok(Some(captures)) => {
                    let mut found = Found::default();
                    found.fields.0.reserve(pattern.groups().len().min(FIELDS));
                    for (group, name) in (1..).zip(pattern.groups()) {
                        let value = captures
                            .span(group)
                            .and_then(|span| text.get(span))
                            .filter(|own| !own.is_empty());
                        if let (Some(name), Some(value)) = (name, value) {
                            found.push(name, value);
                        }
                    }
                    Ok(found)
                }
            },
            Reader::Grok { groks, many, expressions } => match many.captures(text) {
                Err(TooComplex) => Err(Stopped::too_complex(&expressions.join(", "))),
                Ok(None) => {
                    let each = many
                        .patterns()
                        .iter()
                        .zip(expressions)
                        .map(|(pattern, own)| no_match(pattern, own, text));
                    Err(each
                        .max_by_key(|stopped| stopped.at)
                        .unwrap_or_else(|| Stopped::new(0, "an expression")))
                }
                Ok(Some((at, captures))) => {
                    let mut found = Found::default();
                    found.fields.0.reserve(groks[at].names().len().min(FIELDS));
                    groks[at].give(text, &captures, &mut found);
                    Ok(found)
                }
            },
        }
    }
}

impl<'t> Sink<'t> for Found<'t> {
    fn text(&mut self, name: &'t str, text: &'t str) {
        if name == "message" {
            self.message = Some(Cow::Borrowed(text));
        } else {
            self.push(name, text);
        }
    }

    fn value(&mut self, name: &'t str, value: Value<'t>) {
        match value {
            Value::String(message) if name == "message" => self.message = Some(message),
            value => self.fields.push(name, value),
        }
    }
}

/// How far the pattern went from the start of the text.
fn no_match(pattern: &Pattern, own: &str, text: &str) -> Stopped {
    let at = pattern.furthest(text);
    Stopped { expected: format!("what {own:?} has next").into(), ..Stopped::new(at, "") }
}
