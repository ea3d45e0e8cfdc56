//! [`Query`] → what tantivy runs, for one table.

use std::ops::Bound;

use millrace_formats::split::{Columns, words};
use millrace_schemas::manifest::TableName;
use tantivy::Term;
use tantivy::query::{
    AllQuery, BooleanQuery, EmptyQuery, Occur, PhraseQuery, Query as Runs, RangeQuery, RegexPhraseQuery,
    TermQuery,
};
use tantivy::schema::{Field, IndexRecordOption};

use super::language::{Condition, Query, QueryError, Test};
use super::pattern::{Pattern, Piece};
use super::scan::{Filter, TermRange, TermScan};
use super::{time, values};

/// Most words of a split that the wildcards of one phrase may stand for: more would take too much memory (I10).
const MAX_EXPANSIONS: u32 = 1 << 16;

/// What a name in a query stands for.
enum Target {
    /// The words of the line.
    Line,
    /// A column of whole texts; `true`: in lower case.
    Text(Field, bool),
    /// A column of times.
    Time(Field),
    /// A column of numbers.
    Number(Field),
    /// Which table the row is in.
    Table,
    /// A field of the row.
    Field(String),
}

/// Turns queries into what runs on the splits of `table`.
pub(super) struct Compiler<'c> {
    pub(super) columns: &'c Columns,
    pub(super) table: TableName,
}

impl Compiler<'_> {
    /// Compiles; the time range comes apart.
    pub(super) fn compile(&self, query: &Query) -> Result<Box<dyn Runs>, QueryError> {
        Ok(match query {
            Query::All => Box::new(AllQuery),
            Query::Or(any) => {
                let any: Result<Vec<_>, _> = any.iter().map(|query| self.compile(query)).collect();
                Box::new(BooleanQuery::union(any?))
            }
            Query::Not(_) => self.all_of(std::slice::from_ref(query))?,
            Query::And(all) => self.all_of(all)?,
            Query::Is(condition) => self.condition(condition)?,
        })
    }

    /// Rows with `from <= time < to`.
    pub(super) fn between(&self, from: i64, to: i64) -> Box<dyn Runs> {
        numbers(self.columns.time, Bound::Included(from), Bound::Excluded(to))
    }

    fn all_of(&self, all: &[Query]) -> Result<Box<dyn Runs>, QueryError> {
        let mut clauses = Vec::with_capacity(all.len() + 1);
        for query in all {
            clauses.push(match query {
                Query::Not(inner) => (Occur::MustNot, self.compile(inner)?),
                query => (Occur::Must, self.compile(query)?),
            });
        }
        if clauses.iter().all(|(occur, _)| *occur == Occur::MustNot) {
            clauses.push((Occur::Must, Box::new(AllQuery)));
        }
        Ok(Box::new(BooleanQuery::new(clauses)))
    }

    fn target(&self, name: Option<&str>) -> Target {
        let columns = self.columns;
        match name {
            None | Some("line" | "message" | "body") => Target::Line,
            Some("stream") => Target::Text(columns.stream, false),
            Some("host") => Target::Text(columns.host, false),
            Some("file") => Target::Text(columns.file, false),
            Some("severity") => Target::Text(columns.severity, true),
            Some("user") => Target::Text(columns.user, false),
            Some("parser") => Target::Text(columns.parser, false),
            Some("flag" | "flags") => Target::Text(columns.flags, false),
            Some("reason") => Target::Text(columns.reason, false),
            Some("time") => Target::Time(columns.time),
            Some("received") => Target::Time(columns.received),
            Some("generation") => Target::Number(columns.generation),
            Some("partition") => Target::Number(columns.partition),
            Some("offset") => Target::Number(columns.offset),
            Some("table") => Target::Table,
            Some(name) => Target::Field(name.strip_prefix("fields.").unwrap_or(name).to_owned()),
        }
    }

    fn condition(&self, condition: &Condition) -> Result<Box<dyn Runs>, QueryError> {
        let wrong = |message: String, help| QueryError { position: condition.position, message, help };
        let name = condition.field.as_deref().unwrap_or("line");
        match (self.target(condition.field.as_deref()), &condition.test) {
            (Target::Line, Test::Word(pattern)) if pattern.is_any() => Ok(Box::new(AllQuery)),
            (Target::Line, Test::Word(pattern)) => self.line(pattern).ok_or_else(|| wordless(condition)),
            (Target::Line, Test::Phrase(text)) => self.phrase(text).ok_or_else(|| wordless(condition)),
            (Target::Line, Test::Range(..)) => {
                let message = "a line has no order, so it takes no range".into();
                Err(wrong(message, "name the field, as in status:[500 TO 599]"))
            }
            (Target::Text(field, lower), test) => Ok(text_column(field, lower, test)),
            (Target::Field(name), test) => Ok(values::query(self.columns.fields, &name, test)),
            (Target::Time(field), test) => {
                let help = "write times as 2026-03-12, 2026-03-12T08:30:00Z or microseconds";
                let read = |text: &str| {
                    time::parse(text).ok_or_else(|| wrong(format!("{name}: {text:?} is no time"), help))
                };
                number_column(field, test, read, || wrong(format!("{name} takes no wildcards"), help))
            }
            (Target::Number(field), test) => {
                let help = "write a whole number";
                let read = |text: &str| {
                    text.parse::<i64>()
                        .map_err(|_| wrong(format!("{name}: {text:?} is no whole number"), help))
                };
                number_column(field, test, read, || wrong(format!("{name} takes no wildcards"), help))
            }
            (Target::Table, test) => {
                let help = "write table:events or table:dead";
                let matches = match test {
                    Test::Word(pattern) => pattern.matches(self.table.as_str()),
                    Test::Phrase(text) => text == self.table.as_str(),
                    Test::Range(..) => return Err(wrong("table takes no range".into(), help)),
                };
                Ok(if matches { Box::new(AllQuery) } else { Box::new(EmptyQuery) })
            }
        }
    }

    fn term(&self, word: &str) -> Term {
        Term::from_field_text(self.columns.line, word)
    }

    fn phrase(&self, text: &str) -> Option<Box<dyn Runs>> {
        let mut terms: Vec<(usize, Term)> =
            words(text).into_iter().map(|(at, word)| (at, self.term(&word))).collect();
        match terms.len() {
            0 => None,
            1 => Some(Box::new(TermQuery::new(terms.remove(0).1, IndexRecordOption::Basic))),
            _ => Some(Box::new(PhraseQuery::new_with_offset(terms))),
        }
    }

    /// A bare word. One that the line has as several (`web-01`) is their phrase; wildcards stay within a word.
    fn line(&self, pattern: &Pattern) -> Option<Box<dyn Runs>> {
        if let Some(text) = pattern.as_literal() {
            return self.phrase(&text);
        }
        let lower = pattern.to_lowercase();
        let parts = lower.0.split(|piece| matches!(piece, Piece::Char(char) if !char.is_alphanumeric()));
        let mut parts: Vec<&[Piece]> = parts.filter(|part| !part.is_empty()).collect();
        if parts.len() == 1 {
            return Some(scan_text(self.columns.line, Pattern(parts.remove(0).to_vec())));
        }
        let piece = |piece: &Piece| match piece {
            Piece::Char(char) => char.to_string(), // a letter or digit: nothing that a regex would take otherwise
            Piece::One => ".".to_owned(),
            Piece::Any => ".*".to_owned(),
        };
        let words: Vec<String> = parts.iter().map(|part| part.iter().map(piece).collect()).collect();
        if words.is_empty() {
            return None;
        }
        let mut query = RegexPhraseQuery::new(self.columns.line, words);
        query.set_max_expansions(MAX_EXPANSIONS);
        Some(Box::new(query))
    }
}

