//! Restore: a member dies between the markers of `__consumer_offsets` and of the changelog of one transaction. Whoever
//! takes over must not read a changelog that is older than the offsets it goes on from (KAFKA-10167).

use std::collections::BTreeMap;
use std::sync::mpsc::channel;
use std::time::Duration;

use millrace_kafka_local::free_port;
use millrace_runtime::kafka::{Kafka, read_to_mark};
use millrace_schemas::progress::Progress;
use rand::Rng;

use crate::harness::log::Log;
use crate::harness::markers::Markers;
use crate::harness::seed::rounds;
use crate::harness::{Lines, Seed, Source, World, Writer, until};

const CHANGELOG: &str = "millrace.parse.state";
const ROUNDS: usize = 6;

#[test]
fn death_between_the_markers_loses_nothing_of_the_state() {
    let mut rng = Seed::take("restore").rng(1);
    let markers = Markers::listen(CHANGELOG);
    let port = free_port().unwrap();
    let mut world = World::with_broker("restore", |options| {
        options.port = Some(port);
        let advertised = format!("CLIENT://127.0.0.1:{port},INTERNAL://127.0.0.1:{}", markers.port());
        options.properties.push(("advertised.listeners".to_owned(), advertised));
    });
    markers.lead_to(&world.cluster.direct());
    // The address that the internal listener advertises is the gate's, not for clients.
    world.cluster.forget_direct();
    world.apply_topics();
    let logs = world.forward("web1");
    world.start_all();
    let mut writer = Writer::start(&logs.join("access.log"), Lines::new("r"), 10_000_000, 1_000);
    let log = world.log();
    let group = format!("{}.parse", world.prefix);

    for round in 0..rounds(ROUNDS) {
        // A transaction that fits comes whenever lines flow.
        assert!(markers.tear(Duration::from_secs(60)), "no transaction was torn in round {round}");
        world.service("parse-0").kill();
        let committed = log.committed(&group, "logs.raw");
        let stable = progress(&stable_changelog(&log), &log);
        let torn =
            committed.iter().any(|(partition, next)| stable.get(partition).is_none_or(|known| known < next));
        assert!(
            torn,
            "offsets {committed:?} are not ahead of the changelog {stable:?}: the scene did not come about"
        );

        // Another process restores, by the code that services restore by, while the rest of the markers is away.
        let (done, restored) = channel();
        let kafka = Kafka {
            brokers: world.cluster.brokers.clone(),
            prefix: "restore".into(),
            client: Vec::new(),
            replication: 1,
            partitions: None,
        };
        let reader = std::thread::spawn(move || {
            let mut state = BTreeMap::new();
            read_to_mark(&kafka, CHANGELOG, &[0, 1, 2, 3], |partition, _, key, value| {
                state.insert((partition, key.to_vec()), value.map(<[u8]>::to_vec));
                Ok(())
            })
            .unwrap();
            done.send(state).unwrap();
        });
        if round % 2 == 0 {
            world.service("parse-0").start();
        }
        let early = restored.recv_timeout(Duration::from_millis(rng.random_range(300..1_500)));
        assert!(early.is_err(), "the changelog was taken for whole while a commit was on its way");
        markers.release();
        let state = restored.recv_timeout(Duration::from_secs(30)).unwrap();
        reader.join().unwrap();
        let whole = progress(&state, &log);
        for (partition, next) in &committed {
            let known = whole.get(partition).copied().unwrap_or_default();
            assert!(
                known >= *next,
                "partition {partition}: offset {next} is committed, the changelog is at {known}"
            );
        }
        world.service("parse-0").start();
    }
    let n_lines = writer.finish();
    world.assert_whole(&[Source::new("web1", &writer.path, n_lines, writer.lines.clone())], &mut rng);
    until("changelog and group agree", Duration::from_secs(20), || {
        let (committed, known) = (log.committed(&group, "logs.raw"), progress(&stable_changelog(&log), &log));
        let agree = committed.iter().all(|(partition, next)| known.get(partition) == Some(next));
        if agree { Ok(()) } else { Err(format!("{committed:?} and {known:?}")) }
    });
    world.stop();
}

type State = BTreeMap<(i32, Vec<u8>), Option<Vec<u8>>>;

/// What a reader that stops at the last stable offset sees.
fn stable_changelog(log: &Log) -> State {
    log.compacted(CHANGELOG)
}

/// Next offset by partition, as the changelog has it.
fn progress(state: &State, log: &Log) -> BTreeMap<i32, i64> {
    let key = Progress::key("logs.raw");
    let own = state.iter().filter(|((_, own), _)| own == key.as_bytes());
    let next = own.filter_map(|((partition, _), value)| {
        let progress: Progress = log.codecs().progress().decode(value.as_ref()?).unwrap();
        Some((*partition, progress.next))
    });
    next.collect()
}
