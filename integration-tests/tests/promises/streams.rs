//! Streams with a record. Bound to a source by it: while lines flow, and whoever is killed meanwhile, each line of that stream
//! is read once, never by an older binding than a line before it, and nobody else's lines are read by it. Keys that make no
//! streams write to those alone. The examples of docs/streams.md do what they say.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::process::Stdio;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use millrace_schemas::{Event, RawEvent};
use rand::Rng;
use rdkafka::message::Message;

use crate::admin::{FIRST, installation};
use crate::harness::process::binary;
use crate::harness::spawn::{mortal, spawn};
use crate::harness::{Seed, World, http, until};

const LONG: Duration = Duration::from_secs(120);

/// The reader of each line, by tenant and raw offset; none is read twice.
fn readers(world: &World) -> BTreeMap<(String, i32, i64), String> {
    let (log, mut readers) = (world.log(), BTreeMap::new());
    log.read("logs.parsed", "read_committed", |message| {
        let event: Event<'_> = log.codecs().parsed().decode(message.payload().unwrap()).unwrap();
        let at = (event.tenant.to_owned(), event.origin.partition, event.origin.offset);
        assert_eq!(readers.insert(at.clone(), event.parser.id.to_owned()), None, "{at:?} is read twice");
    });
    readers
}

/// Asks until it is answered, and not to come again: what has a key is taken once.
fn ask(port: u16, request: &str, headers: &[(&str, &str)], body: &str) -> (u16, String) {
    let (method, path) = request.split_once(' ').unwrap();
    let mut answer = (0, String::new());
    until(&format!("{request} is answered"), LONG, || {
        answer =
            http::ask(port, method, path, headers, body.as_bytes()).map_err(|error| error.to_string())?;
        if answer.0 == 503 { Err(answer.1.clone()) } else { Ok(()) }
    });
    answer
}

/// Sends lines of two tenants until it is told to stop; gives how many of each were acknowledged.
fn send(port: u16, stop: &AtomicBool) -> usize {
    let (bearer, mut number) = (format!("Bearer {FIRST}"), 0);
    while !stop.load(Ordering::Relaxed) {
        let key = number.to_string();
        for tenant in ["acme", "default"] {
            let request = format!("POST /v1/logs/web?host=h{}&tenant={tenant}", number % 11);
            let body: String = (0..20).map(|own| format!("order={}\n", number * 20 + own)).collect();
            let headers = [("authorization", bearer.as_str()), ("idempotency-key", &key)];
            let answer = ask(port, &request, &headers, &body);
            assert_eq!(answer.0, 200, "{answer:?}");
        }
        number += 1;
    }
    number * 20
}

