//! Redrive: a wrong parser makes dead letters; it is mended, and each is repaired exactly once, whoever dies meanwhile and
//! however often they are sent. The examples of docs/dead-letters.md do what they say.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::Write;
use std::time::Duration;

use millrace_schemas::Event;
use rand::Rng;
use rdkafka::message::Message;

use crate::harness::equality::assert_same;
use crate::harness::process::binary;
use crate::harness::spawn::{mortal, spawn};
use crate::harness::{Seed, World, until};

/// Lines of the file.
const LINES: u64 = 40_000;

/// Lines of a shop; every hundredth is broken for any parser.
fn lines() -> Vec<u8> {
    let line = |number: u64| match number % 100 {
        99 => format!("word{number:07} torn off"),
        _ => format!("order=word{number:07} client=10.0.0.{} total={}.50", number % 250, number % 90),
    };
    (0..LINES).flat_map(|number| (line(number) + "\n").into_bytes()).collect()
}

fn source(version: u32, pattern: &str) -> String {
    format!(
        "[[source]]\nname = \"shop\"\nversion = {version}\nstreams = [\"web\"]\n\
         steps = [{{ grok = {{ match = '^order=%{{WORD:order}} {pattern}$' }} }}]\n"
    )
}

/// A parser that expects a word which no line has, and all lines of a file dead by it.
fn wrong_parser(test: &str) -> (World, std::path::PathBuf) {
    let mut world = World::new(test);
    world.apply_topics();
    let sources = world.dir.join("sources.toml");
    fs::write(&sources, source(1, "customer=%{IP:client} total=%{NUMBER:total:float}")).unwrap();
    world.set("parse", "sources", vec![sources.display().to_string()]);
    let logs = world.forward("web1");
    world.start_all();
    let file = logs.join("shop.log");
    fs::write(&file, lines()).unwrap();
    world.wait_through(LINES);
    world.assert_balanced();
    (world, file)
}

/// A file with the parser that has the word which the lines have. What does not hold its own examples is not set.
fn mended(world: &World) -> String {
    let right = source(2, "client=%{IP:client} total=%{NUMBER:total:float}");
    let example = |client: &str| {
        let line = "order=a client=10.0.0.1 total=1.5";
        format!("[[source.example]]\nline = '{line}'\nexpect = {{ client = \"{client}\" }}\n")
    };
    let file = world.dir.join("mended.toml").display().to_string();
    fs::write(&file, right.clone() + &example("10.0.0.2")).unwrap();
    assert_eq!(world.cli(&["source", "set", &file]).status.code(), Some(1), "an example does not hold");
    fs::write(&file, right + &example("10.0.0.1")).unwrap();
    world.cli_ok(&["source", "set", &file, "--dry-run"]);
    assert_eq!(set_sources(world), [("shop".to_owned(), 1)]);
    file
}

/// Waits until a loop of the parse job reads by the second version; the others do so from their next batch on.
fn wait_taken_up(world: &World, file: &std::path::Path) {
    until("the source is taken up", Duration::from_secs(60), || {
        let mut file = fs::OpenOptions::new().append(true).open(file).unwrap();
        file.write_all(b"order=more client=10.0.0.1 total=1.50\n").unwrap();
        let log = world.log();
        let mut seen = false;
        log.read("logs.parsed", "read_committed", |message| {
            let event: Event<'_> = log.codecs().parsed().decode(message.payload().unwrap()).unwrap();
            seen |= (event.parser.id, event.parser.version) == ("shop", 2);
        });
        if seen { Ok(()) } else { Err("no event by it".to_owned()) }
    });
}

fn set_sources(world: &World) -> Vec<(String, u64)> {
    let rows = json(world, &["source", "ls"]);
    let row = |row: &serde_json::Value| {
        (row["name"].as_str().unwrap().to_owned(), row["version"].as_u64().unwrap())
    };
    rows.as_array().unwrap().iter().map(row).collect()
}

fn json(world: &World, args: &[&str]) -> serde_json::Value {
    let out = world.cli_ok(&[args, &["--format", "json"]].concat());
    serde_json::from_slice(&out).unwrap()
}

/// Starts a redrive of everything that did not match, and lets it be killed.
fn start_redrive(world: &World) -> std::process::Child {
    let mut command = mortal(&binary());
    command.args(["dlq", "redrive", "--where", "reason=no_match", "--config"]).arg(world.config());
    command.stdin(std::process::Stdio::null()).stdout(std::process::Stdio::null());
    spawn(command)
}

