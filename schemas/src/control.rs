//! Records of `millrace.control`: what is configured or signalled to all.

use serde::{Deserialize, Serialize};

/// Value of `millrace.control`; the key is `kind/id`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ControlRecord {
    /// `flow`, …
    pub kind: String,
    /// Id within the kind.
    pub id: String,
    /// What it says, by kind.
    pub json: String,
}

/// A flow mark, kind `flow`, id = topic: producers of the topic wait while `wait` is set.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FlowMark {
    /// Whether to wait.
    pub wait: bool,
    /// Bytes that the topic takes, as estimated.
    pub bytes: i64,
    /// Its bound.
    pub bound: i64,
}

impl ControlRecord {
    /// The mark of `topic`.
    pub fn flow(topic: &str, mark: &FlowMark) -> ControlRecord {
        let json = serde_json::to_string(mark).unwrap_or_default();
        ControlRecord { kind: "flow".to_owned(), id: topic.to_owned(), json }
    }

    /// Key of its record.
    pub fn key(&self) -> String {
        format!("{}/{}", self.kind, self.id)
    }

    /// The mark, where it is one.
    pub fn as_flow(&self) -> Option<FlowMark> {
        if self.kind == "flow" { serde_json::from_str(&self.json).ok() } else { None }
    }
}
