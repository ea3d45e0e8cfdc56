//! Reads one followed file into the batch. Owns the one read buffer of the process.

use std::io;
use std::time::Duration;

use millrace_schemas::{LineEnd, Position};
use tracing::warn;

use crate::Now;
use crate::batch::{Batch, Line, LineSource};
use crate::disk::{look, read_at};
use crate::follow::{Follow, Held};
use crate::identity::{PRINT, Verdict, judge, print};
use crate::options::{Limits, Options};
use crate::split::{LINE_END_MAX, cut};

/// Fits the processor's cache, so that lines are found and copied while they are in it.
const CHUNK: usize = 256 << 10;

/// How a visit to a file ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Visit {
    /// At the end of the file.
    End,
    /// Its quantum is used up.
    More,
    /// The batch is full.
    Full,
    /// The incarnation is over.
    Truncated {
        /// Bytes known to have been there that were not read.
        lost: u64,
    },
}

/// The read buffer.
#[derive(Debug)]
pub(crate) struct Reader {
    buffer: Vec<u8>,
}

impl Reader {
    pub(crate) fn new(limits: &Limits) -> Reader {
        Reader { buffer: vec![0; PRINT + CHUNK.max(limits.max_line_bytes + LINE_END_MAX)] }
    }

    /// Reads on in `follow`; with `patience` over, a line without end is sent as it is.
    pub(crate) fn visit(
        &mut self,
        follow: &mut Follow,
        batch: &mut Batch,
        options: &Options,
        now: Now,
        patience: Duration,
    ) -> io::Result<Visit> {
        let limits = &options.limits;
        let source = LineSource::new(options, follow.input, &follow.position);
        let (mut left, mut chunk) = (limits.quantum_bytes, CHUNK);
        loop {
            let Some(file) = &follow.file else {
                return Ok(Visit::End);
            };
            // The bytes before the position come along: the next tail is taken from them.
            let tail_len = follow.position.tail_len as usize;
            let wanted = tail_len + chunk;
            let n_read =
                read_at(file, &mut self.buffer[..wanted], follow.position.byte as u64 - tail_len as u64)?;
            // After the read, not before: a truncation in between would pass unseen.
            let look = look(file, &follow.position)?;
            match judge(&follow.position, follow.size, look) {
                Verdict::Same => {}
                Verdict::Cut { lost } => count_cut(follow, lost),
                Verdict::Truncated { lost } => return Ok(Visit::Truncated { lost }),
            }
            let window = &self.buffer[..n_read.max(tail_len)];
            let end = follow.position.byte as u64 + (window.len() - tail_len) as u64;
            follow.size = look.size.max(end);
            let whole = n_read < wanted;
            if follow.held.is_none_or(|held| held.end != end) {
                follow.held = Some(Held { end, since: now.monotonic });
            }
            let flush = whole && follow.must_flush(now.monotonic, patience);
            let (used, full) = take(&source, follow, batch, limits, &window[tail_len..], (now.wall, flush));
            if used > 0 {
                let read = &window[..tail_len + used];
                let tail = &read[read.len().saturating_sub(PRINT)..];
                follow.position.tail_len = tail.len() as i32;
                follow.position.tail_hash = print(tail);
                follow.dirty = true;
                follow.quiet_since = now.monotonic;
            }
            let rest = window.len() - tail_len - used;
            if rest == 0 || full || !whole {
                follow.held = None;
            }
            left = left.saturating_sub(used);
            match (full, whole) {
                (true, _) => return Ok(Visit::Full),
                (false, true) => return Ok(Visit::End),
                (false, false) if left == 0 => return Ok(Visit::More),
                (false, false) => {}
            }
            // A chunk without a line end: look as far as the longest line.
            chunk = if used == 0 { self.buffer.len() - PRINT } else { CHUNK };
        }
    }
}

/// Moves the lines at the front of `bytes` into the batch; answers the bytes taken and whether the batch is full.
fn take(
    source: &LineSource,
    follow: &mut Follow,
    batch: &mut Batch,
    limits: &Limits,
    bytes: &[u8],
    (received, flush): (i64, bool),
) -> (usize, bool) {
    let position = &mut follow.position;
    let mut used = 0;
    while let Some(found) = cut(&bytes[used..], position.piece, limits.max_line_bytes, flush) {
        if !has_room(batch, limits, found.body) {
            return (used, true);
        }
        let line = Line {
            position: Position { byte: position.byte, line: position.line },
            end: found.end,
            piece: found.piece,
            body: &bytes[used..used + found.body],
        };
        batch.push(source, received, &line);
        used += found.len();
        position.byte += found.len() as i64;
        position.line += i64::from(found.end != LineEnd::None);
        position.piece = found.piece.map_or(0, |piece| if piece.last { 0 } else { piece.index + 1 });
    }
    (used, false)
}

/// Whether a line of `body` bytes still fits.
pub(crate) fn has_room(batch: &Batch, limits: &Limits, body: usize) -> bool {
    let n_records = batch.records().len();
    n_records == 0 || (n_records < limits.batch_max_lines && batch.len() + body <= limits.batch_max_bytes)
}

fn count_cut(follow: &mut Follow, lost: u64) {
    follow.position.lost += lost as i64;
    follow.dirty = true;
    let (from, to) = (follow.size - lost, follow.size);
    warn!(path = %follow.place.display(), from, to, "bytes were cut off a file before they could be read");
}
