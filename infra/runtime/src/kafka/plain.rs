//! A producer without transactions, for load and for comparisons: what a kill leaves may be sent twice or be lost.

use std::time::{Duration, Instant};

use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::producer::{BaseProducer, BaseRecord, DefaultProducerContext};

use super::producer::{drain, pause};
use super::{Error, Kafka};

/// Longest wait for the broker to take or acknowledge records.
const PATIENCE: Duration = Duration::from_secs(30);

/// Sends with the same settings as the transactional producer; idempotent, acknowledged by all replicas.
pub struct PlainProducer {
    inner: BaseProducer<DefaultProducerContext>,
}

impl PlainProducer {
    /// Opens it; the broker is asked at the first record.
    ///
    /// # Errors
    /// *Exit*: librdkafka refuses the configuration.
    pub fn open(kafka: &Kafka) -> Result<PlainProducer, Error> {
        let mut config = kafka.plain_producer();
        config.set("delivery.report.only.error", "true");
        let refused = |source| Error::Refused { action: "make a producer".to_owned(), source };
        Ok(PlainProducer { inner: config.create().map_err(refused)? })
    }

    /// Queues one record; waits while the queue is full.
    ///
    /// # Errors
    /// *Exit*.
    pub fn send(
        &mut self,
        topic: &str,
        partition: Option<i32>,
        key: &[u8],
        value: Option<&[u8]>,
    ) -> Result<(), Error> {
        let mut out = BaseRecord::to(topic).key(key);
        out.payload = value;
        out.partition = partition;
        let mut full: Option<Instant> = None;
        loop {
            match self.inner.send(out) {
                Ok(()) => return Ok(()),
                Err((KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), back))
                    if full.get_or_insert_with(Instant::now).elapsed() < PATIENCE =>
                {
                    pause(&self.inner);
                    out = back;
                }
                Err((source, _)) => {
                    return Err(Error::Refused { action: format!("send a record to {topic}"), source });
                }
            }
        }
    }

    /// Waits until everything sent is acknowledged.
    ///
    /// # Errors
    /// *Exit*: not within 30 s.
    pub fn flush(&mut self) -> Result<(), Error> {
        let refused = |source| Error::Refused { action: "flush".to_owned(), source };
        drain(&self.inner, PATIENCE, || false).map_err(refused)
    }
}
