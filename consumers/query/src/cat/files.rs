//! The live objects of the archive, for outside readers.

use millrace_formats::table::schema::DUCKDB_BODY;
use millrace_runtime::store::Store;
use millrace_schemas::manifest::{Fold, LivePart, TableName};
use serde::Serialize;

use crate::superseded::Hidden;

/// A row file that is part of the archive now: a whole object, or a range of a bundle that awaits its merge.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FileObject {
    /// Tenant.
    pub tenant: String,
    /// Table.
    pub table: TableName,
    /// Stream.
    pub stream: Option<String>,
    /// Path in the store.
    pub object: String,
    /// Path or address that other programs can open.
    pub location: String,
    /// First byte in the object.
    pub from: i64,
    /// One past the last byte.
    pub to: i64,
    /// Bytes of the row file.
    pub size: i64,
    /// Rows.
    pub rows: i64,
    /// Bytes of the lines in it, without line ends.
    pub bytes: i64,
    /// Earliest event time, µs.
    pub time_from: i64,
    /// Latest event time, µs.
    pub time_to: i64,
    /// XXH3-128 of the whole object, hex.
    pub checksum: String,
    /// Whether the object as a whole is this row file, so that any Parquet reader can open it.
    pub plain: bool,
}

/// The live row files of `tenant`, by table, stream and time.
pub fn list_files(fold: &Fold, store: &Store, tenant: &str) -> Vec<FileObject> {
    let mut files: Vec<FileObject> = fold.tenant(tenant).map(|live| file(store, live)).collect();
    files.sort_by(|a, b| {
        let order = |own: &FileObject| (own.table, own.time_from, own.from);
        (&a.stream, order(a), &a.object).cmp(&(&b.stream, order(b), &b.object))
    });
    files
}

fn file(store: &Store, live: &LivePart) -> FileObject {
    let LivePart { part, record } = live;
    let location = match store.local_file(&record.object) {
        Some(path) => path.display().to_string(),
        None => format!("{}/{}", store.address().trim_end_matches('/'), record.object),
    };
    FileObject {
        tenant: record.tenant.clone(),
        table: part.table,
        stream: part.stream.clone(),
        object: record.object.clone(),
        location,
        from: part.from,
        to: part.to,
        size: part.len(),
        rows: part.rows,
        bytes: part.bytes,
        time_from: part.time_from,
        time_to: part.time_to,
        checksum: record.checksum.clone(),
        plain: part.from == 0 && part.to == record.size,
    }
}

const NOT_REPAIRED: &str = " AS dead ANTI JOIN (\n  SELECT generation, \"partition\", \"offset\" FROM events WHERE list_contains(flags, 'redriven')\n) AS repaired USING (generation, \"partition\", \"offset\")";

fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

/// SQL for DuckDB that makes views `events` and `dead` over the plain files among `files`, with whole bodies and without the
/// lines of attempts that were replaced.
pub fn duckdb_sql(files: &[FileObject], superseded: &Hidden) -> String {
    let body = r#"millrace_body(body, body_template, time_text, "user", severity, message, fields) AS body"#;
    let mut sql = DUCKDB_BODY.to_owned();
    let attempts: Vec<String> = superseded.ids().iter().map(|id| quoted(id)).collect();
    let counting = match attempts.join(", ") {
        none if none.is_empty() => String::new(),
        ids => format!(
            "\nWHERE dedup_attempt IS NULL OR concat_ws('/', dedup_attempt, stream, dedup_scope) NOT IN ({ids})"
        ),
    };
    let mut has_events = false;
    for (table, columns) in
        [(TableName::Events, format!("* REPLACE ({body})")), (TableName::Dead, "*".to_owned())]
    {
        let of = |plain| files.iter().filter(move |file| file.table == table && file.plain == plain);
        let name = table.as_str();
        let awaiting: i64 = of(false).map(|file| file.rows).sum();
        if awaiting > 0 {
            sql += &format!("-- {name}: {awaiting} rows more are in bundles that await their merge\n");
        }
        let list: Vec<String> = of(true).map(|file| quoted(&file.location)).collect();
        if !list.is_empty() {
            let list = list.join(",\n  ");
            // Where a dead line was parsed later, the parsed one counts.
            let repaired = if table == TableName::Dead && has_events { NOT_REPAIRED } else { "" };
            sql += &format!(
                "CREATE OR REPLACE VIEW {name} AS SELECT {columns} FROM read_parquet([\n  {list}\n], hive_partitioning = false){repaired}{counting};\n"
            );
            has_events |= table == TableName::Events;
        }
    }
    sql
}
