//! The columns of the raw line, which both tables have.

use arrow_array::ArrayRef;
use arrow_array::builder::{
    BinaryBuilder, BooleanBuilder, Int32Builder, Int64Builder, StringBuilder, TimestampMicrosecondBuilder,
};
use millrace_schemas::{Attributes, Origin, Parser, RawEvent};

use super::cells::{Dictionary, ROWS, TextMap, array, text, text_map};
use super::place::line_end_text;
use super::{TableError, schema};

/// Columns of the raw line in the making.
pub(super) struct RawCells {
    tenant: Dictionary,
    stream: Dictionary,
    host: Dictionary,
    file: Dictionary,
    file_id: Dictionary,
    byte: Int64Builder,
    line: Int64Builder,
    line_end: Dictionary,
    piece: Int32Builder,
    piece_last: BooleanBuilder,
    received: TimestampMicrosecondBuilder,
    body: StringBuilder,
    body_bytes: BinaryBuilder,
    attributes: TextMap,
    parser: Dictionary,
    parser_version: Int32Builder,
    dedup_scope: Dictionary,
    dedup_index: Int64Builder,
    dedup_attempt: Int64Builder,
    generation: Int32Builder,
    partition: Int32Builder,
    offset: Int64Builder,
}

impl RawCells {
    pub(super) fn new() -> RawCells {
        RawCells {
            tenant: Dictionary::new(),
            stream: Dictionary::new(),
            host: Dictionary::new(),
            file: Dictionary::new(),
            file_id: Dictionary::new(),
            byte: Int64Builder::with_capacity(ROWS),
            line: Int64Builder::with_capacity(ROWS),
            line_end: Dictionary::new(),
            piece: Int32Builder::with_capacity(ROWS),
            piece_last: BooleanBuilder::with_capacity(ROWS),
            received: TimestampMicrosecondBuilder::with_capacity(ROWS).with_data_type(schema::instant()),
            body: text(),
            body_bytes: BinaryBuilder::with_capacity(ROWS, 0),
            attributes: text_map(),
            parser: Dictionary::new(),
            parser_version: Int32Builder::with_capacity(ROWS),
            dedup_scope: Dictionary::new(),
            dedup_index: Int64Builder::with_capacity(ROWS),
            dedup_attempt: Int64Builder::with_capacity(ROWS),
            generation: Int32Builder::with_capacity(ROWS),
            partition: Int32Builder::with_capacity(ROWS),
            offset: Int64Builder::with_capacity(ROWS),
        }
    }

    /// Adds a row; gives the bytes of its text. A templated body is not stored again.
    pub(super) fn push(
        &mut self,
        raw: &RawEvent<'_>,
        attributes: &Attributes<'_>,
        parser: Parser<'_>,
        origin: Origin,
        is_templated: bool,
    ) -> Result<usize, TableError> {
        let mut text = if is_templated { 0 } else { raw.body.len() };
        self.tenant.append_value(raw.tenant)?;
        self.stream.append_value(raw.stream)?;
        self.host.append_value(raw.host)?;
        self.file.append_option(raw.file)?;
        self.file_id.append_option(raw.file_id)?;
        self.byte.append_option(raw.position.map(|position| position.byte));
        self.line.append_option(raw.position.map(|position| position.line));
        self.line_end.append_value(line_end_text(raw.line_end))?;
        self.piece.append_option(raw.piece.map(|piece| piece.index));
        self.piece_last.append_option(raw.piece.map(|piece| piece.last));
        self.received.append_value(raw.received);
        match std::str::from_utf8(raw.body) {
            Ok(body) => {
                self.body.append_option((!is_templated).then_some(body));
                self.body_bytes.append_null();
            }
            Err(_) => {
                self.body.append_value(String::from_utf8_lossy(raw.body));
                self.body_bytes.append_value(raw.body);
                text += raw.body.len() * 3;
            }
        }
        for (name, value) in &attributes.0 {
            self.attributes.keys().append_value(name);
            self.attributes.values().append_value(value);
            text += name.len() + value.len() + 8;
        }
        self.attributes.append(true)?;
        self.parser.append_value(parser.id)?;
        self.parser_version.append_value(parser.version);
        self.dedup_scope.append_option(raw.dedup.map(|dedup| dedup.scope))?;
        self.dedup_index.append_option(raw.dedup.map(|dedup| dedup.index));
        self.dedup_attempt.append_option(raw.dedup.and_then(|dedup| dedup.attempt));
        self.generation.append_value(origin.generation);
        self.partition.append_value(origin.partition);
        self.offset.append_value(origin.offset);
        Ok(text + raw.dedup.map_or(0, |dedup| dedup.scope.len()))
    }

    /// The columns in the order of the schema; `found` come before the body, `typed` after it.
    pub(super) fn finish(
        mut self,
        found: Vec<ArrayRef>,
        typed: Vec<ArrayRef>,
    ) -> Result<Vec<ArrayRef>, TableError> {
        let mut columns: Vec<ArrayRef> = vec![
            self.tenant.finish()?,
            self.stream.finish()?,
            self.host.finish()?,
            self.file.finish()?,
            self.file_id.finish()?,
            array(self.byte.finish()),
            array(self.line.finish()),
            self.line_end.finish()?,
            array(self.piece.finish()),
            array(self.piece_last.finish()),
            array(self.received.finish()),
        ];
        columns.extend(found);
        columns.push(array(self.body.finish()));
        columns.push(array(self.body_bytes.finish()));
        columns.extend(typed);
        columns.extend([
            array(self.attributes.finish()),
            self.parser.finish()?,
            array(self.parser_version.finish()),
            self.dedup_scope.finish()?,
            array(self.dedup_index.finish()),
            array(self.dedup_attempt.finish()),
            array(self.generation.finish()),
            array(self.partition.finish()),
            array(self.offset.finish()),
        ]);
        Ok(columns)
    }
}