#[test]
fn a_bound_stream_is_read_by_its_source_whoever_is_killed() {
    const ROUNDS: usize = 5;
    let mut rng = Seed::take("streams").rng(1);
    let mut world = World::new("streams");
    let port = installation(&mut world);
    world.start("parse", 0);
    let sources = (1..=ROUNDS).map(|number| {
        let step = "steps = [{ regex = { pattern = '^order=(?<order>.*)$' } }]";
        format!("[[source]]\nname = \"shop-{number}\"\n{step}\n")
    });
    let file = world.dir.join("shops.toml");
    fs::write(&file, sources.collect::<String>()).unwrap();
    world.cli_ok(&["tenant", "create", "acme"]);
    let refused = world.cli(&["stream", "create", "web", "--tenant", "acme", "--source", "shop-1"]);
    assert_eq!(refused.status.code(), Some(1), "there is no such source");
    world.cli_ok(&["source", "set", file.to_str().unwrap()]);
    world.cli_ok(&["stream", "create", "web", "--tenant", "acme", "--note", "the shop"]);
    assert_eq!(world.cli(&["stream", "create", "web", "--tenant", "acme"]).status.code(), Some(1));

    let stop = AtomicBool::new(false);
    let n_sent = std::thread::scope(|scope| {
        let sending = scope.spawn(|| send(port, &stop));
        // Whatever fails in here must not leave the sender waiting for its end.
        let bound = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            for number in 1..=ROUNDS {
                let source = format!("shop-{number}");
                let set = ["stream", "set", "web", "--tenant", "acme", "--source", &source];
                let mut command = mortal(&binary());
                command.args(set).arg("--config").arg(world.config());
                let mut command = spawn({
                    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
                    command
                });
                std::thread::sleep(Duration::from_millis(rng.random_range(0..1_500)));
                drop(command.kill());
                command.wait().unwrap();
                world.service("parse-0").kill();
                world.service("parse-0").start();
                until("the stream is bound", LONG, || {
                    let output = world.cli(&set);
                    let said = String::from_utf8_lossy(&output.stderr).into_owned();
                    if output.status.success() { Ok(()) } else { Err(said) }
                });
                until(&format!("{source} reads"), LONG, || {
                    world.check();
                    if readers(&world).values().any(|own| *own == source) { Ok(()) } else { Err("not yet") }
                });
            }
        }));
        stop.store(true, Ordering::Relaxed);
        let n_sent = sending.join().unwrap();
        bound.map(|()| n_sent).unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    });

    let last = format!("shop-{ROUNDS}");
    let rows = world.cli_ok(&["stream", "ls", "--tenant", "acme", "--format", "json"]);
    let rows: serde_json::Value = serde_json::from_slice(&rows).unwrap();
    assert_eq!(
        (&rows[0]["read_by"], &rows[0]["note"]),
        (&last.as_str().into(), &"the shop".into()),
        "{rows}"
    );
    let refused = world.cli(&["source", "rm", &last]);
    let said = String::from_utf8_lossy(&refused.stdout).into_owned();
    assert!(refused.status.code() == Some(1) && said.contains("web of acme"), "{said}");
    world.cli_ok(&["source", "rm", "shop-1"]);

    until("every line is read", LONG, || {
        let n_read = readers(&world).len();
        if n_read == 2 * n_sent { Ok(()) } else { Err(format!("{n_read} of {}", 2 * n_sent)) }
    });
    let read = readers(&world);
    let mut seen: BTreeMap<i32, usize> = BTreeMap::new();
    for ((tenant, partition, offset), reader) in &read {
        let number = reader.strip_prefix("shop-").map_or(0, |number| number.parse().unwrap());
        if tenant == "default" {
            assert_eq!(number, 0, "another tenant's line at {partition}/{offset} is read by {reader}");
            continue;
        }
        let newest = seen.entry(*partition).or_default();
        assert!(number >= *newest, "{partition}/{offset} is read by {reader} after shop-{newest}");
        *newest = number;
    }
    assert!(seen.len() > 1 && seen.values().all(|newest| *newest > 0), "{seen:?}");

    // Bound no more, it is read as all streams of its name are.
    world.cli_ok(&["stream", "rm", "web", "--tenant", "acme"]);
    let n_before = read.values().filter(|reader| !reader.starts_with("shop-")).count();
    until("a line is read by its format", LONG, || {
        let bearer = format!("Bearer {FIRST}");
        ask(port, "POST /v1/logs/web?tenant=acme", &[("authorization", &bearer)], "order=1");
        let n = readers(&world).values().filter(|own| !own.starts_with("shop-")).count();
        if n > n_before { Ok(()) } else { Err("not yet") }
    });
    world.stop();
}

