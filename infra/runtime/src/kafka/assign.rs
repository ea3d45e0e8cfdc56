//! Where a member's consumer begins: it assigns every partition at an explicit offset, on its own.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};

use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext};
use rdkafka::error::KafkaError;
use rdkafka::types::RDKafkaRespErr;
use rdkafka::{ClientContext, Offset, TopicPartitionList};

use super::admin::Difference;
use super::patience::patiently;
use super::restore::{partition_count, watermarks};
use super::transaction::Flight;
use super::{CALL, Error, Kafka, heard};
use crate::service::topic_specs;

/// Where to begin partitions whose committed offset is missing: for each (topic, partition) the offset that the changelog
/// or manifest holds, if any.
pub type Resolve = Arc<dyn Fn(&[(String, i32)]) -> Result<Vec<Option<i64>>, Error> + Send + Sync>;

/// What a poll brought.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Polled {
    /// Partitions are now this member's, each with the offset it goes on from. Restore before the next poll.
    Assigned(Vec<(String, i32, i64)>),
    /// All partitions were taken away: drop what belongs to them.
    Revoked,
    /// Records, or nothing, are in the batch.
    Records,
}

/// Hears of partitions that come and go.
pub(super) struct Context {
    kafka: Kafka,
    resolve: Resolve,
    events: Mutex<Vec<Result<Polled, Error>>>,
    flight: Arc<Flight>,
}

impl ClientContext for Context {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        heard::tell(level, facility, message);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        heard::passing(&error, reason);
    }
}

impl ConsumerContext for Context {
    fn rebalance(
        &self,
        consumer: &BaseConsumer<Self>,
        code: RDKafkaRespErr,
        partitions: &mut TopicPartitionList,
    ) {
        // What is under way carries offsets of partitions that are still this member's.
        self.flight.wait();
        let event = match code {
            RDKafkaRespErr::RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS => self.assign(consumer, partitions),
            _ => {
                let refused = |source| Error::Refused { action: "give up partitions".to_owned(), source };
                consumer.unassign().map(|()| Polled::Revoked).map_err(refused)
            }
        };
        self.events.lock().unwrap_or_else(PoisonError::into_inner).push(event);
    }
}

impl Context {
    /// Nothing has come yet. A rebalance waits until `flight` is decided.
    pub(super) fn new(kafka: &Kafka, resolve: &Resolve, flight: &Arc<Flight>) -> Context {
        let (kafka, resolve, flight) = (kafka.clone(), resolve.clone(), flight.clone());
        Context { kafka, resolve, events: Mutex::default(), flight }
    }

    /// Whether no partitions have come or gone since the last poll.
    pub(super) fn is_quiet(&self) -> bool {
        self.events.lock().unwrap_or_else(PoisonError::into_inner).is_empty()
    }

    /// The first of what has come or gone since.
    pub(super) fn next(&self) -> Option<Result<Polled, Error>> {
        let mut events = self.events.lock().unwrap_or_else(PoisonError::into_inner);
        (!events.is_empty()).then(|| events.remove(0))
    }

    /// Assigns every partition at an explicit offset: the committed one, else what changelog or manifest hold, else the
    /// start of the log.
    fn assign(
        &self,
        consumer: &BaseConsumer<Self>,
        partitions: &TopicPartitionList,
    ) -> Result<Polled, Error> {
        let refused = |source| Error::Refused { action: "assign partitions".to_owned(), source };
        self.check_counts(consumer, partitions)?;
        let committed = self.committed(consumer, partitions)?;
        let missing: Vec<(String, i32)> = committed
            .elements()
            .iter()
            .filter(|element| !matches!(element.offset(), Offset::Offset(_)))
            .map(|element| (element.topic().to_owned(), element.partition()))
            .collect();
        let known = if missing.is_empty() { Vec::new() } else { (self.resolve)(&missing)? };
        let resolved: BTreeMap<_, _> = missing.iter().zip(known).collect();
        if !resolved.is_empty() {
            tracing::info!(partitions = ?resolved, "no committed offsets; on from changelog or manifest, else from the log start");
        }
        let mut at = TopicPartitionList::new();
        let mut assigned = Vec::new();
        for element in committed.elements() {
            let (topic, partition) = (element.topic(), element.partition());
            let (low, high) = watermarks(&self.kafka, consumer, topic, partition)?;
            let next = match element.offset() {
                Offset::Offset(next) => next,
                _ => resolved.get(&(topic.to_owned(), partition)).copied().flatten().unwrap_or(low),
            };
            if next < low {
                return Err(Error::Broken(format!(
                    "records {next}..{low} of {topic}/{partition} were deleted before they were read; \
                     restore them, or move the group's offset past them with Kafka's kafka-consumer-groups --reset-offsets"
                )));
            }
            if next > high {
                return Err(Error::Broken(format!(
                    "the offset {next} to go on from in {topic}/{partition} is beyond the log's end {high}: \
                     the topic was made anew or lost its end; bring its records back from a copy of the broker's disk, \
                     or begin a new installation"
                )));
            }
            at.add_partition_offset(topic, partition, Offset::Offset(next)).map_err(refused)?;
            assigned.push((topic.to_owned(), partition, next));
        }
        consumer.assign(&at).map_err(refused)?;
        Ok(Polled::Assigned(assigned))
    }

    /// Topics that were given more partitions while we run: state, keys and offsets know nothing of those.
    fn check_counts(
        &self,
        consumer: &BaseConsumer<Self>,
        partitions: &TopicPartitionList,
    ) -> Result<(), Error> {
        let specs = topic_specs(self.kafka.partitions).map_err(|error| Error::Broken(error.to_string()))?;
        let assigned: BTreeSet<String> =
            partitions.elements().iter().map(|element| element.topic().to_owned()).collect();
        for spec in specs.iter().filter(|spec| assigned.contains(&spec.name)) {
            let found = partition_count(&self.kafka, consumer, &spec.name)?;
            if found > spec.partitions {
                let (topic, wanted) = (spec.name.clone(), spec.partitions);
                return Err(Error::Broken(Difference::Partitions { topic, wanted, found }.to_string()));
            }
        }
        Ok(())
    }

    fn committed(
        &self,
        consumer: &BaseConsumer<Self>,
        partitions: &TopicPartitionList,
    ) -> Result<TopicPartitionList, Error> {
        patiently(&self.kafka, "read committed offsets", || {
            consumer.committed_offsets(partitions.clone(), CALL)
        })
    }
}
