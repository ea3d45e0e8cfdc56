//! Replaces parts by one that holds them all.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use millrace_schemas::manifest::{LivePart, ManifestRecord, SourceRange, plan_merges};

use super::Owner;
use crate::metrics;
use crate::service::ServiceError;
use crate::sink::{MergeError, Merger, Patience, attempt, checksum, now_micros, put_until, send_manifest};

/// Parts that could not be merged are left alone for so long: those whose object is missing or damaged, and those whose
/// object the store did not give.
const DAMAGED: Duration = Duration::from_secs(600);
const NOT_GIVEN: Duration = Duration::from_secs(10);

impl Owner {
    /// The most useful merge that is due, over all tenants held; one after another.
    pub(super) fn merge_one<M: Merger>(&mut self, merger: &M) -> Result<(), ServiceError> {
        let policy = merger.policy();
        self.left_alone.retain(|_, until| *until > Instant::now());
        let sound = |live: &LivePart| !self.left_alone.contains_key(&live.part.id);
        let single = |live: &LivePart| merger.rewrite_alone(live);
        let merges = self
            .fold
            .tenants()
            .flat_map(|tenant| plan_merges(&self.fold, tenant, &policy, now_micros(), sound, single));
        let Some(merge) = merges.max_by_key(|merge| merge.parts.len()) else { return Ok(()) };
        let Some(first) = merge.parts.first() else { return Ok(()) };
        let tenant = first.record.tenant.clone();
        let partition = millrace_schemas::key_partition(tenant.as_bytes(), self.n_partitions);
        let folded = self.folded.get(&partition).copied().unwrap_or(0);
        let id = format!("m{partition}-{folded}-{}", attempt());
        let start = Instant::now();
        let (bytes, part) = match merger.merge(&self.service.store, &merge.parts, &id) {
            Ok(merged) => merged,
            Err(error) => {
                self.leave_alone(&merge.parts, &error);
                return Ok(());
            }
        };
        let size = bytes.len();
        let path = merger.path(&merge.parts, &id);
        let record = ManifestRecord {
            id,
            tenant,
            object: path.clone(),
            size: size as i64,
            checksum: checksum(&bytes),
            created: now_micros(),
            group: format!("{}-owner", self.options.stage),
            sources: carried_sources(&merge.parts),
            replaces: merge.parts.iter().map(|live| live.part.id.clone()).collect(),
            parts: vec![part],
        };
        put_until(&self.service, self.options.stage, &path, bytes, &Patience::default())?;
        self.member.producer().begin()?;
        let mut value = Vec::new();
        send_manifest(
            &mut self.member.producer(),
            &self.service,
            self.options.manifest,
            self.n_partitions,
            &record,
            &mut value,
        )?;
        self.commit()?;
        metrics::object_put(self.options.stage, "merge", size as u64);
        tracing::debug!(
            stage = self.options.stage,
            n_parts = record.replaces.len(),
            bytes = size,
            millis = start.elapsed().as_millis() as u64,
            "merged"
        );
        self.fold.apply(&record.key(), Some(record));
        Ok(())
    }

    /// Leaves out of the next merges what this one failed for: the parts of the object that the store did not give, or
    /// all, so that other merges have their turn.
    fn leave_alone(&mut self, parts: &[LivePart], error: &MergeError) {
        let stage = self.options.stage;
        let (object, is_damage) = match error {
            MergeError::Store(error) => (Some(&error.path), error.is_damage()),
            MergeError::Damaged { object, .. } => (Some(object), true),
            MergeError::Build(_) => (None, true),
        };
        for live in parts.iter().filter(|live| object.is_none_or(|path| *path == live.record.object)) {
            let (tenant, part, object) = (&live.record.tenant, &live.part.id, &live.record.object);
            if is_damage {
                let what = "a part could not be merged and is left alone for ten minutes: bring its object back as it was";
                tracing::error!(stage, tenant, part, object, %error, "{what}");
                metrics::merge_failed(stage);
            } else {
                tracing::warn!(stage, tenant, part, object, %error, "merge waits for the store");
            }
            let pause = if is_damage { DAMAGED } else { NOT_GIVEN };
            self.left_alone.insert(part.clone(), Instant::now() + pause);
        }
    }
}

/// A merge's record carries on the highest source offsets of what it replaces, so that the manifest alone can tell where
/// its group stood.
fn carried_sources(parts: &[LivePart]) -> Vec<SourceRange> {
    let mut highest: BTreeMap<(String, i32), (i64, i64)> = BTreeMap::new();
    for source in parts.iter().flat_map(|live| &live.record.sources) {
        let own = highest.entry((source.topic.clone(), source.partition)).or_insert((source.from, source.to));
        *own = (own.0.min(source.from), own.1.max(source.to));
    }
    let range = |((topic, partition), (from, to))| SourceRange { topic, partition, from, to };
    highest.into_iter().map(range).collect()
}
