//! The topics: names, and what `infra/topics.toml` says of each.

use std::collections::BTreeMap;

use serde::Deserialize;

/// Generation of the raw topic that is read today.
pub const GENERATION: i32 = 1;

/// Raw lines; what replay reads.
pub const RAW: &str = "logs.raw";
/// Parsed lines.
pub const PARSED: &str = "logs.parsed";
/// Dead letters.
pub const DEAD: &str = "logs.dead";
/// Dead letters sent again; partitioned as [`RAW`].
pub const REDRIVE: &str = "logs.redrive";
/// Streams, sources, rules; and the flow marks of back-pressure.
pub const CONTROL: &str = "millrace.control";
/// How far gateways have each batch (`PUT /v1/batches/…`), and which attempt of it counts.
pub const BATCHES: &str = "millrace.batches";
/// Forwarder positions.
pub const POSITIONS: &str = "millrace.positions";
/// Manifest of the index.
pub const SPLITS: &str = "millrace.splits";
/// Manifest of the archive.
pub const FILES: &str = "millrace.files";
/// Ledger deltas.
pub const LEDGER: &str = "millrace.ledger";
/// Ledger cells: what old deltas were folded into.
pub const LEDGER_FOLDED: &str = "millrace.ledger.folded";

/// Changelog of job `job`.
pub fn changelog(job: &str) -> String {
    format!("millrace.{job}.state")
}

/// Wanted state of one topic.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TopicSpec {
    /// Name.
    pub name: String,
    /// What it carries.
    pub about: String,
    /// Number of partitions; never changed afterwards.
    pub partitions: i32,
    /// An installation may choose another number, the same for all topics that scale: a line keeps its partition number
    /// from the raw topic on.
    #[serde(default)]
    pub scales: bool,
    /// How old records go.
    pub cleanup: Cleanup,
    /// Hours a record is kept at least, -1 for ever. Compacted topics: not used.
    #[serde(default = "forever")]
    pub retention_hours: i64,
    /// Bytes that the topic may take before producers are told to wait, in MiB over all partitions, -1 for no bound.
    #[serde(default = "forever")]
    pub bound_mib: i64,
    /// Largest record, KiB.
    #[serde(default = "default_max_record_kib")]
    pub max_record_kib: i64,
    /// Records go only behind what every sink has committed: broker retention is off, the archiver's owner deletes.
    #[serde(default)]
    pub owner_deletes: bool,
}

/// How a topic gets rid of old records.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Cleanup {
    /// By age and size.
    Delete,
    /// Keeps the last record of each key.
    Compact,
}

fn forever() -> i64 {
    -1
}

fn default_max_record_kib() -> i64 {
    1024
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    topic: Vec<TopicSpec>,
}

/// Reads `infra/topics.toml`.
///
/// # Errors
/// What is wrong with it, with its place.
pub fn parse(text: &str) -> Result<Vec<TopicSpec>, String> {
    let file: File = toml::from_str(text).map_err(|error| error.to_string())?;
    Ok(file.topic)
}

impl TopicSpec {
    /// With the number of partitions that an installation chose, if it scales.
    pub fn scaled(mut self, partitions: Option<i32>) -> TopicSpec {
        self.partitions = partitions.filter(|_| self.scales).unwrap_or(self.partitions);
        self
    }

    /// Kafka's configuration of the topic, by key.
    pub fn config(&self) -> BTreeMap<&'static str, String> {
        let mut config = BTreeMap::from([
            // Old or future event times neither expire nor are refused.
            ("message.timestamp.type", "LogAppendTime".to_owned()),
            ("max.message.bytes", (self.max_record_kib << 10).to_string()),
        ]);
        match self.cleanup {
            Cleanup::Compact => {
                config.insert("cleanup.policy", "compact".to_owned());
            }
            Cleanup::Delete => {
                let hours = if self.owner_deletes { -1 } else { self.retention_hours };
                let millis = if hours < 0 { -1 } else { hours * 3_600_000 };
                config.insert("cleanup.policy", "delete".to_owned());
                config.insert("retention.ms", millis.to_string());
                let bytes = if self.owner_deletes || self.bound_mib < 0 {
                    -1
                } else {
                    (self.bound_mib << 20) / i64::from(self.partitions.max(1))
                };
                config.insert("retention.bytes", bytes.to_string());
            }
        }
        // Small enough that deleting behind the archive frees space soon.
        config.insert("segment.bytes", (64 << 20).to_string());
        config
    }
}
