//! Opens a row file: its row groups, what they may hold, and their rows.

use std::ops::Range;
use std::sync::Arc;

use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{
    ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder,
    RowSelection, RowSelector,
};
use parquet::file::FOOTER_SIZE;
use parquet::file::metadata::{FooterTail, ParquetMetaData, ParquetMetaDataReader, RowGroupMetaData};
use parquet::file::reader::ChunkReader;
use parquet::file::statistics::Statistics;

use super::row::{Lines, NEEDED, TEXT};
use super::window::{Ranges, Window};
use super::{TableError, checksums, schema};

/// Read at once from the end of a row file: most footers fit.
const TAIL_BYTES: u64 = 32 << 10;
/// Rows decoded at once.
const BATCH_ROWS: usize = 2048;

/// An open row file. Holds its footer; rows are fetched one row group at a time.
#[derive(Debug, Clone)]
pub struct TableReader<R> {
    source: R,
    len: u64,
    metadata: ArrowReaderMetadata,
    /// Of each column chunk, in order.
    sums: Option<Arc<[u64]>>,
}

/// What the footer says of a row group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Group {
    /// Number in the file.
    pub index: usize,
    /// Rows.
    pub rows: usize,
}

impl<R: Ranges> TableReader<R> {
    /// Reads the footer of a row file of `len` bytes.
    ///
    /// # Errors
    /// It is no row file, or its bytes cannot be had.
    pub fn open(source: R, len: u64) -> Result<TableReader<R>, TableError> {
        let tail = source.read(len.saturating_sub(TAIL_BYTES)..len)?;
        let footer = tail.len().checked_sub(FOOTER_SIZE).map(|at| &tail[at..]);
        let footer = footer.and_then(|bytes| <&[u8; FOOTER_SIZE]>::try_from(bytes).ok());
        let footer = FooterTail::try_new(footer.ok_or(TableError::Column("PAR1"))?)?;
        let size = footer.metadata_length() + FOOTER_SIZE;
        let metadata = match tail.len().checked_sub(size) {
            Some(at) => tail.slice(at..tail.len() - FOOTER_SIZE),
            None => source.read(len.saturating_sub(size as u64)..len.saturating_sub(FOOTER_SIZE as u64))?,
        };
        checksums::check_footer(&metadata)?;
        let metadata = Arc::new(ParquetMetaDataReader::decode_metadata(&metadata)?);
        let sums = checksums::of_chunks(&metadata)?.map(Arc::from);
        let options = ArrowReaderOptions::new().with_skip_arrow_metadata(true);
        Ok(TableReader { source, len, metadata: ArrowReaderMetadata::try_new(metadata, options)?, sums })
    }

    /// Whether damage of what is read is noticed; false for files that were written before there were checksums.
    pub fn has_checksums(&self) -> bool {
        self.sums.is_some()
    }

    /// Rows of the file.
    pub fn rows(&self) -> u64 {
        u64::try_from(self.parquet().file_metadata().num_rows()).unwrap_or(0)
    }

    /// Its row groups, in order.
    pub fn groups(&self) -> impl Iterator<Item = Group> + '_ {
        let rows = |group: &RowGroupMetaData| usize::try_from(group.num_rows()).unwrap_or(0);
        self.parquet()
            .row_groups()
            .iter()
            .enumerate()
            .map(move |(index, group)| Group { index, rows: rows(group) })
    }

    /// Whether `group` may hold rows with `value` in the text column `column`, by its statistics.
    pub fn may_hold(&self, group: Group, column: &str, value: &str) -> bool {
        let Some(group) = self.parquet().row_groups().get(group.index) else {
            return false;
        };
        let Some(chunk) = group.columns().iter().find(|chunk| chunk.column_path().string() == column) else {
            return true;
        };
        let Some(Statistics::ByteArray(bounds)) = chunk.statistics() else {
            return true;
        };
        // Long bounds are cut: the minimum downwards, the maximum upwards, so both still bound.
        let above = bounds.min_opt().is_none_or(|min| min.data() <= value.as_bytes());
        let below = bounds.max_opt().is_none_or(|max| value.as_bytes() <= max.data());
        above && below
    }

    /// The rows `rows` of `group` as far as a file is rebuilt from them; without `text`, bodies read as empty.
    ///
    /// # Errors
    /// Damaged, or its bytes cannot be had.
    pub fn lines(&self, group: Group, rows: Range<usize>, text: bool) -> Result<Lines, TableError> {
        let wanted: Vec<&str> = NEEDED.iter().chain(if text { TEXT } else { &[] }).copied().collect();
        let mask = ProjectionMask::columns(self.parquet().file_metadata().schema_descr(), wanted);
        Ok(Lines::new(self.batches(group, Some(rows), mask)?, text))
    }

    /// All columns of all rows of `group`.
    ///
    /// # Errors
    /// Damaged, or its bytes cannot be had.
    pub(super) fn whole(&self, group: Group) -> Result<ParquetRecordBatchReader, TableError> {
        self.batches(group, None, ProjectionMask::all())
    }

    fn batches(
        &self,
        group: Group,
        rows: Option<Range<usize>>,
        mask: ProjectionMask,
    ) -> Result<ParquetRecordBatchReader, TableError> {
        let metadata = self.parquet().row_groups().get(group.index).ok_or(TableError::Order)?;
        let chunks = metadata.columns().iter().enumerate().filter(|(leaf, _)| mask.leaf_included(*leaf));
        let ranges = chunks.map(|(_, chunk)| {
            let (start, length) = chunk.byte_range();
            start..start + length
        });
        let window = Window::fetch(&self.source, self.len, ranges.collect())?;
        self.check(group, &mask, &window)?;
        let mut builder = ParquetRecordBatchReaderBuilder::new_with_metadata(window, self.metadata.clone())
            .with_row_groups(vec![group.index])
            .with_batch_size(BATCH_ROWS)
            .with_projection(mask);
        if let Some(rows) = rows {
            let selectors = vec![RowSelector::skip(rows.start), RowSelector::select(rows.len())];
            builder = builder.with_row_selection(RowSelection::from(selectors));
        }
        Ok(builder.build()?)
    }

    /// Compares what was fetched of `group` with its checksums.
    fn check(&self, group: Group, mask: &ProjectionMask, window: &Window) -> Result<(), TableError> {
        let Some(sums) = &self.sums else { return Ok(()) };
        let groups = self.parquet().row_groups();
        let before: usize = groups.iter().take(group.index).map(|group| group.columns().len()).sum();
        let columns = groups.get(group.index).map_or(&[][..], |group| group.columns());
        let sums = sums.get(before..).unwrap_or_default();
        for (leaf, (chunk, sum)) in columns.iter().zip(sums).enumerate() {
            if mask.leaf_included(leaf) {
                let (start, length) = chunk.byte_range();
                checksums::check_chunk(chunk, &window.get_bytes(start, length as usize)?, *sum)?;
            }
        }
        Ok(())
    }

    fn parquet(&self) -> &ParquetMetaData {
        self.metadata.metadata()
    }

    /// Version of the columns.
    pub fn version(&self) -> Option<&str> {
        let pairs = self.parquet().file_metadata().key_value_metadata()?;
        pairs.iter().find(|pair| pair.key == schema::VERSION_KEY)?.value.as_deref()
    }
}
