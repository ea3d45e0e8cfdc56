//! The ledger: what every stage did to every minute of every stream, and whether it adds up (I8).

mod balance;
pub mod fold;
mod tally;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::{xxh3_64, xxh3_128_with_seed};

pub use balance::{Book, CHAIN, Check, Fault, Frontiers, Report, Side};
pub use tally::Tally;

use crate::event::Event;
use crate::raw::{Dedup, Position, RawEvent};

/// Microseconds in a minute.
pub const MINUTE: i64 = 60_000_000;

/// Names of the stages.
pub mod stage {
    /// The forwarder: edge `out`.
    pub const FORWARD: &str = "forward";
    /// The gateway: edge `out`.
    pub const GATEWAY: &str = "gateway";
    /// Who sends dead letters again: edge `out`, under the generation [`crate::dead::SENT_AGAIN`] as all that follows of it.
    pub const REDRIVE: &str = "redrive";
    /// The parser: edges `in`, `out`, `dead`, `filtered`, `duplicate`.
    pub const PARSE: &str = "parse";
    /// The indexer: edges `in` (events), `dead` (dead letters of `parse`) and `letter` (of foreign records).
    pub const INDEX: &str = "index";
    /// The archiver: the same, and `foreign` (records that it made letters of).
    pub const ARCHIVE: &str = "archive";
    /// Whoever folds the ledger: only in [`super::fold::mark`].
    pub const FOLD: &str = "fold";
}

/// Names of the edges.
pub mod edge {
    /// Read.
    pub const IN: &str = "in";
    /// Written.
    pub const OUT: &str = "out";
    /// Dead letter: written by a job, stored by a sink.
    pub const DEAD: &str = "dead";
    /// Dropped by a rule.
    pub const FILTERED: &str = "filtered";
    /// Dropped as seen before.
    pub const DUPLICATE: &str = "duplicate";
    /// Written by no stage of ours, and made a dead letter by the archiver.
    pub const FOREIGN: &str = "foreign";
    /// Such a letter, stored by a sink.
    pub const LETTER: &str = "letter";
    /// Dropped as replaced by a later attempt.
    pub const SUPERSEDED: &str = "superseded";
}

/// What one transaction of one stage did to one minute of one stream: value of `millrace.ledger`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Delta {
    /// Generation of the raw topic.
    pub generation: i32,
    /// Tenant.
    pub tenant: String,
    /// Stream.
    pub stream: String,
    /// Start of the minute of `received`, µs.
    pub minute: i64,
    /// Stage that counted.
    pub stage: String,
    /// Edge of the stage.
    pub edge: String,
    /// Records.
    pub count: i64,
    /// Sum of body lengths.
    pub bytes: i64,
    /// Wrapping sum of the lines' hashes.
    pub hash: Sum,
    /// Raw offsets covered: one half-open interval a partition.
    pub ranges: Vec<OffsetRange>,
}

impl Delta {
    /// Key of its record. Partitioned by [`Delta::partition_key`], so that all stages of a stream lie in one partition.
    pub fn key(&self) -> String {
        let Delta { generation, tenant, stream, minute, stage, edge, .. } = self;
        format!("{generation}/{tenant}/{stream}/{minute}/{stage}/{edge}")
    }

    /// What decides the partition: a reader then sees upstream before downstream.
    pub fn partition_key(&self) -> String {
        format!("{}/{}", self.tenant, self.stream)
    }
}

/// A half-open interval of offsets of one partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct OffsetRange {
    /// Partition.
    pub partition: i32,
    /// First offset.
    pub from: i64,
    /// One past the last offset.
    pub to: i64,
}

/// Wrapping 128-bit sum of line hashes: independent of order, and unlike XOR it does not cancel pairs.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Sum(pub u128);

impl std::ops::AddAssign for Sum {
    fn add_assign(&mut self, other: Sum) {
        self.0 = self.0.wrapping_add(other.0);
    }
}

impl Serialize for Sum {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(&self.0.to_be_bytes())
    }
}

impl<'de> Deserialize<'de> for Sum {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let bytes: serde_bytes::ByteBuf = Deserialize::deserialize(deserializer)?;
        let bytes: [u8; 16] =
            bytes.as_slice().try_into().map_err(|_| serde::de::Error::custom("a sum has 16 bytes"))?;
        Ok(Sum(u128::from_be_bytes(bytes)))
    }
}

/// Seed of the hashes of one source of lines: everything that stays the same from line to line.
pub fn line_seed(tenant: &str, stream: &str, host: &str, file_id: Option<&str>) -> u64 {
    let mut text = Vec::with_capacity(128);
    for part in [tenant, stream, host, file_id.unwrap_or_default()] {
        text.extend_from_slice(&(part.len() as u32).to_le_bytes());
        text.extend_from_slice(part.as_bytes());
    }
    xxh3_64(&text)
}

/// Hash of one line: XXH3-128 over position, dedup and body, seeded by [`line_seed`]. `scratch` is reused.
pub fn line_hash(
    seed: u64,
    position: Option<Position>,
    dedup: Option<&Dedup<'_>>,
    body: &[u8],
    scratch: &mut Vec<u8>,
) -> Sum {
    scratch.clear();
    let position = position.unwrap_or(Position { byte: -1, line: -1 });
    scratch.extend_from_slice(&position.byte.to_le_bytes());
    scratch.extend_from_slice(&position.line.to_le_bytes());
    if let Some(dedup) = dedup {
        scratch.extend_from_slice(&dedup.index.to_le_bytes());
        scratch.extend_from_slice(&dedup.attempt.unwrap_or(-1).to_le_bytes());
        scratch.extend_from_slice(&(dedup.scope.len() as u32).to_le_bytes());
        scratch.extend_from_slice(dedup.scope.as_bytes());
    }
    scratch.extend_from_slice(body);
    Sum(xxh3_128_with_seed(scratch, seed))
}

/// What the ledger wants to know of a record.
pub trait Line {
    /// Tenant, stream, µs of receipt, body length.
    fn account(&self) -> (&str, &str, i64, usize);
    /// Hash of the line.
    fn sum(&self) -> Sum;
}

macro_rules! impl_line {
    ($type:ident) => {
        impl Line for $type<'_> {
            fn account(&self) -> (&str, &str, i64, usize) {
                (self.tenant, self.stream, self.received, self.body.len())
            }
            fn sum(&self) -> Sum {
                let seed = line_seed(self.tenant, self.stream, self.host, self.file_id);
                line_hash(seed, self.position, self.dedup.as_ref(), self.body, &mut Vec::with_capacity(256))
            }
        }
    };
}
impl_line!(RawEvent);
impl_line!(Event);

/// Start of the minute of `micros`.
pub fn minute_of(micros: i64) -> i64 {
    micros.div_euclid(MINUTE).saturating_mul(MINUTE) // i64::MIN lies in no whole minute
}

/// Half-open intervals by partition, grown record by record.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Ranges(BTreeMap<i32, (i64, i64)>);

impl Ranges {
    /// Covers one offset more.
    pub fn cover(&mut self, partition: i32, offset: i64) {
        self.cover_range(partition, offset, offset + 1);
    }

    /// Covers a half-open interval more.
    pub fn cover_range(&mut self, partition: i32, from: i64, to: i64) {
        let range = self.0.entry(partition).or_insert((from, to));
        *range = (range.0.min(from), range.1.max(to));
    }

    /// As records hold them.
    pub fn to_vec(&self) -> Vec<OffsetRange> {
        self.0.iter().map(|(&partition, &(from, to))| OffsetRange { partition, from, to }).collect()
    }
}
