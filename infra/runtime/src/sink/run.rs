//! The loop of a sink: read, gather, put one object, commit its manifest records, ledger deltas and offsets (I2, I5).

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use millrace_schemas::dead::{self, DeadLetter};
use millrace_schemas::ledger::{Delta, Tally, edge};
use millrace_schemas::manifest::{Fold, ManifestRecord, SourceRange};
use millrace_schemas::topics::{self, GENERATION};
use millrace_schemas::{CodecError, Event, RawEvent};
use xxhash_rust::xxh3::xxh3_128;

use super::foreign::{self, Foreign};
use super::send::{attempt, now_micros, put_until, send_deltas, send_manifest};
use super::{BuildError, BundleBuilder, Sealed};
use crate::kafka::admin::Admin;
use crate::kafka::{
    Batch, Class, Error, Guard, Member, MemberOptions, Polled, Record, Resolve, read_to_mark,
};
use crate::metrics;
use crate::registry::RegistryError;
use crate::service::{Service, ServiceError};

/// What every sink reads.
const TOPICS: [&str; 2] = [topics::PARSED, topics::DEAD];

/// What a sink is.
#[derive(Debug, Clone)]
pub struct SinkOptions {
    /// Stage and consumer group: `index`, `archive`.
    pub stage: &'static str,
    /// Manifest topic.
    pub manifest: &'static str,
    /// A bundle is committed at least this often when there is data.
    pub commit_interval: Duration,
    /// And when what is gathered takes this much memory.
    pub max_buffer_bytes: usize,
    /// Whether records that no stage of ours wrote become letters of this sink: so it is for one sink alone, since every
    /// sink reads all of them. The others pass over them, and store the letters.
    pub writes_letters: bool,
    /// When a transaction is in doubt.
    pub guard: Guard,
}

/// Runs until told to stop; what is gathered is committed before. `make` gives an empty builder.
///
/// # Errors
/// Of class *Exit*.
pub fn run<B: BundleBuilder>(
    service: &Service,
    options: &SinkOptions,
    slot: u32,
    make: impl Fn() -> Result<B, BuildError>,
) -> Result<(), ServiceError> {
    let kafka = &service.config.kafka;
    let n_manifest_partitions = Admin::open(kafka)?.partitions(options.manifest)?;
    let member = Member::join(
        kafka,
        MemberOptions {
            service: options.stage.to_owned(),
            slot,
            loop_number: 0,
            topics: TOPICS.map(str::to_owned).to_vec(),
            with_headers: vec![topics::DEAD.to_owned()],
            resolve: resolve_from_manifest(service, options.manifest, n_manifest_partitions),
            guard: options.guard,
        },
    )?;
    let mut sink = Sink {
        service: service.clone(),
        options: options.clone(),
        member,
        n_manifest_partitions,
        open: Open::new(make()?),
    };
    let mut ready = false;
    let mut batch = Batch::default();
    loop {
        service.health.turned(options.stage, ready);
        let step = sink.step(&mut batch, service.stop.requested());
        match step {
            Ok(Step::Assigned) => {
                ready = true;
                sink.open = Open::new(make()?);
            }
            Ok(Step::Revoked) => {
                ready = false;
                sink.open = Open::new(make()?);
            }
            Ok(Step::Committed) => sink.open = Open::new(std::mem::replace(&mut sink.open.builder, make()?)),
            Ok(Step::Gathered) => {}
            Err(error) => {
                sink.open = Open::new(make()?);
                match (error.class(), error) {
                    (Class::Abort, error) => {
                        tracing::warn!(stage = options.stage, %error, "transaction aborted, reading again");
                        if let Err(error) = sink.member.rewind() {
                            sink.member.rejoin(&error, &service.stop)?;
                        }
                    }
                    (Class::Rejoin, ServiceError::Kafka(error)) => {
                        sink.member.rejoin(&error, &service.stop)?
                    }
                    (Class::Exit, ServiceError::Store(error)) if service.stop.requested() => {
                        tracing::warn!(stage = options.stage, %error, "stopped while the store was away");
                        return Ok(());
                    }
                    (Class::Rejoin | Class::Exit, error) => return Err(error),
                }
            }
        }
        if service.stop.requested() && sink.open.next.is_empty() {
            return Ok(());
        }
    }
}

/// What lies between two commits.
struct Open<B> {
    builder: B,
    since: Option<Instant>,
    /// Counts by generation.
    tallies: BTreeMap<i32, Tally>,
    foreign: Vec<Foreign>,
    /// First offset and next offset by (topic, partition).
    next: BTreeMap<(usize, i32), (i64, i64)>,
    n_records: u64,
    bytes: u64,
}

impl<B> Open<B> {
    fn new(builder: B) -> Self {
        Open {
            builder,
            since: None,
            tallies: BTreeMap::new(),
            foreign: Vec::new(),
            next: BTreeMap::new(),
            n_records: 0,
            bytes: 0,
        }
    }
}

