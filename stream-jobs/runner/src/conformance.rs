//! What every [`Session`] must do, as one suite: run on the scripted session and on the real one, so that the one in memory
//! cannot drift from the one that counts.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a suite of tests")]

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use millrace_jobs::{
    Batch, Effects, Job, LineRef, Partitioning, Plan, Record, Reject, State, Table, Verdict,
};
use millrace_schemas::Origin;

use crate::{Class, Error, Session, Turn};

/// A log of its own with one input of three partitions, and sessions of the job [`Count`] on it.
pub trait Rig {
    /// What is tested.
    type Session: Session;

    /// The job, with the topics of this log.
    fn job(&self) -> Count;
    /// Appends records to a partition of the input.
    fn append(&mut self, partition: i32, values: &[&str]);
    /// Starts a process: fences the one before.
    fn start(&mut self) -> Self::Session;
    /// Makes the next commit of `session` fail after it has begun.
    fn break_next_commit(&mut self, session: &mut Self::Session);
    /// What a reader of committed records sees of the output, by partition.
    fn outputs(&mut self) -> BTreeMap<i32, Vec<String>>;
    /// Input partition and offset of each dead letter that such a reader sees.
    fn dead(&mut self) -> Vec<(i32, i64)>;
    /// The group's committed offsets.
    fn committed(&mut self) -> BTreeMap<i32, i64>;
    /// Id of a schema that the registry has, and one that it denies.
    fn schema_ids(&self) -> (u32, u32);
}

/// Passes each value on with the number of times it came, which is its state; rejects what begins with `!`.
#[derive(Debug, Clone, Default)]
pub struct Count {
    /// Its input topic.
    pub input: String,
    /// Its output topic.
    pub output: String,
}

impl Job for Count {
    const NAME: &'static str = "conformance";

    fn inputs(&self) -> Vec<String> {
        vec![self.input.clone()]
    }

    fn outputs(&self) -> Vec<String> {
        vec![self.output.clone()]
    }

    fn process(
        &self,
        record: &Record<'_>,
        state: &State<'_>,
        out: &mut Effects<'_>,
    ) -> Result<Verdict, Reject> {
        let body = record.value.unwrap_or_default();
        let (partition, offset) = (record.partition, record.offset);
        let line = LineRef {
            tenant: "t",
            stream: "s",
            host: "h",
            file_id: None,
            received: 0,
            position: None,
            dedup: None,
            body,
        };
        out.account(line, Origin { generation: 1, partition, offset });
        if body.starts_with(b"!") {
            return Err(Reject::new("bad", "begins with !"));
        }
        let count = state.get(body).map_or(0, |cell| cell[0]) + 1;
        out.put(body, vec![count])?;
        out.emit(0, Partitioning::AsInput, record.key, |bytes| {
            bytes.extend_from_slice(body);
            bytes.extend_from_slice(count.to_string().as_bytes());
            Ok(())
        })?;
        Ok(Verdict::Out)
    }

    fn knows(&self, _: u32) -> bool {
        true
    }

    fn learn(&mut self, _: u32, _: &str) {}
}

/// A process in miniature: what the loop does, call by call. Every poll is held against the one order of each partition:
/// what was committed never comes again, what was not comes again from its beginning, and nothing is left out.
struct Process<S> {
    job: Count,
    session: S,
    table: Table,
    batch: Batch,
    /// Next offsets that were committed, and next ones to be read.
    committed: BTreeMap<i32, i64>,
    read: BTreeMap<i32, i64>,
}

/// Longest wait for records that are there.
const PATIENCE: Duration = Duration::from_secs(60);

impl<S: Session> Process<S> {
    fn start(rig: &mut impl Rig<Session = S>) -> Process<S> {
        let committed = rig.committed();
        Process {
            job: rig.job(),
            session: rig.start(),
            table: Table::default(),
            batch: Batch::default(),
            read: committed.clone(),
            committed,
        }
    }

    /// One poll; the number of records.
    fn poll(&mut self) -> usize {
        self.batch.clear();
        if self.session.poll(&mut self.batch).unwrap() == Turn::Moved {
            assert!(self.batch.is_empty(), "records of partitions that are not restored");
            self.session.settle().unwrap();
            self.session.restore(&mut self.table).unwrap();
        }
        let mut n_records = 0;
        for record in self.batch.records() {
            let next = self.read.entry(record.partition).or_insert(0);
            assert_eq!(record.offset, *next, "next record of partition {}", record.partition);
            *next += 1;
            n_records += 1;
        }
        n_records
    }

