//! Splits: immutable tantivy indices, each in one byte range of an object.
//!
//! [`Rows`] gathers what a split is to hold, [`write()`] makes the split, [`merge`] makes several into one, [`Split::open`]
//! reads one in place. A split holds rows of one tenant, one table and one event-time day; it knows neither.

mod container;
mod document;
mod merge;
mod reader;
mod rows;
mod schema;
mod stored;
#[cfg(test)]
mod tests;
mod words;
mod write;

pub use merge::merge;
pub use reader::Split;
pub use rows::{DeadRow, Rows};
pub use schema::{Columns, MAX_FIELD_NAME, MAX_FIELDS_PER_ROW, MAX_TERM, field_path, indexable_name};
pub use stored::{Stored, StoredReader, encode_dead};
pub use words::words;
pub use write::{write, write_and_reuse};

/// A split could not be written, merged or read.
#[derive(Debug, thiserror::Error)]
#[error("could not {action}: {reason}")]
pub struct SplitError {
    /// What was tried.
    pub action: &'static str,
    /// Why it failed.
    pub reason: String,
    /// Whether the bytes are damaged, cut off or not a split at all.
    pub damaged: bool,
}

impl SplitError {
    pub(crate) fn new(action: &'static str, reason: impl std::fmt::Display) -> SplitError {
        SplitError { action, reason: reason.to_string(), damaged: false }
    }

    pub(crate) fn damaged(action: &'static str, reason: impl std::fmt::Display) -> SplitError {
        SplitError { action, reason: reason.to_string(), damaged: true }
    }
}
