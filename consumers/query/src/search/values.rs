//! Conditions on the fields of a row, whose values are texts, numbers and booleans.
//!
//! `status:500` finds the number and the text; patterns match what a value looks like when it is shown.

use std::ops::Bound;

use millrace_formats::split::{field_path, indexable_name};
use tantivy::Term;
use tantivy::query::{BooleanQuery, EmptyQuery, Query as Runs, TermQuery};
use tantivy::schema::{Field, IndexRecordOption, Type};

use super::language::Test;
use super::pattern::{Pattern, Piece};
use super::scan::{Filter, TermRange, TermScan};

/// A number as a query writes it, as tantivy keeps it: whole if it can be.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Number {
    Whole(i64),
    Broken(f64),
}

impl Number {
    fn read(text: &str) -> Option<Number> {
        if let Ok(whole) = text.parse() {
            return Some(Number::Whole(whole));
        }
        let number: f64 = text.parse().ok().filter(|number: &f64| number.is_finite())?;
        // Exactly the whole numbers that an i64 holds.
        let fits = number.fract() == 0.0
            && (-9_223_372_036_854_775_808.0..9_223_372_036_854_775_808.0).contains(&number);
        Some(if fits { Number::Whole(number as i64) } else { Number::Broken(number) })
    }

    fn as_f64(self) -> f64 {
        match self {
            Number::Whole(number) => number as f64,
            Number::Broken(number) => number,
        }
    }
}

/// Rows whose field `name` passes `test`.
pub(super) fn query(field: Field, name: &str, test: &Test) -> Box<dyn Runs> {
    if !indexable_name(name) {
        return Box::new(EmptyQuery);
    }
    let path = Path { field, term: Term::from_field_json_path(field, &field_path(name), true) };
    match test {
        Test::Word(pattern) if pattern.is_any() => path.scan(vec![TermRange::prefixed(path.key(), None)]),
        Test::Word(pattern) => match pattern.as_literal() {
            Some(text) => path.equal(&text),
            None => path.matching(pattern),
        },
        Test::Phrase(text) => path.equal(text),
        Test::Range(low, high) => path.between(low, high),
    }
}

struct Path {
    field: Field,
    term: Term,
}

impl Path {
    /// Key of the dictionary up to the end of the path.
    fn key(&self) -> Vec<u8> {
        self.term.serialized_value_bytes().to_vec()
    }

    fn key_of(&self, append: impl Fn(&mut Term)) -> Vec<u8> {
        let mut term = self.term.clone();
        append(&mut term);
        term.serialized_value_bytes().to_vec()
    }

    fn scan(&self, ranges: Vec<TermRange>) -> Box<dyn Runs> {
        Box::new(TermScan { field: self.field, ranges })
    }

    fn equal(&self, text: &str) -> Box<dyn Runs> {
        let exact = |append: &dyn Fn(&mut Term)| -> Box<dyn Runs> {
            let mut term = self.term.clone();
            append(&mut term);
            Box::new(TermQuery::new(term, IndexRecordOption::Basic))
        };
        let mut any = vec![exact(&|term| term.append_type_and_str(text))];
        match Number::read(text) {
            Some(Number::Whole(number)) => any.push(exact(&|term| term.append_type_and_fast_value(number))),
            Some(Number::Broken(number)) => any.push(exact(&|term| term.append_type_and_fast_value(number))),
            None => {}
        }
        if let Ok(truth) = text.parse::<bool>() {
            any.push(exact(&|term| term.append_type_and_fast_value(truth)));
        }
        if any.len() == 1 { any.remove(0) } else { Box::new(BooleanQuery::union(any)) }
    }

    fn matching(&self, pattern: &Pattern) -> Box<dyn Runs> {
        let texts = self.key_of(|term| term.append_type_and_str(""));
        let filter = |kind: Type| Some(Filter { pattern: pattern.clone(), skip: texts.len(), kind });
        let mut prefix = texts.clone();
        prefix.extend_from_slice(pattern.prefix().as_bytes());
        let text_filter = if pattern.is_prefix() { None } else { filter(Type::Str) };
        let mut ranges = vec![TermRange::prefixed(prefix, text_filter)];
        let may_be_other = match pattern.0.first() {
            Some(Piece::Char(char)) => matches!(char, '0'..='9' | '-' | 't' | 'f'),
            _ => true,
        };
        if may_be_other {
            for kind in [Type::I64, Type::U64, Type::F64, Type::Bool] {
                let mut key = self.key();
                key.push(kind.to_code());
                ranges.push(TermRange::prefixed(key, filter(kind)));
            }
        }
        self.scan(ranges)
    }

