//! Sinks: consumers that put objects into the store. One loop serves them all (I5): read, build one bundle, put it, then
//! commit its manifest records, ledger deltas and offsets in one transaction, while the next bundle is gathered.

mod foreign;
mod gather;
mod run;
mod seal;
mod send;
mod serve;

use std::collections::BTreeMap;

use millrace_schemas::manifest::{LivePart, MergePolicy, Part};
use millrace_schemas::{Event, RawEvent, dead::DeadLetter};
use xxhash_rust::xxh3::xxh3_128;

use crate::store::Store;

pub use millrace_schemas::topics::GENERATION;
pub use run::{SinkOptions, apply, run};
pub(crate) use send::{Patience, attempt, put_until, send_manifest};
pub use send::{now_micros, send_deltas};
pub use serve::serve;

/// What a sink could not build or merge; always a bug or damaged data, so the class is *Exit*.
#[derive(Debug, thiserror::Error)]
#[error("could not {action}: {reason}")]
pub struct BuildError {
    /// What was tried, on what.
    pub action: String,
    /// Why it failed.
    pub reason: String,
}

/// Checksum of an object as its manifest record has it.
pub fn checksum(object: &[u8]) -> String {
    format!("{:032x}", xxh3_128(object))
}

/// Gathers records and turns them into one object. Pure but for memory: no store, no clock.
pub trait BundleBuilder {
    /// Adds a record of `logs.parsed`; `value` is its framed Avro value.
    ///
    /// # Errors
    /// A bug or damaged data.
    fn add_event(&mut self, event: &Event<'_>, value: &[u8]) -> Result<(), BuildError>;

    /// Adds a record of `logs.dead`. Identity is (`generation`, `letter.partition`, `letter.offset`).
    ///
    /// # Errors
    /// A bug or damaged data.
    fn add_dead(
        &mut self,
        letter: &DeadLetter,
        raw: &RawEvent<'_>,
        generation: i32,
    ) -> Result<(), BuildError>;

    /// Bytes of memory that what has been added takes, roughly.
    fn buffered(&self) -> usize;

    /// Turns what has been added into one object and starts anew. Parts are numbered `<record_id>.<n>` within a tenant.
    ///
    /// # Errors
    /// A bug or damaged data.
    fn seal(&mut self, record_id: &str) -> Result<Sealed, BuildError>;
}

/// One object and what it holds.
#[derive(Debug)]
pub struct Sealed {
    /// The object.
    pub bytes: Vec<u8>,
    /// Its parts, by tenant.
    pub parts: BTreeMap<String, Vec<Part>>,
}

/// Makes several parts into one: what the owner of a manifest partition does.
pub trait Merger {
    /// When to merge.
    fn policy(&self) -> MergePolicy;

    /// Whether a part is worth rewriting alone once it is idle.
    fn rewrite_alone(&self, part: &LivePart) -> bool;

    /// Path of the object that takes the place of `parts`; `name` is never used twice.
    fn path(&self, parts: &[LivePart], name: &str) -> String;

    /// Reads `parts` from the store and writes one object that holds the rows of all of them, each once; the part's id
    /// is `<record_id>.0`, its `from..to` the whole object.
    ///
    /// # Errors
    /// [`MergeError`] tells whether the store or the data is at fault.
    fn merge(
        &self,
        store: &Store,
        parts: &[LivePart],
        record_id: &str,
    ) -> Result<(Vec<u8>, Part), MergeError>;
}

/// Why parts could not be merged.
#[derive(Debug, thiserror::Error)]
pub enum MergeError {
    /// The store did not give an object.
    #[error(transparent)]
    Store(#[from] crate::store::StoreError),
    /// An object does not hold what was written to it.
    #[error("{object} is damaged: {reason}")]
    Damaged {
        /// The object.
        object: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The data did not fit.
    #[error(transparent)]
    Build(#[from] BuildError),
}
