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

struct Real {
    service: Service,
    log: Log,
    // Last: the broker outlives what talks to it.
    world: World,
}

impl Real {
    fn new(part: &str) -> Real {
        let world = World::new(&format!("session-{part}"));
        world.apply_topics();
        let config = Config::load_with(Some(&world.config()), std::iter::empty(), |_| {}).unwrap();
        let topic = |name: &str, cleanup| TopicSpec {
            name: name.to_owned(),
            about: "of a test".to_owned(),
            partitions: 3,
            cleanup,
            retention_hours: -1,
            bound_mib: -1,
            max_record_kib: 1024,
            owner_deletes: false,
        };
        let topics = [
            topic(Count::INPUT, Cleanup::Delete),
            topic(Count::OUTPUT, Cleanup::Delete),
            topic(&changelog(Count::NAME), Cleanup::Compact),
        ];
        Admin::open(&config.kafka).unwrap().apply(&topics).unwrap();
        Real { service: Service::open(&config, &Stop::default()).unwrap(), log: world.log(), world }
    }

    fn client(&self) -> ClientConfig {
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", &self.world.cluster.brokers);
        config
    }
}

impl Rig for Real {
    type Session = KafkaSession;

    fn append(&mut self, partition: i32, values: &[&str]) {
        let producer: BaseProducer = self.client().set("acks", "all").create().unwrap();
        for value in values {
            let record = BaseRecord::to(Count::INPUT).partition(partition).key("t/k").payload(*value);
            producer.send(record).map_err(|(error, _)| error).unwrap();
        }
        producer.flush(CALL).unwrap();
        assert_eq!(producer.in_flight_count(), 0);
    }

    fn start(&mut self) -> KafkaSession {
        let options = SessionOptions::usual(Count::NAME, Count.inputs(), Count.outputs(), 0, 0);
        KafkaSession::join(&self.service, options).unwrap()
    }

    fn break_next_commit(&mut self, _: &mut KafkaSession) {
        // Somebody takes the transactional id: what the session sends from now on is refused.
        let id = format!("{}-{}-0-0", self.world.prefix, Count::NAME);
        let fencing: BaseProducer = self.client().set("transactional.id", id).create().unwrap();
        fencing.init_transactions(CALL).unwrap();
    }

    fn outputs(&mut self) -> BTreeMap<i32, Vec<String>> {
        let mut outputs: BTreeMap<i32, Vec<String>> = BTreeMap::new();
        self.log.read(Count::OUTPUT, "read_committed", |message| {
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
            assert_eq!((letter.stage.as_str(), letter.topic.as_str()), (Count::NAME, Count::INPUT));
            dead.push((letter.partition, letter.offset));
        });
        dead
    }

    fn committed(&mut self) -> BTreeMap<i32, i64> {
        self.log.committed(&format!("{}.{}", self.world.prefix, Count::NAME), Count::INPUT)
    }

    fn schema_ids(&self) -> (u32, u32) {
        (self.service.codecs.raw().id(), 1_999_999_999)
    }
}

#[test]
fn session_on_kafka_does_what_every_session_must_do() {
    suite(Real::new);
}
