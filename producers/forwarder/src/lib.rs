//! Follows files and hands their lines, together with how far each file is read, to an outlet: lines and positions are
//! committed together or not at all, so a line is neither lost nor sent twice (I2).
//!
//! Reads: files. Writes: batches, through [`Outlet`]. Blocks: in the outlet. Fails: only where the outlet says *Exit*
//! or the options are wrong; a file that cannot be read is said once and tried again.
#![warn(missing_docs)]

mod batch;
#[doc(hidden)]
pub mod bench;
mod catalog;
mod container;
mod copied;
mod disk;
mod encoding;
pub mod feed;
mod follow;
mod forwarder;
pub mod id;
mod identity;
mod join;
pub mod kafka;
mod options;
mod outlet;
mod packed;
mod reader;
mod rules;
mod scan;
mod split;
pub mod spool;
mod trouble;
mod walk;

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

pub use batch::{Batch, Record, Source};
pub use container::{Container, Unwrapped};
pub use encoding::Encoding;
pub use forwarder::Forwarder;
pub use join::presets::{NAMES as JOIN_PRESETS, preset as join_preset};
pub use join::{Join, Joiner, Mode, StateRule};
pub use options::{Input, Limits, Options, Redaction, Start};
pub use outlet::{Outlet, OutletError};

/// Why a forwarder ended.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The options are wrong.
    #[error("could not start the forwarder, its options are wrong: {}", faults.join("; "))]
    Options {
        /// Every fault.
        faults: Vec<String>,
    },
    /// The outlet cannot go on.
    #[error("the forwarder's outlet gave up")]
    Outlet(#[from] OutletError),
    /// A file that was to be measured cannot be read.
    #[error("could not read {path}: {reason}")]
    Read {
        /// Path.
        path: String,
        /// What the system said.
        reason: String,
    },
}

/// The time, as the caller tells it.
#[derive(Debug, Clone, Copy)]
pub struct Now {
    /// µs since the epoch: stamped on lines.
    pub wall: i64,
    /// Since some fixed moment: what waiting is measured by.
    pub monotonic: Duration,
}

/// What a step tells its caller.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// There is more to do at once.
    Busy,
    /// Everything is read.
    Idle,
    /// The outlet takes nothing at the moment.
    Waiting,
}

/// How far a forwarder is; counts are since its start.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Progress {
    /// Records committed.
    pub lines: u64,
    /// Bytes of the files committed.
    pub bytes: u64,
    /// Batches committed.
    pub batches: u64,
    /// Files followed.
    pub files: usize,
    /// Of these, held open.
    pub open_files: usize,
    /// Paths that match but cannot be followed.
    pub troubled_files: usize,
    /// Bytes known to be in files and not read yet.
    pub behind_bytes: u64,
    /// Bytes known to have been destroyed before they could be read.
    pub lost_bytes: u64,
    /// The outlet takes nothing at the moment.
    pub waiting: bool,
}

/// Follows files until `stop` says so (with `once`, until all are read to their end) and tells `on_progress` after every
/// step. What is read but not committed when it stops is read again at the next start.
///
/// # Errors
/// [`Error::Options`] at once; [`Error::Outlet`] when the outlet said *Exit*.
pub fn run<O: Outlet>(
    options: Options,
    outlet: O,
    stop: impl Fn() -> bool,
    mut on_progress: impl FnMut(&Progress),
) -> Result<Progress, Error> {
    let (once, pause) = (options.once, options.limits.poll_interval);
    let mut forwarder = Forwarder::new(options, outlet)?;
    let start = Instant::now();
    let mut told = None;
    while !stop() {
        let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let wall = since_epoch.as_micros() as i64;
        let monotonic = start.elapsed();
        let now = Now { wall, monotonic };
        let step = forwarder.step(now)?;
        // With many files a look at all of them costs more than a step.
        if step != Step::Busy || told.is_none_or(|told: Instant| told.elapsed() >= pause) {
            on_progress(&forwarder.progress());
            told = Some(Instant::now());
        }
        match step {
            Step::Busy => {}
            Step::Idle if once => break,
            Step::Idle | Step::Waiting => std::thread::sleep(pause),
        }
    }
    let progress = forwarder.progress();
    on_progress(&progress);
    Ok(progress)
}
