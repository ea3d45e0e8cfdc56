//! The session on a real Kafka does what every session must do: the suite that the scripted one passes too.

use std::collections::BTreeMap;
use std::time::Duration;

use millrace_jobs::Job;
use millrace_runner::conformance::{Count, Rig, suite};
use millrace_runner::kafka::{KafkaSession, SessionOptions};
use millrace_runtime::config::Config;
use millrace_runtime::kafka::admin::Admin;
use millrace_runtime::service::Service;
use millrace_runtime::stop::Stop;
use millrace_schemas::dead::DeadLetter;
use millrace_schemas::topics::{Cleanup, TopicSpec, changelog};
use rdkafka::ClientConfig;
use rdkafka::message::{Headers, Message};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};

use crate::harness::World;
use crate::harness::log::Log;

const CALL: Duration = Duration::from_secs(30);

/// One part's log in the cluster of all: with topics and a group of its own.
struct Real<'w> {
    world: &'w World,
    log: &'w Log,
    service: Service,
    /// Names group, changelog and transactional id.
    name: &'static str,
    job: Count,
}

impl<'w> Real<'w> {
    fn new(world: &'w World, log: &'w Log, service: &Service, part: &str) -> Real<'w> {
        let name: &'static str = format!("conformance-{part}").leak();
        let job = Count { input: format!("{name}.in"), output: format!("{name}.out") };
        let topic = |name: &str, cleanup| TopicSpec {
            name: name.to_owned(),
            about: "of a test".to_owned(),
            partitions: 3,
            scales: false,
            cleanup,
            retention_hours: -1,
            bound_mib: -1,
            max_record_kib: 1024,
            owner_deletes: false,
        };
        let topics = [
            topic(&job.input, Cleanup::Delete),
            topic(&job.output, Cleanup::Delete),
            topic(&changelog(name), Cleanup::Compact),
        ];
        Admin::open(&service.config.kafka).unwrap().apply(&topics).unwrap();
        Real { world, log, service: service.clone(), name, job }
    }

    fn client(&self) -> ClientConfig {
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", &self.world.cluster.brokers);
        config
    }
}

impl Rig for Real<'_> {
    type Session = KafkaSession;

    fn job(&self) -> Count {
        self.job.clone()
    }

    fn append(&mut self, partition: i32, values: &[&str]) {
        let producer: BaseProducer = self.client().set("acks", "all").create().unwrap();
        for value in values {
            let record = BaseRecord::to(&self.job.input).partition(partition).key("t/k").payload(*value);
            producer.send(record).map_err(|(error, _)| error).unwrap();
        }
        producer.flush(CALL).unwrap();
        assert_eq!(producer.in_flight_count(), 0);
    }

    fn start(&mut self) -> KafkaSession {
        let options = SessionOptions::usual(self.name, self.job.inputs(), self.job.outputs(), 0, 0);
        KafkaSession::join(&self.service, options).unwrap()
    }

    fn break_next_commit(&mut self, _: &mut KafkaSession) {
        // Somebody takes the transactional id: what the session sends from now on is refused.
        let id = format!("{}-{}-0-0", self.world.prefix, self.name);
        let fencing: BaseProducer = self.client().set("transactional.id", id).create().unwrap();
        fencing.init_transactions(CALL).unwrap();
    }

    fn outputs(&mut self) -> BTreeMap<i32, Vec<String>> {
        let mut outputs: BTreeMap<i32, Vec<String>> = BTreeMap::new();
        self.log.read(&self.job.output, "read_committed", |message| {
            let value = String::from_utf8(message.payload().unwrap().to_vec()).unwrap();
            outputs.entry(message.partition()).or_default().push(value);
        });
        outputs
    }

    fn dead(&mut self) -> Vec<(i32, i64)> {
        let mut dead = Vec::new();
        self.log.read("logs.dead", "read_committed", |message| {
            let headers = message.headers().expect("a letter has headers");
            let find =
                |name: &str| headers.iter().find(|header| header.key == name).and_then(|own| own.value);
            let letter = DeadLetter::from_headers(find).unwrap();
            assert_eq!(letter.stage, Count::NAME);
            if letter.topic == self.job.input {
                dead.push((letter.partition, letter.offset));
            }
        });
        dead
    }

    fn committed(&mut self) -> BTreeMap<i32, i64> {
        self.log.committed(&format!("{}.{}", self.world.prefix, self.name), &self.job.input)
    }

    fn schema_ids(&self) -> (u32, u32) {
        (self.service.codecs.raw().id(), 1_999_999_999)
    }
}

#[test]
fn session_on_kafka_does_what_every_session_must_do() {
    let world = World::new("session");
    world.apply_topics();
    let config = Config::load_with(Some(&world.config()), std::iter::empty(), |_| {}).unwrap();
    let service = Service::open(&config, &Stop::default()).unwrap();
    let log = world.log();
    suite(|part| Real::new(&world, &log, &service, part));
}
