//! Column builders with the types and the room that row files want.

use std::sync::Arc;

use arrow_array::builder::{MapBuilder, MapFieldNames, StringBuilder, StringDictionaryBuilder};
use arrow_array::types::Int32Type;
use arrow_array::{Array, ArrayRef};

use super::{TableError, schema};

pub(super) type TextMap = MapBuilder<StringBuilder, StringBuilder>;

/// Rows that there is room for at once: small, since there may be a builder for each of a thousand tenants.
pub(super) const ROWS: usize = 64;

pub(super) fn array(array: impl Array + 'static) -> ArrayRef {
    Arc::new(array)
}

pub(super) fn text() -> StringBuilder {
    StringBuilder::with_capacity(ROWS, 1024)
}

pub(super) fn text_map() -> TextMap {
    let names = MapFieldNames { entry: "key_value".into(), key: "key".into(), value: "value".into() };
    MapBuilder::with_capacity(Some(names), text(), text(), ROWS)
        .with_keys_field(schema::map_key())
        .with_values_field(schema::map_value())
}

/// Text that repeats, mostly from row to row: kept once while rows are gathered.
pub(super) struct Dictionary {
    built: StringDictionaryBuilder<Int32Type>,
    /// The value of the last `run` rows, which are not built yet.
    last: String,
    run: usize,
}

impl Dictionary {
    pub(super) fn new() -> Dictionary {
        let built = StringDictionaryBuilder::with_capacity(ROWS, 4, 64);
        Dictionary { built, last: String::new(), run: 0 }
    }

    pub(super) fn append_value(&mut self, text: &str) -> Result<(), TableError> {
        if self.run == 0 || self.last != text {
            self.end_run()?;
            self.last.clear();
            self.last.push_str(text);
        }
        self.run += 1;
        Ok(())
    }

    pub(super) fn append_option(&mut self, text: Option<&str>) -> Result<(), TableError> {
        let Some(text) = text else {
            self.end_run()?;
            self.built.append_null();
            return Ok(());
        };
        self.append_value(text)
    }

    pub(super) fn finish(mut self) -> Result<ArrayRef, TableError> {
        self.end_run()?;
        Ok(array(self.built.finish()))
    }

    fn end_run(&mut self) -> Result<(), TableError> {
        if self.run > 0 {
            self.built.append_n(&self.last, std::mem::take(&mut self.run))?;
        }
        Ok(())
    }
}
