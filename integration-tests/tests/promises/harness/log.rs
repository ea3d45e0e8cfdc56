//! What the topics hold, as any consumer that reads `read_committed` sees it.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use millrace_runtime::registry::{Codecs, Registry};
use millrace_schemas::dead::DeadLetter;
use millrace_schemas::{Event, LineEnd, RawEvent, topics};
use rdkafka::admin::{AdminClient, AdminOptions, AlterConfig, ResourceSpecifier};
use rdkafka::client::DefaultClientContext;
use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::KafkaError;
use rdkafka::message::{BorrowedMessage, Headers, Message};
use rdkafka::{Offset, TopicPartitionList};

const CALL: Duration = Duration::from_secs(15);

/// A line as a topic has it.
#[derive(Debug, Clone)]
pub(crate) struct Line {
    pub(crate) topic: &'static str,
    pub(crate) partition: i32,
    pub(crate) offset: i64,
    pub(crate) key: Vec<u8>,
    pub(crate) host: String,
    pub(crate) file: String,
    /// First byte in its incarnation, then the piece.
    pub(crate) place: (i64, i32),
    pub(crate) body: Vec<u8>,
    pub(crate) line_end: LineEnd,
    /// Partition and offset in `logs.raw`.
    pub(crate) origin: (i32, i64),
}

/// A reader of one cluster.
pub(crate) struct Log {
    brokers: String,
    codecs: Codecs,
}

impl Log {
    pub(crate) fn open(brokers: &str, registry: &str) -> Log {
        let codecs = Registry::new(registry, Duration::from_secs(30)).register().unwrap();
        Log { brokers: brokers.to_owned(), codecs }
    }

    /// Sets a key of a topic's configuration, and with it all others to the broker's own.
    pub(crate) fn set_topic(&self, topic: &str, key: &str, value: &str) {
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", &self.brokers);
        let admin: AdminClient<DefaultClientContext> = config.create().unwrap();
        let change = AlterConfig::new(ResourceSpecifier::Topic(topic)).set(key, value);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let changed = runtime.block_on(admin.alter_configs([&change], &AdminOptions::new())).unwrap();
        assert!(changed.iter().all(Result::is_ok), "{changed:?}");
    }

    /// Codecs of the registry.
    pub(crate) fn codecs(&self) -> &Codecs {
        &self.codecs
    }

    /// Every committed line of `logs.raw`.
    pub(crate) fn raw(&self) -> Vec<Line> {
        let mut lines = Vec::new();
        self.read(topics::RAW, "read_committed", |message| {
            let raw: RawEvent<'_> = self.codecs.raw().decode(message.payload().unwrap()).unwrap();
            let origin = (message.partition(), message.offset());
            lines.push(line(topics::RAW, message, &raw, origin));
        });
        lines
    }

    /// Every committed line of `logs.parsed`.
    pub(crate) fn parsed(&self) -> Vec<Line> {
        let mut lines = Vec::new();
        self.read(topics::PARSED, "read_committed", |message| {
            let event: Event<'_> = self.codecs.parsed().decode(message.payload().unwrap()).unwrap();
            let origin = (event.origin.partition, event.origin.offset);
            lines.push(line(topics::PARSED, message, &event.raw(), origin));
        });
        lines
    }

    /// Every committed line of `logs.dead`.
    pub(crate) fn dead(&self) -> Vec<Line> {
        let mut lines = Vec::new();
        self.read(topics::DEAD, "read_committed", |message| {
            let headers = message.headers().expect("a dead letter has headers");
            let find =
                |name: &str| headers.iter().find(|header| header.key == name).and_then(|header| header.value);
            let letter = DeadLetter::from_headers(find).unwrap();
            let raw: RawEvent<'_> = self.codecs.raw().decode(message.payload().unwrap()).unwrap();
            lines.push(line(topics::DEAD, message, &raw, (letter.partition, letter.offset)));
        });
        lines
    }

    /// Number of records of `topic` that a `read_committed` reader sees.
    pub(crate) fn count(&self, topic: &str) -> usize {
        let mut n_records = 0;
        self.read(topic, "read_committed", |_| n_records += 1);
        n_records
    }

    /// Last value of each key of a compacted topic's partition.
    pub(crate) fn compacted(&self, topic: &str) -> BTreeMap<(i32, Vec<u8>), Option<Vec<u8>>> {
        let mut last = BTreeMap::new();
        self.read(topic, "read_committed", |message| {
            let key = (message.partition(), message.key().unwrap_or_default().to_vec());
            last.insert(key, message.payload().map(<[u8]>::to_vec));
        });
        last
    }

