//! What the stream jobs decide: records in, effects out.
//!
//! Pure: no clock, client, task, environment or randomness can reach a job, so its answer is a function of its inputs in
//! order and of its configuration (I3). The runner turns a [`Plan`] into one transaction (I2).
#![warn(missing_docs)]

mod account;
pub mod batch;
pub mod effects;
pub mod grok;
pub mod job;
pub mod parse;
pub mod pattern;
pub mod plan;
pub mod table;

#[cfg(test)]
mod tests;

pub use account::LineRef;
pub use batch::{Batch, First, Record};
pub use effects::{Effects, Partitioning};
pub use job::{Job, Reject, Verdict};
pub use plan::{Dead, Output, Plan, plan};
pub use table::{Change, State, Table, Writes, changelog_key};
