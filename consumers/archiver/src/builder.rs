//! Gathers events and dead letters into a bundle of row files.

use std::collections::{BTreeMap, BTreeSet};

use millrace_formats::table::{Effort, TableBuilder, TableError};
use millrace_runtime::sink::{BuildError, BundleBuilder, Sealed};
use millrace_schemas::dead::DeadLetter;
use millrace_schemas::ledger::Ranges;
use millrace_schemas::manifest::{Part, TableName};
use millrace_schemas::{Event, Origin, RawEvent};

/// Microseconds in an hour.
const HOUR: i64 = 3_600_000_000;

/// One row file per tenant, stream, table and event-time hour; the bundle is these files one behind the other. A dead
/// letter has no event time: it counts by when it was received.
#[derive(Default)]
pub struct ArchiveBuilder {
    /// By tenant, then stream, then table and hour.
    tenants: BTreeMap<String, BTreeMap<String, Stream>>,
    buffered: usize,
}

type Stream = BTreeMap<(TableName, i64), RowFile>;

struct RowFile {
    rows: TableBuilder,
    time_from: i64,
    time_to: i64,
    bytes: i64,
    hosts: BTreeSet<String>,
    raw: Ranges,
}

impl ArchiveBuilder {
    /// An empty builder.
    pub fn new() -> ArchiveBuilder {
        ArchiveBuilder::default()
    }

    /// Adds a row by `push` to the row file it belongs to.
    fn add(
        &mut self,
        (tenant, stream, host): (&str, &str, &str),
        (table, time): (TableName, i64),
        (origin, bytes): (Origin, usize),
        push: impl FnOnce(&mut TableBuilder) -> Result<(), TableError>,
    ) -> Result<(), BuildError> {
        // Looked up before it is inserted, so that only the first row of a stream allocates its name.
        if !self.tenants.contains_key(tenant) {
            self.tenants.insert(tenant.to_owned(), BTreeMap::new());
        }
        let Some(streams) = self.tenants.get_mut(tenant) else {
            return Err(error(tenant, "no such tenant"));
        };
        if !streams.contains_key(stream) {
            streams.insert(stream.to_owned(), Stream::new());
        }
        let Some(files) = streams.get_mut(stream) else {
            return Err(error(tenant, "no such stream"));
        };
        let hour = time.div_euclid(HOUR) * HOUR;
        let file = files.entry((table, hour)).or_insert_with(|| {
            self.buffered += TableBuilder::EMPTY_BYTES;
            RowFile::new(table, time)
        });
        let before = file.rows.buffered();
        push(&mut file.rows).map_err(|reason| error(tenant, reason))?;
        self.buffered += file.rows.buffered() - before;
        file.note(host, time, bytes, origin);
        Ok(())
    }
}

impl BundleBuilder for ArchiveBuilder {
    fn add_event(&mut self, event: &Event<'_>, _value: &[u8]) -> Result<(), BuildError> {
        let names = (event.tenant, event.stream, event.host);
        let size = (event.origin, event.body.len());
        self.add(names, (TableName::Events, event.time), size, |rows| rows.push_event(event))
    }

    fn add_dead(
        &mut self,
        letter: &DeadLetter,
        raw: &RawEvent<'_>,
        generation: i32,
    ) -> Result<(), BuildError> {
        let origin = Origin { generation, partition: letter.partition, offset: letter.offset };
        let names = (raw.tenant, raw.stream, raw.host);
        let size = (origin, raw.body.len());
        self.add(names, (TableName::Dead, raw.received), size, |rows| rows.push_dead(letter, raw, origin))
    }

    fn buffered(&self) -> usize {
        self.buffered
    }

    fn seal(&mut self, record_id: &str) -> Result<Sealed, BuildError> {
        self.buffered = 0;
        let mut bytes = Vec::new();
        let mut parts = BTreeMap::new();
        for (tenant, streams) in std::mem::take(&mut self.tenants) {
            let mut own = Vec::new();
            for (stream, files) in streams {
                for ((table, hour), file) in files {
                    let id = format!("{record_id}.{}", own.len());
                    let part = file.seal((id, stream.clone(), table, hour), &mut bytes);
                    own.push(part.map_err(|reason| error(&tenant, reason))?);
                }
            }
            parts.insert(tenant, own);
        }
        Ok(Sealed { bytes, parts })
    }
}

impl RowFile {
    fn new(table: TableName, time: i64) -> RowFile {
        RowFile {
            rows: TableBuilder::new(table),
            time_from: time,
            time_to: time,
            bytes: 0,
            hosts: BTreeSet::new(),
            raw: Ranges::default(),
        }
    }

    fn note(&mut self, host: &str, time: i64, bytes: usize, origin: Origin) {
        self.time_from = self.time_from.min(time);
        self.time_to = self.time_to.max(time);
        self.bytes += bytes as i64;
        // Letters of other topics (generation below 0) have no offset in `logs.raw`.
        if origin.generation >= 0 {
            self.raw.cover(origin.partition, origin.offset);
        }
        if self.hosts.len() <= Part::MAX_HOSTS && !self.hosts.contains(host) {
            self.hosts.insert(host.to_owned());
        }
    }

    /// Appends the row file to the bundle.
    fn seal(
        self,
        (id, stream, table, bucket): (String, String, TableName, i64),
        bundle: &mut Vec<u8>,
    ) -> Result<Part, TableError> {
        let from = bundle.len() as i64;
        let rows = self.rows.rows() as i64;
        self.rows.finish(Effort::Fast, bundle)?;
        Ok(Part {
            id,
            table,
            stream: Some(stream),
            bucket,
            time_from: self.time_from,
            time_to: self.time_to,
            from,
            to: bundle.len() as i64,
            rows,
            bytes: self.bytes,
            level: 0,
            hosts: listed(self.hosts),
            raw: self.raw.to_vec(),
        })
    }
}

/// As a part lists them: none when there are too many.
pub(crate) fn listed(hosts: BTreeSet<String>) -> Vec<String> {
    if hosts.len() > Part::MAX_HOSTS { Vec::new() } else { hosts.into_iter().collect() }
}

fn error(tenant: &str, reason: impl std::fmt::Display) -> BuildError {
    BuildError { action: format!("archive rows of tenant {tenant}"), reason: reason.to_string() }
}
