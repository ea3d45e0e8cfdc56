//! Rebuilds files from the archive, byte for byte, and lists the archive's objects.
//!
//! A path on a host may have had several incarnations (rotation, truncation), each with its own file id. The rows of one
//! are merged from all live parts in the order of their bytes. Where the same line is both a dead letter and an event, the
//! event counts; of several events at one place the higher attempt counts, then the higher raw offset. Lines of attempts that
//! were replaced do not count. What does not add up (missing bytes, bytes that came twice) is reported with its byte range, never passed over.

mod files;
mod rebuild;
mod source;
mod survey;
mod weave;

use std::io::Write;

use millrace_formats::table::TableError;
use millrace_runtime::store::{Store, StoreError};
use millrace_schemas::manifest::Fold;
use serde::Serialize;

pub use files::{FileObject, duckdb_sql, list_files};
pub use rebuild::Warning;

use crate::Missing;
use crate::superseded::Hidden;
use rebuild::Rebuild;
use survey::{Sight, survey};
use weave::Weave;

#[cfg(test)]
mod tests;

/// Which incarnations of a path to rebuild.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Which<'a> {
    /// The one seen first most recently.
    Newest,
    /// Each, one behind the other, in order of first sight.
    All,
    /// The one of this file id; `-` is the one of lines that came without a file id.
    One(&'a str),
}

/// One incarnation of a path, as the archive has it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Incarnation {
    /// Its file id, if its lines came with one.
    pub file_id: Option<String>,
    /// When its first line was read, µs.
    pub first_seen: i64,
    /// Lines, with an unfinished last one.
    pub lines: u64,
    /// Bytes rebuilt.
    pub bytes: u64,
    /// Whether all bytes from the first on are there, each once.
    pub complete: bool,
    /// What does not add up, in order of the bytes.
    pub warnings: Vec<Warning>,
    /// Warnings beyond the first [`Incarnation::MAX_WARNINGS`].
    pub more_warnings: u64,
}

impl Incarnation {
    /// More warnings than this are counted, not listed.
    pub const MAX_WARNINGS: usize = 1_000;
}

/// Why a file could not be rebuilt.
#[derive(Debug, thiserror::Error)]
pub enum CatError {
    /// The archive has no line of it.
    #[error(
        "the archive has no lines of {path} on host {host} for tenant {tenant}; `millrace files` lists what it has"
    )]
    NotFound {
        /// Tenant.
        tenant: String,
        /// Host.
        host: String,
        /// Path.
        path: String,
    },
    /// The path is known, but not this incarnation of it.
    #[error("{path} on host {host} has no incarnation {id}; it has {known}")]
    NoSuchIncarnation {
        /// Host.
        host: String,
        /// Path.
        path: String,
        /// The file id asked for.
        id: String,
        /// Those there are.
        known: String,
    },
    /// The store did not give an object.
    #[error(transparent)]
    Store(Box<StoreError>),
    /// An object is lost, or cut short.
    #[error(
        "could not read {object}: {reason}; bring the object back as it was, or give --partial for what there is besides"
    )]
    Lost {
        /// Object.
        object: String,
        /// What the store said.
        reason: String,
    },
    /// An object is damaged.
    #[error(
        "could not read part {part} of {object}: {source}; bring the object back as it was, or give --partial for what there is besides"
    )]
    Damaged {
        /// Part.
        part: String,
        /// Object.
        object: String,
        /// What is wrong.
        source: Box<TableError>,
    },
    /// The bytes could not be written.
    #[error("could not write the file: {0}")]
    Output(#[from] std::io::Error),
}

impl CatError {
    fn of_store(error: Box<StoreError>) -> CatError {
        if !error.is_damage() {
            return CatError::Store(error);
        }
        let not_there = "it is not in the store".to_owned();
        let reason = if error.is_not_found() { not_there } else { error.source.to_string() };
        CatError::Lost { object: error.path, reason }
    }

    /// Why an object cannot be read, where it is lost or damaged.
    fn damage(&self) -> Option<String> {
        match self {
            CatError::Damaged { source, .. } => Some(source.to_string()),
            CatError::Lost { reason, .. } => Some(reason.clone()),
            _ => None,
        }
    }
}

/// What is read.
#[derive(Debug, Clone, Copy)]
pub struct Archive<'a> {
    /// The live row files.
    pub fold: &'a Fold,
    /// Where they lie.
    pub store: &'a Store,
    /// Lines that do not count.
    pub superseded: &'a Hidden,
    /// Whether parts whose object is lost or damaged are left out. Every part is then read twice.
    pub partial: bool,
}

/// What came of rebuilding a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Written {
    /// In order of first sight.
    pub incarnations: Vec<Incarnation>,
    /// What was left out; it may have had lines of the path, or not.
    pub missing: Vec<Missing>,
}

/// Rebuilds `path` of `host` into `out`.
///
/// # Errors
/// [`CatError`]; bytes may have been written before.
pub fn cat(
    archive: &Archive<'_>,
    (tenant, host, path): (&str, &str, &str),
    which: Which<'_>,
    out: &mut dyn Write,
) -> Result<Written, CatError> {
    let (sights, missing) = survey(archive, (tenant, host, path))?;
    let chosen: Vec<&Sight> = match which {
        Which::Newest => sights.last().into_iter().collect(),
        Which::All => sights.iter().collect(),
        Which::One(id) => sights.iter().filter(|sight| sight.shown() == id).collect(),
    };
    // What is asked for may lie in what is missing, and only there.
    if chosen.is_empty() && missing.is_empty() {
        let [tenant, host, path] = [tenant, host, path].map(str::to_owned);
        return Err(match which {
            Which::One(id) if !sights.is_empty() => {
                let known = sights.iter().map(Sight::shown).collect::<Vec<_>>().join(", ");
                CatError::NoSuchIncarnation { host, path, id: id.to_owned(), known }
            }
            _ => CatError::NotFound { tenant, host, path },
        });
    }
    let incarnations =
        chosen.into_iter().map(|sight| rebuild(archive, sight, out)).collect::<Result<_, _>>()?;
    Ok(Written { incarnations, missing })
}

/// The incarnations of `path` on `host`, in order of first sight; reads every line of them.
///
/// # Errors
/// [`CatError`].
pub fn incarnations(
    archive: &Archive<'_>,
    (tenant, host, path): (&str, &str, &str),
) -> Result<Written, CatError> {
    cat(archive, (tenant, host, path), Which::All, &mut std::io::sink())
}

fn rebuild(archive: &Archive<'_>, sight: &Sight, out: &mut dyn Write) -> Result<Incarnation, CatError> {
    let mut rebuild = Rebuild::new(out);
    Weave::new(archive, sight).each(&mut rebuild)?;
    Ok(rebuild.finish(sight.file_id.clone(), sight.first_seen))
}
