//! One loop's place in a consumer group, together with its transactional producer.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext};
use rdkafka::error::KafkaError;
use rdkafka::message::{Headers, Message};
use rdkafka::types::RDKafkaRespErr;
use rdkafka::{ClientContext, Offset, TopicPartitionList};

use super::patience::patiently;
use super::restore::watermarks;
use super::transaction::{Flight, Transaction};
use super::{CALL, Class, Error, Guard, Kafka, TxnProducer};
use crate::metrics;
use crate::stop::Stop;

/// Where to begin partitions whose committed offset is missing: for each (topic, partition) the offset that the changelog
/// or manifest holds, if any.
pub type Resolve = Arc<dyn Fn(&[(String, i32)]) -> Result<Vec<Option<i64>>, Error> + Send + Sync>;

/// What a member is.
#[derive(Clone)]
pub struct MemberOptions {
    /// `parse`, `index`, …: names the consumer group.
    pub service: String,
    /// Slot and loop: names the transactional id and the group instance.
    pub slot: u32,
    /// Number of the loop within the process.
    pub loop_number: u32,
    /// Topics to read; co-partitioned ones meet in the same member.
    pub topics: Vec<String>,
    /// Topics whose headers are wanted.
    pub with_headers: Vec<String>,
    /// Where to begin when the group has no offset.
    pub resolve: Resolve,
    /// When a transaction is in doubt.
    pub guard: Guard,
}

/// A record that was read; key and value lie in the batch.
#[derive(Debug, Clone)]
pub struct Record {
    /// Number of the topic in [`MemberOptions::topics`].
    pub topic: usize,
    /// Partition.
    pub partition: i32,
    /// Offset.
    pub offset: i64,
    /// Append time, ms since the epoch.
    pub timestamp: i64,
    /// Where its headers lie among [`Batch::headers`].
    headers: Range<usize>,
    key: Range<usize>,
    value: Option<Range<usize>>,
}

/// Records read together, in one buffer.
#[derive(Debug, Default)]
pub struct Batch {
    data: Vec<u8>,
    headers: Vec<(String, Vec<u8>)>,
    /// The records, in order of arrival.
    pub records: Vec<Record>,
}

impl Batch {
    /// Key of a record.
    pub fn key(&self, record: &Record) -> &[u8] {
        &self.data[record.key.clone()]
    }

    /// Value of a record.
    pub fn value(&self, record: &Record) -> Option<&[u8]> {
        record.value.clone().map(|range| &self.data[range])
    }

    /// Value of a header of a record.
    pub fn header(&self, record: &Record, name: &str) -> Option<&[u8]> {
        let headers = &self.headers[record.headers.clone()];
        headers.iter().find(|(own, _)| own == name).map(|(_, value)| value.as_slice())
    }

    /// Bytes of keys and values.
    pub fn bytes(&self) -> usize {
        self.data.len()
    }

    /// Forgets the records, keeps the memory.
    pub fn clear(&mut self) {
        self.data.clear();
        self.headers.clear();
        self.records.clear();
    }

    fn push(&mut self, topic: usize, message: &impl Message, with_headers: bool) {
        let mut put = |bytes: &[u8]| {
            let start = self.data.len();
            self.data.extend_from_slice(bytes);
            start..self.data.len()
        };
        let key = put(message.key().unwrap_or_default());
        let value = message.payload().map(put);
        let first_header = self.headers.len();
        if let Some(headers) = message.headers().filter(|_| with_headers) {
            let owned = headers
                .iter()
                .map(|header| (header.key.to_owned(), header.value.unwrap_or_default().to_vec()));
            self.headers.extend(owned);
        }
        self.records.push(Record {
            topic,
            partition: message.partition(),
            offset: message.offset(),
            timestamp: message.timestamp().to_millis().unwrap_or_default(),
            headers: first_header..self.headers.len(),
            key,
            value,
        });
    }
}

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

struct Context {
    kafka: Kafka,
    resolve: Resolve,
    events: Mutex<Vec<Result<Polled, Error>>>,
    flight: Arc<Flight>,
}

impl ClientContext for Context {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        super::tell(level, facility, message);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        super::passing(&error, reason);
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
    /// Whether no partitions have come or gone since the last poll.
    fn is_quiet(&self) -> bool {
        self.events.lock().unwrap_or_else(PoisonError::into_inner).is_empty()
    }

    /// Assigns every partition at an explicit offset: the committed one, else what changelog or manifest hold, else the
    /// start of the log.
    fn assign(
        &self,
        consumer: &BaseConsumer<Self>,
        partitions: &TopicPartitionList,
    ) -> Result<Polled, Error> {
        let refused = |source| Error::Refused { action: "assign partitions".to_owned(), source };
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
                     the topic was made anew or lost its end"
                )));
            }
            at.add_partition_offset(topic, partition, Offset::Offset(next)).map_err(refused)?;
            assigned.push((topic.to_owned(), partition, next));
        }
        consumer.assign(&at).map_err(refused)?;
        Ok(Polled::Assigned(assigned))
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

