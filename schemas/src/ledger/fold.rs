//! Folding: what old deltas say, summed into one cell for each (generation, tenant, stream, minute, stage, edge).
//!
//! Cells live in a compacted topic, partition by partition beside the ledger. A step covers an interval of offsets of one
//! ledger partition; the cells that it changed and the [`mark`] that says how far the partition is folded are written
//! together, so whoever reads the topic sees cells and mark as one. What is left to read are the deltas from the mark on.

use std::collections::{BTreeMap, BTreeSet};

use super::{Delta, OffsetRange, Ranges, Sum, edge, stage};

/// Key of the mark. No cell has it: theirs begin with the generation's number.
pub const MARK_KEY: &str = "next";

/// Value of the mark: ledger partition `partition` is folded below offset `next`. A delta like all others in that topic,
/// of the stage `fold`, so that one schema reads all of it; here `ranges` are offsets of the ledger.
pub fn mark(partition: i32, next: i64) -> Delta {
    Delta {
        generation: 0,
        tenant: "-".to_owned(),
        stream: "-".to_owned(),
        minute: 0,
        stage: stage::FOLD.to_owned(),
        edge: edge::IN.to_owned(),
        count: 0,
        bytes: 0,
        hash: Sum(0),
        ranges: vec![OffsetRange { partition, from: 0, to: next }],
    }
}

/// What a mark says: the offset below which its partition is folded.
pub fn marked(mark: &Delta) -> i64 {
    mark.ranges.first().map_or(0, |range| range.to)
}

impl Delta {
    /// Adds what `other` says of the same cell. Offsets become one interval a partition, so a cell does not grow.
    pub fn fold(&mut self, other: &Delta) {
        self.count += other.count;
        self.bytes += other.bytes;
        self.hash += other.hash;
        let mut ranges = Ranges::default();
        for range in self.ranges.iter().chain(&other.ranges) {
            ranges.cover_range(range.partition, range.from, range.to);
        }
        self.ranges = ranges.to_vec();
    }
}

/// The deltas of one interval of a ledger partition, summed by cell.
#[derive(Debug, Clone, Default)]
pub struct Step {
    from: i64,
    n_deltas: usize,
    cells: BTreeMap<String, Delta>,
}

impl Step {
    /// A step that begins at ledger offset `from`.
    pub fn from(from: i64) -> Step {
        Step { from, ..Step::default() }
    }

    /// Adds the delta at `offset`. What lies before the step has been folded already and is passed over.
    pub fn add(&mut self, offset: i64, delta: Delta) {
        if offset < self.from {
            return;
        }
        self.n_deltas += 1;
        match self.cells.get_mut(&delta.key()) {
            Some(cell) => cell.fold(&delta),
            None => drop(self.cells.insert(delta.key(), delta)),
        }
    }

    /// Deltas in it.
    pub fn n_deltas(&self) -> usize {
        self.n_deltas
    }
}

/// The folded cells of the newest minutes of one partition, and its mark. Memory is bounded (I10): over `most` cells the
/// oldest minutes go, and their cells lie in the topic alone. A late delta has them fetched from there.
#[derive(Debug, Clone)]
pub struct Recent {
    next: i64,
    most: usize,
    n_cells: usize,
    /// Every cell of this minute and later ones is in `minutes`.
    floor: i64,
    minutes: BTreeMap<i64, BTreeMap<String, Delta>>,
}

impl Recent {
    /// Nothing yet; keeps about `most` cells.
    pub fn new(most: usize) -> Recent {
        Recent { next: 0, most, n_cells: 0, floor: i64::MIN, minutes: BTreeMap::new() }
    }

    /// Takes a record of the folded topic; they come in the topic's order.
    pub fn restore(&mut self, key: &[u8], value: Delta) {
        if key == MARK_KEY.as_bytes() { self.next = marked(&value) } else { self.put(value) }
    }

    /// Ledger offset below which all is folded.
    pub fn next(&self) -> i64 {
        self.next
    }

    /// Keys of cells that `step` changes and that only the topic may hold.
    pub fn unknown(&self, step: &Step) -> BTreeSet<String> {
        let old = step.cells.iter().filter(|(_, cell)| cell.minute < self.floor);
        old.map(|(key, _)| key.clone()).collect()
    }

    /// The cells that `step` changes, as they are after it; `old` is what the topic holds of [`Recent::unknown`].
    pub fn plan(&self, step: &Step, old: &BTreeMap<String, Delta>) -> Vec<Delta> {
        let folded = step.cells.iter().map(|(key, change)| {
            let kept = self.minutes.get(&change.minute).and_then(|cells| cells.get(key));
            match kept.or_else(|| old.get(key)) {
                Some(cell) => {
                    let mut cell = cell.clone();
                    cell.fold(change);
                    cell
                }
                None => change.clone(),
            }
        });
        folded.collect()
    }

    /// Takes over what was committed.
    pub fn committed(&mut self, cells: Vec<Delta>, next: i64) {
        cells.into_iter().for_each(|cell| self.put(cell));
        self.next = next;
    }

