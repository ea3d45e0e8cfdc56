//! The types that a source states of its fields: one field has one type, whichever step gives it.

use std::collections::BTreeMap;

use super::cast::Cast;
use super::reader::Reader;
use super::step::Step;

/// Adds what `steps` say of fields that have no type yet: casts, and captures of grok with a type. A field that two of them
/// give different types has that of the first.
pub(super) fn stated(steps: &[Step], types: &mut BTreeMap<String, Cast>) {
    for step in steps {
        match step {
            Step::Cast(pairs) => {
                for (field, cast) in pairs {
                    types.entry(field.clone()).or_insert(*cast);
                }
            }
            Step::Read { reader: Reader::Grok { groks, .. }, prefix, .. } => {
                for (field, kind) in groks.iter().flat_map(|grok| grok.types()) {
                    if let Some(cast) = Cast::named(kind) {
                        types.entry(format!("{prefix}{field}")).or_insert(cast);
                    }
                }
            }
            Step::FirstOf { branches, .. } => branches.iter().for_each(|branch| stated(branch, types)),
            Step::When { then, otherwise, .. } => {
                stated(then, types);
                stated(otherwise, types);
            }
            Step::Read { .. }
            | Step::Timestamp { .. }
            | Step::Severity { .. }
            | Step::Lift { .. }
            | Step::Rename(_)
            | Step::Drop(_)
            | Step::Add(_)
            | Step::StripAnsi => {}
        }
    }
}
