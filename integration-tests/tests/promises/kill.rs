//! Kill: every service dies by SIGKILL at random moments, and the broker once, while lines are being written.

use std::time::{Duration, Instant};

use rand::Rng;
use rand::seq::SliceRandom;

use crate::harness::seed::soak_minutes;
use crate::harness::{Lines, Seed, Source, World, Writer};

/// Lines of the file, and of a second host's.
const LINES: (u64, u64) = (200_000, 20_000);
/// At this rate the file grows for about a minute.
const PER_SECOND: u64 = 3_500;
const KILLS_AT_LEAST: u32 = 20;

#[test]
fn kills_of_every_service_and_of_the_broker_lose_and_repeat_nothing() {
    let seed = Seed::take("kill");
    let mut rng = seed.rng(1);
    let mut world = World::with_own_broker("kill");
    world.apply_topics();
    let (first, second) = (world.forward("web1"), world.forward("web2"));
    world.start_all();

    let n_lines = soak_minutes().map_or(LINES.0, |minutes| minutes * 60 * PER_SECOND);
    let share = PER_SECOND * LINES.1 / LINES.0;
    let mut writers = [
        ("web1", Writer::start(&first.join("access.log"), Lines::new("a"), n_lines, PER_SECOND)),
        (
            "web2",
            Writer::start(&second.join("access.log"), Lines::new("b"), n_lines * LINES.1 / LINES.0, share),
        ),
    ];

    let victims = ["forward-web1", "forward-web2", "parse-0", "index-0", "archive-0"];
    // By rounds, each in another order: nobody is left out.
    let mut due: Vec<&str> = Vec::new();
    let broker_dies_at = n_lines * rng.random_range(35..65) / 100;
    let (mut kills, mut broker_died) = (0, false);
    while !writers[0].1.is_done() || kills < KILLS_AT_LEAST {
        let pause = Duration::from_millis(rng.random_range(200..4_000));
        let start = Instant::now();
        while start.elapsed() < pause {
            world.check();
            std::thread::sleep(Duration::from_millis(20));
        }
        if !broker_died && writers[0].1.written() >= broker_dies_at {
            println!("broker killed at line {}", writers[0].1.written());
            world.cluster.broker().kill();
            std::thread::sleep(Duration::from_millis(rng.random_range(0..2_000)));
            world.cluster.broker().restart().unwrap();
            broker_died = true;
        }
        if due.is_empty() {
            due = victims.to_vec();
            due.shuffle(&mut rng);
        }
        let name = due.pop().unwrap();
        println!("{name} killed at line {}", writers[0].1.written());
        world.service(name).kill();
        // Some are back at once, some stay away for a while.
        std::thread::sleep(Duration::from_millis(rng.random_range(0..800)));
        world.service(name).start();
        kills += 1;
    }
    assert!(broker_died, "the file was written before the broker died");
    println!("{kills} kills");
    let sources: Vec<Source> = writers
        .iter_mut()
        .map(|(host, writer)| {
            let n_lines = writer.join();
            Source::new(host, &writer.path, n_lines, writer.lines.clone())
        })
        .collect();
    world.assert_whole(&sources, &mut rng);
    world.stop();
}
