//! What the loop needs of the log: the port that the Kafka session and the scripted one stand behind.

use std::sync::Arc;

use millrace_jobs::{Batch, Plan, Table};

use crate::error::Error;

/// What a poll brought.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Turn {
    /// The batch holds the next records, or none.
    Records,
    /// Partitions came or went; what was read of them before counts no more. Settle, then [`Session::restore`].
    Moved,
}

/// One member of a job's consumer group with its transactional producer. One transaction at a time.
pub trait Session {
    /// Fills `batch`, which is empty, with the next records; leaves it empty when none came within a bounded time. May be
    /// called while a commit is in flight. Partitions are given up only when that is decided.
    ///
    /// # Errors
    /// Any class. After *Abort* the same records come again.
    fn poll(&mut self, batch: &mut Batch) -> Result<Turn, Error>;

    /// Fills `table` with the state of the partitions held, from the changelog, and forgets all others. No commit is in
    /// flight.
    ///
    /// # Errors
    /// Any class. [`Session::poll`] says [`Turn::Moved`] until it has succeeded.
    fn restore(&mut self, table: &mut Table) -> Result<(), Error>;

    /// Text of the schema with registry id `id`; `None` where the registry denies it. Answers are remembered, denials for
    /// a while.
    ///
    /// # Errors
    /// The registry stayed silent up to the deadline.
    fn schema(&mut self, id: u32) -> Result<Option<String>, Error>;

    /// Begins to commit all of `plan` in one transaction: outputs, dead letters, changelog (state writes and next offsets),
    /// ledger deltas, group offsets (I2). None is in flight.
    ///
    /// # Errors
    /// As for [`Session::settle`]: nothing is in flight then.
    fn submit(&mut self, plan: Arc<Plan>) -> Result<(), Error>;

    /// Waits until the commit in flight, if there is one, is decided, and lets go of its plan. `Ok` only when it is certain
    /// that it committed.
    ///
    /// # Errors
    /// *Abort*: it did not commit. *Rejoin*: nobody knows, or another member owns the work.
    fn settle(&mut self) -> Result<(), Error>;

    /// Aborts what may be open, none being in flight, and goes back to the committed offsets of the partitions held.
    ///
    /// # Errors
    /// *Abort* here counts as *Rejoin*.
    fn rewind(&mut self, cause: &Error) -> Result<(), Error>;

    /// Drops producer and membership, waits as long as the cause asks, and joins anew; partitions are to be
    /// restored then.
    ///
    /// # Errors
    /// *Abort* and *Rejoin*: is called again. It has to pause by itself, and to know when to give up (*Exit*).
    fn rejoin(&mut self, cause: &Error) -> Result<(), Error>;

    /// Leaves.
    ///
    /// # Errors
    /// Nothing is lost: all that was planned has been committed before.
    fn close(&mut self) -> Result<(), Error>;
}
