//! A missing topic, wrong brokers, a registry that is away, a wrong configuration: nothing starts half, and what is said
//! helps.

use std::fs;
use std::net::TcpListener;
use std::path::Path;
use std::time::{Duration, Instant};

use millrace_kafka_local::free_port;

use crate::harness::process::run;
use crate::harness::{World, scratch};

const SERVICES: [&[&str]; 5] = [&["forward"], &["job", "parse"], &["index"], &["archive"], &["query"]];

/// Runs a service that must not start; gives what it said on standard error.
fn refusal(world: &World, service: &[&str], env: &[(&str, &str)]) -> String {
    let config = world.config();
    let mut args = service.to_vec();
    args.extend(["--config", config.to_str().unwrap()]);
    let mut own = vec![("MILLRACE__OPS__LISTEN", "off")];
    own.extend(env);
    let start = Instant::now();
    let output = run(&args, &own);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    let code = output.status.code().unwrap_or_default();
    assert_ne!(code, 0, "millrace {} started:\n{said}", service.join(" "));
    assert!(!said.contains("panicked"), "{said}");
    assert!(start.elapsed() < Duration::from_secs(100), "it took {:?} to say so:\n{said}", start.elapsed());
    said
}

fn assert_says(said: &str, parts: &[&str]) {
    for part in parts {
        assert!(said.contains(part), "{part:?} is missing in:\n{said}");
    }
}

#[test]
fn missing_topics_are_named_with_the_command_that_makes_them() {
    let mut world = World::new("no-topics");
    world.set("forward", "input", forward_input());
    for service in SERVICES {
        let said = refusal(&world, service, &[]);
        assert_says(&said, &["logs.raw is missing", "millrace.ledger is missing", "millrace topics apply"]);
    }
    assert_eq!(world.cli(&["topics", "check"]).status.code(), Some(1), "check before apply");
    world.apply_topics();
    assert_eq!(world.cli(&["topics", "check"]).status.code(), Some(0), "check after apply");
    world.apply_topics();
}

#[test]
fn what_is_away_is_waited_for_and_then_named() {
    let mut world = World::new("away");
    world.set("forward", "input", forward_input());
    world.apply_topics();
    // Each waits for a minute: at the same time.
    std::thread::scope(|scope| {
        let own = &world;
        scope.spawn(|| {
            let nobody = format!("127.0.0.1:{}", free_port().unwrap());
            let said = refusal(own, &["job", "parse"], &[("MILLRACE__KAFKA__BROKERS", &nobody)]);
            assert_says(&said, &[&nobody, "Connection refused", "kafka.brokers", "millrace doctor"]);
        });
        scope.spawn(|| {
            let config = own.config();
            let args = ["topics", "check", "--config", config.to_str().unwrap()];
            let output = run(&args, &[("MILLRACE__KAFKA__BROKERS", "no-such-host.invalid:9092")]);
            assert_says(&String::from_utf8_lossy(&output.stderr), &["resolve 'no-such-host.invalid:9092'"]);
        });
        scope.spawn(|| {
            let away = format!("http://127.0.0.1:{}/apis/ccompat/v7", free_port().unwrap());
            let said = refusal(own, &["index"], &[("MILLRACE__REGISTRY__URL", &away)]);
            assert_says(&said, &[&away, "registry.url", "millrace doctor"]);
        });
        scope.spawn(|| {
            // It takes connections and never answers.
            let mute = TcpListener::bind("127.0.0.1:0").unwrap();
            let address = mute.local_addr().unwrap().to_string();
            let config = own.config();
            let args = ["topics", "check", "--config", config.to_str().unwrap()];
            let output = run(&args, &[("MILLRACE__KAFKA__BROKERS", &address)]);
            assert_eq!(output.status.code(), Some(2), "topics check at a mute broker: it cannot say");
            assert_says(&String::from_utf8_lossy(&output.stderr), &[&address]);
        });
    });
    let said = refusal(&world, &["index"], &[("MILLRACE__REGISTRY__URL", "https//nowhere")]);
    assert_says(&said, &["registry.url"]);
    let output = world.cli(&["doctor", "--format", "json"]);
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stdout));
    world.start("index", 0);
    world.service("index-0").wait_ready();
    world.stop();
}

