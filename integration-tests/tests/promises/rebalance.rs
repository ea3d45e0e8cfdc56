//! Rebalance: two, then three, then one member of each group while lines flow.

use std::time::Duration;

use millrace_schemas::key_partition;

use crate::harness::{Lines, Seed, Source, World, Writer, until};

const PER_SECOND: u64 = 500;
/// More than are written before the members have come and gone.
const LINES: u64 = 200_000;
const GROUPS: [&str; 3] = ["parse", "index", "archive"];
/// Each reads two topics of four partitions.
const HELD: f64 = 8.0;
/// Static members are waited for this long before their partitions go to others, and a little.
const REASSIGNED: Duration = Duration::from_secs(45);

#[test]
fn members_that_come_and_go_lose_and_repeat_nothing() {
    let mut rng = Seed::take("rebalance").rng(1);
    let mut world = World::new("rebalance");
    world.apply_topics();
    let mut writers: Vec<(String, Writer)> = hosts_of_each_partition()
        .into_iter()
        .map(|host| {
            let logs = world.forward(&host);
            let lines = Lines::new(&host);
            let writer = Writer::start(&logs.join("access.log"), lines, LINES, PER_SECOND);
            (host, writer)
        })
        .collect();
    world.start("query", 0);

    for number in [0, 1] {
        for group in GROUPS {
            world.start(group, number);
        }
    }
    wait_for_shares(&mut world, 2);
    for group in GROUPS {
        world.start(group, 2);
    }
    wait_for_shares(&mut world, 3);
    // One leaves in order, one dies.
    for group in GROUPS {
        world.service(&format!("{group}-0")).stop();
        world.service(&format!("{group}-2")).kill();
    }
    for group in GROUPS {
        let service = format!("{group}-1");
        until(&format!("{service} holds every partition"), REASSIGNED, || {
            world.check();
            let held = held(&mut world, group, 1);
            if held == HELD { Ok(()) } else { Err(format!("{held} of {HELD}")) }
        });
    }
    let sources: Vec<Source> = writers
        .iter_mut()
        .map(|(host, writer)| {
            let n_lines = writer.finish();
            Source::new(host, &writer.path, n_lines, writer.lines.clone())
        })
        .collect();
    world.assert_whole(&sources, &mut rng);
    world.stop();
}

/// Host names whose lines go to partitions 0, 1, 2, 3.
fn hosts_of_each_partition() -> Vec<String> {
    let host_of = |partition: i32| {
        let names = (0..).map(|n| format!("host{n}"));
        names
            .into_iter()
            .find(|host| key_partition(format!("default/{host}").as_bytes(), 4) == partition)
            .unwrap()
    };
    (0..4).map(host_of).collect()
}

fn held(world: &mut World, group: &str, number: u32) -> f64 {
    let label = format!("service=\"{group}\"");
    world.service(&format!("{group}-{number}")).metric("millrace_partitions_assigned", &label)
}

/// Waits until every one of `n_members` holds a share, and all shares together are everything.
fn wait_for_shares(world: &mut World, n_members: u32) {
    for group in GROUPS {
        until(&format!("{n_members} members of {group} share its partitions"), REASSIGNED, || {
            world.check();
            let shares: Vec<f64> = (0..n_members).map(|number| held(world, group, number)).collect();
            let shared = shares.iter().all(|share| *share >= 1.0) && shares.iter().sum::<f64>() == HELD;
            if shared { Ok(()) } else { Err(format!("{shares:?} of {HELD}")) }
        });
    }
}
