//! Folding: old deltas of the ledger become cells of a compacted topic, each once whatever is killed, and only then leave
//! `millrace.ledger`. Whoever reads meanwhile counts nothing twice and misses nothing.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rand::Rng;
use serde_json::Value;

use crate::harness::log::{Ends, Log};
use crate::harness::process::run;
use crate::harness::seed::rounds;
use crate::harness::{Lines, Seed, World, Writer, until};

const LEDGER: &str = "millrace.ledger";
const FOLDED: &str = "millrace.ledger.folded";

/// Runs `millrace ledger` again and again; every answer must be that nothing is off.
struct Reader {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<u32>,
}

impl Reader {
    fn start(config: PathBuf) -> Reader {
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = stop.clone();
        let thread = std::thread::spawn(move || {
            let mut n_answers = 0;
            while !stopped.load(Ordering::SeqCst) {
                let output = run(&["ledger", "--config", config.to_str().unwrap()], &[]);
                let (out, err) =
                    (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
                assert!(output.status.success(), "a reader was told {}:\n{out}\n{err}", output.status);
                n_answers += 1;
            }
            n_answers
        });
        Reader { stop, thread }
    }

    fn join(self) -> u32 {
        self.stop.store(true, Ordering::SeqCst);
        self.thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    }
}

/// The ledger's cells as `millrace ledger` prints them.
fn minutes(world: &World) -> Vec<Value> {
    let out = world.cli_ok(&["ledger", "--format", "json"]);
    let answer: Value = serde_json::from_slice(&out).unwrap();
    answer["minutes"].as_array().unwrap().clone()
}

/// Sum of an edge's counts over all cells.
fn total(minutes: &[Value], edge: &str) -> i64 {
    minutes.iter().filter_map(|cell| cell["edges"][edge]["count"].as_i64()).sum()
}

/// Kills the archiver while it folds: as soon as the folded topic has grown, and a moment later. Gives whether that left
/// a transaction open.
fn kill_while_folding(world: &mut World, ends: &Ends, pause: Duration) -> bool {
    let before = ends.high(FOLDED);
    until("cells are written", Duration::from_secs(90), || {
        world.check();
        // Looks without a pause for a while: a millisecond counts.
        let start = Instant::now();
        while start.elapsed() < Duration::from_millis(500) {
            if ends.high(FOLDED) > before {
                return Ok(());
            }
        }
        Err("none")
    });
    std::thread::sleep(pause);
    world.service("archive-0").kill();
    let torn = ends.stable(FOLDED) < ends.high(FOLDED);
    world.service("archive-0").start();
    torn
}

fn wait_folded(world: &mut World, log: &Log, ends: &Ends) {
    until("all deltas are folded and gone", Duration::from_secs(90), || {
        world.check();
        let left = ends.high(LEDGER) - ends.low(LEDGER);
        if left == 0 { Ok(()) } else { Err(format!("{left} offsets left in {LEDGER}")) }
    });
    assert_eq!(log.count(LEDGER), 0, "deltas in {LEDGER}");
}

#[test]
fn folded_ledger_says_what_its_deltas_said() {
    let seed = Seed::take("folding");
    let mut rng = seed.rng(1);
    let mut world = World::new("folding");
    world.set("ledger", "fold_after_seconds", 604_800);
    world.apply_topics();
    let logs = world.forward("web1");
    world.start_all();
    // Lines that wait for the services would come through in a few transactions: few deltas.
    for name in ["parse-0", "index-0", "archive-0"] {
        world.service(name).wait_ready();
    }
    let mut writer = Writer::start(&logs.join("first.log"), Lines::new("a"), 20_000, 2_500);
    let n_first = writer.join();
    world.wait_through(n_first);
    world.assert_balanced();
    let (log, ends) = (world.log(), world.log().watch());
    let n_deltas = log.count(LEDGER);
    assert!(n_deltas > 50, "only {n_deltas} deltas: nothing to fold");
    assert_eq!(log.count(FOLDED), 0, "folded long before its time");
    let before = minutes(&world);
    assert_eq!(total(&before, "forward.out"), n_first as i64);

    // Folded as it stands: the same table, cell by cell, hash by hash.
    world.set("ledger", "fold_after_seconds", 1);
    world.service("archive-0").kill();
    world.service("archive-0").start();
    let mut n_torn = 0;
    n_torn += usize::from(kill_while_folding(&mut world, &ends, Duration::ZERO));
    wait_folded(&mut world, &log, &ends);
    let cells = log.compacted(FOLDED).len();
    assert!(cells < n_deltas, "{n_deltas} deltas became {cells} cells");
    assert_eq!(minutes(&world), before);
    world.assert_balanced();

    // Folded while lines flow, with kills, and with a reader that must never see anything off.
    let reader = Reader::start(world.config());
    let mut writer = Writer::start(&logs.join("second.log"), Lines::new("b"), 10_000_000, 500);
    for _ in 0..rounds(8) {
        let pause = Duration::from_micros(rng.random_range(0..6_000));
        n_torn += usize::from(kill_while_folding(&mut world, &ends, pause));
    }
    let n_lines = n_first + writer.finish();
    world.wait_through(n_lines);
    world.assert_balanced();
    wait_folded(&mut world, &log, &ends);
    let n_answers = reader.join();
    println!("folding: {n_torn} folds torn by a kill, a reader asked {n_answers} times");
    world.assert_balanced();
    let after = minutes(&world);
    for edges in [
        &["forward.out"][..],
        &["parse.in"],
        &["parse.out", "parse.dead"],
        &["index.in", "index.dead"],
        &["archive.in", "archive.dead"],
    ] {
        let count: i64 = edges.iter().map(|edge| total(&after, edge)).sum();
        assert_eq!(count, n_lines as i64, "lines of {edges:?} in the folded ledger");
    }
    world.stop();
}
