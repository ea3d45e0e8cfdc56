//! A kill at any byte: what is found is every append that returned, whole, and of the one that did not all or nothing.
//! And any damage: nothing is made up, and nothing panics.
#![allow(clippy::unwrap_used)]

mod common;
mod targets;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use common::{all_due, name, options, read};
use millrace_spool::{BatchId, Group, Options, Spool};
use proptest::prelude::*;

#[derive(Debug, Clone)]
enum Step {
    /// Streams and lengths of lines, table keys to set or delete.
    Append(Vec<(u8, usize)>, Vec<(u8, bool)>),
    Minute,
    Seal,
    /// The batch that is so far along.
    Done(prop::sample::Index),
    Restart,
}

fn step() -> impl Strategy<Value = Step> {
    let lines = prop::collection::vec((0..3_u8, 0..300_usize), 0..5);
    let table = prop::collection::vec((0..4_u8, any::<bool>()), 0..3);
    prop_oneof![
        8 => (lines, table).prop_map(|(lines, table)| Step::Append(lines, table)),
        2 => Just(Step::Minute),
        1 => Just(Step::Seal),
        3 => any::<prop::sample::Index>().prop_map(Step::Done),
        1 => Just(Step::Restart),
    ]
}

type Files = BTreeMap<String, Vec<u8>>;

fn files(dir: &Path) -> Files {
    let entries = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path());
    let name = |path: &Path| path.file_name().unwrap().to_str().unwrap().to_owned();
    let own = |path: &PathBuf| path.is_file() && !path.ends_with("reserve");
    entries.filter(own).map(|path| (name(&path), fs::read(&path).unwrap())).collect()
}

fn write(dir: &Path, files: &Files) {
    files.iter().for_each(|(name, bytes)| fs::write(dir.join(name), bytes).unwrap());
}

/// What is in a spool, as far as a reader can tell.
#[derive(Debug, Clone, Default)]
struct Model {
    batches: BTreeMap<BatchId, Vec<Vec<u8>>>,
    done: Vec<BatchId>,
    table: BTreeMap<Vec<u8>, Vec<u8>>,
}

impl Model {
    fn look(spool: &Spool, before: &Model) -> Model {
        let mut model = before.clone();
        for due in all_due(spool) {
            model.batches.insert(due.id, read(spool, due.id).0);
        }
        model.table = spool.table().into_iter().collect();
        model
    }

    /// `found` holds all that waits, and of what was done at most what was not noted yet, each as it was.
    fn check(&self, found: &Spool) -> Result<(), TestCaseError> {
        prop_assert_eq!(&found.table().into_iter().collect::<BTreeMap<_, _>>(), &self.table);
        let due = all_due(found);
        for (id, records) in &self.batches {
            let waits = due.iter().any(|due| due.id == *id);
            prop_assert!(waits || self.done.contains(id), "batch {:?} is lost", id);
            if waits {
                let (own, end) = read(found, *id);
                prop_assert!(end.unwrap());
                prop_assert_eq!(&own, records);
            }
        }
        prop_assert!(due.iter().all(|due| self.batches.contains_key(&due.id)), "a batch from nowhere");
        Ok(())
    }
}

/// Small, so that segments are many.
fn small(dir: &Path) -> Options {
    Options { max_bytes: 20_000, ..options(dir) }
}

/// The folder and the model after each step.
fn play(steps: &[Step]) -> Vec<(Files, Model)> {
    let dir = common::quick_dir();
    let mut spool = Some(Spool::open(small(dir.path())).unwrap());
    let (mut minute, mut n) = (0, 0_u32);
    let mut states = vec![(files(dir.path()), Model::default())];
    for step in steps {
        let own = spool.as_ref().unwrap();
        let mut model = states.last().unwrap().1.clone();
        match step {
            Step::Append(lines, table) => {
                let mut group = Group::default();
                for (stream, len) in lines {
                    n += 1;
                    let place = group.batch(&name(&stream.to_string()));
                    group.push(place, &[&n.to_le_bytes()[..], &vec![*stream; *len]].concat());
                }
                for (key, set) in table {
                    n += 1;
                    match set {
                        true => group.put(&[*key], &n.to_le_bytes()),
                        false => group.delete(&[*key]),
                    }
                }
                if let Err(error) = own.append(&group, minute) {
                    assert!(matches!(error, millrace_spool::Error::Full { .. }), "{error}");
                }
            }
            Step::Minute => {
                minute += 1;
                own.tick(minute).unwrap();
            }
            Step::Seal => own.seal(),
            Step::Done(at) => {
                let closed: Vec<_> = all_due(own).into_iter().filter(|due| due.closed).collect();
                if !closed.is_empty() {
                    let id = closed[at.index(closed.len())].id;
                    own.done(id);
                    model.done.push(id);
                }
            }
            Step::Restart => {
                drop(spool.take());
                spool = Some(Spool::open(small(dir.path())).unwrap());
            }
        }
        let model = Model::look(spool.as_ref().unwrap(), &model);
        states.push((files(dir.path()), model));
    }
    states
}

