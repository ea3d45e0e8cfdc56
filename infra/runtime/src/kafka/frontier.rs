//! How far a stage has read, in raw offsets: what the ledger compares below, and what may be deleted.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use millrace_schemas::Event;
use millrace_schemas::dead::{DeadLetter, FROM_DEAD, FROM_PARSED, SENT_AGAIN};
use millrace_schemas::ledger::{CHAIN, Check, Frontiers, Side, edge, stage};
use millrace_schemas::topics::{self, GENERATION};
use rdkafka::consumer::Consumer;
use rdkafka::error::KafkaError;
use rdkafka::message::{Headers, Message};
use rdkafka::{Offset, TopicPartitionList};

use super::admin::Admin;
use super::patience::unreachable;
use super::{Error, Kafka};
use crate::registry::Codecs;

/// Raw offsets below which `service` has read everything of `topic` (`logs.parsed` or `logs.dead`), by partition. `parsed`
/// are the committed offsets of `parse` on `logs.raw`, read *before* this call: what parse has passed but the sink has not
/// shows as the first record behind the sink's committed offset.
///
/// # Errors
/// `Unreachable`, or a refusal.
pub fn sink_frontier(
    kafka: &Kafka,
    admin: &Admin,
    codecs: &Codecs,
    service: &str,
    topic: &str,
    parsed: &BTreeMap<i32, i64>,
) -> Result<BTreeMap<i32, i64>, Error> {
    let unread = unread(kafka, admin, codecs, service, topic)?;
    let partitions = 0..admin.partitions(topic)?;
    Ok(partitions.map(|partition| (partition, frontier(parsed, &unread, partition))).collect())
}

fn frontier(parsed: &BTreeMap<i32, i64>, unread: &BTreeMap<i32, i64>, partition: i32) -> i64 {
    let parsed = parsed.get(&partition).copied().unwrap_or(0);
    unread.get(&partition).map_or(parsed, |origin| parsed.min(*origin))
}

