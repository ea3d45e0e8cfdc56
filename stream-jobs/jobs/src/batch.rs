//! Records as they were read, in one buffer.

use std::collections::BTreeMap;
use std::ops::Range;

use millrace_schemas::TraceContext;

/// One record of an input.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Record<'b> {
    /// Position of the topic in [`crate::Job::inputs`].
    pub input: usize,
    /// Partition it was read from.
    pub partition: i32,
    /// Its offset there.
    pub offset: i64,
    /// When the broker appended it, µs.
    pub appended: i64,
    /// Key; empty where the record has none.
    pub key: &'b [u8],
    /// Value; `None` is a tombstone.
    pub value: Option<&'b [u8]>,
    /// Of a record that is sent again: what it was.
    pub first: Option<First>,
}

/// What a record was that is sent again: one of the same partition of the job's first input.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct First {
    /// Its offset.
    pub offset: i64,
    /// When it was received, µs; of one that does not decode, when the broker appended it.
    pub received: i64,
}

/// Records of one or more partitions, each partition in offset order. Owns its bytes and is meant to be used again.
#[derive(Debug, Clone, Default)]
pub struct Batch {
    bytes: Vec<u8>,
    entries: Vec<Entry>,
    passed: BTreeMap<(usize, i32), i64>,
    /// Of the records that have one, by their number.
    traces: Vec<(usize, TraceContext)>,
}

#[derive(Debug, Clone)]
struct Entry {
    input: usize,
    partition: i32,
    offset: i64,
    appended: i64,
    key: Range<usize>,
    value: Option<Range<usize>>,
    first: Option<First>,
}

impl Batch {
    /// Adds a record; the bytes are copied.
    pub fn push(&mut self, record: Record<'_>) {
        let key = append(&mut self.bytes, record.key);
        let value = record.value.map(|value| append(&mut self.bytes, value));
        let Record { input, partition, offset, appended, first, .. } = record;
        self.entries.push(Entry { input, partition, offset, appended, key, value, first });
    }

    /// Says which trace the record belongs to that was added last. Its outputs will, too; jobs do not see it.
    pub fn trace(&mut self, trace: TraceContext) {
        self.traces.extend(self.entries.len().checked_sub(1).map(|last| (last, trace)));
    }

    /// Notes that everything below `next` has been read, where that is more than the records tell (transaction markers
    /// and aborted records take offsets too).
    pub fn pass(&mut self, input: usize, partition: i32, next: i64) {
        let own = self.passed.entry((input, partition)).or_insert(next);
        *own = next.max(*own);
    }

    /// Empties it and keeps the memory.
    pub fn clear(&mut self) {
        self.bytes.clear();
        self.entries.clear();
        self.passed.clear();
        self.traces.clear();
    }

    /// Number of records.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether it has no records.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Bytes of keys and values.
    pub fn n_bytes(&self) -> usize {
        self.bytes.len()
    }

    /// The records in the order they were added.
    pub fn records(&self) -> impl Iterator<Item = Record<'_>> {
        self.entries.iter().map(|entry| Record {
            input: entry.input,
            partition: entry.partition,
            offset: entry.offset,
            appended: entry.appended,
            key: &self.bytes[entry.key.clone()],
            value: entry.value.clone().map(|range| &self.bytes[range]),
            first: entry.first,
        })
    }

    /// The records, each with its trace.
    pub(crate) fn traced(&self) -> impl Iterator<Item = (Record<'_>, Option<TraceContext>)> {
        let mut traces = self.traces.iter().peekable();
        self.records().enumerate().map(move |(number, record)| {
            (record, traces.next_if(|(own, _)| *own == number).map(|(_, trace)| *trace))
        })
    }

    /// What [`Batch::pass`] noted.
    pub(crate) fn passed(&self) -> &BTreeMap<(usize, i32), i64> {
        &self.passed
    }
}

/// Appends `part` and tells where it lies.
pub(crate) fn append(bytes: &mut Vec<u8>, part: &[u8]) -> Range<usize> {
    let start = bytes.len();
    bytes.extend_from_slice(part);
    start..bytes.len()
}
