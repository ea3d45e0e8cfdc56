//! Ring 3: whatever fails, wherever, what commits is what a faultless run commits (I2).

use std::collections::BTreeMap;

use millrace_jobs::{Effects, Job, LineRef, Partitioning, Record, Reject, State, Table, Verdict};
use millrace_schemas::Origin;
use millrace_schemas::dead::DeadLetter;

use crate::scripted::{Fault, KNOWN_ID, Kind, Pace, SCHEMA, Scripted, World};
use crate::{Class, Error, transact, transact_renewed};

/// Passes the first of each id on, drops the others, and keeps per id how often it came; rejects `bad…` after it has
/// touched everything, and what it has no schema for.
#[derive(Default)]
pub(crate) struct Dedupe {
    knows: bool,
}

impl Job for Dedupe {
    const NAME: &'static str = "dedupe";

    fn inputs(&self) -> Vec<String> {
        vec!["in".to_owned()]
    }

    fn outputs(&self) -> Vec<String> {
        vec!["out".to_owned()]
    }

    fn process(
        &self,
        record: &Record<'_>,
        state: &State<'_>,
        out: &mut Effects<'_>,
    ) -> Result<Verdict, Reject> {
        let (id, body) = millrace_schemas::codec::unframe(record.value.unwrap_or_default())
            .map_err(|error| Reject::new("undecodable", error.to_string()))?;
        if !self.knows || id != KNOWN_ID {
            return Err(Reject::new("undecodable", "unknown schema"));
        }
        let (partition, offset) = (record.partition, record.offset);
        let line = LineRef {
            tenant: "t",
            stream: "s",
            host: "h",
            file_id: None,
            received: 60_000_000 * (offset / 4),
            position: None,
            dedup: None,
            body,
        };
        out.account(line, Origin { generation: 1, partition, offset });
        let seen = state.get(body).map_or(0, |cell| cell[0]);
        out.put(body, vec![seen + 1])?;
        if seen > 0 {
            return Ok(Verdict::Duplicate);
        }
        out.emit(0, Partitioning::AsInput, record.key, |bytes| {
            bytes.extend_from_slice(body);
            Ok(())
        })?;
        if body.starts_with(b"bad") { Err(Reject::new("bad", "")) } else { Ok(Verdict::Out) }
    }

    fn knows(&self, id: u32) -> bool {
        self.knows && id == KNOWN_ID
    }

    fn learn(&mut self, id: u32, schema: &str) {
        assert_eq!((id, schema), (KNOWN_ID, SCHEMA));
        self.knows = true;
    }
}

/// `#` marks a value of a schema that the registry denies, `!` one without frame.
fn input() -> BTreeMap<i32, Vec<Vec<u8>>> {
    let value = |text: &str| match text.split_at(1) {
        ("#", rest) => [&[0, 0, 0, 0, 6], rest.as_bytes()].concat(),
        ("!", rest) => rest.as_bytes().to_vec(),
        _ => [&[0, 0, 0, 0, KNOWN_ID as u8], text.as_bytes()].concat(),
    };
    let partition = |texts: &str| texts.split_whitespace().map(value).collect();
    BTreeMap::from([(0, partition("a b a bad #x a c")), (1, partition("a a d !junk bad e d")), (2, vec![])])
}

/// All that must be the same however it came about.
#[derive(Debug, PartialEq)]
struct Outcome {
    outputs: BTreeMap<i32, Vec<String>>,
    dead: BTreeMap<i32, Vec<DeadLetter>>,
    state: Table,
    ledger: BTreeMap<String, (i64, i64, u128)>,
    offsets: BTreeMap<i32, i64>,
}

fn outcome(world: &World) -> Outcome {
    let committed = &world.committed;
    let mut outcome = Outcome {
        outputs: BTreeMap::new(),
        dead: BTreeMap::new(),
        state: Table::default(),
        ledger: BTreeMap::new(),
        offsets: committed.offsets.clone(),
    };
    for (partition, value) in &committed.outputs {
        outcome.outputs.entry(*partition).or_default().push(String::from_utf8(value.clone()).unwrap());
    }
    for (value, letter) in &committed.dead {
        let (input, offset) = (&world.input[&letter.partition], letter.offset as usize);
        assert_eq!(&input[offset], value, "the dead letter has other bytes");
        outcome.dead.entry(letter.partition).or_default().push(letter.clone());
    }
    for ((partition, key), value) in &committed.changelog {
        outcome.state.restore(*partition, key, value.as_deref());
    }
    for delta in &committed.deltas {
        let key = format!("{} {} {} {}", delta.tenant, delta.stream, delta.minute, delta.edge);
        let sum = outcome.ledger.entry(key).or_default();
        *sum = (sum.0 + delta.count, sum.1 + delta.bytes, sum.2.wrapping_add(delta.hash.0));
    }
    outcome
}

/// Runs the job to the end of the input, as often as the process exits; the number of faults that came to pass.
fn run(faults: Vec<Fault>, per_poll: usize) -> (Outcome, usize) {
    run_at(Pace::AtOnce, faults, per_poll)
}

fn run_at(pace: Pace, faults: Vec<Fault>, per_poll: usize) -> (Outcome, usize) {
    let world = World::new(input(), faults);
    while !world.borrow().done() {
        let mut session = Scripted::start(&world, per_poll, pace);
        let stop = || world.borrow().done();
        if let Err(error) = transact(&mut Dedupe::default(), &mut session, stop) {
            let closing = error.to_string().starts_with("could not Close");
            assert!(error.class() == Class::Exit || closing, "{error}");
        }
    }
    let world = world.borrow();
    (outcome(&world), world.n_faults)
}

