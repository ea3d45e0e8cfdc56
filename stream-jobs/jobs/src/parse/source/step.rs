//! Steps, as they are written and as they run.

use std::borrow::Cow;
use std::collections::BTreeMap;

use millrace_schemas::Value;
use toml::Table;

use super::cast::Cast;
use super::condition::Condition;
use super::line::Line;
use super::reader::Reader;
use super::settings::{Settings, SourceError};
use crate::grok::Library;
use crate::parse::found::Stopped;
use crate::parse::time::{self, Clock, Layout, Zone};
use crate::pattern::Filter;

/// Steps within steps; deeper is refused.
const MAX_DEPTH: usize = 16;
/// Where the host lies that a line names: as the formats of syslog have it. The event's own host is where the line was read.
const HOST: &str = "hostname";

#[derive(Debug)]
pub(super) enum Step {
    /// Reads a text to fields.
    Read {
        reader: Reader,
        field: Option<String>,
        prefix: String,
        keep: bool,
        optional: bool,
    },
    /// Reads the time from a field, or finds it in the message.
    Timestamp {
        field: Option<String>,
        layouts: Vec<Layout>,
        zone: Option<Zone>,
        keep: bool,
        optional: bool,
    },
    Severity {
        field: String,
        names: BTreeMap<String, String>,
        keep: bool,
    },
    Lift {
        message: Option<String>,
        user: Option<String>,
        host: Option<String>,
    },
    Rename(Vec<(String, String)>),
    Drop(Vec<String>),
    Cast(Vec<(String, Cast)>),
    Add(Vec<(String, Value<'static>)>),
    StripAnsi,
    FirstOf {
        branches: Vec<Vec<Step>>,
        filter: Option<Filter>,
    },
    When {
        condition: Condition,
        then: Vec<Step>,
        otherwise: Vec<Step>,
    },
}

/// Reads steps.
pub(super) fn steps(
    value: Option<toml::Value>,
    path: &str,
    library: &Library,
    depth: usize,
) -> Result<Vec<Step>, SourceError> {
    let all = match value {
        Some(toml::Value::Array(all)) => all,
        Some(one @ (toml::Value::String(_) | toml::Value::Table(_))) => vec![one],
        Some(other) => return Err(SourceError::new(path, format!("{other} is not a list of steps"))),
        None => return Err(SourceError::new(path, "is missing")),
    };
    if depth > MAX_DEPTH {
        return Err(SourceError::new(path, format!("steps are nested deeper than {MAX_DEPTH}")));
    }
    all.into_iter()
        .enumerate()
        .map(|(at, own)| Step::new(own, &format!("{path}.{at}"), library, depth))
        .collect()
}

impl Step {
    /// `"name"`, or a table with the name as its only key.
    fn new(value: toml::Value, path: &str, library: &Library, depth: usize) -> Result<Step, SourceError> {
        let (name, settings) = match value {
            toml::Value::String(name) => (name, toml::Value::Table(Table::new())),
            toml::Value::Table(table) if table.len() == 1 => {
                let mut pairs = table.into_iter();
                pairs.next().ok_or_else(|| SourceError::new(path, "is empty"))?
            }
            _ => {
                return Err(SourceError::new(
                    path,
                    "a step is a name, or a table with its name as the only key",
                ));
            }
        };
        let path = format!("{path}.{name}");
        if name == "first_of" {
            let toml::Value::Array(branches) = settings else {
                return Err(SourceError::new(path, "is not a list of lists of steps"));
            };
            let branch = |(at, own)| steps(Some(own), &format!("{path}.{at}"), library, depth + 1);
            let branches: Vec<Vec<Step>> =
                branches.into_iter().enumerate().map(branch).collect::<Result<_, _>>()?;
            let literals: Vec<&[Vec<String>]> =
                branches.iter().map(|own| own.first().map_or(&[][..], Step::literals)).collect();
            let filter = Filter::new(&literals);
            return Ok(Step::FirstOf { branches, filter });
        }
        if name == "drop" && !settings.is_table() {
            let mut one = Settings::new(path, Table::from_iter([("drop".to_owned(), settings)]));
            return Ok(Step::Drop(one.texts("drop")?));
        }
        let toml::Value::Table(table) = settings else {
            return Err(SourceError::new(path, format!("{settings} is not a table of settings")));
        };
        let mut settings = Settings::new(path, table);
        let step = Step::named(&name, &mut settings, library, depth)?;
        settings.finish()?;
        Ok(step)
    }

    fn named(
        name: &str,
        settings: &mut Settings,
        library: &Library,
        depth: usize,
    ) -> Result<Step, SourceError> {
        Ok(match name {
            "timestamp" => {
                let layouts = settings.texts("format")?;
                let layouts = layouts.iter().map(|own| {
                    Layout::read(own).or_else(|what| settings.fault("format", format!("{own:?}: {what}")))
                });
                let mut layouts = layouts.collect::<Result<Vec<_>, _>>()?;
                if layouts.is_empty() {
                    layouts.push(Layout::Auto);
                }
                let zone = settings
                    .text("timezone")?
                    .map(|name| super::zone(&name, &settings.at("timezone")))
                    .transpose()?;
                let (keep, optional) = (settings.truth("keep")?, settings.truth("optional")?);
                Step::Timestamp { field: settings.text("field")?, layouts, zone, keep, optional }
            }
            "severity" => {
                let names = settings.pairs("names")?;
                let names = names.into_iter().map(|(from, to)| (from.to_lowercase(), to)).collect();
                Step::Severity { field: settings.required("field")?, names, keep: settings.truth("keep")? }
            }
            "lift" => Step::Lift {
                message: settings.text("message")?,
                user: settings.text("user")?,
                host: settings.text("host")?,
            },
            "strip_ansi" => Step::StripAnsi,
            "rename" => {
                let pairs = settings.rest().into_iter().map(|(from, to)| match to {
                    toml::Value::String(to) => Ok((from, to)),
                    other => settings.fault(&from, format!("{other} is not a name")),
                });
                Step::Rename(pairs.collect::<Result<_, _>>()?)
            }
            "cast" => {
                let pairs = settings.rest().into_iter().map(|(field, to)| {
                    let cast = to.as_str().and_then(Cast::named);
                    cast.map(|cast| (field.clone(), cast)).map_or_else(
                        || settings.fault(&field, format!("{to} is not one of {}", Cast::NAMES)),
                        Ok,
                    )
                });
                Step::Cast(pairs.collect::<Result<_, _>>()?)
            }
            "add" => {
                let pairs = settings.rest().into_iter().map(|(field, value)| match value {
                    toml::Value::String(text) => Ok((field, Value::String(Cow::Owned(text)))),
                    toml::Value::Integer(number) => Ok((field, Value::Long(number))),
                    toml::Value::Float(number) => Ok((field, Value::Double(number))),
                    toml::Value::Boolean(truth) => Ok((field, Value::Boolean(truth))),
                    other => settings.fault(&field, format!("{other} is not a text, number or truth value")),
                });
                Step::Add(pairs.collect::<Result<_, _>>()?)
            }
            "when" => {
                let then = settings.take("then");
                let then = steps(then, &settings.at("then"), library, depth + 1)?;
                let otherwise = match settings.take("else") {
                    None => Vec::new(),
                    own => steps(own, &settings.at("else"), library, depth + 1)?,
                };
                Step::When { condition: Condition::new(settings)?, then, otherwise }
            }
            reader => {
                let (field, prefix) = (settings.text("field")?, settings.text("prefix")?.unwrap_or_default());
                let (keep, optional) = (!settings.truth("remove")?, settings.truth("optional")?);
                match Reader::new(reader, settings, library)? {
                    Some(reader) => Step::Read { reader, field, prefix, keep, optional },
                    None => return Err(SourceError::new(settings.path.clone(), "is not the name of a step")),
                }
            }
        })
    }

    /// Lists of literals, of each of which the message has one, or the step fails.
    fn literals(&self) -> &[Vec<String>] {
        match self {
            Step::Read { reader, field: None, optional: false, .. } => reader.literals(),
            _ => &[],
        }
    }

    fn run<'t>(&'t self, line: &mut Line<'t>, clock: Clock<'_>) -> Result<(), Stopped> {
        match self {
            Step::Read { reader, field, prefix, keep, optional } => {
                match line.read(reader, field.as_deref(), clock) {
                    Ok(found) => {
                        if let (Some(field), false) = (field, keep) {
                            line.take(field);
                        }
                        line.absorb(found, prefix, field.is_none());
                        Ok(())
                    }
                    Err(stopped) if *optional && !stopped.complex => Ok(()),
                    Err(stopped) => Err(stopped),
                }
            }
            Step::Timestamp { field, layouts, zone, keep, optional } => {
                let clock = Clock { zone: zone.as_ref().unwrap_or(clock.zone), ..clock };
                let micros = match field {
                    None => time::find(line.message(), clock).map(|(micros, _)| micros),
                    Some(field) => line
                        .text_of(field)
                        .and_then(|text| layouts.iter().find_map(|layout| layout.micros(&text, clock))),
                };
                match (micros, field) {
                    (Some(micros), field) => {
                        line.found.time = Some(micros);
                        if let (Some(field), false) = (field, keep) {
                            line.take(field);
                        }
                        Ok(())
                    }
                    (None, _) if *optional => Ok(()),
                    (None, field) => Err(Stopped {
                        expected: format!("a time in {}", field.as_deref().unwrap_or("the message")).into(),
                        ..Stopped::new(0, "")
                    }),
                }
            }
            Step::Severity { field, names, keep } => {
                if let Some(text) = line.text_of(field) {
                    let own = text.to_lowercase();
                    line.found.severity = Some(match names.get(&own) {
                        Some(name) => Cow::Borrowed(name.as_str()),
                        None => Cow::Owned(own),
                    });
                    if !keep {
                        line.take(field);
                    }
                }
                Ok(())
            }
            Step::Lift { message, user, host } => {
                if let Some(text) = host.as_deref().and_then(|field| line.take_text(field)) {
                    line.put(Cow::Borrowed(HOST), Value::String(text));
                }
                if let Some(text) = message.as_deref().and_then(|field| line.take_text(field)) {
                    line.found.message = Some(text);
                }
                if let Some(text) = user.as_deref().and_then(|field| line.take_text(field)) {
                    line.found.user = Some(text);
                }
                Ok(())
            }
            Step::StripAnsi => {
                line.strip_ansi();
                Ok(())
            }
            Step::Rename(pairs) => {
                pairs.iter().for_each(|(from, to)| line.rename(from, to));
                Ok(())
            }
            Step::Drop(names) => {
                names.iter().for_each(|name| drop(line.take(name)));
                Ok(())
            }
            Step::Cast(pairs) => {
                pairs.iter().for_each(|(field, cast)| line.cast(field, *cast));
                Ok(())
            }
            Step::Add(pairs) => {
                pairs.iter().for_each(|(name, value)| line.put(Cow::Borrowed(name), value.clone()));
                Ok(())
            }
            Step::FirstOf { branches, filter } => first_of(branches, filter.as_ref(), line, clock),
            Step::When { condition, then, otherwise } => {
                run(if condition.holds(line)? { then } else { otherwise }, line, clock)
            }
        }
    }
}

/// Runs the steps in order; the first that fails ends it.
pub(super) fn run<'t>(steps: &'t [Step], line: &mut Line<'t>, clock: Clock<'_>) -> Result<(), Stopped> {
    steps.iter().try_for_each(|step| step.run(line, clock))
}

fn first_of<'t>(
    branches: &'t [Vec<Step>],
    filter: Option<&Filter>,
    line: &mut Line<'t>,
    clock: Clock<'_>,
) -> Result<(), Stopped> {
    let possible = filter.map(|filter| filter.possible(line.message()));
    let mut furthest: Option<Stopped> = None;
    for (at, branch) in branches.iter().enumerate() {
        if possible.as_ref().is_some_and(|possible| !possible[at]) {
            continue;
        }
        let mut own = line.clone();
        match run(branch, &mut own, clock) {
            Ok(()) => {
                *line = own;
                return Ok(());
            }
            // What is too much for one is not given to the next: who comes first must not depend on a limit.
            Err(stopped) if stopped.complex => return Err(stopped),
            Err(stopped) => {
                if furthest.as_ref().is_none_or(|own| stopped.at > own.at) {
                    furthest = Some(stopped);
                }
            }
        }
    }
    Err(furthest.unwrap_or_else(|| Stopped::new(0, "what one of the branches of first_of reads")))
}
