//! The owner of a manifest partition: merges, deletes what was replaced, collects orphans.
//!
//! Whoever of the group `<stage>-owner` holds the partition is the only one that replaces parts in it. A change is one
//! record, committed with the manifest offset and the group's metadata, so that a zombie is fenced. The member that holds
//! partition 0 deletes objects, and only after it has read all manifest partitions.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use millrace_schemas::manifest::{Fold, LivePart, ManifestRecord, plan_merges};

use crate::kafka::admin::Admin;
use crate::kafka::{Batch, Class, Error, Guard, Member, MemberOptions, Polled, read_to_mark};
use crate::metrics;
use crate::service::{Service, ServiceError};
use crate::sink::{
    MergeError, Merger, Patience, apply, attempt, checksum, now_micros, put_until, send_manifest,
};

/// What an owner is.
#[derive(Debug, Clone)]
pub struct OwnerOptions {
    /// Stage whose manifest it owns: `index`, `archive`.
    pub stage: &'static str,
    /// Manifest topic.
    pub manifest: &'static str,
    /// Folders that hold objects of this manifest, besides `bundles/<stage>`.
    pub folders: Vec<String>,
    /// Replaced objects are deleted this long after.
    pub delete_after: Duration,
    /// Time between looks for orphans.
    pub orphan_interval: Duration,
    /// When a transaction is in doubt.
    pub guard: Guard,
}

/// A replaced object's records are buried a day later at the earliest, so that no reader misses the replacement.
const TOMBSTONE_AFTER_MICROS: i64 = 24 * 3_600 * 1_000_000;
/// Parts that could not be merged are left alone for so long: those whose object is missing or damaged, and those whose
/// object the store did not give.
const DAMAGED: Duration = Duration::from_secs(600);
const NOT_GIVEN: Duration = Duration::from_secs(10);

/// Runs until told to stop. `holds_first` tells others of the process whether it holds partition 0: whoever does looks
/// after what there is only one of.
///
/// # Errors
/// Of class *Exit*.
pub fn run<M: Merger>(
    service: &Service,
    options: &OwnerOptions,
    slot: u32,
    merger: &M,
    holds_first: &AtomicBool,
) -> Result<(), ServiceError> {
    let kafka = &service.config.kafka;
    let n_partitions = Admin::open(kafka)?.partitions(options.manifest)?;
    let name = format!("{}-owner", options.stage);
    let member = Member::join(
        kafka,
        MemberOptions {
            service: name.clone(),
            slot,
            loop_number: 0,
            topics: vec![options.manifest.to_owned()],
            with_headers: Vec::new(),
            // The manifest is folded from its start anyway; the committed offset only fences.
            resolve: Arc::new(|missing| Ok(vec![None; missing.len()])),
            guard: options.guard,
        },
    )?;
    let mut owner = Owner {
        service: service.clone(),
        options: options.clone(),
        member,
        n_partitions,
        fold: Fold::default(),
        folded: BTreeMap::new(),
        deleted: HashSet::new(),
        left_alone: HashMap::new(),
        swept: Instant::now(),
        orphans_swept: None,
    };
    let mut batch = Batch::default();
    let mut ready = false;
    while !service.stop.requested() {
        service.health.turned(&name, ready);
        let turn = owner.turn(merger, &mut batch);
        holds_first.store(owner.folded.contains_key(&0), Ordering::Relaxed);
        match turn {
            Ok(assigned) => ready = assigned,
            Err(error) => {
                owner.forget();
                match (error.class(), error) {
                    (Class::Abort, error) => {
                        tracing::warn!(stage = options.stage, %error, "manifest change aborted");
                        owner.member.rejoin(&Error::Broken(error.to_string()), &service.stop)?;
                    }
                    (Class::Rejoin, ServiceError::Kafka(error)) => {
                        owner.member.rejoin(&error, &service.stop)?
                    }
                    (Class::Exit, ServiceError::Store(error)) if service.stop.requested() => {
                        tracing::warn!(stage = options.stage, %error, "stopped while the store was away");
                        return Ok(());
                    }
                    (Class::Rejoin | Class::Exit, error) => return Err(error),
                }
            }
        }
    }
    Ok(())
}

struct Owner {
    service: Service,
    options: OwnerOptions,
    member: Member,
    n_partitions: i32,
    fold: Fold,
    /// Next manifest offset to fold, by partition held.
    folded: BTreeMap<i32, i64>,
    deleted: HashSet<String>,
    /// Ids of parts that could not be merged, and until when they are left alone.
    left_alone: HashMap<String, Instant>,
    swept: Instant,
    orphans_swept: Option<Instant>,
}

