//! What a sink gathers between two commits: rows in a builder, and what is owed for them.

use std::collections::BTreeMap;
use std::time::Instant;

use millrace_schemas::dead::{self, DeadLetter};
use millrace_schemas::ledger::{Delta, Tally, edge};
use millrace_schemas::manifest::SourceRange;
use millrace_schemas::topics::GENERATION;
use millrace_schemas::{CodecError, Event, RawEvent};

use super::foreign::{self, Foreign};
use super::run::TOPICS;
use super::send::attempt;
use super::{BundleBuilder, SinkOptions};
use crate::kafka::{Batch, Record};
use crate::metrics;
use crate::registry::RegistryError;
use crate::service::{Service, ServiceError};

/// What lies between two commits.
pub(super) struct Open<B> {
    pub(super) builder: B,
    /// Since when it holds something.
    pub(super) since: Option<Instant>,
    /// Counts by generation.
    tallies: BTreeMap<i32, Tally>,
    pub(super) foreign: Vec<Foreign>,
    /// First offset and next offset by (topic, partition).
    next: BTreeMap<(usize, i32), (i64, i64)>,
    pub(super) n_records: u64,
    pub(super) bytes: u64,
}

impl<B: BundleBuilder> Open<B> {
    pub(super) fn new(builder: B) -> Self {
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

    pub(super) fn is_empty(&self) -> bool {
        self.next.is_empty()
    }

    /// Bytes of memory that it takes, roughly.
    pub(super) fn buffered(&self) -> usize {
        self.builder.buffered() + self.foreign.iter().map(Foreign::len).sum::<usize>()
    }

    /// Named after the first partition it covers: where that one's committed offset has passed, the transaction of this
    /// bundle is decided (I5).
    pub(super) fn name(&self) -> String {
        let first = self.next.first_key_value();
        let (&(topic, partition), &(from, to)) = first.unwrap_or((&(0, 0), &(0, 0)));
        let topic = TOPICS[topic.min(1)];
        format!("{topic}-{partition}-{from}-{}-{}", to - 1, attempt())
    }

    /// The records that it covers.
    pub(super) fn sources(&self) -> Vec<SourceRange> {
        let range = |(&(topic, partition), &(from, to)): (&(usize, i32), &(i64, i64))| SourceRange {
            topic: TOPICS[topic.min(1)].to_owned(),
            partition,
            from,
            to,
        };
        self.next.iter().map(range).collect()
    }

    /// Where to go on behind it, by (topic, partition).
    pub(super) fn next(&self) -> BTreeMap<(usize, i32), i64> {
        self.next.iter().map(|(&at, &(_, next))| (at, next)).collect()
    }

    /// What it adds to the ledger; taken once.
    pub(super) fn take_deltas(&mut self, stage: &str) -> Vec<Delta> {
        foreign::count(&self.foreign, &mut self.tallies);
        let tallies = std::mem::take(&mut self.tallies).into_iter();
        tallies.flat_map(|(generation, tally)| tally.into_deltas(stage, generation)).collect()
    }

    /// Adds a record.
    ///
    /// # Errors
    /// The builder's, and a registry that is away.
    pub(super) fn gather(
        &mut self,
        service: &mut Service,
        options: &SinkOptions,
        batch: &Batch,
        record: &Record,
    ) -> Result<(), ServiceError> {
        let offsets =
            self.next.entry((record.topic, record.partition)).or_insert((record.offset, record.offset));
        offsets.1 = record.offset + 1;
        self.since.get_or_insert_with(Instant::now);
        self.n_records += 1;
        let value = batch.value(record).unwrap_or_default();
        if record.topic == 1 {
            let letter = match DeadLetter::from_headers(|name| batch.header(record, name)) {
                Ok(letter) => letter,
                Err(error) => {
                    self.foreign(options, batch, record, &error.to_string());
                    return Ok(());
                }
            };
            let raw = match service.codecs.raw().decode::<RawEvent<'_>>(value) {
                // What came from elsewhere than `logs.raw` is no line of ours, whatever it looks like.
                Ok(raw) if letter.generation() >= 0 => raw,
                _ => dead::undecodable(batch.key(record), value, received_of(batch, record)),
            };
            if batch.header(record, dead::AGAIN).is_some() {
                // Stored with its first letter: one line, one row.
                let tally = self.tallies.entry(dead::SENT_AGAIN).or_default();
                tally.count(edge::DEAD, &raw, letter.partition, letter.offset);
                return Ok(());
            }
            self.bytes += raw.body.len() as u64;
            if let Some(edge) = letter.stored_edge() {
                let tally = self.tallies.entry(letter.generation()).or_default();
                tally.count(edge, &raw, letter.partition, letter.offset);
            }
            return Ok(self.builder.add_dead(&letter, &raw, letter.generation())?);
        }
        let event = match decode(service, value)? {
            Ok(event) => event,
            Err(reason) => {
                self.foreign(options, batch, record, &reason);
                return Ok(());
            }
        };
        self.bytes += event.body.len() as u64;
        let is_redriven = event.flags.iter().any(|flag| flag == dead::REDRIVEN);
        let generation = if is_redriven { dead::SENT_AGAIN } else { GENERATION };
        let tally = self.tallies.entry(generation).or_default();
        tally.count(edge::IN, &event, event.origin.partition, event.origin.offset);
        Ok(self.builder.add_event(&event, value)?)
    }

    /// A record that no stage of ours wrote: it becomes a dead letter, or is passed over for the sink that makes it one.
    fn foreign(&mut self, options: &SinkOptions, batch: &Batch, record: &Record, reason: &str) {
        let (topic, partition, offset) = (TOPICS[record.topic.min(1)], record.partition, record.offset);
        tracing::debug!(stage = options.stage, topic, partition, offset, reason, "record is not ours");
        metrics::records(options.stage, "foreign", 1, 0);
        if options.writes_letters {
            self.foreign.push(Foreign::new(topic, batch, record, reason));
        }
    }
}

/// Reads an event, also of a newer build; the inner error says why it is none.
fn decode<'v>(service: &mut Service, value: &'v [u8]) -> Result<Result<Event<'v>, String>, ServiceError> {
    let codecs = &mut service.codecs;
    let id = match codecs.parsed().decode::<Event<'v>>(value) {
        Ok(event) => return Ok(Ok(event)),
        Err(CodecError::UnknownSchema { id }) => id,
        Err(error) => return Ok(Err(error.to_string())),
    };
    let learned = match service.registry.schema(id) {
        Ok(text) => codecs.learn_parsed(id, &text),
        Err(RegistryError::Codec(denied)) => Err(denied),
        Err(away @ RegistryError::Away { .. }) => return Err(away.into()),
    };
    let decoded = learned.and_then(|()| codecs.parsed().decode::<Event<'v>>(value));
    Ok(decoded.map_err(|error| error.to_string()))
}

/// When the line of an undecodable record was received, as its stage wrote it down.
fn received_of(batch: &Batch, record: &Record) -> i64 {
    let text = batch.header(record, dead::RECEIVED).and_then(|value| std::str::from_utf8(value).ok());
    text.and_then(|text| text.parse().ok()).unwrap_or(record.timestamp * 1_000)
}
