//! Rows waiting to become a split, packed into a few large buffers.

use std::collections::HashSet;

use millrace_schemas::attempt::attempt_id;
use millrace_schemas::dead::DeadLetter;
use millrace_schemas::{Attributes, Codec, Dedup, Event, Origin, RawEvent, Subject, Value};

use super::SplitError;
use super::schema::{MAX_FIELDS_PER_ROW, MAX_TERM, indexable_name};
use super::stored::{encode_dead, renumber, versions};

const ACTION: &str = "add a row to a split";

/// A place in the text of [`Rows`].
#[derive(Debug, Clone, Copy)]
pub(super) struct Span {
    from: u32,
    to: u32,
}

/// A value in the column `fields`.
#[derive(Debug, Clone, Copy)]
pub(super) enum Cell {
    Text(Span),
    Long(i64),
    Double(f64),
    Boolean(bool),
}

#[derive(Debug, Clone)]
pub(super) struct Row {
    pub(super) time: i64,
    pub(super) received: i64,
    pub(super) origin: Origin,
    pub(super) stream: Span,
    pub(super) host: Span,
    pub(super) file: Option<Span>,
    pub(super) severity: Option<Span>,
    pub(super) user: Option<Span>,
    pub(super) parser: Option<Span>,
    pub(super) reason: Option<Span>,
    pub(super) attempt: Option<Span>,
    pub(super) line: Span,
    flags: (u32, u32),
    fields: (u32, u32),
    stored: (u32, u32),
}

/// A dead letter and what it is about.
#[derive(Debug, Clone, Copy)]
pub struct DeadRow<'a> {
    /// Its headers.
    pub letter: &'a DeadLetter,
    /// The line.
    pub raw: &'a RawEvent<'a>,
    /// Generation of the raw topic.
    pub generation: i32,
}

/// Rows of one split, packed. At most 4 GiB of text and of stored bytes.
#[derive(Debug, Clone)]
pub struct Rows {
    text: String,
    stored: Vec<u8>,
    pub(super) rows: Vec<Row>,
    flags: Vec<Span>,
    fields: Vec<(Span, Cell)>,
    names: HashSet<Box<str>>,
    max_names: usize,
}

impl Rows {
    /// Distinct field names of one split past this many are not indexed.
    pub const MAX_NAMES: usize = 2_000;

    /// No rows.
    pub fn new() -> Rows {
        Rows {
            text: String::new(),
            stored: Vec::new(),
            rows: Vec::new(),
            flags: Vec::new(),
            fields: Vec::new(),
            names: HashSet::new(),
            max_names: Rows::MAX_NAMES,
        }
    }

    /// Adds a parsed line. `framed` is its Avro value, written with version `version` (from 1) of the schema.
    ///
    /// # Errors
    /// The rows are too many for one split.
    pub fn push_event(&mut self, event: &Event<'_>, framed: &[u8], version: u32) -> Result<(), SplitError> {
        let from = self.stored.len();
        self.stored.extend_from_slice(framed);
        renumber(&mut self.stored[from..], version);
        self.finish_event(event, from)
    }

    /// Adds a parsed line whose value was written with a schema that this program does not know by its id.
    ///
    /// # Errors
    /// The rows are too many for one split, or the event does not fit the schema, which is a bug.
    pub fn push_event_anew(&mut self, event: &Event<'_>, codec: &Codec) -> Result<(), SplitError> {
        let from = self.stored.len();
        codec.encode(event, &mut self.stored).map_err(|error| SplitError::new(ACTION, error))?;
        renumber(&mut self.stored[from..], Subject::Parsed.versions().len() as u32);
        self.finish_event(event, from)
    }

    fn finish_event(&mut self, event: &Event<'_>, stored: usize) -> Result<(), SplitError> {
        let row = Row {
            time: event.time,
            received: event.received,
            origin: event.origin,
            stream: self.span(event.stream)?,
            host: self.span(event.host)?,
            file: self.term(event.file)?,
            severity: self.term(event.severity.as_deref())?,
            user: self.term(event.user.as_deref())?,
            parser: self.term(Some(event.parser.id))?,
            reason: None,
            attempt: self.attempt(event.stream, event.dedup)?,
            line: self.line(event.body)?,
            flags: self.flags(event.flags.iter().map(AsRef::as_ref))?,
            fields: self.fields(event)?,
            stored: (short(stored)?, short(self.stored.len())?),
        };
        self.rows.push(row);
        Ok(())
    }

    /// Adds a dead letter; its time is when it was received.
    ///
    /// # Errors
    /// The rows are too many for one split, or the line does not fit the schema, which is a bug.
    pub fn push_dead(&mut self, dead: &DeadRow<'_>, codec: &Codec) -> Result<(), SplitError> {
        let DeadRow { letter, raw, generation } = *dead;
        let from = self.stored.len();
        encode_dead(codec, letter, raw, &mut self.stored).map_err(|error| SplitError::new(ACTION, error))?;
        let attributes = self.fields.len();
        self.attributes(&raw.attributes)?;
        let row = Row {
            time: raw.received,
            received: raw.received,
            origin: Origin { generation, partition: letter.partition, offset: letter.offset },
            stream: self.span(raw.stream)?,
            host: self.span(raw.host)?,
            file: self.term(raw.file)?,
            severity: None,
            user: None,
            parser: self.term(Some(letter.parser.as_str()).filter(|id| !id.is_empty()))?,
            reason: self.term(Some(&letter.reason))?,
            attempt: self.attempt(raw.stream, raw.dedup)?,
            line: self.line(raw.body)?,
            flags: (0, 0),
            fields: (short(attributes)?, short(self.fields.len())?),
            stored: (short(from)?, short(self.stored.len())?),
        };
        self.rows.push(row);
        Ok(())
    }

