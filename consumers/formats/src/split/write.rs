//! Rows → a split: one segment, one thread, in memory.

use std::sync::Arc;

use tantivy::directory::RamDirectory;
use tantivy::store::Compressor;
use tantivy::{Index, IndexSettings, SingleSegmentIndexWriter, TantivyError};

use super::SplitError;
use super::container::pack;
use super::document::Document;
use super::rows::Rows;
use super::schema::{Columns, tokenizers};

const ACTION: &str = "write a split";

/// Blocks of stored rows, bytes before compression: a hit decompresses one.
const STORE_BLOCK: usize = 32 << 10;

/// Writes `rows`, ordered by time, then origin, as one split.
///
/// # Errors
/// There are no rows, or tantivy refuses: a bug.
pub fn write(rows: Rows) -> Result<Vec<u8>, SplitError> {
    write_and_reuse(rows).map(|(bytes, _)| bytes)
}

/// As [`write()`], and gives the emptied buffers back: fresh ones cost a page fault for every 4 KiB.
///
/// # Errors
/// As [`write()`].
pub fn write_and_reuse(mut rows: Rows) -> Result<(Vec<u8>, Rows), SplitError> {
    if rows.is_empty() {
        return Err(SplitError::new(ACTION, "there are no rows"));
    }
    rows.sort();
    let fail = |error: TantivyError| SplitError::new(ACTION, error);
    // The budget only sizes the first table of terms; a table that is too large costs more than growing it.
    let budget = rows.text_len().clamp(1 << 20, 64 << 20);
    let columns = Arc::new(Columns::new());
    let directory = RamDirectory::create();
    let mut writer: SingleSegmentIndexWriter<Document> = Index::builder()
        .schema(columns.schema().clone())
        .tokenizers(tokenizers())
        .settings(settings())
        .single_segment_index_writer(directory.clone(), budget)
        .map_err(fail)?;
    let rows = Arc::new(rows);
    for at in 0..rows.len() {
        let document = Document { rows: rows.clone(), columns: columns.clone(), at };
        writer.add_document(document).map_err(fail)?;
    }
    let index = writer.finalize().map_err(fail)?;
    let mut rows = Arc::into_inner(rows).unwrap_or_default();
    rows.clear();
    Ok((pack(&index, &directory)?, rows))
}

pub(super) fn settings() -> IndexSettings {
    IndexSettings {
        docstore_compression: Compressor::Lz4,
        docstore_compress_dedicated_thread: false,
        docstore_blocksize: STORE_BLOCK,
        ..IndexSettings::default()
    }
}
