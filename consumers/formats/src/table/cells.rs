//! Column builders with the types and the room that row files want.

use std::sync::Arc;

use arrow_array::builder::{MapBuilder, MapFieldNames, StringBuilder, StringDictionaryBuilder};
use arrow_array::types::Int32Type;
use arrow_array::{Array, ArrayRef};

use super::schema;

/// Text that repeats: kept once while rows are gathered.
pub(super) type Dictionary = StringDictionaryBuilder<Int32Type>;
pub(super) type TextMap = MapBuilder<StringBuilder, StringBuilder>;

/// Rows that there is room for at once: small, since there may be a builder for each of a thousand tenants.
pub(super) const ROWS: usize = 64;

pub(super) fn array(array: impl Array + 'static) -> ArrayRef {
    Arc::new(array)
}

pub(super) fn dictionary() -> Dictionary {
    Dictionary::with_capacity(ROWS, 4, 64)
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
