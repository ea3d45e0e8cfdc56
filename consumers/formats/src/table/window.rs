//! The bytes of a row file that are at hand.

use std::io::Cursor;
use std::ops::Range;

use bytes::Bytes;
use parquet::errors::ParquetError;
use parquet::file::reader::{ChunkReader, Length};

use super::TableError;

/// Gives ranges of a row file's bytes; positions are within the row file.
pub trait Ranges {
    /// Reads `range`.
    ///
    /// # Errors
    /// [`TableError::Source`] where the bytes cannot be had.
    fn read(&self, range: Range<u64>) -> Result<Bytes, TableError>;
}

impl Ranges for Bytes {
    fn read(&self, range: Range<u64>) -> Result<Bytes, TableError> {
        let fits = range.start <= range.end && range.end <= self.len() as u64;
        let outside = || TableError::Parquet(ParquetError::EOF(format!("no bytes {range:?}")));
        fits.then(|| self.slice(range.start as usize..range.end as usize)).ok_or_else(outside)
    }
}

/// Some ranges of a row file, fetched beforehand, so that decoding does no I/O.
#[derive(Debug, Clone)]
pub struct Window {
    len: u64,
    fetched: Vec<(u64, Bytes)>,
}

/// Ranges closer than this are fetched in one.
const NEAR: u64 = 16 << 10;

impl Window {
    /// Fetches `wanted` from `source`, a row file of `len` bytes.
    pub(super) fn fetch(
        source: &impl Ranges,
        len: u64,
        mut wanted: Vec<Range<u64>>,
    ) -> Result<Window, TableError> {
        wanted.sort_unstable_by_key(|range| range.start);
        let mut joined: Vec<Range<u64>> = Vec::new();
        for range in wanted {
            match joined.last_mut() {
                Some(last) if range.start <= last.end + NEAR => last.end = last.end.max(range.end),
                _ => joined.push(range),
            }
        }
        let fetch = |range: Range<u64>| Ok((range.start, source.read(range)?));
        let fetched = joined.into_iter().map(fetch).collect::<Result<_, TableError>>()?;
        Ok(Window { len, fetched })
    }

    fn rest(&self, start: u64) -> Result<Bytes, ParquetError> {
        let holds = |(from, bytes): &&(u64, Bytes)| *from <= start && start < from + bytes.len() as u64;
        let outside = || ParquetError::General(format!("byte {start} was not fetched"));
        let (from, bytes) = self.fetched.iter().find(holds).ok_or_else(outside)?;
        Ok(bytes.slice((start - from) as usize..))
    }
}

impl Length for Window {
    fn len(&self) -> u64 {
        self.len
    }
}

impl ChunkReader for Window {
    type T = Cursor<Bytes>;

    fn get_read(&self, start: u64) -> Result<Self::T, ParquetError> {
        Ok(Cursor::new(self.rest(start)?))
    }

    fn get_bytes(&self, start: u64, length: usize) -> Result<Bytes, ParquetError> {
        if length == 0 {
            return Ok(Bytes::new());
        }
        let rest = self.rest(start)?;
        let outside = || ParquetError::EOF(format!("bytes {start} + {length} were not fetched"));
        (length <= rest.len()).then(|| rest.slice(..length)).ok_or_else(outside)
    }
}