#[test]
fn a_key_that_makes_no_streams_writes_to_those_that_were_made() {
    let mut world = World::new("streams-key");
    let port = installation(&mut world);
    world.cli_ok(&["tenant", "create", "acme"]);
    for (name, tenant) in [("web", "acme"), ("app", "default")] {
        world.cli_ok(&["stream", "create", name, "--tenant", tenant]);
    }
    let key = |streams: &str| {
        let args = ["key", "create", "--tenant", "acme", "--role", "ingest", "--streams", streams];
        let made = world.cli_ok(&[&args[..], &["--format", "json"]].concat());
        let made: serde_json::Value = serde_json::from_slice(&made).unwrap();
        format!("Bearer {}", made["key"].as_str().unwrap())
    };
    let (bound, free) = (key("existing"), key("any"));
    let ask = |key: &str, request: &str, body: &str| {
        ask(port, request, &[("authorization", key), ("content-type", "application/json")], body)
    };
    let becomes = |wanted: u16, path: &str| {
        until(&format!("{path} is answered {wanted}"), LONG, || {
            match ask(&bound, &format!("POST {path}"), "{}").0 {
                status if status == wanted => Ok(()),
                status => Err(status.to_string()),
            }
        });
    };
    becomes(200, "/v1/logs/web");
    let lines = r#"{"streams":[{"stream":{"app":"app"},"values":[["1","a"]]}]}"#;
    for (request, body) in [
        ("POST /v1/logs/app", "{}"),
        ("POST /loki/api/v1/push", lines),
        ("POST /services/collector/raw?index=app", "a line"),
        ("POST /v1/logs", r#"{"resourceLogs":[{"scopeLogs":[{"logRecords":[{}]}]}]}"#),
        ("PUT /v1/batches/app/h/2026-01-31T23:59Z", "{}"),
    ] {
        let (status, said) = ask(&bound, request, body);
        assert!(status == 403 && said.contains("there is no stream"), "{request}: {status} {said}");
    }
    let bulk = "{\"create\":{\"_index\":\"app\"}}\n{}\n{\"create\":{\"_index\":\"web\"}}\n{}\n".repeat(10);
    let (status, said) = ask(&bound, "POST /_bulk", &bulk);
    let n_items = |status: u16| said.matches(&format!("\"status\":{status}")).count();
    assert_eq!((status, n_items(201), n_items(403)), (200, 10, 10), "{said}");
    let (log, mut streams) = (world.log(), BTreeSet::new());
    log.read("logs.raw", "read_committed", |message| {
        let raw: RawEvent<'_> = log.codecs().raw().decode(message.payload().unwrap()).unwrap();
        streams.insert(raw.stream.to_owned());
    });
    assert_eq!(streams, BTreeSet::from(["web".to_owned()]), "of what was refused nothing is there");
    let refused = world.service("gateway-0").metric("millrace_gateway_refused_total", "\"new_stream\"");
    assert!(refused >= 15.0, "{refused}");
    assert_eq!(ask(&free, "POST /v1/logs/db", "{}").0, 200, "the other key makes streams");

    // As soon as it is there, and no longer.
    world.cli_ok(&["stream", "create", "app", "--tenant", "acme"]);
    becomes(200, "/v1/logs/app");
    assert_eq!(ask(&bound, "PUT /v1/batches/app/h/2026-01-31T23:59Z", "{}").0, 200);
    world.cli_ok(&["stream", "rm", "web", "--tenant", "acme"]);
    becomes(403, "/v1/logs/web");
    assert_eq!(ask(&bound, "POST /v1/logs/app", "{}").0, 200);
    world.stop();
}

#[test]
fn the_examples_of_the_docs_run() {
    run_page("streams-docs", "streams.md", &["stream shop-web of acme is made", "source  logfmt"]);
}

/// Runs the examples of a page; they must say what is `wanted`.
pub(crate) fn run_page(test: &str, page: &str, wanted: &[&str]) {
    let mut world = World::new(test);
    let port = installation(&mut world);
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs").join(page);
    let page = fs::read_to_string(page).unwrap();
    let blocks = page.split("```sh\n").skip(1).map(|rest| rest.split("```").next().unwrap());
    let script = format!("\n{}", blocks.collect::<String>());
    assert!(script.matches("\nmillrace ").count() >= 6, "{script}");
    let script = script.replace("127.0.0.1:8080", &format!("127.0.0.1:{port}"));
    let (binary, config) = (binary().display().to_string(), world.config().display().to_string());
    let script = format!("set -eu\nmillrace() {{ '{binary}' \"$@\" --config '{config}'; }}\n{script}");
    let mut command = mortal(Path::new("sh"));
    command.args(["-c", &script]).current_dir(&world.dir).stdout(Stdio::piped()).stderr(Stdio::piped());
    let output = spawn(command).wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{said}\n{}", String::from_utf8_lossy(&output.stderr));
    for wanted in wanted {
        assert!(said.contains(wanted), "{wanted} is not in\n{said}");
    }
    world.stop();
}
