//! The owner of a manifest partition: merges, deletes what was replaced, collects orphans.
//!
//! Whoever of the group `<stage>-owner` holds the partition is the only one that replaces parts in it. A change is one
//! record, committed with the manifest offset and the group's metadata, so that a zombie is fenced. The member that holds
//! partition 0 deletes objects, and only after it has read all manifest partitions.

mod merge;
mod sweep;

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use millrace_schemas::manifest::Fold;

use crate::kafka::admin::Admin;
use crate::kafka::{Batch, Class, Error, Guard, Member, MemberOptions, Polled, read_to_mark};
use crate::service::{Service, ServiceError};
use crate::sink::{Merger, apply};

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

    /// Commits the open transaction with the manifest offsets folded to.
    fn commit(&mut self) -> Result<(), Error> {
        let next = self.folded.iter().map(|(&partition, &next)| ((0, partition), next)).collect();
        self.member.commit(&next)
    }
}
