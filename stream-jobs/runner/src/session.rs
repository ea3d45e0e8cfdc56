//! What the loop needs of the log: the port that the Kafka session and the scripted one stand behind.

use millrace_jobs::{Batch, Plan, Table};

use crate::error::Error;

/// One member of a job's consumer group with its transactional producer. One transaction at a time, none open across a
/// call.
pub trait Session {
    /// Fills `batch`, which is empty, with the next records; leaves it empty when none came within a bounded time. The
    /// only call in which partitions come and go: restores `table` from the changelog for those that come, forgets those
    /// that go.
    ///
    /// # Errors
    /// Any class. After *Abort* the same records come again.
    fn poll(&mut self, table: &mut Table, batch: &mut Batch) -> Result<(), Error>;

    /// Text of the schema with registry id `id`; `None` where the registry denies it. Answers are remembered, denials for
    /// a while.
    ///
    /// # Errors
    /// The registry stayed silent up to the deadline.
    fn schema(&mut self, id: u32) -> Result<Option<String>, Error>;

    /// Commits all of `plan` in one transaction: outputs, dead letters, changelog (state writes and next offsets),
    /// ledger deltas, group offsets (I2). `Ok` only when it is certain that it committed.
    ///
    /// # Errors
    /// *Abort*: it did not commit. *Rejoin*: nobody knows, or another member owns the work.
    fn commit(&mut self, plan: &Plan) -> Result<(), Error>;

    /// Aborts what may be open and goes back to the committed offsets of the partitions held.
    ///
    /// # Errors
    /// *Abort* here counts as *Rejoin*.
    fn rewind(&mut self, cause: &Error) -> Result<(), Error>;

    /// Drops producer and membership, waits as long as the cause asks, and joins anew. `table` is empty by now; the next
    /// [`Session::poll`] restores it.
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
