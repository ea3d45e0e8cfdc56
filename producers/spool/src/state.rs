//! What the spool knows of its segments, in memory.

use std::collections::BTreeMap;
use std::path::PathBuf;

use tracing::warn;

use crate::group::Table;
use crate::segment::{Batch, Segment};
use crate::{BatchId, Name, SegmentId};

/// A batch that waits to be sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Due {
    /// Which.
    pub id: BatchId,
    /// Whose lines.
    pub name: Name,
    /// Minutes since the epoch.
    pub minute: i64,
    /// It grows no more.
    pub closed: bool,
}

/// How full a spool is; counts are since it was opened.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Status {
    /// Bytes on disk, parked ones apart.
    pub bytes: u64,
    /// Batches that are not done.
    pub waiting: u64,
    /// Lines in them.
    pub waiting_records: u64,
    /// Minute of the oldest closed one of them.
    pub oldest_minute: Option<i64>,
    /// Files of parked batches, and of damage.
    pub parked: u64,
    /// Their bytes.
    pub parked_bytes: u64,
    /// Batches that were parked.
    pub parked_since_start: u64,
    /// Parked files that were dropped for those that came after them.
    pub dropped_since_start: u64,
    /// Batches that were done.
    pub done_since_start: u64,
    /// Lines in them.
    pub done_records_since_start: u64,
}

#[derive(Debug, Default)]
pub(crate) struct State {
    pub(crate) segments: BTreeMap<SegmentId, Segment>,
    /// Segment that this process adds to.
    pub(crate) current: Option<SegmentId>,
    pub(crate) next_number: u64,
    pub(crate) table: Table,
    /// Batches that are done, which is not on disk yet.
    pub(crate) marks: Vec<BatchId>,
    pub(crate) counts: Status,
}

impl State {
    pub(crate) fn bytes(&self) -> u64 {
        self.segments.values().map(|segment| segment.len).sum()
    }

    pub(crate) fn batch(&self, id: BatchId) -> Option<(&Segment, &Batch)> {
        let segment = self.segments.get(&id.segment)?;
        Some((segment, segment.batches.get(id.index as usize)?))
    }

    pub(crate) fn current(&mut self) -> Option<&mut Segment> {
        self.segments.get_mut(&self.current?)
    }

    /// Closes the batches that grow, but for those of `minute`; answers whether there were any.
    pub(crate) fn close(&mut self, minute: Option<i64>) -> bool {
        let over = |batch: &&mut Batch| !batch.closed && Some(batch.minute) != minute;
        let batches = self.current().into_iter().flat_map(|segment| &mut segment.batches);
        batches.filter(over).map(|batch| batch.closed = true).count() > 0
    }

    /// Notes that a closed batch needs no more of us; answers how many lines it had. One that grows is never done: what comes
    /// later would go with it.
    pub(crate) fn finish(&mut self, id: BatchId) -> u64 {
        let segment = self.segments.get_mut(&id.segment);
        let batch = segment.and_then(|segment| segment.batches.get_mut(id.index as usize));
        let Some(batch) = batch.filter(|batch| batch.closed && !batch.done) else { return 0 };
        batch.done = true;
        let n_records = batch.n_records;
        self.marks.push(id);
        self.sweep();
        n_records
    }

    /// Deletes segments whose batches are done. The newest stays: it has the table.
    pub(crate) fn sweep(&mut self) {
        let newest = self.segments.keys().filter(|id| id.part == 0).max().copied();
        let over = |segment: &&Segment| Some(segment.id) != newest && segment.is_done();
        let gone: Vec<(SegmentId, PathBuf)> =
            self.segments.values().filter(over).map(|segment| (segment.id, segment.path.clone())).collect();
        for (id, path) in gone {
            if let Err(error) = std::fs::remove_file(&path) {
                // It comes again at the next start, and is told apart by the gateway.
                warn!(%error, path = %path.display(), "could not delete a segment of the spool");
            }
            self.segments.remove(&id);
        }
        self.marks.retain(|id| self.segments.contains_key(&id.segment));
    }

    /// Up to `most` batches that are not done, the oldest first, of those that are `wanted`.
    pub(crate) fn due(&self, most: usize, mut wanted: impl FnMut(&Due) -> bool) -> Vec<Due> {
        let all = self.segments.values().flat_map(|segment| {
            let waits = segment.batches.iter().enumerate().filter(|(_, batch)| !batch.done);
            waits.map(move |(at, batch)| Due {
                id: BatchId { segment: segment.id, index: at as u32 },
                name: batch.name.clone(),
                minute: batch.minute,
                closed: batch.closed,
            })
        });
        all.filter(|due| wanted(due)).take(most).collect()
    }

    pub(crate) fn status(&self) -> Status {
        let waiting = || {
            let all = self.segments.values().flat_map(|segment| &segment.batches);
            all.filter(|batch| !batch.done)
        };
        Status {
            bytes: self.bytes(),
            waiting: waiting().count() as u64,
            waiting_records: waiting().map(|batch| batch.n_records).sum(),
            oldest_minute: waiting().filter(|batch| batch.closed).map(|batch| batch.minute).min(),
            ..self.counts.clone()
        }
    }
}
