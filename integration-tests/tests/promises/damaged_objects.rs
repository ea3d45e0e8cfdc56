//! Damaged objects: what is lost, cut short or rotten is named by whoever reads it and never answered from; it ends no
//! service, holds up no merge of others, and is merged into nothing. Brought back, all is whole.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::harness::world::files_below;
use crate::harness::{Lines, Seed, Source, World, Writer, http, until};

/// What happens to an object.
#[derive(Debug, Clone, Copy)]
enum Damage {
    /// Some bytes are others.
    Rot,
    /// The end is gone.
    Cut,
    /// All bytes are gone.
    Emptied,
    /// The object is gone.
    Lost,
}

const KINDS: [Damage; 4] = [Damage::Rot, Damage::Cut, Damage::Emptied, Damage::Lost];

/// An object that is damaged until it is brought back.
struct Damaged {
    path: PathBuf,
    bytes: Vec<u8>,
}

impl Damaged {
    fn new(path: &Path, damage: Damage) -> Damaged {
        let bytes = fs::read(path).unwrap();
        match damage {
            Damage::Rot => {
                let mut rotten = bytes.clone();
                let step = bytes.len() / 40;
                rotten.iter_mut().skip(step).step_by(step).for_each(|byte| *byte ^= 16);
                fs::write(path, rotten).unwrap();
            }
            Damage::Cut => fs::write(path, &bytes[..bytes.len() / 2]).unwrap(),
            Damage::Emptied => fs::write(path, b"").unwrap(),
            Damage::Lost => fs::remove_file(path).unwrap(),
        }
        Damaged { path: path.to_owned(), bytes }
    }

    fn name(&self) -> String {
        self.path.file_name().unwrap().to_string_lossy().into_owned()
    }

    fn bring_back(self) {
        fs::write(self.path, self.bytes).unwrap();
    }
}

/// The oldest first.
fn bundles(world: &World, stage: &str) -> Vec<PathBuf> {
    let mut found = files_below(&world.objects.join("bundles").join(stage));
    found.sort_by_key(|path| path.metadata().unwrap().modified().unwrap());
    found
}

fn merged(world: &World) -> [usize; 2] {
    ["index", "events"].map(|folder| files_below(&world.objects.join(folder)).len())
}

/// Whether a search of everything gets an answer, or what it says instead.
fn search(world: &World) -> Result<u64, String> {
    let (status, body) = http::get(world.query_port, "/api/v1/search?q=&limit=1000&cache=false").unwrap();
    let answer: serde_json::Value = serde_json::from_str(&body).unwrap();
    if status == 200 { Ok(answer["total"].as_u64().unwrap()) } else { Err(body) }
}

#[test]
fn damaged_objects_are_named_and_hold_up_nothing_else() {
    let mut world = World::new("damaged");
    world.apply_topics();
    // Both sinks put a bundle a second, so that neither merges before there are enough.
    world.set("index", "commit_interval_ms", 1_000);
    let logs = world.forward("web1");
    world.start_all();
    let mut writer = Writer::start(&logs.join("access.log"), Lines::new("d"), 10_000_000, 150);
    // Each for itself: who has many merges them.
    let mut busy = vec!["index", "archive"];
    until("there are bundles to damage", Duration::from_secs(60), || {
        world.check();
        busy.retain(|stage| {
            let is_enough = bundles(&world, stage).len() >= 5;
            if is_enough {
                world.service(&format!("{stage}-0")).kill();
            }
            !is_enough
        });
        if busy.is_empty() { Ok(()) } else { Err(format!("too few of {busy:?}")) }
    });
    assert_eq!(merged(&world), [0, 0], "merged too early: the scene did not come about");
    // The last one may be an orphan: its commit may have been cut off.
    let [index, archive] = ["index", "archive"].map(|stage| bundles(&world, stage)[..4].to_vec());
    let path = writer.path.display().to_string();
    let cat = ["cat", "--host", "web1", "--file", &path];
    let n_archived = world.cli_ok(&cat).len();
    let n_indexed = search(&world).unwrap();

    for ((kind, split), rows) in KINDS.into_iter().zip(&index).zip(&archive) {
        let (split, rows) = (Damaged::new(split, kind), Damaged::new(rows, kind));
        match (kind, search(&world)) {
            // It is open, so all of it is still there.
            (Damage::Lost, Ok(found)) => assert_eq!(found, n_indexed),
            (_, answer) => {
                let said = answer.expect_err("an answer from a damaged object");
                assert!(said.contains(&split.name()), "{kind:?}: {said}");
                let output = world.cli(&["search", "", "--partial", "--format", "json"]);
                let found: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
                let missing = found["missing"].as_array().unwrap();
                let is_named =
                    |own: &serde_json::Value| own["object"].as_str().unwrap().ends_with(&split.name());
                assert!(missing.iter().all(is_named), "{kind:?}: {missing:?}");
                let n_missing: u64 = missing.iter().map(|own| own["rows"].as_u64().unwrap()).sum();
                assert_eq!(found["total"].as_u64().unwrap() + n_missing, n_indexed, "{kind:?}: {missing:?}");
            }
        }
        let output = world.cli(&cat);
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(!output.status.success() && said.contains(&rows.name()), "{kind:?}: {said}");
        let partial = world.cli(&[cat.as_slice(), &["--partial"]].concat());
        let said = String::from_utf8_lossy(&partial.stderr);
        assert!(said.contains(&rows.name()), "{kind:?}: {said}");
        assert!((1..n_archived).contains(&partial.stdout.len()), "{kind:?}: {} bytes", partial.stdout.len());
        split.bring_back();
        rows.bring_back();
        assert_eq!(search(&world).as_ref(), Ok(&n_indexed), "{kind:?} and brought back");
        assert_eq!(world.cli_ok(&cat).len(), n_archived, "{kind:?} and brought back");
    }

    let damaged: Vec<Damaged> = KINDS
        .into_iter()
        .zip(index.iter().zip(&archive))
        .flat_map(|(kind, (split, rows))| [Damaged::new(split, kind), Damaged::new(rows, kind)])
        .collect();
    for stage in ["index", "archive"] {
        world.start(stage, 0);
    }
    until("what is not damaged is merged", Duration::from_secs(60), || {
        world.check();
        let n = merged(&world);
        let named = ["index-0", "archive-0"].map(|service| {
            let log = world.service(service).log();
            damaged.iter().filter(|own| log.contains(&format!("/{}", own.name()))).count()
        });
        if n.iter().all(|n| *n > 0) && named == [4, 4] {
            Ok(())
        } else {
            Err(format!("{n:?} merged, {named:?} named"))
        }
    });
    for service in ["index-0", "archive-0"] {
        let failed = world.service(service).metric("millrace_merges_failed_total", "");
        assert!(failed >= 4.0, "{service}: {failed} parts");
        assert_eq!(world.service(service).starts, 2, "{service}");
    }
    damaged.into_iter().for_each(Damaged::bring_back);

    let n_lines = writer.finish();
    let source = Source::new("web1", &writer.path, n_lines, writer.lines.clone());
    world.assert_whole(&[source], &mut Seed::take("damaged").rng(1));
    world.stop();
}
