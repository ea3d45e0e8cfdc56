//! Keeps the bound on Kafka's disk: deletes records that every sink has committed, once they are past the wanted age or the
//! topic is near its bound, and marks topics that pass it all the same. Runs with the archiver, in the process that owns manifest partition 0.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use millrace_schemas::control::{ControlRecord, FlowMark};
use millrace_schemas::topics::{self, TopicSpec};

use crate::folder::DELTA_BYTES;
use crate::kafka::admin::Admin;
use crate::kafka::frontier::sink_frontier;
use crate::kafka::{Guard, OutRecord, TxnProducer};
use crate::metrics;
use crate::service::{Service, ServiceError, topic_specs};
use crate::sink::now_micros;

/// Time between looks.
const INTERVAL: Duration = Duration::from_secs(2);
/// A marked topic is released below this share of its bound.
const RELEASE: f64 = 0.8;
/// Sinks that must hold a record before it may go.
const SINKS: [&str; 2] = ["index", "archive"];

/// Looks after the topics while `on`, until told to stop. A broker that does not answer is asked again at the next look.
///
/// # Errors
/// *Exit*.
pub fn run(service: &Service, on: &AtomicBool) -> Result<(), ServiceError> {
    let mut keeper: Option<Keeper> = None;
    while !service.stop.requested() {
        if on.load(Ordering::Relaxed) {
            let looked = match &mut keeper {
                Some(keeper) => keeper.look(),
                None => Keeper::open(service).map(|own| keeper = Some(own)),
            };
            if let Err(error) = looked {
                tracing::warn!(%error, "the topics could not be looked after, trying again");
                keeper = None;
            }
        } else {
            keeper = None;
        }
        service.stop.sleep(INTERVAL);
    }
    Ok(())
}

/// Sizes of records per topic are not to be had from Kafka's client protocol; they are estimated from what is read.
struct Keeper {
    service: Service,
    admin: Admin,
    producer: TxnProducer,
    specs: Vec<TopicSpec>,
    marks: BTreeMap<String, bool>,
    unstable: BTreeMap<String, Instant>,
}

impl Keeper {
    /// A keeper for the topics that `infra/topics.toml` gives into its hands.
    fn open(service: &Service) -> Result<Keeper, ServiceError> {
        let kafka = &service.config.kafka;
        // One id for the installation: a new keeper fences the one before it.
        let id = format!("{}-keeper", kafka.prefix);
        Ok(Keeper {
            service: service.clone(),
            admin: Admin::open(kafka)?,
            producer: TxnProducer::open(kafka, &id, false, Guard::default())?,
            specs: topic_specs(kafka.partitions)?
                .into_iter()
                .filter(|spec| spec.owner_deletes)
                .map(|spec| bounded(spec, &service.config.bound_mib))
                .collect(),
            marks: BTreeMap::new(),
            unstable: BTreeMap::new(),
        })
    }

    fn look(&mut self) -> Result<(), ServiceError> {
        for spec in self.specs.clone() {
            let n_records = self.delete_old(&spec)?;
            let bytes = n_records * mean_record_bytes(&spec.name);
            let bound = if spec.bound_mib < 0 { i64::MAX } else { spec.bound_mib << 20 };
            let marked = self.marks.get(&spec.name).copied().unwrap_or(false);
            let wait = if marked { bytes as f64 > bound as f64 * RELEASE } else { bytes > bound };
            metrics::flow(&spec.name, wait, bytes);
            if wait != marked || !self.marks.contains_key(&spec.name) {
                self.mark(&spec.name, FlowMark { wait, bytes, bound })?;
                self.marks.insert(spec.name.clone(), wait);
            }
        }
        Ok(())
    }

