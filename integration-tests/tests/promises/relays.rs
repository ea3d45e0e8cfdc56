//! Relays: senders → relay → gateway → Kafka. What the relay acknowledged arrives, whoever dies or is away; batches keep
//! their attempts, lines their host, tenant and stamp.

use std::collections::BTreeMap;
use std::io::Write;
use std::net::TcpStream;
use std::path::Path;
use std::time::{Duration, Instant};

use millrace_kafka_local::free_port;
use millrace_schemas::attempt::BatchState;
use rand::Rng;
use toml::Table;

use crate::batches::{PATH, numbered};
use crate::harness::http::{get_with, post, put};
use crate::harness::spawn::{mortal, spawn};
use crate::harness::tmpfs::Tmpfs;
use crate::harness::{Lines, Seed, World, Writer, until};
use crate::relay_site::{
    Sender, WAIT, assert_arrived, assert_each_once, bodies, centre, post_with_key, put_batches, relay, set,
    wait_for_more,
};

#[test]
fn what_a_relay_acknowledged_arrives_though_anybody_is_killed() {
    let seed = Seed::take("relay-kill");
    let mut rng = seed.rng(1);
    let mut world = World::new("relay-kill");
    world.apply_topics();
    let centre = centre(&mut world);
    let port = relay(&mut world, centre, |_| {});
    world.set("upstream", "url", format!("http://127.0.0.1:{port}"));
    let logs = world.forward_with("web1", |section| drop(section.insert("output".to_owned(), "http".into())));
    world.start_all();
    let mut writer = Writer::start(&logs.join("access.log"), Lines::new("a"), 30_000, 1_000);
    let mut senders: Vec<Sender> = (0..2).map(|client| post_with_key(port, client)).collect();
    senders.push(put_batches(port));
    for round in 0..9 {
        wait_for_more(&mut world, &senders, "requests are taken");
        std::thread::sleep(Duration::from_millis(rng.random_range(0..1_500)));
        let victim = ["relay", "gateway-0", "relay", "forward-web1"][round % 4];
        println!("{victim} killed at line {}", writer.written());
        world.service(victim).kill();
        if victim == "gateway-0" {
            wait_for_more(&mut world, &senders, "requests are taken while the centre is away");
        }
        world.service(victim).start();
    }
    world.service("relay").wait_ready();
    let taken: Vec<Vec<String>> = senders.iter_mut().map(Sender::finish).collect();
    let n_file = writer.join();
    let n_lines = n_file + taken.iter().map(|lines| lines.len() as u64).sum::<u64>();
    world.wait_through(n_lines);
    world.assert_balanced();

    let mut raw = bodies(&world);
    let file = raw.remove(&("web".to_owned(), "web1".to_owned())).unwrap_or_default();
    let n_once = file.values().filter(|n| **n == 1).count();
    assert_eq!(
        (n_once as u64, file.len() as u64),
        (n_file, n_file),
        "lines of the file that are there once, and at all"
    );
    assert_arrived(&raw, &taken);
    assert_each_once(&world, n_lines);
    let truth = std::fs::read(&writer.path).unwrap();
    let file = writer.path.display().to_string();
    assert!(world.cat("web1", &file, &[]) == truth, "the file is not what was written");
    world.stop();
}

