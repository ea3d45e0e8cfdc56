//! Seeds: what a file says is made once, all of it or nothing, whoever is killed; what was set otherwise stays until it is to
//! be overwritten. `up` applies the one that its configuration names.

use std::collections::BTreeMap;
use std::fs;
use std::process::{Output, Stdio};
use std::time::{Duration, Instant};

use millrace_kafka_local::free_port;
use rand::Rng;
use serde_json::Value;

use crate::admin::installation;
use crate::harness::process::{binary, run};
use crate::harness::spawn::{mortal, spawn};
use crate::harness::{Seed, World, http, until};
use crate::streams::run_page;

const LONG: Duration = Duration::from_secs(120);

fn said(output: &Output) -> String {
    let texts = [&output.stdout, &output.stderr].map(|bytes| String::from_utf8_lossy(bytes).into_owned());
    texts.concat()
}

/// Runs a command that must end so; gives what it said.
fn ends(world: &World, code: i32, args: &[&str]) -> String {
    let output = world.cli(args);
    assert_eq!(output.status.code(), Some(code), "{args:?}: {}", said(&output));
    said(&output)
}

/// What `millrace.control` says, but for what services signal.
fn control(world: &World) -> BTreeMap<Vec<u8>, Vec<u8>> {
    let kept = world.log().compacted("millrace.control").into_iter();
    let kept = kept.filter_map(|((_, key), value)| Some((key, value?)));
    kept.filter(|(key, _)| !key.starts_with(b"flow/")).collect()
}

#[test]
fn a_seed_is_made_once_and_overwrites_only_when_told() {
    let mut world = World::new("seeds");
    let port = installation(&mut world);
    let args =
        ["key", "create", "--tenant", "acme", "--role", "ingest", "--streams", "existing", "--print-seed"];
    let key: Value =
        serde_json::from_slice(&world.cli_ok(&[&args[..], &["--format", "json"]].concat())).unwrap();
    assert!(control(&world).is_empty(), "a key that is printed is not written");
    let shop = "[[source]]\nname = \"shop\"\nsteps = [\"logfmt\"] # a comment\n";
    fs::write(world.dir.join("shop.toml"), shop).unwrap();
    let text = format!(
        "sources = [\"shop.toml\"]\n[tenants.acme.quota]\nmax_streams = 3\n\
         [tenants.acme.streams.web]\nsource = \"shop\"\n{}",
        key["seed"].as_str().unwrap()
    );
    let path = world.dir.join("seed.toml");
    fs::write(&path, &text).unwrap();
    let file = path.to_str().unwrap();

    let shown = ends(&world, 0, &["seed", file, "--dry-run"]);
    assert!(shown.contains("make    stream acme/web") && shown.contains("only checked: 5 made"), "{shown}");
    assert!(control(&world).is_empty(), "nothing is written by a dry run");
    let shown = ends(&world, 0, &["seed", file]);
    assert!(shown.contains("make    tenant acme") && shown.contains("\n5 made, 0 changed"), "{shown}");
    let seeded = control(&world);
    assert_eq!(seeded.len(), 5);
    let bearer = format!("Bearer {}", key["key"].as_str().unwrap());
    let post = |stream: &str| {
        let path = format!("/v1/logs/{stream}");
        http::post(port, &path, &[("authorization", &bearer)], b"a=1").unwrap().0
    };
    until("the key opens", LONG, || if post("web") == 200 { Ok(()) } else { Err("not yet") });
    assert_eq!(post("app"), 403, "it makes no streams");
    let end = world.log().ends("millrace.control");
    for more in [&[][..], &["--overwrite"], &["--dry-run"]] {
        let shown = ends(&world, 0, &[&["seed", file][..], more].concat());
        assert_eq!(shown.trim(), "nothing to change: 5 entries are as the file says");
    }
    assert_eq!(world.log().ends("millrace.control"), end, "nothing is written");

    // What was set by hand.
    world.cli_ok(&["tenant", "quota", "acme", "--max-streams", "7"]);
    world.cli_ok(&["stream", "set", "web", "--tenant", "acme", "--source", "json"]);
    world.cli_ok(&["stream", "create", "app", "--tenant", "acme"]);
    let by_hand = control(&world);
    let shown = ends(&world, 1, &["seed", file]);
    let wanted = r#"leave   stream acme/web: source is "json", the file says "shop""#;
    assert!(shown.contains(wanted) && shown.contains("max_streams is 7, the file says 3"), "{shown}");
    assert_eq!(control(&world), by_hand);
    let shown = ends(&world, 0, &["seed", file, "--overwrite", "--format", "json"]);
    let shown: Value = serde_json::from_str(&shown).unwrap();
    let deeds = shown["entries"].as_array().unwrap().iter().map(|entry| entry["deed"].as_str().unwrap());
    assert_eq!(deeds.clone().filter(|deed| *deed == "change").count(), 2, "{shown}");
    assert_eq!(deeds.filter(|deed| *deed == "same").count(), 3, "{shown}");
    let rows: Value =
        serde_json::from_slice(&world.cli_ok(&["stream", "ls", "--tenant", "acme", "--format", "json"]))
            .unwrap();
    let rows = rows.as_array().unwrap().iter().map(|row| (&row["name"], &row["source"]));
    assert_eq!(rows.collect::<Vec<_>>(), [(&"app".into(), &Value::Null), (&"web".into(), &"shop".into())]);

    // A key that was revoked is not given back.
    world.cli_ok(&["key", "revoke", key["id"].as_str().unwrap()]);
    let shown = ends(&world, 1, &["seed", file, "--overwrite"]);
    assert!(shown.contains("it is revoked, and stays so"), "{shown}");
    until("the key opens nothing", LONG, || if post("web") == 401 { Ok(()) } else { Err("not yet") });

    // What cannot be is said at once, and nothing is done.
    let before = control(&world);
    let wrong = text.replace("max_streams", "max_stream").replace("[\"shop.toml\"]", "[\"gone.toml\"]");
    fs::write(&path, wrong).unwrap();
    let shown = ends(&world, 78, &["seed", file]);
    assert!(shown.contains("tenants.acme.quota: ") && shown.contains("sources[0]: "), "{shown}");
    fs::write(&path, "[tenants.more.streams.web]\nsource = \"gone\"\n").unwrap();
    let shown = ends(&world, 1, &["seed", file]);
    assert!(shown.contains("stream more/web: no source \"gone\" is set"), "{shown}");
    assert_eq!(control(&world), before);
    world.stop();
}

