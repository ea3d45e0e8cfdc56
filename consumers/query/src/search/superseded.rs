//! Leaves the lines of attempts that were replaced out of what a query finds.

use millrace_formats::split::Split;
use tantivy::Term;
use tantivy::query::{BooleanQuery, Occur, Query, TermQuery};
use tantivy::schema::IndexRecordOption;

/// Those of the attempts in `ids` of which the split has lines.
pub(super) fn within(split: &Split, ids: &[String]) -> tantivy::Result<Vec<Term>> {
    let field = split.columns().attempt;
    let index = split.segment().inverted_index(field)?;
    let mut found = Vec::new();
    if index.terms().num_terms() > 0 {
        for id in ids {
            if index.terms().term_ord(id.as_bytes())?.is_some() {
                found.push(Term::from_field_text(field, id));
            }
        }
    }
    Ok(found)
}

/// `query` without the lines of `attempts`.
pub(super) fn exclude(query: Box<dyn Query>, attempts: Vec<Term>) -> Box<dyn Query> {
    if attempts.is_empty() {
        return query;
    }
    let out = |term| -> (Occur, Box<dyn Query>) {
        (Occur::MustNot, Box::new(TermQuery::new(term, IndexRecordOption::Basic)))
    };
    Box::new(BooleanQuery::new(attempts.into_iter().map(out).chain([(Occur::Must, query)]).collect()))
}
