//! Reading partitions of compacted topics to an end that is known to be the end.

use std::time::{Duration, Instant};

use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{BorrowedMessage, Headers, Message};
use rdkafka::metadata::MetadataTopic;
use rdkafka::{Offset, TopicPartitionList};

use super::patience::{patiently, unreachable};
use super::{CALL, Error, Kafka, Reader};

/// Longest wait for a transaction that stands open before the mark: the transaction time-out and its clean-up, twice.
const OPEN_TRANSACTION: Duration = Duration::from_secs(30);

/// Reads `partitions` of `topic` from their start to the high watermark as it was, read *uncommitted*, at the call: what
/// was being committed at that moment is waited for, since stopping at the last stable offset would miss it
/// (KAFKA-10167). `each` gets partition, offset, key and value (`None`: tombstone).
///
/// # Errors
/// *Exit* where the broker does not answer; errors of `each` as they are.
pub fn read_to_mark(
    kafka: &Kafka,
    topic: &str,
    partitions: &[i32],
    mut each: impl FnMut(i32, i64, &[u8], Option<&[u8]>) -> Result<(), Error>,
) -> Result<(), Error> {
    let mut tailer = Tailer::open(kafka, topic, partitions)?;
    let start = Instant::now();
    while !tailer.caught_up() {
        tailer.poll(Duration::from_millis(100), &mut each)?;
        if start.elapsed() > Duration::from_secs(600) {
            return Err(unreachable(kafka, &format!("read {topic} to its end"), "no end after 600 s"));
        }
    }
    Ok(())
}

/// Reads partitions from their start and goes on with what comes; knows when it has seen all that was there at `open`.
pub struct Tailer {
    kafka: Kafka,
    consumer: Reader,
    /// The present reader is for what comes now and then.
    patient: bool,
    topic: String,
    waiting: Vec<i32>,
    positions: std::collections::BTreeMap<i32, i64>,
    /// Ends at `open`.
    marks: std::collections::BTreeMap<i32, i64>,
}

impl Tailer {
    /// Opens `partitions` of `topic` at their start.
    ///
    /// # Errors
    /// *Exit* where the broker does not answer, or an open transaction does not end.
    pub fn open(kafka: &Kafka, topic: &str, partitions: &[i32]) -> Result<Tailer, Error> {
        let from = partitions.iter().map(|partition| (*partition, 0)).collect();
        Tailer::open_at(kafka, topic, &from)
    }

    /// Opens the partitions of `from`, each at the offset given there, or at its start where that is later:
    /// [`Tailer::positions`] tells.
    ///
    /// # Errors
    /// As [`Tailer::open`]; *Exit* too where an offset lies beyond the end.
    pub fn open_at(
        kafka: &Kafka,
        topic: &str,
        from: &std::collections::BTreeMap<i32, i64>,
    ) -> Result<Tailer, Error> {
        let refused = |source| Error::Refused { action: format!("read {topic}"), source };
        let uncommitted = kafka.reader("read_uncommitted").map_err(refused)?;
        let consumer = kafka.reader("read_committed").map_err(refused)?;
        let mut assignment = TopicPartitionList::new();
        let mut waiting = Vec::new();
        let mut positions = std::collections::BTreeMap::new();
        let mut marks = std::collections::BTreeMap::new();
        for (&partition, &from) in from {
            let (low, mark) = watermarks(kafka, &uncommitted, topic, partition)?;
            let low = low.max(from);
            if low > mark {
                return Err(Error::Broken(format!(
                    "the offset {low} to go on from in {topic}/{partition} is beyond the log's end {mark}: \
                     the topic was made anew or lost its end; bring its records back from a copy of the broker's disk, \
                     or begin a new installation"
                )));
            }
            positions.insert(partition, low);
            marks.insert(partition, mark);
            // The reader's end-of-partition counts only once nothing before the mark is open any more.
            let start = Instant::now();
            while low < mark && watermarks(kafka, &consumer, topic, partition)?.1 < mark {
                if start.elapsed() > OPEN_TRANSACTION {
                    let reason =
                        format!("a transaction before offset {mark} of partition {partition} stays open");
                    return Err(unreachable(kafka, &format!("read {topic} to its end"), &reason));
                }
                std::thread::sleep(Duration::from_millis(20));
            }
            if low < mark {
                waiting.push(partition);
            }
            assignment.add_partition_offset(topic, partition, Offset::Offset(low)).map_err(refused)?;
        }
        consumer.assign(&assignment).map_err(refused)?;
        let (kafka, topic) = (kafka.clone(), topic.to_owned());
        Ok(Tailer { kafka, consumer, patient: false, topic, waiting, positions, marks })
    }

    /// Goes on with a reader that asks the broker less often, once the marks are reached.
    fn settle(&mut self) -> Result<(), Error> {
        let refused = |source| Error::Refused { action: format!("go on reading {}", self.topic), source };
        let consumer = self.kafka.patient_reader().map_err(refused)?;
        let mut assignment = TopicPartitionList::new();
        for partition in self.positions.keys() {
            let from = Offset::Offset(self.passed(*partition));
            assignment.add_partition_offset(&self.topic, *partition, from).map_err(refused)?;
        }
        consumer.assign(&assignment).map_err(refused)?;
        (self.consumer, self.patient) = (consumer, true);
        Ok(())
    }

