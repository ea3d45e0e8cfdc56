//! Gateway: what was acknowledged is committed, whoever dies; what cannot be taken is told to come again; and the
//! examples of docs/ingest.md do what they say.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use millrace_kafka_local::free_port;
use rand::Rng;

use crate::harness::spawn::{mortal, spawn};
use crate::harness::tools::python;
use crate::harness::{Seed, World, http, until};

/// Sets the ports of a gateway and starts it.
fn gateway(world: &mut World) -> (u16, u16) {
    let (http, syslog) = (free_port().unwrap(), free_port().unwrap());
    world.set("gateway", "listen", format!("127.0.0.1:{http}"));
    world.set("gateway", "anonymous", "default");
    world.set("gateway", "syslog_listen", format!("127.0.0.1:{syslog}"));
    world.start("gateway", 0).wait_ready();
    (http, syslog)
}

fn bodies(world: &World) -> Vec<String> {
    world.log().raw().iter().map(|line| String::from_utf8_lossy(&line.body).into_owned()).collect()
}

#[test]
fn the_examples_of_the_docs_are_taken_and_found() {
    let mut world = World::new("ingest");
    world.apply_topics();
    let otlp = free_port().unwrap();
    world.set("gateway", "otlp_listen", format!("127.0.0.1:{otlp}"));
    let (http, syslog) = gateway(&mut world);
    world.start_all();
    // What the examples call python3 has the packages that they name.
    let programs = python().parent().unwrap().display().to_string();
    let path = format!("{programs}:{}", std::env::var("PATH").unwrap());
    let page = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/ingest.md");
    let page = std::fs::read_to_string(page).unwrap();
    let blocks = page.split("```sh\n").skip(1).map(|rest| rest.split("```").next().unwrap());
    let mut n_blocks = 0;
    for block in blocks.filter(|block| block.contains("127.0.0.1")) {
        // No port that is put in has the digits of one that is still to be replaced.
        let block = block.replace("--port 5514", &format!("--port {syslog}"));
        let block = block.replace("127.0.0.1:4317", &format!("127.0.0.1:{otlp}"));
        let block = block.replace("127.0.0.1:8080", &format!("127.0.0.1:{http}"));
        let script = format!("set -eu\ncurl() {{ command curl --fail-with-body -sS \"$@\"; }}\n{block}");
        let mut command = mortal(std::path::Path::new("sh"));
        command.args(["-c", &script]).env("PATH", &path);
        command.stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::piped());
        let output = spawn(command).wait_with_output().unwrap();
        let said = [output.stdout, output.stderr].concat();
        assert!(output.status.success(), "{block}\n{}", String::from_utf8_lossy(&said));
        n_blocks += 1;
    }
    assert!(n_blocks >= 12, "only {n_blocks} examples");
    // Every example's lines say which protocol they came by.
    let words = [
        "by-native",
        "by-ndjson",
        "by-text",
        "by-batch",
        "by-bulk",
        "by-loki",
        "by-otlp",
        "by-grpc",
        "by-hec",
        "by-store",
        "by-message",
        "by-syslog",
    ];
    let taken = until("syslog is committed, too", Duration::from_secs(20), || {
        let taken = bodies(&world);
        match words.iter().find(|word| !taken.iter().any(|body| body.contains(**word))) {
            None => Ok(taken),
            Some(word) => Err(format!("nothing came {word}")),
        }
    });
    world.wait_through(taken.len() as u64);
    world.assert_balanced();
    for word in words {
        until(&format!("{word} is found"), Duration::from_secs(60), || match world.n_found(word)? {
            0 => Err("not found".to_owned()),
            _ => Ok(()),
        });
    }
    // One address: what is found can be asked for here, too; of another tenant, by nobody without a key.
    let found = http::get(http, "/api/v1/search?q=by-native").unwrap();
    assert!(found.0 == 200 && found.1.contains("by-native one"), "{found:?}");
    assert_eq!(http::get(http, "/api/v1/search?q=&tenant=other").unwrap().0, 403);
    world.stop();
}