impl Owner {
    fn forget(&mut self) {
        self.fold = Fold::default();
        self.folded.clear();
    }

    /// One look at what has come and one piece of work; whether partitions are held and folded.
    fn turn<M: Merger>(&mut self, merger: &M, batch: &mut Batch) -> Result<bool, ServiceError> {
        match self.member.poll(batch, 10_000, 16 << 20, Duration::from_millis(200), Duration::ZERO)? {
            Polled::Assigned(partitions) => {
                self.forget();
                let held: Vec<i32> = partitions.iter().map(|(_, partition, _)| *partition).collect();
                self.restore(&held)?;
                return Ok(true);
            }
            Polled::Revoked => {
                self.forget();
                return Ok(false);
            }
            Polled::Records => {}
        }
        for record in &batch.records {
            let next = self.folded.entry(record.partition).or_insert(0);
            if record.offset >= *next {
                *next = record.offset + 1;
                apply(&self.service, &mut self.fold, batch.key(record), batch.value(record))?;
            }
        }
        if self.folded.is_empty() {
            return Ok(false);
        }
        if batch.records.len() < 10_000 {
            self.merge_one(merger)?;
            if self.folded.contains_key(&0) {
                match self.sweep() {
                    Err(ServiceError::Store(error)) => {
                        tracing::warn!(stage = self.options.stage, %error, "clearing up waits for the store");
                    }
                    other => other?,
                }
            }
        }
        Ok(true)
    }

    fn restore(&mut self, held: &[i32]) -> Result<(), ServiceError> {
        let (service, fold, folded) = (&self.service, &mut self.fold, &mut self.folded);
        folded.extend(held.iter().map(|partition| (*partition, 0)));
        read_to_mark(&service.config.kafka, self.options.manifest, held, |partition, offset, key, value| {
            folded.insert(partition, offset + 1);
            apply(service, fold, key, value)
        })?;
        Ok(())
    }