    /// Whether everything that was there at `open` has been given.
    pub fn caught_up(&self) -> bool {
        self.waiting.is_empty()
    }

    /// Next offset to read, by partition.
    pub fn positions(&self) -> &std::collections::BTreeMap<i32, i64> {
        &self.positions
    }

    /// Offset before which everything was given that there still is: also where compaction left nothing up to the end.
    pub fn passed(&self, partition: i32) -> i64 {
        let mark = self.marks.get(&partition).filter(|_| !self.waiting.contains(&partition));
        self.positions.get(&partition).max(mark).copied().unwrap_or(0)
    }

    /// Gives what has come, waiting at most `wait` for the first record. Returns how many there were.
    ///
    /// # Errors
    /// *Exit* where records are gone or refused; errors of `each` as they are.
    pub fn poll(
        &mut self,
        wait: Duration,
        each: &mut impl FnMut(i32, i64, &[u8], Option<&[u8]>) -> Result<(), Error>,
    ) -> Result<usize, Error> {
        self.poll_records(wait, &mut |record: Tailed<'_>| {
            each(record.partition, record.offset, record.key, record.value)
        })
    }

    /// The same, with headers.
    ///
    /// # Errors
    /// As [`Tailer::poll`].
    pub fn poll_records<E: From<Error>>(
        &mut self,
        wait: Duration,
        each: &mut impl FnMut(Tailed<'_>) -> Result<(), E>,
    ) -> Result<usize, E> {
        if self.caught_up() && !self.patient {
            self.settle()?;
        }
        let mut n_records = 0;
        let mut wait = wait;
        while let Some(message) = self.consumer.poll(wait) {
            match message {
                Ok(message) => {
                    let (partition, offset) = (message.partition(), message.offset());
                    self.positions.insert(partition, offset + 1);
                    each(Tailed {
                        partition,
                        offset,
                        key: message.key().unwrap_or_default(),
                        value: message.payload(),
                        message: &message,
                    })?;
                    n_records += 1;
                    wait = Duration::ZERO;
                }
                Err(KafkaError::PartitionEOF(partition)) => {
                    self.waiting.retain(|own| *own != partition);
                    wait = Duration::ZERO;
                }
                Err(source) => match Error::polling(&self.topic, source) {
                    Some(error) => return Err(error.into()),
                    None => break,
                },
            }
            if n_records >= 50_000 {
                break;
            }
        }
        Ok(n_records)
    }
}

/// A record as a [`Tailer`] gives it.
#[derive(Clone, Copy)]
pub struct Tailed<'m> {
    /// Partition.
    pub partition: i32,
    /// Offset.
    pub offset: i64,
    /// Key; empty where the record has none.
    pub key: &'m [u8],
    /// Value; `None` is a tombstone.
    pub value: Option<&'m [u8]>,
    message: &'m BorrowedMessage<'m>,
}

impl<'m> Tailed<'m> {
    /// Value of a header.
    pub fn header(&self, name: &str) -> Option<&'m [u8]> {
        self.message.headers()?.iter().find(|header| header.key == name)?.value
    }

    /// When the broker appended it, ms since the epoch.
    pub fn appended(&self) -> i64 {
        self.message.timestamp().to_millis().unwrap_or_default()
    }
}

/// Low and high watermark; waits for a broker that is away.
pub(crate) fn watermarks(
    kafka: &Kafka,
    consumer: &BaseConsumer<impl rdkafka::consumer::ConsumerContext>,
    topic: &str,
    partition: i32,
) -> Result<(i64, i64), Error> {
    let action = format!("ask for the end of {topic}/{partition}");
    patiently(kafka, &action, || consumer.fetch_watermarks(topic, partition, CALL))
}

/// Number of partitions of `topic`, 0 where it does not exist; waits for a broker that is away.
pub(crate) fn partition_count(
    kafka: &Kafka,
    consumer: &BaseConsumer<impl rdkafka::consumer::ConsumerContext>,
    topic: &str,
) -> Result<i32, Error> {
    let action = format!("ask for the partitions of {topic}");
    let metadata = patiently(kafka, &action, || {
        let metadata = consumer.fetch_metadata(Some(topic), CALL)?;
        let found = metadata.topics().iter().find(|own| own.name() == topic);
        match found.and_then(MetadataTopic::error).map(RDKafkaErrorCode::from) {
            // A broker that has just started does not know its partitions' leaders yet.
            Some(code) if code != RDKafkaErrorCode::UnknownTopicOrPartition => {
                Err(KafkaError::MetadataFetch(code))
            }
            Some(_) | None => Ok(metadata),
        }
    })?;
    let found = metadata.topics().iter().find(|own| own.name() == topic && own.error().is_none());
    Ok(found.map_or(0, |topic| topic.partitions().len() as i32))
}
