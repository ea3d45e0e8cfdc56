//! A file that came by `POST /store/batch`, rebuilt in the order of its lines' numbers (`GET /store/log`).
//!
//! Read from the index, which has a line within seconds. Of several lines with one number the last that was written
//! counts. Memory is bounded by the bytes of an answer (I10).

use std::collections::BTreeMap;

use millrace_formats::split::Stored;
use millrace_schemas::manifest::Fold;

use crate::search::language::{Condition, Query, Test};
use crate::search::{Plan, SearchError, SplitCache, each_row, plan_all};

/// Largest answer.
const MAX_BYTES: usize = 32 << 20;

/// Which lines of which file.
#[derive(Debug, Clone)]
pub struct StoreLog {
    /// Whose.
    pub tenant: String,
    /// Host that the lines name.
    pub host: String,
    /// File that they name.
    pub file: String,
    /// From this number on.
    pub from: i64,
    /// Before this one.
    pub to: i64,
}

/// What became of it.
#[derive(Debug, PartialEq, Eq)]
pub enum Rebuilt {
    /// The lines, each with a line feed.
    Lines(Vec<u8>),
    /// There are none.
    NotFound,
    /// The lines before this number are as many as are given at once.
    TooLarge(i64),
}

impl StoreLog {
    /// Picks the splits that may hold lines of it.
    ///
    /// # Errors
    /// A bug.
    pub fn plan(&self, fold: &Fold) -> Result<Plan, SearchError> {
        let is = |(field, text): (&str, &str)| {
            let (field, test) = (Some(field.to_owned()), Test::Phrase(text.to_owned()));
            Query::Is(Condition { field, test, position: 0 })
        };
        let named = [("stream", "store"), ("host", &self.host), ("file", &self.file)];
        plan_all(fold, &self.tenant, Query::And(named.map(is).into()))
    }

    /// Runs what was planned.
    ///
    /// # Errors
    /// Those of a search.
    pub fn rebuild(&self, cache: &SplitCache, plan: &Plan) -> Result<Rebuilt, SearchError> {
        let scope = format!("store/{}\n{}", self.host, self.file);
        let mut lines = Lines { from: self.from, to: self.to, most: MAX_BYTES, ..Lines::default() };
        each_row(cache, plan, |stored| {
            let (dedup, body, rank) = match stored {
                Stored::Event(event) => (event.dedup, event.body, (event.origin.offset, true)),
                Stored::Dead(letter, raw) => (raw.dedup, raw.body, (letter.offset, false)),
            };
            if let Some(dedup) = dedup.filter(|dedup| dedup.scope == scope) {
                lines.add(dedup.index, rank, body);
            }
        })?;
        Ok(lines.finish(self.to))
    }
}

/// Lines by their numbers. Those of one file lie in one partition, so the higher offset is the later line; a line that is a
/// dead letter and, later, an event is one.
#[derive(Debug, Default)]
struct Lines {
    from: i64,
    to: i64,
    most: usize,
    n_bytes: usize,
    found: bool,
    by_number: BTreeMap<i64, ((i64, bool), Vec<u8>)>,
}

impl Lines {
    fn add(&mut self, number: i64, rank: (i64, bool), body: &[u8]) {
        self.found = true;
        if !(self.from..self.to).contains(&number) {
            return;
        }
        match self.by_number.get_mut(&number) {
            Some((last, _)) if *last >= rank => return,
            Some((last, own)) => {
                self.n_bytes = self.n_bytes + body.len() - own.len();
                (*last, *own) = (rank, body.to_vec());
            }
            None => {
                self.n_bytes += body.len() + 1;
                self.by_number.insert(number, (rank, body.to_vec()));
            }
        }
        // The first lines are kept: the rest can be asked for.
        while self.n_bytes > self.most
            && self.by_number.len() > 1
            && let Some((number, (_, body))) = self.by_number.pop_last()
        {
            self.n_bytes -= body.len() + 1;
            self.to = number;
        }
    }

    fn finish(self, wanted: i64) -> Rebuilt {
        if !self.found {
            return Rebuilt::NotFound;
        }
        if self.to < wanted {
            return Rebuilt::TooLarge(self.to);
        }
        let mut text = Vec::with_capacity(self.n_bytes);
        for (_, body) in self.by_number.into_values() {
            text.extend_from_slice(&body);
            text.push(b'\n');
        }
        Rebuilt::Lines(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rebuilt(from: i64, to: i64, most: usize, lines: &[(i64, i64, &str)]) -> Rebuilt {
        let mut own = Lines { from, to, most, ..Lines::default() };
        for (number, offset, body) in lines {
            own.add(*number, (*offset, true), body.as_bytes());
        }
        own.finish(to)
    }

    fn text(text: &str) -> Rebuilt {
        Rebuilt::Lines(text.as_bytes().to_vec())
    }

    #[test]
    fn lines_stand_in_order_and_the_last_written_counts() {
        let lines = [(3, 7, "c"), (1, 5, "a"), (2, 9, "B"), (2, 6, "b")];
        assert_eq!(rebuilt(0, 9, 99, &lines), text("a\nB\nc\n"));
        assert_eq!(rebuilt(2, 3, 99, &lines), text("B\n"));
        assert_eq!(rebuilt(4, 9, 99, &lines), text(""));
        assert_eq!(rebuilt(0, 9, 99, &[]), Rebuilt::NotFound);
        let mut own = Lines { to: 9, most: 9, ..Lines::default() };
        own.add(1, (5, true), b"event");
        own.add(1, (5, false), b"the same, when it was dead");
        assert_eq!(own.finish(9), text("event\n"));
    }

    #[test]
    fn what_is_too_large_is_given_in_parts() {
        let lines = [(1, 1, "aa"), (2, 2, "bb"), (3, 3, "cc"), (4, 4, "a long one")];
        assert_eq!(rebuilt(0, 9, 6, &lines), Rebuilt::TooLarge(3));
        assert_eq!(rebuilt(0, 3, 6, &lines), text("aa\nbb\n"));
        assert_eq!(rebuilt(3, 9, 6, &lines), Rebuilt::TooLarge(4));
        assert_eq!(rebuilt(4, 9, 6, &lines), text("a long one\n"), "one line is always given");
    }
}
