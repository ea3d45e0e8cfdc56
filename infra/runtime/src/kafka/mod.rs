//! Everything that touches rdkafka (I7).
//!
//! Blocks the calling thread: every loop has one of its own. Errors carry a [`Class`] that says what happens next.

pub mod admin;
mod assign;
mod batch;
mod error;
mod fencing;
pub mod frontier;
mod heard;
mod member;
mod patience;
mod plain;
mod producer;
mod restore;
pub mod slot;
mod transaction;

use std::time::Duration;

use rdkafka::ClientConfig;
use rdkafka::consumer::BaseConsumer;
use rdkafka::error::KafkaResult;

use heard::Quiet;

pub use assign::{Polled, Resolve};
pub use batch::{Batch, Record};
pub use error::{Class, Error};
pub use member::{Member, MemberOptions};
pub use plain::PlainProducer;
pub use producer::{Delivery, Guard, OutRecord, TxnProducer};
pub use restore::{Tailed, Tailer, read_to_mark};
pub use transaction::Transaction;

/// How to reach a Kafka cluster, and what our names in it begin with.
#[derive(Debug, Clone)]
pub struct Kafka {
    /// `host:port,…`
    pub brokers: String,
    /// Beginning of consumer groups and transactional ids: two installations in one cluster do not meet.
    pub prefix: String,
    /// librdkafka's own keys (security, sockets); those the runtime owns have been refused by the configuration.
    pub client: Vec<(String, String)>,
    /// Replication factor of the topics that `millrace topics apply` makes.
    pub replication: i32,
    /// Number of partitions of the topics that scale, if not that of `infra/topics.toml`.
    pub partitions: Option<i32>,
}

/// A consumer that belongs to no loop.
pub(crate) type Reader = BaseConsumer<Quiet>;

/// A transaction that stands open for longer is ended by the broker, which fences its producer.
const TRANSACTION: Duration = Duration::from_secs(10);

/// Longest wait for one call to the broker.
pub(crate) const CALL: Duration = Duration::from_secs(10);

impl Kafka {
    /// Name of the consumer group of `service`.
    pub fn group(&self, service: &str) -> String {
        format!("{}.{service}", self.prefix)
    }

    fn base(&self) -> ClientConfig {
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", &self.brokers);
        config.set("socket.keepalive.enable", "true");
        config.set("topic.metadata.refresh.interval.ms", "30000");
        for (key, value) in &self.client {
            config.set(key, value);
        }
        config
    }

    /// A consumer that belongs to no group: reads with `isolation`, never commits.
    pub(crate) fn reader(&self, isolation: &str) -> KafkaResult<Reader> {
        self.reader_config(isolation).create_with_context(Quiet)
    }

    /// A reader for what comes now and then: records are there as soon as by any other, but the broker answers only twice
    /// a second that there are none. An end of a partition may be told that much later.
    pub(crate) fn patient_reader(&self) -> KafkaResult<Reader> {
        let mut config = self.reader_config("read_committed");
        config.set("fetch.wait.max.ms", "500");
        config.create_with_context(Quiet)
    }

    /// Same, to ask for the offsets of `group`.
    pub(crate) fn reader_of(&self, group: &str) -> KafkaResult<Reader> {
        let mut config = self.reader_config("read_committed");
        config.set("group.id", group);
        config.create_with_context(Quiet)
    }

    fn reader_config(&self, isolation: &str) -> ClientConfig {
        let mut config = self.base();
        config.set("group.id", format!("{}.reader", self.prefix));
        config.set("enable.auto.commit", "false");
        config.set("enable.auto.offset.store", "false");
        config.set("auto.offset.reset", "error");
        config.set("isolation.level", isolation);
        config.set("enable.partition.eof", "true");
        // An end is told by an empty answer.
        config.set("fetch.wait.max.ms", "50");
        config.set("queued.max.messages.kbytes", "16384");
        config.set("fetch.queue.backoff.ms", "10");
        config
    }

    fn member(&self, group: &str, instance: &str) -> ClientConfig {
        let mut config = self.base();
        config.set("group.id", group);
        config.set("group.instance.id", instance);
        config.set("session.timeout.ms", "10000");
        config.set("heartbeat.interval.ms", "1000");
        config.set("max.poll.interval.ms", "300000");
        config.set("enable.auto.commit", "false");
        config.set("enable.auto.offset.store", "false");
        // Every partition is assigned at an explicit offset; this is only the net.
        config.set("auto.offset.reset", "error");
        config.set("isolation.level", "read_committed");
        config.set("partition.assignment.strategy", "range");
        // Records in packs: at once what is many, within 100 ms what is few. A fetch for every few records costs the broker
        // more than the records.
        config.set("fetch.min.bytes", "131072");
        config.set("fetch.wait.max.ms", "100");
        config.set("queued.max.messages.kbytes", "16384");
        // Bytes bound the queue, not records; and a full queue is looked at again soon: the default pause of a second is
        // longer than it takes to empty it.
        config.set("queued.min.messages", "1000000");
        config.set("fetch.queue.backoff.ms", "10");
        config
    }

    fn producer(&self, transactional_id: &str) -> ClientConfig {
        let mut config = self.plain_producer();
        config.set("transactional.id", transactional_id);
        config.set("transaction.timeout.ms", TRANSACTION.as_millis().to_string());
        // librdkafka resends EndTxn after this pause: long enough to tell a resent one by time alone.
        config.set("retry.backoff.ms", "1000");
        config.set("retry.backoff.max.ms", "1000");
        config
    }

    fn plain_producer(&self) -> ClientConfig {
        let mut config = self.base();
        config.set("enable.idempotence", "true");
        config.set("acks", "all");
        config.set("compression.type", "lz4");
        config.set("linger.ms", "1");
        // An idempotent producer has one request of a partition on its way at a time (librdkafka 2.12 counts messages where it
        // means requests), and looks without a pause whether it has come back while a whole batch waits behind it. So: few and
        // large ones, as large as the smallest `max.message.bytes` takes whatever its lines are.
        config.set("batch.size", "1000000");
        config.set("queue.buffering.max.messages", "500000");
        config.set("queue.buffering.max.kbytes", "32768");
        config.set("message.max.bytes", "4194304");
        config.set("partitioner", "murmur2_random");
        config
    }
}
