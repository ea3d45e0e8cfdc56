//! Gathers rows and turns them into one bundle of splits: one for each tenant, table and event-time day.

use std::collections::BTreeMap;
use std::sync::Arc;

use millrace_formats::split::{self, DeadRow, Rows, SplitError};
use millrace_runtime::sink::{BuildError, BundleBuilder, Sealed};
use millrace_schemas::codec::unframe;
use millrace_schemas::dead::DeadLetter;
use millrace_schemas::manifest::TableName;
use millrace_schemas::{Codec, Event, Origin, RawEvent};

use crate::day::day_start;
use crate::summary::Summary;

/// Builds the index's bundles. Rows wait packed, and are indexed when the bundle is sealed, one split after the other:
/// so a thousand tenants cost the memory of one index, and a split's rows lie in the order of time.
#[derive(Debug, Clone)]
pub struct IndexBuilder {
    groups: Groups,
    memory: usize,
    /// Emptied buffers of the largest split of the last bundle.
    spare: Rows,
    /// Registry ids of the versions of the event's schema, oldest first.
    version_ids: Vec<u32>,
    event_codec: Arc<Codec>,
    dead_codec: Arc<Codec>,
}

/// Tenant → (table, day) → rows.
type Groups = BTreeMap<String, BTreeMap<(TableName, i64), Group>>;

#[derive(Debug, Clone, Default)]
struct Group {
    rows: Rows,
    summary: Summary,
}

impl IndexBuilder {
    /// A builder. `version_ids` are the registry's ids of the versions of `logs.parsed-value` that this program embeds,
    /// oldest first; events written under another id are stored in the newest version.
    ///
    /// # Errors
    /// An embedded schema does not parse; a bug.
    pub fn new(version_ids: &[u32]) -> Result<IndexBuilder, BuildError> {
        Ok(IndexBuilder {
            groups: BTreeMap::new(),
            memory: 0,
            spare: Rows::new(),
            version_ids: version_ids.to_vec(),
            event_codec: Arc::new(Rows::event_codec().map_err(build_error)?),
            dead_codec: Arc::new(Rows::dead_codec().map_err(build_error)?),
        })
    }
}

impl IndexBuilder {
    /// The group of a row.
    fn group(&mut self, tenant: &str, table: TableName, time: i64) -> &mut Group {
        // The tenant is copied a row: two lookups would cost more, and the borrow checker takes no early return here.
        let of_tenant = self.groups.entry(tenant.to_owned()).or_default();
        let spare = &mut self.spare;
        of_tenant
            .entry((table, day_start(time)))
            .or_insert_with(|| Group { rows: std::mem::take(spare), summary: Summary::default() })
    }
}

impl BundleBuilder for IndexBuilder {
    fn add_event(&mut self, event: &Event<'_>, value: &[u8]) -> Result<(), BuildError> {
        let version =
            unframe(value).ok().and_then(|(id, _)| self.version_ids.iter().position(|own| *own == id));
        let codec = self.event_codec.clone();
        let group = self.group(event.tenant, TableName::Events, event.time);
        let before = group.rows.memory();
        let pushed = match version {
            Some(index) => group.rows.push_event(event, value, index as u32 + 1),
            None => group.rows.push_event_anew(event, &codec),
        };
        pushed.map_err(build_error)?;
        group.summary.add_row(event.time, event.host, event.body.len(), event.origin);
        let grown = group.rows.memory() - before;
        self.memory += grown;
        Ok(())
    }

    fn add_dead(
        &mut self,
        letter: &DeadLetter,
        raw: &RawEvent<'_>,
        generation: i32,
    ) -> Result<(), BuildError> {
        let codec = self.dead_codec.clone();
        let group = self.group(raw.tenant, TableName::Dead, raw.received);
        let before = group.rows.memory();
        group.rows.push_dead(&DeadRow { letter, raw, generation }, &codec).map_err(build_error)?;
        let origin = Origin { generation, partition: letter.partition, offset: letter.offset };
        group.summary.add_row(raw.received, raw.host, raw.body.len(), origin);
        let grown = group.rows.memory() - before;
        self.memory += grown;
        Ok(())
    }

    /// Twice the packed rows: sealing holds the index of a split beside them.
    fn buffered(&self) -> usize {
        self.memory * 2
    }

    fn seal(&mut self, record_id: &str) -> Result<Sealed, BuildError> {
        let mut bytes = Vec::new();
        let mut parts = BTreeMap::new();
        self.memory = 0;
        let mut most_rows = 0;
        for (tenant, groups) in std::mem::take(&mut self.groups) {
            let mut own = Vec::with_capacity(groups.len());
            for (n, ((table, bucket), group)) in groups.into_iter().enumerate() {
                debug_assert_eq!(group.rows.len() as i64, group.summary.rows(), "I1");
                let from = bytes.len();
                let n_rows = group.rows.len();
                let (written, emptied) = split::write_and_reuse(group.rows).map_err(build_error)?;
                if n_rows >= most_rows {
                    (self.spare, most_rows) = (emptied, n_rows);
                }
                if bytes.is_empty() {
                    bytes = written; // the usual bundle holds one split
                } else {
                    bytes.extend_from_slice(&written);
                }
                own.push(group.summary.part(format!("{record_id}.{n}"), table, bucket, from, bytes.len()));
            }
            parts.insert(tenant, own);
        }
        Ok(Sealed { bytes, parts })
    }
}

pub(crate) fn build_error(error: SplitError) -> BuildError {
    BuildError { action: error.action.to_owned(), reason: error.reason }
}
