//! Where a job stood, kept in its changelog beside its state.

use serde::{Deserialize, Serialize};

/// Value under the key `next/<topic>` of a changelog partition. Used where the group's committed offset has expired.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Progress {
    /// Input topic.
    pub topic: String,
    /// Partition of it, and of the changelog.
    pub partition: i32,
    /// Next offset to read.
    pub next: i64,
    /// Version of the job's configuration in effect.
    pub version: i32,
}

impl Progress {
    /// Key of the record for input topic `topic`.
    pub fn key(topic: &str) -> String {
        format!("next/{topic}")
    }
}
