//! What the loop does after an error of each class.

use std::cell::Cell;
use std::sync::Arc;

use millrace_jobs::{Batch, Plan, Record, Table};

use crate::tests::{CLASSES, Dedupe};
use crate::{Class, Error, Session, Turn, transact};

/// Answers from a list; notes what it is asked.
struct Noting<'n> {
    answers: Vec<Option<Class>>,
    calls: &'n Cell<String>,
    in_flight: bool,
}

impl Noting<'_> {
    fn answer(&mut self, call: &str) -> Result<(), Error> {
        self.calls.set(self.calls.take() + call + " ");
        let class = if self.answers.is_empty() { None } else { self.answers.remove(0) };
        class.map_or(Ok(()), |class| Err(Error::new(class, call, "asked for")))
    }
}

impl Session for Noting<'_> {
    fn poll(&mut self, batch: &mut Batch) -> Result<Turn, Error> {
        self.answer("poll")?;
        batch.push(Record {
            input: 0,
            partition: 0,
            offset: 0,
            appended: 0,
            key: b"",
            value: None,
            first: None,
        });
        Ok(Turn::Records)
    }
    fn restore(&mut self, _: &mut Table) -> Result<(), Error> {
        self.answer("restore")
    }
    fn schema(&mut self, _: u32) -> Result<Option<String>, Error> {
        Ok(None)
    }
    fn submit(&mut self, plan: Arc<Plan>) -> Result<(), Error> {
        assert_eq!(plan.n_records(), 1);
        assert!(!std::mem::replace(&mut self.in_flight, true), "one transaction at a time");
        Ok(())
    }
    fn settle(&mut self) -> Result<(), Error> {
        if std::mem::take(&mut self.in_flight) { self.answer("commit") } else { Ok(()) }
    }
    fn rewind(&mut self, _: &Error) -> Result<(), Error> {
        self.answer("rewind")
    }
    fn rejoin(&mut self, _: &Error) -> Result<(), Error> {
        self.answer("rejoin")
    }
    fn close(&mut self) -> Result<(), Error> {
        self.answer("close")
    }
}

/// Runs until `n` turns have begun.
#[track_caller]
fn check(answers: &[Option<Class>], turns: usize, expected: &str) {
    let calls = Cell::new(String::new());
    let left = Cell::new(turns);
    let mut session = Noting { answers: answers.to_vec(), calls: &calls, in_flight: false };
    let stop = || left.replace(left.get().saturating_sub(1)) == 0;
    let result = transact(&mut Dedupe::default(), &mut session, stop);
    let end = if result.is_err() { "error" } else { "ok" };
    assert_eq!(calls.take() + end, expected);
}

#[test]
fn each_class_has_its_own_recovery() {
    let some = Some;
    check(&[], 2, "poll poll commit commit close ok");
    check(&[None, None, some(Class::Abort)], 2, "poll poll commit rewind close ok");
    check(&[None, None, some(Class::Rejoin)], 3, "poll poll commit rejoin poll commit close ok");
    check(&[None, None, some(Class::Exit)], 2, "poll poll commit error");
    check(&[some(Class::Abort)], 2, "poll rewind poll commit close ok");
    check(&[some(Class::Rejoin)], 2, "poll rejoin poll commit close ok");
    check(&[some(Class::Exit)], 2, "poll error");
}

#[test]
fn what_is_in_flight_is_decided_before_any_recovery() {
    let (abort, rejoin) = (Some(Class::Abort), Some(Class::Rejoin));
    check(&[None, abort], 2, "poll poll commit rewind close ok");
    check(&[None, abort, rejoin], 2, "poll poll commit rejoin close ok");
    check(&[None, rejoin, abort], 2, "poll poll commit rejoin close ok");
    check(&[None, rejoin, Some(Class::Exit)], 2, "poll poll commit error");
}

#[test]
fn failed_recovery_goes_on_by_joining_anew_until_stopped() {
    let abort = Some(Class::Abort);
    check(&[abort, abort], 3, "poll rewind rejoin poll commit close ok");
    check(&[abort, abort, abort], 4, "poll rewind rejoin rejoin poll commit close ok");
    check(&[abort, Some(Class::Exit)], 3, "poll rewind error");
    check(&[Some(Class::Rejoin), Some(Class::Rejoin)], 1, "poll rejoin close ok");
}

#[test]
fn commit_that_fails_at_the_end_is_told_when_nothing_can_mend_it() {
    check(&[None, Some(Class::Abort)], 1, "poll commit close ok");
    check(&[None, Some(Class::Rejoin)], 1, "poll commit close ok");
    check(&[None, Some(Class::Exit)], 1, "poll commit error");
    check(&[None, None, Some(Class::Exit)], 1, "poll commit close error");
}

#[test]
fn error_text_says_what_was_tried() {
    let texts = CLASSES.map(|class| Error::new(class, "commit batch", "why").to_string());
    assert_eq!(
        texts,
        [
            "could not commit batch, the transaction is void",
            "could not commit batch, the work has to be taken up anew",
            "could not commit batch",
        ]
    );
}
