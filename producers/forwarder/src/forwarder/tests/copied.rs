//! Files that are copied, then truncated.

use std::fs::{self, OpenOptions};
use std::io::Write;

use super::rig::{Fault, Rig};

/// Lines enough to tell a file.
fn lines(word: &str, n_lines: usize) -> String {
    (0..n_lines).map(|n| format!("{word}: this is line number {n} of them\n")).collect()
}

fn copy_and_truncate(rig: &Rig, copy: &str) {
    fs::copy(rig.path("a.log"), rig.path(copy)).unwrap();
    rig.truncate("a.log", 0);
}

#[test]
fn what_was_not_read_before_a_truncation_is_read_from_the_copy() {
    for copy in ["a.log.1", "a.log-20260131"] {
        for [down, down_after] in [[false, false], [true, false], [false, true], [true, true]] {
            for n_read in [0, 5] {
                let mut rig = Rig::new();
                let mut text = lines("first", n_read);
                rig.write("a.log", &text);
                rig.settle();
                let rest = lines("unread", 5);
                rig.write("a.log", &rest);
                text.push_str(&rest);
                copy_and_truncate(&rig, copy);
                if down {
                    rig.restart();
                }
                rig.write("a.log", "new\n");
                rig.settle();
                if down_after {
                    rig.restart();
                }
                rig.write("a.log", "more\n");
                rig.settle();
                let wanted = if n_read > 0 { &*text } else { "" };
                let wanted: Vec<&str> =
                    [wanted, "new\nmore\n"].into_iter().filter(|own| !own.is_empty()).collect();
                rig.check(&wanted);
                assert_eq!(rig.forwarder.progress().lost_bytes, 0);
            }
        }
    }
}

#[test]
fn a_file_of_which_nothing_was_read_is_read_from_its_copy() {
    let mut rig = Rig::new();
    let text = lines("first", 5);
    rig.write("a.log", &text);
    rig.store.0.borrow_mut().may_write = false;
    rig.try_step().unwrap();
    copy_and_truncate(&rig, "a.log.1");
    rig.write("a.log", "new\n");
    rig.store.0.borrow_mut().may_write = true;
    rig.settle();
    rig.check(&[&text, "new\n"]);
}

#[test]
fn a_batch_of_a_copy_that_was_not_committed_comes_again() {
    for fault in [Fault::Retry, Fault::Abort, Fault::RejoinAbsent, Fault::RejoinDone] {
        for n_good in 0..3 {
            let mut rig = Rig::new();
            let text = lines("first", 5);
            rig.write("a.log", &text);
            rig.settle();
            let rest = lines("unread", 5);
            rig.write("a.log", &rest);
            copy_and_truncate(&rig, "a.log.1");
            rig.write("a.log", "new\n");
            rig.fail(&[None; 3][..n_good]);
            rig.fail(&[Some(fault)]);
            rig.settle();
            rig.restart();
            rig.settle();
            rig.check(&[&format!("{text}{rest}"), "new\n"]);
        }
    }
}

#[test]
fn a_copy_that_a_glob_names_is_not_read_again() {
    let mut rig = Rig::wide();
    let mut all = Vec::new();
    for round in 0..5 {
        let mut text = lines(&format!("round {round}"), 5);
        rig.write("a.log", &text);
        rig.settle();
        let rest = lines("unread", 2);
        rig.write("a.log", &rest);
        text.push_str(&rest);
        all.push(text);
        for n in (1..=round).rev() {
            rig.rename(&format!("a.log.{n}"), &format!("a.log.{}", n + 1));
        }
        // Met half written, then whole, before the truncation.
        let bytes = fs::read(rig.path("a.log")).unwrap();
        let (begin, end) = bytes.split_at(bytes.len() / 2);
        rig.write("a.log.1", begin);
        rig.settle();
        rig.write("a.log.1", end);
        rig.try_step().unwrap();
        rig.truncate("a.log", 0);
        if round % 2 == 1 {
            rig.restart();
        }
        rig.settle();
        rig.check(&all.iter().map(String::as_str).collect::<Vec<_>>());
    }
}

#[test]
fn what_was_written_after_the_copy_is_counted_as_lost() {
    let mut rig = Rig::new();
    let text = lines("first", 5);
    rig.write("a.log", &text);
    rig.settle();
    fs::copy(rig.path("a.log"), rig.path("a.log.1")).unwrap();
    rig.write("a.log", "partial");
    rig.settle();
    rig.truncate("a.log", 0);
    rig.settle();
    rig.check(&[&text]);
    assert_eq!((rig.positions()[0].lost, rig.forwarder.progress().lost_bytes), (7, 7));
}

#[test]
fn a_file_that_only_looks_like_a_copy_is_a_file_of_its_own() {
    let mut rig = Rig::wide();
    let text = lines("first", 5);
    rig.write("a.log", &text);
    rig.settle();
    // A copy whose original goes on, and one that is too short to be told.
    rig.write("a.log.bak", format!("{text}more\n"));
    rig.write("a.log.err", "first\n");
    for _ in 0..10 {
        rig.settle();
    }
    rig.check(&[&text, "first\n", &format!("{text}more\n")]);
    let mut writer = OpenOptions::new().append(true).open(rig.path("a.log.bak")).unwrap();
    writer.write_all(b"late\n").unwrap();
    rig.truncate("a.log", 0);
    rig.settle();
    rig.check(&[&text, "first\n", &format!("{text}more\nlate\n")]);
}
