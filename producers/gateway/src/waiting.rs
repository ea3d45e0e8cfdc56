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
}

impl State {
    /// `None` while requests are taken.
    pub(crate) fn closed(&self) -> Option<Closed> {
        match self.0.load(Ordering::Relaxed) {
            2 => None,
            1 => Some(Closed::Full),
            _ => Some(Closed::Away),
        }
    }

    pub(crate) fn set(&self, closed: Option<Closed>) {
        let code = match closed {
            None => 2,
            Some(Closed::Full) => 1,
            Some(Closed::Away) => 0,
        };
        self.0.store(code, Ordering::Relaxed);
    }
}
