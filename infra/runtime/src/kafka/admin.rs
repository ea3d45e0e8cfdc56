//! Topics as `infra/topics.toml` wants them, group offsets, and records that may go.

use std::collections::BTreeMap;
use std::time::Duration;

use futures::executor::block_on;
use millrace_schemas::topics::TopicSpec;
use rdkafka::admin::{AdminClient, AdminOptions, AlterConfig, NewTopic, ResourceSpecifier, TopicReplication};
use rdkafka::consumer::Consumer;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::{Offset, TopicPartitionList};

use super::heard::Quiet;
use super::patience::{patiently, unreachable};
use super::restore::{partition_count, watermarks};
use super::{CALL, Error, Kafka, Reader};

/// How many events of a client are looked at for why it has no connection.
const EVENTS_TO_SEE: usize = 10;

/// A client for questions and changes that belong to no loop.
pub struct Admin {
    kafka: Kafka,
    client: AdminClient<Quiet>,
    committed: Reader,
    uncommitted: Reader,
}

/// How a topic differs from what is wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Difference {
    /// It is not there.
    Missing {
        /// Topic.
        topic: String,
    },
    /// Another partition count, which cannot be changed.
    Partitions {
        /// Topic.
        topic: String,
        /// What is wanted.
        wanted: i32,
        /// What is there.
        found: i32,
    },
    /// A setting differs.
    Setting {
        /// Topic.
        topic: String,
        /// Key.
        key: String,
        /// What is wanted.
        wanted: String,
        /// What is there.
        found: String,
    },
}

impl std::fmt::Display for Difference {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Difference::Missing { topic } => write!(f, "topic {topic} is missing"),
            Difference::Partitions { topic, wanted, found } => write!(
                f,
                "topic {topic} has {found} partitions, wanted {wanted}: a count never changes, so `kafka.partitions` has to be that with which the installation was made"
            ),
            Difference::Setting { topic, key, wanted, found } => {
                write!(f, "topic {topic}: {key} is {found}, wanted {wanted}")
            }
        }
    }
}

impl Admin {
    /// Connects.
    ///
    /// # Errors
    /// *Exit* for wrong settings; the broker is asked later.
    pub fn open(kafka: &Kafka) -> Result<Admin, Error> {
        let refused = |source| Error::Refused { action: "make an admin client".to_owned(), source };
        Ok(Admin {
            kafka: kafka.clone(),
            client: kafka.base().create_with_context(Quiet).map_err(refused)?,
            committed: kafka.reader("read_committed").map_err(refused)?,
            uncommitted: kafka.reader("read_uncommitted").map_err(refused)?,
        })
    }

    /// Waits up to `wait` for a broker; returns how many brokers there are.
    ///
    /// # Errors
    /// `Unreachable`.
    pub fn ping(&self, wait: Duration) -> Result<usize, Error> {
        match self.committed.fetch_metadata(None, wait) {
            Ok(metadata) => Ok(metadata.brokers().len()),
            Err(source) => {
                // Why the connection failed is an event of the client's.
                (0..EVENTS_TO_SEE).for_each(|_| drop(self.committed.poll(Duration::ZERO)));
                Err(unreachable(&self.kafka, "ask for the cluster's metadata", &source.to_string()))
            }
        }
    }

    /// How the cluster's topics differ from `specs`.
    ///
    /// # Errors
    /// `Unreachable`, or a refusal.
    pub fn check(&self, specs: &[TopicSpec]) -> Result<Vec<Difference>, Error> {
        let mut differences = Vec::new();
        let mut present = Vec::new();
        for spec in specs {
            match self.partitions(&spec.name)? {
                0 => differences.push(Difference::Missing { topic: spec.name.clone() }),
                found if found != spec.partitions => differences.push(Difference::Partitions {
                    topic: spec.name.clone(),
                    wanted: spec.partitions,
                    found,
                }),
                _ => present.push(spec),
            }
        }
        let resources: Vec<_> = present.iter().map(|spec| ResourceSpecifier::Topic(&spec.name)).collect();
        if resources.is_empty() {
            return Ok(differences);
        }
        let described = patiently(&self.kafka, "describe topics", || {
            block_on(self.client.describe_configs(&resources, &options()))
        })?;
        for (spec, config) in present.iter().zip(described) {
            let config =
                config.map_err(|code| refused_code(format!("describe topic {}", spec.name), code))?;
            for (key, wanted) in spec.config() {
                let found = config.get(key).and_then(|entry| entry.value.clone()).unwrap_or_default();
                if found != wanted {
                    let (topic, key) = (spec.name.clone(), key.to_owned());
                    differences.push(Difference::Setting { topic, key, wanted, found });
                }
            }
        }
        Ok(differences)
    }

    /// Makes the topics as `specs` want them; returns what was changed. Partition counts are never touched.
    ///
    /// # Errors
    /// `Unreachable`, or a refusal.
    pub fn apply(&self, specs: &[TopicSpec]) -> Result<Vec<Difference>, Error> {
        let differences = self.check(specs)?;
        for spec in specs {
            let config = spec.config();
            let own = |difference: &&Difference| match difference {
                Difference::Missing { topic } | Difference::Setting { topic, .. } => *topic == spec.name,
                Difference::Partitions { .. } => false,
            };
            match differences.iter().find(own) {
                Some(Difference::Missing { .. }) => self.create(spec, &config)?,
                Some(_) => {
                    let mut change = AlterConfig::new(ResourceSpecifier::Topic(&spec.name));
                    for (key, value) in &config {
                        change = change.set(key, value);
                    }
                    let action = format!("configure topic {}", spec.name);
                    let results = block_on(self.client.alter_configs([&change], &options()))
                        .map_err(|source| Error::Refused { action: action.clone(), source })?;
                    for result in results {
                        result.map_err(|(_, code)| refused_code(action.clone(), code))?;
                    }
                }
                None => {}
            }
        }
        self.wait_for(specs)?;
        Ok(differences)
    }

