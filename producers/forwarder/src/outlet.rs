//! The port through which batches leave.

use millrace_schemas::position::FilePosition;

use crate::Batch;

/// Takes batches; the real one writes to Kafka, one transaction a batch.
pub trait Outlet {
    /// Reads the positions that are committed; called at start and after [`OutletError::Rejoin`].
    ///
    /// # Errors
    /// `Retry`, `Abort` and `Rejoin` are tried again after a pause, `Exit` ends the forwarder.
    fn restore(&mut self) -> Result<Vec<FilePosition>, OutletError>;

    /// Commits the batch's records, positions and ledger deltas, all or none of them (I2). May block.
    ///
    /// # Errors
    /// By what happens next, see [`OutletError`].
    fn commit(&mut self, batch: &Batch) -> Result<(), OutletError>;

    /// Whether the pipeline behind takes more; while it does not, nothing is read.
    fn may_write(&mut self) -> bool;
}

/// Why a batch was not committed, by what happens next.
#[derive(Debug, thiserror::Error)]
pub enum OutletError {
    /// The same batch again after a pause.
    #[error("could not reach the outlet: {reason}")]
    Retry {
        /// What went wrong.
        reason: String,
    },
    /// The transaction left no trace: the same batch again after a pause.
    #[error("could not commit a batch, it was rolled back: {reason}")]
    Abort {
        /// What went wrong.
        reason: String,
    },
    /// Nobody knows whether the batch was committed, or another process took over: [`Outlet::restore`], which tells,
    /// then on from there.
    #[error("could not learn whether a batch was committed: {reason}")]
    Rejoin {
        /// What went wrong.
        reason: String,
    },
    /// A bug, a wrong configuration: the forwarder ends.
    #[error("could not commit a batch, and trying again will not help: {reason}")]
    Exit {
        /// What went wrong, and what to do.
        reason: String,
    },
}