    /// Committed offsets of a group, by partition.
    pub(crate) fn committed(&self, group: &str, topic: &str) -> BTreeMap<i32, i64> {
        let consumer: BaseConsumer = self.config("read_committed").set("group.id", group).create().unwrap();
        let mut wanted = TopicPartitionList::new();
        wanted.add_partition_range(topic, 0, partitions(&consumer, topic) - 1);
        let found = consumer.committed_offsets(wanted, CALL).unwrap();
        let known = found.elements().into_iter().filter_map(|element| match element.offset() {
            Offset::Offset(offset) => Some((element.partition(), offset)),
            _ => None,
        });
        known.collect()
    }

    /// Sum over partitions of last stable offset and of high watermark.
    pub(crate) fn ends(&self, topic: &str) -> (i64, i64) {
        let sum = |isolation: &str| {
            let consumer: BaseConsumer = self.config(isolation).create().unwrap();
            let n_partitions = partitions(&consumer, topic);
            (0..n_partitions).map(|p| consumer.fetch_watermarks(topic, p, CALL).unwrap().1).sum::<i64>()
        };
        (sum("read_committed"), sum("read_uncommitted"))
    }

    /// A look at where topics begin and end that takes a millisecond.
    pub(crate) fn watch(&self) -> Ends {
        let [committed, uncommitted] = ["read_committed", "read_uncommitted"]
            .map(|isolation| self.config(isolation).create::<BaseConsumer>().unwrap());
        Ends { committed, uncommitted }
    }

    /// Gives every record there is, partition by partition in order.
    pub(crate) fn read(&self, topic: &str, isolation: &str, mut each: impl FnMut(&BorrowedMessage<'_>)) {
        let consumer: BaseConsumer = self.config(isolation).create().unwrap();
        let n_partitions = partitions(&consumer, topic);
        assert!(n_partitions > 0, "topic {topic} is missing");
        let mut assignment = TopicPartitionList::new();
        for partition in 0..n_partitions {
            assignment.add_partition_offset(topic, partition, Offset::Beginning).unwrap();
        }
        consumer.assign(&assignment).unwrap();
        let mut open: Vec<i32> = (0..n_partitions).collect();
        let mut last = Instant::now();
        while !open.is_empty() {
            match consumer.poll(Duration::from_millis(200)) {
                Some(Ok(message)) => {
                    last = Instant::now();
                    each(&message);
                }
                Some(Err(KafkaError::PartitionEOF(partition))) => open.retain(|own| *own != partition),
                Some(Err(error)) => println!("reading {topic}: {error}"),
                None => assert!(last.elapsed() < Duration::from_secs(60), "no end of {topic} within 60 s"),
            }
        }
    }

    fn config(&self, isolation: &str) -> ClientConfig {
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", &self.brokers);
        config.set("group.id", "promises");
        config.set("enable.auto.commit", "false");
        config.set("enable.partition.eof", "true");
        config.set("isolation.level", isolation);
        config.set("auto.offset.reset", "earliest");
        config
    }
}

/// Number of partitions, 0 where there is no such topic.
fn partitions(consumer: &BaseConsumer, topic: &str) -> i32 {
    let metadata = consumer.fetch_metadata(Some(topic), CALL).unwrap();
    let found = metadata.topics().first().filter(|own| own.error().is_none());
    found.map_or(0, |own| own.partitions().len() as i32)
}

/// Offsets summed over the partitions of a topic; clients are kept.
pub(crate) struct Ends {
    committed: BaseConsumer,
    uncommitted: BaseConsumer,
}

impl Ends {
    /// Log starts.
    pub(crate) fn low(&self, topic: &str) -> i64 {
        marks(&self.uncommitted, topic).map(|(low, _)| low).sum()
    }

    /// Last stable offsets.
    pub(crate) fn stable(&self, topic: &str) -> i64 {
        marks(&self.committed, topic).map(|(_, high)| high).sum()
    }

    /// High watermarks.
    pub(crate) fn high(&self, topic: &str) -> i64 {
        marks(&self.uncommitted, topic).map(|(_, high)| high).sum()
    }
}

fn marks(consumer: &BaseConsumer, topic: &str) -> impl Iterator<Item = (i64, i64)> {
    (0..partitions(consumer, topic))
        .map(move |partition| consumer.fetch_watermarks(topic, partition, CALL).unwrap())
}

fn line(topic: &'static str, message: &BorrowedMessage<'_>, raw: &RawEvent<'_>, origin: (i32, i64)) -> Line {
    Line {
        topic,
        partition: message.partition(),
        offset: message.offset(),
        key: message.key().unwrap_or_default().to_vec(),
        host: raw.host.to_owned(),
        file: raw.file.unwrap_or_default().to_owned(),
        place: (raw.position.map_or(-1, |position| position.byte), raw.piece.map_or(0, |piece| piece.index)),
        body: raw.body.to_vec(),
        line_end: raw.line_end,
        origin,
    }
}
