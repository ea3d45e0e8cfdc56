//! Dead letters whose line was repaired since: the index holds a mark for each among the dead of the same day, and neither
//! of the two is found.

use std::collections::HashSet;

use millrace_formats::split::{Columns, Split};
use millrace_schemas::dead::REDRIVEN;
use millrace_schemas::manifest::{LivePart, TableName};
use tantivy::columnar::ColumnValues;
use tantivy::schema::IndexRecordOption;
use tantivy::{DocId, DocSet, SegmentReader, TERMINATED, Term};

use std::sync::Arc;

use super::SearchError;
use super::cache::{SplitCache, internal};

/// Identity of a line: generation, partition, offset.
type Identity = (i32, i32, i64);

/// The lines that were repaired. As many as were marked in the splits looked at, 30 bytes each (I10).
#[derive(Debug, Default)]
pub(super) struct Redriven(HashSet<Identity>);

impl Redriven {
    /// Reads the marks in the splits of dead letters among `parts`. A mark has time, host and tenant of its letter, so no
    /// plan takes the letter's split and leaves out the mark's.
    pub(super) fn gather(cache: &SplitCache, parts: &[LivePart]) -> Result<Redriven, SearchError> {
        let mut all = HashSet::new();
        for live in parts.iter().filter(|live| live.part.table == TableName::Dead) {
            let open = cache.open(live)?;
            read_marks(&open.split, &mut all).map_err(|error| internal("read marks", error.to_string()))?;
        }
        Ok(Redriven(all))
    }

    /// What of a split of `table` is not to be found; `None`: all is.
    pub(super) fn within(&self, split: &Split, table: TableName) -> tantivy::Result<Option<Hidden<'_>>> {
        if table != TableName::Dead || self.0.is_empty() {
            return Ok(None);
        }
        Ok(Some(Hidden { all: &self.0, rows: Identities::of(split.segment())? }))
    }
}

fn read_marks(split: &Split, all: &mut HashSet<Identity>) -> tantivy::Result<()> {
    let columns: &Columns = split.columns();
    let index = split.segment().inverted_index(columns.reason)?;
    let term = Term::from_field_text(columns.reason, REDRIVEN);
    let Some(mut marks) = index.read_postings(&term, IndexRecordOption::Basic)? else { return Ok(()) };
    let rows = Identities::of(split.segment())?;
    while marks.doc() != TERMINATED {
        all.insert(rows.at(marks.doc()));
        marks.advance();
    }
    Ok(())
}

/// The rows of a split that are not to be found.
pub(super) struct Hidden<'r> {
    all: &'r HashSet<Identity>,
    rows: Identities,
}

impl Hidden<'_> {
    pub(super) fn has(&self, row: DocId) -> bool {
        self.all.contains(&self.rows.at(row))
    }
}

struct Identities([Arc<dyn ColumnValues<i64>>; 3]);

impl Identities {
    fn of(segment: &SegmentReader) -> tantivy::Result<Identities> {
        let column =
            |name| Ok::<_, tantivy::TantivyError>(segment.fast_fields().i64(name)?.first_or_default_col(0));
        Ok(Identities([column("generation")?, column("partition")?, column("offset")?]))
    }

    fn at(&self, row: DocId) -> Identity {
        let [generation, partition, offset] = [0, 1, 2].map(|at: usize| self.0[at].get_val(row));
        (generation as i32, partition as i32, offset)
    }
}
