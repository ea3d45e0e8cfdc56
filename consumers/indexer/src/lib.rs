//! The index: `logs.parsed` and `logs.dead` → splits in the object store, named by `millrace.splits`.
//!
//! [`IndexBuilder`] and [`SplitMerger`] are what the runtime's sink loop and manifest owner ask for; they do no I/O but
//! reading the parts to be merged.
#![warn(missing_docs)]

#[doc(hidden)]
pub mod bench;
mod builder;
mod day;
mod merger;
mod run;
mod summary;
#[cfg(test)]
mod tests;

pub use builder::IndexBuilder;
pub use day::{DAY, day_name, day_start};
pub use merger::SplitMerger;
pub use run::run;
