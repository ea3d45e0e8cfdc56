//! Store faults: the object store refuses, is away for long, is full, or the writer dies between object and commit. Nothing
//! is lost or there twice, producers wait, orphans are collected and no live object is.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use millrace_schemas::manifest::{Fold, ManifestRecord};
use rand::Rng;

use crate::harness::seed::rounds;
use crate::harness::tmpfs::Tmpfs;
use crate::harness::world::files_below;
use crate::harness::{Lines, Seed, Source, World, Writer, until};

/// Replaces the store's folder by a file: also root cannot write into that.
struct Away {
    store: PathBuf,
    aside: PathBuf,
}

impl Away {
    fn begin(store: &Path) -> Away {
        let aside = store.with_extension("aside");
        fs::rename(store, &aside).unwrap();
        fs::write(store, b"the store is away").unwrap();
        Away { store: store.to_owned(), aside }
    }

    fn end(self) {
        fs::remove_file(&self.store).unwrap();
        fs::rename(&self.aside, &self.store).unwrap();
    }
}

fn finish(mut world: World, mut writer: Writer, purpose: u64) {
    let n_lines = writer.finish();
    let source = Source::new("web1", &writer.path, n_lines, writer.lines.clone());
    world.assert_whole(&[source], &mut Seed::take("store").rng(purpose));
    world.stop();
}

fn flowing(test: &str, per_second: u64) -> (World, Writer) {
    let mut world = World::new(test);
    world.apply_topics();
    let logs = world.forward("web1");
    world.start_all();
    let writer = Writer::start(&logs.join("access.log"), Lines::new("s"), 10_000_000, per_second);
    until("both sinks store", Duration::from_secs(60), || {
        world.check();
        let kinds =
            ["index", "archive"].map(|stage| files_below(&world.objects.join("bundles").join(stage)).len());
        if kinds.iter().all(|n| *n > 0) { Ok(()) } else { Err(format!("{kinds:?}")) }
    });
    (world, writer)
}

#[test]
fn store_that_is_away_is_waited_for() {
    let (mut world, writer) = flowing("store-away", 1_000);
    for _ in 0..2 {
        let away = Away::begin(&world.objects);
        let before = writer.written();
        // Longer than a call's deadline of 5 s, so that what gives up does so here.
        until("12,000 lines are written meanwhile", Duration::from_secs(60), || {
            world.check();
            let n = writer.written() - before;
            if n >= 12_000 { Ok(()) } else { Err(n.to_string()) }
        });
        away.end();
        let log = world.log();
        let parsed = log.ends("logs.parsed").0;
        until("both sinks go on", Duration::from_secs(60), || {
            world.check();
            let done = ["index", "archive"].map(|stage| {
                let group = format!("{}.{stage}", world.prefix);
                log.committed(&group, "logs.parsed").values().sum::<i64>()
            });
            if done.iter().all(|done| *done >= parsed) {
                Ok(())
            } else {
                Err(format!("{done:?} of {parsed}"))
            }
        });
    }
    finish(world, writer, 1);
}

#[test]
fn death_between_object_and_commit_leaves_an_orphan_that_is_collected() {
    let mut rng = Seed::take("orphans").rng(1);
    let (mut world, mut writer) = flowing("orphans", 1_000);
    for _ in 0..rounds(6) {
        for stage in ["index", "archive"] {
            let folder = world.objects.join("bundles").join(stage);
            let before: BTreeSet<PathBuf> = files_below(&folder).into_iter().collect();
            // Ends as soon as a new object lies there: its commit is a few milliseconds away.
            until(&format!("{stage} puts an object"), Duration::from_secs(60), || {
                loop_until_new(&mut world, &folder, &before)
            });
            std::thread::sleep(Duration::from_micros(rng.random_range(0..3_000)));
            world.service(&format!("{stage}-0")).kill();
            world.service(&format!("{stage}-0")).start();
        }
    }
    let n_lines = writer.finish();
    world.assert_whole(&[Source::new("web1", &writer.path, n_lines, writer.lines.clone())], &mut rng);

    // Every object left is live, and every live object is there.
    let log = world.log();
    until("no orphan is left, no live object is missing", Duration::from_secs(150), || {
        world.check();
        let mut live = BTreeSet::new();
        for topic in ["millrace.splits", "millrace.files"] {
            let mut fold = Fold::default();
            log.read(topic, "read_committed", |message| {
                use rdkafka::Message;
                let key = String::from_utf8_lossy(message.key().unwrap());
                let record: Option<ManifestRecord> =
                    message.payload().map(|value| log.codecs().manifest().decode(value).unwrap());
                fold.apply(&key, record);
            });
            live.extend(fold.parts().map(|part| world.objects.join(&part.record.object)));
        }
        let there: BTreeSet<PathBuf> = files_below(&world.objects).into_iter().collect();
        let orphans = there.difference(&live).count();
        let missing: Vec<_> = live.difference(&there).collect();
        // A merge replaces objects while we look: what is missing must be so at a second look.
        if orphans == 0 && missing.is_empty() {
            Ok(())
        } else {
            Err(format!("{orphans} orphans, missing {missing:?}"))
        }
    });
    let collected: usize = ["index-0", "archive-0"]
        .iter()
        .map(|name| world.service(name).log().matches("orphan deleted").count())
        .sum();
    assert!(collected > 0, "no kill left an orphan: the scene did not come about");
    println!("{collected} orphans collected");
    world.stop();
}

