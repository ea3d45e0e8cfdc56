//! Several splits → one.

use tantivy::directory::RamDirectory;
use tantivy::indexer::merge_indices;
use tantivy::{Index, TantivyError};

use super::SplitError;
use super::container::pack;
use super::reader::Split;

const ACTION: &str = "merge splits";

/// Makes one split of all rows of `splits`, in their order. Every byte of them is verified first.
///
/// # Errors
/// A split is damaged, or rows were lost or won on the way, which is a bug.
pub fn merge(splits: &[Split]) -> Result<Vec<u8>, SplitError> {
    let fail = |error: TantivyError| SplitError::new(ACTION, error);
    let mut rows = 0;
    for split in splits {
        split.verify()?;
        rows += u64::from(split.rows());
    }
    let indices: Vec<Index> = splits.iter().map(|split| split.index().clone()).collect();
    let directory = RamDirectory::create();
    let index = merge_indices(&indices, directory.clone()).map_err(fail)?;
    let merged: u64 =
        index.searchable_segment_metas().map_err(fail)?.iter().map(|meta| u64::from(meta.num_docs())).sum();
    if merged != rows {
        return Err(SplitError::new(ACTION, format!("{rows} rows went in and {merged} came out")));
    }
    pack(&index, &directory)
}
