//! The bytes of a split: tantivy's files one behind the other, a table of them, and a trailer.
//!
//! ```text
//! file … file │ table (JSON) │ XXH3-64 of all files, XXH3-64 of the table, length of the table (u32), magic
//! ```
//! Numbers are little endian. The table is checked whenever a split is opened, the files when it is merged, or
//! opened the first time by a reader.

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use serde::{Deserialize, Serialize};
use tantivy::directory::{Directory, FileSlice, RamDirectory};
use tantivy::index::SegmentComponent;
use tantivy::{HasLen, Index};
use xxhash_rust::xxh3::{Xxh3, xxh3_64};

use super::SplitError;

const MAGIC: [u8; 8] = *b"MRSPLIT1";
const TRAILER: usize = 8 + 8 + 4 + MAGIC.len();
const META: &str = "meta.json";
const COMPONENTS: [SegmentComponent; 6] = [
    SegmentComponent::Terms,
    SegmentComponent::Postings,
    SegmentComponent::Positions,
    SegmentComponent::FieldNorms,
    SegmentComponent::FastFields,
    SegmentComponent::Store,
];

#[derive(Debug, Serialize, Deserialize)]
struct Table {
    /// Path → first byte, one past the last byte.
    files: BTreeMap<PathBuf, (u64, u64)>,
}

/// The files of a split, found in its bytes.
#[derive(Debug, Clone)]
pub(super) struct Container {
    pub(super) bytes: FileSlice,
    pub(super) files: Arc<BTreeMap<PathBuf, Range<usize>>>,
    checksum: u64,
    end_of_files: usize,
    /// Set once the checksum has been compared.
    verified: Arc<AtomicBool>,
}

/// Packs the files of a finished index with one segment, and takes them out of `directory` on the way.
pub(super) fn pack(index: &Index, directory: &RamDirectory) -> Result<Vec<u8>, SplitError> {
    const ACTION: &str = "pack a split";
    let fail = |error: &dyn std::fmt::Display| SplitError::new(ACTION, error);
    let metas = index.searchable_segment_metas().map_err(|error| fail(&error))?;
    let mut paths = vec![PathBuf::from(META)];
    for meta in &metas {
        paths.extend(COMPONENTS.map(|component| meta.relative_path(component)));
    }
    // Freed file by file below: the sum is never there twice.
    let mut bytes = Vec::with_capacity(directory.total_mem_usage() + (4 << 10));
    let mut files = BTreeMap::new();
    for path in paths {
        let from = bytes.len() as u64;
        {
            let file = directory.open_read(&path).map_err(|error| fail(&error))?;
            bytes.extend_from_slice(&file.read_bytes().map_err(|error| fail(&error))?);
        }
        directory.delete(&path).map_err(|error| fail(&error))?;
        files.insert(path, (from, bytes.len() as u64));
    }
    let checksum = xxh3_64(&bytes);
    let table = serde_json::to_vec(&Table { files }).map_err(|error| fail(&error))?;
    bytes.extend_from_slice(&table);
    bytes.extend_from_slice(&checksum.to_le_bytes());
    bytes.extend_from_slice(&xxh3_64(&table).to_le_bytes());
    bytes.extend_from_slice(&(table.len() as u32).to_le_bytes());
    bytes.extend_from_slice(&MAGIC);
    Ok(bytes)
}

impl Container {
    /// Reads the table.
    pub(super) fn open(bytes: FileSlice) -> Result<Container, SplitError> {
        const ACTION: &str = "open a split";
        let fail = |error: &dyn std::fmt::Display| SplitError::damaged(ACTION, error);
        let before =
            bytes.len().checked_sub(TRAILER).ok_or_else(|| fail(&"it is shorter than its trailer"))?;
        let trailer = bytes.slice_from(before).read_bytes().map_err(|error| fail(&error))?;
        let (checksum, rest) = trailer.split_first_chunk::<8>().ok_or_else(|| fail(&"no trailer"))?;
        let (table_checksum, rest) = rest.split_first_chunk::<8>().ok_or_else(|| fail(&"no trailer"))?;
        let (table_len, magic) = rest.split_first_chunk::<4>().ok_or_else(|| fail(&"no trailer"))?;
        if magic != MAGIC {
            return Err(fail(&"it does not end with MRSPLIT1"));
        }
        let table_len = u32::from_le_bytes(*table_len) as usize;
        let end_of_files = before.checked_sub(table_len).ok_or_else(|| fail(&"its table is cut off"))?;
        let table = bytes.slice(end_of_files..before).read_bytes().map_err(|error| fail(&error))?;
        if xxh3_64(&table) != u64::from_le_bytes(*table_checksum) {
            return Err(fail(&"the checksum of its table is wrong"));
        }
        let table: Table = serde_json::from_slice(&table).map_err(|error| fail(&error))?;
        let mut files = BTreeMap::new();
        for (path, (from, to)) in table.files {
            let range =
                usize::try_from(from).unwrap_or(usize::MAX)..usize::try_from(to).unwrap_or(usize::MAX);
            if range.start > range.end || range.end > end_of_files {
                return Err(fail(&format!("{} lies outside of it", path.display())));
            }
            files.insert(path, range);
        }
        let (files, checksum) = (Arc::new(files), u64::from_le_bytes(*checksum));
        Ok(Container { bytes, files, checksum, end_of_files, verified: Arc::default() })
    }

    /// Reads every byte and compares the checksum, the first time.
    pub(super) fn verify(&self) -> Result<(), SplitError> {
        const ACTION: &str = "verify a split";
        if self.verified.load(Ordering::Relaxed) {
            return Ok(());
        }
        let mut hash = Xxh3::new();
        for chunk in self.bytes.slice_to(self.end_of_files).stream_file_chunks() {
            hash.update(&chunk.map_err(|error| SplitError::damaged(ACTION, error))?);
        }
        if hash.digest() != self.checksum {
            return Err(SplitError::damaged(ACTION, "its checksum is wrong"));
        }
        self.verified.store(true, Ordering::Relaxed);
        Ok(())
    }

    pub(super) fn file(&self, path: &Path) -> Option<FileSlice> {
        self.files.get(path).map(|range| self.bytes.slice(range.clone()))
    }
}
