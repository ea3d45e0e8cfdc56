//! Streams of tenants, as `millrace.control` has them.

use serde::{Deserialize, Serialize};

use crate::control::ControlRecord;

const STREAM: &str = "stream";

/// A stream, kind `stream`, id = tenant and name. Lines need none: it says what holds for those of this stream alone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StreamEntry {
    /// Source or format that reads it, before those that read streams of its name.
    pub source: Option<String>,
    /// What it is for.
    pub note: Option<String>,
    /// When it was set, µs since the epoch: its version.
    pub set: i64,
}

impl ControlRecord {
    /// The stream `name` of `tenant`.
    pub fn stream(tenant: &str, name: &str, entry: &StreamEntry) -> ControlRecord {
        ControlRecord::of(STREAM, &format!("{tenant}/{name}"), entry)
    }

    /// The stream, where it is one.
    pub fn as_stream(&self) -> Option<StreamEntry> {
        if self.kind == STREAM { serde_json::from_str(&self.json).ok() } else { None }
    }

    /// Key of the record of the stream `name` of `tenant`.
    pub fn stream_key(tenant: &str, name: &str) -> String {
        format!("{STREAM}/{tenant}/{name}")
    }

    /// Tenant and name of a stream in the key of its record.
    pub fn stream_name(key: &[u8]) -> Option<(&str, &str)> {
        std::str::from_utf8(key).ok()?.strip_prefix(STREAM)?.strip_prefix('/')?.split_once('/')
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stream_is_found_by_its_key() {
        let entry = StreamEntry { source: Some("shop".into()), note: None, set: 1 };
        let record = ControlRecord::stream("acme", "web.1", &entry);
        assert_eq!(
            (record.key(), record.as_stream()),
            (ControlRecord::stream_key("acme", "web.1"), Some(entry))
        );
        assert_eq!(ControlRecord::stream_name(record.key().as_bytes()), Some(("acme", "web.1")));
        assert_eq!(ControlRecord::stream_name(b"streams/acme/web"), None);
        assert_eq!(ControlRecord::stream_name(b"source/web"), None);
    }
}
