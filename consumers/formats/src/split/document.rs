//! A packed row as tantivy reads it: nothing is copied, nothing is boxed.

use std::sync::Arc;

use tantivy::schema::document::{ReferenceValue, ReferenceValueLeaf};
use tantivy::schema::{Field, Value};

use super::rows::{Cell, Row, Rows, Span};
use super::schema::Columns;

/// One row of a split that is being written.
pub(super) struct Document {
    pub(super) rows: Arc<Rows>,
    pub(super) columns: Arc<Columns>,
    pub(super) at: usize,
}

/// A value of a column.
#[derive(Debug, Clone, Copy)]
pub(super) enum Column<'a> {
    Text(&'a str),
    Long(i64),
    Double(f64),
    Boolean(bool),
    Bytes(&'a [u8]),
    Fields(&'a Rows, &'a [(Span, Cell)]),
}

/// Columns before the flags, which may be many.
const FIXED: usize = 16;

/// Walks a row: the fixed columns in the order of their numbers, then the flags.
pub(super) struct Columnwise<'a> {
    rows: &'a Rows,
    columns: &'a Columns,
    row: &'a Row,
    at: usize,
}

impl tantivy::Document for Document {
    type Value<'a> = Column<'a>;
    type FieldsValuesIter<'a> = Columnwise<'a>;

    fn iter_fields_and_values(&self) -> Columnwise<'_> {
        Columnwise { rows: &self.rows, columns: &self.columns, row: &self.rows.rows[self.at], at: 0 }
    }
}

impl<'a> Columnwise<'a> {
    fn fixed(&self) -> (Field, Option<Column<'a>>) {
        let (columns, row) = (self.columns, self.row);
        let rows: &'a Rows = self.rows;
        let text = |span: Span| Some(Column::Text(rows.text(span)));
        let optional = |span: Option<Span>| span.map(|span| Column::Text(rows.text(span)));
        match self.at {
            0 => (columns.stream, text(row.stream)),
            1 => (columns.host, text(row.host)),
            2 => (columns.file, optional(row.file)),
            3 => (columns.severity, optional(row.severity)),
            4 => (columns.user, optional(row.user)),
            5 => (columns.parser, optional(row.parser)),
            6 => (columns.reason, optional(row.reason)),
            7 => (columns.attempt, optional(row.attempt)),
            8 => (columns.line, text(row.line)),
            9 => {
                let fields = rows.fields_of(row);
                (columns.fields, (!fields.is_empty()).then_some(Column::Fields(rows, fields)))
            }
            10 => (columns.time, Some(Column::Long(row.time))),
            11 => (columns.received, Some(Column::Long(row.received))),
            12 => (columns.generation, Some(Column::Long(i64::from(row.origin.generation)))),
            13 => (columns.partition, Some(Column::Long(i64::from(row.origin.partition)))),
            14 => (columns.offset, Some(Column::Long(row.origin.offset))),
            _ => (columns.stored, Some(Column::Bytes(rows.stored_of(row)))),
        }
    }
}

impl<'a> Iterator for Columnwise<'a> {
    type Item = (Field, Column<'a>);

    fn next(&mut self) -> Option<Self::Item> {
        while self.at < FIXED {
            let (field, value) = self.fixed();
            self.at += 1;
            if let Some(value) = value {
                return Some((field, value));
            }
        }
        let flag = self.rows.flags_of(self.row).get(self.at - FIXED)?;
        self.at += 1;
        Some((self.columns.flags, Column::Text(self.rows.text(*flag))))
    }
}

/// Walks the column `fields`.
pub(super) struct FieldsIter<'a> {
    rows: &'a Rows,
    fields: std::slice::Iter<'a, (Span, Cell)>,
}

impl<'a> Iterator for FieldsIter<'a> {
    type Item = (&'a str, Column<'a>);

    fn next(&mut self) -> Option<Self::Item> {
        let rows: &'a Rows = self.rows;
        let (name, cell) = self.fields.next()?;
        let value = match *cell {
            Cell::Text(span) => Column::Text(rows.text(span)),
            Cell::Long(number) => Column::Long(number),
            Cell::Double(number) => Column::Double(number),
            Cell::Boolean(truth) => Column::Boolean(truth),
        };
        Some((rows.text(*name), value))
    }
}

impl<'a> Value<'a> for Column<'a> {
    type ArrayIter = std::iter::Empty<Column<'a>>;
    type ObjectIter = FieldsIter<'a>;

    fn as_value(&self) -> ReferenceValue<'a, Column<'a>> {
        let leaf = match *self {
            Column::Text(text) => ReferenceValueLeaf::Str(text),
            Column::Long(number) => ReferenceValueLeaf::I64(number),
            Column::Double(number) => ReferenceValueLeaf::F64(number),
            Column::Boolean(truth) => ReferenceValueLeaf::Bool(truth),
            Column::Bytes(bytes) => ReferenceValueLeaf::Bytes(bytes),
            Column::Fields(rows, fields) => {
                return ReferenceValue::Object(FieldsIter { rows, fields: fields.iter() });
            }
        };
        ReferenceValue::Leaf(leaf)
    }
}
