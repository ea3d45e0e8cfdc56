//! Files into a spool: whatever is restarted, and however often the spool is full, what the spool gave is every file byte for
//! byte, once.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::fs::{self, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use millrace_forwarder::spool::{SpoolOutlet, schema_version};
use millrace_forwarder::{Forwarder, Input, Limits, Now, Options, Step};
use millrace_schemas::batch::{Digest, Reader};
use millrace_schemas::{Codec, RawEvent, Subject};
use millrace_spool::{Cursor, Part, Spool};

/// A whole line's record, place and bytes, by file.
type Lines = BTreeMap<String, BTreeMap<i64, Vec<u8>>>;

struct Rig {
    dir: tempfile::TempDir,
    spool: Option<Arc<Spool>>,
    forwarder: Option<Forwarder<SpoolOutlet>>,
    now: Duration,
    /// Records by batch, as a gateway knows them.
    known: BTreeMap<String, Vec<Vec<u8>>>,
    taken: Lines,
    n_full: u32,
}

impl Rig {
    fn new() -> Rig {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("logs")).unwrap();
        let now = Duration::from_secs(1);
        let mut rig = Rig {
            dir,
            spool: None,
            forwarder: None,
            now,
            known: BTreeMap::new(),
            taken: Lines::default(),
            n_full: 0,
        };
        rig.start();
        rig
    }

    fn logs(&self) -> PathBuf {
        self.dir.path().join("logs")
    }

    fn start(&mut self) {
        self.forwarder = None;
        self.spool = None;
        // Hardly more than there must be for anything to be read.
        let max_bytes = millrace_forwarder::spool::ROOM + (4 << 20);
        let spool = millrace_spool::Options {
            dir: self.dir.path().join("spool"),
            max_bytes,
            max_parked_bytes: 1 << 20,
        };
        let spool = Arc::new(Spool::open(spool).unwrap());
        let globs = vec![self.logs().join("*.log*").display().to_string()];
        let options = Options {
            host: "h".into(),
            forwarder_id: "f-1".into(),
            schema_id: schema_version(),
            inputs: vec![Input::new("t", "s", globs)],
            scratch: self.dir.path().to_owned(),
            limits: Limits {
                partial_line_timeout: Duration::from_secs(3_600),
                batch_max_lines: 40,
                ..Limits::USUAL
            },
            once: false,
        };
        self.forwarder = Some(Forwarder::new(options, SpoolOutlet::new(spool.clone())).unwrap());
        self.spool = Some(spool);
    }

    fn step(&mut self) -> Step {
        self.now += Duration::from_secs(2);
        let wall = 1_700_000_000_000_000 + self.now.as_micros() as i64;
        let step = self.forwarder.as_mut().unwrap().step(Now { wall, monotonic: self.now }).unwrap();
        self.n_full += u32::from(step == Step::Waiting);
        step
    }

    /// As a gateway would: takes every batch that is closed.
    fn take(&mut self) {
        let spool = self.spool.clone().unwrap();
        let codec = Codec::new("logs.raw-value", schema_version(), Subject::Raw.schema()).unwrap();
        spool.seal();
        for due in spool.due(usize::MAX, |due| due.closed) {
            assert_eq!(due.name.to_string(), "t/s/h");
            let (mut reader, mut digest, mut cursor) =
                (Reader::new(1 << 24), Digest::default(), Cursor::default());
            let (known, mut at) = (self.known.entry(spool.source(due.id)).or_default(), 0);
            while let Part::Lines { n_records, bytes } = spool.read(due.id, &mut cursor).unwrap() {
                digest.add(n_records, &bytes);
                reader.feed(&bytes);
                while let Some(record) = reader.next_record().unwrap() {
                    at += 1;
                    if let Some(own) = known.get(at - 1) {
                        assert_eq!(own, record, "a batch has changed");
                        continue;
                    }
                    known.push(record.to_vec());
                    let event: RawEvent<'_> = codec.decode(record).unwrap();
                    let file = self.taken.entry(event.file_id.unwrap().to_owned()).or_default();
                    let line = [event.body, event.line_end.bytes()].concat();
                    let twice = file.insert(event.position.unwrap().byte, line);
                    assert!(twice.is_none(), "a line came twice");
                }
            }
            reader.feed(&digest.end());
            assert!(reader.next_record().unwrap().is_none() && reader.whole().is_some());
            assert_eq!(at, known.len());
            spool.done(due.id);
        }
    }

    fn settle(&mut self) {
        let mut n_idle = 0;
        for _ in 0..10_000 {
            match self.step() {
                Step::Idle if n_idle == 3 => return,
                Step::Idle => n_idle += 1,
                Step::Waiting => self.take(),
                Step::Busy => n_idle = 0,
            }
        }
        panic!("never idle");
    }
}

fn append(path: &Path, bytes: &[u8]) {
    OpenOptions::new().create(true).append(true).open(path).unwrap().write_all(bytes).unwrap();
}

#[test]
fn files_come_out_of_the_spool_byte_for_byte() {
    for seed in 0..20_u64 {
        let mut state = seed;
        let mut below = |bound: u64| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 33) % bound
        };
        let mut rig = Rig::new();
        let mut n = 0;
        for round in 0..150 {
            let path = rig.logs().join(["a.log", "b.log"][below(2) as usize]);
            match below(10) {
                0..=5 => {
                    n += 1;
                    let line = format!("{n:06} {}\n", "x".repeat(below(4_000) as usize));
                    append(&path, line.as_bytes());
                    rig.step();
                }
                6 => rig.start(),
                7 if path.exists() => fs::rename(&path, path.with_extension(format!("log.{round}"))).unwrap(),
                8 => rig.take(),
                _ => {
                    rig.step();
                }
            }
        }
        rig.settle();
        rig.take();
        let mut expected: Vec<Vec<u8>> =
            fs::read_dir(rig.logs()).unwrap().map(|entry| fs::read(entry.unwrap().path()).unwrap()).collect();
        let mut found: Vec<Vec<u8>> =
            rig.taken.values().map(|lines| lines.values().flatten().copied().collect()).collect();
        expected.sort();
        found.sort();
        assert!(expected == found, "seed {seed}: files differ");
        let gaps = rig.taken.values().any(|lines| {
            let mut at = 0;
            lines.iter().any(|(byte, line)| std::mem::replace(&mut at, byte + line.len() as i64) != *byte)
        });
        assert!(!gaps, "seed {seed}: positions have gaps");
    }
}

#[test]
fn a_full_spool_makes_the_reader_wait() {
    let mut rig = Rig::new();
    let line = format!("{}\n", "x".repeat(60_000));
    append(&rig.logs().join("a.log"), line.repeat(200).as_bytes());
    for _ in 0..50 {
        rig.step();
    }
    assert!(rig.n_full > 10, "it never waited");
    let status = rig.spool.as_ref().unwrap().status();
    assert!(status.waiting_records < 200 && status.bytes < millrace_forwarder::spool::ROOM / 2);
    rig.settle();
    rig.take();
    assert_eq!(rig.taken.values().map(BTreeMap::len).sum::<usize>(), 200);
}
