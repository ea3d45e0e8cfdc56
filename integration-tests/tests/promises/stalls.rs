//! Stalls: the broker, or every service, stands still for longer than sessions and transactions last, and goes on. Neither
//! looks like another process under the same name, and nothing is lost or there twice.

use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

use crate::harness::{Lines, Seed, Source, World, Writer};

/// Longer than `session.timeout.ms` and `transaction.timeout.ms`.
const STALL: Duration = Duration::from_secs(12);
/// Time to take up the work between two stalls: so short that both are in one minute.
const BETWEEN: Duration = Duration::from_secs(5);
const SERVICES: [&str; 4] = ["forward-web1", "parse-0", "index-0", "archive-0"];

#[test]
fn stalls_of_the_broker_and_of_services_are_no_other_process() {
    let mut world = World::with_own_broker("stalls");
    world.apply_topics();
    let logs = world.forward("web1");
    world.start_all();
    let mut writer = Writer::start(&logs.join("access.log"), Lines::new("z"), 10_000_000, 500);
    world.wait_committed(&SERVICES);
    for what in ["broker", "broker", "services", "services"] {
        let stalled: Vec<u32> = match what {
            "broker" => vec![world.cluster.broker().pid()],
            _ => SERVICES.iter().filter_map(|name| world.service(name).pid()).collect(),
        };
        let signal = |signal: Signal| {
            for pid in &stalled {
                kill_process(Pid::from_raw(*pid as i32).unwrap(), signal).unwrap();
            }
        };
        signal(Signal::STOP);
        std::thread::sleep(STALL);
        signal(Signal::CONT);
        std::thread::sleep(BETWEEN);
        world.check();
    }
    let n_lines = writer.finish();
    let source = Source::new("web1", &writer.path, n_lines, writer.lines.clone());
    world.assert_whole(&[source], &mut Seed::take("stalls").rng(1));
    world.stop();
}