#[test]
fn a_batch_keeps_its_attempts_through_a_relay() {
    let mut world = World::new("relay-batches");
    world.apply_topics();
    let centre = centre(&mut world);
    let port = relay(&mut world, centre, |_| {});
    world.start_all();
    let send = |text: &str| {
        let (status, body) = put(port, PATH, &[text.as_bytes()]).unwrap();
        let answer: serde_json::Value = serde_json::from_str(&body).unwrap_or_default();
        assert_eq!(status, 200, "{body}");
        ["attempt", "count", "known"].map(|name| answer[name].as_i64().unwrap())
    };
    let texts = |word: &str, lines: std::ops::Range<u32>| -> String {
        lines.map(|n| format!("{{\"word\":\"{word}\",\"n\":{n}}}\n")).collect()
    };
    // Breaks off once its beginning is at the centre.
    let begun = texts("first", 0..10);
    let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    write!(stream, "PUT {PATH} HTTP/1.1\r\nHost: g\r\nTransfer-Encoding: chunked\r\n\r\n").unwrap();
    write!(stream, "{:x}\r\n{begun}\r\n", begun.len()).unwrap();
    let arrive = |world: &World, n_lines: usize| {
        until(&format!("{n_lines} lines are at the centre"), WAIT, || match numbered(world).len() {
            n if n == n_lines => Ok(()),
            n => Err(format!("{n} lines")),
        });
    };
    arrive(&world, 10);
    world.service("relay").kill();
    drop(stream);
    world.service("relay").start();
    world.service("relay").wait_ready();
    assert_eq!(send(&texts("first", 0..30)), [1, 30, 10], "it goes on behind what was on disk");
    arrive(&world, 30);
    world.service("relay").kill();
    world.service("relay").start();
    world.service("relay").wait_ready();
    assert_eq!(send(&texts("first", 0..30)), [1, 30, 30], "the same again");
    // Another one, while the centre is away.
    world.service("gateway-0").kill();
    assert_eq!(send(&texts("second", 0..20)), [2, 20, 0]);
    world.service("gateway-0").start();
    arrive(&world, 50);
    let see = |world: &mut World, wanted: [u64; 2]| {
        until("searches find the attempt that counts", WAIT, || {
            world.check();
            let found = ["first", "second"].map(|word| world.n_found(&format!("word:{word}")));
            if found == wanted.map(Ok) { Ok(()) } else { Err(format!("{found:?}, not {wanted:?}")) }
        });
    };
    see(&mut world, [0, 20]);
    world.assert_balanced();
    let log = world.log();
    let states = log.compacted("millrace.batches").into_values().flatten();
    let states = states.map(|value| log.codecs().batches().decode::<BatchState>(&value).unwrap());
    let own: Vec<BatchState> = states.filter(|state| state.host == "h").collect();
    let ended = own[0].ended.unwrap();
    assert_eq!((own.len(), own[0].open, ended.number, ended.count), (1, None, 2, 20), "{own:?}");
    // The centre goes on with what the relay told it.
    let (status, body) = put(centre, PATH, &[texts("second", 0..20).as_bytes()]).unwrap();
    assert!(status == 200 && body.contains("\"known\":20"), "{body}");
    world.stop();
}

