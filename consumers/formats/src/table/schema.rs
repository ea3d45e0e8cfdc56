//! The columns of both tables.
//!
//! The body of a line is in one of two places. Where the fields repeat it, `body` is null and `body_template` says how to
//! put it together: `«name»` stands for the text of that field, `«@time»`, `«@user»`, `«@message»` and `«@severity»` for
//! the columns `time_text`, `user`, `message` and `severity`. Elsewhere `body` is the line as text; where the line is not
//! UTF-8 it has U+FFFD in place of the bad bytes, and `body_bytes` has the exact bytes. [`DUCKDB_BODY`] does all this in SQL.
//!
//! `message` is null where the whole body is the message. `fields` maps names to text; `field_types` has one letter a
//! field, in the same order: `s` text, `l` whole number, `d` floating point, `b` boolean.

use std::sync::{Arc, LazyLock};

use arrow_schema::{DataType, Field, Fields, Schema, SchemaRef, TimeUnit};
use millrace_schemas::manifest::TableName;

/// Version of the columns, in the file's metadata under [`VERSION_KEY`].
pub const VERSION: &str = "1";
/// Where a file's metadata has the version of its columns.
pub const VERSION_KEY: &str = "millrace.table.version";

/// A DuckDB macro that gives the body of a row of `events` as text.
pub const DUCKDB_BODY: &str = r#"CREATE OR REPLACE MACRO millrace_body(body, body_template, time_text, "user", severity, message, fields) AS
  coalesce(body, list_reduce(
    list_concat(
      [body_template, '«@time»' || coalesce(time_text, ''), '«@user»' || coalesce("user", ''),
       '«@severity»' || coalesce(severity, ''), '«@message»' || coalesce(message, '')],
      list_transform(map_entries(fields), lambda e: '«' || e.key || '»' || e.value)),
    lambda line, text: replace(line, split_part(text, '»', 1) || '»', substr(text, instr(text, '»') + 1))));
"#;

static EVENTS: LazyLock<SchemaRef> = LazyLock::new(|| Arc::new(Schema::new(events())));
static DEAD: LazyLock<SchemaRef> = LazyLock::new(|| Arc::new(Schema::new(dead())));

/// The columns of `table`.
pub fn of(table: TableName) -> SchemaRef {
    match table {
        TableName::Events => EVENTS.clone(),
        TableName::Dead => DEAD.clone(),
    }
}

/// Type of the time columns: µs since the epoch, UTC.
pub(super) fn instant() -> DataType {
    DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()))
}

/// Type of `fields` and `attributes`.
pub(super) fn text_map() -> DataType {
    let pair = [Arc::new(map_key()), Arc::new(map_value())];
    let entry = Field::new("key_value", DataType::Struct(Fields::from_iter(pair)), false);
    DataType::Map(Arc::new(entry), false)
}

pub(super) fn map_key() -> Field {
    Field::new("key", DataType::Utf8, false)
}

pub(super) fn map_value() -> Field {
    Field::new("value", DataType::Utf8, false)
}

pub(super) fn list_element() -> Field {
    Field::new("element", DataType::Utf8, false)
}

fn place() -> Vec<Field> {
    vec![
        Field::new("tenant", DataType::Utf8, false),
        Field::new("stream", DataType::Utf8, false),
        Field::new("host", DataType::Utf8, false),
        Field::new("file", DataType::Utf8, true),
        Field::new("file_id", DataType::Utf8, true),
        Field::new("byte", DataType::Int64, true),
        Field::new("line", DataType::Int64, true),
        Field::new("line_end", DataType::Utf8, false),
        Field::new("piece", DataType::Int32, true),
        Field::new("piece_last", DataType::Boolean, true),
        Field::new("received", instant(), false),
    ]
}

fn body() -> Vec<Field> {
    vec![Field::new("body", DataType::Utf8, true), Field::new("body_bytes", DataType::Binary, true)]
}

fn provenance() -> Vec<Field> {
    vec![
        Field::new("attributes", text_map(), false),
        Field::new("parser", DataType::Utf8, false),
        Field::new("parser_version", DataType::Int32, false),
        Field::new("dedup_scope", DataType::Utf8, true),
        Field::new("dedup_index", DataType::Int64, true),
        Field::new("dedup_attempt", DataType::Int64, true),
        Field::new("generation", DataType::Int32, false),
        Field::new("partition", DataType::Int32, false),
        Field::new("offset", DataType::Int64, false),
    ]
}

fn events() -> Vec<Field> {
    let found = vec![
        Field::new("time", instant(), false),
        Field::new("time_text", DataType::Utf8, true),
        Field::new("severity", DataType::Utf8, true),
        Field::new("user", DataType::Utf8, true),
        Field::new("message", DataType::Utf8, true),
        Field::new("body_template", DataType::Utf8, true),
    ];
    let typed = vec![
        Field::new("fields", text_map(), false),
        Field::new("field_types", DataType::Utf8, false),
        Field::new("flags", DataType::List(Arc::new(list_element())), false),
    ];
    [place(), found, body(), typed, provenance()].concat()
}

fn dead() -> Vec<Field> {
    let why = vec![
        Field::new("stage", DataType::Utf8, false),
        Field::new("reason", DataType::Utf8, false),
        Field::new("detail", DataType::Utf8, false),
    ];
    [place(), why, body(), provenance()].concat()
}
