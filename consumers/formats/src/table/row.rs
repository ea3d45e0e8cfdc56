//! Rows as far as a file is rebuilt from them.

use arrow_array::cast::AsArray;
use arrow_array::types::{ArrowPrimitiveType, Int32Type, Int64Type, TimestampMicrosecondType};
use arrow_array::{Array, BinaryArray, MapArray, PrimitiveArray, RecordBatch, StringArray};
use millrace_schemas::{LineEnd, Origin};
use parquet::arrow::arrow_reader::ParquetRecordBatchReader;

use super::place::{Key, Place, line_end_of};
use super::{TableError, template};

/// Columns that a row's key, and its place in time, are made of.
pub(super) const NEEDED: &[&str] = &[
    "host",
    "file",
    "file_id",
    "byte",
    "line_end",
    "piece",
    "received",
    "dedup_scope",
    "dedup_attempt",
    "generation",
    "partition",
    "offset",
];
/// Columns that have the bytes.
pub(super) const TEXT: &[&str] =
    &["body", "body_bytes", "body_template", "time_text", "user", "severity", "message", "fields"];

/// A row, borrowed from its batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Line<'a> {
    /// Where it belongs.
    pub key: Key<'a>,
    /// When the producer read it, µs.
    pub received: i64,
    /// Dedup scope and number of the attempt, where a later one counts.
    pub attempt: Option<(&'a str, i64)>,
    /// How it ended.
    pub line_end: LineEnd,
}

/// The columns of one batch of rows. Cheap to clone.
#[derive(Debug, Clone)]
pub struct RowColumns {
    host: StringArray,
    file: StringArray,
    file_id: StringArray,
    byte: PrimitiveArray<Int64Type>,
    line_end: StringArray,
    piece: PrimitiveArray<Int32Type>,
    received: PrimitiveArray<TimestampMicrosecondType>,
    scope: StringArray,
    attempt: PrimitiveArray<Int64Type>,
    generation: PrimitiveArray<Int32Type>,
    partition: PrimitiveArray<Int32Type>,
    offset: PrimitiveArray<Int64Type>,
    text: Option<Text>,
}

/// The columns that have a body.
#[derive(Debug, Clone)]
struct Text {
    whole: StringArray,
    exact: BinaryArray,
    templated: Option<Templated>,
}

/// Those that a template draws on; dead letters have none.
#[derive(Debug, Clone)]
struct Templated {
    template: StringArray,
    time: StringArray,
    user: StringArray,
    severity: StringArray,
    message: StringArray,
    names: StringArray,
    texts: StringArray,
    fields: MapArray,
}

impl RowColumns {
    /// Finds the columns of `batch`; without `text`, bodies read as none.
    ///
    /// # Errors
    /// One is missing or of another type.
    pub fn new(batch: &RecordBatch, text: bool) -> Result<RowColumns, TableError> {
        let text = if text { Some(Text::new(batch)?) } else { None };
        Ok(RowColumns {
            host: strings(batch, "host")?,
            file: strings(batch, "file")?,
            file_id: strings(batch, "file_id")?,
            byte: numbers(batch, "byte")?,
            line_end: strings(batch, "line_end")?,
            piece: numbers(batch, "piece")?,
            received: numbers(batch, "received")?,
            scope: strings(batch, "dedup_scope")?,
            attempt: numbers(batch, "dedup_attempt")?,
            generation: numbers(batch, "generation")?,
            partition: numbers(batch, "partition")?,
            offset: numbers(batch, "offset")?,
            text,
        })
    }

    /// Rows.
    pub fn len(&self) -> usize {
        self.offset.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The key of row `at`, which must be one of the batch.
    pub fn key(&self, at: usize) -> Key<'_> {
        let origin = Origin {
            generation: self.generation.value(at),
            partition: self.partition.value(at),
            offset: self.offset.value(at),
        };
        Key {
            host: self.host.value(at),
            file: text_at(&self.file, at),
            file_id: text_at(&self.file_id, at),
            place: Place::new(number_at(&self.byte, at), number_at(&self.piece, at), origin),
        }
    }

