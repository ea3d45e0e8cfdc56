//! Batches of minutes: forwarder → spool → gateway → Kafka, each line once, whoever dies; a batch that is sent again adds
//! what was missing and nothing else, and one that differs takes the place of the former.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use millrace_kafka_local::free_port;
use millrace_schemas::RawEvent;
use millrace_schemas::attempt::BatchState;
use rand::Rng;
use rdkafka::message::Message;

use crate::harness::http::{answered, put};
use crate::harness::tools::{python, script};
use crate::harness::{Lines, Seed, Source, World, Writer, until};

const LINES: u64 = 100_000;
const PER_SECOND: u64 = 2_500;

/// Starts gateway `number` at a port of its own.
fn gateway(world: &mut World, number: u32) -> u16 {
    let port = free_port().unwrap();
    world.set("gateway", "listen", format!("127.0.0.1:{port}"));
    world.set("gateway", "anonymous", "default");
    world.start("gateway", number).wait_ready();
    port
}

/// Every batch that gateways know.
fn batches(world: &World) -> Vec<BatchState> {
    let log = world.log();
    let states = log.compacted("millrace.batches").into_values().flatten();
    states.map(|value| log.codecs().batches().decode(&value).unwrap()).collect()
}

#[test]
fn lines_through_a_gateway_arrive_once_though_both_sides_are_killed() {
    let seed = Seed::take("batches-kill");
    let mut rng = seed.rng(1);
    let mut world = World::new("batches-kill");
    world.apply_topics();
    let port = gateway(&mut world, 0);
    world.set("upstream", "url", format!("http://127.0.0.1:{port}"));
    let logs = world.forward_with("web1", |section| drop(section.insert("output".to_owned(), "http".into())));
    world.start_all();
    let mut writer = Writer::start(&logs.join("access.log"), Lines::new("a"), LINES, PER_SECOND);
    let mut kills = 0;
    while !writer.is_done() || kills < 12 {
        let victim = ["gateway-0", "forward-web1"][kills % 2];
        std::thread::sleep(Duration::from_millis(rng.random_range(300..4_000)));
        world.check();
        println!("{victim} killed at line {}", writer.written());
        world.service(victim).kill();
        std::thread::sleep(Duration::from_millis(rng.random_range(0..500)));
        world.service(victim).start();
        kills += 1;
    }
    let n_lines = writer.join();
    let source = Source::new("web1", &writer.path, n_lines, writer.lines.clone());
    world.assert_whole(&[source], &mut rng);
    // Ends the batch whose minute still runs.
    until("every batch has ended", Duration::from_secs(120), || {
        match batches(&world).iter().find(|batch| batch.open.is_some()) {
            None => Ok(()),
            Some(batch) => Err(format!("{batch:?}")),
        }
    });
    let states = batches(&world);
    assert!(states.iter().all(|batch| batch.ended.unwrap().number == 1), "{states:?}");
    let counted: i64 = states.iter().map(|batch| batch.ended.unwrap().count).sum();
    assert_eq!(counted as u64, n_lines, "lines of all batches");
    world.stop();
}

/// Lines in `logs.raw`, by attempt and number.
pub(crate) fn numbered(world: &World) -> BTreeMap<(i64, i64), String> {
    let (log, mut found) = (world.log(), BTreeMap::new());
    log.read("logs.raw", "read_committed", |message| {
        let raw: RawEvent<'_> = log.codecs().raw().decode(message.payload().unwrap()).unwrap();
        let dedup = raw.dedup.unwrap();
        let body = String::from_utf8_lossy(raw.body).into_owned();
        let twice = found.insert((dedup.attempt.unwrap(), dedup.index), body);
        assert!(twice.is_none(), "line {} of attempt {:?} is there twice", dedup.index, dedup.attempt);
    });
    found
}

/// A batch of stream `web`.
pub(crate) const PATH: &str = "/v1/batches/web/h/2026-01-31T23:59Z";

/// Sends `text` as a whole batch; gives status and answer.
fn send(port: u16, text: &str) -> (u16, serde_json::Value) {
    let (status, body) = put(port, PATH, &[text.as_bytes()]).unwrap();
    (status, serde_json::from_str(&body).unwrap_or_else(|error| panic!("{error}: {body}")))
}

