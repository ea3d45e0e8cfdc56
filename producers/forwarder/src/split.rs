//! Cuts bytes into lines and pieces of over-long lines. Pure; concatenated, the cuts give the bytes back.

#[cfg(test)]
mod tests;

use memchr::memchr;
use millrace_schemas::{LineEnd, Piece};

/// Bytes beyond the longest body that must at least be in view to tell whether a line is over the limit: its line end.
pub(crate) const LINE_END_MAX: usize = 2;

/// The next line or piece of some bytes: `body` bytes, then the line end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Cut {
    pub(crate) body: usize,
    pub(crate) end: LineEnd,
    pub(crate) piece: Option<Piece>,
}

impl Cut {
    /// Bytes of the file that it covers.
    pub(crate) fn len(&self) -> usize {
        self.body + self.end.bytes().len()
    }
}

/// Cuts at the front of `bytes`, which begin a line, or its piece number `piece` where that is not 0. `None` is 'not
/// yet': no line end in view and not over the limit by `margin`, which is at least [`LINE_END_MAX`]. With `flush` what is
/// there counts as a line without end.
pub(crate) fn cut(
    bytes: &[u8],
    piece: i32,
    (max_line_bytes, margin): (usize, usize),
    flush: bool,
) -> Option<Cut> {
    // Never beyond the limit: a body of `max_line_bytes` and its line end are in view.
    let view = &bytes[..bytes.len().min(max_line_bytes + margin)];
    let last = (piece > 0).then_some(Piece { index: piece, last: true });
    let (body, end) = match memchr(b'\n', view) {
        Some(at) if at > 0 && view[at - 1] == b'\r' => (at - 1, LineEnd::CrLf),
        Some(at) => (at, LineEnd::Lf),
        None if view.len() == max_line_bytes + margin => (usize::MAX, LineEnd::None),
        None if flush && !view.is_empty() => (view.len(), LineEnd::None),
        None => return None,
    };
    if body > max_line_bytes {
        // A CR at the cut is never followed by its LF: then the body would have been within the limit.
        let piece = Some(Piece { index: piece, last: false });
        return Some(Cut { body: max_line_bytes, end: LineEnd::None, piece });
    }
    Some(Cut { body, end, piece: last })
}