fn wordless(condition: &Condition) -> QueryError {
    QueryError {
        position: condition.position,
        message: "there is no letter or digit to search for".into(),
        help: "only letters and digits are words of a line; name a field for anything else",
    }
}

/// Key of a whole text in the dictionary of its column.
fn key(text: &str) -> Vec<u8> {
    text.as_bytes().to_vec()
}

fn scan_text(field: Field, pattern: Pattern) -> Box<dyn Runs> {
    let prefix = key(&pattern.prefix());
    let kind = tantivy::schema::Type::Str;
    let filter = (!pattern.is_prefix()).then_some(Filter { pattern, skip: 0, kind });
    Box::new(TermScan { field, ranges: vec![TermRange::prefixed(prefix, filter)] })
}

fn text_column(field: Field, lower: bool, test: &Test) -> Box<dyn Runs> {
    let case = |text: &str| {
        if lower { text.to_lowercase() } else { text.to_owned() }
    };
    let exact = |text: &str| {
        let term = Term::from_field_text(field, &case(text));
        Box::new(TermQuery::new(term, IndexRecordOption::Basic))
    };
    match test {
        Test::Phrase(text) => exact(text),
        Test::Word(pattern) => match pattern.as_literal() {
            Some(text) => exact(&text),
            None if lower => scan_text(field, pattern.to_lowercase()),
            None => scan_text(field, pattern.clone()),
        },
        Test::Range(low, high) => {
            let end = |end: &Bound<String>| end.as_ref().map(|text| key(&case(text)));
            Box::new(TermScan {
                field,
                ranges: vec![TermRange { low: end(low), high: end(high), filter: None }],
            })
        }
    }
}

fn numbers(field: Field, low: Bound<i64>, high: Bound<i64>) -> Box<dyn Runs> {
    let term = |number: i64| Term::from_field_i64(field, number);
    if matches!((&low, &high), (Bound::Unbounded, Bound::Unbounded)) {
        return Box::new(AllQuery);
    }
    Box::new(RangeQuery::new(low.map(term), high.map(term)))
}

fn number_column(
    field: Field,
    test: &Test,
    read: impl Fn(&str) -> Result<i64, QueryError>,
    wildcard: impl Fn() -> QueryError,
) -> Result<Box<dyn Runs>, QueryError> {
    let end = |end: &Bound<String>| {
        Ok(match end {
            Bound::Included(text) => Bound::Included(read(text)?),
            Bound::Excluded(text) => Bound::Excluded(read(text)?),
            Bound::Unbounded => Bound::Unbounded,
        })
    };
    let exact = |text: &str| {
        let number = read(text)?;
        Ok(numbers(field, Bound::Included(number), Bound::Included(number)))
    };
    match test {
        Test::Word(pattern) if pattern.is_any() => Ok(Box::new(AllQuery)),
        Test::Word(pattern) => exact(&pattern.as_literal().ok_or_else(wildcard)?),
        Test::Phrase(text) => exact(text),
        Test::Range(low, high) => Ok(numbers(field, end(low)?, end(high)?)),
    }
}