const PACES: [Pace; 2] = [Pace::AtOnce, Pace::Late];
pub(crate) const CLASSES: [Class; 3] = [Class::Abort, Class::Rejoin, Class::Exit];

fn kinds() -> Vec<Kind> {
    let lost = [Class::Rejoin, Class::Exit]
        .into_iter()
        .flat_map(|class| [Kind::Committed(class), Kind::CommittedLate(class)]);
    CLASSES.into_iter().map(Kind::Fail).chain(lost).chain([Kind::Rebalance]).collect()
}

#[test]
fn faultless_run_does_what_the_job_says() {
    let (outcome, _) = run(vec![], 3);
    let outputs = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>();
    assert_eq!(
        outcome.outputs,
        BTreeMap::from([(0, outputs(&["a", "b", "c"])), (1, outputs(&["a", "d", "e"]))])
    );
    assert_eq!(outcome.offsets, BTreeMap::from([(0, 7), (1, 7)]));
    let cells = |partition| {
        outcome.state.cells(partition).map(|(key, value)| (key.to_vec(), value[0])).collect::<Vec<_>>()
    };
    assert_eq!(cells(0), [(b"a".to_vec(), 3), (b"b".to_vec(), 1), (b"c".to_vec(), 1)]);
    let reasons: Vec<_> = outcome
        .dead
        .values()
        .flatten()
        .map(|letter| (letter.partition, letter.offset, letter.reason.as_str()))
        .collect();
    assert_eq!(reasons, [(0, 3, "bad"), (0, 4, "undecodable"), (1, 3, "undecodable"), (1, 4, "bad")]);
    let count = |edge: &str| {
        outcome.ledger.iter().filter(|(key, _)| key.ends_with(edge)).map(|(_, sum)| sum.0).sum::<i64>()
    };
    assert_eq!((count(" in"), count(" out"), count(" dead"), count(" duplicate")), (14, 6, 4, 4));
}

#[test]
fn one_fault_at_any_step_changes_nothing() {
    let mut n_faults = 0;
    for per_poll in [1, 3, 100] {
        let (expected, _) = run(vec![], per_poll);
        for kind in kinds() {
            // Far enough behind the last step that a fault could meet.
            for (at, pace) in (0..250).flat_map(|at| PACES.map(|pace| (at, pace))) {
                let fault = Fault { at, kind };
                let (outcome, happened) = run_at(pace, vec![fault], per_poll);
                assert_eq!(outcome, expected, "{fault:?} {pace:?} with {per_poll} records a poll");
                n_faults += happened;
            }
        }
    }
    assert!(n_faults > 1000, "only {n_faults} faults came to pass");
}

#[test]
fn two_faults_at_any_steps_change_nothing() {
    let (expected, _) = run(vec![], 4);
    let mut n_both = 0;
    for first in kinds() {
        for second in kinds() {
            for at in 0..45 {
                for (gap, pace) in (1..12).flat_map(|gap| PACES.map(|pace| (gap, pace))) {
                    let faults = vec![Fault { at, kind: first }, Fault { at: at + gap, kind: second }];
                    let (outcome, happened) = run_at(pace, faults.clone(), 4);
                    assert_eq!(outcome, expected, "{faults:?} {pace:?}");
                    n_both += usize::from(happened == 2);
                }
            }
        }
    }
    assert!(n_both > 2000, "only {n_both} pairs came to pass");
}

#[test]
fn how_much_a_poll_gives_changes_nothing() {
    let (expected, _) = run(vec![], 1);
    for (per_poll, pace) in [1, 2, 3, 5, 100].into_iter().flat_map(|n| PACES.map(|pace| (n, pace))) {
        assert_eq!(run_at(pace, vec![], per_poll).0, expected, "{per_poll} {pace:?}");
    }
}

#[test]
fn steps_that_fail_again_and_again_are_overcome() {
    let (expected, _) = run(vec![], 3);
    for class in CLASSES {
        let faults: Vec<Fault> = (0..60).map(|at| Fault { at, kind: Kind::Fail(class) }).collect();
        for pace in PACES {
            assert_eq!(run_at(pace, faults.clone(), 3).0, expected, "{class:?} {pace:?}");
        }
    }
}

#[test]
fn a_job_is_renewed_before_each_batch_and_sees_what_was_committed() {
    let world = World::new(input(), vec![]);
    let mut most_cells = 0;
    while !world.borrow().done() {
        let mut session = Scripted::start(&world, 2, Pace::AtOnce);
        let mut n_batches = 0;
        let renew = |_: &mut Dedupe, table: &Table| {
            n_batches += 1;
            most_cells = most_cells.max(table.n_cells());
            // The third batch of each process is not planned, the two before are committed.
            if n_batches < 3 {
                Ok(())
            } else {
                Err(Error::new(Class::Exit, "renew the job", "it is not there"))
            }
        };
        let end = transact_renewed(&mut Dedupe::default(), &mut session, renew, || world.borrow().done());
        assert_eq!(end.is_err(), n_batches == 3);
    }
    assert_eq!(outcome(&world.borrow()), run(vec![], 2).0);
    assert!(most_cells >= 3, "{most_cells}");
}
