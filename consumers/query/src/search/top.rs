//! The newest rows seen so far, over all splits of a search.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use millrace_formats::split::Split;
use tantivy::DocId;
use tantivy::query::Weight;

/// What orders hits: time, generation, partition, offset, table, all descending.
type Order = (i64, i64, i64, i64, u8);

/// Where a hit is: number of the split in the plan, row in it.
pub(super) type Place = (usize, DocId);

/// At most `limit` rows.
pub(super) struct Newest {
    limit: usize,
    heap: BinaryHeap<Reverse<(Order, Place)>>,
}

impl Newest {
    pub(super) fn new(limit: usize) -> Newest {
        Newest { limit, heap: BinaryHeap::new() }
    }

    /// Whether a row of that time could still be among the newest.
    #[inline]
    pub(super) fn admits(&self, time: i64) -> bool {
        match self.heap.peek() {
            _ if self.heap.len() < self.limit => true,
            Some(Reverse(((oldest, ..), _))) => time >= *oldest,
            None => false,
        }
    }

    /// Goes through the rows that `weight` finds in `split`, the `n`th of the plan, and counts them.
    pub(super) fn collect(
        &mut self,
        weight: &dyn Weight,
        split: &Split,
        n: usize,
        table: u8,
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
    }

    /// Newest first.
    pub(super) fn into_places(self) -> Vec<Place> {
        let mut rows: Vec<(Order, Place)> = self.heap.into_iter().map(|Reverse(row)| row).collect();
        rows.sort_unstable_by(|a, b| b.cmp(a));
        rows.into_iter().map(|(_, place)| place).collect()
    }
}