    fn between(&self, low: &Bound<String>, high: &Bound<String>) -> Box<dyn Runs> {
        let number = |end: &Bound<String>| match end {
            Bound::Unbounded => Some(Bound::Unbounded),
            Bound::Included(text) => Number::read(text).map(Bound::Included),
            Bound::Excluded(text) => Number::read(text).map(Bound::Excluded),
        };
        if matches!((low, high), (Bound::Unbounded, Bound::Unbounded)) {
            return self.scan(vec![TermRange::prefixed(self.key(), None)]);
        }
        match (number(low), number(high)) {
            (Some(low), Some(high)) => self.numbers_between(low, high),
            _ => self.texts_between(low, high),
        }
    }

    fn texts_between(&self, low: &Bound<String>, high: &Bound<String>) -> Box<dyn Runs> {
        let all = TermRange::prefixed(self.key_of(|term| term.append_type_and_str("")), None);
        let end = |end: &Bound<String>, none: Bound<Vec<u8>>| match end {
            Bound::Unbounded => none,
            end => end.as_ref().map(|text| self.key_of(|term| term.append_type_and_str(text))),
        };
        self.scan(vec![TermRange { low: end(low, all.low), high: end(high, all.high), filter: None }])
    }

    /// Whole and broken numbers lie apart in the dictionary; wholes beyond an `i64` apart again.
    fn numbers_between(&self, low: Bound<Number>, high: Bound<Number>) -> Box<dyn Runs> {
        let mut ranges = Vec::new();
        let lowest = match low {
            Bound::Unbounded => Some(i64::MIN),
            Bound::Included(Number::Whole(number)) => Some(number),
            Bound::Excluded(Number::Whole(number)) => number.checked_add(1),
            Bound::Included(Number::Broken(number)) | Bound::Excluded(Number::Broken(number)) => {
                whole(number.ceil(), false)
            }
        };
        let highest = match high {
            Bound::Unbounded => Some(i64::MAX),
            Bound::Included(Number::Whole(number)) => Some(number),
            Bound::Excluded(Number::Whole(number)) => number.checked_sub(1),
            Bound::Included(Number::Broken(number)) | Bound::Excluded(Number::Broken(number)) => {
                whole(number.floor(), true)
            }
        };
        if let (Some(lowest), Some(highest)) = (lowest, highest)
            && lowest <= highest
        {
            let end =
                |number: i64| Bound::Included(self.key_of(|term| term.append_type_and_fast_value(number)));
            ranges.push(TermRange { low: end(lowest), high: end(highest), filter: None });
        }
        let float = |number: Number| self.key_of(|term| term.append_type_and_fast_value(number.as_f64()));
        let floats = self.kind(Type::F64);
        ranges.push(TermRange {
            low: or(low.map(float), floats.low),
            high: or(high.map(float), floats.high),
            filter: None,
        });
        // A whole number that only a u64 holds came from a double, so a double is exact enough for the ends.
        let large = |number: Number| {
            self.key_of(|term| term.append_type_and_fast_value(number.as_f64().max(0.0) as u64))
        };
        let larges = self.kind(Type::U64);
        ranges.push(TermRange {
            low: or(low.map(large), larges.low),
            high: or(high.map(large), larges.high),
            filter: None,
        });
        self.scan(ranges)
    }

    fn kind(&self, kind: Type) -> TermRange {
        let mut key = self.key();
        key.push(kind.to_code());
        TermRange::prefixed(key, None)
    }
}

fn or(end: Bound<Vec<u8>>, none: Bound<Vec<u8>>) -> Bound<Vec<u8>> {
    if matches!(end, Bound::Unbounded) { none } else { end }
}

/// A whole double as an `i64`; beyond its ends the end itself where that keeps the range, else nothing.
fn whole(number: f64, upper: bool) -> Option<i64> {
    match (number < -9_223_372_036_854_775_808.0, number >= 9_223_372_036_854_775_808.0) {
        (true, _) => (!upper).then_some(i64::MIN),
        (_, true) => upper.then_some(i64::MAX),
        _ => Some(number as i64),
    }
}