/// Looks without a pause for a while: a millisecond counts.
fn loop_until_new(world: &mut World, folder: &Path, before: &BTreeSet<PathBuf>) -> Result<(), String> {
    world.check();
    for _ in 0..2_000 {
        let new = files_below(folder).into_iter().any(|path| !before.contains(&path));
        if new {
            return Ok(());
        }
        std::thread::sleep(Duration::from_micros(200));
    }
    Err("nothing new".to_owned())
}

#[test]
fn topics_at_their_byte_bound_make_producers_wait() {
    let mut world = World::new("byte-bound");
    let mut bounds = toml::Table::new();
    bounds.insert("logs.raw".to_owned(), 1.into());
    world.set("kafka", "bound_mib", bounds);
    world.apply_topics();
    let logs = world.forward("web1");
    world.start_all();
    let mut writer = Writer::start(&logs.join("access.log"), Lines::new("w"), 80_000, 4_000);
    until("the archive stores", Duration::from_secs(60), || {
        world.check();
        let n = files_below(&world.objects.join("bundles/archive")).len();
        if n > 0 { Ok(()) } else { Err(n.to_string()) }
    });
    let away = Away::begin(&world.objects);
    let n_lines = writer.join();
    until("the forwarder is told to wait", Duration::from_secs(60), || {
        world.check();
        let waits = world.service("archive-0").metric("millrace_flow_wait", "logs.raw");
        let told = world.service("forward-web1").log().contains("producers wait");
        if waits == 1.0 && told { Ok(()) } else { Err(format!("mark {waits}, forwarder told: {told}")) }
    });
    // It does wait: the topic stands still although the file is not read to its end.
    let log = world.log();
    let mut last = log.ends("logs.raw").1;
    until("logs.raw stands still", Duration::from_secs(30), || {
        std::thread::sleep(Duration::from_secs(2));
        let now = log.ends("logs.raw").1;
        let still = now == std::mem::replace(&mut last, now);
        if still { Ok(()) } else { Err(now.to_string()) }
    });
    assert!((last as u64) < n_lines, "{last} records in logs.raw: the forwarder did not wait");
    away.end();
    let source = Source::new("web1", &writer.path, n_lines, writer.lines.clone());
    // What the sinks hold goes from logs.raw, or it would stay over its bound.
    world.raw_is_kept = false;
    world.assert_whole(&[source], &mut Seed::take("byte bound").rng(1));
    world.stop();
}

#[test]
fn full_store_is_waited_for() {
    let mut world = World::new("store-full");
    let disk = Tmpfs::mount(&world.dir.join("disk"), 6);
    world.set_store(&disk.path.join("objects"));
    world.apply_topics();
    let logs = world.forward("web1");
    world.start_all();
    let filler = disk.fill();
    let mut writer = Writer::start(&logs.join("access.log"), Lines::new("f"), 20_000, 2_000);
    until("both sinks say that the store takes nothing", Duration::from_secs(60), || {
        world.check();
        let said = ["index-0", "archive-0"].map(|name| world.service(name).log().contains("No space left"));
        if said == [true, true] { Ok(()) } else { Err(format!("{said:?}")) }
    });
    let n_lines = writer.join();
    fs::remove_file(filler).unwrap();
    let source = Source::new("web1", &writer.path, n_lines, writer.lines.clone());
    world.assert_whole(&[source], &mut Seed::take("full store").rng(1));
    world.stop();
}