#[test]
fn every_fault_of_a_configuration_is_named_before_anything_starts() {
    let mut world = World::new("bad-config");
    world.set("kafka", "brokers", "nowhere");
    world.set("kafka", "prefix", "Not An Id");
    world.set("index", "commit_interval_ms", 0);
    world.set("query", "listen", "everywhere");
    for service in SERVICES {
        for more in [&[][..], &["--check"][..]] {
            let args = [service, more].concat();
            let said = refusal(&world, &args, &[]);
            assert_says(
                &said,
                &["kafka.brokers", "kafka.prefix", "index.commit_interval_ms", "query.listen"],
            );
        }
    }
}

#[test]
fn every_fault_of_the_sources_is_named_before_the_parser_starts() {
    let mut world = World::new("bad-sources");
    let file = |name: &str, text: &str| {
        let path = world.dir.join(name).display().to_string();
        fs::write(&path, text).unwrap();
        path
    };
    let source = |name: &str, step: &str| {
        format!("[[source]]\nname = \"{name}\"\nstreams = [\"shop\"]\nsteps = [{step}]\n")
    };
    let good = file("good.toml", &source("shop", "\"json\""));
    let twice = file("twice.toml", &source("shop-2", "\"logfmt\""));
    let reserved = file("reserved.toml", &source("apache", "\"apache\"").replace("shop", "other"));
    let broken = file("broken.toml", &source("odd", "{ regex = { pattern = \"(\" } }"));
    let missing = world.dir.join("missing.toml").display().to_string();
    let streams = toml::Table::from_iter([("shop".to_owned(), "json".into())]);
    world.set(
        "parse",
        "sources",
        vec![good.clone(), twice.clone(), reserved, broken.clone(), missing.clone()],
    );
    world.set("parse", "streams", streams);
    for more in [&[][..], &["--check"][..]] {
        let said = refusal(&world, &[&["job", "parse"], more].concat(), &[]);
        assert_says(
            &said,
            &[
                "parse.sources[0]: shop",
                "has a format in parse.streams",
                &format!("parse.sources[1]: shop-2 in {twice}: its stream shop is read by shop"),
                "parse.sources[2]: apache",
                "is the name of a format",
                "parse.sources[3]",
                &broken,
                "parse.sources[4]",
                &missing,
            ],
        );
    }
    world.set("parse", "sources", vec![good]);
    world.set("parse", "streams", toml::Table::new());
    world.cli_ok(&["job", "parse", "--check"]);
}

#[test]
fn up_wants_one_folder_for_everything() {
    let dir = scratch::folder("two-folders");
    let (config, own, other) = (dir.join("millrace.toml"), dir.join("own"), dir.join("other"));
    fs::write(&config, format!("data_dir = \"{}\"\n", own.display())).unwrap();
    let config = config.to_str().unwrap();
    let up = |more: &[&str], env: &[(&str, &str)]| {
        let output = run(&[&["up", "--config", config], more].concat(), env);
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        (output.status.code(), text(&output.stdout), text(&output.stderr))
    };
    let (own, other) = (own.to_str().unwrap(), other.to_str().unwrap());
    // Named twice and not alike: nothing is made, and both are named.
    for more in [&["--data", other][..], &["--data", other, "--check"]] {
        let (code, _, said) = up(more, &[]);
        assert_eq!(code, Some(78), "{said}");
        assert_says(&said, &[own, other, "--data", "data_dir"]);
    }
    let (code, _, said) = up(&["--data", own, "--check"], &[("MILLRACE__DATA_DIR", other)]);
    assert_eq!(code, Some(78), "{said}");
    assert_says(&said, &[own, other]);
    assert!(!Path::new(other).exists() && !Path::new(own).exists(), "a folder was made");
    // Named twice and alike, or once.
    for more in [&["--data", own, "--check"][..], &["--check"]] {
        let (code, shown, said) = up(more, &[]);
        assert_eq!(code, Some(0), "{said}");
        assert_says(&shown, &[&format!("data_dir: \"{own}\"")]);
        assert!(!shown.contains(other));
    }
}

fn forward_input() -> toml::Value {
    let mut input = toml::Table::new();
    input.insert("globs".to_owned(), vec!["/nowhere/*.log"].into());
    vec![toml::Value::Table(input)].into()
}
