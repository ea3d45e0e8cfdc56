//! The rows of one incarnation in order, each line once, from wherever they lie.

use millrace_formats::table::{Lines, Place, RowColumns, TableError};
use millrace_runtime::store::Store;
use millrace_schemas::LineEnd;
use millrace_schemas::manifest::{LivePart, TableName};
use std::sync::Arc;

use super::rebuild::Rebuild;
use super::survey::{Extent, Sight, damaged, open};
use super::{Archive, CatError};

/// Merges extents. One is opened when its first row is due, so that memory is bounded by how many overlap.
pub(super) struct Weave<'a> {
    archive: Archive<'a>,
    /// By first place, last first.
    waiting: Vec<Extent>,
    cursors: Vec<Cursor>,
}

/// A line as it counts, once all rows that stand for it have been seen.
#[derive(Debug, Default)]
pub(super) struct Woven {
    pub(super) place: Option<Place>,
    pub(super) body: Vec<u8>,
    pub(super) line_end: Option<LineEnd>,
    /// Other rows of the same table at the same place.
    pub(super) repeats: u64,
    rank: (bool, Option<i64>, i64),
}

struct Cursor {
    live: Arc<LivePart>,
    lines: Lines,
    rows: RowColumns,
    at: usize,
}

impl<'a> Weave<'a> {
    pub(super) fn new(archive: &Archive<'a>, sight: &Sight) -> Weave<'a> {
        let mut waiting = sight.extents.clone();
        waiting.sort_by_key(|extent| std::cmp::Reverse(extent.first));
        Weave { archive: *archive, waiting, cursors: Vec::new() }
    }

    /// Gives every line to `rebuild`, in order.
    pub(super) fn each(mut self, rebuild: &mut Rebuild<'_>) -> Result<(), CatError> {
        let mut line = Woven::default();
        while let Some(next) = self.lowest()? {
            let cursor = &mut self.cursors[next];
            let row = cursor.rows.line(cursor.at).map_err(|source| damaged(&cursor.live, source))?;
            if let (Some(stream), Some((scope, attempt))) = (&cursor.live.part.stream, row.attempt)
                && self.archive.superseded.has(stream, scope, attempt)
            {
                self.step(next)?;
                continue;
            }
            let (place, is_event) = (row.key.place, cursor.live.part.table == TableName::Events);
            let rank = (is_event, row.attempt.map(|(_, number)| number), place.origin.offset);
            let same = line.place.is_some_and(|own| own.same_line(&place));
            if !same {
                rebuild.line(&line)?;
                line.repeats = 0;
            } else if line.rank.0 == is_event {
                line.repeats += 1;
            }
            if !same || rank > line.rank {
                line.place = Some(place);
                line.line_end = Some(row.line_end);
                line.rank = rank;
                cursor
                    .rows
                    .body(cursor.at, &mut line.body)
                    .map_err(|source| damaged(&cursor.live, source))?;
            }
            self.step(next)?;
        }
        rebuild.line(&line)
    }

    /// Leaves the row of cursor `at` behind.
    fn step(&mut self, at: usize) -> Result<(), CatError> {
        let cursor = &mut self.cursors[at];
        cursor.at += 1;
        if cursor.at == cursor.rows.len() && !cursor.advance()? {
            self.cursors.swap_remove(at);
        }
        Ok(())
    }

    /// The cursor whose row is next, with every extent opened that could come before it.
    fn lowest(&mut self) -> Result<Option<usize>, CatError> {
        loop {
            let place = |at: &usize| self.cursors[*at].rows.key(self.cursors[*at].at).place;
            let lowest = (0..self.cursors.len()).min_by_key(place);
            let due = match (&lowest, self.waiting.last()) {
                (_, None) => return Ok(lowest),
                (None, Some(_)) => true,
                (Some(own), Some(extent)) => extent.first <= place(own),
            };
            if !due {
                return Ok(lowest);
            }
            if let Some(extent) = self.waiting.pop() {
                self.cursors.extend(Cursor::open(self.archive.store, extent)?);
            }
        }
    }
}

impl Cursor {
    fn open(store: &Store, extent: Extent) -> Result<Option<Cursor>, CatError> {
        let Extent { live, group, rows, .. } = extent;
        let first = || -> Result<_, TableError> {
            let mut lines = open(store, &live)?.lines(group, rows, true)?;
            let rows = lines.next().transpose()?;
            Ok(rows.map(|rows| (lines, rows)))
        };
        let first = first().map_err(|source| damaged(&live, source))?;
        Ok(first.map(|(lines, rows)| Cursor { live, lines, rows, at: 0 }))
    }

    /// Goes to the next batch; false at the end.
    fn advance(&mut self) -> Result<bool, CatError> {
        let next = self.lines.next().transpose().map_err(|source| damaged(&self.live, source))?;
        let Some(rows) = next else { return Ok(false) };
        (self.rows, self.at) = (rows, 0);
        Ok(true)
    }
}