enum Step {
    Assigned,
    Revoked,
    Gathered,
    Committed,
}

struct Sink<B> {
    service: Service,
    options: SinkOptions,
    member: Member,
    n_manifest_partitions: i32,
    open: Open<B>,
}

impl<B: BundleBuilder> Sink<B> {
    fn step(&mut self, batch: &mut Batch, stopping: bool) -> Result<Step, ServiceError> {
        let left = match self.open.since {
            Some(since) => self.options.commit_interval.saturating_sub(since.elapsed()),
            None => Duration::from_millis(100),
        };
        if !stopping || self.open.next.is_empty() {
            let wait = left.min(Duration::from_millis(100));
            match self.member.poll(batch, 20_000, 8 << 20, wait, Duration::ZERO)? {
                Polled::Assigned(_) => return Ok(Step::Assigned),
                Polled::Revoked => return Ok(Step::Revoked),
                Polled::Records => {}
            }
            for record in &batch.records {
                self.gather(batch, record)?;
            }
        }
        let Some(since) = self.open.since else { return Ok(Step::Gathered) };
        let foreign: usize = self.open.foreign.iter().map(Foreign::len).sum();
        let full = self.open.builder.buffered() + foreign >= self.options.max_buffer_bytes;
        if full || stopping || since.elapsed() >= self.options.commit_interval {
            self.commit()?;
            return Ok(Step::Committed);
        }
        Ok(Step::Gathered)
    }

    fn gather(&mut self, batch: &Batch, record: &Record) -> Result<(), ServiceError> {
        let offsets =
            self.open.next.entry((record.topic, record.partition)).or_insert((record.offset, record.offset));
        offsets.1 = record.offset + 1;
        self.open.since.get_or_insert_with(Instant::now);
        self.open.n_records += 1;
        let value = batch.value(record).unwrap_or_default();
        if record.topic == 1 {
            let letter = match DeadLetter::from_headers(|name| batch.header(record, name)) {
                Ok(letter) => letter,
                Err(error) => {
                    self.foreign(batch, record, &error.to_string());
                    return Ok(());
                }
            };
            let raw = match self.service.codecs.raw().decode::<RawEvent<'_>>(value) {
                // What came from elsewhere than `logs.raw` is no line of ours, whatever it looks like.
                Ok(raw) if letter.generation() >= 0 => raw,
                _ => dead::undecodable(batch.key(record), value, received_of(batch, record)),
            };
            if batch.header(record, dead::AGAIN).is_some() {
                // Stored with its first letter: one line, one row.
                let tally = self.open.tallies.entry(dead::SENT_AGAIN).or_default();
                tally.count(edge::DEAD, &raw, letter.partition, letter.offset);
                return Ok(());
            }
            self.open.bytes += raw.body.len() as u64;
            if let Some(edge) = letter.stored_edge() {
                let tally = self.open.tallies.entry(letter.generation()).or_default();
                tally.count(edge, &raw, letter.partition, letter.offset);
            }
            return Ok(self.open.builder.add_dead(&letter, &raw, letter.generation())?);
        }
        let event = match self.decode(value)? {
            Ok(event) => event,
            Err(reason) => {
                self.foreign(batch, record, &reason);
                return Ok(());
            }
        };
        self.open.bytes += event.body.len() as u64;
        let is_redriven = event.flags.iter().any(|flag| flag == dead::REDRIVEN);
        let generation = if is_redriven { dead::SENT_AGAIN } else { GENERATION };
        let tally = self.open.tallies.entry(generation).or_default();
        tally.count(edge::IN, &event, event.origin.partition, event.origin.offset);
        Ok(self.open.builder.add_event(&event, value)?)
    }

    /// Reads an event, also of a newer build; the inner error says why it is none.
    fn decode<'v>(&mut self, value: &'v [u8]) -> Result<Result<Event<'v>, String>, ServiceError> {
        let codecs = &mut self.service.codecs;
        let id = match codecs.parsed().decode::<Event<'v>>(value) {
            Ok(event) => return Ok(Ok(event)),
            Err(CodecError::UnknownSchema { id }) => id,
            Err(error) => return Ok(Err(error.to_string())),
        };
        let learned = match self.service.registry.schema(id) {
            Ok(text) => codecs.learn_parsed(id, &text),
            Err(RegistryError::Codec(denied)) => Err(denied),
            Err(away @ RegistryError::Away { .. }) => return Err(away.into()),
        };
        let decoded = learned.and_then(|()| codecs.parsed().decode::<Event<'v>>(value));
        Ok(decoded.map_err(|error| error.to_string()))
    }

    /// A record that no stage of ours wrote: it becomes a dead letter, or is passed over for the sink that makes it one.
    fn foreign(&mut self, batch: &Batch, record: &Record, reason: &str) {
        let (topic, partition, offset) = (TOPICS[record.topic.min(1)], record.partition, record.offset);
        tracing::debug!(stage = self.options.stage, topic, partition, offset, reason, "record is not ours");
        metrics::records(self.options.stage, "foreign", 1, 0);
        if self.options.writes_letters {
            self.open.foreign.push(Foreign::new(topic, batch, record, reason));
        }
    }

    fn commit(&mut self) -> Result<(), ServiceError> {
        let id = self.name();
        let Sealed { bytes, parts } = self.open.builder.seal(&id)?;
        let path = format!("bundles/{}/{id}", self.options.stage);
        let (size, checksum) = (bytes.len(), format!("{:032x}", xxh3_128(&bytes)));
        if !parts.is_empty() {
            self.put(&path, bytes)?;
        }
        let sources: Vec<SourceRange> = self
            .open
            .next
            .iter()
            .map(|(&(topic, partition), &(from, to))| SourceRange {
                topic: TOPICS[topic.min(1)].to_owned(),
                partition,
                from,
                to,
            })
            .collect();
        let records: Vec<ManifestRecord> = parts
            .into_iter()
            .map(|(tenant, parts)| ManifestRecord {
                id: id.clone(),
                tenant,
                object: path.clone(),
                size: size as i64,
                checksum: checksum.clone(),
                created: now_micros(),
                group: self.options.stage.to_owned(),
                sources: sources.clone(),
                parts,
                replaces: Vec::new(),
            })
            .collect();
        foreign::count(&self.open.foreign, &mut self.open.tallies);
        let deltas: Vec<Delta> = std::mem::take(&mut self.open.tallies)
            .into_iter()
            .flat_map(|(generation, tally)| tally.into_deltas(self.options.stage, generation))
            .collect();
        self.member.producer().begin()?;
        let mut value = Vec::new();
        foreign::send(&self.open.foreign, &mut self.member.producer())?;
        for record in &records {
            send_manifest(
                &mut self.member.producer(),
                &self.service,
                self.options.manifest,
                self.n_manifest_partitions,
                record,
                &mut value,
            )?;
        }
        send_deltas(&mut self.member.producer(), &self.service, &deltas, &mut value)?;
        let next = self.open.next.iter().map(|(&at, &(_, next))| (at, next)).collect();
        self.member.commit(&next)?;
        let n_foreign = self.open.foreign.len();
        if n_foreign > 0 {
            tracing::error!(
                stage = self.options.stage,
                n_foreign,
                "records that no stage of ours wrote became dead letters, see reason:foreign"
            );
        }
        metrics::records(self.options.stage, "stored", self.open.n_records, self.open.bytes);
        metrics::object_put(self.options.stage, "bundle", size as u64);
        Ok(())
    }

    /// Named after the first partition it covers: where that one's committed offset has passed, the transaction of this
    /// bundle is decided (I5).
    fn name(&self) -> String {
        let first = self.open.next.first_key_value();
        let (&(topic, partition), &(from, to)) = first.unwrap_or((&(0, 0), &(0, 0)));
        let topic = TOPICS[topic.min(1)];
        format!("{topic}-{partition}-{from}-{}-{}", to - 1, attempt())
    }

    /// Puts the bundle, for as long as it takes: a store that is away is back-pressure, not an error.
    fn put(&self, path: &str, bytes: Vec<u8>) -> Result<(), ServiceError> {
        put_until(&self.service, self.options.stage, path, bytes)
    }
}

