//! A transactional producer that is never used again after a doubtful transaction.
//!
//! librdkafka (2.12) resends EndTxn after a time-out or a lost connection and then reports plain success, and without
//! transactions v2 (KIP-890) a late EndTxn can tear the next transaction. So every call is timed by itself; what took as
//! long as a resend is in doubt, and a new producer, whose epoch fences what is still on its way, takes over.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::ConsumerGroupMetadata;
use rdkafka::error::{KafkaError, KafkaResult, RDKafkaErrorCode};
use rdkafka::message::{DeliveryResult, Header, Message, OwnedHeaders};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer, ProducerContext};
use rdkafka::{ClientContext, TopicPartitionList};

use super::patience::unreachable;
use super::{Error, Kafka, heard};
use crate::metrics;

/// Times from which a transactional call is in doubt.
#[derive(Debug, Clone, Copy)]
pub struct Guard {
    /// Commit and abort: below `retry.backoff.ms` less its jitter.
    pub end: Duration,
    /// Offsets to the transaction: librdkafka's fixed pause of TxnOffsetCommit.
    pub offsets: Duration,
    /// A call that takes longer has timed out.
    pub timeout: Duration,
}

impl Default for Guard {
    fn default() -> Self {
        Guard {
            end: Duration::from_millis(750),
            offsets: Duration::from_millis(500),
            timeout: Duration::from_secs(8),
        }
    }
}

/// A record to send.
#[derive(Debug, Clone, Copy)]
pub struct OutRecord<'a> {
    /// Topic.
    pub topic: &'a str,
    /// Partition; `None` lets the key decide.
    pub partition: Option<i32>,
    /// Key.
    pub key: &'a [u8],
    /// Value; `None` is a tombstone.
    pub value: Option<&'a [u8]>,
    /// Headers.
    pub headers: &'a [(&'a str, &'a [u8])],
    /// Comes back in the [`Delivery`], where deliveries are tracked. `usize::MAX` is not tracked.
    pub tag: usize,
}

/// Where a tracked record came to lie.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Delivery {
    /// Tag of the record.
    pub tag: usize,
    /// Partition.
    pub partition: i32,
    /// Offset.
    pub offset: i64,
}

/// Tag of records whose delivery nobody asks for.
pub(crate) const UNTRACKED: usize = usize::MAX;

#[derive(Default)]
struct Reports {
    delivered: Vec<Delivery>,
    failed: Option<KafkaError>,
}

struct Context {
    reports: Arc<Mutex<Reports>>,
}

impl ClientContext for Context {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        heard::tell(level, facility, message);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        heard::passing(&error, reason);
    }
}

impl ProducerContext for Context {
    type DeliveryOpaque = usize;

    fn delivery(&self, result: &DeliveryResult<'_>, tag: usize) {
        let mut reports = self.reports.lock().unwrap_or_else(PoisonError::into_inner);
        match result {
            Ok(message) if tag != UNTRACKED => reports.delivered.push(Delivery {
                tag,
                partition: message.partition(),
                offset: message.offset(),
            }),
            Ok(_) => {}
            // The first is the cause: what comes after it was purged along with it.
            Err((error, _)) => drop(reports.failed.get_or_insert_with(|| error.clone())),
        }
    }
}

/// One transactional id, held for the life of the process.
pub struct TxnProducer {
    kafka: Kafka,
    transactional_id: String,
    tracked: bool,
    guard: Guard,
    reports: Arc<Mutex<Reports>>,
    inner: BaseProducer<Context>,
    /// Since when a transaction is.
    open: Option<Instant>,
}

impl TxnProducer {
    /// Takes `transactional_id`: fences whoever holds it and ends what a kill left open. Blocks until the broker has
    /// answered; a broker that is away is waited for up to a minute.
    ///
    /// # Errors
    /// *Exit* where the broker refuses or does not come.
    pub fn open(
        kafka: &Kafka,
        transactional_id: &str,
        tracked: bool,
        guard: Guard,
    ) -> Result<TxnProducer, Error> {
        let reports = Arc::new(Mutex::new(Reports::default()));
        let inner = make(kafka, transactional_id, tracked, &reports)?;
        let transactional_id = transactional_id.to_owned();
        Ok(TxnProducer { kafka: kafka.clone(), transactional_id, tracked, guard, reports, inner, open: None })
    }

    /// Begins a transaction.
    ///
    /// # Errors
    /// By class.
    pub fn begin(&mut self) -> Result<(), Error> {
        let mut reports = self.reports.lock().unwrap_or_else(PoisonError::into_inner);
        *reports = Reports::default();
        drop(reports);
        self.inner
            .begin_transaction()
            .map_err(|source| Error::transactional("begin a transaction", source))?;
        self.open = Some(Instant::now());
        Ok(())
    }