    /// The codec that [`Rows::push_dead`] takes.
    ///
    /// # Errors
    /// The embedded schema does not parse; a bug.
    pub fn dead_codec() -> Result<Codec, SplitError> {
        versions(Subject::Raw).map_err(|error| SplitError::new("prepare the schema of dead letters", error))
    }

    /// The codec that [`Rows::push_event_anew`] takes.
    ///
    /// # Errors
    /// The embedded schema does not parse; a bug.
    pub fn event_codec() -> Result<Codec, SplitError> {
        versions(Subject::Parsed).map_err(|error| SplitError::new("prepare the schema of events", error))
    }

    /// Rows.
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// Bytes of memory that the rows fill.
    pub fn memory(&self) -> usize {
        self.text.len()
            + self.stored.len()
            + self.rows.len() * size_of::<Row>()
            + self.flags.len() * size_of::<Span>()
            + self.fields.len() * size_of::<(Span, Cell)>()
            + self.names.len() * 64
    }

    /// Forgets the rows and keeps the buffers.
    pub(super) fn clear(&mut self) {
        self.text.clear();
        self.stored.clear();
        self.rows.clear();
        self.flags.clear();
        self.fields.clear();
        self.names.clear();
    }

    /// Orders by time, then origin.
    pub(super) fn sort(&mut self) {
        let key = |row: &Row| (row.time, row.origin);
        if !self.rows.is_sorted_by_key(key) {
            self.rows.sort_unstable_by_key(key);
        }
    }

    pub(super) fn text(&self, span: Span) -> &str {
        &self.text[span.from as usize..span.to as usize]
    }

    pub(super) fn flags_of(&self, row: &Row) -> &[Span] {
        &self.flags[row.flags.0 as usize..row.flags.1 as usize]
    }

    pub(super) fn fields_of(&self, row: &Row) -> &[(Span, Cell)] {
        &self.fields[row.fields.0 as usize..row.fields.1 as usize]
    }

    pub(super) fn stored_of(&self, row: &Row) -> &[u8] {
        &self.stored[row.stored.0 as usize..row.stored.1 as usize]
    }

    pub(super) fn text_len(&self) -> usize {
        self.text.len()
    }

    fn span(&mut self, text: &str) -> Result<Span, SplitError> {
        let from = short(self.text.len())?;
        self.text.push_str(text);
        Ok(Span { from, to: short(self.text.len())? })
    }

    /// `None` too where the text is too long to be a term.
    fn term(&mut self, text: Option<&str>) -> Result<Option<Span>, SplitError> {
        text.filter(|text| text.len() <= MAX_TERM).map(|text| self.span(text)).transpose()
    }

    fn attempt(&mut self, stream: &str, dedup: Option<Dedup<'_>>) -> Result<Option<Span>, SplitError> {
        let id = dedup.and_then(|dedup| Some(attempt_id(stream, dedup.scope, dedup.attempt?)));
        self.term(id.as_deref())
    }

    fn line(&mut self, body: &[u8]) -> Result<Span, SplitError> {
        let from = short(self.text.len())?;
        for chunk in body.utf8_chunks() {
            self.text.push_str(chunk.valid());
            if !chunk.invalid().is_empty() {
                self.text.push(char::REPLACEMENT_CHARACTER);
            }
        }
        Ok(Span { from, to: short(self.text.len())? })
    }

    fn flags<'f>(&mut self, flags: impl Iterator<Item = &'f str>) -> Result<(u32, u32), SplitError> {
        let from = short(self.flags.len())?;
        for flag in flags {
            if let Some(span) = self.term(Some(flag))? {
                self.flags.push(span);
            }
        }
        Ok((from, short(self.flags.len())?))
    }

    fn fields(&mut self, event: &Event<'_>) -> Result<(u32, u32), SplitError> {
        let from = self.fields.len();
        for (name, value) in event.fields.0.iter().take(MAX_FIELDS_PER_ROW) {
            if !self.admits(name) {
                continue;
            }
            let cell = match value {
                Value::String(text) => match self.term(Some(text))? {
                    Some(span) => Cell::Text(span),
                    None => continue,
                },
                Value::Long(number) => Cell::Long(*number),
                Value::Double(number) => Cell::Double(*number),
                Value::Boolean(truth) => Cell::Boolean(*truth),
            };
            let name = self.span(name)?;
            self.fields.push((name, cell));
        }
        self.attributes(&event.attributes)?;
        Ok((short(from)?, short(self.fields.len())?))
    }

    fn attributes(&mut self, attributes: &Attributes<'_>) -> Result<(), SplitError> {
        for (name, value) in attributes.0.iter().take(MAX_FIELDS_PER_ROW) {
            if !self.admits(name) {
                continue;
            }
            if let Some(value) = self.term(Some(value))? {
                let name = self.span(name)?;
                self.fields.push((name, Cell::Text(value)));
            }
        }
        Ok(())
    }

    /// Whether a field of that name is indexed: streams that make up a name for every line must not swell the index.
    fn admits(&mut self, name: &str) -> bool {
        if self.names.contains(name) {
            return true;
        }
        let admitted = self.names.len() < self.max_names && indexable_name(name);
        if admitted {
            self.names.insert(name.into());
        }
        admitted
    }
}

impl Default for Rows {
    fn default() -> Rows {
        Rows::new()
    }
}

fn short(len: usize) -> Result<u32, SplitError> {
    u32::try_from(len).map_err(|_| SplitError::new(ACTION, "its rows would take more than 4 GiB"))
}
