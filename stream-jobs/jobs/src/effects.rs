//! What a job may do with one record.

use std::ops::Range;

use millrace_schemas::Origin;

use crate::account::{Accounts, Entry, LineRef};
use crate::batch::append;
use crate::job::{Reject, reason};
use crate::table::Change;

/// A cell in the changelog, key and value, is never larger.
pub const MAX_CELL: usize = 256 << 10;

/// An output, key and value, is never larger: what the output topics take, less room for Kafka's own framing.
pub const MAX_OUTPUT: usize = (4 << 20) - (16 << 10);

/// Which partition of its topic an output goes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Partitioning {
    /// The partition number of the input record.
    AsInput,
    /// The one that the key gives ([`millrace_schemas::key_partition`]).
    ByKey,
}

/// Outputs in one buffer.
#[derive(Debug, Clone, Default)]
pub(crate) struct Outgoing {
    pub(crate) bytes: Vec<u8>,
    pub(crate) outputs: Vec<Slot>,
}

#[derive(Debug, Clone)]
pub(crate) struct Slot {
    pub(crate) target: usize,
    pub(crate) partition: Option<i32>,
    pub(crate) key: Range<usize>,
    pub(crate) value: Range<usize>,
}

/// Takes the effects of one record. They count only if the job does not reject it, but for [`Effects::keep`].
#[derive(Debug)]
pub struct Effects<'p> {
    partition: i32,
    accounts: &'p mut Accounts,
    outgoing: &'p mut Outgoing,
    /// Changed cells of this record, applied by `plan`; a buffer that is used again.
    cells: &'p mut Vec<Change>,
    /// So many of them count even if the record is rejected.
    pub(crate) n_kept: usize,
    pub(crate) entry: Option<Entry>,
}

impl<'p> Effects<'p> {
    pub(crate) fn new(
        partition: i32,
        accounts: &'p mut Accounts,
        outgoing: &'p mut Outgoing,
        cells: &'p mut Vec<Change>,
    ) -> Effects<'p> {
        cells.clear();
        Effects { partition, accounts, outgoing, cells, n_kept: 0, entry: None }
    }

    /// Says whose line the record is. To be called as soon as that is known; a record that is rejected before counts as
    /// undecodable (I8).
    pub fn account<'a>(&mut self, line: impl Into<LineRef<'a>>, origin: Origin) {
        debug_assert!(self.entry.is_none(), "I8: a record is counted once");
        self.entry = Some(self.accounts.open(&line.into(), origin));
    }

    /// Writes a record to topic number `target` of [`crate::Job::outputs`]; `value` appends its bytes to the buffer.
    ///
    /// # Errors
    /// What `value` says, and `too_large`.
    pub fn emit(
        &mut self,
        target: usize,
        partitioning: Partitioning,
        key: &[u8],
        value: impl FnOnce(&mut Vec<u8>) -> Result<(), Reject>,
    ) -> Result<(), Reject> {
        let key = append(&mut self.outgoing.bytes, key);
        value(&mut self.outgoing.bytes)?;
        let value = key.end..self.outgoing.bytes.len();
        if key.len() + value.len() > MAX_OUTPUT {
            let detail =
                format!("the output has {} bytes, at most {MAX_OUTPUT} are taken", key.len() + value.len());
            return Err(Reject::new(reason::TOO_LARGE, detail));
        }
        let partition = (partitioning == Partitioning::AsInput).then_some(self.partition);
        self.outgoing.outputs.push(Slot { target, partition, key, value });
        Ok(())
    }

    /// Sets a cell of the partition's state. Seen by the records after this one.
    ///
    /// # Errors
    /// `too_large`.
    pub fn put(&mut self, key: impl Into<Vec<u8>>, value: impl Into<Vec<u8>>) -> Result<(), Reject> {
        let (key, value) = (key.into(), value.into());
        if key.len() + value.len() > MAX_CELL {
            let detail =
                format!("a state cell has {} bytes, at most {MAX_CELL} are taken", key.len() + value.len());
            return Err(Reject::new(reason::TOO_LARGE, detail));
        }
        self.cells.push((key, Some(value)));
        Ok(())
    }

    /// Deletes a cell of the partition's state.
    pub fn delete(&mut self, key: impl Into<Vec<u8>>) {
        self.cells.push((key.into(), None));
    }

    /// What was done to the state so far counts even if the record is rejected: what is known of it, rather than by it.
    pub fn keep(&mut self) {
        self.n_kept = self.cells.len();
    }

    /// Sets or deletes a cell.
    ///
    /// # Errors
    /// `too_large`.
    pub fn change(&mut self, key: Vec<u8>, value: Option<Vec<u8>>) -> Result<(), Reject> {
        match value {
            Some(value) => self.put(key, value),
            None => {
                self.delete(key);
                Ok(())
            }
        }
    }
}
