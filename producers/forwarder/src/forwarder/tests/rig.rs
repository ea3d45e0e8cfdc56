use std::cell::RefCell;
use std::collections::{BTreeMap, VecDeque};
use std::fs::{self, OpenOptions};
use std::io::Write;
use std::path::PathBuf;
use std::rc::Rc;
use std::time::Duration;

use millrace_schemas::ledger::Line;
use millrace_schemas::position::FilePosition;
use millrace_schemas::{Codec, RawEvent, Subject};

use crate::{Batch, Forwarder, Input, Limits, Now, Options, Outlet, OutletError, Step};

pub(super) const HOUR: Duration = Duration::from_secs(3600);

/// How one call of `commit` goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fault {
    Retry,
    Abort,
    /// In doubt, and it was not committed.
    RejoinAbsent,
    /// In doubt, and it was committed.
    RejoinDone,
    Exit,
}

#[derive(Debug, Clone)]
pub(super) struct Row {
    pub(super) file_id: String,
    pub(super) path: String,
    pub(super) byte: i64,
    pub(super) line: i64,
    pub(super) bytes: Vec<u8>,
    pub(super) piece: Option<(i32, bool)>,
    pub(super) attributes: Vec<(String, String)>,
}

#[derive(Debug)]
pub(super) struct Store {
    codec: Codec,
    pub(super) rows: Vec<Row>,
    pub(super) positions: BTreeMap<String, FilePosition>,
    pub(super) faults: VecDeque<Option<Fault>>,
    pub(super) may_write: bool,
    pub(super) n_commits: usize,
    pub(super) largest_batch: usize,
}

#[derive(Debug, Clone)]
pub(super) struct Memory(pub(super) Rc<RefCell<Store>>);

impl Outlet for Memory {
    fn restore(&mut self) -> Result<Vec<FilePosition>, OutletError> {
        Ok(self.0.borrow().positions.values().cloned().collect())
    }

    fn commit(&mut self, batch: &Batch) -> Result<(), OutletError> {
        let mut store = self.0.borrow_mut();
        assert!(!batch.is_empty());
        let fault = store.faults.pop_front().flatten();
        let reason = "injected".to_owned();
        match fault {
            Some(Fault::Retry) => return Err(OutletError::Retry { reason }),
            Some(Fault::Abort) => return Err(OutletError::Abort { reason }),
            Some(Fault::RejoinAbsent) => return Err(OutletError::Rejoin { reason }),
            Some(Fault::Exit) => return Err(OutletError::Exit { reason }),
            Some(Fault::RejoinDone) | None => {}
        }
        store.apply(batch);
        if fault.is_some() { Err(OutletError::Rejoin { reason }) } else { Ok(()) }
    }

    fn may_write(&mut self) -> bool {
        self.0.borrow().may_write
    }
}

impl Store {
    fn apply(&mut self, batch: &Batch) {
        self.n_commits += 1;
        let mut size = 0;
        for record in batch.records() {
            let event: RawEvent<'_> = self.codec.decode(batch.value(record)).unwrap();
            size += batch.value(record).len();
            assert_eq!(record.hash, event.sum());
            assert_eq!(event.account(), ("t", "s", record.received, record.body_len as usize));
            assert_eq!(batch.source(record).key, "t/h");
            let position = event.position.unwrap();
            self.rows.push(Row {
                file_id: event.file_id.unwrap().to_owned(),
                path: event.file.unwrap().to_owned(),
                byte: position.byte,
                line: position.line,
                bytes: [event.body, event.line_end.bytes()].concat(),
                piece: event.piece.map(|piece| (piece.index, piece.last)),
                attributes: event.attributes.0.iter().map(|(k, v)| (k.to_string(), v.to_string())).collect(),
            });
        }
        self.largest_batch = self.largest_batch.max(size);
        for position in batch.positions() {
            self.positions.insert(position.key(), position.clone());
        }
        for position in batch.forgotten() {
            self.positions.remove(&position.key());
        }
    }
}

pub(super) struct Rig {
    pub(super) directory: tempfile::TempDir,
    pub(super) store: Memory,
    pub(super) options: Options,
    pub(super) forwarder: Forwarder<Memory>,
    pub(super) now: Duration,
}

impl Rig {
    pub(super) fn new() -> Rig {
        Rig::with(|_| {})
    }

