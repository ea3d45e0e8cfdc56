//! Makes several splits into one.

use std::path::Path;

use millrace_formats::split::{self, Split};
use millrace_runtime::sink::{BuildError, MergeError, Merger};
use millrace_runtime::store::Store;
use millrace_schemas::manifest::{LivePart, MergePolicy, Part};
use tantivy::directory::{Directory, MmapDirectory};

use crate::builder::build_error;
use crate::day::day_name;
use crate::summary::Summary;

/// Merges splits. Parts are read through mapped files, in place where the store is local; the result is made in memory,
/// so a merge takes about as much of it as its parts are long.
#[derive(Debug, Clone)]
pub struct SplitMerger {
    policy: MergePolicy,
}

impl SplitMerger {
    /// Ten parts of a tier make a merge, none over 96 MiB: larger ones gain a search little, and a merge takes three times
    /// that in memory. What lies in bundles becomes a file of its own after a minute without news.
    pub const POLICY: MergePolicy =
        MergePolicy { fan_in: 10, most_parts: 40, max_bytes: 96 << 20, idle: 60_000_000 };

    /// A merger by `policy`.
    pub fn new(policy: MergePolicy) -> SplitMerger {
        SplitMerger { policy }
    }
}

impl Default for SplitMerger {
    fn default() -> SplitMerger {
        SplitMerger::new(SplitMerger::POLICY)
    }
}

impl Merger for SplitMerger {
    fn policy(&self) -> MergePolicy {
        self.policy
    }

    fn rewrite_alone(&self, part: &LivePart) -> bool {
        part.record.object.starts_with("bundles/")
    }

    fn path(&self, parts: &[LivePart], name: &str) -> String {
        let (tenant, day) = match parts.first() {
            Some(live) => (live.record.tenant.as_str(), day_name(live.part.bucket)),
            None => ("", String::new()),
        };
        format!("index/tenant={tenant}/day={day}/{name}.split")
    }

    fn merge(
        &self,
        store: &Store,
        parts: &[LivePart],
        record_id: &str,
    ) -> Result<(Vec<u8>, Part), MergeError> {
        let mut parts: Vec<&LivePart> = parts.iter().collect();
        parts.sort_by_key(|live| (live.part.time_from, &live.part.id));
        let Some(first) = parts.first() else {
            return Err(fault("nothing to merge").into());
        };
        let (table, bucket) = (first.part.table, first.part.bucket);
        let folder = tempfile::tempdir().map_err(|error| fault(&error.to_string()))?;
        let mut splits = Vec::with_capacity(parts.len());
        let mut summary = Summary::default();
        for (n, live) in parts.iter().enumerate() {
            let part = &live.part;
            if (part.table, part.bucket) != (table, bucket) || live.record.tenant != first.record.tenant {
                return Err(fault("the parts are not of one tenant, table and day").into()); // I9
            }
            let split = open(store, live, folder.path(), n)?;
            if i64::from(split.rows()) != part.rows {
                let reason =
                    format!("{} has {} rows, its manifest says {}", part.id, split.rows(), part.rows);
                return Err(damaged(live, reason));
            }
            summary.add_part(part);
            splits.push(split);
        }
        let merged = match splits.as_slice() {
            [alone] => alone.to_bytes(),
            splits => split::merge(splits),
        };
        let bytes = merged.map_err(build_error)?;
        let part = summary.part(format!("{record_id}.0"), table, bucket, 0, bytes.len());
        Ok((bytes, part))
    }
}

/// Opens a part in place, or from a copy in `folder`.
fn open(store: &Store, live: &LivePart, folder: &Path, n: usize) -> Result<Split, MergeError> {
    let range = live.part.from.max(0) as u64..live.part.to.max(0) as u64;
    let (file, range) = match store.local_file(&live.record.object) {
        // A missing file is the store's fault, and the store says so.
        Some(file) if file.exists() => (file, range),
        _ => {
            let bytes = store.read_range(&live.record.object, range)?;
            let copy = folder.join(format!("{n}.split"));
            std::fs::write(&copy, &bytes).map_err(|error| fault(&error.to_string()))?;
            (copy, 0..bytes.len() as u64)
        }
    };
    let (Some(folder), Some(name)) = (file.parent(), file.file_name()) else {
        return Err(fault(&format!("{} is no file", file.display())).into());
    };
    let handle = MmapDirectory::open(folder)
        .map_err(|error| fault(&error.to_string()))?
        .get_file_handle(Path::new(name))
        .map_err(|error| fault(&error.to_string()))?;
    // Verified first: what tantivy makes of damaged bytes is anything, a panic too.
    Split::open_verified(handle, range).map_err(|error| damaged(live, error))
}

fn damaged(live: &LivePart, reason: impl std::fmt::Display) -> MergeError {
    MergeError::Damaged { object: live.record.object.clone(), reason: reason.to_string() }
}

fn fault(reason: &str) -> BuildError {
    BuildError { action: "merge splits".to_owned(), reason: reason.to_owned() }
}
