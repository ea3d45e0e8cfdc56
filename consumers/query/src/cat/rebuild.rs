//! Lines to the bytes of their file.

use std::io::Write;

use serde::Serialize;

use super::weave::Woven;
use super::{CatError, Incarnation};

/// What does not add up. Byte ranges are half-open and count from the start of the incarnation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case", tag = "what")]
pub enum Warning {
    /// No line covers these bytes; nothing was written for them.
    Gap {
        /// First byte.
        from: i64,
        /// One past the last.
        to: i64,
    },
    /// These bytes came with an earlier line already; they were written once.
    Overlap {
        /// First byte.
        from: i64,
        /// One past the last.
        to: i64,
    },
    /// The line of these bytes is in the archive more than once; it was written once.
    Repeated {
        /// First byte.
        from: i64,
        /// One past the last.
        to: i64,
        /// Other rows.
        rows: u64,
    },
    /// Lines came without a position; they were written first, in the order in which they came.
    Unplaced {
        /// How many.
        lines: u64,
    },
}

/// Writes lines in order and watches that their bytes join up.
pub(super) struct Rebuild<'o> {
    out: &'o mut dyn Write,
    /// The byte that is due.
    due: i64,
    /// Where the line before stood: byte and piece.
    before: Option<(i64, i32)>,
    line_ends: u64,
    bytes: u64,
    unfinished: bool,
    unplaced: u64,
    warnings: Vec<Warning>,
    n_warnings: u64,
}

impl<'o> Rebuild<'o> {
    pub(super) fn new(out: &'o mut dyn Write) -> Rebuild<'o> {
        Rebuild {
            out,
            due: 0,
            before: None,
            line_ends: 0,
            bytes: 0,
            unfinished: false,
            unplaced: 0,
            warnings: Vec::new(),
            n_warnings: 0,
        }
    }

    /// Takes the next line; one without a place is none.
    pub(super) fn line(&mut self, line: &Woven) -> Result<(), CatError> {
        let (Some(place), Some(line_end)) = (line.place, line.line_end) else { return Ok(()) };
        let end = line_end.bytes();
        let len = (line.body.len() + end.len()) as i64;
        let start = match (place.byte, self.before) {
            (None, _) => {
                self.unplaced += 1;
                self.due
            }
            // Pieces may all bear the first byte of their line: then they follow one another.
            (Some(byte), Some((own, piece))) if byte == own && place.piece > piece => self.due,
            (Some(byte), _) => byte,
        };
        if start > self.due {
            self.warn(Warning::Gap { from: self.due, to: start });
            self.due = start;
        }
        let known = (self.due - start).clamp(0, len);
        if known > 0 {
            self.warn(Warning::Overlap { from: start, to: start + known });
        }
        if line.repeats > 0 {
            self.warn(Warning::Repeated { from: start, to: start + len, rows: line.repeats });
        }
        let known = known as usize;
        self.out.write_all(line.body.get(known..).unwrap_or(&[]))?;
        self.out.write_all(end.get(known.saturating_sub(line.body.len())..).unwrap_or(&[]))?;
        let written = len as u64 - known as u64;
        self.bytes += written;
        self.line_ends += u64::from(!end.is_empty() && written > 0);
        self.unfinished = end.is_empty() && (written > 0 || self.unfinished);
        if let Some(byte) = place.byte {
            self.due = self.due.max(start + len);
            self.before = Some((byte, place.piece));
        }
        Ok(())
    }

    /// What was rebuilt.
    pub(super) fn finish(mut self, file_id: Option<String>, first_seen: i64) -> Incarnation {
        if self.unplaced > 0 {
            self.warn(Warning::Unplaced { lines: self.unplaced });
        }
        Incarnation {
            file_id,
            first_seen,
            lines: self.line_ends + u64::from(self.unfinished),
            bytes: self.bytes,
            complete: self.n_warnings == 0,
            more_warnings: self.n_warnings - self.warnings.len() as u64,
            warnings: self.warnings,
        }
    }

    fn warn(&mut self, warning: Warning) {
        self.n_warnings += 1;
        if self.warnings.len() < Incarnation::MAX_WARNINGS {
            self.warnings.push(warning);
        }
    }
}