    /// Queues one record of the open transaction; waits while the queue is full.
    ///
    /// # Errors
    /// By class.
    pub fn send(&mut self, record: OutRecord<'_>) -> Result<(), Error> {
        let mut out = BaseRecord::with_opaque_to(record.topic, record.tag).key(record.key);
        if let Some(value) = record.value {
            out = out.payload(value);
        }
        if let Some(partition) = record.partition {
            out = out.partition(partition);
        }
        if !record.headers.is_empty() {
            let mut headers = OwnedHeaders::new_with_capacity(record.headers.len());
            for (key, value) in record.headers {
                headers = headers.insert(Header { key, value: Some(*value) });
            }
            out = out.headers(headers);
        }
        // The clock is looked at only while the queue is full: a call a record would show.
        let mut full: Option<Instant> = None;
        loop {
            match self.inner.send(out) {
                Ok(()) => return Ok(()),
                Err((KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), back)) => {
                    if let Some(error) = self.undelivered() {
                        return Err(error);
                    }
                    if full.get_or_insert_with(Instant::now).elapsed() > self.guard.timeout {
                        let source = KafkaError::MessageProduction(RDKafkaErrorCode::MessageTimedOut);
                        return Err(Error::Void { action: "send", source });
                    }
                    pause(&self.inner);
                    out = back;
                }
                Err((KafkaError::MessageProduction(RDKafkaErrorCode::MessageSizeTooLarge), _)) => {
                    return Err(Error::Refused {
                        action: format!(
                            "send a record of {} bytes to {}",
                            record.value.map_or(0, <[u8]>::len),
                            record.topic
                        ),
                        source: KafkaError::MessageProduction(RDKafkaErrorCode::MessageSizeTooLarge),
                    });
                }
                Err((source, _)) => {
                    // After a failed delivery librdkafka takes no more records and says nothing but "state"; the
                    // report of what failed is one of the events that wait, and a poll gives one.
                    let cause = (0..REPORTS_TO_SEE).find_map(|_| {
                        pause(&self.inner);
                        self.undelivered()
                    });
                    return Err(cause.unwrap_or_else(|| self.error("send", source)));
                }
            }
        }
    }

    /// An error of a call of the open transaction.
    fn error(&self, action: &'static str, source: KafkaError) -> Error {
        let open = self.open.map_or(Duration::ZERO, |since| since.elapsed());
        Error::transactional(action, source).after(open)
    }

    /// Why a record of this transaction was not delivered, if one was not.
    fn undelivered(&self) -> Option<Error> {
        let source = self.reports.lock().unwrap_or_else(PoisonError::into_inner).failed.clone()?;
        Some(match self.error("deliver", source) {
            // A record that could not be delivered voids its transaction; nothing else is in doubt.
            Error::TimedOut { action, source } => Error::Void { action, source },
            other => other,
        })
    }

    /// Waits until everything sent is acknowledged, and gives where the tracked records lie, in order of their tags.
    ///
    /// # Errors
    /// By class.
    pub fn flush(&mut self) -> Result<Vec<Delivery>, Error> {
        // Once a delivery has failed, what is still queued goes nowhere before the abort.
        let failed = || self.reports.lock().unwrap_or_else(PoisonError::into_inner).failed.is_some();
        let drained = drain(&self.inner, self.guard.timeout, failed);
        if let Some(error) = self.undelivered() {
            return Err(error);
        }
        drained.map_err(|source| self.error("flush", source))?;
        let mut reports = self.reports.lock().unwrap_or_else(PoisonError::into_inner);
        let mut delivered = std::mem::take(&mut reports.delivered);
        delivered.sort_unstable_by_key(|delivery| delivery.tag);
        Ok(delivered)
    }

    /// Ends the transaction: flush, offsets, commit. After a success in doubt a new producer has taken over when this
    /// returns; nothing is lost and no state has to be restored.
    ///
    /// # Errors
    /// By class: after *Abort* call [`TxnProducer::abort`], after *Rejoin* drop this producer.
    pub fn commit(
        &mut self,
        offsets: Option<(&TopicPartitionList, &ConsumerGroupMetadata)>,
    ) -> Result<(), Error> {
        let start = Instant::now();
        self.flush()?;
        let flushed = start.elapsed();
        let mut doubt = None;
        if let Some((offsets, group)) = offsets {
            let start = Instant::now();
            self.inner
                .send_offsets_to_transaction(offsets, group, self.guard.timeout)
                .map_err(|source| self.error("send offsets to the transaction", source))?;
            if start.elapsed() >= self.guard.offsets {
                doubt = Some("offsets");
            }
        }
        let offsets_sent = start.elapsed();
        let start = Instant::now();
        self.inner
            .commit_transaction(self.guard.timeout)
            .map_err(|source| self.error("commit the transaction", source))?;
        self.open = None;
        let took = start.elapsed();
        metrics::transaction("committed", took);
        tracing::debug!(
            transactional_id = self.transactional_id,
            ?flushed,
            ?offsets_sent,
            ?took,
            "committed"
        );
        if took >= self.guard.end {
            doubt = Some("commit");
        }
        match doubt {
            Some(call) => self.remake(call),
            None => Ok(()),
        }
    }

    /// Aborts the open transaction, if there is one.
    ///
    /// # Errors
    /// By class.
    pub fn abort(&mut self) -> Result<(), Error> {
        let Some(open) = self.open.take() else { return Ok(()) };
        // An abort with records still in the queue can turn fatal (librdkafka#4849); what fails here is void anyway.
        // After a failed delivery the queue never empties by itself.
        let patience = if self.undelivered().is_some() { AFTER_FAILURE } else { self.guard.timeout };
        drop(drain(&self.inner, patience, || false));
        let start = Instant::now();
        self.inner
            .abort_transaction(self.guard.timeout)
            .map_err(|source| Error::transactional("abort the transaction", source).after(open.elapsed()))?;
        metrics::transaction("aborted", start.elapsed());
        if start.elapsed() >= self.guard.end { self.remake("abort") } else { Ok(()) }
    }

    /// Its transactional id.
    pub fn transactional_id(&self) -> &str {
        &self.transactional_id
    }

    fn remake(&mut self, call: &'static str) -> Result<(), Error> {
        tracing::info!(
            call,
            transactional_id = self.transactional_id,
            "transaction in doubt, producer made anew"
        );
        metrics::producer_remade(call);
        self.inner = make(&self.kafka, &self.transactional_id, self.tracked, &self.reports)?;
        Ok(())
    }
}

