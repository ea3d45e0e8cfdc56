//! What one append carries: records by batch, and changes of the table.

use std::collections::BTreeMap;

use millrace_schemas::batch::put_record;

use crate::Name;

/// A block is not filled further beyond this: whoever sends a batch holds one block at a time.
const BLOCK: usize = 128 << 10;
/// Stands for the length of a value that was deleted.
const DELETED: u32 = u32::MAX;

/// Lines and table entries that are written together or not at all.
#[derive(Debug, Default)]
pub struct Group {
    pub(crate) names: Vec<Name>,
    /// The block that grows, by name.
    growing: Vec<usize>,
    pub(crate) blocks: Vec<Block>,
    pub(crate) table: Vec<u8>,
}

/// Records of one batch, as they stand on disk and in the body that is sent.
#[derive(Debug)]
pub(crate) struct Block {
    pub(crate) name: usize,
    pub(crate) n_records: u32,
    pub(crate) bytes: Vec<u8>,
}

impl Group {
    /// The place in this group of the lines of `name`.
    pub fn batch(&mut self, name: &Name) -> usize {
        if let Some(at) = self.names.iter().rposition(|own| own == name) {
            return at;
        }
        self.names.push(name.clone());
        self.growing.push(usize::MAX);
        self.names.len() - 1
    }

    /// Adds a record of at most 4 GiB to the lines at `place`, which [`Group::batch`] gave.
    pub fn push(&mut self, place: usize, record: &[u8]) {
        let Some(growing) = self.growing.get_mut(place) else {
            debug_assert!(false, "there is no place {place}");
            return;
        };
        if self.blocks.get(*growing).is_none_or(|block| block.bytes.len() >= BLOCK) {
            *growing = self.blocks.len();
            self.blocks.push(Block { name: place, n_records: 0, bytes: Vec::new() });
        }
        if let Some(block) = self.blocks.get_mut(*growing) {
            block.n_records += u32::from(put_record(&mut block.bytes, record));
        }
    }

    /// Sets an entry of the table.
    pub fn put(&mut self, key: &[u8], value: &[u8]) {
        put(&mut self.table, key, Some(value));
    }

    /// Takes an entry out of the table.
    pub fn delete(&mut self, key: &[u8]) {
        put(&mut self.table, key, None);
    }

    /// Forgets all.
    pub fn clear(&mut self) {
        self.names.clear();
        self.growing.clear();
        self.blocks.clear();
        self.table.clear();
    }

    /// Bytes of records and changes.
    pub fn len(&self) -> u64 {
        self.blocks.iter().map(|block| block.bytes.len() as u64).sum::<u64>() + self.table.len() as u64
    }

    /// Whether there is nothing in it.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// Small things that outlive the lines they came with.
pub(crate) type Table = BTreeMap<Vec<u8>, Vec<u8>>;

fn put(out: &mut Vec<u8>, key: &[u8], value: Option<&[u8]>) {
    let len = value.map_or(DELETED, |value| value.len() as u32);
    out.extend_from_slice(&(key.len() as u32).to_le_bytes());
    out.extend_from_slice(&len.to_le_bytes());
    out.extend_from_slice(key);
    out.extend_from_slice(value.unwrap_or_default());
}

/// The whole table, as changes of an empty one.
pub(crate) fn whole(table: &Table) -> Vec<u8> {
    let mut out = Vec::new();
    table.iter().for_each(|(key, value)| put(&mut out, key, Some(value)));
    out
}

/// Applies changes as far as they can be read; what was written here can be read whole.
pub(crate) fn apply(table: &mut Table, mut changes: &[u8]) {
    while let Some((head, rest)) = changes.split_first_chunk::<8>() {
        let [a, b, c, d, e, f, g, h] = *head;
        let key_len = u32::from_le_bytes([a, b, c, d]) as usize;
        let len = u32::from_le_bytes([e, f, g, h]);
        let value_len = if len == DELETED { 0 } else { len as usize };
        let Some(key) = rest.get(..key_len) else { return };
        let Some(value) = rest.get(key_len..key_len.saturating_add(value_len)) else { return };
        if len == DELETED {
            table.remove(key);
        } else {
            table.insert(key.to_vec(), value.to_vec());
        }
        changes = &rest[key_len + value_len..];
    }
}
