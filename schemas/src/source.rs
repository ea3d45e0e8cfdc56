//! Sources of the parse job, as `millrace.control` has them.

use serde::{Deserialize, Serialize};

use crate::control::ControlRecord;

const SOURCE: &str = "source";

/// A source, kind `source`, id = its name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SourceEntry {
    /// Its version.
    pub version: i32,
    /// A file with this source alone.
    pub toml: String,
    /// Texts of the files in its `patterns_dir`, as they were when it was set.
    pub patterns: Vec<String>,
    /// When it was set, µs since the epoch.
    pub set: i64,
}

impl ControlRecord {
    /// The source `name`.
    pub fn source(name: &str, entry: &SourceEntry) -> ControlRecord {
        ControlRecord::of(SOURCE, name, entry)
    }

    /// The source, where it is one.
    pub fn as_source(&self) -> Option<SourceEntry> {
        if self.kind == SOURCE { serde_json::from_str(&self.json).ok() } else { None }
    }

    /// Key of the record of the source `name`.
    pub fn source_key(name: &str) -> String {
        format!("{SOURCE}/{name}")
    }

    /// The name of a source in the key of its record.
    pub fn source_name(key: &[u8]) -> Option<&str> {
        std::str::from_utf8(key).ok()?.strip_prefix(SOURCE)?.strip_prefix('/')
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_source_is_found_by_its_key() {
        let entry = SourceEntry { version: 2, toml: "[[source]]".into(), patterns: vec![], set: 1 };
        let record = ControlRecord::source("shop", &entry);
        assert_eq!((record.key(), record.as_source()), (ControlRecord::source_key("shop"), Some(entry)));
        assert_eq!(ControlRecord::source_name(record.key().as_bytes()), Some("shop"));
        assert_eq!(ControlRecord::source_name(b"key/shop"), None);
    }
}
