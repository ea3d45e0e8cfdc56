//! Makes several row files of one tenant, table, stream and hour into one.

use std::collections::BTreeSet;

use bytes::Bytes;
use millrace_formats::table::{Effort, Merged, TableError, TableReader, merge};
use millrace_runtime::sink::{BuildError, MergeError, Merger, checksum};
use millrace_runtime::store::{Store, StoreError};
use millrace_schemas::ledger::Ranges;
use millrace_schemas::manifest::{LivePart, ManifestRecord, MergePolicy, Part};

use crate::builder::listed;
use crate::path::merged_path;
use crate::source::PartSource;

/// Where bundles lie; all other objects are plain row files.
const BUNDLES: &str = "bundles/";

/// Compaction of the archive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ArchiveMerger {
    /// When to merge.
    pub policy: MergePolicy,
}

impl ArchiveMerger {
    /// Files up to 64 MiB, some three million lines: a merge holds its output in memory, and of each part some pages.
    pub const POLICY: MergePolicy =
        MergePolicy { fan_in: 8, most_parts: 8, max_bytes: 64 << 20, idle: 30_000_000 };

    /// With [`ArchiveMerger::POLICY`].
    pub fn new() -> ArchiveMerger {
        ArchiveMerger { policy: Self::POLICY }
    }
}

impl Default for ArchiveMerger {
    fn default() -> Self {
        ArchiveMerger::new()
    }
}

impl Merger for ArchiveMerger {
    fn policy(&self) -> MergePolicy {
        self.policy
    }

    fn rewrite_alone(&self, part: &LivePart) -> bool {
        part.record.object.starts_with(BUNDLES)
    }

    fn path(&self, parts: &[LivePart], name: &str) -> String {
        match parts.first() {
            Some(first) => merged_path(&first.record.tenant, &first.part, name),
            None => format!("empty/{name}"),
        }
    }

    fn merge(
        &self,
        store: &Store,
        parts: &[LivePart],
        record_id: &str,
    ) -> Result<(Vec<u8>, Part), MergeError> {
        let Some(first) = parts.first() else {
            return Err(error(record_id, "there are no parts").into());
        };
        let alike = |live: &LivePart| {
            let of = |live: &LivePart| {
                (live.record.tenant.clone(), live.part.table, live.part.stream.clone(), live.part.bucket)
            };
            of(live) == of(first)
        };
        if !parts.iter().all(alike) {
            return Err(error(record_id, "parts of several tenants, tables, streams or hours").into());
        }
        let mut inputs = Vec::with_capacity(parts.len());
        for live in parts {
            let input = open(store, live).map_err(|reason| classed(live, reason))?;
            if !input.has_checksums() {
                whole(store, &live.record)?;
            }
            inputs.push(input);
        }
        let mut out = Vec::with_capacity(parts.iter().map(|live| live.part.len() as usize).sum());
        let merged = merge(first.part.table, &inputs, Effort::Small, &mut out);
        let merged = merged.map_err(|reason| match reason {
            TableError::Input(number, reason) if number < parts.len() => classed(&parts[number], *reason),
            other => error(record_id, other).into(),
        })?;
        drop(inputs);

        let part = joined(parts, record_id, out.len() as i64);
        let out = Bytes::from(out);
        let read = reread(out.clone()).map_err(|reason| error(record_id, reason))?;
        let counted = (merged, read);
        let rows = part.rows as u64;
        if counted != (Merged { rows_in: rows, rows_out: rows }, (rows, part.bytes as u64)) {
            let expected = format!("the manifest says {rows} rows and {} bytes of bodies", part.bytes);
            return Err(error(record_id, format!("{expected}, but there were {counted:?}")).into());
        }
        Ok((Vec::from(out), part))
    }
}

fn open(store: &Store, live: &LivePart) -> Result<TableReader<PartSource>, TableError> {
    let source = PartSource::open(store, live)?;
    let len = source.size();
    TableReader::open(source, len)
}

/// What the manifest says of the parts together.
fn joined(parts: &[LivePart], record_id: &str, len: i64) -> Part {
    let parts = || parts.iter().map(|live| &live.part);
    let mut raw = Ranges::default();
    for range in parts().flat_map(|part| &part.raw) {
        raw.cover_range(range.partition, range.from, range.to);
    }
    // A part without hosts has too many to list, and so has the sum.
    let countable = parts().all(|part| !part.hosts.is_empty());
    let hosts: BTreeSet<String> = parts().filter(|_| countable).flat_map(|part| part.hosts.clone()).collect();
    Part {
        id: format!("{record_id}.0"),
        table: parts().next().map_or(millrace_schemas::manifest::TableName::Events, |part| part.table),
        stream: parts().next().and_then(|part| part.stream.clone()),
        bucket: parts().next().map_or(0, |part| part.bucket),
        time_from: parts().map(|part| part.time_from).min().unwrap_or(0),
        time_to: parts().map(|part| part.time_to).max().unwrap_or(0),
        from: 0,
        to: len,
        rows: parts().map(|part| part.rows).sum(),
        bytes: parts().map(|part| part.bytes).sum(),
        level: parts().map(|part| part.level).max().unwrap_or(0) + 1,
        hosts: listed(hosts),
        raw: raw.to_vec(),
    }
}

/// Reads a row file as a reader would: its rows and the bytes of their bodies.
fn reread(file: Bytes) -> Result<(u64, u64), TableError> {
    let len = file.len() as u64;
    let reader = TableReader::open(file, len)?;
    let (mut rows, mut bytes) = (0, 0);
    let mut body = Vec::new();
    for group in reader.groups() {
        for batch in reader.lines(group, 0..group.rows, true)? {
            let batch = batch?;
            for at in 0..batch.len() {
                rows += 1;
                batch.body(at, &mut body)?;
                bytes += body.len() as u64;
            }
        }
    }
    Ok((rows, bytes))
}

fn error(record_id: &str, reason: impl std::fmt::Display) -> BuildError {
    BuildError { action: format!("merge row files into {record_id}"), reason: reason.to_string() }
}

/// Tells the store's fault from the data's.
fn classed(live: &LivePart, reason: TableError) -> MergeError {
    let object = live.record.object.clone();
    match reason {
        TableError::Source(source) => match source.downcast::<StoreError>() {
            Ok(store) => MergeError::Store(*store),
            Err(other) => MergeError::Damaged { object, reason: other.to_string() },
        },
        data => MergeError::Damaged { object, reason: data.to_string() },
    }
}

/// Compares an object with its manifest, for row files that were written before they had checksums of their own.
fn whole(store: &Store, record: &ManifestRecord) -> Result<(), MergeError> {
    let bytes = store.read(&record.object)?;
    if checksum(&bytes) == record.checksum {
        return Ok(());
    }
    let reason = "its checksum is not that of the manifest".to_owned();
    Err(MergeError::Damaged { object: record.object.clone(), reason })
}