    /// Follows `*.log*` in a new directory. A partial line waits for an hour, so that only [`Rig::later`] ends it.
    pub(super) fn with(change: impl Fn(&mut Options)) -> Rig {
        let directory = tempfile::tempdir().unwrap();
        let globs = vec![directory.path().join("*.log").to_str().unwrap().into()];
        let attributes = vec![("a".into(), "b".into())];
        let input = Input { attributes, ..Input::new("t", "s", globs) };
        let limits = Limits { partial_line_timeout: HOUR, ..Limits::USUAL };
        let scratch = directory.path().to_owned();
        let (host, forwarder_id) = ("h".into(), "f-1".into());
        let mut options =
            Options { host, forwarder_id, schema_id: 7, inputs: vec![input], scratch, limits, once: false };
        change(&mut options);
        let store = Memory(Rc::new(RefCell::new(Store {
            codec: Codec::new("logs.raw-value", 7, Subject::Raw.versions()[0]).unwrap(),
            rows: Vec::new(),
            positions: BTreeMap::new(),
            faults: VecDeque::new(),
            may_write: true,
            n_commits: 0,
            largest_batch: 0,
        })));
        let forwarder = Forwarder::new(options.clone(), store.clone()).unwrap();
        Rig { directory, store, options, forwarder, now: Duration::from_secs(1) }
    }

    /// Also what was rotated matches.
    pub(super) fn wide() -> Rig {
        Rig::with(|_| {}).widen()
    }

    pub(super) fn widen(mut self) -> Rig {
        self.options.inputs[0].globs = vec![self.path("*.log*").to_str().unwrap().into()];
        self.restart();
        self
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// Appends; makes the file where there is none.
    pub(super) fn write(&self, name: &str, bytes: impl AsRef<[u8]>) {
        let mut file = OpenOptions::new().create(true).append(true).open(self.path(name)).unwrap();
        file.write_all(bytes.as_ref()).unwrap();
    }

    pub(super) fn rename(&self, from: &str, to: &str) {
        fs::rename(self.path(from), self.path(to)).unwrap();
    }

    pub(super) fn remove(&self, name: &str) {
        fs::remove_file(self.path(name)).unwrap();
    }

    pub(super) fn truncate(&self, name: &str, size: u64) {
        OpenOptions::new().write(true).open(self.path(name)).unwrap().set_len(size).unwrap();
    }

    pub(super) fn try_step(&mut self) -> Result<Step, crate::Error> {
        self.now += Duration::from_secs(2);
        let wall = 1_700_000_000_000_000 + self.now.as_micros() as i64;
        self.forwarder.step(Now { wall, monotonic: self.now })
    }

    /// Steps until nothing is left to do.
    pub(super) fn settle(&mut self) {
        let mut n_idle = 0;
        for _ in 0..10_000 {
            n_idle = if self.try_step().unwrap() == Step::Idle { n_idle + 1 } else { 0 };
            if n_idle == 3 {
                return;
            }
        }
        panic!("never idle");
    }

    /// Lets every patience run out.
    pub(super) fn later(&mut self) {
        self.settle();
        for _ in 0..3 {
            self.now += HOUR;
            self.settle();
        }
    }

    /// A new process, which knows what the outlet holds.
    pub(super) fn restart(&mut self) {
        self.forwarder = Forwarder::new(self.options.clone(), self.store.clone()).unwrap();
    }

    pub(super) fn fail(&self, faults: &[Option<Fault>]) {
        self.store.0.borrow_mut().faults.extend(faults);
    }

    pub(super) fn rows(&self) -> Vec<Row> {
        self.store.0.borrow().rows.clone()
    }

    pub(super) fn positions(&self) -> Vec<FilePosition> {
        let mut positions: Vec<_> = self.store.0.borrow().positions.values().cloned().collect();
        positions.sort_by_key(|position| (position.first_seen, position.truncations));
        positions
    }

    /// The incarnations in order of their first line, each rebuilt from its records.
    pub(super) fn rebuilt(&self) -> Vec<(String, Vec<u8>)> {
        let mut files: Vec<(String, Vec<u8>, i64, i64)> = Vec::new();
        for row in self.rows() {
            let at = files.iter().position(|(id, ..)| *id == row.file_id).unwrap_or_else(|| {
                files.push((row.file_id.clone(), Vec::new(), row.byte, 0));
                files.len() - 1
            });
            let (_, bytes, start, line) = &mut files[at];
            assert_eq!(row.byte, *start + bytes.len() as i64, "a gap or repeat in {}", row.path);
            assert_eq!(row.line, *line, "line number in {}", row.path);
            bytes.extend_from_slice(&row.bytes);
            *line += row.bytes.iter().filter(|byte| **byte == b'\n').count() as i64;
        }
        files.into_iter().map(|(id, bytes, ..)| (id, bytes)).collect()
    }

    /// Compares the rebuilt incarnations, in order of their first lines.
    #[track_caller]
    pub(super) fn check(&self, expected: &[&str]) {
        let rebuilt = self.rebuilt();
        let texts: Vec<_> = rebuilt.iter().map(|(_, bytes)| String::from_utf8_lossy(bytes)).collect();
        assert_eq!(texts, expected);
    }
}
