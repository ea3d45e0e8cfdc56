//! Reads one followed file into the batch. Owns the one read buffer of the process.

use std::io;
use std::time::Duration;

use millrace_schemas::position::FilePosition;
use millrace_schemas::{LineEnd, Piece, Position};
use tracing::warn;

use crate::Now;
use crate::batch::{Batch, Line, LineSource};
use crate::disk::{look, nul_until, read_at};
use crate::encoding::{Encoding, MARK};
use crate::follow::{Follow, Held, Room};
use crate::identity::{PRINT, Verdict, judge, print};
use crate::join::{Entry, Flush};
use crate::options::{Limits, Options};
use crate::rules::{Found, Rules};

/// Fits the processor's cache, so that lines are found and copied while they are in it.
const CHUNK: usize = 256 << 10;

/// So many NUL bytes at the end of a file are room that its writer has set aside.
const ROOM: usize = 16;
/// Enough to see whether something was written there.
const GLANCE: usize = 4 << 10;
/// So much of it is looked through in one visit.
const LOOK: usize = 1 << 20;

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

/// What a visit is to do, and when.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Task<'a> {
    pub(crate) options: &'a Options,
    /// Of the file's input.
    pub(crate) rules: &'a Rules,
    pub(crate) now: Now,
    /// A line without end is sent as it is once it has waited for so long.
    pub(crate) patience: Duration,
}

/// The read buffer, and the text made of it where that is not the same.
#[derive(Debug)]
pub(crate) struct Reader {
    buffer: Vec<u8>,
    text: Vec<u8>,
}

impl Reader {
    pub(crate) fn new(limits: &Limits, rules: &[Rules]) -> Reader {
        let longest = |rules: &Rules| {
            let units = limits.max_line_bytes + rules.margin();
            MARK + units * rules.encoding.widest()
        };
        let longest = rules.iter().map(longest).max().unwrap_or_default();
        Reader { buffer: vec![0; PRINT + CHUNK.max(longest)], text: Vec::new() }
    }

