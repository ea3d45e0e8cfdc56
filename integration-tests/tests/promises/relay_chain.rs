//! A relay behind a relay: senders → outer → inner → gateway → Kafka. What the outer one acknowledged arrives, whichever of
//! the three dies, and attempts keep their order over both.

use std::time::Duration;

use millrace_schemas::attempt::BatchState;
use rand::Rng;

use crate::batches::PATH;
use crate::harness::http::put;
use crate::harness::{Seed, World, until};
use crate::relay_site::{
    Sender, WAIT, assert_arrived, assert_each_once, bodies, centre, post_with_key, put_batches, relay_as,
    wait_for_more,
};

/// Starts all three; gives the port of the outer relay.
fn chain(world: &mut World) -> u16 {
    let centre = centre(world);
    let inner = relay_as("inner", world, centre, |_| {});
    relay_as("outer", world, inner, |_| {})
}

#[test]
fn what_an_outer_relay_acknowledged_arrives_though_anybody_is_killed() {
    let seed = Seed::take("relay-chain");
    let mut rng = seed.rng(1);
    let mut world = World::new("relay-chain");
    world.apply_topics();
    let port = chain(&mut world);
    world.start_all();
    let mut senders = vec![post_with_key(port, 0), put_batches(port)];
    for victim in ["inner", "outer", "gateway-0", "inner", "outer"] {
        wait_for_more(&mut world, &senders, "requests are taken");
        std::thread::sleep(Duration::from_millis(rng.random_range(0..1_000)));
        println!("{victim} killed");
        world.service(victim).kill();
        world.service(victim).start();
    }
    world.service("outer").wait_ready();
    let taken: Vec<Vec<String>> = senders.iter_mut().map(Sender::finish).collect();
    let n_lines: usize = taken.iter().map(Vec::len).sum();
    world.wait_through(n_lines as u64);
    world.assert_balanced();

    assert_arrived(&bodies(&world), &taken);
    assert_each_once(&world, n_lines as u64);
    world.stop();
}

#[test]
fn a_batch_keeps_its_attempts_through_two_relays() {
    let mut world = World::new("relay-chain-batches");
    world.apply_topics();
    let port = chain(&mut world);
    let text =
        |word: &str| -> String { (0..20).map(|n| format!("{{\"word\":\"{word}\",\"n\":{n}}}\n")).collect() };
    for (word, attempt, away) in [("first", 1, "inner"), ("second", 2, "gateway-0"), ("second", 2, "inner")] {
        // Whoever takes it, the next one is away, and it dies before that is back.
        world.service(away).kill();
        let (status, body) = put(port, PATH, &[text(word).as_bytes()]).unwrap();
        assert!(status == 200 && body.contains(&format!("\"attempt\":{attempt}")), "{body}");
        world.service("outer").kill();
        world.service(away).start();
        world.service("outer").start();
        world.service("outer").wait_ready();
    }
    until("both attempts are at the centre", WAIT, || match world.log().count("logs.raw") {
        40 => Ok(()),
        n => Err(format!("{n} lines")),
    });
    until("the second one counts", WAIT, || {
        let log = world.log();
        let states = log.compacted("millrace.batches").into_values().flatten();
        let states = states.map(|value| log.codecs().batches().decode::<BatchState>(&value).unwrap());
        let own: Vec<BatchState> = states.filter(|state| state.host == "h").collect();
        match own.as_slice() {
            [BatchState { open: None, ended: Some(ended), .. }] if (ended.number, ended.count) == (2, 20) => {
                Ok(())
            }
            other => Err(format!("{other:?}")),
        }
    });
    world.stop();
}