/// The raw offset of the first record behind the sink's committed offset, for partitions that have one. Of a line that was
/// sent again it is that of the original, which is lower than need be: more counts as in flight, for as long as it is there.
fn unread(
    kafka: &Kafka,
    admin: &Admin,
    codecs: &Codecs,
    service: &str,
    topic: &str,
) -> Result<BTreeMap<i32, i64>, Error> {
    let at = next_offsets(admin, service, topic)?;
    let mut unread = BTreeMap::new();
    first_records(kafka, topic, &at, |partition, message| {
        let origin = if topic == topics::DEAD {
            let find = |name: &str| {
                let headers = message.headers()?;
                headers.iter().find(|header| header.key == name).and_then(|header| header.value)
            };
            // Letters from elsewhere carry offsets of another topic: they say nothing of `logs.raw`.
            let letter = DeadLetter::from_headers(find).ok().filter(|letter| letter.topic == topics::RAW);
            letter.map(|letter| letter.offset)
        } else {
            let event = message.payload().and_then(|value| codecs.parsed().decode::<Event<'_>>(value).ok());
            event.map(|event| event.origin.offset)
        };
        unread.insert(partition, origin.unwrap_or(0));
    })?;
    Ok(unread)
}

/// Where `service` goes on, by partition.
fn next_offsets(admin: &Admin, service: &str, topic: &str) -> Result<BTreeMap<i32, i64>, Error> {
    let committed = admin.committed(service, topic)?;
    let mut at = BTreeMap::new();
    for partition in 0..admin.partitions(topic)? {
        let (low, _) = admin.watermarks(topic, partition)?;
        at.insert(partition, committed.get(&partition).copied().unwrap_or(low).max(low));
    }
    Ok(at)
}

/// The frontiers of every check of the ledger's chain.
///
/// # Errors
/// `Unreachable`, or a refusal.
pub fn frontiers(kafka: &Kafka, admin: &Admin, codecs: &Codecs) -> Result<Frontiers, Error> {
    let parsed = admin.committed(stage::PARSE, topics::RAW)?;
    let judged = admin.committed(stage::PARSE, topics::REDRIVE)?;
    let lettered = lettered(admin)?;
    let mut all = Vec::new();
    for Check { downstream: Side { stages, edges }, name, .. } in CHAIN {
        // What several stages read has no one frontier; no check has such a downstream.
        let [stage] = *stages else {
            return Err(Error::Broken(format!("{name} has not one reader")));
        };
        let topic = if edges == [edge::DEAD] { topics::DEAD } else { topics::PARSED };
        if edges == [edge::LETTER] {
            all.push(letter_frontier(kafka, admin, stage, &lettered)?);
            continue;
        }
        let unread = match stage {
            stage::PARSE => BTreeMap::new(),
            service => unread(kafka, admin, codecs, service, topic)?,
        };
        let raw = parsed.keys().map(|at| ((GENERATION, *at), frontier(&parsed, &unread, *at)));
        // What became of lines that were sent again has been read where nothing is left to read.
        let again = judged.iter().filter(|(at, _)| !unread.contains_key(at));
        all.push(raw.chain(again.map(|(at, next)| ((SENT_AGAIN, *at), *next))).collect());
    }
    Ok(Frontiers(all))
}

/// Offsets below which the archiver has made letters of all foreign records, by generation of the letters and partition.
fn lettered(admin: &Admin) -> Result<BTreeMap<(i32, i32), i64>, Error> {
    let mut offsets = BTreeMap::new();
    for (generation, topic) in [(FROM_PARSED, topics::PARSED), (FROM_DEAD, topics::DEAD)] {
        let committed = admin.committed(stage::ARCHIVE, topic)?;
        offsets.extend(committed.into_iter().map(|(partition, next)| ((generation, partition), next)));
    }
    Ok(offsets)
}

/// Offsets below which `service` has stored all letters of foreign records: those that were written when `lettered` was
/// taken, in partitions of `logs.dead` that it has read to the end since; in others none that is known.
fn letter_frontier(
    kafka: &Kafka,
    admin: &Admin,
    service: &str,
    lettered: &BTreeMap<(i32, i32), i64>,
) -> Result<BTreeMap<(i32, i32), i64>, Error> {
    let at = next_offsets(admin, service, topics::DEAD)?;
    let mut frontier = lettered.clone();
    first_records(kafka, topics::DEAD, &at, |unread, _| {
        frontier.retain(|(_, partition), _| *partition != unread);
    })?;
    Ok(frontier)
}

/// Gives the first committed record at or after the given offsets, for partitions that have one.
fn first_records(
    kafka: &Kafka,
    topic: &str,
    at: &BTreeMap<i32, i64>,
    mut each: impl FnMut(i32, &rdkafka::message::BorrowedMessage<'_>),
) -> Result<(), Error> {
    let refused = |source| Error::Refused { action: format!("read {topic}"), source };
    let consumer = kafka.reader("read_committed").map_err(refused)?;
    let mut assignment = TopicPartitionList::new();
    for (&partition, &next) in at {
        assignment.add_partition_offset(topic, partition, Offset::Offset(next)).map_err(refused)?;
    }
    consumer.assign(&assignment).map_err(refused)?;
    let mut waiting: Vec<i32> = at.keys().copied().collect();
    let start = Instant::now();
    while !waiting.is_empty() && start.elapsed() < Duration::from_secs(30) {
        match consumer.poll(Duration::from_millis(100)) {
            Some(Ok(message)) if waiting.contains(&message.partition()) => {
                waiting.retain(|own| *own != message.partition());
                each(message.partition(), &message);
            }
            Some(Err(KafkaError::PartitionEOF(partition))) => waiting.retain(|own| *own != partition),
            Some(Err(source)) => {
                if let Some(error) = Error::polling(topic, source) {
                    return Err(error);
                }
            }
            Some(Ok(_)) | None => {}
        }
    }
    if waiting.is_empty() {
        return Ok(());
    }
    Err(unreachable(kafka, &format!("read {topic} to its end"), "no end after 30 s"))
}
