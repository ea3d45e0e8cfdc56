//! An installation that is made with more partitions: its lines go through all of them, and who is told another number does
//! not start.

use std::collections::BTreeSet;

use crate::harness::World;
use crate::harness::http::post;
use crate::relay_site::{assert_each_once, centre};

const PARTITIONS: i32 = 7;
const HOSTS: u64 = 60;
const LINES: u64 = 20;

#[test]
fn an_installation_keeps_the_partitions_it_was_made_with() {
    let mut world = World::new("partitions");
    world.set("kafka", "partitions", i64::from(PARTITIONS));
    world.apply_topics();
    let port = centre(&mut world);
    world.start_all();
    for group in ["parse", "index", "archive"] {
        world.start(group, 1);
    }
    for host in 0..HOSTS {
        let lines: String = (0..LINES).map(|n| format!("{{\"id\":\"{host}-{n}\"}}\n")).collect();
        let target = format!("/v1/logs/many?host=h{host}");
        let headers = [("content-type", "application/x-ndjson")];
        let (status, body) = post(port, &target, &headers, lines.as_bytes()).unwrap();
        assert_eq!(status, 200, "{body}");
        if host == HOSTS / 2 {
            for service in ["parse-0", "index-1", "archive-1"] {
                world.service(service).kill();
                world.service(service).start();
            }
        }
    }
    world.wait_through(HOSTS * LINES);
    world.assert_balanced();
    assert_each_once(&world, HOSTS * LINES);
    let used: BTreeSet<i32> = world.log().parsed().iter().map(|line| line.partition).collect();
    assert_eq!(used, (0..PARTITIONS).collect(), "partitions that lines are in");
    world.wait_found("", HOSTS * LINES);

    world.set("kafka", "partitions", 4);
    for command in [&["topics", "check"][..], &["topics", "apply"], &["index"]] {
        let output = world.cli(command);
        let said = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
        let is_named =
            said.contains("logs.raw has 7 partitions, wanted 4") && said.contains("kafka.partitions");
        assert!(!output.status.success() && is_named, "{command:?}: {said}");
    }
    world.set("kafka", "partitions", i64::from(PARTITIONS));
    world.stop();
}