#[test]
fn tenants_keys_open_a_relay_and_what_cannot_be_sent_yet_waits_by_itself() {
    let mut world = World::new("relay-tenants");
    world.apply_topics();
    let centre = centre(&mut world);
    let made = |said: Vec<u8>| {
        let said: serde_json::Value = serde_json::from_slice(&said).unwrap();
        said["key"].as_str().unwrap().to_owned()
    };
    let mut key_files = Table::new();
    let [acme, shop] = ["acme", "shop"].map(|tenant| {
        world.cli_ok(&["tenant", "create", tenant]);
        let own = ["key", "create", "--format", "json", "--tenant", tenant, "--role", "ingest"];
        let file = world.dir.join(format!("{tenant}.key"));
        key_files.insert(tenant.to_owned(), file.display().to_string().into());
        (made(world.cli_ok(&own)), file)
    });
    std::fs::write(&acme.1, &acme.0).unwrap();
    std::fs::write(&shop.1, "mk_0000000000000000_00").unwrap();
    let port = relay(&mut world, centre, |config| {
        config["gateway"].as_table_mut().unwrap().remove("anonymous");
        set(config, "upstream", "key_files", key_files);
    });
    // Keys are added to its configuration, which is read again.
    let file = world.dir.join("relay.toml");
    let [of_acme, of_shop, reads] =
        [("acme", "ingest"), ("shop", "ingest"), ("acme", "read")].map(|(tenant, role)| {
            let own = ["key", "create", "--format", "json", "--tenant", tenant, "--role", role, "--relay"];
            made(world.cli_ok(&[&own[..], &[file.to_str().unwrap()]].concat()))
        });
    let send = |key: &str, target: &str, line: &str| {
        post(port, target, &[("x-api-key", key)], line.as_bytes()).unwrap().0
    };
    for (key, line) in [(&of_shop, "of shop"), (&of_acme, "of acme")] {
        until(&format!("the key {line} opens"), WAIT, || match send(key, "/v1/logs/web?host=h", line) {
            200 => Ok(()),
            status => Err(status),
        });
    }
    for (key, target, status) in [
        (&of_acme, "/v1/logs/web?tenant=shop", 403),
        (&reads, "/v1/logs/web", 403),
        (&acme.0, "/v1/logs/web", 401),
    ] {
        assert_eq!(send(key, target, "refused"), status, "{target}");
    }
    let found = get_with(port, "/api/v1/search?q=", &[("x-api-key", reads.as_str())]).unwrap();
    assert!(found.0 == 501 && found.1.contains("is a relay"), "{found:?}");
    let keys = |world: &World| -> Vec<(String, String)> {
        let lines = world.log().raw().into_iter();
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        lines.map(|line| (text(line.key), text(line.body))).collect()
    };
    let pair = |a: &str, b: &str| (a.to_owned(), b.to_owned());
    let found = until("acme's line is at the centre", WAIT, || match keys(&world) {
        found if found.is_empty() => Err("nothing came"),
        found => Ok(found),
    });
    assert_eq!(found, [pair("acme/h", "of acme")]);
    let waiting = || {
        let said = world.cli_ok(&[
            "spool",
            "ls",
            "--format",
            "json",
            "--data",
            world.dir.join("data-relay").to_str().unwrap(),
        ]);
        let said: Vec<serde_json::Value> = serde_json::from_slice(&said).unwrap();
        said.iter().map(|row| (row["spool"].clone(), row["tenant"].clone())).collect::<Vec<_>>()
    };
    assert!(waiting().contains(&("relay/spool".into(), "shop".into())), "{:?}", waiting());
    until("the log says why", WAIT, || {
        let log = world.service("relay").log();
        if log.contains("takes nothing until this is mended") { Ok(()) } else { Err("not yet") }
    });
    std::fs::write(&shop.1, &shop.0).unwrap();
    until("shop's line is at the centre, too", WAIT, || {
        let mut found = keys(&world);
        found.sort();
        if found == [pair("acme/h", "of acme"), pair("shop/h", "of shop")] {
            Ok(())
        } else {
            Err(format!("{found:?}"))
        }
    });
    // A key that is taken out opens nothing any more; a file that cannot be read changes nothing.
    let mut config: Table = std::fs::read_to_string(&file).unwrap().parse().unwrap();
    let keys = config["gateway"].as_table_mut().unwrap()["keys"].as_table_mut().unwrap();
    keys.retain(|_, key| key["tenant"].as_str() == Some("shop"));
    std::fs::write(&file, toml::to_string(&config).unwrap()).unwrap();
    until("the key of acme opens nothing", WAIT, || match send(&of_acme, "/v1/logs/web?host=h", "late") {
        401 => Ok(()),
        status => Err(status),
    });
    std::fs::write(&file, "[gateway").unwrap();
    until("the log says what is wrong", WAIT, || {
        let log = world.service("relay").log();
        if log.contains("the former ones stay") { Ok(()) } else { Err("not yet") }
    });
    assert_eq!(send(&of_shop, "/v1/logs/web?host=h", "still of shop"), 200);
    world.stop();
}

#[test]
fn a_full_disk_or_spool_refuses_and_recovers() {
    let mut world = World::new("relay-full");
    world.apply_topics();
    let centre = centre(&mut world);
    let disk = Tmpfs::mount(&world.dir.join("disk"), 200);
    let syslog = free_port().unwrap();
    let port = relay(&mut world, centre, |config| {
        config.insert("data_dir".to_owned(), disk.path.join("data").display().to_string().into());
        set(config, "gateway", "max_body_mib", 8);
        set(config, "gateway", "syslog_listen", format!("127.0.0.1:{syslog}"));
        set(config, "upstream", "spool_mib", 64);
    });
    world.service("gateway-0").kill();
    let send = |line: &str| post(port, "/v1/logs/web?host=h", &[], line.as_bytes());
    assert_eq!(send("before").unwrap().0, 200);
    // Longer than what is left of the file's last page.
    let refused = || {
        until("it is said that there is no room", WAIT, || match send(&"x".repeat(20_000)) {
            Ok((503, answer)) if answer.to_lowercase().contains("retry-after: ") => Ok(()),
            other => Err(format!("{other:?}")),
        });
    };
    let taken = |line: &str| {
        until(&format!("{line:.20} is taken"), WAIT, || match send(line) {
            Ok((200, _)) => Ok(()),
            other => Err(format!("{other:?}")),
        });
    };
    let filler = disk.fill();
    refused();
    // Syslog over TCP waits meanwhile.
    let mut stream = TcpStream::connect(("127.0.0.1", syslog)).unwrap();
    stream.write_all(b"<13>by syslog\n").unwrap();
    std::fs::remove_file(filler).unwrap();
    taken("after");
    // Until the spool is at its bound.
    let large = |n: usize| vec![format!("{n:04} {}", "x".repeat(99_990)); 40].join("\n");
    let mut n_large = 0;
    let start = Instant::now();
    while send(&large(n_large)).unwrap().0 == 200 {
        n_large += 1;
        assert!(start.elapsed() < WAIT && n_large < 20, "{n_large} times 4 MB in a spool of 64 MiB");
    }
    refused();
    assert!(world.service("relay").metric("millrace_gateway_refused_total", "spool") > 0.0);
    world.service("gateway-0").start();
    taken("at last");
    drop(stream);
    let wanted = n_large * 40 + 4;
    until("every line is at the centre", WAIT, || match world.log().count("logs.raw") {
        n if n == wanted => Ok(()),
        n => Err(format!("{n} of {wanted}")),
    });
    let raw = bodies(&world);
    let bodies = raw.values().flat_map(BTreeMap::keys);
    let mut small: Vec<&String> = bodies.filter(|body| body.len() < 90_000).collect();
    small.sort();
    assert_eq!(small, ["<13>by syslog", "after", "at last", "before"], "what was refused is not there");
    world.stop();
}

