//! Sources: how lines are read, as a chain of steps.
//!
//! A source is a table of TOML with a name, a version, the streams it reads and its steps; its own examples may stand
//! beside them. It is compiled once; what is wrong in it is named with its path. Reading is a function of the line, of
//! when it was received, and of the source.

mod cast;
mod condition;
mod example;
mod line;
mod reader;
mod settings;
mod step;
#[cfg(any(test, feature = "fuzz"))]
pub mod targets;
mod types;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use line::Line;
use settings::Settings;
use step::Step;
use toml::Table;

use super::found::{Found, Stopped};
use super::roles::lift;
use super::time::{Clock, Zone};
use crate::grok::Library;

pub(crate) use cast::Cast;
pub use example::{Example, Failure, rfc3339_text};
pub use settings::SourceError;

/// A compiled source.
#[derive(Debug)]
pub struct Source {
    name: String,
    version: i32,
    streams: Vec<String>,
    zone: Zone,
    types: BTreeMap<String, Cast>,
    steps: Vec<Step>,
    examples: Vec<Example>,
}

impl Source {
    /// Compiles the source in a table. `library` has the base library of grok and the files of its `patterns_dir`, which who
    /// calls has read.
    ///
    /// # Errors
    /// The first thing that is wrong, with its path.
    pub fn new(table: Table, library: &Library) -> Result<Source, SourceError> {
        let named = table.get("name").and_then(toml::Value::as_str).unwrap_or("source").to_owned();
        let mut settings = Settings::new(named, table);
        let name = settings.required("name")?;
        let is_id =
            |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-' || byte == b'_';
        if name.is_empty() || name.len() > 64 || !name.bytes().all(is_id) {
            return settings.fault("name", format!("{name:?} is not made of 1 to 64 of a-z, 0-9, - and _"));
        }
        let version = match settings.take("version") {
            None => 1,
            Some(toml::Value::Integer(version)) if (1..=i64::from(i32::MAX)).contains(&version) => {
                version as i32
            }
            Some(other) => return settings.fault("version", format!("{other} is not a number from 1 on")),
        };
        let zone = match settings.text("timezone")? {
            Some(name) => zone(&name, &settings.at("timezone"))?,
            None => Zone::UTC,
        };
        let types = settings.pairs("types")?.into_iter().map(|(field, name)| match Cast::named(&name) {
            Some(cast) => Ok((field, cast)),
            None => {
                settings.fault(&format!("types.{field}"), format!("{name:?} is not one of {}", Cast::NAMES))
            }
        });
        let mut types = types.collect::<Result<BTreeMap<_, _>, _>>()?;
        drop(settings.take("patterns_dir"));
        let mut library = library.clone();
        for (name, pattern) in settings.pairs("patterns")? {
            library.add(&name, &pattern);
        }
        let steps = step::steps(settings.take("steps"), &settings.at("steps"), &library, 0)?;
        types::stated(&steps, &mut types);
        let examples = Example::list(&mut settings)?;
        let source =
            Source { name, version, streams: settings.texts("streams")?, zone, types, steps, examples };
        settings.finish()?;
        Ok(source)
    }

    /// Compiles the sources of a file: a list of tables `source`. `patterns` gives the texts of the files in a folder that a
    /// `patterns_dir` names.
    ///
    /// # Errors
    /// The first thing that is wrong, with its path.
    pub fn list(
        file: &str,
        patterns: impl Fn(&str) -> Result<Vec<String>, String>,
    ) -> Result<Vec<Source>, SourceError> {
        let file: Table =
            file.parse().map_err(|error: toml::de::Error| SourceError::new("file", error.to_string()))?;
        let mut sources: Vec<Source> = Vec::new();
        for (key, value) in file {
            let toml::Value::Array(all) = value else {
                return Err(SourceError::new(key, "is not a list of tables: [[source]]"));
            };
            if key != "source" {
                return Err(SourceError::new(key, "is not known here: [[source]] is"));
            }
            for (at, own) in all.into_iter().enumerate() {
                let toml::Value::Table(table) = own else {
                    return Err(SourceError::new(format!("source.{at}"), "is not a table"));
                };
                let mut library = Library::base();
                for folder in Source::folders(&table) {
                    let texts = patterns(folder)
                        .map_err(|what| SourceError::new(format!("source.{at}.patterns_dir"), what))?;
                    texts.iter().for_each(|text| library.add_file(text));
                }
                let source = Source::new(table, &library)?;
                let twice = |own: &Source| {
                    own.name == source.name
                        || own.streams.iter().any(|stream| source.streams.contains(stream))
                };
                if let Some(other) = sources.iter().find(|own| twice(own)) {
                    let what = format!("shares its name or a stream with the source {}", other.name);
                    return Err(SourceError::new(source.name.clone(), what));
                }
                sources.push(source);
            }
        }
        Ok(sources)
    }

    /// Folders of pattern files that the table of a source names.
    pub fn folders(table: &Table) -> Vec<&str> {
        match table.get("patterns_dir") {
            Some(toml::Value::String(folder)) => vec![folder],
            Some(toml::Value::Array(folders)) => folders.iter().filter_map(toml::Value::as_str).collect(),
            _ => Vec::new(),
        }
    }

    /// Name, which events bear as their parser.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Version, which events bear, too.
    pub fn version(&self) -> i32 {
        self.version
    }

    /// Streams that it reads.
    pub fn streams(&self) -> &[String] {
        &self.streams
    }

    /// Its own examples.
    pub fn examples(&self) -> &[Example] {
        &self.examples
    }

    /// Reads one line.
    ///
    /// # Errors
    /// Where and why it is none of this source.
    pub fn read<'t>(&'t self, text: &'t str, received: i64) -> Result<Found<'t>, Stopped> {
        let clock = Clock { received, zone: &self.zone };
        let mut line = Line::new(text);
        step::run(&self.steps, &mut line, clock)?;
        lift(&mut line.found, clock);
        line.hold(&self.types);
        Ok(line.found)
    }
}

fn zone(name: &str, path: &str) -> Result<Zone, SourceError> {
    Zone::named(name).ok_or_else(|| {
        SourceError::new(path, format!("{name:?} is no time zone: UTC, +02:00, Europe/Berlin, …"))
    })
}
