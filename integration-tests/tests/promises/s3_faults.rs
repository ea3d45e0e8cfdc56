//! The object store over S3: it falls silent, and it loses answers to what it did. Nothing is lost or there twice.

use std::time::Duration;

use crate::harness::relay::{Mode, Relay};
use crate::harness::tools::S3;
use crate::harness::{Lines, Seed, Source, World, Writer, until};

const STAGES: [&str; 2] = ["index", "archive"];

#[test]
fn s3_that_falls_silent_or_loses_answers_is_waited_for() {
    let mut world = World::new("s3");
    let s3 = S3::start(&world.dir);
    let relay = Relay::to(s3.port);
    world.set("store", "url", "s3://millrace/installation");
    let mut options = toml::Table::new();
    for (key, value) in [
        ("endpoint", format!("http://127.0.0.1:{}", relay.port())),
        ("access_key_id", S3::KEY.to_owned()),
        ("secret_access_key", S3::SECRET.to_owned()),
        ("region", "us-east-1".to_owned()),
        ("allow_http", "true".to_owned()),
    ] {
        options.insert(key.to_owned(), value.into());
    }
    world.set("store", "options", options);
    world.apply_topics();
    let logs = world.forward("web1");
    world.start_all();
    let mut writer = Writer::start(&logs.join("access.log"), Lines::new("t"), 200_000, 1_000);
    wait_stored(&mut world, 1, 1.0);
    for mode in [Mode::Silent, Mode::LoseAnswers] {
        relay.set(mode);
        let before = writer.written();
        if mode == Mode::Silent {
            // They take partitions away from members that have a bundle on its way into the store.
            for stage in STAGES {
                world.start(stage, 1);
            }
        }
        // Longer than a call's deadline of 5 s.
        until("6,000 lines are written meanwhile", Duration::from_secs(60), || {
            world.check();
            let n = writer.written() - before;
            if n >= 6_000 { Ok(()) } else { Err(n.to_string()) }
        });
        relay.set(Mode::Pass);
        wait_stored(&mut world, 2, 2.0);
    }
    for stage in STAGES {
        until(&format!("two members of {stage} share its partitions"), Duration::from_secs(60), || {
            world.check();
            let label = format!("service=\"{stage}\"");
            let held = [0, 1].map(|number| {
                world.service(&format!("{stage}-{number}")).metric("millrace_partitions_assigned", &label)
            });
            if held.iter().all(|share| *share >= 1.0) { Ok(()) } else { Err(format!("{held:?}")) }
        });
    }
    let n_lines = writer.finish();
    let source = Source::new("web1", &writer.path, n_lines, writer.lines.clone());
    world.assert_whole(&[source], &mut Seed::take("s3").rng(1));
    world.stop();
}

/// Waits until `n_members` of both sinks have together committed `more` bundles.
fn wait_stored(world: &mut World, n_members: u32, more: f64) {
    for stage in STAGES {
        let stored = |world: &mut World| -> f64 {
            let names = (0..n_members).map(|number| format!("{stage}-{number}"));
            names.map(|name| world.service(&name).metric("millrace_objects_total", "kind=\"bundle\"")).sum()
        };
        let before = stored(world);
        until(&format!("{stage} stores"), Duration::from_secs(60), || {
            world.check();
            let n = stored(world) - before;
            if n >= more { Ok(()) } else { Err(n.to_string()) }
        });
    }
}
