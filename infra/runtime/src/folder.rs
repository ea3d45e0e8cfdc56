//! Folds the ledger: deltas that are old enough become cells of a compacted topic, and only then leave `millrace.ledger`.
//! Runs with the archiver, in the process that owns manifest partition 0.
//!
//! Exactly once: one transaction holds the cells that a step changed and the mark that says how far the ledger partition is
//! folded. A folder that starts takes the transactional id first, which fences the one before and ends what it left open,
//! and restores from the topic to its high watermark only then. After any error it starts anew.
//!
//! Memory: one step, and the cells of the newest minutes up to a bound. Older cells lie in the topic alone; a delta that
//! comes so late has the topic read through for them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use millrace_schemas::ledger::Delta;
use millrace_schemas::ledger::fold::{MARK_KEY, Recent, Step, mark};
use millrace_schemas::topics;

use crate::kafka::admin::Admin;
use crate::kafka::{Error, Guard, OutRecord, Tailer, TxnProducer, read_to_mark};
use crate::metrics;
use crate::service::{Service, ServiceError, topic_specs};
use crate::sink::now_micros;

/// Deltas of one step: some MB of memory, and a transaction of well under a second.
const STEP: usize = 50_000;
/// Cells kept of each ledger partition: hours of a hundred streams, in some 15 MB.
const KEPT: usize = 50_000;
/// Bytes that a delta takes on disk, compressed, with its share of the batch: careful, like the keeper's.
pub(crate) const DELTA_BYTES: i64 = 150;

/// Folds while `on`, until told to stop. A broker that does not answer is asked again at the next turn.
///
/// # Errors
/// *Exit*.
pub fn run(service: &Service, on: &AtomicBool) -> Result<(), ServiceError> {
    // Often enough that a delta waits little longer than it must, seldom enough that a cell is written once or twice.
    let interval =
        (service.config.ledger_fold_after / 10).clamp(Duration::from_secs(1), Duration::from_secs(60));
    let mut folder: Option<Folder> = None;
    while !service.stop.requested() {
        if on.load(Ordering::Relaxed) {
            let turned = match folder.take() {
                Some(own) => Ok(own),
                None => Folder::open(service),
            };
            match turned.and_then(|mut own| own.turn(on).map(|()| own)) {
                Ok(own) => folder = Some(own),
                Err(error) => tracing::warn!(%error, "the ledger could not be folded, trying again"),
            }
        } else {
            folder = None;
        }
        service.stop.sleep(interval);
    }
    Ok(())
}

struct Folder {
    service: Service,
    admin: Admin,
    producer: TxnProducer,
    partitions: BTreeMap<i32, Recent>,
    /// Deltas that a partition may hold whatever their age, so that the topic stays below its bound.
    room: i64,
}

impl Folder {
    fn open(service: &Service) -> Result<Folder, ServiceError> {
        let kafka = &service.config.kafka;
        // One id for the installation: a new folder fences the one before it. Before the restore, not after.
        let producer =
            TxnProducer::open(kafka, &format!("{}-ledger-fold", kafka.prefix), false, Guard::default())?;
        let specs = topic_specs(kafka.partitions)?;
        let spec = specs.iter().find(|spec| spec.name == topics::LEDGER);
        let n_partitions = spec.map_or(1, |spec| spec.partitions);
        let bound = spec.map_or(-1, |spec| spec.bound_mib);
        let room = if bound < 0 { i64::MAX } else { (bound << 19) / DELTA_BYTES / i64::from(n_partitions) };
        let all: Vec<i32> = (0..n_partitions).collect();
        let mut partitions: BTreeMap<i32, Recent> = all.iter().map(|own| (*own, Recent::new(KEPT))).collect();
        read_to_mark(kafka, topics::LEDGER_FOLDED, &all, |partition, offset, key, value| {
            if let (Some(value), Some(recent)) = (value, partitions.get_mut(&partition)) {
                recent.restore(key, decode(service, topics::LEDGER_FOLDED, partition, offset, value)?);
            }
            Ok(())
        })?;
        Ok(Folder { service: service.clone(), admin: Admin::open(kafka)?, producer, partitions, room })
    }

