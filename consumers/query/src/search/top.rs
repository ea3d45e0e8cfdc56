//! The newest rows seen so far, over all splits of a search.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::sync::atomic::{AtomicI64, Ordering};

use millrace_formats::split::Split;
use tantivy::DocId;
use tantivy::query::Weight;

use super::redriven::Hidden;

/// What orders hits: time, generation, partition, offset, table, all descending.
type Order = (i64, i64, i64, i64, u8);

/// Where a hit is: number of the split in the plan, row in it.
pub(super) type Place = (usize, DocId);

/// No row before this time can be among the newest: what the threads of a search tell each other.
#[derive(Debug)]
pub(super) struct Floor(AtomicI64);

impl Default for Floor {
    fn default() -> Floor {
        Floor(AtomicI64::new(i64::MIN))
    }
}

/// At most `limit` rows, found by one thread.
pub(super) struct Newest<'f> {
    limit: usize,
    floor: &'f Floor,
    heap: BinaryHeap<Reverse<(Order, Place)>>,
}

impl<'f> Newest<'f> {
    pub(super) fn new(limit: usize, floor: &'f Floor) -> Newest<'f> {
        Newest { limit, floor, heap: BinaryHeap::new() }
    }

    /// Whether a row of that time could still be among the newest.
    #[inline]
    pub(super) fn admits(&self, time: i64) -> bool {
        self.limit > 0 && time >= self.floor.0.load(Ordering::Relaxed)
    }

    /// Adds what another thread found.
    pub(super) fn absorb(&mut self, other: Newest<'_>) {
        other.heap.into_iter().for_each(|Reverse((order, place))| self.push(order, place));
    }

    /// Goes through the rows that `weight` finds in `split`, the `n`th of the plan, and counts those that are not `hidden`.
    pub(super) fn collect(
        &mut self,
        weight: &dyn Weight,
        split: &Split,
        (n, table): (usize, u8),
        hidden: Option<&Hidden<'_>>,
    ) -> tantivy::Result<u64> {
        let segment = split.segment();
        let column = |name: &str| {
            Ok::<_, tantivy::TantivyError>(segment.fast_fields().i64(name)?.first_or_default_col(0))
        };
        let times = column("time")?;
        let origin = [column("generation")?, column("partition")?, column("offset")?];
        let mut found = 0;
        weight.for_each_no_score(segment, &mut |rows| {
            found += rows.len() as u64;
            for &row in rows {
                if hidden.is_some_and(|hidden| hidden.has(row)) {
                    found -= 1;
                    continue;
                }
                let time = times.get_val(row);
                if self.admits(time) {
                    let [generation, partition, offset] = [0, 1, 2].map(|at: usize| origin[at].get_val(row));
                    self.push((time, generation, partition, offset, table), (n, row));
                }
            }
        })?;
        Ok(found)
    }

    fn push(&mut self, order: Order, place: Place) {
        self.heap.push(Reverse((order, place)));
        if self.heap.len() > self.limit {
            self.heap.pop();
        }
        if let Some(Reverse(((oldest, ..), _))) = self.heap.peek()
            && self.heap.len() == self.limit
        {
            self.floor.0.fetch_max(*oldest, Ordering::Relaxed);
        }
    }

    /// Newest first.
    pub(super) fn into_places(self) -> Vec<Place> {
        let mut rows: Vec<(Order, Place)> = self.heap.into_iter().map(|Reverse(row)| row).collect();
        rows.sort_unstable_by(|a, b| b.cmp(a));
        rows.into_iter().map(|(_, place)| place).collect()
    }
}
