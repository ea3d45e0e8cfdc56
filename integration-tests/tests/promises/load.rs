//! Generated load: what `millrace loadgen --to kafka` sends is counted like everything else, and comes through.

use serde_json::Value;

use crate::harness::World;

#[test]
fn generated_lines_come_through_and_balance() {
    let mut world = World::new("load");
    world.apply_topics();
    world.start_all();
    let args = [
        "loadgen",
        "--to",
        "kafka",
        "--stream",
        "web",
        "--lines",
        "20000",
        "--agents",
        "3",
        "--garbage",
        "20",
    ];
    let told: Value =
        serde_json::from_slice(&world.cli_ok(&[&args[..], &["--format", "json"]].concat())).unwrap();
    assert_eq!((&told["lines"], &told["unsent_lines"]), (&20_000.into(), &0.into()), "{told}");
    world.wait_through(20_000);
    world.assert_balanced();
    world.stop();
}
