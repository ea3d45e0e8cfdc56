//! A session over a log in memory that fails where a script says so.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;

use millrace_jobs::{Batch, Plan, Record, Table, changelog_key};
use millrace_schemas::dead::DeadLetter;
use millrace_schemas::ledger::Delta;

use crate::{Class, Error, Session, Turn};

/// What the brokers hold, with one topic in and one out.
#[derive(Debug, Default)]
pub(crate) struct World {
    /// Input by partition: values; the place is the offset.
    pub(crate) input: BTreeMap<i32, Vec<Vec<u8>>>,
    /// All that committed, in order.
    pub(crate) committed: Written,
    open: Option<Written>,
    /// A commit that was asked for and is decided only when the next producer fences the old one.
    late: Option<Written>,
    n_steps: usize,
    faults: Vec<Fault>,
    /// Faults that came to pass.
    pub(crate) n_faults: usize,
}

/// Effects of transactions.
#[derive(Debug, Clone, Default)]
pub(crate) struct Written {
    /// (partition, value)
    pub(crate) outputs: Vec<(i32, Vec<u8>)>,
    pub(crate) dead: Vec<(Vec<u8>, DeadLetter)>,
    /// (partition, key) → value, as compaction leaves it.
    pub(crate) changelog: BTreeMap<(i32, Vec<u8>), Option<Vec<u8>>>,
    pub(crate) deltas: Vec<Delta>,
    pub(crate) offsets: BTreeMap<i32, i64>,
}

impl Written {
    fn add(&mut self, other: Written) {
        self.outputs.extend(other.outputs);
        self.dead.extend(other.dead);
        self.changelog.extend(other.changelog);
        self.deltas.extend(other.deltas);
        self.offsets.extend(other.offsets);
    }
}

/// What goes wrong at step `at`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Fault {
    pub(crate) at: usize,
    pub(crate) kind: Kind,
}

/// How it goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// The call fails and had no effect.
    Fail(Class),
    /// A commit takes effect and the answer is lost.
    Committed(Class),
    /// A commit takes effect only when the next producer makes the coordinator finish it.
    CommittedLate(Class),
    /// All partitions are taken away and given back at this poll.
    Rebalance,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Op {
    Poll,
    Restore,
    Schema,
    Begin,
    Send,
    Flush,
    SendOffsets,
    Commit,
    Rewind,
    Rejoin,
    Close,
}

const KEY: &[u8] = b"t/k";
/// The only schema that the registry has.
pub(crate) const KNOWN_ID: u32 = 5;
pub(crate) const SCHEMA: &str = "known";

impl World {
    pub(crate) fn new(input: BTreeMap<i32, Vec<Vec<u8>>>, faults: Vec<Fault>) -> Rc<RefCell<World>> {
        Rc::new(RefCell::new(World { input, faults, ..World::default() }))
    }

    /// Has the step after `n` more ones go wrong.
    pub(crate) fn fail_in(&mut self, n: usize, kind: Kind) {
        let at = self.n_steps + n;
        self.faults.push(Fault { at, kind });
    }

    /// Whether every input is committed.
    pub(crate) fn done(&self) -> bool {
        self.input.iter().all(|(partition, records)| self.committed(*partition) == records.len() as i64)
    }

    fn committed(&self, partition: i32) -> i64 {
        self.committed.offsets.get(&partition).copied().unwrap_or(0)
    }

    /// Counts a step and fails it if the script says so.
    fn step(&mut self, op: Op) -> Result<Option<Kind>, Error> {
        let at = self.n_steps;
        self.n_steps += 1;
        assert!(at < 100_000, "the loop does not end");
        let Some(fault) = self.faults.iter().find(|fault| fault.at == at).copied() else {
            return Ok(None);
        };
        let (applies, class) = match fault.kind {
            Kind::Fail(class) => (true, Some(class)),
            Kind::Committed(_) | Kind::CommittedLate(_) => (op == Op::Commit, None),
            Kind::Rebalance => (op == Op::Poll, None),
        };
        if !applies {
            return Ok(None);
        }
        self.n_faults += 1;
        class.map_or(Ok(Some(fault.kind)), |class| Err(broken(class, op)))
    }

    fn apply(&mut self, written: Written) {
        for (partition, next) in &written.offsets {
            assert!(*next > self.committed(*partition), "offsets go back or stand still");
        }
        self.committed.add(written);
    }
}

fn broken(class: Class, op: Op) -> Error {
    Error::new(class, format!("{op:?}"), "the script says so")
}

/// When a commit in flight comes about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Pace {
    /// Before the next poll.
    AtOnce,
    /// Only when somebody waits for it.
    Late,
}

/// One life of a process.
pub(crate) struct Scripted {
    world: Rc<RefCell<World>>,
    positions: BTreeMap<i32, i64>,
    assigned: bool,
    poisoned: bool,
    per_poll: usize,
    pace: Pace,
    submitted: Option<Arc<Plan>>,
    decided: Option<Result<(), Error>>,
}

impl Scripted {
    /// Starting fences the process before.
    pub(crate) fn start(world: &Rc<RefCell<World>>, per_poll: usize, pace: Pace) -> Scripted {
        let mut session = Scripted {
            world: world.clone(),
            positions: BTreeMap::new(),
            assigned: false,
            poisoned: false,
            per_poll,
            pace,
            submitted: None,
            decided: None,
        };
        session.fence();
        session
    }

