//! What the index and the archive consist of: records of `millrace.splits` and `millrace.files`, and how they fold.

mod fold;
mod plan;

use serde::{Deserialize, Serialize};

pub use fold::{Fold, LivePart, RetiredObject};
pub use plan::{Merge, MergePolicy, plan_merges};

use crate::ledger::OffsetRange;

/// One change of what the index or the archive of a tenant consists of. The key is `tenant/id`; a tombstone under the
/// same key says that the object is gone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ManifestRecord {
    /// Never used twice.
    pub id: String,
    /// Tenant whose data the parts are.
    pub tenant: String,
    /// Path in the object store.
    pub object: String,
    /// Size of the object, bytes.
    pub size: i64,
    /// XXH3-128 of the object, hex.
    pub checksum: String,
    /// When it was written, µs.
    pub created: i64,
    /// Consumer group whose committed offsets say whether it came about.
    pub group: String,
    /// Offsets that were read to make it.
    pub sources: Vec<SourceRange>,
    /// What of the object is this tenant's.
    pub parts: Vec<Part>,
    /// Ids of the parts whose place it takes, in one step.
    pub replaces: Vec<String>,
}

impl ManifestRecord {
    /// Key of its record.
    pub fn key(&self) -> String {
        format!("{}/{}", self.tenant, self.id)
    }
}

/// A half-open interval of offsets of a topic's partition.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SourceRange {
    /// Topic.
    pub topic: String,
    /// Partition.
    pub partition: i32,
    /// First offset.
    pub from: i64,
    /// One past the last offset.
    pub to: i64,
}

/// A byte range of an object: one split, or one Parquet file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Part {
    /// `<record id>.<n>`.
    pub id: String,
    /// Events or dead letters.
    pub table: TableName,
    /// The stream, or `None` for several.
    pub stream: Option<String>,
    /// Start of its event-time day (split) or hour (file), µs.
    pub bucket: i64,
    /// Earliest event time, µs.
    pub time_from: i64,
    /// Latest event time, µs, inclusive.
    pub time_to: i64,
    /// First byte in the object.
    pub from: i64,
    /// One past the last byte.
    pub to: i64,
    /// Rows.
    pub rows: i64,
    /// Sum of body lengths.
    pub bytes: i64,
    /// Merges behind it.
    pub level: i32,
    /// Distinct hosts, empty when there are more than [`Part::MAX_HOSTS`].
    pub hosts: Vec<String>,
    /// Raw offsets that its rows lie in.
    pub raw: Vec<OffsetRange>,
}

impl Part {
    /// More hosts than this are not listed.
    pub const MAX_HOSTS: usize = 32;

    /// Length in bytes.
    pub fn len(&self) -> i64 {
        self.to - self.from
    }

    /// Whether it has no bytes; never so for a part that was written.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether it may hold rows with `from <= time < to`.
    pub fn overlaps(&self, from: i64, to: i64) -> bool {
        self.time_from < to && from <= self.time_to
    }
}

/// Which table a part belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TableName {
    /// Parsed lines.
    Events,
    /// Dead letters.
    Dead,
}

impl TableName {
    /// As paths and JSON have it.
    pub fn as_str(self) -> &'static str {
        match self {
            TableName::Events => "events",
            TableName::Dead => "dead",
        }
    }
}
