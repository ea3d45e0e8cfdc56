//! Several sorted row files to one, streaming.

use arrow_array::RecordBatch;
use arrow_select::concat::concat_batches;
use millrace_schemas::manifest::TableName;
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_reader::ParquetRecordBatchReader;

use super::encode::{CHUNK_ROWS, Effort, writer};
use super::reader::{Group, TableReader};
use super::row::RowColumns;
use super::window::Ranges;
use super::{TableError, checksums, schema};

/// What a merge did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Merged {
    /// Rows read.
    pub rows_in: u64,
    /// Rows written, as the new footer has it.
    pub rows_out: u64,
}

/// Writes all rows of `inputs`, in order, to `out` as one row file. Holds one row group of each input, compressed, and a
/// few thousand rows of each, decoded.
///
/// # Errors
/// [`TableError::Input`]: an input is damaged or not in order, or its bytes cannot be had.
pub fn merge<R: Ranges>(
    table: TableName,
    inputs: &[TableReader<R>],
    effort: Effort,
    out: &mut Vec<u8>,
) -> Result<Merged, TableError> {
    let mut cursors = Vec::with_capacity(inputs.len());
    for (number, input) in inputs.iter().enumerate() {
        cursors.extend(Cursor::open(input, number).map_err(of_input(number))?);
    }
    let from = out.len();
    let mut writer = Chunks { table, writer: writer(table, effort, out)?, from, runs: Vec::new(), n_rows: 0 };
    let mut rows_in = 0;
    while let Some((first, limit)) = two_lowest(&cursors) {
        let run = cursors[first].run(limit.map(|other| &cursors[other]));
        rows_in += run.num_rows() as u64;
        let n_rows = run.num_rows();
        writer.add(run)?;
        let number = cursors[first].number;
        if !cursors[first].skip(n_rows).map_err(of_input(number))? {
            cursors.swap_remove(first);
        }
    }
    let rows_out = writer.close()?;
    Ok(Merged { rows_in, rows_out })
}

/// Says of an error which input it came from.
fn of_input(number: usize) -> impl Fn(TableError) -> TableError {
    move |error| TableError::Input(number, Box::new(error))
}

/// The cursor with the lowest key, and the one with the next.
fn two_lowest<R: Ranges>(cursors: &[Cursor<'_, R>]) -> Option<(usize, Option<usize>)> {
    let key = |at: usize| cursors[at].rows.key(cursors[at].at);
    let mut lowest = None;
    let mut next = None;
    for at in 0..cursors.len() {
        if lowest.is_none_or(|own| key(at) < key(own)) {
            next = lowest.replace(at);
        } else if next.is_none_or(|own| key(at) < key(own)) {
            next = Some(at);
        }
    }
    lowest.map(|lowest| (lowest, next))
}

/// A row of an input, and the rows after it.
struct Cursor<'i, R> {
    input: &'i TableReader<R>,
    number: usize,
    groups: std::vec::IntoIter<Group>,
    batches: ParquetRecordBatchReader,
    batch: RecordBatch,
    rows: RowColumns,
    at: usize,
}

impl<'i, R: Ranges> Cursor<'i, R> {
    /// The first row of `input`, if it has one.
    fn open(input: &'i TableReader<R>, number: usize) -> Result<Option<Cursor<'i, R>>, TableError> {
        let mut groups = input.groups().filter(|group| group.rows > 0).collect::<Vec<_>>().into_iter();
        let Some(first) = groups.next() else {
            return Ok(None);
        };
        let mut batches = input.whole(first)?;
        let Some(batch) = batches.next().transpose()? else {
            return Ok(None);
        };
        let rows = RowColumns::new(&batch, false)?;
        Ok(Some(Cursor { input, number, groups, batches, batch, rows, at: 0 }))
    }

    /// The rows of this batch from here on that do not come after the row of `limit`.
    fn run(&self, limit: Option<&Cursor<'_, R>>) -> RecordBatch {
        let end = match limit {
            None => self.rows.len(),
            Some(other) => {
                let bound = other.rows.key(other.at);
                let last = self.rows.len() - 1;
                if self.rows.key(last) <= bound {
                    self.rows.len()
                } else {
                    first_after(self.at + 1..last, |row| self.rows.key(row) > bound)
                }
            }
        };
        self.batch.slice(self.at, end - self.at)
    }

    /// Passes `n_rows`; false at the end of the input.
    fn skip(&mut self, n_rows: usize) -> Result<bool, TableError> {
        self.at += n_rows;
        while self.at >= self.rows.len() {
            let batch = match self.batches.next().transpose()? {
                Some(batch) => batch,
                None => {
                    let Some(group) = self.groups.next() else {
                        return Ok(false);
                    };
                    self.batches = self.input.whole(group)?;
                    continue;
                }
            };
            let rows = RowColumns::new(&batch, false)?;
            let before = self.rows.len().checked_sub(1);
            if !rows.is_empty() && before.is_some_and(|last| self.rows.key(last) > rows.key(0)) {
                return Err(TableError::Order);
            }
            (self.batch, self.rows, self.at) = (batch, rows, 0);
        }
        Ok(true)
    }
}

/// The first of `rows` for which `after` holds, or the end; `after` never turns false again.
fn first_after(rows: std::ops::Range<usize>, after: impl Fn(usize) -> bool) -> usize {
    let (mut low, mut high) = (rows.start, rows.end);
    while low < high {
        let middle = low + (high - low) / 2;
        if after(middle) {
            high = middle;
        } else {
            low = middle + 1;
        }
    }
    low
}

/// Rows that are worth a write of their own.
const LONG_RUN: usize = CHUNK_ROWS / 4;

/// Gathers short runs, since each write costs something per column.
struct Chunks<'o> {
    table: TableName,
    writer: ArrowWriter<&'o mut Vec<u8>>,
    from: usize,
    runs: Vec<RecordBatch>,
    n_rows: usize,
}

impl Chunks<'_> {
    fn add(&mut self, run: RecordBatch) -> Result<(), TableError> {
        let is_long = run.num_rows() >= LONG_RUN;
        if is_long {
            self.flush()?;
        }
        self.n_rows += run.num_rows();
        self.runs.push(run);
        if is_long || self.n_rows >= CHUNK_ROWS { self.flush() } else { Ok(()) }
    }

    fn flush(&mut self) -> Result<(), TableError> {
        let Some(first) = self.runs.first() else {
            return Ok(());
        };
        let joined =
            if self.runs.len() == 1 { first.clone() } else { concat_batches(&first.schema(), &self.runs)? };
        self.writer.write(&RecordBatch::try_new(schema::of(self.table), joined.columns().to_vec())?)?;
        self.runs.clear();
        self.n_rows = 0;
        Ok(())
    }

    fn close(mut self) -> Result<u64, TableError> {
        self.flush()?;
        checksums::close(self.writer, self.from)
    }
}
