//! A record that the broker refuses is named as what failed, whatever is queued behind it: callers decide by that which
//! of their requests can never be taken.

use std::time::Duration;

use millrace_runtime::config::Config;
use millrace_runtime::kafka::admin::Admin;
use millrace_runtime::kafka::{Error, Guard, OutRecord, TxnProducer};
use millrace_schemas::topics::{Cleanup, TopicSpec};
use rand::RngCore;

use crate::harness::{Seed, World};

const TOPIC: &str = "refused-record";

fn send(producer: &mut TxnProducer, tag: usize, value: &[u8]) -> Result<(), Error> {
    producer.send(OutRecord {
        topic: TOPIC,
        partition: Some(0),
        key: b"key",
        value: Some(value),
        headers: &[],
        tag,
    })
}

#[test]
fn refused_record_is_named_whatever_is_queued_behind_it() {
    let world = World::new("refused-record");
    world.apply_topics();
    let kafka = Config::load_with(Some(&world.config()), std::iter::empty(), |_| {}).unwrap().kafka;
    let topic = TopicSpec {
        name: TOPIC.to_owned(),
        about: "of a test".to_owned(),
        partitions: 1,
        scales: false,
        cleanup: Cleanup::Delete,
        retention_hours: -1,
        bound_mib: -1,
        max_record_kib: 100,
        owner_deletes: false,
    };
    Admin::open(&kafka).unwrap().apply(&[topic]).unwrap();
    let mut noise = vec![0; 300_000];
    Seed::take("refused-record").rng(1).fill_bytes(&mut noise);
    // With the pause the refusal is known before the rest is sent; without it everything is on its way at once.
    for pause in [Duration::ZERO, Duration::from_millis(300)] {
        let id = format!("{}-refused-record", world.prefix);
        let mut producer = TxnProducer::open(&kafka, &id, true, Guard::default()).unwrap();
        producer.begin().unwrap();
        let mut sent = send(&mut producer, 0, &noise);
        std::thread::sleep(pause);
        for tag in 1..3_000 {
            sent = sent.and_then(|()| send(&mut producer, tag, &noise[..1_000]));
        }
        let error = sent.and_then(|()| producer.flush().map(drop)).unwrap_err();
        assert!(error.refuses_record(), "after a pause of {pause:?}: {error}");
        // What voids a transaction leaves nothing that hinders the next owner of the id.
        let mut next = TxnProducer::open(&kafka, &id, true, Guard::default()).unwrap();
        next.begin().unwrap();
        send(&mut next, 0, &noise[..1_000]).unwrap();
        assert_eq!(next.flush().unwrap().len(), 1);
        next.commit(None).unwrap();
    }
    assert_eq!(world.log().count(TOPIC), 2);
}