/// Where the first frame of a segment ends: it is there with the file.
fn first_frame(bytes: &[u8]) -> usize {
    let number = |at: usize| u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap()) as usize;
    48 + number(32) + number(36)
}

/// What a kill can leave of the step from `before` to `after`, by how far it came; or a loss of power, after which a file may
/// have its length but not all of its bytes.
fn killed(
    before: &Files,
    after: &Files,
    cut: prop::sample::Index,
    early: bool,
    hollow: bool,
) -> (Files, bool) {
    let mut left = before.clone();
    let mut whole = true;
    for (name, bytes) in after {
        let old = before.get(name).map_or(0, Vec::len);
        if old == bytes.len() {
            continue;
        }
        let made = if old > 0 { old } else { first_frame(bytes) };
        if old == 0 && early {
            // The segment is still being made.
            left.insert(name.replace(".seg", ".tmp"), bytes[..cut.index(made + 1)].to_vec());
            return (left, false);
        }
        let end = made + cut.index(bytes.len() - made + 1);
        let mut own = bytes[..end].to_vec();
        if hollow {
            own.resize(bytes.len(), 0);
        }
        whole &= own == *bytes;
        left.insert(name.clone(), own);
    }
    // Files are deleted last.
    if whole {
        left.retain(|name, _| after.contains_key(name));
    }
    (left, whole)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    #[test]
    fn after_a_kill_at_any_byte_every_append_is_whole_or_absent(
        steps in prop::collection::vec(step(), 1..25),
        at: prop::sample::Index,
        cut: prop::sample::Index,
        early: bool,
        hollow: bool,
    ) {
        let states = play(&steps);
        let at = 1 + at.index(states.len() - 1);
        let ((before, old), (after, new)) = (&states[at - 1], &states[at]);
        let (left, whole) = killed(before, after, cut, early, hollow);
        let dir = common::quick_dir();
        write(dir.path(), &left);
        let found = Spool::open(small(dir.path())).unwrap();
        let mut expected = if whole { new.clone() } else { old.clone() };
        expected.done.clone_from(&new.done);
        expected.check(&found)?;
        // And it goes on from there, to be found again.
        let mut group = Group::default();
        let place = group.batch(&name("new"));
        group.push(place, b"a line after the kill");
        if found.append(&group, 1_000).is_ok() {
            let model = Model::look(&found, &expected);
            drop(found);
            model.check(&Spool::open(small(dir.path())).unwrap())?;
            prop_assert!(millrace_spool::look(dir.path()).unwrap().damaged.is_empty());
        }
    }

    #[test]
    fn damage_makes_nothing_up(
        steps in prop::collection::vec(step(), 1..25),
        edits in prop::collection::vec((any::<prop::sample::Index>(), any::<prop::sample::Index>(), any::<u8>(), 0..4_u8), 1..6),
    ) {
        let states = play(&steps);
        let (whole, model) = states.last().unwrap();
        let mut damaged = whole.clone();
        for (file, at, byte, kind) in edits {
            let file = file.index(damaged.len());
            let bytes = damaged.values_mut().nth(file).unwrap();
            let at = at.index(bytes.len() + 1);
            match kind {
                0 if at < bytes.len() => bytes[at] ^= byte | 1,
                1 => bytes.insert(at, byte),
                2 if at < bytes.len() => drop(bytes.remove(at)),
                _ => bytes.truncate(at),
            }
        }
        let dir = common::quick_dir();
        write(dir.path(), &damaged);
        // A damaged lock file is only another id; it must be text.
        let Ok(found) = Spool::open(small(dir.path())) else { return Ok(()) };
        for due in all_due(&found) {
            let (own, _) = read(&found, due.id);
            let records = model.batches.get(&due.id);
            prop_assert!(records.is_some_and(|records| records.starts_with(&own)), "records from nowhere");
        }
        drop(millrace_spool::look(dir.path()));
    }

    #[test]
    fn any_bytes_are_opened_or_kept_aside(bytes: Vec<u8>, more: Vec<u8>) {
        prop_assert_eq!(targets::spool(&bytes, &more), (0, true));
    }
}
