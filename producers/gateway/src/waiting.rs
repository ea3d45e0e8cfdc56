//! What the committing thread and those who wait for it say to each other.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

use tokio::sync::oneshot;

use crate::budget::Share;
use crate::prepare::Prepared;

/// A request that waits to be committed.
pub(crate) struct Waiting {
    /// Its records.
    pub(crate) prepared: Prepared,
    /// Who waits. One that has gone is committed all the same.
    pub(crate) answer: oneshot::Sender<Outcome>,
    /// What it holds, until it is answered.
    pub(crate) _share: Share,
}

/// What became of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// Committed; so many of its records had been before, and were not written again.
    Committed {
        /// Known records.
        n_known: usize,
    },
    /// Nothing of it is committed; later it may be.
    Later,
    /// Nothing of it is committed, nor will it ever be.
    Never(String),
    /// It may or may not be committed.
    Unknown,
    /// Nothing of it is committed: another request has taken its batch further.
    Overtaken,
}

/// Whether requests are taken, as the committing thread last saw it.
#[derive(Debug, Clone, Default)]
pub(crate) struct State(Arc<AtomicU8>);

/// Why no requests are taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Closed {
    /// Kafka does not answer.
    Away,
    /// A topic is over its bound.
    Full,
    /// The spool of a relay is, or its disk.
    Disk,
}

impl Closed {
    /// The label of its metric, what a client is told, and after how many seconds to come again.
    pub(crate) fn said(self) -> (&'static str, &'static str, u32) {
        match self {
            Closed::Away => ("kafka", "kafka is away, try again later", 2),
            Closed::Full => ("topic", "a topic is over its bound, try again later", 5),
            Closed::Disk => ("spool", "the spool of this relay is full, try again later", 5),
        }
    }
}

impl State {
    /// `None` while requests are taken.
    pub(crate) fn closed(&self) -> Option<Closed> {
        match self.0.load(Ordering::Relaxed) {
            3 => Some(Closed::Disk),
            2 => None,
            1 => Some(Closed::Full),
            _ => Some(Closed::Away),
        }
    }

    pub(crate) fn set(&self, closed: Option<Closed>) {
        let code = match closed {
            Some(Closed::Disk) => 3,
            None => 2,
            Some(Closed::Full) => 1,
            Some(Closed::Away) => 0,
        };
        self.0.store(code, Ordering::Relaxed);
    }
}
