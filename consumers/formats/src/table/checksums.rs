//! Checksums of a row file, in its footer: zstd takes flipped bits for other text, and Parquet's writer sums no page.
//!
//! The footer's metadata has under [`CHUNKS_KEY`] the XXH3-64 of each column chunk's bytes, in the order of row groups and
//! columns, and under [`FOOTER_KEY`] that of the footer itself, taken with zeros in its place. Files that were written
//! before there were checksums have neither.

use parquet::arrow::ArrowWriter;
use parquet::errors::ParquetError;
use parquet::file::FOOTER_SIZE;
use parquet::file::metadata::{ColumnChunkMetaData, KeyValue, ParquetMetaData};
use xxhash_rust::xxh3::xxh3_64;

use super::TableError;

const CHUNKS_KEY: &str = "millrace.checksums.chunks";
const FOOTER_KEY: &str = "millrace.checksums.footer";
/// Hexadecimal digits of a checksum.
const DIGITS: usize = 16;
const ZEROS: [u8; DIGITS] = [b'0'; DIGITS];
/// Thrift writes a text of this length behind its key so: type and number of the field, then the length.
const BEFORE_VALUE: [u8; 2] = [0x18, DIGITS as u8];

/// Ends the row file that `writer` has appended to its bytes from `from` on; gives its rows.
pub(super) fn close(mut writer: ArrowWriter<&mut Vec<u8>>, from: usize) -> Result<u64, TableError> {
    writer.flush()?;
    writer.sync().map_err(ParquetError::from)?;
    let mut sums = String::new();
    for chunk in writer.flushed_row_groups().iter().flat_map(|group| group.columns()) {
        let (start, length) = chunk.byte_range();
        let at = from + start as usize;
        let bytes = writer.inner().get(at..at + length as usize).ok_or(TableError::Order)?;
        sums += &hex(xxh3_64(bytes));
    }
    let pair = |key: &str, value| KeyValue::new(key.to_owned(), Some(value));
    writer.append_key_value_metadata(pair(CHUNKS_KEY, sums));
    writer.append_key_value_metadata(pair(FOOTER_KEY, String::from_utf8_lossy(&ZEROS).into_owned()));
    let metadata = writer.finish()?;
    let footer = writer.inner_mut().split_at_mut(from).1;
    seal(footer)?;
    Ok(u64::try_from(metadata.file_metadata().num_rows()).unwrap_or(0))
}

/// Writes the footer's checksum into the footer at the end of `file`.
fn seal(file: &mut [u8]) -> Result<(), TableError> {
    let (rest, tail) = file.split_at_mut(file.len().saturating_sub(FOOTER_SIZE));
    let length = tail.first_chunk().map_or(0, |length| u32::from_le_bytes(*length) as usize);
    let footer = rest.len().checked_sub(length).and_then(|at| rest.get_mut(at..)).ok_or(TableError::Order)?;
    let at = place(footer).ok_or(TableError::Order)?;
    let sum = hex(xxh3_64(footer));
    footer[at..at + DIGITS].copy_from_slice(sum.as_bytes());
    Ok(())
}

/// Compares a footer with its checksum, before anything in it is believed.
pub(super) fn check_footer(footer: &[u8]) -> Result<(), TableError> {
    let Some(at) = place(footer) else {
        let has = |key: &str| footer.windows(key.len()).any(|own| own == key.as_bytes());
        let is_without = !has(CHUNKS_KEY) && !has(FOOTER_KEY);
        return if is_without { Ok(()) } else { Err(TableError::Damaged("its footer".to_owned())) };
    };
    let mut blank = footer.to_vec();
    blank[at..at + DIGITS].copy_from_slice(&ZEROS);
    let sum = hex(xxh3_64(&blank));
    let is_same = footer.get(at..at + DIGITS) == Some(sum.as_bytes());
    if is_same { Ok(()) } else { Err(TableError::Damaged("its footer".to_owned())) }
}

/// Where in a footer its own checksum is. The file's own metadata comes last, behind all text of its rows.
fn place(footer: &[u8]) -> Option<usize> {
    let key = FOOTER_KEY.as_bytes();
    let at = footer.windows(key.len()).rposition(|own| own == key)? + key.len();
    let value = footer.get(at..)?.strip_prefix(&BEFORE_VALUE)?;
    (value.len() >= DIGITS).then_some(at + BEFORE_VALUE.len())
}

/// The checksums of all column chunks, in the order of row groups and columns; `None` in a file without any.
pub(super) fn of_chunks(metadata: &ParquetMetaData) -> Result<Option<Vec<u64>>, TableError> {
    let pairs = metadata.file_metadata().key_value_metadata();
    let Some(pair) = pairs.and_then(|pairs| pairs.iter().find(|pair| pair.key == CHUNKS_KEY)) else {
        return Ok(None);
    };
    let text = pair.value.as_deref().unwrap_or_default().as_bytes();
    let sums = text.chunks(DIGITS).map(|own| u64::from_str_radix(std::str::from_utf8(own).ok()?, 16).ok());
    let sums: Option<Vec<u64>> = sums.collect();
    let n_chunks: usize = metadata.row_groups().iter().map(|group| group.columns().len()).sum();
    match sums {
        Some(sums) if sums.len() == n_chunks => Ok(Some(sums)),
        _ => Err(TableError::Damaged("the list of its checksums".to_owned())),
    }
}

/// Compares a column chunk with its checksum.
pub(super) fn check_chunk(chunk: &ColumnChunkMetaData, bytes: &[u8], sum: u64) -> Result<(), TableError> {
    if xxh3_64(bytes) == sum {
        return Ok(());
    }
    Err(TableError::Damaged(format!("its column {}", chunk.column_path().string())))
}

fn hex(sum: u64) -> String {
    format!("{sum:0DIGITS$x}")
}