    fn put(&mut self, cell: Delta) {
        if cell.minute < self.floor {
            return;
        }
        if self.minutes.entry(cell.minute).or_default().insert(cell.key(), cell).is_none() {
            self.n_cells += 1;
        }
        while self.n_cells > self.most
            && let Some((minute, cells)) = self.minutes.pop_first()
        {
            self.n_cells -= cells.len();
            self.floor = minute + 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::ledger::{Book, Frontiers};

    /// The compacted topic of one partition.
    type Topic = BTreeMap<Vec<u8>, Delta>;

    fn restored(topic: &Topic, most: usize) -> Recent {
        let mut recent = Recent::new(most);
        topic.iter().for_each(|(key, value)| recent.restore(key, value.clone()));
        recent
    }

    /// Folds the ledger from the mark to `to`; gives what the transaction holds.
    fn step(recent: &Recent, topic: &Topic, ledger: &[Delta], to: usize) -> (Vec<Delta>, usize) {
        let mut step = Step::from(recent.next());
        // Reads from too early: what is folded must be passed over.
        (0i64..).zip(&ledger[..to]).for_each(|(offset, delta)| step.add(offset, delta.clone()));
        let unknown = recent.unknown(&step);
        let old = unknown
            .iter()
            .filter_map(|key| Some((key.clone(), topic.get(key.as_bytes())?.clone())))
            .collect();
        (recent.plan(&step, &old), step.n_deltas())
    }

    fn commit(topic: &mut Topic, cells: &[Delta], next: i64) {
        topic.extend(cells.iter().map(|cell| (cell.key().into_bytes(), cell.clone())));
        topic.insert(MARK_KEY.into(), mark(0, next));
    }

    /// What a reader makes of both topics.
    fn read(topic: &Topic, ledger: &[Delta]) -> Book {
        let mut book = Book::default();
        let mut next = 0;
        for (key, value) in topic {
            if key == MARK_KEY.as_bytes() { next = marked(value) } else { book.set(value) }
        }
        ledger[next as usize..].iter().for_each(|delta| book.add(delta));
        book
    }

    fn delta() -> impl Strategy<Value = Delta> {
        let names = (0..4i64, 0..2usize, 0..3usize);
        (names, 1..9i64, any::<u128>(), 0..3i32, 0..50i64).prop_map(
            |((minute, stream, edge), count, hash, partition, from)| Delta {
                generation: 1,
                tenant: "default".into(),
                stream: ["web", "app"][stream].into(),
                minute: minute * crate::ledger::MINUTE,
                stage: "parse".into(),
                edge: ["in", "out", "dead"][edge].into(),
                count,
                bytes: count * 10,
                hash: Sum(hash),
                ranges: vec![OffsetRange { partition, from, to: from + count }],
            },
        )
    }

    proptest! {
        /// Wherever it is cut, killed and taken up again, and however little is kept in memory.
        #[test]
        fn folded_and_rest_read_as_the_unfolded_ledger(
            ledger in prop::collection::vec(delta(), 0..60),
            cuts in prop::collection::vec((0..61usize, any::<bool>(), any::<bool>()), 0..8),
            most in 0..30usize,
        ) {
            let mut whole = Book::default();
            ledger.iter().for_each(|delta| whole.add(delta));
            let mut topic = Topic::new();
            let mut recent = restored(&topic, most);
            for (to, dies_before, dies_after) in cuts {
                let to = to.min(ledger.len());
                if (to as i64) < recent.next() {
                    continue;
                }
                let (mut cells, _) = step(&recent, &topic, &ledger, to);
                if dies_before {
                    recent = restored(&topic, most);
                    cells = step(&recent, &topic, &ledger, to).0;
                }
                commit(&mut topic, &cells, to as i64);
                if dies_after {
                    recent = restored(&topic, most);
                } else {
                    recent.committed(cells, to as i64);
                }
                prop_assert!(recent.n_cells <= most);
                prop_assert_eq!(read(&topic, &ledger), whole.clone());
                prop_assert_eq!(read(&topic, &ledger).report(&Frontiers::default()), whole.report(&Frontiers::default()));
            }
        }

        #[test]
        fn a_step_that_is_folded_already_changes_nothing(ledger in prop::collection::vec(delta(), 1..40)) {
            let mut topic = Topic::new();
            let recent = restored(&topic, 1_000);
            let (cells, n_deltas) = step(&recent, &topic, &ledger, ledger.len());
            prop_assert_eq!(n_deltas, ledger.len());
            commit(&mut topic, &cells, ledger.len() as i64);
            let again = step(&restored(&topic, 1_000), &topic, &ledger, ledger.len());
            prop_assert_eq!(again, (vec![], 0));
        }

        #[test]
        fn a_cell_holds_one_interval_a_partition(ledger in prop::collection::vec(delta(), 1..60)) {
            let topic = Topic::new();
            let (cells, _) = step(&restored(&topic, 10), &topic, &ledger, ledger.len());
            for cell in cells {
                let partitions: BTreeSet<i32> = cell.ranges.iter().map(|range| range.partition).collect();
                prop_assert_eq!(partitions.len(), cell.ranges.len());
            }
        }
    }

    #[test]
    fn no_cell_has_the_key_of_the_mark() {
        assert_ne!(mark(3, 17).key(), MARK_KEY);
        assert_eq!(marked(&mark(3, 17)), 17);
    }
}