#[test]
fn a_kill_amid_a_seed_leaves_all_of_it_or_nothing() {
    const ROUNDS: usize = 6;
    const STREAMS: usize = 300;
    let mut rng = Seed::take("seed-kill").rng(1);
    let mut world = World::new("seed-kill");
    world.apply_topics();
    let (mut there, mut took) = (BTreeMap::new(), Duration::from_secs(1));
    for round in 0..ROUNDS {
        let step = "steps = [\"json\"]";
        let mut text = format!(
            "[[source]]\nname = \"own-{round}\"\n{step}\n[tenants.t-{round}.quota]\nmax_streams = 9\n"
        );
        for number in 0..STREAMS {
            text += &format!("[tenants.t-{round}.streams.s-{number}]\nsource = \"own-{round}\"\n");
        }
        let path = world.dir.join("seed.toml");
        fs::write(&path, text).unwrap();
        let mut command = mortal(&binary());
        command.arg("seed").arg(&path).arg("--config").arg(world.config());
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let mut child = spawn(command);
        // While a run lasts here, so that most kills come in time.
        std::thread::sleep(took.mul_f64(rng.random()));
        drop(child.kill());
        child.wait().unwrap();
        // Tenant, source, quota and streams, or none of them.
        let found = control(&world);
        let is_whole = found.len() == there.len() + STREAMS + 3;
        assert!(is_whole || found == there, "{} records, {} were there", found.len(), there.len());
        let file = path.to_str().unwrap();
        let start = Instant::now();
        until("the seed is made", LONG, || {
            let output = world.cli(&["seed", file]);
            if output.status.success() { Ok(()) } else { Err(said(&output)) }
        });
        took = start.elapsed();
        let whole = control(&world);
        assert_eq!(whole.len(), there.len() + STREAMS + 3);
        assert!(!is_whole || whole == found, "what was made was made again");
        assert!(ends(&world, 0, &["seed", file]).contains("nothing to change: 303 entries"));
        there = whole;
        println!("round {round}: {}", if is_whole { "all of it" } else { "nothing" });
    }
    world.stop();
}

#[test]
fn up_applies_the_seed_of_its_configuration() {
    let mut world = World::new("seed-up");
    let seed = world.dir.join("seed.toml");
    fs::write(&seed, "[tenants.acme.streams.web]\nsource = \"gone\"\n[tenants.acme.quota]\nmax_stream = 1\n")
        .unwrap();
    world.set("control", "seed", seed.display().to_string());
    let (config, gateway) = (world.config(), free_port().unwrap());
    world.set("gateway", "listen", format!("127.0.0.1:{gateway}"));
    let args = ["up", "--ports", "auto", "--config", config.to_str().unwrap()];
    // What is wrong in itself is said before anything starts.
    for more in [&["--check"][..], &[]] {
        let output = run(&[&args[..], more].concat(), &[]);
        assert_eq!(output.status.code(), Some(78), "{}", said(&output));
        assert!(
            said(&output).contains("tenants.acme.quota: there is no bound \"max_stream\""),
            "{}",
            said(&output)
        );
    }
    fs::write(&seed, "[tenants.acme.streams.web]\nsource = \"gone\"\n").unwrap();
    let output = run(&args, &[]);
    assert!(
        !output.status.success() && said(&output).contains("no source \"gone\" is set"),
        "{}",
        said(&output)
    );
    assert!(control(&world).is_empty());

    fs::write(&seed, "[tenants.acme.streams.web]\nsource = \"json\"\n").unwrap();
    let mut found = BTreeMap::new();
    for start in 0..2 {
        let mut command = mortal(&binary());
        command.args(args).stdin(Stdio::null()).stdout(Stdio::null());
        command.stderr(fs::File::create(world.dir.join("log").join("up.log")).unwrap());
        let mut child = spawn(command);
        until("it serves", LONG, || match http::get(gateway, "/ruok") {
            Ok((200, _)) => Ok(()),
            other => Err(format!("{other:?}, {:?}", child.try_wait())),
        });
        let now = control(&world);
        assert_eq!(now.keys().collect::<Vec<_>>(), [&b"stream/acme/web"[..], b"tenant/acme"]);
        assert!(start == 0 || now == found, "it was made again");
        found = now;
        child.kill().unwrap();
        child.wait().unwrap();
    }
}

#[test]
fn the_examples_of_the_docs_run() {
    let wanted = [
        "only checked: 5 made, 0 changed",
        "nothing to change: 5 entries",
        "events_per_second is 5, the file says 20000",
        "it differs",
        "change  quota acme",
    ];
    run_page("seeds-docs", "seeds.md", &wanted);
}