    /// Row `at`, which must be one of the batch.
    ///
    /// # Errors
    /// Its line end is none that we know.
    pub fn line(&self, at: usize) -> Result<Line<'_>, TableError> {
        Ok(Line {
            key: self.key(at),
            received: self.received.value(at),
            attempt: text_at(&self.scope, at).zip(number_at(&self.attempt, at)),
            line_end: line_end_of(self.line_end.value(at)).ok_or(TableError::Column("line_end"))?,
        })
    }

    /// Puts the exact bytes of row `at` into `body`, in place of what is there; none where the text was not read.
    ///
    /// # Errors
    /// Its template does not fit its fields.
    pub fn body(&self, at: usize, body: &mut Vec<u8>) -> Result<(), TableError> {
        body.clear();
        match &self.text {
            None => Ok(()),
            Some(text) if text.exact.is_valid(at) => {
                body.extend_from_slice(text.exact.value(at));
                Ok(())
            }
            Some(text) if text.whole.is_valid(at) => {
                body.extend_from_slice(text.whole.value(at).as_bytes());
                Ok(())
            }
            Some(text) => {
                let templated = text.templated.as_ref().ok_or(TableError::Column("body"))?;
                let mut rebuilt = String::from_utf8(std::mem::take(body)).unwrap_or_default();
                let fits = templated.rebuild(at, &mut rebuilt);
                *body = rebuilt.into_bytes();
                if fits { Ok(()) } else { Err(TableError::Column("body_template")) }
            }
        }
    }
}

impl Text {
    fn new(batch: &RecordBatch) -> Result<Text, TableError> {
        let exact = column(batch, "body_bytes")?.as_binary_opt::<i32>();
        let exact = exact.ok_or(TableError::Column("body_bytes"))?.clone();
        let has_templates = batch.column_by_name("body_template").is_some();
        let templated = if has_templates { Some(Templated::new(batch)?) } else { None };
        Ok(Text { whole: strings(batch, "body")?, exact, templated })
    }
}

impl Templated {
    fn new(batch: &RecordBatch) -> Result<Templated, TableError> {
        let wrong = || TableError::Column("fields");
        let fields = column(batch, "fields")?.as_map_opt().ok_or_else(wrong)?.clone();
        Ok(Templated {
            template: strings(batch, "body_template")?,
            time: strings(batch, "time_text")?,
            user: strings(batch, "user")?,
            severity: strings(batch, "severity")?,
            message: strings(batch, "message")?,
            names: fields.keys().as_string_opt::<i32>().ok_or_else(wrong)?.clone(),
            texts: fields.values().as_string_opt::<i32>().ok_or_else(wrong)?.clone(),
            fields,
        })
    }

    fn rebuild(&self, at: usize, out: &mut String) -> bool {
        let offsets = self.fields.value_offsets();
        let (Some(from), Some(to)) = (offsets.get(at), offsets.get(at + 1)) else {
            return false;
        };
        let fields = *from as usize..*to as usize;
        let text = |name: &str| match name {
            template::TIME => text_at(&self.time, at),
            template::USER => text_at(&self.user, at),
            template::SEVERITY => text_at(&self.severity, at),
            template::MESSAGE => text_at(&self.message, at),
            _ => {
                let named = fields.clone().find(|field| self.names.value(*field) == name);
                named.map(|field| self.texts.value(field))
            }
        };
        self.template.is_valid(at) && template::rebuild(self.template.value(at), text, out)
    }
}

/// Batches of rows, read one at a time.
pub struct Lines {
    batches: ParquetRecordBatchReader,
    text: bool,
}

impl Lines {
    pub(super) fn new(batches: ParquetRecordBatchReader, text: bool) -> Lines {
        Lines { batches, text }
    }
}

impl Iterator for Lines {
    type Item = Result<RowColumns, TableError>;

    fn next(&mut self) -> Option<Self::Item> {
        let batch = self.batches.next()?;
        Some(batch.map_err(TableError::Arrow).and_then(|batch| RowColumns::new(&batch, self.text)))
    }
}

fn text_at(column: &StringArray, at: usize) -> Option<&str> {
    column.is_valid(at).then(|| column.value(at))
}

fn number_at<T: ArrowPrimitiveType>(column: &PrimitiveArray<T>, at: usize) -> Option<T::Native> {
    column.is_valid(at).then(|| column.value(at))
}

fn column<'b>(batch: &'b RecordBatch, name: &'static str) -> Result<&'b arrow_array::ArrayRef, TableError> {
    batch.column_by_name(name).ok_or(TableError::Column(name))
}

fn strings(batch: &RecordBatch, name: &'static str) -> Result<StringArray, TableError> {
    column(batch, name)?.as_string_opt::<i32>().cloned().ok_or(TableError::Column(name))
}

fn numbers<T: ArrowPrimitiveType>(
    batch: &RecordBatch,
    name: &'static str,
) -> Result<PrimitiveArray<T>, TableError> {
    column(batch, name)?.as_primitive_opt::<T>().cloned().ok_or(TableError::Column(name))
}
