//! A table of a source's TOML, read key by key: what was not asked for is an error in the end.

use std::collections::BTreeMap;

use toml::{Table, Value};

/// What is wrong in a source, and where.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{path}: {what}")]
pub struct SourceError {
    /// Keys down to the place, with dots.
    pub path: String,
    /// What is wrong there.
    pub what: String,
}

impl SourceError {
    pub(super) fn new(path: impl Into<String>, what: impl Into<String>) -> SourceError {
        SourceError { path: path.into(), what: what.into() }
    }
}

pub(super) struct Settings {
    pub(super) path: String,
    table: Table,
}

impl Settings {
    pub(super) fn new(path: impl Into<String>, table: Table) -> Settings {
        Settings { path: path.into(), table }
    }

    pub(super) fn at(&self, key: &str) -> String {
        format!("{}.{key}", self.path)
    }

    pub(super) fn fault<T>(&self, key: &str, what: impl Into<String>) -> Result<T, SourceError> {
        Err(SourceError::new(self.at(key), what))
    }

    pub(super) fn take(&mut self, key: &str) -> Option<Value> {
        self.table.remove(key)
    }

    pub(super) fn text(&mut self, key: &str) -> Result<Option<String>, SourceError> {
        match self.table.remove(key) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(other) => self.fault(key, format!("{other} is not a text")),
        }
    }

    pub(super) fn required(&mut self, key: &str) -> Result<String, SourceError> {
        match self.text(key)? {
            Some(text) => Ok(text),
            None => self.fault(key, "is missing"),
        }
    }

    pub(super) fn truth(&mut self, key: &str) -> Result<bool, SourceError> {
        match self.table.remove(key) {
            None => Ok(false),
            Some(Value::Boolean(truth)) => Ok(truth),
            Some(other) => self.fault(key, format!("{other} is neither true nor false")),
        }
    }

    /// One text or several.
    pub(super) fn texts(&mut self, key: &str) -> Result<Vec<String>, SourceError> {
        match self.table.remove(key) {
            None => Ok(Vec::new()),
            Some(Value::String(text)) => Ok(vec![text]),
            Some(Value::Array(all)) => all
                .into_iter()
                .map(|own| match own {
                    Value::String(text) => Ok(text),
                    other => self.fault(key, format!("{other} is not a text")),
                })
                .collect(),
            Some(other) => self.fault(key, format!("{other} is not a list of texts")),
        }
    }

    /// A table of texts.
    pub(super) fn pairs(&mut self, key: &str) -> Result<BTreeMap<String, String>, SourceError> {
        let Some(value) = self.table.remove(key) else { return Ok(BTreeMap::new()) };
        let Value::Table(table) = value else { return self.fault(key, "is not a table") };
        let text = |(name, value): (String, Value)| match value {
            Value::String(text) => Ok((name, text)),
            other => self.fault(&format!("{key}.{name}"), format!("{other} is not a text")),
        };
        table.into_iter().map(text).collect()
    }

    /// All that is left, for steps that take names.
    pub(super) fn rest(&mut self) -> Table {
        std::mem::take(&mut self.table)
    }

    pub(super) fn finish(&self) -> Result<(), SourceError> {
        match self.table.keys().next() {
            None => Ok(()),
            Some(unknown) => self.fault(unknown, "is not known here"),
        }
    }
}