    /// The most useful merge that is due, over all tenants held; one after another.
    fn merge_one<M: Merger>(&mut self, merger: &M) -> Result<(), ServiceError> {
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

    /// Commits the open transaction with the manifest offsets folded to.
    fn commit(&mut self) -> Result<(), Error> {
        let next = self.folded.iter().map(|(&partition, &next)| ((0, partition), next)).collect();
        self.member.commit(&next)
    }

    /// Deletes objects without a live part, buries their records later, and looks for orphans.
    fn sweep(&mut self) -> Result<(), ServiceError> {
        if self.swept.elapsed() < Duration::from_secs(5) {
            return Ok(());
        }
        self.swept = Instant::now();
        let now = now_micros();
        let due = now - self.options.delete_after.as_micros() as i64;
        // Judge by all partitions: a bundle holds parts of many tenants.
        let all = match self.n_partitions as usize == self.folded.len() {
            true => None,
            false => Some(self.read_all()?),
        };
        let retired = all.as_ref().unwrap_or(&self.fold).retired();
        for gone in retired.iter().filter(|gone| gone.since <= due) {
            if !self.deleted.contains(&gone.object) {
                self.service.store.delete(&gone.object)?;
                metrics::object_deleted(self.options.stage, false);
                self.deleted.insert(gone.object.clone());
            }
        }
        let buried: Vec<&String> = retired
            .iter()
            .filter(|gone| gone.since <= now - TOMBSTONE_AFTER_MICROS)
            .flat_map(|gone| &gone.keys)
            .take(1_000)
            .collect();
        if !buried.is_empty() {
            self.member.producer().begin()?;
            for key in &buried {
                let tenant = key.split('/').next().unwrap_or_default();
                self.member.producer().send(crate::kafka::OutRecord {
                    topic: self.options.manifest,
                    partition: Some(millrace_schemas::key_partition(tenant.as_bytes(), self.n_partitions)),
                    key: key.as_bytes(),
                    value: None,
                    headers: &[],
                    tag: usize::MAX,
                })?;
            }
            self.commit()?;
            let named: HashSet<&String> = retired.iter().map(|gone| &gone.object).collect();
            self.deleted.retain(|object| named.contains(object));
        }
        if self.orphans_swept.is_none_or(|last| last.elapsed() >= self.options.orphan_interval) {
            self.orphans_swept = Some(Instant::now());
            self.collect_orphans()?;
        }
        Ok(())
    }

    fn read_all(&self) -> Result<Fold, ServiceError> {
        let mut fold = Fold::default();
        let partitions: Vec<i32> = (0..self.n_partitions).collect();
        read_to_mark(&self.service.config.kafka, self.options.manifest, &partitions, |_, _, key, value| {
            apply(&self.service, &mut fold, key, value)
        })?;
        Ok(fold)
    }

    /// Objects that no manifest names, whose range the group's committed offset has passed; the manifest is read after
    /// the offsets (I5).
    fn collect_orphans(&mut self) -> Result<(), ServiceError> {
        let mut listed = Vec::new();
        let bundles = format!("bundles/{}", self.options.stage);
        for folder in self.options.folders.iter().chain([&bundles]) {
            listed.extend(self.service.store.list(folder)?);
            // Nobody puts an object whose range has passed, so the same rule holds for what is half written.
            listed.extend(self.service.store.staged(folder));
        }
        if listed.iter().all(|object| self.fold.names(&object.path)) {
            return Ok(());
        }
        let admin = Admin::open(&self.service.config.kafka)?;
        let mut committed: BTreeMap<String, BTreeMap<i32, i64>> = BTreeMap::new();
        for topic in [millrace_schemas::topics::PARSED, millrace_schemas::topics::DEAD] {
            committed.insert(topic.to_owned(), admin.committed(self.options.stage, topic)?);
        }
        let owner = format!("{}-owner", self.options.stage);
        committed.insert(self.options.manifest.to_owned(), admin.committed(&owner, self.options.manifest)?);
        let fold = self.read_all()?;
        for object in listed.iter().filter(|object| !fold.names(&object.path)) {
            let Some((topic, partition, last)) = range_of(&object.path, self.options.manifest) else {
                continue;
            };
            let passed =
                committed.get(&topic).and_then(|own| own.get(&partition)).is_some_and(|next| *next > last);
            if passed {
                tracing::info!(object = object.path, bytes = object.size, "orphan deleted");
                if object.path.contains('#') {
                    self.service.store.delete_staged(&object.path)?;
                } else {
                    self.service.store.delete(&object.path)?;
                }
                metrics::object_deleted(self.options.stage, true);
            }
        }
        Ok(())
    }
}

/// A merge's record carries on the highest source offsets of what it replaces, so that the manifest alone can tell where
/// its group stood.
fn carried_sources(
    parts: &[millrace_schemas::manifest::LivePart],
) -> Vec<millrace_schemas::manifest::SourceRange> {
    let mut highest: BTreeMap<(String, i32), (i64, i64)> = BTreeMap::new();
    for source in parts.iter().flat_map(|live| &live.record.sources) {
        let own = highest.entry((source.topic.clone(), source.partition)).or_insert((source.from, source.to));
        *own = (own.0.min(source.from), own.1.max(source.to));
    }
    let range = |((topic, partition), (from, to))| millrace_schemas::manifest::SourceRange {
        topic,
        partition,
        from,
        to,
    };
    highest.into_iter().map(range).collect()
}

/// What an object's name says of its range: topic, partition, last offset. Inverse of the names that sinks and owners give.
fn range_of(path: &str, manifest: &str) -> Option<(String, i32, i64)> {
    let name = path.rsplit('/').next()?;
    let name = name.split('.').collect::<Vec<_>>();
    // `m<partition>-<offset>-<attempt>[.ext]`
    if let Some(rest) = name.first()?.strip_prefix('m')
        && let [partition, offset, _] = rest.split('-').collect::<Vec<_>>().as_slice()
    {
        return Some((manifest.to_owned(), partition.parse().ok()?, offset.parse().ok()?));
    }
    // `<topic>-<partition>-<first>-<last>-<attempt>`
    let whole = path.rsplit('/').next()?;
    let mut fields = whole.rsplitn(5, '-');
    let (_, last, _, partition, topic) =
        (fields.next()?, fields.next()?, fields.next()?, fields.next()?, fields.next()?);
    Some((topic.to_owned(), partition.parse().ok()?, last.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::range_of;

    #[test]
    fn names_tell_their_range() {
        let range = |path| range_of(path, "millrace.splits");
        assert_eq!(range("bundles/index/logs.parsed-3-10-99-ab12"), Some(("logs.parsed".into(), 3, 99)));
        assert_eq!(
            range("index/tenant=a/day=2026-01-01/m1-42-ff.split"),
            Some(("millrace.splits".into(), 1, 42))
        );
        assert_eq!(range("bundles/index/logs.parsed-3-10-99-ab12#1"), Some(("logs.parsed".into(), 3, 99)));
        assert_eq!(range("bundles/index/readme"), None);
    }
}
