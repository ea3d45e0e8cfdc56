use super::rig::{Fault, Rig};
use crate::{Error, Step};

/// For every step k: what is committed equals the faultless run.
#[track_caller]
fn check(fault: Fault) {
    for k in 0..6 {
        let mut rig = Rig::with(|options| options.limits.batch_max_lines = 3);
        rig.fail(&vec![None; k]);
        rig.fail(&[Some(fault), Some(fault), None, Some(fault)]);
        let text: String = (0..12).map(|i| format!("line {i}\n")).collect();
        rig.write("a.log", &text);
        rig.settle();
        rig.write("a.log", "rotated\n");
        rig.rename("a.log", "a.log.1");
        rig.write("a.log", "new\n");
        rig.settle();
        rig.check(&[&format!("{text}rotated\n"), "new\n"]);
    }
}

#[test]
fn a_batch_is_retried() {
    check(Fault::Retry);
}

#[test]
fn an_aborted_batch_comes_again() {
    check(Fault::Abort);
}

#[test]
fn a_doubtful_batch_that_was_not_committed_comes_again() {
    check(Fault::RejoinAbsent);
}

#[test]
fn a_doubtful_batch_that_was_committed_does_not_come_again() {
    check(Fault::RejoinDone);
}

#[test]
fn exit_ends_the_forwarder() {
    let mut rig = Rig::new();
    rig.write("a.log", "one\n");
    rig.fail(&[Some(Fault::Exit)]);
    let error = (0..10).find_map(|_| rig.try_step().err());
    assert!(matches!(error, Some(Error::Outlet(_))));
    rig.restart();
    rig.settle();
    rig.check(&["one\n"]);
}

#[test]
fn lines_of_a_batch_in_doubt_outlive_a_truncation() {
    for fault in [Fault::RejoinAbsent, Fault::RejoinDone, Fault::Retry] {
        let mut rig = Rig::new();
        rig.write("a.log", "one\n");
        rig.fail(&[Some(fault)]);
        while rig.store.0.borrow().faults.len() == 1 {
            rig.try_step().unwrap();
        }
        rig.truncate("a.log", 0);
        rig.write("a.log", "second\n");
        rig.settle();
        rig.check(&["one\n", "second\n"]);
    }
}

#[test]
fn positions_written_by_another_process_are_obeyed() {
    let mut rig = Rig::new();
    rig.write("a.log", "one\n");
    rig.settle();
    let at_one = rig.positions();
    rig.write("a.log", "two\n");
    rig.settle();
    let rows = rig.rows();
    // As if another process had gone on from `one` at the same time: what is in memory is dropped.
    rig.write("a.log", "three\n");
    rig.fail(&[Some(Fault::RejoinAbsent)]);
    while !rig.store.0.borrow().faults.is_empty() {
        rig.try_step().unwrap();
    }
    {
        let mut store = rig.store.0.borrow_mut();
        store.positions = at_one.iter().map(|position| (position.key(), position.clone())).collect();
        store.rows.truncate(rows.len() - 1);
    }
    rig.settle();
    rig.check(&["one\ntwo\nthree\n"]);
}

#[test]
fn pauses_grow_and_end() {
    let mut rig = Rig::new();
    rig.write("a.log", "one\n");
    rig.fail(&[Some(Fault::Retry); 20]);
    let mut n_waiting = 0;
    while rig.rows().is_empty() {
        n_waiting += usize::from(rig.try_step().unwrap() == Step::Waiting);
    }
    assert!((20..100).contains(&n_waiting), "{n_waiting}");
}