    fn fence(&mut self) {
        let mut world = self.world.borrow_mut();
        world.open = None;
        if let Some(written) = world.late.take() {
            world.apply(written);
        }
        self.assigned = false;
        self.poisoned = false;
    }

    /// Decides what was submitted.
    fn decide(&mut self) {
        if let Some(plan) = self.submitted.take() {
            self.decided = Some(self.commit(&plan));
        }
    }

    /// Writes and commits in one go.
    fn commit(&mut self, plan: &Plan) -> Result<(), Error> {
        assert!(!plan.is_empty() && !self.poisoned);
        let mut world = self.world.borrow_mut();
        world.step(Op::Begin)?;
        world.open = Some(Written::default());
        for output in plan.outputs() {
            world.step(Op::Send)?;
            open(&mut world).outputs.push((output.partition.unwrap(), output.value.to_vec()));
        }
        world.step(Op::Send)?;
        let dead = plan.dead().map(|dead| (dead.value.to_vec(), dead.letter.clone()));
        open(&mut world).dead.extend(dead);
        let writes = plan.writes().iter();
        let writes = writes
            .map(|(partition, key, value)| ((partition, changelog_key(key)), value.map(<[u8]>::to_vec)));
        open(&mut world).changelog.extend(writes);
        for (&(_, partition), next) in plan.next() {
            open(&mut world)
                .changelog
                .insert((partition, b"next/in".to_vec()), Some(next.to_be_bytes().to_vec()));
        }
        open(&mut world).deltas.extend(plan.deltas());
        world.step(Op::Flush)?;
        world.step(Op::SendOffsets)?;
        open(&mut world).offsets.extend(plan.next().iter().map(|(&(_, partition), next)| (partition, *next)));
        let kind = world.step(Op::Commit)?;
        let written = world.open.take().unwrap();
        match kind {
            Some(Kind::Committed(class)) => {
                self.poisoned = true;
                world.apply(written);
                Err(broken(class, Op::Commit))
            }
            Some(Kind::CommittedLate(class)) => {
                self.poisoned = true;
                world.late = Some(written);
                Err(broken(class, Op::Commit))
            }
            _ => {
                world.apply(written);
                Ok(())
            }
        }
    }
}

impl Session for Scripted {
    fn poll(&mut self, batch: &mut Batch) -> Result<Turn, Error> {
        assert!(batch.is_empty());
        if self.world.borrow_mut().step(Op::Poll)? == Some(Kind::Rebalance) {
            self.decide();
            self.assigned = false;
        }
        if !self.assigned {
            return Ok(Turn::Moved);
        }
        let world = self.world.borrow();
        let mut left = self.per_poll;
        for (partition, position) in &mut self.positions {
            let records = &world.input[partition];
            while left > 0 && (*position as usize) < records.len() {
                let value = Some(records[*position as usize].as_slice());
                let (partition, offset) = (*partition, *position);
                batch.push(Record { input: 0, partition, offset, appended: 0, key: KEY, value, first: None });
                *position += 1;
                left -= 1;
            }
        }
        Ok(Turn::Records)
    }

    fn restore(&mut self, table: &mut Table) -> Result<(), Error> {
        assert!(self.submitted.is_none() && self.decided.is_none(), "restored while a commit is in flight");
        let mut world = self.world.borrow_mut();
        for partition in world.input.keys().copied().collect::<Vec<_>>() {
            world.step(Op::Restore)?;
            table.forget(partition);
            let next = world.committed(partition);
            for ((own, key), value) in &world.committed.changelog {
                if *own != partition {
                    continue;
                }
                let is_cell = table.restore(partition, key, value.as_deref());
                if !is_cell {
                    assert_eq!(
                        value.as_deref(),
                        Some(next.to_be_bytes().as_slice()),
                        "progress and offset differ"
                    );
                }
            }
            self.positions.insert(partition, next);
        }
        self.assigned = true;
        Ok(())
    }

    fn schema(&mut self, id: u32) -> Result<Option<String>, Error> {
        self.world.borrow_mut().step(Op::Schema)?;
        Ok((id == KNOWN_ID).then(|| SCHEMA.to_owned()))
    }

    fn submit(&mut self, plan: Arc<Plan>) -> Result<(), Error> {
        assert!(self.submitted.is_none() && self.decided.is_none(), "one transaction at a time");
        self.submitted = Some(plan);
        if self.pace == Pace::AtOnce {
            self.decide();
        }
        Ok(())
    }

    fn settle(&mut self) -> Result<(), Error> {
        self.decide();
        self.decided.take().unwrap_or(Ok(()))
    }

    fn rewind(&mut self, cause: &Error) -> Result<(), Error> {
        assert!(cause.class() == Class::Abort && !self.poisoned);
        assert!(self.submitted.is_none() && self.decided.is_none(), "rewound while a commit is in flight");
        let mut world = self.world.borrow_mut();
        world.step(Op::Rewind)?;
        world.open = None;
        for (partition, position) in &mut self.positions {
            *position = world.committed(*partition);
        }
        Ok(())
    }

    fn rejoin(&mut self, _: &Error) -> Result<(), Error> {
        self.world.borrow_mut().step(Op::Rejoin)?;
        self.fence();
        Ok(())
    }

    fn close(&mut self) -> Result<(), Error> {
        self.world.borrow_mut().step(Op::Close)?;
        assert!(self.world.borrow().open.is_none());
        Ok(())
    }
}

fn open(world: &mut World) -> &mut Written {
    world.open.as_mut().unwrap()
}
