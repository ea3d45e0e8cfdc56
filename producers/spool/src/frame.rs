//! How a segment's bytes are laid out. Pure.
//!
//! A header, then frames, the first with the whole table. A frame is a head (lengths and a checksum), a table of contents, and blocks: each block belongs to
//! one batch, to the table, or to the list of batches that are done, and has a checksum of its own. Integers are little
//! endian. A checksum covers where its bytes stand, so that bytes of another place or file are never taken for these.

use xxhash_rust::xxh3::xxh3_64_with_seed;

/// Bytes of a header.
pub(crate) const HEADER: usize = 32;
/// Bytes of a frame's head.
pub(crate) const HEAD: usize = 16;
/// Longest name of a batch.
pub(crate) const MAX_NAME: usize = 4 << 10;
/// Largest table of contents, and largest body: no append of ours comes near them.
const MAX_CONTENTS: u32 = 64 << 20;
const MAX_BODY: u32 = 1 << 30;

const MAGIC: &[u8; 8] = b"mlrspool";
const VERSION: u16 = 1;
/// Bytes of an entry without its name.
const ENTRY: usize = 22;
/// Numbers of blocks that are no batch's.
const TABLE: u32 = u32::MAX;
const DONE: u32 = u32::MAX - 1;

/// What a block holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Records of the batch with this number within the segment.
    Lines(u32),
    /// Entries of the table.
    Table,
    /// Batches that are done.
    Done,
}

/// A block in a table of contents.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) kind: Kind,
    pub(crate) n_records: u32,
    pub(crate) len: u32,
    pub(crate) hash: u64,
    /// Name of the batch, where this is its first block in the segment.
    pub(crate) name: Option<String>,
}

/// Lengths and checksum before a table of contents.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Head {
    pub(crate) contents: u32,
    pub(crate) body: u32,
    hash: u64,
}

/// The header of segment `number`.
pub(crate) fn header(number: u64) -> [u8; HEADER] {
    let mut bytes = [0; HEADER];
    bytes[..8].copy_from_slice(MAGIC);
    bytes[8..10].copy_from_slice(&VERSION.to_le_bytes());
    bytes[16..24].copy_from_slice(&number.to_le_bytes());
    let hash = xxh3_64_with_seed(&bytes[..24], 0);
    bytes[24..].copy_from_slice(&hash.to_le_bytes());
    bytes
}

impl Head {
    /// Reads the head of a frame that has `left` bytes to the end of the file; `None` where none can be there.
    pub(crate) fn decode(bytes: &[u8], left: u64) -> Option<Head> {
        let head = Head { contents: u32_at(bytes, 0)?, body: u32_at(bytes, 4)?, hash: u64_at(bytes, 8)? };
        let whole = HEAD as u64 + u64::from(head.contents) + u64::from(head.body);
        (head.contents > 0 && head.contents <= MAX_CONTENTS && whole <= left).then_some(head)
    }

    /// The entries in `contents`, which stands behind this head at `at` of segment `number`; `None` where they are not what was
    /// written.
    pub(crate) fn entries(&self, contents: &[u8], number: u64, at: u64) -> Option<Vec<Entry>> {
        if contents.len() != self.contents as usize || self.hash != hash_of(self, contents, number, at) {
            return None;
        }
        let mut rest = contents;
        let mut entries = Vec::new();
        let mut body = 0_u64;
        while !rest.is_empty() {
            let name_len = u16::from_le_bytes([*rest.get(20)?, *rest.get(21)?]) as usize;
            let kind = match u32_at(rest, 0)? {
                TABLE => Kind::Table,
                DONE => Kind::Done,
                index => Kind::Lines(index),
            };
            let name = rest.get(ENTRY..ENTRY + name_len)?;
            let name = (name_len > 0).then(|| String::from_utf8(name.to_vec())).transpose().ok()?;
            let (n_records, len, hash) = (u32_at(rest, 4)?, u32_at(rest, 8)?, u64_at(rest, 12)?);
            entries.push(Entry { kind, n_records, len, hash, name });
            body += u64::from(len);
            rest = &rest[ENTRY + name_len..];
        }
        (body == u64::from(self.body)).then_some(entries)
    }
}

/// Makes head and contents of one frame; its blocks follow in the order in which they were named here.
#[derive(Debug, Default)]
pub(crate) struct Maker {
    contents: Vec<u8>,
    body: u64,
}

impl Maker {
    /// `name` is at most [`MAX_NAME`] bytes long.
    pub(crate) fn block(
        &mut self,
        number: u64,
        kind: Kind,
        name: Option<&str>,
        n_records: u32,
        bytes: &[u8],
    ) {
        let index = match kind {
            Kind::Lines(index) => index,
            Kind::Table => TABLE,
            Kind::Done => DONE,
        };
        let name = name.unwrap_or_default().as_bytes();
        self.contents.extend_from_slice(&index.to_le_bytes());
        self.contents.extend_from_slice(&n_records.to_le_bytes());
        self.contents.extend_from_slice(&(bytes.len() as u32).to_le_bytes());
        self.contents.extend_from_slice(&block_hash(bytes, number).to_le_bytes());
        self.contents.extend_from_slice(&(name.len() as u16).to_le_bytes());
        self.contents.extend_from_slice(name);
        self.body += bytes.len() as u64;
    }

    /// Whether what was named fits a frame.
    pub(crate) fn fits(&self) -> bool {
        self.contents.len() <= MAX_CONTENTS as usize && self.body <= u64::from(MAX_BODY)
    }

    /// Head and contents for offset `at` of segment `number`.
    pub(crate) fn finish(self, number: u64, at: u64) -> Vec<u8> {
        let mut head = Head { contents: self.contents.len() as u32, body: self.body as u32, hash: 0 };
        head.hash = hash_of(&head, &self.contents, number, at);
        let parts = [
            &head.contents.to_le_bytes()[..],
            &head.body.to_le_bytes()[..],
            &head.hash.to_le_bytes()[..],
            &self.contents,
        ];
        parts.concat()
    }
}

/// Checksum of a block's bytes.
pub(crate) fn block_hash(bytes: &[u8], number: u64) -> u64 {
    xxh3_64_with_seed(bytes, number)
}

fn hash_of(head: &Head, contents: &[u8], number: u64, at: u64) -> u64 {
    let place = number.rotate_left(32) ^ at;
    let lengths = (u64::from(head.contents) << 32) | u64::from(head.body);
    xxh3_64_with_seed(contents, place ^ lengths.wrapping_mul(0x9e37_79b9_7f4a_7c15))
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..)?.first_chunk().map(|bytes| u32::from_le_bytes(*bytes))
}

fn u64_at(bytes: &[u8], at: usize) -> Option<u64> {
    bytes.get(at..)?.first_chunk().map(|bytes| u64::from_le_bytes(*bytes))
}