#[test]
fn the_examples_of_the_docs_work() {
    let mut world = World::new("relay-docs");
    world.apply_topics();
    let centre = centre(&mut world);
    world.start_all();
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/relay.md");
    let page = std::fs::read_to_string(page).unwrap();
    let [http, syslog, ops] = [(); 3].map(|()| free_port().unwrap().to_string());
    let replaced = |text: &str| {
        let text = text.replace("\"relay-data\"", &format!("\"{}\"", world.dir.join("data-site").display()));
        let text = text.replace("8080", &centre.to_string()).replace("8180", &http);
        text.replace("5614", &syslog).replace("9564", &ops)
    };
    let blocks = |kind: &str| -> Vec<String> {
        let opened = format!("```{kind}\n");
        page.split(&opened).skip(1).map(|rest| replaced(rest.split("```").next().unwrap())).collect()
    };
    let dir = world.dir.join("site");
    std::fs::create_dir(&dir).unwrap();
    std::fs::write(dir.join("relay.toml"), &blocks("toml")[0]).unwrap();
    let binary = crate::harness::process::binary();
    for block in blocks("sh") {
        if block.trim() == "millrace gateway --config relay.toml" {
            let config: Table = std::fs::read_to_string(dir.join("relay.toml")).unwrap().parse().unwrap();
            world.start_alone("relay", "gateway", &config).wait_ready();
            continue;
        }
        let script = format!(
            "set -eu\ncd {}\ncurl() {{ command curl --fail-with-body -sS \"$@\"; }}\nmillrace() {{ {} \"$@\"; }}\n{block}",
            dir.display(),
            binary.display()
        );
        let mut command = mortal(Path::new("sh"));
        command.args(["-c", &script]);
        command.stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::piped());
        let output = spawn(command).wait_with_output().unwrap();
        let said = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
        assert!(output.status.success(), "{block}\n{said}");
    }
    let words = ["one", "two", "three"].map(|word| format!("by-relay {word}"));
    until("every line is at the centre", WAIT, || {
        let raw = world.log().raw();
        let has = |word: &String| raw.iter().any(|line| String::from_utf8_lossy(&line.body).contains(word));
        match words.iter().find(|word| !has(word)) {
            None => Ok(()),
            Some(word) => Err(format!("{word} is missing")),
        }
    });
    // Of _bulk, what needs a search is said, and the lines are taken.
    let key = std::fs::read_to_string(dir.join("relay.key")).unwrap();
    let headers = [("content-type", "application/x-ndjson"), ("x-api-key", key.trim())];
    let port = http.parse().unwrap();
    let answer =
        post(port, "/shop/_bulk?refresh=true", &headers, b"{\"create\":{\"_id\":\"1\"}}\n{\"a\":1}\n")
            .unwrap();
    assert!(answer.0 == 200 && answer.1.to_lowercase().contains("warning: 299"), "{answer:?}");
    world.wait_through(4);
    world.assert_balanced();
    world.stop();
}
