//! One loop's place in a consumer group, together with its transactional producer.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::KafkaError;
use rdkafka::{Message, Offset, TopicPartitionList};

use super::assign::{Context, Polled, Resolve};
use super::batch::Batch;
use super::fencing::Fencings;
use super::transaction::{Flight, Transaction};
use super::{Class, Error, Guard, Kafka, TxnProducer};
use crate::metrics;
use crate::stop::Stop;

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

/// A consumer in its group and the producer whose transactions carry its offsets.
pub struct Member {
    kafka: Kafka,
    options: MemberOptions,
    consumer: Option<BaseConsumer<Context>>,
    producer: Arc<Mutex<TxnProducer>>,
    flight: Arc<Flight>,
    positions: BTreeMap<(usize, i32), i64>,
    fencings: Fencings,
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
            fencings: Fencings::default(),
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
            if let Some(event) = consumer.context().next() {
                let event = event?;
                drop(message); // belongs to partitions that are gone, or comes again from the assigned offset
                batch.clear();
                self.positions.clear();
                if event == Polled::Revoked {
                    self.fencings.lost();
                }
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
        if !consumer.context().is_quiet() {
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
    /// *Exit*: `Taken` where `cause` is the second fencing within a minute and no partitions were lost between the two.
    pub fn rejoin(&mut self, cause: &Error, stop: &Stop) -> Result<(), Error> {
        let name = instance(&self.kafka, &self.options);
        if matches!(cause, Error::Fenced { .. }) && self.fencings.is_rival(Instant::now()) {
            return Err(Error::Taken { instance: name });
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
    let context = Context::new(kafka, &options.resolve, flight);
    let config = kafka.member(&kafka.group(&options.service), name);
    let consumer: BaseConsumer<Context> = config.create_with_context(context).map_err(refused)?;
    let topics: Vec<&str> = options.topics.iter().map(String::as_str).collect();
    consumer.subscribe(&topics).map_err(refused)?;
    Ok(consumer)
}