#[test]
fn kills_of_the_gateway_lose_nothing_that_was_acknowledged() {
    const CLIENTS: usize = 4;
    let seed = Seed::take("gateway-kill");
    let mut rng = seed.rng(1);
    let mut world = World::new("gateway-kill");
    world.apply_topics();
    let (port, _) = gateway(&mut world);
    world.start_all();
    let (done, acknowledged) = (Arc::new(AtomicBool::new(false)), Arc::new(Mutex::new(BTreeSet::new())));
    let clients: Vec<_> = (0..CLIENTS)
        .map(|client| {
            let (done, acknowledged) = (done.clone(), acknowledged.clone());
            std::thread::spawn(move || {
                let mut number = 0;
                while !done.load(Ordering::Relaxed) {
                    let lines: Vec<String> =
                        (0..20).map(|line| format!("{{\"id\":\"{client}-{number}-{line}\"}}")).collect();
                    let key = format!("{client}-{number}");
                    let headers =
                        [("content-type", "application/x-ndjson"), ("idempotency-key", key.as_str())];
                    // The same request, until it is taken.
                    loop {
                        match http::post(port, "/v1/logs/web", &headers, lines.join("\n").as_bytes()) {
                            Ok((200, _)) => break acknowledged.lock().unwrap().extend(lines),
                            Ok((503, _)) | Err(_) => std::thread::sleep(Duration::from_millis(50)),
                            Ok((_, answer)) => panic!("{answer}"),
                        }
                        if done.load(Ordering::Relaxed) {
                            return;
                        }
                    }
                    number += 1;
                }
            })
        })
        .collect();
    for round in 0..6 {
        let before = acknowledged.lock().unwrap().len();
        until("requests are taken", Duration::from_secs(60), || {
            match acknowledged.lock().unwrap().len() - before {
                0..200 => Err("few yet"),
                _ => Ok(()),
            }
        });
        std::thread::sleep(Duration::from_millis(rng.random_range(0..300)));
        println!("kill {round} after {} lines", acknowledged.lock().unwrap().len());
        world.service("gateway-0").kill();
        world.service("gateway-0").start();
    }
    world.service("gateway-0").wait_ready();
    std::thread::sleep(Duration::from_millis(500));
    done.store(true, Ordering::Relaxed);
    clients.into_iter().for_each(|client| client.join().unwrap());

    let raw = bodies(&world);
    let there: BTreeSet<&String> = raw.iter().collect();
    let acknowledged = acknowledged.lock().unwrap();
    let lost: Vec<_> = acknowledged.iter().filter(|line| !there.contains(line)).collect();
    assert!(
        lost.is_empty(),
        "{} of {} acknowledged lines are lost: {lost:?}",
        lost.len(),
        acknowledged.len()
    );
    println!("{} lines acknowledged, {} in logs.raw", acknowledged.len(), raw.len());
    // What came again over a kill is in logs.raw twice; every request had its key.
    world.wait_through(there.len() as u64);
    world.assert_balanced();
    let parsed = world.log().parsed();
    let kept: BTreeSet<_> =
        parsed.iter().map(|line| String::from_utf8_lossy(&line.body).into_owned()).collect();
    assert_eq!(kept.len(), parsed.len(), "a line was parsed twice");
    assert!(kept.iter().eq(there), "what is parsed is not what is in logs.raw");
    world.stop();
}

