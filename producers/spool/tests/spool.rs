//! What a spool does, case by case.
#![allow(clippy::unwrap_used)]

mod common;

use std::fs;
use std::path::Path;

use common::{MIB, all_due, group, name, open, options, shown};
use millrace_spool::{Error, Group, Options, Spool, drop_parked, look, retry_parked};

fn segments(dir: &Path) -> usize {
    let names = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path());
    names.filter(|path| path.extension().is_some_and(|own| own == "seg")).count()
}

#[test]
fn a_batch_is_of_one_minute_and_name_and_closes_with_the_minute() {
    let dir = tempfile::tempdir().unwrap();
    let spool = open(dir.path());
    spool.append(&group(&[("a", "1"), ("b", "2"), ("a", "3")]), 7).unwrap();
    spool.append(&group(&[("a", "4")]), 7).unwrap();
    assert_eq!(shown(&spool), ["a@7 1 3 4", "b@7 2"]);
    spool.tick(7).unwrap();
    assert_eq!(shown(&spool), ["a@7 1 3 4", "b@7 2"]);
    spool.append(&group(&[("a", "5")]), 8).unwrap();
    assert_eq!(shown(&spool), ["a@7 1 3 4.", "b@7 2.", "a@8 5"]);
    spool.tick(9).unwrap();
    assert_eq!(shown(&spool).last().unwrap(), "a@8 5.");
}

#[test]
fn a_clock_that_is_set_back_leaves_no_batch_open() {
    let dir = tempfile::tempdir().unwrap();
    let spool = open(dir.path());
    spool.append(&group(&[("a", "1")]), 67).unwrap();
    // Whoever ticks may have asked the clock just before.
    spool.tick(66).unwrap();
    assert_eq!(shown(&spool), ["a@67 1"]);
    spool.tick(7).unwrap();
    assert_eq!(shown(&spool), ["a@67 1."]);
}

#[test]
fn what_was_closed_never_grows_again() {
    let dir = tempfile::tempdir().unwrap();
    let spool = open(dir.path());
    spool.append(&group(&[("a", "1")]), 7).unwrap();
    spool.seal();
    spool.append(&group(&[("a", "2")]), 7).unwrap();
    spool.append(&group(&[("a", "3")]), 8).unwrap();
    // The clock was set back.
    spool.append(&group(&[("a", "4")]), 7).unwrap();
    let wanted = ["a@7 1.", "a@7 2.", "a@8 3.", "a@7 4"];
    assert_eq!(shown(&spool), wanted);
    let mut sources: Vec<_> = all_due(&spool).iter().map(|due| spool.source(due.id)).collect();
    drop(spool);
    let spool = open(dir.path());
    assert_eq!(shown(&spool), ["a@7 1.", "a@7 2.", "a@8 3.", "a@7 4."]);
    spool.append(&group(&[("a", "5")]), 7).unwrap();
    assert_eq!(shown(&spool).last().unwrap(), "a@7 5");
    let again: Vec<_> = all_due(&spool).iter().map(|due| spool.source(due.id)).collect();
    assert_eq!(again[..4], sources, "a batch keeps its name");
    sources.push(again[4].clone());
    sources.sort();
    sources.dedup();
    assert_eq!(sources.len(), 5, "no two batches have one name");
}

#[test]
fn lines_and_table_come_back_together() {
    let dir = tempfile::tempdir().unwrap();
    let spool = open(dir.path());
    let entry = |key: &str, value: &str| (key.as_bytes().to_vec(), value.as_bytes().to_vec());
    for n in 0..50 {
        let mut group = group(&[("a", &format!("line {n}"))]);
        group.put(b"position", n.to_string().as_bytes());
        group.put(format!("old {n}").as_bytes(), b"x");
        group.delete(format!("old {}", n - 1).as_bytes());
        spool.append(&group, n / 10).unwrap();
        if n % 3 == 0 {
            spool.seal();
            all_due(&spool).iter().for_each(|due| spool.done(due.id));
        }
    }
    let table = [entry("old 49", "x"), entry("position", "49")];
    assert_eq!(spool.table(), table);
    drop(spool);
    assert_eq!(open(dir.path()).table(), table);
}

