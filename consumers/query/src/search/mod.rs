//! Search over the live splits of a tenant.
//!
//! [`plan()`] reads the query and picks the splits from the manifest; [`run`] opens and searches them, newest first. Both
//! block; nothing here is async. Memory is bounded by the limit of hits, the bytes of an answer and the cache's bounds
//! (I10). A tenant's plan holds its own splits only (I9).

mod cache;
mod compile;
mod counts;
mod execute;
mod hit;
pub mod language;
pub mod pattern;
mod redriven;
mod scan;
mod superseded;
#[cfg(test)]
mod tests;
mod time;
mod top;
mod values;

use serde::{Deserialize, Serialize};

use crate::Missing;

pub use cache::{CacheOptions, SplitCache};
pub use execute::{Plan, plan, run, search};
pub(crate) use execute::{each_row, plan_all};
pub use hit::{Hit, HitOrigin, HitPosition};
pub use language::QueryError;
pub(crate) use time::show as show_time;

/// Most hits of one answer.
pub const MAX_LIMIT: usize = 10_000;

/// An answer takes no further hits once they are this large together, bytes.
pub const MAX_RESPONSE_BYTES: usize = 32 << 20;

/// What is asked for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SearchRequest {
    /// Whose rows.
    pub tenant: String,
    /// In the language of [`language`].
    #[serde(default)]
    pub query: String,
    /// Event time from here on, µs.
    #[serde(default)]
    pub from: Option<i64>,
    /// Event time before this, µs.
    #[serde(default)]
    pub to: Option<i64>,
    /// Most hits to show; all are counted.
    #[serde(default = "SearchRequest::default_limit")]
    pub limit: usize,
    /// Whether counts of splits that were searched for the same before need not be made again.
    #[serde(default = "SearchRequest::default_cache")]
    pub cache: bool,
    /// Whether to answer from what can be read where an object is lost or damaged.
    #[serde(default)]
    pub partial: bool,
}

impl SearchRequest {
    fn default_limit() -> usize {
        100
    }

    fn default_cache() -> bool {
        true
    }
}

/// What was found.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct SearchResponse {
    /// Newest first: by event time, then origin, both descending.
    pub hits: Vec<Hit>,
    /// All rows found, exactly; of what could be read, where something is missing.
    pub total: u64,
    /// Whether hits were left off because the answer grew too large.
    pub truncated: bool,
    /// How long it took.
    pub elapsed_ms: u64,
    /// Splits that were opened.
    pub splits_searched: usize,
    /// Live splits of the tenant that could not hold a hit.
    pub splits_pruned: usize,
    /// Splits that may hold hits and cannot be read; none but where a partial answer was asked for.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub missing: Vec<Missing>,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum SearchError {
    /// The query cannot be read; the client's to mend.
    #[error("could not read the query: {0}")]
    Query(#[from] QueryError),
    /// The limit is too high; the client's to mend.
    #[error("could not search: the limit is {limit}, at most {MAX_LIMIT} are given")]
    Limit {
        /// What was asked for.
        limit: usize,
    },
    /// Wildcards within a phrase stand for too many words; the client's to mend.
    #[error("could not search: {reason}; write more letters before the wildcard, or name a field")]
    TooBroad {
        /// What the index said.
        reason: String,
    },
    /// A split was replaced while the search was under way; read the manifest anew and try again.
    #[error(
        "could not search: {object} is not in the store; try again in a moment, since a merge may have replaced it; if it stays so, bring it back as it was, or ask with partial=true (`--partial`) for what there is besides"
    )]
    Gone {
        /// The object.
        object: String,
    },
    /// The object store did not answer; class *Retry*.
    #[error(transparent)]
    Store(#[from] millrace_runtime::store::StoreError),
    /// A split is damaged.
    #[error(
        "could not search {object}: {reason}; bring the object back as it was, or ask with partial=true (`--partial`) for what there is besides"
    )]
    Damaged {
        /// Its object.
        object: String,
        /// What is wrong with it.
        reason: String,
    },
    /// A bug, or the local disk.
    #[error("could not {action}: {reason}")]
    Internal {
        /// What was tried.
        action: &'static str,
        /// Why it failed.
        reason: String,
    },
}

impl SearchError {
    /// Whether to read the manifest anew and try again at once.
    pub fn is_gone(&self) -> bool {
        matches!(self, SearchError::Gone { .. })
    }

    /// Why an object cannot be read, where it is lost or damaged.
    pub(crate) fn damage(&self) -> Option<&str> {
        match self {
            SearchError::Gone { .. } => Some("it is not in the store"),
            SearchError::Damaged { reason, .. } => Some(reason),
            _ => None,
        }
    }

    /// Whether the client has to change its request.
    pub fn is_clients(&self) -> bool {
        matches!(self, SearchError::Query(_) | SearchError::Limit { .. } | SearchError::TooBroad { .. })
    }
}