#[test]
fn while_the_broker_is_away_requests_are_told_to_come_again() {
    let mut world = World::with_own_broker("gateway-away");
    world.apply_topics();
    let (port, _) = gateway(&mut world);
    let post = |line: &str| http::post(port, "/v1/logs/web?host=h", &[], line.as_bytes());
    assert_eq!(post("before").unwrap().0, 200);
    world.cluster.broker().kill();
    until("the gateway refuses", Duration::from_secs(60), || match post("away") {
        Ok((503, answer)) if answer.to_lowercase().contains("retry-after: ") => Ok(()),
        other => Err(format!("{other:?}")),
    });
    // Now it knows, and says so at once.
    let start = std::time::Instant::now();
    assert_eq!(post("away").unwrap().0, 503);
    assert!(start.elapsed() < Duration::from_secs(1), "{:?}", start.elapsed());
    world.cluster.broker().restart().unwrap();
    until("the gateway takes lines again", Duration::from_secs(120), || match post("after") {
        Ok((200, _)) => Ok(()),
        other => Err(format!("{other:?}")),
    });
    let raw = bodies(&world);
    let count = |line: &str| raw.iter().filter(|body| *body == line).count();
    assert_eq!((count("before"), count("after")), (1, 1), "{raw:?}");
    assert_eq!(count("away"), 0, "refused requests were told that nothing was taken");
    world.stop();
}

