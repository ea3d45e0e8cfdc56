//! Where a row stands: the order of rows within a file, and of files within a row file.

use millrace_schemas::{LineEnd, Origin};

/// Order of the rows of one file. Rows without a position come first, in the order of their origin.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// First byte in the file.
    pub byte: Option<i64>,
    /// Number of the piece of an over-long line, 0 for a whole line or where there is no position.
    pub piece: i32,
    /// The raw record.
    pub origin: Origin,
}

impl Place {
    /// The place of a row.
    pub fn new(byte: Option<i64>, piece: Option<i32>, origin: Origin) -> Place {
        let piece = byte.and(piece).unwrap_or(0);
        Place { byte, piece, origin }
    }

    /// Whether both are the same line or piece of the file: the same bytes, or the same raw record.
    pub fn same_line(&self, other: &Place) -> bool {
        self.origin == other.origin
            || (self.byte.is_some() && (self.byte, self.piece) == (other.byte, other.piece))
    }
}

/// Order of all rows of a row file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Key<'a> {
    /// Host.
    pub host: &'a str,
    /// Path.
    pub file: Option<&'a str>,
    /// Incarnation of the path.
    pub file_id: Option<&'a str>,
    /// Place in it.
    pub place: Place,
}

/// How the table writes a line end.
pub(super) fn line_end_text(line_end: LineEnd) -> &'static str {
    match line_end {
        LineEnd::None => "NONE",
        LineEnd::Lf => "LF",
        LineEnd::CrLf => "CRLF",
    }
}

/// Inverse of [`line_end_text`].
pub(super) fn line_end_of(text: &str) -> Option<LineEnd> {
    [LineEnd::None, LineEnd::Lf, LineEnd::CrLf].into_iter().find(|end| line_end_text(*end) == text)
}
