use std::cell::RefCell;
use std::collections::VecDeque;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::sync::{Arc, Mutex};

use millrace_schemas::ledger::Line;
use millrace_schemas::position::FilePosition;
use millrace_schemas::{Codec, RawEvent, Subject};

use super::journal::Journal;
use super::{FeedOptions, run, start, stdin};
use crate::{Batch, Error, Limits, Outlet, OutletError};

#[derive(Default)]
struct Kept {
    bytes: Vec<u8>,
    n_records: usize,
    positions: Vec<FilePosition>,
    faults: VecDeque<&'static str>,
}

/// Keeps what it is given; the next fault is `retry`, `absent` (in doubt, not committed) or `done` (in doubt, committed).
#[derive(Clone, Default)]
struct Memory(Arc<Mutex<Kept>>);

impl Outlet for Memory {
    fn restore(&mut self) -> Result<Vec<FilePosition>, OutletError> {
        Ok(self.0.lock().unwrap().positions.clone())
    }

    fn commit(&mut self, batch: &Batch) -> Result<(), OutletError> {
        let mut kept = self.0.lock().unwrap();
        let fault = kept.faults.pop_front();
        let reason = "injected".to_owned();
        match fault {
            Some("retry") => return Err(OutletError::Retry { reason }),
            Some("absent") => return Err(OutletError::Rejoin { reason }),
            _ => {}
        }
        let codec = Codec::new("logs.raw-value", 7, Subject::Raw.schema()).unwrap();
        for record in batch.records() {
            let event: RawEvent<'_> = codec.decode(batch.value(record)).unwrap();
            assert_eq!((event.sum(), event.file), (record.hash, Some("name")));
            assert_eq!(event.position.unwrap().byte, kept.bytes.len() as i64);
            kept.bytes.extend_from_slice(event.body);
            kept.bytes.extend_from_slice(event.line_end.bytes());
            kept.n_records += 1;
        }
        for position in batch.positions() {
            kept.positions.retain(|own| own.file_id != position.file_id);
            kept.positions.push(position.clone());
        }
        for position in batch.forgotten() {
            kept.positions.retain(|own| own.file_id != position.file_id);
        }
        if fault == Some("done") { Err(OutletError::Rejoin { reason }) } else { Ok(()) }
    }

    fn may_write(&mut self) -> bool {
        true
    }
}

fn options(forget: bool) -> FeedOptions {
    FeedOptions {
        host: "h".into(),
        forwarder_id: "f".into(),
        schema_id: 7,
        tenant: "t".into(),
        stream: "s".into(),
        name: "name".into(),
        id: "feed".into(),
        forget,
        limits: Limits { batch_max_lines: 100, max_line_bytes: 1_000, ..Limits::USUAL },
    }
}

fn pipe(bytes: &'static [u8], memory: &Memory) -> Result<crate::Progress, Error> {
    let open = |_: Option<&str>| start(move |to| stdin::read(bytes, 1_000, to));
    run(options(true), memory.clone(), open, || false, |_| {})
}

#[test]
fn standard_input_is_handed_on_byte_for_byte() {
    let mut bytes = b"one\r\ntwo\n\n\xff\0\n".repeat(300);
    bytes.extend(std::iter::repeat_n(b'x', 3_500));
    let bytes: &'static [u8] = bytes.leak();
    let memory = Memory::default();
    let progress = pipe(bytes, &memory).unwrap();
    let kept = memory.0.lock().unwrap();
    assert_eq!(kept.bytes, bytes);
    assert_eq!((progress.lines, progress.bytes), (1_204, bytes.len() as u64));
    assert!(kept.positions.is_empty(), "what is of no use is forgotten");
}

#[test]
fn a_batch_in_doubt_comes_once() {
    let text: &'static [u8] = b"line\n".repeat(250).leak();
    for faults in [["retry", "absent", "", "done"], ["done", "done", "absent", "retry"], ["", "", "", "done"]]
    {
        let memory = Memory::default();
        memory.0.lock().unwrap().faults.extend(faults);
        pipe(text, &memory).unwrap();
        assert_eq!(memory.0.lock().unwrap().bytes, text, "{faults:?}");
    }
}

/// A program that does as journalctl does: 25 entries, those after `--after-cursor`.
fn fake_journal(folder: &std::path::Path, end: &str) -> String {
    let path = folder.join("journalctl");
    let script = format!(
        "#!/bin/sh\nafter=0\nfor arg; do case $arg in --after-cursor=*) after=${{arg#--after-cursor=c;}};; esac; done\n\
         i=$after\nwhile [ $i -lt 25 ]; do i=$((i+1));\n\
         printf '{{\"MESSAGE\":\"entry %s\",\"__CURSOR\":\"c;%s\",\"PRIORITY\":\"6\"}}\\n' $i $i; done\n{end}\n"
    );
    std::fs::File::create(&path).unwrap().write_all(script.as_bytes()).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
    path.to_str().unwrap().to_owned()
}

fn follow(program: &str, memory: &Memory, most: usize) -> Result<crate::Progress, Error> {
    let counted = memory.clone();
    let running = RefCell::new(None);
    let open = |cursor: Option<&str>| {
        let own = Journal::spawn(program, cursor, false).unwrap();
        let given = start(own.reader(1_000));
        running.replace(Some(own));
        given
    };
    let mut options = options(false);
    options.limits.batch_max_lines = 4;
    run(options, memory.clone(), open, || counted.0.lock().unwrap().n_records >= most, |_| {})
}

#[test]
fn the_journal_goes_on_after_its_cursor() {
    let folder = tempfile::tempdir().unwrap();
    let program = fake_journal(folder.path(), "exit 0");
    let memory = Memory::default();
    follow(&program, &memory, 7).unwrap();
    assert_eq!(memory.0.lock().unwrap().n_records, 8);
    assert_eq!(memory.0.lock().unwrap().positions[0].cursor.as_deref(), Some("c;8"));
    follow(&program, &memory, usize::MAX).unwrap();
    let kept = memory.0.lock().unwrap();
    let numbers: Vec<String> = (1..=25).map(|i| format!("\"MESSAGE\":\"entry {i}\"")).collect();
    let text = String::from_utf8(kept.bytes.clone()).unwrap();
    assert_eq!(text.lines().count(), 25);
    assert!(text.lines().zip(&numbers).all(|(line, number)| line.contains(number)), "{text}");
}

#[test]
fn a_journal_that_breaks_off_is_said() {
    let folder = tempfile::tempdir().unwrap();
    let program = fake_journal(folder.path(), "echo 'no journal' >&2; exit 3");
    let memory = Memory::default();
    let error = follow(&program, &memory, usize::MAX).unwrap_err();
    assert!(error.to_string().contains("exit status: 3: no journal"), "{error}");
    assert_eq!(memory.0.lock().unwrap().n_records, 25);
}
