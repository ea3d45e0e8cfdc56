//! Spools of tests.

#![allow(dead_code, reason = "each test takes what it needs")]

use std::path::Path;

use millrace_schemas::batch::{Digest, Reader};
use millrace_spool::{BatchId, Cursor, Due, Error, Group, Name, Options, Part, Spool};

pub(crate) const MIB: u64 = 1 << 20;

/// A folder in memory where there is such: for tests of what is written, not of the disk.
pub(crate) fn quick_dir() -> tempfile::TempDir {
    tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap()
}

pub(crate) fn options(dir: &Path) -> Options {
    Options { dir: dir.to_owned(), max_bytes: 64 * MIB, max_parked_bytes: 64 * MIB }
}

pub(crate) fn open(dir: &Path) -> Spool {
    Spool::open(options(dir)).unwrap()
}

pub(crate) fn name(stream: &str) -> Name {
    Name { tenant: "t".to_owned(), stream: stream.to_owned(), host: "h".to_owned() }
}

pub(crate) fn group(lines: &[(&str, &str)]) -> Group {
    let mut group = Group::default();
    for (stream, line) in lines {
        let place = group.batch(&name(stream));
        group.push(place, line.as_bytes());
    }
    group
}

pub(crate) fn all_due(spool: &Spool) -> Vec<Due> {
    spool.due(usize::MAX, |_| true)
}

/// The records of a batch as far as they can be read, and whether that was its end.
pub(crate) fn read(spool: &Spool, id: BatchId) -> (Vec<Vec<u8>>, Result<bool, Error>) {
    let (mut cursor, mut records) = (Cursor::default(), Vec::new());
    loop {
        match spool.read(id, &mut cursor) {
            Ok(Part::Lines { n_records, bytes }) => {
                let mut digest = Digest::default();
                digest.add(n_records, &bytes);
                let mut reader = Reader::new(1 << 24);
                reader.feed(&bytes);
                reader.feed(&digest.end());
                while let Some(record) = reader.next_record().unwrap() {
                    records.push(record.to_vec());
                }
            }
            Ok(Part::Waiting) => return (records, Ok(false)),
            Ok(Part::End) => return (records, Ok(true)),
            Err(error) => return (records, Err(error)),
        }
    }
}

/// Stream, minute, lines, closed: of every batch that is not done.
pub(crate) fn shown(spool: &Spool) -> Vec<String> {
    let text = |due: Due| {
        let (records, end) = read(spool, due.id);
        assert_eq!(end.unwrap(), due.closed);
        let lines: Vec<_> = records.iter().map(|record| String::from_utf8_lossy(record)).collect();
        let end = if due.closed { "." } else { "" };
        format!("{}@{} {}{end}", due.name.stream, due.minute, lines.join(" "))
    };
    all_due(spool).into_iter().map(text).collect()
}
