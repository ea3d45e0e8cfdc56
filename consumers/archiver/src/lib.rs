//! The archive: `logs.parsed` and `logs.dead` to Parquet row files, one per tenant, table, stream and event-time hour.
//!
//! Reads events and dead letters, writes bundles of row files (I5), and merges them into plain files under
//! `tenant=/stream=/date=/hour=`. The loops that read, put and commit are the runtime's; what is decided here is pure.
#![warn(missing_docs)]

#[doc(hidden)]
pub mod bench;
mod builder;
mod merger;
mod path;
mod run;
mod source;

pub use builder::ArchiveBuilder;
pub use merger::ArchiveMerger;
pub use path::merged_path;
pub use run::run;

#[cfg(test)]
mod tests;