#[test]
fn what_is_done_is_deleted_and_not_sent_again() {
    let dir = tempfile::tempdir().unwrap();
    let spool = open(dir.path());
    let long = "x".repeat(1_000);
    for minute in 0..10 {
        spool.append(&group(&[("a", &long), ("b", &long)]), minute).unwrap();
    }
    assert_eq!(segments(dir.path()), 10);
    let growing = all_due(&spool).pop().unwrap();
    spool.done(growing.id);
    assert_eq!(all_due(&spool).len(), 20, "what still grows is not done");
    spool.seal();
    for due in all_due(&spool).into_iter().filter(|due| due.name.stream == "a") {
        spool.done(due.id);
    }
    assert_eq!(segments(dir.path()), 10, "another batch still needs each of them");
    spool.tick(10).unwrap();
    drop(spool);
    let spool = open(dir.path());
    assert_eq!(all_due(&spool).len(), 10);
    assert!(all_due(&spool).iter().all(|due| due.name.stream == "b"));
    for due in all_due(&spool) {
        spool.done(due.id);
    }
    assert_eq!((segments(dir.path()), spool.status().waiting), (1, 0));
    assert_eq!(spool.status().done_records_since_start, 10);
}

#[test]
fn small_minutes_share_a_segment() {
    let dir = tempfile::tempdir().unwrap();
    let spool = open(dir.path());
    let mut first = group(&[("a", "0")]);
    (0..100_u8).for_each(|n| first.put(&[n], &[n; 100]));
    spool.append(&first, 0).unwrap();
    drop(spool);
    let spool = open(dir.path());
    for minute in 1..100 {
        spool.append(&group(&[("a", "line")]), minute).unwrap();
    }
    assert_eq!((segments(dir.path()), all_due(&spool).len()), (2, 100));
}

#[test]
fn over_the_bound_nothing_is_taken_until_something_is_done() {
    let dir = tempfile::tempdir().unwrap();
    let spool = Spool::open(Options { max_bytes: MIB, ..options(dir.path()) }).unwrap();
    let line = "x".repeat(10_000);
    let mut n = 0;
    let full = loop {
        match spool.append(&group(&[("a", &line)]), 1) {
            Ok(()) => n += 1,
            Err(error) => break error,
        }
    };
    assert!(matches!(full, Error::Full { .. }), "{full}");
    assert!(!spool.has_room(10_000) && spool.status().bytes <= MIB && n > 90);
    // What is done is deleted though its minute goes on, since a segment is only a part of the bound.
    assert!(segments(dir.path()) >= 7);
    let first = all_due(&spool)[0].clone();
    assert!(first.closed);
    spool.done(first.id);
    assert!(spool.has_room(100_000));
    spool.append(&group(&[("a", &line)]), 1).unwrap();
    // Positions may always be written: they are what a done line leaves behind.
    while spool.append(&group(&[("a", &line)]), 1).is_ok() {}
    let mut positions = Group::default();
    positions.put(b"p", b"1");
    spool.append(&positions, 1).unwrap();
}

#[test]
fn what_is_done_makes_room_within_its_own_minute() {
    let dir = tempfile::tempdir().unwrap();
    let spool = Spool::open(Options { max_bytes: MIB, ..options(dir.path()) }).unwrap();
    // Two do not fit.
    let line = "x".repeat(600_000);
    for _ in 0..5 {
        spool.append(&group(&[("a", &line)]), 1).unwrap();
        assert!(spool.append(&group(&[("a", &line)]), 1).is_err());
        let due = all_due(&spool);
        assert!(due.len() == 1 && due[0].closed, "it is ended, so that it is sent at once");
        spool.done(due[0].id);
    }
}

#[test]
fn two_processes_do_not_share_a_spool() {
    let dir = tempfile::tempdir().unwrap();
    let spool = open(dir.path());
    assert!(matches!(Spool::open(options(dir.path())), Err(Error::Locked { .. })));
    drop(spool);
    drop(open(dir.path()));
}

