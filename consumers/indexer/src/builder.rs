//! Gathers rows and turns them into one bundle of splits: one for each tenant, table and event-time day.

use std::collections::BTreeMap;
use std::num::NonZero;
use std::sync::{Arc, Mutex, PoisonError};

use millrace_formats::split::{self, DeadRow, Rows, SplitError};
use millrace_runtime::sink::{BuildError, BundleBuilder, Sealed};
use millrace_schemas::codec::unframe;
use millrace_schemas::dead::{self, DeadLetter};
use millrace_schemas::ledger::stage;
use millrace_schemas::manifest::{Part, TableName};
use millrace_schemas::{Codec, Event, Origin, RawEvent, topics};

use crate::day::day_start;
use crate::summary::Summary;

/// Rows of a split at most: a backlog becomes several splits, which the machine's cores index side by side.
const MOST_ROWS: usize = 32 << 10;

/// Builds the index's bundles. Rows wait packed, and are indexed when the bundle is sealed, as many splits at a time as
/// there are cores: so a thousand tenants cost the memory of a few indexes, and a split's rows lie in the order of time.
#[derive(Debug, Clone)]
pub struct IndexBuilder {
    groups: Groups,
    memory: usize,
    /// Emptied buffers of a split of the last bundle.
    spare: Rows,
    /// Registry ids of the versions of the event's schema, oldest first.
    version_ids: Vec<u32>,
    event_codec: Arc<Codec>,
    dead_codec: Arc<Codec>,
}

/// Tenant → (table, day) → rows, split by split.
type Groups = BTreeMap<String, BTreeMap<(TableName, i64), Vec<Group>>>;

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
        let splits = of_tenant.entry((table, day_start(time))).or_default();
        if splits.last().is_none_or(|last| last.rows.len() >= MOST_ROWS) {
            splits.push(Group { rows: std::mem::take(&mut self.spare), summary: Summary::default() });
        }
        let last = splits.len() - 1;
        &mut splits[last]
    }
}

impl IndexBuilder {
    /// Beside a line that was dead and is repaired: a row among the dead of its day that bears the letter's identity and
    /// time. Searches find neither of the two any more, in whichever splits they lie.
    fn add_mark(&mut self, event: &Event<'_>) -> Result<(), BuildError> {
        let raw = RawEvent { body: b"", attributes: Default::default(), ..event.raw() };
        let letter = DeadLetter {
            topic: topics::RAW.to_owned(),
            partition: event.origin.partition,
            offset: event.origin.offset,
            tenant: event.tenant.to_owned(),
            stream: event.stream.to_owned(),
            stage: stage::PARSE.to_owned(),
            reason: dead::REDRIVEN.to_owned(),
            detail: String::new(),
            parser: event.parser.id.to_owned(),
            parser_version: event.parser.version,
        };
        self.add_dead(&letter, &raw, event.origin.generation)
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
        if event.flags.iter().any(|flag| flag == dead::REDRIVEN) {
            return self.add_mark(event);
        }
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
        self.memory = 0;
        let mut open = Vec::new();
        for (tenant, groups) in std::mem::take(&mut self.groups) {
            for ((table, day), splits) in groups {
                open.extend(splits.into_iter().map(|group| (tenant.clone(), table, day, group)));
            }
        }
        let mut names = Vec::with_capacity(open.len());
        let mut waiting = Vec::with_capacity(open.len());
        for (tenant, table, day, Group { rows, summary }) in open {
            debug_assert_eq!(rows.len() as i64, summary.rows(), "I1");
            names.push((tenant, table, day, summary));
            waiting.push(rows);
        }
        let mut bytes = Vec::new();
        let mut parts: BTreeMap<String, Vec<Part>> = BTreeMap::new();
        for ((tenant, table, day, summary), written) in names.into_iter().zip(write_all(waiting)) {
            let (written, emptied) = written.map_err(build_error)?;
            self.spare = emptied;
            let from = bytes.len();
            if bytes.is_empty() {
                bytes = written; // the usual bundle holds one split
            } else {
                bytes.extend_from_slice(&written);
            }
            let own = parts.entry(tenant).or_default();
            own.push(summary.part(format!("{record_id}.{}", own.len()), table, day, from, bytes.len()));
        }
        Ok(Sealed { bytes, parts })
    }
}

type Written = Result<(Vec<u8>, Rows), SplitError>;

/// Writes each of `waiting` as a split, in the same order, on as many threads as there are cores.
fn write_all(waiting: Vec<Rows>) -> Vec<Written> {
    let n_threads = std::thread::available_parallelism().map_or(1, NonZero::get).min(waiting.len());
    if n_threads < 2 {
        return waiting.into_iter().map(split::write_and_reuse).collect();
    }
    let queue = Mutex::new(waiting.into_iter().enumerate());
    let take = || queue.lock().unwrap_or_else(PoisonError::into_inner).next();
    let mut written = std::thread::scope(|scope| {
        let work = || {
            let mut own = Vec::new();
            while let Some((at, rows)) = take() {
                own.push((at, split::write_and_reuse(rows)));
            }
            own
        };
        let threads: Vec<_> = (1..n_threads).map(|_| scope.spawn(work)).collect();
        let mut all = work();
        for thread in threads {
            match thread.join() {
                Ok(own) => all.extend(own),
                Err(panic) => std::panic::resume_unwind(panic),
            }
        }
        all
    });
    written.sort_by_key(|(at, _)| *at);
    written.into_iter().map(|(_, written)| written).collect()
}

pub(crate) fn build_error(error: SplitError) -> BuildError {
    BuildError { action: error.action.to_owned(), reason: error.reason }
}
