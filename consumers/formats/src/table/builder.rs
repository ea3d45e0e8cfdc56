//! Gathers rows in columns, in the order they come.

use millrace_schemas::dead::DeadLetter;
use millrace_schemas::manifest::TableName;
use millrace_schemas::{Event, Origin, Parser, RawEvent};

use super::TableError;
use super::encode::{Effort, encode};
use super::found_cells::FoundCells;
use super::order::Sorter;
use super::place::Place;
use super::raw_cells::RawCells;

/// More text than this does not fit the 32-bit offsets of one batch of columns, with room to spare.
const MAX_BYTES: usize = 1 << 30;
/// Fixed-size cells of a row, and its share of the sort keys.
const ROW_BYTES: usize = 160;

/// Rows of one table on their way into one row file.
pub struct TableBuilder {
    rows: RawCells,
    found: FoundCells,
    sorter: Sorter,
    bytes: usize,
}

impl TableBuilder {
    /// Memory that an empty builder takes, roughly, bytes.
    pub const EMPTY_BYTES: usize = 48 << 10;

    /// An empty builder of `table`.
    pub fn new(table: TableName) -> TableBuilder {
        TableBuilder {
            rows: RawCells::new(),
            found: FoundCells::new(table),
            sorter: Sorter::default(),
            bytes: 0,
        }
    }

    /// Adds a parsed line.
    ///
    /// # Errors
    /// The builder is full, or is one of dead letters.
    pub fn push_event(&mut self, event: &Event<'_>) -> Result<(), TableError> {
        let FoundCells::Events(parsed) = &mut self.found else {
            return Err(TableError::Column("time"));
        };
        let (text, is_templated) = parsed.push(event)?;
        let raw = bare(event);
        self.bytes +=
            text + self.rows.push(&raw, &event.attributes, event.parser, event.origin, is_templated)?;
        self.after_push(event.position.map(|position| position.byte), &raw, event.origin)
    }

    /// Adds a dead letter; `origin` is the raw record that was refused.
    ///
    /// # Errors
    /// The builder is full, or is one of events.
    pub fn push_dead(
        &mut self,
        letter: &DeadLetter,
        raw: &RawEvent<'_>,
        origin: Origin,
    ) -> Result<(), TableError> {
        let FoundCells::Dead(dead) = &mut self.found else {
            return Err(TableError::Column("reason"));
        };
        let text = dead.push(letter)?;
        let parser = Parser { id: &letter.parser, version: letter.parser_version };
        self.bytes += text + self.rows.push(raw, &raw.attributes, parser, origin, false)?;
        self.after_push(raw.position.map(|position| position.byte), raw, origin)
    }

    fn after_push(
        &mut self,
        byte: Option<i64>,
        raw: &RawEvent<'_>,
        origin: Origin,
    ) -> Result<(), TableError> {
        self.bytes += ROW_BYTES;
        self.sorter.push(Place::new(byte, raw.piece.map(|piece| piece.index), origin));
        if self.bytes > MAX_BYTES {
            return Err(TableError::TooLarge { limit: MAX_BYTES });
        }
        Ok(())
    }

    /// Rows so far.
    pub fn rows(&self) -> usize {
        self.sorter.len()
    }

    /// Memory that the rows take, roughly, bytes.
    pub fn buffered(&self) -> usize {
        Self::EMPTY_BYTES + self.bytes
    }

    /// Appends the row file to `out`.
    ///
    /// # Errors
    /// A bug.
    pub fn finish(self, effort: Effort, out: &mut Vec<u8>) -> Result<(), TableError> {
        let (table, columns) = self.found.finish(self.rows)?;
        let order = self.sorter.order(&columns)?;
        encode(table, columns, &order, effort, out)
    }
}

/// The raw line of an event without its attributes.
fn bare<'a>(event: &Event<'a>) -> RawEvent<'a> {
    RawEvent {
        tenant: event.tenant,
        stream: event.stream,
        host: event.host,
        file: event.file,
        file_id: event.file_id,
        attributes: Default::default(),
        received: event.received,
        position: event.position,
        line_end: event.line_end,
        piece: event.piece,
        dedup: event.dedup,
        body: event.body,
    }
}
