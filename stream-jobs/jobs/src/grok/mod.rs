//! Grok: patterns that are put together from named ones.
//!
//! `%{NAME}` stands for the pattern of that name, `%{NAME:field}` captures it, `%{NAME:field:type}` as a long, double or
//! boolean; `(?<field>…)` captures as well. A field is `name`, `a.b` or `[a][b]`, which are the same. What took no part
//! or is empty gives no field; what was captured more than once gives an array, as JSON text, in order.

mod ecs;
mod library;

#[cfg(test)]
mod tests;

use std::borrow::Cow;

use millrace_schemas::Value;

use crate::pattern::{Captures, Dialect, Pattern};

pub use library::{GrokError, Library};

/// A type that a pattern asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Type {
    Text,
    Long,
    Double,
    Boolean,
}

impl Type {
    fn named(name: &str) -> Option<Type> {
        Some(match name {
            "string" | "text" => Type::Text,
            "int" | "integer" | "long" => Type::Long,
            "float" | "double" => Type::Double,
            "bool" | "boolean" => Type::Boolean,
            _ => return None,
        })
    }

    /// The text as this type; a text that is none of it stays text.
    fn read(self, text: &str) -> Value<'_> {
        let trimmed = || text.trim();
        let read = match self {
            Type::Text => None,
            Type::Long => {
                let whole = |number: f64| (number.abs() < 9e18).then_some(Value::Long(number as i64));
                trimmed().parse().ok().map(Value::Long).or_else(|| trimmed().parse().ok().and_then(whole))
            }
            Type::Double => trimmed().parse().ok().map(Value::Double),
            Type::Boolean => match trimmed().to_ascii_lowercase().as_str() {
                "true" | "yes" | "1" => Some(Value::Boolean(true)),
                "false" | "no" | "0" => Some(Value::Boolean(false)),
                _ => None,
            },
        };
        read.unwrap_or(Value::String(Cow::Borrowed(text)))
    }
}

/// A field and the groups that capture it.
#[derive(Debug)]
struct Field {
    name: String,
    groups: Vec<(usize, Type)>,
}

/// A compiled expression.
#[derive(Debug)]
pub struct Grok {
    fields: Vec<Field>,
}

impl Grok {
    /// Compiles `expression` with the patterns of `library`; `ecs` gives fields the names of the Elastic Common Schema.
    ///
    /// # Errors
    /// A name that is not in the library, or what is wrong in the pattern.
    pub fn new(expression: &str, library: &Library, ecs: bool) -> Result<(Grok, Pattern), GrokError> {
        let expanded = library.expand(expression)?;
        let pattern = Pattern::with_named_groups(&expanded, Dialect::Oniguruma)
            .map_err(|error| GrokError::Pattern { expression: expression.to_owned(), error })?;
        let mut fields: Vec<Field> = Vec::new();
        for (group, captured) in (1..).zip(pattern.groups()) {
            let Some(captured) = captured else { continue };
            let (path, kind) = captured.split_once(':').unwrap_or((captured, "text"));
            let kind = Type::named(kind).ok_or_else(|| GrokError::Type {
                name: kind.to_owned(),
                expression: expression.to_owned(),
            })?;
            let (name, kind) = match ecs::name(path).filter(|_| ecs) {
                Some((name, own)) => (name.to_owned(), if kind == Type::Text { own } else { kind }),
                None => (dotted(path), kind),
            };
            match fields.iter_mut().find(|field| field.name == name) {
                Some(field) => field.groups.push((group, kind)),
                None => fields.push(Field { name, groups: vec![(group, kind)] }),
            }
        }
        Ok((Grok { fields }, pattern))
    }

    /// Names of the fields that it can give.
    pub fn names(&self) -> impl ExactSizeIterator<Item = &str> {
        self.fields.iter().map(|field| field.name.as_str())
    }

    /// Fields that an expression asks a type for, and its name. One that may be an array has none.
    pub fn types(&self) -> impl Iterator<Item = (&str, &'static str)> {
        self.fields.iter().filter_map(|field| match field.groups.as_slice() {
            [(_, Type::Long)] => Some((field.name.as_str(), "long")),
            [(_, Type::Double)] => Some((field.name.as_str(), "double")),
            [(_, Type::Boolean)] => Some((field.name.as_str(), "boolean")),
            _ => None,
        })
    }

    /// Whether several groups capture this field, so that it can be an array.
    pub fn is_repeated(&self, name: &str) -> bool {
        self.fields.iter().any(|field| field.name == name && field.groups.len() > 1)
    }

    /// Fields of a match in `text`.
    pub fn fields<'t>(
        &'t self,
        text: &'t str,
        captures: &Captures,
    ) -> impl Iterator<Item = (&'t str, Value<'t>)> {
        let mut all = Vec::new();
        self.give(text, captures, &mut all);
        all.into_iter()
    }

    /// Gives the fields of a match in `text` to `sink`.
    pub(crate) fn give<'t>(&'t self, text: &'t str, captures: &Captures, sink: &mut impl Sink<'t>) {
        let own = |group: usize| text.get(captures.span(group)?).filter(|own| !own.is_empty());
        for field in &self.fields {
            if let [(group, Type::Text)] = field.groups[..] {
                if let Some(own) = own(group) {
                    sink.text(&field.name, own);
                }
            } else if let Some(value) = field.value(&own) {
                sink.value(&field.name, value);
            }
        }
    }
}

/// What takes fields. Most of them are texts, which take less time than values of any type.
pub(crate) trait Sink<'t> {
    fn text(&mut self, name: &'t str, text: &'t str);
    fn value(&mut self, name: &'t str, value: Value<'t>);
}

impl<'t> Sink<'t> for Vec<(&'t str, Value<'t>)> {
    fn text(&mut self, name: &'t str, text: &'t str) {
        self.value(name, Value::String(Cow::Borrowed(text)));
    }

    fn value(&mut self, name: &'t str, value: Value<'t>) {
        self.push((name, value));
    }
}

impl Field {
    fn value<'t>(&self, own: &impl Fn(usize) -> Option<&'t str>) -> Option<Value<'t>> {
        let mut found = self.groups.iter().filter_map(|(group, kind)| Some(kind.read(own(*group)?)));
        let first = found.next()?;
        Some(match found.next() {
            None => first,
            Some(second) => array([first, second].into_iter().chain(found)),
        })
    }
}

fn array<'t>(values: impl Iterator<Item = Value<'t>>) -> Value<'t> {
    let json = |value: Value<'_>| match value {
        Value::String(text) => serde_json::Value::from(text.into_owned()),
        Value::Long(number) => number.into(),
        Value::Double(number) => number.into(),
        Value::Boolean(truth) => truth.into(),
    };
    let all: Vec<serde_json::Value> = values.map(json).collect();
    Value::String(Cow::Owned(serde_json::Value::from(all).to_string()))
}

/// `[a][b]` as `a.b`.
pub(crate) fn dotted(path: &str) -> String {
    if !path.contains(['[', ']']) {
        return path.to_owned();
    }
    let parts: Vec<&str> = path.split(['[', ']']).filter(|part| !part.is_empty()).collect();
    parts.join(".")
}