/// Where a group without offsets goes on: what its manifest holds is stored already.
fn resolve_from_manifest(service: &Service, manifest: &'static str, n_partitions: i32) -> Resolve {
    let service = service.clone();
    Arc::new(move |missing| {
        let mut fold = Fold::default();
        let partitions: Vec<i32> = (0..n_partitions).collect();
        read_to_mark(&service.config.kafka, manifest, &partitions, |_, _, key, value| {
            apply(&service, &mut fold, key, value)
        })?;
        Ok(missing.iter().map(|(topic, partition)| fold.next_offset(topic, *partition)).collect())
    })
}

/// Applies a record of a manifest topic to a fold.
///
/// # Errors
/// *Exit*: it does not decode.
pub fn apply(service: &Service, fold: &mut Fold, key: &[u8], value: Option<&[u8]>) -> Result<(), Error> {
    let key = String::from_utf8_lossy(key);
    let record = match value {
        Some(value) => Some(service.codecs.manifest().decode::<ManifestRecord>(value).map_err(|error| {
            Error::Broken(format!(
                "could not read manifest record {key}: {error}; is the registry the one it was written with?"
            ))
        })?),
        None => None,
    };
    fold.apply(&key, record);
    Ok(())
}

/// When the line of an undecodable record was received, as its stage wrote it down.
fn received_of(batch: &Batch, record: &Record) -> i64 {
    let text = batch.header(record, dead::RECEIVED).and_then(|value| std::str::from_utf8(value).ok());
    text.and_then(|text| text.parse().ok()).unwrap_or(record.timestamp * 1_000)
}
