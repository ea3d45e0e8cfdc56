//! State: cells by key, one set per input partition.

use std::collections::BTreeMap;
use std::ops::Bound;

/// Key of a cell in the changelog. The prefix keeps cells apart from what the runner keeps there (`next/…`).
pub fn changelog_key(key: &[u8]) -> Vec<u8> {
    [CELL, key].concat()
}

const CELL: &[u8] = b"cell/";

/// Memory that a cell takes beside its key and value, roughly (I10).
const CELL_OVERHEAD: usize = 64;

/// Committed state of the partitions of one instance.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Table {
    partitions: BTreeMap<i32, Cells>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Cells {
    cells: BTreeMap<Vec<u8>, Vec<u8>>,
    bytes: usize,
}

impl Cells {
    fn apply(&mut self, key: Vec<u8>, value: Option<Vec<u8>>) {
        let size = |key: usize, value: usize| key + value + CELL_OVERHEAD;
        let key_len = key.len();
        let old = match value {
            Some(value) => {
                self.bytes += size(key_len, value.len());
                self.cells.insert(key, value)
            }
            None => self.cells.remove(&key),
        };
        if let Some(old) = old {
            self.bytes -= size(key_len, old.len());
        }
    }
}

impl Table {
    /// Applies the writes of a committed batch.
    pub fn merge(&mut self, writes: Writes) {
        for (partition, cells) in writes.partitions {
            let own = self.partitions.entry(partition).or_default();
            cells.into_iter().for_each(|(key, value)| own.apply(key, value));
        }
    }

    /// Applies one record of the changelog; `None` deletes. Says whether it was a cell.
    pub fn restore(&mut self, partition: i32, changelog_key: &[u8], value: Option<&[u8]>) -> bool {
        let Some(key) = changelog_key.strip_prefix(CELL) else {
            return false;
        };
        self.partitions.entry(partition).or_default().apply(key.to_vec(), value.map(<[u8]>::to_vec));
        true
    }

    /// Forgets a partition: it belongs to someone else now.
    pub fn forget(&mut self, partition: i32) {
        self.partitions.remove(&partition);
    }

    /// Forgets everything.
    pub fn clear(&mut self) {
        self.partitions.clear();
    }

    /// The cell of that key.
    pub fn get(&self, partition: i32, key: &[u8]) -> Option<&[u8]> {
        self.partitions.get(&partition)?.cells.get(key).map(Vec::as_slice)
    }

    /// Partitions that have cells.
    pub fn partitions(&self) -> impl Iterator<Item = i32> {
        self.partitions.keys().copied()
    }

    /// Number of cells.
    pub fn n_cells(&self) -> usize {
        self.partitions.values().map(|own| own.cells.len()).sum()
    }

    /// Bytes that the cells take, roughly (I10).
    pub fn n_bytes(&self) -> usize {
        self.partitions.values().map(|own| own.bytes).sum()
    }

    /// Cells of a partition in order of their keys.
    pub fn cells(&self, partition: i32) -> impl Iterator<Item = (&[u8], &[u8])> {
        let own = self.partitions.get(&partition);
        own.into_iter()
            .flat_map(|own| own.cells.iter().map(|(key, value)| (key.as_slice(), value.as_slice())))
    }
}

/// A cell's key, and its new value; `None` deletes it.
pub type Change = (Vec<u8>, Option<Vec<u8>>);

type CellWrites = BTreeMap<Vec<u8>, Option<Vec<u8>>>;

/// Changes of cells; the last one of each key counts. What the changelog gets.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Writes {
    partitions: BTreeMap<i32, CellWrites>,
}

impl Writes {
    /// Sets (`Some`) or deletes (`None`) a cell.
    pub fn set(&mut self, partition: i32, key: Vec<u8>, value: Option<Vec<u8>>) {
        self.partitions.entry(partition).or_default().insert(key, value);
    }

    /// Adds later changes.
    pub fn absorb(&mut self, later: Writes) {
        for (partition, cells) in later.partitions {
            self.partitions.entry(partition).or_default().extend(cells);
        }
    }

    /// The changes in order of partition and key.
    pub fn iter(&self) -> impl Iterator<Item = (i32, &[u8], Option<&[u8]>)> {
        self.partitions.iter().flat_map(|(partition, cells)| {
            cells.iter().map(|(key, value)| (*partition, key.as_slice(), value.as_deref()))
        })
    }

    /// Number of changes.
    pub fn len(&self) -> usize {
        self.partitions.values().map(BTreeMap::len).sum()
    }

    /// Whether nothing changes.
    pub fn is_empty(&self) -> bool {
        self.partitions.is_empty()
    }
}

/// What a job sees of one partition: the committed cells, over them the writes of the batch whose commit is in flight,
/// over them the writes of earlier records of its own batch.
#[derive(Debug, Clone, Copy)]
pub struct State<'s> {
    own: Option<&'s CellWrites>,
    in_flight: Option<&'s CellWrites>,
    committed: Option<&'s Cells>,
}

impl<'s> State<'s> {
    pub(crate) fn new(
        partition: i32,
        own: &'s Writes,
        in_flight: Option<&'s Writes>,
        table: &'s Table,
    ) -> State<'s> {
        State {
            own: own.partitions.get(&partition),
            in_flight: in_flight.and_then(|writes| writes.partitions.get(&partition)),
            committed: table.partitions.get(&partition),
        }
    }

    /// The cell of that key.
    pub fn get(&self, key: &[u8]) -> Option<&'s [u8]> {
        let written = [self.own, self.in_flight].into_iter().flatten().find_map(|cells| cells.get(key));
        match written {
            Some(value) => value.as_deref(),
            None => self.committed?.cells.get(key).map(Vec::as_slice),
        }
    }

    /// All cells in order of their keys.
    pub fn iter(&self) -> impl Iterator<Item = (&'s [u8], &'s [u8])> {
        self.range(&[])
    }

    /// The cells from `start` on in order of their keys.
    pub fn range(&self, start: &[u8]) -> impl Iterator<Item = (&'s [u8], &'s [u8])> + use<'s> {
        let from = (Bound::Included(start), Bound::Unbounded);
        let committed = self.committed.map(|own| own.cells.range::<[u8], _>(from).map(|(key, _)| key));
        let written =
            |cells: Option<&'s CellWrites>| cells.map(|own| own.range::<[u8], _>(from).map(|(key, _)| key));
        let mut committed = committed.into_iter().flatten().peekable();
        let mut own = written(self.own).into_iter().flatten().peekable();
        let mut in_flight = written(self.in_flight).into_iter().flatten().peekable();
        let state = *self;
        std::iter::from_fn(move || {
            loop {
                let heads = [committed.peek(), own.peek(), in_flight.peek()];
                let key: &'s Vec<u8> = heads.into_iter().flatten().min()?;
                committed.next_if(|other| *other == key);
                own.next_if(|other| *other == key);
                in_flight.next_if(|other| *other == key);
                if let Some(value) = state.get(key) {
                    return Some((key.as_slice(), value));
                }
            }
        })
    }
}