    /// Deletes what may go; returns how many records are left.
    fn delete_old(&mut self, spec: &TopicSpec) -> Result<i64, ServiceError> {
        let held = self.held_by_all(&spec.name)?;
        let wanted = if spec.retention_hours < 0 {
            BTreeMap::new()
        } else {
            self.admin.offsets_at(&spec.name, now_micros() / 1_000 - spec.retention_hours * 3_600_000)?
        };
        // Records a partition may keep whatever its age, so that the topic stays below its bound.
        let room = match spec.bound_mib {
            ..0 => i64::MAX,
            mib => {
                ((mib << 20) as f64 * RELEASE) as i64
                    / mean_record_bytes(&spec.name)
                    / i64::from(spec.partitions.max(1))
            }
        };
        let mut before = BTreeMap::new();
        let (mut left, mut lag) = (0, 0);
        let mut open = false;
        for partition in 0..spec.partitions {
            let (low, high) = self.admin.watermarks(&spec.name, partition)?;
            let held = held.get(&partition).copied().unwrap_or(low);
            let aged = wanted.get(&partition).copied().unwrap_or(low);
            let until = held.min(aged.max(high.saturating_sub(room))).min(high);
            // In steps, so that a steady trickle does not mean a request each time.
            if until - low >= 1_000 || (until > low && until == high) {
                before.insert(partition, until);
            }
            left += high - until.max(low);
            lag += high - held.max(low);
            open |= self.admin.stable(&spec.name, partition)? < high;
        }
        if !before.is_empty() {
            self.admin.delete_before(&spec.name, &before)?;
        }
        if spec.name != topics::LEDGER {
            metrics::archive_lag(&spec.name, lag);
        }
        let age = if open {
            self.unstable.entry(spec.name.clone()).or_insert_with(Instant::now).elapsed().as_secs_f64()
        } else {
            self.unstable.remove(&spec.name);
            0.0
        };
        metrics::stable_age(&spec.name, age);
        Ok(left)
    }

    /// Offsets below which every sink holds the records of `topic`.
    fn held_by_all(&self, topic: &str) -> Result<BTreeMap<i32, i64>, ServiceError> {
        if topic == topics::LEDGER {
            return Ok(BTreeMap::new()); // the folder deletes there; the keeper only minds the bound
        }
        let kafka = &self.service.config.kafka;
        let mut held: Option<BTreeMap<i32, i64>> = None;
        let parsed = self.admin.committed("parse", topics::RAW)?;
        for sink in SINKS {
            let own = if topic == topics::RAW {
                let codecs = &self.service.codecs;
                let events = sink_frontier(kafka, &self.admin, codecs, sink, topics::PARSED, &parsed)?;
                least(events, &sink_frontier(kafka, &self.admin, codecs, sink, topics::DEAD, &parsed)?)
            } else {
                self.admin.committed(sink, topic)?
            };
            held = Some(match held {
                Some(held) => least(held, &own),
                None => own,
            });
        }
        Ok(held.unwrap_or_default())
    }

    fn mark(&mut self, topic: &str, mark: FlowMark) -> Result<(), ServiceError> {
        let record = ControlRecord::flow(topic, &mark);
        let mut value = Vec::new();
        self.service.codecs.control().encode(&record, &mut value)?;
        self.producer.begin()?;
        self.producer.send(OutRecord {
            topic: topics::CONTROL,
            partition: Some(0),
            key: record.key().as_bytes(),
            value: Some(&value),
            headers: &[],
            tag: usize::MAX,
        })?;
        self.producer.commit(None)?;
        Ok(())
    }
}

/// The topic with the installation's own bound, where it has one.
fn bounded(spec: TopicSpec, bounds: &[(String, i64)]) -> TopicSpec {
    let own = bounds.iter().find(|(name, _)| *name == spec.name);
    TopicSpec { bound_mib: own.map_or(spec.bound_mib, |(_, mib)| *mib), ..spec }
}

/// The lower of both, by partition; what one does not know, none holds.
fn least(a: BTreeMap<i32, i64>, b: &BTreeMap<i32, i64>) -> BTreeMap<i32, i64> {
    a.into_iter().filter_map(|(partition, own)| Some((partition, own.min(*b.get(&partition)?)))).collect()
}

/// Bytes that a record takes on disk with its share of the batch, lz4-compressed: a careful estimate for lines of 200 B.
fn mean_record_bytes(topic: &str) -> i64 {
    match topic {
        topics::PARSED => 400,
        topics::LEDGER => DELTA_BYTES,
        _ => 250,
    }
}
