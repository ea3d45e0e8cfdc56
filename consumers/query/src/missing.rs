//! Parts whose object is lost or damaged: what an answer goes without, where that is asked for.

use millrace_schemas::manifest::{LivePart, TableName};
use serde::Serialize;

use crate::search::show_time;

/// A part that could not be read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Missing {
    /// Its object's path in the store.
    pub object: String,
    /// Its id in the manifest.
    pub part: String,
    /// Events or dead letters.
    pub table: TableName,
    /// Rows in it, of which any number may have been wanted.
    pub rows: i64,
    /// Earliest event time in it, RFC 3339 with microseconds, UTC.
    pub from: String,
    /// Latest event time in it.
    pub to: String,
    /// Why it could not be read.
    pub reason: String,
}

impl Missing {
    pub(crate) fn of(live: &LivePart, reason: String) -> Missing {
        let (object, part) = (live.record.object.clone(), &live.part);
        Missing {
            object,
            part: part.id.clone(),
            table: part.table,
            rows: part.rows,
            from: show_time(part.time_from),
            to: show_time(part.time_to),
            reason,
        }
    }
}