    /// Polls until something comes.
    fn wait(&mut self) -> usize {
        let start = Instant::now();
        loop {
            match self.poll() {
                0 => assert!(start.elapsed() < PATIENCE, "no record within {PATIENCE:?}"),
                n_records => return n_records,
            }
        }
    }

    fn commit(&mut self) -> Result<(), Error> {
        let mut plan = Plan::default();
        plan.fill(&self.job, &self.batch, &self.table, None);
        let plan = Arc::new(plan);
        self.session.submit(plan.clone())?;
        self.session.settle()?;
        let mut plan = Arc::into_inner(plan).expect("who has settled lets go of the plan");
        self.table.merge(plan.take_writes());
        self.committed = self.read.clone();
        Ok(())
    }

    /// Reads and commits until `n_records` came.
    fn process(&mut self, n_records: usize) {
        let mut n_done = 0;
        while n_done < n_records {
            n_done += self.wait();
            self.commit().unwrap();
        }
        assert_eq!(n_done, n_records, "records");
    }

    /// Does what the class of `error` asks for; what cannot be rewound is taken up anew, as the loop does it.
    fn recover(&mut self, error: &Error) {
        self.read = self.committed.clone();
        let rewound = match error.class() {
            Class::Abort => self.session.rewind(error),
            Class::Rejoin => Err(cause(Class::Rejoin)),
            Class::Exit => panic!("the session gave up: {error}"),
        };
        if let Err(next) = rewound {
            assert_ne!(next.class(), Class::Exit, "the session gave up: {next}");
            self.table.clear();
            self.session.rejoin(&next).unwrap();
        }
    }

