//! Finds rows by a range of the dictionary of terms: prefixes, wildcards, ranges, and "has the field".

use std::ops::Bound;

use tantivy::index::SegmentReader;
use tantivy::query::{BitSetDocSet, ConstScorer, EnableScoring, Explanation, Query, Scorer, Weight};
use tantivy::schema::{Field, IndexRecordOption, Type};
use tantivy::{BitSet, DocId, DocSet, Score, TantivyError, u64_to_f64, u64_to_i64};

use super::pattern::Pattern;

/// Rows with a term in one of `ranges`.
#[derive(Debug, Clone)]
pub(super) struct TermScan {
    pub(super) field: Field,
    pub(super) ranges: Vec<TermRange>,
}

/// Terms between two keys of the dictionary; keys are the bytes behind a term's first byte, its type.
#[derive(Debug, Clone)]
pub(super) struct TermRange {
    pub(super) low: Bound<Vec<u8>>,
    pub(super) high: Bound<Vec<u8>>,
    /// What the terms must match besides.
    pub(super) filter: Option<Filter>,
}

/// A pattern over the text of a value.
#[derive(Debug, Clone)]
pub(super) struct Filter {
    pub(super) pattern: Pattern,
    /// Bytes of the key before the value.
    pub(super) skip: usize,
    /// What the value is.
    pub(super) kind: Type,
}

impl TermRange {
    /// All keys that begin with `prefix`.
    pub(super) fn prefixed(prefix: Vec<u8>, filter: Option<Filter>) -> TermRange {
        let mut end = prefix.clone();
        while end.last() == Some(&u8::MAX) {
            end.pop();
        }
        let high = match end.last_mut() {
            Some(last) => {
                *last += 1;
                Bound::Excluded(end)
            }
            None => Bound::Unbounded,
        };
        TermRange { low: Bound::Included(prefix), high, filter }
    }
}

impl Filter {
    fn admits(&self, key: &[u8]) -> bool {
        let Some(value) = key.get(self.skip..) else {
            return false;
        };
        let number = || value.first_chunk::<8>().map(|bytes| u64::from_be_bytes(*bytes));
        match self.kind {
            Type::I64 => number().is_some_and(|code| self.pattern.matches(&u64_to_i64(code).to_string())),
            Type::U64 => number().is_some_and(|code| self.pattern.matches(&code.to_string())),
            Type::F64 => number().is_some_and(|code| self.pattern.matches(&u64_to_f64(code).to_string())),
            Type::Bool => {
                number().is_some_and(|code| self.pattern.matches(if code == 0 { "false" } else { "true" }))
            }
            _ => std::str::from_utf8(value).is_ok_and(|text| self.pattern.matches(text)),
        }
    }
}

impl Query for TermScan {
    fn weight(&self, _scoring: EnableScoring<'_>) -> tantivy::Result<Box<dyn Weight>> {
        Ok(Box::new(self.clone()))
    }
}

impl Weight for TermScan {
    fn scorer(&self, reader: &SegmentReader, boost: Score) -> tantivy::Result<Box<dyn Scorer>> {
        let index = reader.inverted_index(self.field)?;
        let mut rows = BitSet::with_max_value(reader.max_doc());
        for range in &self.ranges {
            let stream = index.terms().range();
            let stream = match &range.low {
                Bound::Included(key) => stream.ge(key),
                Bound::Excluded(key) => stream.gt(key),
                Bound::Unbounded => stream,
            };
            let stream = match &range.high {
                Bound::Included(key) => stream.le(key),
                Bound::Excluded(key) => stream.lt(key),
                Bound::Unbounded => stream,
            };
            let mut terms = stream.into_stream()?;
            while terms.advance() {
                if range.filter.as_ref().is_some_and(|filter| !filter.admits(terms.key())) {
                    continue;
                }
                let mut postings =
                    index.read_block_postings_from_terminfo(terms.value(), IndexRecordOption::Basic)?;
                while !postings.docs().is_empty() {
                    for row in postings.docs() {
                        rows.insert(*row);
                    }
                    postings.advance();
                }
            }
        }
        Ok(Box::new(ConstScorer::new(BitSetDocSet::from(rows), boost)))
    }

    fn explain(&self, reader: &SegmentReader, row: DocId) -> tantivy::Result<Explanation> {
        if self.scorer(reader, 1.0)?.seek(row) == row {
            return Ok(Explanation::new("TermScan", 1.0));
        }
        Err(TantivyError::InvalidArgument(format!("row {row} does not match")))
    }
}