#[test]
fn a_refused_batch_is_parked_and_comes_back() {
    let dir = tempfile::tempdir().unwrap();
    let spool = open(dir.path());
    spool.append(&group(&[("a", "1"), ("bad", "2"), ("bad", "3")]), 1).unwrap();
    let bad = all_due(&spool)[1].clone();
    assert!(spool.park(bad.id, "no").is_err(), "it still grows");
    spool.seal();
    let source = spool.source(bad.id);
    spool.park(bad.id, "status 400: no such stream").unwrap();
    assert_eq!(shown(&spool), ["a@1 1."]);
    let overview = look(dir.path()).unwrap();
    assert_eq!((overview.waiting.len(), overview.parked.len()), (1, 1));
    let parked = &overview.parked[0];
    assert_eq!((&parked.name, parked.minute, parked.n_records), (&name("bad"), 1, 2));
    assert_eq!(parked.reason.as_deref(), Some("status 400: no such stream"));
    assert_eq!((spool.status().parked, spool.status().waiting), (1, 1));

    assert!(matches!(retry_parked(dir.path(), "77-1"), Err(Error::Unknown { .. })));
    retry_parked(dir.path(), &parked.id).unwrap();
    spool.refresh().unwrap();
    assert_eq!(shown(&spool), ["a@1 1.", "bad@1 2 3."]);
    assert_eq!(spool.source(all_due(&spool)[1].id), source, "sent again it is the same batch");

    // Refused again, and after a restart taken back and sent.
    spool.park(all_due(&spool)[1].id, "still no").unwrap();
    retry_parked(dir.path(), &look(dir.path()).unwrap().parked[0].id).unwrap();
    drop(spool);
    let spool = open(dir.path());
    assert_eq!(shown(&spool), ["a@1 1.", "bad@1 2 3."]);
    all_due(&spool).iter().for_each(|due| spool.done(due.id));
    assert_eq!(segments(dir.path()), 1);

    spool.append(&group(&[("bad", "4")]), 2).unwrap();
    spool.seal();
    spool.park(all_due(&spool)[0].id, "no").unwrap();
    drop_parked(dir.path(), &look(dir.path()).unwrap().parked[0].id).unwrap();
    spool.refresh().unwrap();
    assert_eq!((spool.status().parked, spool.status().waiting), (0, 0));
}

#[test]
fn parked_batches_have_a_bound_of_their_own() {
    let dir = tempfile::tempdir().unwrap();
    let spool = Spool::open(Options { max_parked_bytes: 25_000, ..options(dir.path()) }).unwrap();
    let line = "x".repeat(10_000);
    for minute in 0..5 {
        spool.append(&group(&[("bad", &line)]), minute).unwrap();
        spool.seal();
        spool.park(all_due(&spool)[0].id, "no").unwrap();
    }
    let minutes: Vec<i64> = look(dir.path()).unwrap().parked.iter().map(|own| own.minute).collect();
    assert_eq!(minutes, [3, 4], "the oldest were dropped");
    assert_eq!((spool.status().parked, spool.status().dropped_since_start), (2, 3));
}

#[test]
fn a_damaged_batch_is_kept_aside_and_blocks_no_other() {
    let dir = tempfile::tempdir().unwrap();
    let spool = open(dir.path());
    spool.append(&group(&[("a", "wordone"), ("b", "wordtwo")]), 1).unwrap();
    spool.seal();
    let path = fs::read_dir(dir.path())
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .find(|path| path.extension().is_some_and(|own| own == "seg"))
        .unwrap();
    let mut bytes = fs::read(&path).unwrap();
    let at = bytes.windows(7).position(|part| part == b"wordone").unwrap();
    bytes[at] ^= 1;
    fs::write(&path, bytes).unwrap();
    let due = all_due(&spool);
    assert!(matches!(common::read(&spool, due[0].id).1, Err(Error::Damaged { .. })));
    spool.park(due[0].id, "damaged").unwrap();
    assert_eq!(shown(&spool), ["b@1 wordtwo."]);
    assert_eq!(look(dir.path()).unwrap().damaged.len(), 1);
}

#[test]
fn large_groups_are_read_in_small_blocks() {
    let dir = tempfile::tempdir().unwrap();
    let spool = open(dir.path());
    let mut group = Group::default();
    let place = group.batch(&name("a"));
    for n in 0..10_000_u32 {
        group.push(place, &[&n.to_le_bytes()[..], &[7; 200]].concat());
    }
    spool.append(&group, 1).unwrap();
    spool.seal();
    let id = all_due(&spool)[0].id;
    let (records, end) = common::read(&spool, id);
    assert!(end.unwrap() && records.len() == 10_000);
    assert!((0..10_000_u32).zip(&records).all(|(n, record)| record.starts_with(&n.to_le_bytes())));
    let mut cursor = millrace_spool::Cursor::default();
    while let millrace_spool::Part::Lines { bytes, .. } = spool.read(id, &mut cursor).unwrap() {
        assert!(bytes.len() < 140_000);
    }
}