/// A consumer in its group and the producer whose transactions carry its offsets.
pub struct Member {
    kafka: Kafka,
    options: MemberOptions,
    consumer: Option<BaseConsumer<Context>>,
    producer: Arc<Mutex<TxnProducer>>,
    flight: Arc<Flight>,
    positions: BTreeMap<(usize, i32), i64>,
    last_fenced: Option<Instant>,
}

impl Member {
    /// Takes the transactional id, then joins the group.
    ///
    /// # Errors
    /// *Exit*.
    pub fn join(kafka: &Kafka, options: MemberOptions) -> Result<Member, Error> {
        let name = instance(kafka, &options);
        let producer = Arc::new(Mutex::new(TxnProducer::open(kafka, &name, false, options.guard)?));
        let flight = Arc::default();
        let consumer = Some(subscribe(kafka, &options, &name, &flight)?);
        Ok(Member {
            kafka: kafka.clone(),
            options,
            consumer,
            producer,
            flight,
            positions: BTreeMap::new(),
            last_fenced: None,
        })
    }

    /// Sends what the transactions hold. Waits for the one that is under way.
    pub fn producer(&self) -> MutexGuard<'_, TxnProducer> {
        self.producer.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Reads into `batch` (which is cleared first): at most `max_records` and about `max_bytes`, waiting at most `wait` for
    /// the first one and then `linger` for more. A rebalance comes back at once, with an empty batch.
    ///
    /// # Errors
    /// By class.
    pub fn poll(
        &mut self,
        batch: &mut Batch,
        max_records: usize,
        max_bytes: usize,
        wait: Duration,
        linger: Duration,
    ) -> Result<Polled, Error> {
        batch.clear();
        let mut first: Option<Instant> = None;
        let name = instance(&self.kafka, &self.options);
        let Some(consumer) = &self.consumer else { return Ok(Polled::Records) };
        let mut wait = wait;
        loop {
            // Records that are there cost no look at the clock.
            let message = match consumer.poll(Duration::ZERO) {
                None if consumer.context().is_quiet() => consumer.poll(wait),
                other => other,
            };
            if let Some(Ok(message)) = &message
                && consumer.context().is_quiet()
            {
                let topic =
                    self.options.topics.iter().position(|own| own == message.topic()).unwrap_or_default();
                let with_headers = self.options.with_headers.iter().any(|own| own == message.topic());
                batch.push(topic, message, with_headers);
                // Looked at only now and then: a clock call a record would show.
                if batch.records.len() % 64 == 1 {
                    wait = linger.saturating_sub(first.get_or_insert_with(Instant::now).elapsed());
                }
                if batch.records.len() >= max_records || batch.bytes() >= max_bytes {
                    return Ok(Polled::Records);
                }
                continue;
            }
            let mut events = consumer.context().events.lock().unwrap_or_else(PoisonError::into_inner);
            if !events.is_empty() {
                let event = events.remove(0)?;
                drop(events);
                drop(message); // belongs to partitions that are gone, or comes again from the assigned offset
                batch.clear();
                self.positions.clear();
                if let Polled::Assigned(partitions) = &event {
                    metrics::rebalance(&self.options.service, partitions.len());
                    for (topic, partition, next) in partitions {
                        let topic =
                            self.options.topics.iter().position(|own| own == topic).unwrap_or_default();
                        self.positions.insert((topic, *partition), *next);
                    }
                }
                return Ok(event);
            }
            drop(events);
            match message {
                None => match first {
                    Some(first) if first.elapsed() < linger => wait = linger.saturating_sub(first.elapsed()),
                    _ => return Ok(Polled::Records),
                },
                Some(Ok(_)) => {} // is in the batch
                Some(Err(KafkaError::PartitionEOF(_))) => {}
                Some(Err(source)) => match Error::polling(&name, source.clone()) {
                    Some(error) => return Err(error),
                    None => {
                        tracing::debug!(%source, "consumer reports a passing error");
                        return Ok(Polled::Records);
                    }
                },
            }
        }
    }