#[test]
fn kills_during_a_redrive_repair_each_dead_letter_once() {
    let seed = Seed::take("redrive");
    let mut rng = seed.rng(1);
    let (mut world, file) = wrong_parser("redrive");
    let count = json(&world, &["dlq", "count", "--by", "reason,source,parser"]);
    assert_eq!(count["total"], LINES);
    assert_eq!(
        count["counts"][0],
        serde_json::json!({"reason": "no_match", "source": "shop", "parser": "shop/1", "count": LINES})
    );
    world.wait_found("table:dead", LINES);

    let file_of_it = mended(&world);
    world.cli_ok(&["source", "set", &file_of_it]);
    assert_eq!(set_sources(&world), [("shop".to_owned(), 2)]);
    // Whoever starts from now on reads by it, whatever the file says.
    world.service("parse-0").kill();
    world.service("parse-0").start();
    let n_broken = LINES / 100;
    let log = world.log();
    // Whoever sends, parses and stores dies at random moments; each sender sends anew what is owed still.
    for round in 0..8 {
        let mut sender = start_redrive(&world);
        until("something is sent", Duration::from_secs(60), || {
            world.check();
            let ended = sender.try_wait().unwrap().is_some();
            if ended || log.ends("logs.redrive").1 > round * 500 { Ok(()) } else { Err("nothing yet") }
        });
        std::thread::sleep(Duration::from_millis(rng.random_range(0..400)));
        drop(sender.kill());
        sender.wait().unwrap();
        let name = ["parse-0", "index-0", "archive-0"][rng.random_range(0..3)];
        world.service(name).kill();
        world.service(name).start();
    }
    let rest =
        world.cli(&["dlq", "redrive", "--where", "reason=no_match", "--wait", "600s", "--format", "json"]);
    assert_eq!(
        rest.status.code(),
        Some(1),
        "the broken lines fail again: {}",
        String::from_utf8_lossy(&rest.stderr)
    );
    let rest: serde_json::Value = serde_json::from_slice(&rest.stdout).unwrap();
    assert_eq!(rest["failed_again"], n_broken);
    // All at once, twice more, now that there is nothing to repair.
    for _ in 0..2 {
        world.cli(&["dlq", "redrive", "--wait", "600s"]);
    }

    world.assert_balanced();
    let ledger = json(&world, &["ledger"]);
    assert_eq!(ledger["debt"], n_broken);
    // Each line is one event, under the identity of its raw record, or owed still.
    let raw: BTreeSet<(i32, i64)> = log.raw().iter().map(|line| line.origin).collect();
    let mut origins = BTreeMap::new();
    log.read("logs.parsed", "read_committed", |message| {
        let event: Event<'_> = log.codecs().parsed().decode(message.payload().unwrap()).unwrap();
        let at = (event.origin.partition, event.origin.offset);
        assert_eq!(message.partition(), at.0);
        assert_eq!(event.flags.last().unwrap(), "redriven");
        assert_eq!((event.parser.id, event.parser.version), ("shop", 2));
        *origins.entry(at).or_insert(0) += 1;
    });
    assert!(origins.values().all(|n| *n == 1), "a letter was repaired twice");
    assert!(origins.keys().all(|at| raw.contains(at)));
    assert_eq!((raw.len() as u64, origins.len() as u64), (LINES, LINES - n_broken));
    let count = json(&world, &["dlq", "count", "--by", "parser"]);
    assert_eq!(count["counts"], serde_json::json!([{"parser": "shop/2", "count": n_broken}]));

    // Found once, and the file is whole.
    world.wait_found("table:dead", n_broken);
    world.wait_found("flags:redriven", LINES - n_broken);
    world.wait_found("", LINES);
    world.wait_found("word0000007", 1);
    world.wait_found("word0000099", 1);
    world.wait_found("reason:redriven", 0);
    let path = file.display().to_string();
    assert_same(&world.cat("web1", &path, &[]), &fs::read(&file).unwrap(), "the file from the archive");
    world.stop();
}

#[test]
fn the_examples_of_the_docs_repair_what_they_say() {
    let (mut world, file) = wrong_parser("redrive-docs");
    let page = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/dead-letters.md");
    let page = fs::read_to_string(page).unwrap();
    let blocks: Vec<&str> =
        page.split("```sh\n").skip(1).map(|rest| rest.split("```").next().unwrap()).collect();
    assert_eq!(blocks.len(), 2, "look, then mend");
    let id = json(&world, &["dlq", "ls", "--limit", "1"])["letters"][0]["id"].as_str().unwrap().to_owned();
    let mended = mended(&world);
    let run = |world: &World, block: &str, code: i32| {
        for command in block.lines().filter(|line| line.starts_with("millrace ")) {
            let args =
                command.split(" #").next().unwrap().replace("3/1207", &id).replace("shop.toml", &mended);
            // A machine that is slow changes nothing.
            let args = args.replace("--wait 120s", "--wait 600s").replace("--wait 60s", "--wait 600s");
            let args: Vec<&str> = args.split_whitespace().skip(1).collect();
            let output = world.cli(&args);
            let said = [output.stdout, output.stderr].concat();
            let wanted = if args.contains(&"--wait") && args.contains(&"redrive") { code } else { 0 };
            assert_eq!(output.status.code(), Some(wanted), "{command}\n{}", String::from_utf8_lossy(&said));
            if args[..2] == ["source", "set"] {
                wait_taken_up(world, &file);
            }
        }
    };
    run(&world, blocks[0], 0);
    assert_eq!(json(&world, &["dlq", "redrive", "--dry-run"])["would_send"], LINES);
    // Without a restart. Broken lines stay dead, and the exit code says so.
    run(&world, blocks[1], 1);
    assert_eq!(json(&world, &["dlq", "count"])["total"], LINES / 100);
    world.assert_balanced();
    world.stop();
}