    /// Folds all that is due, then deletes what is folded.
    fn turn(&mut self, on: &AtomicBool) -> Result<(), ServiceError> {
        let age = self.service.config.ledger_fold_after.as_micros() as i64;
        let aged = self.admin.offsets_at(topics::LEDGER, (now_micros() - age) / 1_000)?;
        let mut unfolded = 0;
        for partition in self.partitions.keys().copied().collect::<Vec<_>>() {
            let (low, high) = self.admin.watermarks(topics::LEDGER, partition)?;
            let stable = self.admin.stable(topics::LEDGER, partition)?;
            let aged = aged.get(&partition).copied().unwrap_or(low);
            let until = aged.max(high.saturating_sub(self.room)).min(stable);
            let mut next = self.next(partition);
            if next < low {
                // Deleted by hand, or by a build that let the broker delete: what is gone cannot be folded.
                tracing::warn!(
                    partition,
                    from = next,
                    to = low,
                    "ledger deltas were deleted before they were folded"
                );
                next = self.fold(partition, low, low)?;
            }
            while next < until && on.load(Ordering::Relaxed) && !self.service.stop.requested() {
                next = self.fold(partition, next, until)?;
            }
            let folded = self.next(partition);
            if folded > low {
                self.admin.delete_before(topics::LEDGER, &BTreeMap::from([(partition, folded)]))?;
            }
            unfolded += high - folded.max(low);
        }
        metrics::unfolded(unfolded);
        Ok(())
    }

    fn next(&self, partition: i32) -> i64 {
        self.partitions.get(&partition).map_or(0, Recent::next)
    }

    /// One step from `from` on, at most to `until`; where the next one begins.
    fn fold(&mut self, partition: i32, from: i64, until: i64) -> Result<i64, ServiceError> {
        let (step, next) = self.read(partition, from, until)?;
        let Some(recent) = self.partitions.get(&partition) else { return Ok(until) };
        let old = self.fetch(partition, &recent.unknown(&step))?;
        let cells = recent.plan(&step, &old);
        self.producer.begin()?;
        let mut value = Vec::new();
        for cell in &cells {
            self.send(partition, &cell.key(), cell, &mut value)?;
        }
        self.send(partition, MARK_KEY, &mark(partition, next), &mut value)?;
        // What fails here ends this folder; the next one fences the producer, which aborts what it left open.
        self.producer.commit(None)?;
        metrics::folded(step.n_deltas() as u64, cells.len() as u64);
        if let Some(recent) = self.partitions.get_mut(&partition) {
            recent.committed(cells, next);
        }
        Ok(next)
    }

    /// Sums the deltas of one step; gives the offset below which they lie.
    fn read(&self, partition: i32, from: i64, until: i64) -> Result<(Step, i64), ServiceError> {
        let service = &self.service;
        let mut tailer =
            Tailer::open_at(&service.config.kafka, topics::LEDGER, &BTreeMap::from([(partition, from)]))?;
        let mut step = Step::from(from);
        let mut next = from;
        while next < until && step.n_deltas() < STEP {
            // Asked before the poll: what is behind it may be transaction markers alone.
            let at_end = tailer.caught_up();
            tailer.poll(Duration::from_millis(100), &mut |partition, offset, _, value| {
                if step.n_deltas() >= STEP {
                    return Ok(());
                }
                if let Some(value) = value.filter(|_| offset < until) {
                    step.add(offset, decode(service, topics::LEDGER, partition, offset, value)?);
                }
                next = until.min(offset + 1);
                Ok(())
            })?;
            if at_end {
                next = until;
            }
        }
        Ok((step, next))
    }

    /// What the topic holds of `keys`.
    fn fetch(
        &self,
        partition: i32,
        keys: &BTreeSet<String>,
    ) -> Result<BTreeMap<String, Delta>, ServiceError> {
        let mut found = BTreeMap::new();
        if keys.is_empty() {
            return Ok(found);
        }
        let (service, topic) = (&self.service, topics::LEDGER_FOLDED);
        read_to_mark(&service.config.kafka, topic, &[partition], |partition, offset, key, value| {
            let key = std::str::from_utf8(key).ok().filter(|key| keys.contains(*key));
            if let (Some(key), Some(value)) = (key, value) {
                found.insert(key.to_owned(), decode(service, topic, partition, offset, value)?);
            }
            Ok(())
        })?;
        Ok(found)
    }

    fn send(
        &mut self,
        partition: i32,
        key: &str,
        cell: &Delta,
        value: &mut Vec<u8>,
    ) -> Result<(), ServiceError> {
        value.clear();
        self.service.codecs.ledger().encode(cell, value)?;
        self.producer.send(OutRecord {
            topic: topics::LEDGER_FOLDED,
            partition: Some(partition),
            key: key.as_bytes(),
            value: Some(value),
            headers: &[],
            tag: usize::MAX,
        })?;
        Ok(())
    }
}

/// A record of the ledger or of its folded topic.
///
/// # Errors
/// *Exit*: it does not decode.
pub fn decode(
    service: &Service,
    topic: &str,
    partition: i32,
    offset: i64,
    value: &[u8],
) -> Result<Delta, Error> {
    service.codecs.ledger().decode(value).map_err(|error| {
        Error::Broken(format!("could not read {topic}/{partition} offset {offset}: {error}"))
    })
}
