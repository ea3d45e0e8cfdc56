//! Leaves the lines of attempts that were replaced out of what a query finds.

use millrace_formats::split::Split;
use tantivy::Term;
use tantivy::query::{BooleanQuery, Occur, Query, TermQuery};
use tantivy::schema::IndexRecordOption;

/// `query` without the lines of the attempts in `ids`. A split that has none of them is searched as if there were none.
pub(super) fn exclude(
    query: Box<dyn Query>,
    split: &Split,
    ids: &[String],
) -> tantivy::Result<Box<dyn Query>> {
    let field = split.columns().attempt;
    let index = split.segment().inverted_index(field)?;
    if ids.is_empty() || index.terms().num_terms() == 0 {
        return Ok(query);
    }
    let mut clauses: Vec<(Occur, Box<dyn Query>)> = Vec::new();
    for id in ids {
        if index.terms().term_ord(id.as_bytes())?.is_some() {
            let term = TermQuery::new(Term::from_field_text(field, id), IndexRecordOption::Basic);
            clauses.push((Occur::MustNot, Box::new(term)));
        }
    }
    if clauses.is_empty() {
        return Ok(query);
    }
    clauses.push((Occur::Must, query));
    Ok(Box::new(BooleanQuery::new(clauses)))
}