/// Sends the beginning of a batch, and breaks off once it is committed.
fn break_off(world: &World, port: u16, text: &str, n_committed: usize) {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    write!(stream, "PUT {PATH} HTTP/1.1\r\nHost: g\r\nTransfer-Encoding: chunked\r\n\r\n").unwrap();
    write!(stream, "{:x}\r\n{text}\r\n", text.len()).unwrap();
    until("the beginning is committed before the end comes", Duration::from_secs(60), || {
        match numbered(world).len() {
            n if n == n_committed => Ok(()),
            n => Err(format!("{n} lines")),
        }
    });
}

fn texts(lines: std::ops::Range<u32>) -> String {
    lines.map(|n| format!("line {n}\n")).collect()
}

#[test]
fn a_batch_that_broke_off_and_comes_again_is_there_once() {
    let mut world = World::new("batches-again");
    world.apply_topics();
    let port = gateway(&mut world, 0);
    break_off(&world, port, &texts(0..10), 10);
    let (status, answer) = send(port, &texts(0..20));
    assert_eq!((status, &answer["count"], &answer["known"]), (200, &20.into(), &10.into()), "{answer}");
    assert_eq!(answer["attempt"], 1);
    // The same again, also by a gateway that was killed, and by another one.
    world.service("gateway-0").kill();
    world.service("gateway-0").start();
    world.service("gateway-0").wait_ready();
    let second = gateway(&mut world, 1);
    for port in [port, port, second] {
        let (status, answer) = send(port, &texts(0..20));
        assert_eq!((status, &answer["attempt"], &answer["known"]), (200, &1.into(), &20.into()), "{answer}");
    }
    assert_eq!(numbered(&world).len(), 20);
    // What one gateway was told, another one goes on with.
    let other = "/v1/batches/web/h/2026-01-31T23:58Z";
    for (port, known) in [(port, 0), (second, 2)] {
        let (status, body) = put(port, other, &[b"x\n", b"y\n"]).unwrap();
        let answer: serde_json::Value = serde_json::from_str(&body).unwrap();
        assert_eq!((status, &answer["known"]), (200, &known.into()), "{answer}");
    }
    world.stop();
}

#[test]
fn a_batch_that_differs_takes_the_place_of_the_former() {
    let mut world = World::new("batches-differ");
    world.apply_topics();
    let port = gateway(&mut world, 0);
    let attempt = |text: &str| {
        let (status, answer) = send(port, text);
        assert_eq!(status, 200, "{answer}");
        answer["attempt"].as_i64().unwrap()
    };
    assert_eq!(attempt("a\nb\nc\n"), 1);
    assert_eq!(attempt("a\nX\nc\n"), 2);
    assert_eq!(attempt("a\nX\n"), 3, "shorter");
    assert_eq!(attempt("a\nX\nY\n"), 4, "longer");
    assert_eq!(attempt("a\nX\nY\n"), 4, "the same");
    // Four lines of the fifth attempt.
    break_off(&world, port, "a\nX\nY\nZ\n", 15);
    assert_eq!(attempt("a\nX\nY\nZ\n!"), 5, "one that broke off goes on");
    let found = numbered(&world);
    let of = |number: i64| {
        found.range((number, 0)..(number + 1, 0)).map(|(_, body)| body.as_str()).collect::<Vec<_>>()
    };
    assert_eq!((of(1), of(3), of(5)), (vec!["a", "b", "c"], vec!["a", "X"], vec!["a", "X", "Y", "Z", "!"]));
    let states = batches(&world);
    let ended = states[0].ended.unwrap();
    assert_eq!((states.len(), states[0].open, ended.number, ended.count), (1, None, 5, 5));

    // One that is too long to be held until it is known to differ has to be sent twice.
    let long = |last: &str| format!("{}{last}\n", format!("{}\n", "x".repeat(9_999)).repeat(1_000));
    let path = "/v1/batches/web/h/2026-01-31T23:58Z";
    let ask = |text: String| put(port, path, &[text.as_bytes()]).unwrap();
    assert_eq!(ask(long("one")).0, 200);
    let (status, said) = ask(long("two"));
    assert!(status == 503 && said.contains("attempt 2"), "{said}");
    let (status, said) = ask(long("two"));
    assert!(status == 200 && said.contains("\"attempt\":2"), "{said}");
    world.stop();
}