    /// The transaction that will carry the next offsets by (topic number, partition), to be ended on any thread. Until it is,
    /// no partition is given up; when it has committed, tell [`Member::passed`].
    ///
    /// # Errors
    /// *Exit*.
    pub fn transaction(&self, next: &BTreeMap<(usize, i32), i64>) -> Result<Transaction, Error> {
        let refused = |source| Error::Refused { action: "name offsets".to_owned(), source };
        let mut offsets = TopicPartitionList::new();
        for (&(topic, partition), &offset) in next {
            offsets
                .add_partition_offset(&self.options.topics[topic], partition, Offset::Offset(offset))
                .map_err(refused)?;
        }
        let group = self.consumer.as_ref().and_then(Consumer::group_metadata);
        let Some(group) = group else {
            return Err(Error::Broken("the consumer has no group metadata".to_owned()));
        };
        Ok(Transaction::new(self.producer.clone(), offsets, group, self.flight.clone()))
    }

    /// Notes that a transaction with these offsets has committed.
    pub fn passed(&mut self, next: &BTreeMap<(usize, i32), i64>) {
        self.positions.extend(next);
    }

    /// Commits the open transaction of [`Member::producer`] together with the next offsets by (topic number, partition).
    ///
    /// # Errors
    /// By class.
    pub fn commit(&mut self, next: &BTreeMap<(usize, i32), i64>) -> Result<(), Error> {
        self.transaction(next)?.commit()?;
        self.passed(next);
        Ok(())
    }

    /// Aborts the open transaction and reads again from the last committed offsets.
    ///
    /// # Errors
    /// By class.
    pub fn rewind(&mut self) -> Result<(), Error> {
        self.producer().abort()?;
        let refused = |source| Error::Refused { action: "rewind".to_owned(), source };
        let Some(consumer) = &self.consumer else { return Ok(()) };
        if !consumer.context().events.lock().unwrap_or_else(PoisonError::into_inner).is_empty() {
            return Ok(()); // a rebalance is waiting; it names new offsets
        }
        let mut at = TopicPartitionList::new();
        for (&(topic, partition), &next) in &self.positions {
            at.add_partition_offset(&self.options.topics[topic], partition, Offset::Offset(next))
                .map_err(refused)?;
        }
        consumer.assign(&at).map_err(refused)
    }

    /// Leaves everything behind: new producer, then a new place in the group. The caller drops its state; it is assigned
    /// anew from the committed offsets. A broker that is away is waited for until told to stop.
    ///
    /// # Errors
    /// *Exit*: `Taken` where `cause` is the second fencing within a minute.
    pub fn rejoin(&mut self, cause: &Error, stop: &Stop) -> Result<(), Error> {
        let name = instance(&self.kafka, &self.options);
        if matches!(cause, Error::Fenced { .. }) {
            let again = self.last_fenced.is_some_and(|last| last.elapsed() < Duration::from_secs(60));
            if again {
                return Err(Error::Taken { instance: name });
            }
            self.last_fenced = Some(Instant::now());
        }
        metrics::rejoin(&self.options.service);
        tracing::info!(instance = name, %cause, "joining anew");
        self.positions.clear();
        self.consumer = None; // closed before another one takes its instance id
        loop {
            match self.join_anew(&name) {
                Err(error) if error.class() == Class::Rejoin && !stop.requested() => {
                    tracing::warn!(instance = name, %error, "could not join yet, trying again");
                    stop.sleep(Duration::from_secs(1));
                }
                other => return other,
            }
        }
    }

    fn join_anew(&mut self, name: &str) -> Result<(), Error> {
        *self.producer() = TxnProducer::open(&self.kafka, name, false, self.options.guard)?;
        self.consumer = Some(subscribe(&self.kafka, &self.options, name, &self.flight)?);
        Ok(())
    }

    /// Partitions held, with the offset committed last.
    pub fn positions(&self) -> &BTreeMap<(usize, i32), i64> {
        &self.positions
    }

    /// What it is.
    pub fn options(&self) -> &MemberOptions {
        &self.options
    }

    /// The cluster.
    pub fn kafka(&self) -> &Kafka {
        &self.kafka
    }
}

fn instance(kafka: &Kafka, options: &MemberOptions) -> String {
    format!("{}-{}-{}-{}", kafka.prefix, options.service, options.slot, options.loop_number)
}

fn subscribe(
    kafka: &Kafka,
    options: &MemberOptions,
    name: &str,
    flight: &Arc<Flight>,
) -> Result<BaseConsumer<Context>, Error> {
    let refused = |source| Error::Refused { action: format!("join group {}", options.service), source };
    let context = Context {
        kafka: kafka.clone(),
        resolve: options.resolve.clone(),
        events: Mutex::new(Vec::new()),
        flight: flight.clone(),
    };
    let config = kafka.member(&kafka.group(&options.service), name);
    let consumer: BaseConsumer<Context> = config.create_with_context(context).map_err(refused)?;
    let topics: Vec<&str> = options.topics.iter().map(String::as_str).collect();
    consumer.subscribe(&topics).map_err(refused)?;
    Ok(consumer)
}