    fn cells(&self) -> BTreeMap<(i32, String), u8> {
        let of =
            |partition| self.table.cells(partition).map(move |(key, cell)| ((partition, text(key)), cell[0]));
        (0..3).flat_map(of).collect()
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn cause(class: Class) -> Error {
    Error::new(class, "go on", "the suite says so")
}

fn lists(all: &[(i32, &[&str])]) -> BTreeMap<i32, Vec<String>> {
    all.iter().map(|(at, own)| (*at, own.iter().map(|text| (*text).to_owned()).collect())).collect()
}

fn cells(all: &[(i32, &str, u8)]) -> BTreeMap<(i32, String), u8> {
    all.iter().map(|(at, key, count)| ((*at, (*key).to_owned()), *count)).collect()
}

/// Outputs, letters, offsets and table of a commit show once, in order, partition by partition.
pub fn committed_is_visible_once_and_in_order(rig: &mut impl Rig) {
    rig.append(0, &["a", "b", "!x", "a"]);
    rig.append(2, &["a", "!y", "c"]);
    let mut process = Process::start(rig);
    process.process(7);
    assert_eq!(process.poll(), 0, "all has been read");
    rig.append(0, &["b", "a"]);
    process.process(2);
    assert_eq!(rig.outputs(), lists(&[(0, &["a1", "b1", "a2", "b2", "a3"]), (2, &["a1", "c1"])]));
    assert_eq!(sorted(rig.dead()), [(0, 2), (2, 1)]);
    assert_eq!(rig.committed(), BTreeMap::from([(0, 6), (2, 3)]));
    assert_eq!(process.cells(), cells(&[(0, "a", 3), (0, "b", 2), (2, "a", 1), (2, "c", 1)]));
    process.session.close().unwrap();
}

/// The next records can be read while a commit is in flight; when that fails, both batches come again.
pub fn next_batch_is_read_while_one_commits(rig: &mut impl Rig) {
    rig.append(0, &["a", "b"]);
    let mut process = Process::start(rig);
    process.process(2);
    for fails in [false, true] {
        rig.append(0, &["a"]);
        process.wait();
        if fails {
            rig.break_next_commit(&mut process.session);
        }
        let plan = Arc::new(millrace_jobs::plan(&process.job, &process.batch, &process.table, None));
        process.session.submit(plan.clone()).unwrap();
        rig.append(0, &["b"]);
        process.wait();
        let settled = process.session.settle();
        match (fails, settled) {
            (false, Ok(())) => {
                process.table.merge(plan.writes().clone());
                process.commit().unwrap();
            }
            (true, Err(error)) => {
                process.recover(&error);
                process.process(2);
            }
            (_, settled) => panic!("broken: {fails}, but {settled:?}"),
        }
    }
    assert_eq!(rig.outputs(), lists(&[(0, &["a1", "b1", "a2", "b2", "a3", "b3"])]));
    assert_eq!(rig.committed(), BTreeMap::from([(0, 6)]));
    assert_eq!(process.cells(), cells(&[(0, "a", 3), (0, "b", 3)]));
}

/// A commit that failed leaves no trace, and its records come again.
pub fn failed_commit_is_invisible_and_read_again(rig: &mut impl Rig) {
    rig.append(0, &["a", "b", "!x"]);
    let mut process = Process::start(rig);
    process.process(3);
    rig.append(0, &["a", "!y", "d"]);
    process.wait();
    rig.break_next_commit(&mut process.session);
    let error = process.commit().expect_err("the commit was broken");
    assert_ne!(error.class(), Class::Exit, "{error}");
    assert_eq!(rig.outputs(), lists(&[(0, &["a1", "b1"])]));
    assert_eq!((rig.dead(), rig.committed()), (vec![(0, 2)], BTreeMap::from([(0, 3)])));
    process.recover(&error);
    process.process(3);
    assert_eq!(rig.outputs(), lists(&[(0, &["a1", "b1", "a2", "d1"])]));
    assert_eq!((sorted(rig.dead()), rig.committed()), (vec![(0, 2), (0, 4)], BTreeMap::from([(0, 6)])));
    assert_eq!(process.cells(), cells(&[(0, "a", 2), (0, "b", 1), (0, "d", 1)]));
}

/// After a rewind the records since the last commit come again, however often, and the table stays.
pub fn rewind_gives_the_same_records_again(rig: &mut impl Rig) {
    rig.append(1, &["a", "b"]);
    let mut process = Process::start(rig);
    process.process(2);
    rig.append(1, &["a", "c"]);
    rig.append(0, &["z"]);
    for _ in 0..3 {
        process.wait();
        process.recover(&cause(Class::Abort));
        assert_eq!(process.cells(), cells(&[(1, "a", 1), (1, "b", 1)]));
    }
    process.process(3);
    assert_eq!(rig.outputs(), lists(&[(0, &["z1"]), (1, &["a1", "b1", "a2", "c1"])]));
}

/// Who joins anew gets the table from the changelog, as it was committed, and goes on behind what was committed.
pub fn rejoin_restores_the_table_and_goes_on(rig: &mut impl Rig) {
    rig.append(0, &["a", "a", "b"]);
    rig.append(1, &["a"]);
    let mut process = Process::start(rig);
    process.process(4);
    rig.append(0, &["a", "n"]);
    process.wait();
    process.recover(&cause(Class::Rejoin));
    assert_eq!(process.cells(), BTreeMap::new());
    process.wait();
    assert_eq!(
        process.cells(),
        cells(&[(0, "a", 2), (0, "b", 1), (1, "a", 1)]),
        "restored with the first records"
    );
    process.commit().unwrap();
    process.process(6 - process.read.values().sum::<i64>() as usize);
    assert_eq!(rig.outputs(), lists(&[(0, &["a1", "a2", "b1", "a3", "n1"]), (1, &["a1"])]));
}

/// A new process goes on where the one before committed, with its table; what that one had only read comes again.
pub fn next_process_goes_on(rig: &mut impl Rig) {
    rig.append(0, &["a", "b", "a"]);
    let mut process = Process::start(rig);
    process.process(3);
    rig.append(0, &["b", "a"]);
    process.wait();
    drop(process);
    let mut process = Process::start(rig);
    process.process(2);
    assert_eq!(process.cells(), cells(&[(0, "a", 3), (0, "b", 2)]));
    assert_eq!(rig.outputs(), lists(&[(0, &["a1", "b1", "a2", "b2", "a3"])]));
    assert_eq!(rig.committed(), BTreeMap::from([(0, 5)]));
}

/// A registry that denies a schema is no error: the records are.
pub fn schema_is_given_or_denied(rig: &mut impl Rig) {
    rig.append(0, &["a"]);
    let mut process = Process::start(rig);
    process.process(1);
    let (known, denied) = rig.schema_ids();
    let session = &mut process.session;
    for _ in 0..2 {
        assert!(session.schema(known).unwrap().is_some_and(|text| !text.is_empty()));
        assert_eq!(session.schema(denied).unwrap(), None);
    }
}

/// The whole suite, each part on a rig of its own; `make` gets the part's name.
pub fn suite<R: Rig>(mut make: impl FnMut(&str) -> R) {
    committed_is_visible_once_and_in_order(&mut make("visible"));
    failed_commit_is_invisible_and_read_again(&mut make("failed"));
    next_batch_is_read_while_one_commits(&mut make("flight"));
    rewind_gives_the_same_records_again(&mut make("rewind"));
    rejoin_restores_the_table_and_goes_on(&mut make("rejoin"));
    next_process_goes_on(&mut make("next"));
    schema_is_given_or_denied(&mut make("schema"));
}

fn sorted(mut all: Vec<(i32, i64)>) -> Vec<(i32, i64)> {
    all.sort_unstable();
    all
}