const VIEWS: &str = r#"
import duckdb, json, sys
duckdb.sql(open(sys.argv[1]).read())
rows = duckdb.sql("select fields['word'], count(*) from events group by 1").fetchall()
print(json.dumps(dict(rows)))
"#;

#[test]
fn readers_leave_out_attempts_that_were_replaced() {
    let python = python();
    let mut world = World::new("batches-readers");
    world.apply_topics();
    let port = gateway(&mut world, 0);
    world.start_all();
    let lines = |word: &str, n: usize| -> String {
        (0..n).map(|n| format!("{{\"word\": \"{word}\", \"n\": {n}}}\n")).collect()
    };
    let see = |world: &mut World, wanted: [u64; 3]| {
        until("searches find the attempt that counts", Duration::from_secs(60), || {
            world.check();
            let found = ["first", "second", "third"].map(|word| world.n_found(&format!("word:{word}")));
            if found == wanted.map(Ok) { Ok(()) } else { Err(format!("{found:?}, not {wanted:?}")) }
        });
    };
    assert_eq!(send(port, &lines("first", 30)).0, 200);
    see(&mut world, [30, 0, 0]);
    assert_eq!(send(port, &lines("second", 20)).0, 200);
    see(&mut world, [0, 20, 0]);
    // The next one does not come whole; that it is another one shows behind as many lines as are committed. When all of it is
    // indexed, the second still counts.
    break_off(&world, port, &lines("third", 25), 75);
    world.assert_balanced();
    see(&mut world, [0, 20, 0]);
    assert_eq!(send(port, &lines("third", 40)).1["attempt"], 3);
    see(&mut world, [0, 0, 40]);
    for victim in ["query-0", "index-0", "archive-0"] {
        world.service(victim).kill();
        world.service(victim).start();
    }
    world.service("query-0").wait_ready();
    see(&mut world, [0, 0, 40]);
    world.assert_balanced();
    let sql = until("every row is in a plain file", Duration::from_secs(120), || {
        world.check();
        let sql = String::from_utf8(world.cli_ok(&["files", "--format", "sql"])).unwrap();
        if sql.contains("VIEW events") && !sql.contains("rows more") { Ok(sql) } else { Err(sql) }
    });
    let path = world.dir.join("views.sql");
    std::fs::write(&path, sql).unwrap();
    let said = script(&python, &world.dir, VIEWS, &[path.to_str().unwrap()]);
    assert_eq!(said, serde_json::json!({"third": 40}), "what DuckDB reads");
    let listed: serde_json::Value =
        serde_json::from_slice(&world.cli_ok(&["batches", "--replaced", "--format", "json"])).unwrap();
    assert_eq!((&listed[0]["counts"], &listed[0]["ended"]["count"]), (&3.into(), &40.into()), "{listed}");
    world.stop();
}

#[test]
fn a_batch_that_cannot_be_taken_is_refused_with_a_reason() {
    let mut world = World::new("batches-refused");
    world.apply_topics();
    let port = gateway(&mut world, 0);
    for (path, wanted) in [
        ("/v1/batches/web/h/yesterday", (400, "no minute")),
        ("/v1/batches/Web/h/2026-01-31T23:59Z", (400, "no name of a stream")),
        ("/v1/batches/web/h", (400, "path of a batch")),
        ("/v1/batches/web/h/2026-01-31T23:59Z?tenant=other", (403, "another tenant")),
    ] {
        let (status, body) = put(port, path, &[b"a line\n"]).unwrap();
        assert!(status == wanted.0 && body.contains(wanted.1), "{path}: {status} {body}");
    }
    // A body that says it is one of records, and is none.
    let head = "PUT /v1/batches/web/h/2026-01-31T23:59Z HTTP/1.1\r\nHost: g\r\nConnection: close\r\n\
                Content-Type: application/x-millrace-records\r\n";
    for (body, reason) in [("\u{1}\0\0\0x", "cannot be read"), ("", "before the batch did")] {
        let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
        write!(stream, "{head}Content-Length: {}\r\n\r\n{body}", body.len()).unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).unwrap();
        let (status, said) = answered(&answer).unwrap();
        assert!(status == 400 && said.contains(reason), "{status} {said}");
    }
    assert_eq!(world.log().count("logs.raw"), 0);
    world.stop();
}
