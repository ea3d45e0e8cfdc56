//! The columns that only one of the two tables has.

use std::borrow::Cow;

use arrow_array::ArrayRef;
use arrow_array::builder::{ListBuilder, StringBuilder, TimestampMicrosecondBuilder};
use millrace_schemas::dead::DeadLetter;
use millrace_schemas::manifest::TableName;
use millrace_schemas::{Event, Value};

use super::cells::{Dictionary, ROWS, TextMap, array, text, text_map};
use super::raw_cells::RawCells;
use super::template::{MESSAGE, SEVERITY, Templates, USER};
use super::{TableError, schema};

/// The columns of one table in the making.
pub(super) enum FoundCells {
    /// What the parser found.
    Events(Box<Parsed>),
    /// Why it did not.
    Dead(Box<Dead>),
}

pub(super) struct Parsed {
    time: TimestampMicrosecondBuilder,
    time_text: StringBuilder,
    severity: Dictionary,
    user: StringBuilder,
    message: StringBuilder,
    body_template: Dictionary,
    fields: TextMap,
    field_types: Dictionary,
    flags: ListBuilder<StringBuilder>,
    types: String,
    templates: Templates,
}

pub(super) struct Dead {
    stage: Dictionary,
    reason: Dictionary,
    detail: StringBuilder,
}

impl FoundCells {
    pub(super) fn new(table: TableName) -> FoundCells {
        match table {
            TableName::Events => FoundCells::Events(Box::new(Parsed::new())),
            TableName::Dead => FoundCells::Dead(Box::new(Dead::new())),
        }
    }

    /// The table, and all its columns in the order of the schema.
    pub(super) fn finish(self, rows: RawCells) -> Result<(TableName, Vec<ArrayRef>), TableError> {
        Ok(match self {
            FoundCells::Events(mut own) => {
                let found = vec![
                    array(own.time.finish()),
                    array(own.time_text.finish()),
                    own.severity.finish()?,
                    array(own.user.finish()),
                    array(own.message.finish()),
                    own.body_template.finish()?,
                ];
                let typed =
                    vec![array(own.fields.finish()), own.field_types.finish()?, array(own.flags.finish())];
                (TableName::Events, rows.finish(found, typed)?)
            }
            FoundCells::Dead(mut own) => {
                let why = vec![own.stage.finish()?, own.reason.finish()?, array(own.detail.finish())];
                (TableName::Dead, rows.finish(why, Vec::new())?)
            }
        })
    }
}

impl Parsed {
    fn new() -> Parsed {
        Parsed {
            time: TimestampMicrosecondBuilder::with_capacity(ROWS).with_data_type(schema::instant()),
            time_text: text(),
            severity: Dictionary::new(),
            user: text(),
            message: text(),
            body_template: Dictionary::new(),
            fields: text_map(),
            field_types: Dictionary::new(),
            flags: ListBuilder::with_capacity(text(), ROWS).with_field(schema::list_element()),
            types: String::new(),
            templates: Templates::default(),
        }
    }

    /// Adds a row; gives the bytes of its text, and whether the body is said by a template.
    pub(super) fn push(&mut self, event: &Event<'_>) -> Result<(usize, bool), TableError> {
        self.time.append_value(event.time);
        self.severity.append_option(event.severity.as_deref())?;
        self.user.append_option(event.user.as_deref());
        self.message.append_option(event.message.as_deref());
        self.types.clear();
        let mut texts: Vec<(&str, Cow<'_, str>)> = Vec::with_capacity(event.fields.0.len() + 3);
        let mut n_bytes = 0;
        for (name, value) in &event.fields.0 {
            let (letter, text) = shown(value);
            self.types.push(letter);
            self.fields.keys().append_value(name);
            self.fields.values().append_value(&text);
            n_bytes += name.len() + text.len() + 8;
            texts.push((name, text));
        }
        self.fields.append(true)?;
        self.field_types.append_value(&self.types)?;
        for flag in &event.flags {
            self.flags.values().append_value(flag);
        }
        self.flags.append(true);
        let columns = [(MESSAGE, &event.message), (USER, &event.user), (SEVERITY, &event.severity)];
        for (name, text) in columns {
            if let Some(text) = text {
                n_bytes += text.len();
                texts.push((name, Cow::Borrowed(text)));
            }
        }
        let body = std::str::from_utf8(event.body).ok();
        let made = body.and_then(|body| Some((body, self.templates.of(body, &texts)?)));
        self.body_template.append_option(made.as_ref().map(|(_, made)| made.template))?;
        let time = made.as_ref().and_then(|(body, made)| body.get(made.time.clone()?));
        self.time_text.append_option(time);
        Ok((n_bytes + time.map_or(0, str::len), made.is_some()))
    }
}

/// A value's letter in `field_types` and its text; `{:?}` of a double reads back as the same double.
fn shown<'v>(value: &'v Value<'_>) -> (char, Cow<'v, str>) {
    match value {
        Value::String(own) => ('s', Cow::Borrowed(own)),
        Value::Boolean(own) => ('b', Cow::Borrowed(if *own { "true" } else { "false" })),
        Value::Long(own) => ('l', Cow::Owned(own.to_string())),
        Value::Double(own) => ('d', Cow::Owned(format!("{own:?}"))),
    }
}

impl Dead {
    fn new() -> Dead {
        Dead { stage: Dictionary::new(), reason: Dictionary::new(), detail: text() }
    }

    /// Adds a row; gives the bytes of its text.
    pub(super) fn push(&mut self, letter: &DeadLetter) -> Result<usize, TableError> {
        self.stage.append_value(&letter.stage)?;
        self.reason.append_value(&letter.reason)?;
        self.detail.append_value(&letter.detail);
        Ok(letter.detail.len())
    }
}
