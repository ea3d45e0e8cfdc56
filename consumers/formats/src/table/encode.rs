//! Columns to Parquet: which column is encoded how, and how hard it is compressed.

use arrow_array::cast::AsArray;
use arrow_array::types::Int32Type;
use arrow_array::{Array, ArrayRef, RecordBatch, UInt32Array};
use arrow_schema::DataType;
use arrow_select::take::take;
use millrace_schemas::manifest::TableName;
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_writer::ArrowWriterOptions;
use parquet::basic::{Compression, Encoding, ZstdLevel};
use parquet::file::metadata::{KeyValue, SortingColumn};
use parquet::file::properties::{EnabledStatistics, WriterProperties, WriterVersion};
use parquet::schema::types::ColumnPath;

use super::{TableError, checksums, schema};

/// Rows of a row group: what a reader must fetch at least, and what statistics prune by.
pub const ROW_GROUP_ROWS: usize = 128 << 10;
/// Rows that are laid out and encoded at once.
pub(super) const CHUNK_ROWS: usize = 4096;
const DICTIONARY_BYTES: usize = 4 << 20;

/// How hard to compress.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effort {
    /// For files that will be merged soon.
    Fast,
    /// For files that stay.
    Small,
}

impl Effort {
    /// zstd sees one page at a time: larger pages compress better, and take that much memory per column being read. A merge
    /// reads several files at once.
    fn page_bytes(self) -> usize {
        match self {
            Effort::Fast => 512 << 10,
            Effort::Small => 2 << 20,
        }
    }

    fn zstd_level(self) -> i32 {
        match self {
            // Of ten thousand real lines of a web server, level 1 makes 1/10.4, level 9 makes 1/12.1 in 1.3 times the
            // time; of made ones level 3 makes 1/14.8, level 5 1/15.5, level 9 1/15.8. What level 5 leaves is not worth its
            // time.
            Effort::Fast => 1,
            Effort::Small => 5,
        }
    }
}

/// How to write `table`.
pub(super) fn options(table: TableName, effort: Effort) -> Result<ArrowWriterOptions, TableError> {
    let mut properties = WriterProperties::builder()
        .set_writer_version(WriterVersion::PARQUET_1_0)
        .set_created_by("millrace".to_owned())
        .set_compression(Compression::ZSTD(ZstdLevel::try_new(effort.zstd_level())?))
        .set_max_row_group_row_count(Some(ROW_GROUP_ROWS))
        .set_data_page_row_count_limit(usize::MAX)
        .set_data_page_size_limit(effort.page_bytes())
        .set_dictionary_page_size_limit(DICTIONARY_BYTES)
        .set_statistics_enabled(EnabledStatistics::Chunk)
        .set_offset_index_disabled(true)
        .set_key_value_metadata(Some(vec![KeyValue::new(
            schema::VERSION_KEY.to_owned(),
            schema::VERSION.to_owned(),
        )]))
        .set_sorting_columns(Some((2..6).map(sorted_by).collect()));
    for column in ["byte", "line", "received", "time", "dedup_index", "offset"] {
        let path = ColumnPath::from(column);
        properties = properties
            .set_column_dictionary_enabled(path.clone(), false)
            .set_column_encoding(path, Encoding::DELTA_BINARY_PACKED);
    }
    for column in ["body", "message", "detail"] {
        let path = ColumnPath::from(column);
        properties = properties
            .set_column_dictionary_enabled(path.clone(), false)
            .set_column_statistics_enabled(path.clone(), EnabledStatistics::None)
            .set_column_encoding(path, Encoding::DELTA_LENGTH_BYTE_ARRAY);
    }
    properties = properties
        .set_column_dictionary_enabled(ColumnPath::from("time_text"), false)
        .set_column_statistics_enabled(ColumnPath::from("time_text"), EnabledStatistics::None)
        .set_column_encoding(ColumnPath::from("time_text"), Encoding::DELTA_BYTE_ARRAY);
    for column in ["fields.key_value.value", "fields.key_value.key", "body_bytes"] {
        properties = properties.set_column_statistics_enabled(nested(column), EnabledStatistics::None);
    }
    debug_assert!(schema::of(table).field_with_name("offset").is_ok());
    Ok(ArrowWriterOptions::new().with_properties(properties.build()).with_skip_arrow_metadata(true))
}

fn nested(path: &str) -> ColumnPath {
    ColumnPath::new(path.split('.').map(str::to_owned).collect())
}

fn sorted_by(column_idx: i32) -> SortingColumn {
    SortingColumn { column_idx, descending: false, nulls_first: true }
}

/// A Parquet writer of `table` that appends to `out`.
pub(super) fn writer(
    table: TableName,
    effort: Effort,
    out: &mut Vec<u8>,
) -> Result<ArrowWriter<&mut Vec<u8>>, TableError> {
    Ok(ArrowWriter::try_new_with_options(out, schema::of(table), options(table, effort)?)?)
}

/// Appends the rows of `columns`, in the given order, to `out` as a row file.
pub(super) fn encode(
    table: TableName,
    columns: Vec<ArrayRef>,
    order: &UInt32Array,
    effort: Effort,
    out: &mut Vec<u8>,
) -> Result<(), TableError> {
    let from = out.len();
    let mut writer = writer(table, effort, out)?;
    let mut at = 0;
    while at < order.len() {
        let rows = order.slice(at, CHUNK_ROWS.min(order.len() - at));
        let run = is_run(rows.values());
        let laid_out =
            columns.iter().map(|column| gather(column, &rows, run)).collect::<Result<Vec<_>, _>>()?;
        writer.write(&RecordBatch::try_new(schema::of(table), laid_out)?)?;
        at += rows.len();
    }
    checksums::close(writer, from)?;
    Ok(())
}

/// Whether the rows stand one behind the other, as those of a single file do.
fn is_run(rows: &[u32]) -> bool {
    rows.windows(2).all(|pair| pair[0] + 1 == pair[1])
}

/// The chosen rows of a column, dictionaries spelled out.
fn gather(column: &ArrayRef, rows: &UInt32Array, run: bool) -> Result<ArrayRef, TableError> {
    let chosen = |column: &ArrayRef| match rows.values().first() {
        Some(first) if run => Ok(column.slice(*first as usize, rows.len())),
        _ => take(column, rows, None),
    };
    if !matches!(column.data_type(), DataType::Dictionary(_, _)) {
        return Ok(chosen(column)?);
    }
    let column = chosen(column)?;
    let dictionary = column.as_dictionary_opt::<Int32Type>().ok_or(TableError::Order)?;
    Ok(take(dictionary.values(), dictionary.keys(), None)?)
}