/// How long an abort after a failed delivery waits for what is still on its way.
const AFTER_FAILURE: Duration = Duration::from_secs(2);

/// How many events are looked at for the cause of a refused send.
const REPORTS_TO_SEE: usize = 100;

/// Between two looks at what is on its way.
const PAUSE: Duration = Duration::from_micros(500);

/// Waits until nothing is on its way, or `given_up`. rdkafka's own `flush` sleeps for 100 ms at a time while no report comes, and where
/// only failures are reported none ever does.
pub(super) fn drain<C: ProducerContext>(
    producer: &BaseProducer<C>,
    timeout: Duration,
    given_up: impl Fn() -> bool,
) -> KafkaResult<()> {
    let start = Instant::now();
    let mut left = i32::MAX;
    loop {
        producer.poll(Duration::ZERO);
        let now_left = producer.in_flight_count();
        if now_left == 0 || given_up() {
            return Ok(());
        }
        if now_left == left {
            if start.elapsed() > timeout {
                return Err(KafkaError::Flush(RDKafkaErrorCode::OperationTimedOut));
            }
            pause(producer);
        }
        left = now_left;
    }
}

/// Lets the broker work. rdkafka's `poll` with a timeout would not: it burns the core for the last millisecond of it.
pub(super) fn pause<C: ProducerContext>(producer: &BaseProducer<C>) {
    std::thread::sleep(PAUSE);
    producer.poll(Duration::ZERO);
}

fn make(
    kafka: &Kafka,
    transactional_id: &str,
    tracked: bool,
    reports: &Arc<Mutex<Reports>>,
) -> Result<BaseProducer<Context>, Error> {
    let mut config = kafka.producer(transactional_id);
    if !tracked {
        config.set("delivery.report.only.error", "true");
    }
    let context = Context { reports: reports.clone() };
    let refused = |source| Error::Refused { action: format!("make producer {transactional_id}"), source };
    let producer: BaseProducer<Context> = config.create_with_context(context).map_err(refused)?;
    let start = Instant::now();
    loop {
        match producer.init_transactions(Duration::from_secs(15)) {
            Ok(()) => return Ok(producer),
            Err(source) => {
                let retriable = match &source {
                    KafkaError::Transaction(error) => error.is_retriable() && !error.is_fatal(),
                    _ => source.rdkafka_error_code() == Some(RDKafkaErrorCode::OperationTimedOut),
                };
                if !retriable {
                    return Err(refused(source));
                }
                if start.elapsed() > Duration::from_secs(60) {
                    let action = format!("initialise transactions of {transactional_id}");
                    return Err(unreachable(kafka, &action, &source.to_string()));
                }
                tracing::warn!(transactional_id, %source, "broker not ready for transactions, trying again");
            }
        }
    }
}
