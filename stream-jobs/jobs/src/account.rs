//! Counts a batch for the ledger: one cell per raw partition, stream and minute, one sum per edge.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};

use millrace_schemas::ledger::{Delta, Ranges, Sum, edge, line_hash, line_seed, minute_of};
use millrace_schemas::{Dedup, Event, Origin, Position, RawEvent};

/// What the ledger wants to know of a line.
#[derive(Debug, Clone, Copy)]
pub struct LineRef<'a> {
    /// Tenant.
    pub tenant: &'a str,
    /// Stream.
    pub stream: &'a str,
    /// Host.
    pub host: &'a str,
    /// Incarnation of the file.
    pub file_id: Option<&'a str>,
    /// µs of receipt.
    pub received: i64,
    /// Place in the file.
    pub position: Option<Position>,
    /// Identity for deduplication.
    pub dedup: Option<Dedup<'a>>,
    /// The line.
    pub body: &'a [u8],
}

macro_rules! impl_from {
    ($type:ident) => {
        impl<'a> From<&$type<'a>> for LineRef<'a> {
            fn from(line: &$type<'a>) -> LineRef<'a> {
                let $type { tenant, stream, host, file_id, received, position, dedup, body, .. } = *line;
                LineRef { tenant, stream, host, file_id, received, position, dedup, body }
            }
        }
    };
}
impl_from!(RawEvent);
impl_from!(Event);

const EDGES: [&str; 6] = [edge::IN, edge::OUT, edge::DEAD, edge::FILTERED, edge::DUPLICATE, edge::SUPERSEDED];

/// Sums of one batch.
#[derive(Debug, Clone, Default)]
pub(crate) struct Accounts {
    cells: Vec<Cell>,
    index: HashMap<u64, Vec<usize>>,
    last: usize,
    seed: Seed,
    scratch: Vec<u8>,
}

#[derive(Debug, Clone)]
struct Cell {
    generation: i32,
    partition: i32,
    minute: i64,
    tenant: String,
    stream: String,
    sums: [Counted; EDGES.len()],
}

#[derive(Debug, Clone, Copy, Default)]
struct Counted {
    count: i64,
    bytes: i64,
    hash: Sum,
    from: i64,
    to: i64,
}

/// The seed of the last line: most lines come from the source of the line before.
#[derive(Debug, Clone, Default)]
struct Seed {
    tenant: String,
    stream: String,
    host: String,
    file_id: Option<String>,
    seed: u64,
    known: bool,
}

impl Seed {
    fn of(&mut self, line: &LineRef<'_>) -> u64 {
        let same = self.known
            && self.host == line.host
            && self.file_id.as_deref() == line.file_id
            && self.stream == line.stream
            && self.tenant == line.tenant;
        if !same {
            self.tenant.replace_range(.., line.tenant);
            self.stream.replace_range(.., line.stream);
            self.host.replace_range(.., line.host);
            self.file_id = line.file_id.map(str::to_owned);
            self.seed = line_seed(line.tenant, line.stream, line.host, line.file_id);
            self.known = true;
        }
        self.seed
    }
}

/// One record in the making: it is counted only once its end is known.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Entry {
    cell: usize,
    bytes: i64,
    hash: Sum,
    offset: i64,
    pub(crate) received: i64,
}

impl Accounts {
    /// Finds the cell of a line and its hash.
    pub(crate) fn open(&mut self, line: &LineRef<'_>, origin: Origin) -> Entry {
        let seed = self.seed.of(line);
        let hash = line_hash(seed, line.position, line.dedup.as_ref(), line.body, &mut self.scratch);
        let cell = self.cell(line, origin);
        Entry { cell, bytes: line.body.len() as i64, hash, offset: origin.offset, received: line.received }
    }

    /// Counts a record on `in` and on the edge it ended on (I8).
    pub(crate) fn close(&mut self, entry: Entry, end: &'static str) {
        let sums = &mut self.cells[entry.cell].sums;
        for (name, sum) in EDGES.iter().zip(sums) {
            if *name != edge::IN && *name != end {
                continue;
            }
            if sum.count == 0 {
                (sum.from, sum.to) = (entry.offset, entry.offset + 1);
            }
            sum.count += 1;
            sum.bytes += entry.bytes;
            sum.hash += entry.hash;
            sum.from = sum.from.min(entry.offset);
            sum.to = sum.to.max(entry.offset + 1);
        }
    }

    /// Tenant and stream of a record.
    pub(crate) fn names(&self, entry: Entry) -> (&str, &str) {
        let cell = &self.cells[entry.cell];
        (&cell.tenant, &cell.stream)
    }

    fn cell(&mut self, line: &LineRef<'_>, origin: Origin) -> usize {
        let minute = minute_of(line.received);
        let same = |cell: &Cell| {
            cell.partition == origin.partition
                && cell.minute == minute
                && cell.stream == line.stream
                && cell.tenant == line.tenant
                && cell.generation == origin.generation
        };
        if self.cells.get(self.last).is_some_and(same) {
            return self.last;
        }
        let mut hasher = DefaultHasher::new();
        (origin.generation, origin.partition, minute, line.tenant, line.stream).hash(&mut hasher);
        let places = self.index.entry(hasher.finish()).or_default();
        let found = places.iter().copied().find(|&at| same(&self.cells[at]));
        self.last = found.unwrap_or_else(|| {
            places.push(self.cells.len());
            self.cells.push(Cell {
                generation: origin.generation,
                partition: origin.partition,
                minute,
                tenant: line.tenant.to_owned(),
                stream: line.stream.to_owned(),
                sums: Default::default(),
            });
            self.cells.len() - 1
        });
        self.last
    }

    /// The deltas, in order of generation, tenant, stream, minute, edge.
    pub(crate) fn deltas(&self, stage: &str) -> Vec<Delta> {
        fn name(cell: &Cell) -> (i32, &str, &str, i64) {
            (cell.generation, &cell.tenant, &cell.stream, cell.minute)
        }
        let mut order: Vec<&Cell> = self.cells.iter().collect();
        order.sort_by(|a, b| (name(a), a.partition).cmp(&(name(b), b.partition)));
        let mut deltas = Vec::new();
        for group in order.chunk_by(|a, b| name(a) == name(b)) {
            for (at, edge) in EDGES.iter().enumerate() {
                let mut sum = Counted::default();
                let mut ranges = Ranges::default();
                for (cell, own) in
                    group.iter().map(|cell| (cell, cell.sums[at])).filter(|(_, own)| own.count > 0)
                {
                    sum.count += own.count;
                    sum.bytes += own.bytes;
                    sum.hash += own.hash;
                    ranges.cover_range(cell.partition, own.from, own.to);
                }
                if sum.count > 0 {
                    let (generation, tenant, stream, minute) = name(group[0]);
                    deltas.push(Delta {
                        generation,
                        tenant: tenant.to_owned(),
                        stream: stream.to_owned(),
                        minute,
                        stage: stage.to_owned(),
                        edge: (*edge).to_owned(),
                        count: sum.count,
                        bytes: sum.bytes,
                        hash: sum.hash,
                        ranges: ranges.to_vec(),
                    });
                }
            }
        }
        deltas
    }

    /// Empties it; keeps the memory and the last seed.
    pub(crate) fn clear(&mut self) {
        self.cells.clear();
        self.index.clear();
        self.last = 0;
    }
}