    /// Waits until the brokers tell of the topics that were made: metadata comes a moment later.
    fn wait_for(&self, specs: &[TopicSpec]) -> Result<(), Error> {
        let start = std::time::Instant::now();
        for spec in specs {
            while self.partitions(&spec.name)? == 0 {
                if start.elapsed() > CALL {
                    let reason = format!("topic {} was made, but the brokers do not tell of it", spec.name);
                    return Err(unreachable(&self.kafka, "make the topics", &reason));
                }
                std::thread::sleep(Duration::from_millis(50));
            }
        }
        Ok(())
    }

    fn create(&self, spec: &TopicSpec, config: &BTreeMap<&'static str, String>) -> Result<(), Error> {
        let mut topic =
            NewTopic::new(&spec.name, spec.partitions, TopicReplication::Fixed(self.kafka.replication));
        for (key, value) in config {
            topic = topic.set(key, value);
        }
        let action = format!("create topic {}", spec.name);
        let results = block_on(self.client.create_topics([&topic], &options()))
            .map_err(|source| Error::Refused { action: action.clone(), source })?;
        for result in results {
            match result {
                Ok(_) | Err((_, RDKafkaErrorCode::TopicAlreadyExists)) => {}
                Err((_, code)) => return Err(refused_code(action.clone(), code)),
            }
        }
        Ok(())
    }

    /// Number of partitions of `topic`, 0 where it does not exist.
    ///
    /// # Errors
    /// `Unreachable`.
    pub fn partitions(&self, topic: &str) -> Result<i32, Error> {
        partition_count(&self.kafka, &self.committed, topic)
    }

    /// Log start and high watermark.
    ///
    /// # Errors
    /// `Unreachable`.
    pub fn watermarks(&self, topic: &str, partition: i32) -> Result<(i64, i64), Error> {
        watermarks(&self.kafka, &self.uncommitted, topic, partition)
    }

    /// Last stable offset.
    ///
    /// # Errors
    /// `Unreachable`.
    pub fn stable(&self, topic: &str, partition: i32) -> Result<i64, Error> {
        Ok(watermarks(&self.kafka, &self.committed, topic, partition)?.1)
    }

    /// Committed offsets of the group of `service`, by partition; what is missing was never committed.
    ///
    /// # Errors
    /// `Unreachable`, or a refusal.
    pub fn committed(&self, service: &str, topic: &str) -> Result<BTreeMap<i32, i64>, Error> {
        let refused = |source| Error::Refused { action: format!("read offsets of group {service}"), source };
        let consumer = self.kafka.reader_of(&self.kafka.group(service)).map_err(refused)?;
        let mut partitions = TopicPartitionList::new();
        partitions.add_partition_range(topic, 0, self.partitions(topic)?.max(1) - 1);
        let action = format!("read offsets of group {service}");
        let committed =
            patiently(&self.kafka, &action, || consumer.committed_offsets(partitions.clone(), CALL))?;
        let known = committed.elements().into_iter().filter_map(|element| match element.offset() {
            Offset::Offset(next) => Some((element.partition(), next)),
            _ => None,
        });
        Ok(known.collect())
    }

    /// First offset of each partition whose append time is at or after `millis`; partitions with none give their end.
    ///
    /// # Errors
    /// `Unreachable`, or a refusal.
    pub fn offsets_at(&self, topic: &str, millis: i64) -> Result<BTreeMap<i32, i64>, Error> {
        let refused = |source| Error::Refused { action: format!("find offsets of {topic} by time"), source };
        let mut wanted = TopicPartitionList::new();
        for partition in 0..self.partitions(topic)? {
            wanted.add_partition_offset(topic, partition, Offset::Offset(millis)).map_err(refused)?;
        }
        let action = format!("find offsets of {topic} by time");
        let found =
            patiently(&self.kafka, &action, || self.uncommitted.offsets_for_times(wanted.clone(), CALL))?;
        let mut offsets = BTreeMap::new();
        for element in found.elements() {
            let offset = match element.offset() {
                Offset::Offset(offset) => offset,
                _ => self.watermarks(topic, element.partition())?.1,
            };
            offsets.insert(element.partition(), offset);
        }
        Ok(offsets)
    }

    /// Deletes the records before the given offsets.
    ///
    /// # Errors
    /// A refusal.
    pub fn delete_before(&self, topic: &str, before: &BTreeMap<i32, i64>) -> Result<(), Error> {
        let refused = |source| Error::Refused { action: format!("delete old records of {topic}"), source };
        let mut offsets = TopicPartitionList::new();
        for (&partition, &offset) in before {
            offsets.add_partition_offset(topic, partition, Offset::Offset(offset)).map_err(refused)?;
        }
        block_on(self.client.delete_records(&offsets, &options())).map_err(refused)?;
        Ok(())
    }
}

fn options() -> AdminOptions {
    AdminOptions::new().request_timeout(Some(CALL)).operation_timeout(Some(CALL))
}

fn refused_code(action: String, code: RDKafkaErrorCode) -> Error {
    Error::Refused { action, source: KafkaError::AdminOp(code) }
}