    /// Reads on in `follow`; with the patience over, a line without end is sent as it is.
    pub(crate) fn visit(
        &mut self,
        follow: &mut Follow,
        batch: &mut Batch,
        task: &Task<'_>,
    ) -> io::Result<Visit> {
        let Task { options, rules, now, patience } = *task;
        let encoding = order(rules.encoding, follow)?;
        let source = LineSource::new(options, follow.input, &follow.position, encoding);
        let first = if follow.room.is_some() { GLANCE } else { CHUNK };
        let (mut left, mut chunk) = (options.limits.quantum_bytes, first);
        // Of a file that is gone, or read once, everything is handed on at last.
        let over = options.once || (follow.gone && follow.must_flush(now.monotonic, patience));
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
            let mut window = &self.buffer[..n_read.max(tail_len)];
            let data = written(&window[tail_len..]);
            let has_room = !over && encoding.widest() == 1 && tail_len + data < window.len();
            let seen = follow.position.byte as u64 + (window.len() - tail_len) as u64;
            let has_room = has_room && note_room(follow, seen, look.size)?;
            if has_room {
                window = &window[..tail_len + data];
            } else {
                follow.room = None;
            }
            let end = follow.position.byte as u64 + (window.len() - tail_len) as u64;
            follow.size = if has_room { end } else { look.size.max(end) };
            let whole = n_read < wanted || has_room;
            if follow.held.is_none_or(|held| held.end != end) {
                follow.held = Some(Held { end, since: now.monotonic });
            }
            let flush = match whole {
                true if over || follow.must_flush(now.monotonic, patience) => Flush::Line,
                true if follow.must_flush(now.monotonic, rules.patience(patience)) => Flush::Entry,
                true | false => Flush::No,
            };
            let fresh = &window[tail_len..];
            let mark = if follow.position.byte == 0 { encoding.mark(fresh) } else { 0 };
            let text = match encoding {
                Encoding::Utf8 => fresh,
                _ => {
                    self.text.clear();
                    encoding.decode(&fresh[mark..], flush == Flush::Line, &mut self.text);
                    &self.text
                }
            };
            let (taken, full) = take(&source, follow, batch, task, encoding, (text, flush));
            let used = encoding.source_len(&text[..taken]) + if taken > 0 { mark } else { 0 };
            follow.position.byte += used as i64;
            if used > 0 {
                let read = &window[..tail_len + used];
                let tail = &read[read.len().saturating_sub(PRINT)..];
                follow.position.tail_len = tail.len() as i32;
                follow.position.tail_hash = print(tail);
                follow.dirty = true;
                follow.quiet_since = now.monotonic;
            }
            let rest = fresh.len() - used;
            if (rest == 0 && !has_room) || full || !whole {
                follow.held = None;
            } else if flush == Flush::Line {
                // Half a character: asked again when as much time has passed.
                follow.held = Some(Held { end, since: now.monotonic });
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

/// Length of `bytes` without the NUL bytes at its end, where those are many.
fn written(bytes: &[u8]) -> usize {
    if !bytes.ends_with(&[0; ROOM]) {
        return bytes.len();
    }
    bytes.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1)
}

/// Whether nothing but NUL bytes is known to follow byte `from` in a file of `size` bytes. Of room that was filled with
/// NUL bytes a part is looked at in each visit, so that other files have their turn.
fn note_room(follow: &mut Follow, from: u64, size: u64) -> io::Result<bool> {
    let Some(file) = &follow.file else { return Ok(false) };
    let begun = Room { until: from, size, modified: follow.modified };
    // Written to since it was looked through: once more, from the beginning.
    let over = |room: &Room| room.until >= room.size && room.modified != follow.modified;
    let room = follow.room.filter(|room| !over(room)).unwrap_or(begun);
    let seen = nul_until(file, room.until.max(from), size, LOOK)?;
    follow.room = seen.map(|until| Room { until, size, ..room });
    Ok(seen.is_some())
}

/// The encoding with its order of bytes, which the file's first bytes tell.
fn order(encoding: Encoding, follow: &Follow) -> io::Result<Encoding> {
    let mut first = [0; MARK];
    match &follow.file {
        Some(file) if encoding == Encoding::Utf16 => {
            let n_read = read_at(file, &mut first, 0)?;
            Ok(encoding.resolve(&first[..n_read]))
        }
        Some(_) | None => Ok(encoding),
    }
}

/// Moves what is complete at the front of `text` into the batch; answers the bytes taken and whether the batch is full.
fn take(
    source: &LineSource,
    follow: &mut Follow,
    batch: &mut Batch,
    task: &Task<'_>,
    encoding: Encoding,
    (text, flush): (&[u8], Flush),
) -> (usize, bool) {
    let (limits, rules) = (&task.options.limits, task.rules);
    let max = limits.max_line_bytes;
    let position = &mut follow.position;
    let mut at = position.text.unwrap_or(position.byte);
    let (mut used, mut full) = (0, false);
    while let Some(found) = rules.find(&text[used..], position.piece, max, flush) {
        let (n_records, body) = match &found {
            Found::Entry(entry) => (1, entry.cut.body),
            Found::Group(group) => (group.lines.len(), group.lines.iter().map(|line| line.text.len()).sum()),
        };
        if !has_room(batch, limits, n_records, body) {
            full = true;
            break;
        }
        let mut on = HandOn { batch: &mut *batch, position: &mut *position, at: &mut at, task };
        match found {
            Found::Entry(Entry { mut cut, line_ends }) => {
                if cut.piece.is_some_and(|piece| !piece.last) {
                    let view = &text[used..text.len().min(used + max + rules.margin())];
                    cut.body = rules.soft_cut(view, cut.body);
                }
                let read = encoding.source_len(&text[used..used + cut.len()]);
                on.push(source, &text[used..used + cut.body], (cut.end, cut.piece, line_ends), read);
                used += cut.len();
            }
            Found::Group(group) => {
                let mut read = encoding.source_len(&text[used..used + group.len]);
                for line in &group.lines {
                    let own =
                        LineSource::of_container(task.options, follow.input, on.position, encoding, line);
                    on.push(&own, &line.text, (line.end, None, line.line_ends()), read);
                    read = 0;
                }
                used += group.len;
            }
        }
    }
    if used > 0 && (rules.alter() || position.text.is_some()) {
        position.text = Some(at);
    }
    (used, full)
}

/// Puts lines into the batch and moves on.
struct HandOn<'a> {
    batch: &'a mut Batch,
    position: &'a mut FilePosition,
    /// Byte of the text that is handed on.
    at: &'a mut i64,
    task: &'a Task<'a>,
}

impl HandOn<'_> {
    /// One line, piece or entry, made from `read` bytes of the file.
    fn push(
        &mut self,
        source: &LineSource,
        body: &[u8],
        (end, piece, line_ends): (LineEnd, Option<Piece>, i64),
        read: usize,
    ) {
        let body = self.task.rules.masked(body, self.task.options.limits.max_line_bytes);
        let position = Position { byte: *self.at, line: self.position.line };
        self.batch.push(source, self.task.now.wall, &Line { position, end, piece, body: &body, read });
        *self.at += (body.len() + end.bytes().len()) as i64;
        self.position.line += line_ends;
        self.position.piece = piece.map_or(0, |piece| if piece.last { 0 } else { piece.index + 1 });
    }
}

/// Whether `n_more` records with bodies of `body` bytes still fit.
pub(crate) fn has_room(batch: &Batch, limits: &Limits, n_more: usize, body: usize) -> bool {
    let n_records = batch.records().len();
    n_records == 0
        || (n_records + n_more <= limits.batch_max_lines && batch.len() + body <= limits.batch_max_bytes)
}

fn count_cut(follow: &mut Follow, lost: u64) {
    follow.position.lost += lost as i64;
    follow.dirty = true;
    let (from, to) = (follow.size - lost, follow.size);
    warn!(path = %follow.place.display(), from, to, "bytes were cut off a file before they could be read");
}