#[test]
fn a_request_sent_again_is_written_once() {
    let mut world = World::new("gateway-again");
    world.apply_topics();
    let (port, _) = gateway(&mut world);
    let store = |content: &str| {
        let line = |number: u32| {
            let content = if number == 2 { content } else { "same" };
            format!(
                r#"{{"uuid":"u{number}","host":"h","file":"/a.log","line-num":{number},"content":"{content}"}}"#
            )
        };
        let body = format!("[{},{},{}]", line(1), line(2), line(3));
        let answer = http::post(port, "/store/batch", &[], body.as_bytes()).unwrap().1;
        answer.split("\r\n\r\n").nth(1).unwrap().to_owned()
    };
    assert_eq!(store("first"), r#"{"stored":3,"duplicate":0}"#);
    assert_eq!(store("first"), r#"{"stored":0,"duplicate":3}"#);
    assert_eq!(store("other"), r#"{"stored":1,"duplicate":2}"#);
    assert_eq!(store("first"), r#"{"stored":1,"duplicate":2}"#);
    let bulk = |body: &str| {
        http::post(port, "/i/_bulk", &[("content-type", "application/json")], body.as_bytes()).unwrap()
    };
    for _ in 0..2 {
        assert_eq!(bulk("{\"create\":{\"_id\":\"1\"}}\n{\"a\":1}\n").0, 200);
    }
    assert_eq!(world.log().count("logs.raw"), 6);

    // A gateway that was killed has forgotten; `parse` has not.
    world.start_all();
    world.wait_through(6);
    world.service("gateway-0").kill();
    world.service("parse-0").kill();
    world.service("gateway-0").start();
    world.service("parse-0").start();
    world.service("gateway-0").wait_ready();
    assert_eq!(store("first"), r#"{"stored":3,"duplicate":0}"#);
    assert_eq!(bulk("{\"create\":{\"_id\":\"1\"}}\n{\"a\":1}\n").0, 200);
    world.assert_balanced();
    assert_eq!(world.log().count("logs.raw"), 10);
    assert_eq!(world.log().count("logs.parsed") + world.log().count("logs.dead"), 6);
    world.stop();
}

#[test]
fn a_stored_file_is_given_back_in_the_order_of_its_lines() {
    let mut world = World::new("store-log");
    world.apply_topics();
    let (port, _) = gateway(&mut world);
    world.start_all();
    let store = |lines: &[(u32, &str)]| {
        let line = |(number, content): &(u32, &str)| {
            format!(
                r#"{{"uuid":"u{number}","host":"h","file":"/a.log","line-num":{number},"content":"{content}"}}"#
            )
        };
        let body = format!("[{}]", lines.iter().map(line).collect::<Vec<_>>().join(","));
        assert_eq!(http::post(port, "/store/batch", &[], body.as_bytes()).unwrap().0, 200);
    };
    let ask = |query: &str| http::get(port, &format!("/store/log?{query}"));
    let given = |query: &str, wanted: &str| {
        until("the file is given back", Duration::from_secs(60), || match ask(query) {
            Ok((200, text)) if text == wanted => Ok(()),
            other => Err(format!("{other:?}")),
        });
    };
    // One that no parser can read, and one that is read.
    store(&[(3, "?? third"), (1, r#"{\"message\": \"first\"}"#)]);
    given("host=h&file=/a.log", "{\"message\": \"first\"}\n?? third\n");
    store(&[(2, "second"), (3, "3rd")]);
    given("host=h&file=/a.log", "{\"message\": \"first\"}\nsecond\n3rd\n");
    given("host=h&file=/a.log&from=2&to=3", "second\n");
    assert_eq!(ask("host=h&file=/b.log").unwrap().0, 404);
    assert_eq!(ask("host=h").unwrap().0, 400);
    assert_eq!(ask("host=h&file=/a.log&tenant=other").unwrap().0, 403);
    world.stop();
}

#[test]
fn a_bulk_request_that_asks_for_it_is_answered_when_its_documents_are_found() {
    let mut world = World::new("gateway-refresh");
    world.apply_topics();
    let (port, _) = gateway(&mut world);
    world.start_all();
    let first = http::post(port, "/v1/logs/shop?host=h", &[], b"{\"message\":\"warmup\"}").unwrap();
    assert_eq!(first.0, 200);
    until("lines are found at all", Duration::from_secs(120), || match world.n_found("warmup")? {
        0 => Err("not found".to_owned()),
        _ => Ok(()),
    });
    for (number, refresh) in ["true", "wait_for", "true"].into_iter().enumerate() {
        let word = format!("refreshed{number}");
        let body = format!("{{\"create\":{{}}}}\n{{\"message\":\"{word}\"}}\n").repeat(50);
        let headers = [("content-type", "application/x-ndjson")];
        let target = format!("/shop/_bulk?refresh={refresh}");
        let (status, answer) = http::post(port, &target, &headers, body.as_bytes()).unwrap();
        assert!(status == 200 && !answer.contains("not found by a search yet"), "{answer}");
        assert_eq!(world.n_found(&word), Ok(50), "refresh={refresh}");
    }
    world.stop();
}

#[test]
fn a_record_that_kafka_refuses_does_not_harm_its_neighbours() {
    let mut world = World::with_own_broker("gateway-refused");
    world.apply_topics();
    // Requests that come within a while are one group.
    world.set("gateway", "group_wait_ms", 500);
    let (port, _) = gateway(&mut world);
    // Less than what the gateway takes for the bound.
    world.log().set_topic("logs.raw", "max.message.bytes", "100000");
    let mut rng = Seed::take("gateway-refused").rng(1);
    // Letters first: one line in fifty would begin as JSON does, and be refused as such.
    let noise: String = (0..300_000).map(|_| char::from(rng.random_range(b'!'..b'~'))).collect();
    let noise = format!("noise {noise}");
    let post = |line: String| http::post(port, "/v1/logs/web?host=h", &[], line.as_bytes()).unwrap();
    let answers: Vec<_> = std::thread::scope(|scope| {
        let lines = (0..9).map(|at| if at == 4 { noise.clone() } else { format!("line {at}") });
        let asked: Vec<_> = lines.map(|line| scope.spawn(|| post(line))).collect();
        asked.into_iter().map(|asked| asked.join().unwrap()).collect()
    });
    for (at, (status, answer)) in answers.iter().enumerate() {
        assert_eq!(*status, if at == 4 { 400 } else { 200 }, "request {at}: {answer}");
    }
    assert!(answers[4].1.contains("kafka does not take this request"), "{}", answers[4].1);
    let taken: BTreeSet<String> = bodies(&world).into_iter().collect();
    let wanted: BTreeSet<String> = (0..9).filter(|at| *at != 4).map(|at| format!("line {at}")).collect();
    assert_eq!(taken, wanted);
    assert_eq!(world.log().count("logs.raw"), 8, "no line is there twice");
    world.stop();
}
