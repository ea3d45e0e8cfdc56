//! Fields that a line has several times.

use std::borrow::Cow;
use std::collections::BTreeMap;

use millrace_schemas::{Fields, Value};

use crate::parse::found::Places;

/// Fields as they come. One that comes again gets an array of all its values, as JSON text; a truth beside a value is nothing.
#[derive(Default)]
pub(super) struct Gather<'t> {
    fields: Fields<'t>,
    places: Places<'t>,
    /// All values of the fields that came again, by place.
    again: BTreeMap<usize, Vec<Cow<'t, str>>>,
}

impl<'t> Gather<'t> {
    pub(super) fn add(&mut self, name: Cow<'t, str>, value: Value<'t>) {
        let Some(at) = self.places.of(&name, &self.fields) else {
            return self.fields.push(name, value);
        };
        match (&mut self.fields.0[at].1, value) {
            (_, Value::Boolean(true)) => {}
            (Value::String(first), Value::String(next)) => {
                self.again.entry(at).or_insert_with(|| vec![std::mem::take(first)]).push(next);
            }
            (own, value) => *own = value,
        }
    }

    pub(super) fn finish(mut self) -> Fields<'t> {
        for (at, values) in self.again {
            let all: Vec<serde_json::Value> = values.iter().map(|own| own.as_ref().into()).collect();
            self.fields.0[at].1 = Value::String(Cow::Owned(serde_json::Value::from(all).to_string()));
        }
        self.fields
    }
}
