//! Gathers rows and turns them into one bundle of splits: one for each tenant, table and event-time day.

use std::collections::BTreeMap;

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
    /// Registry ids of the versions of the event's schema, oldest first.
    version_ids: Vec<u32>,
    event_codec: Codec,
    dead_codec: Codec,
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
            version_ids: version_ids.to_vec(),
            event_codec: Rows::event_codec().map_err(build_error)?,
            dead_codec: Rows::dead_codec().map_err(build_error)?,
        })
    }
}

/// The group of a row.
fn group<'g>(groups: &'g mut Groups, tenant: &str, table: TableName, time: i64) -> &'g mut Group {
    // The tenant is copied a row: two lookups would cost more, and the borrow checker takes no early return here.
    groups
        .entry(tenant.to_owned())
        .or_default()
        .entry((table, day_start(time)))
        .or_default()
}

impl BundleBuilder for IndexBuilder {
    fn add_event(&mut self, event: &Event<'_>, value: &[u8]) -> Result<(), BuildError> {
        let group = group(&mut self.groups, event.tenant, TableName::Events, event.time);
        let before = group.rows.memory();
        let version = unframe(value)
            .ok()
            .and_then(|(id, _)| self.version_ids.iter().position(|own| *own == id));
        let pushed = match version {
            Some(index) => group.rows.push_event(event, value, index as u32 + 1),
            None => group.rows.push_event_anew(event, &self.event_codec),
        };
        pushed.map_err(build_error)?;
        group
            .summary
            .add_row(event.time, event.host, event.body.len(), event.origin);
        self.memory += group.rows.memory() - before;
        Ok(())
    }

    fn add_dead(
        &mut self,
        letter: &DeadLetter,
        raw: &RawEvent<'_>,
        generation: i32,
    ) -> Result<(), BuildError> {
        let group = group(&mut self.groups, raw.tenant, TableName::Dead, raw.received);
        let before = group.rows.memory();
        group
            .rows
            .push_dead(
                &DeadRow {
                    letter,
                    raw,
                    generation,
                },
                &self.dead_codec,
            )
            .map_err(build_error)?;
        let origin = Origin {
            generation,
            partition: letter.partition,
            offset: letter.offset,
        };
        group
            .summary
            .add_row(raw.received, raw.host, raw.body.len(), origin);
        self.memory += group.rows.memory() - before;
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
        for (tenant, groups) in std::mem::take(&mut self.groups) {
            let mut own = Vec::with_capacity(groups.len());
            for (n, ((table, bucket), group)) in groups.into_iter().enumerate() {
                debug_assert_eq!(group.rows.len() as i64, group.summary.rows(), "I1");
                let from = bytes.len();
                let written = split::write(group.rows).map_err(build_error)?;
                if bytes.is_empty() {
                    bytes = written; // the usual bundle holds one split
                } else {
                    bytes.extend_from_slice(&written);
                }
                own.push(
                    group
                        .summary
                        .part(format!("{record_id}.{n}"), table, bucket, from, bytes.len()),
                );
            }
            parts.insert(tenant, own);
        }
        Ok(Sealed { bytes, parts })
    }
}

pub(crate) fn build_error(error: SplitError) -> BuildError {
    BuildError {
        action: error.action.to_owned(),
        reason: error.reason,
    }
}
