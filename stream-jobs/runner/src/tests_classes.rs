//! What the loop does after an error of each class.

use std::cell::Cell;

use millrace_jobs::{Batch, Plan, Record, Table, changelog_key};

use crate::tests::{CLASSES, Dedupe};
use crate::{Class, Error, Session, transact};

/// Answers from a list; notes what it is asked.
struct Noting<'n> {
    answers: Vec<Option<Class>>,
    calls: &'n Cell<String>,
}

impl Noting<'_> {
    fn answer(&mut self, call: &str) -> Result<(), Error> {
        self.calls.set(self.calls.take() + call + " ");
        let class = if self.answers.is_empty() { None } else { self.answers.remove(0) };
        class.map_or(Ok(()), |class| Err(Error::new(class, call, "asked for")))
    }
}

impl Session for Noting<'_> {
    fn poll(&mut self, table: &mut Table, batch: &mut Batch) -> Result<(), Error> {
        table.restore(0, &changelog_key(b"k"), Some(b"v"));
        self.answer("poll")?;
        batch.push(Record { input: 0, partition: 0, offset: 0, appended: 0, key: b"", value: None });
        Ok(())
    }
    fn schema(&mut self, _: u32) -> Result<Option<String>, Error> {
        Ok(None)
    }
    fn commit(&mut self, plan: &Plan) -> Result<(), Error> {
        assert_eq!(plan.n_records(), 1);
        self.answer("commit")
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
    let mut session = Noting { answers: answers.to_vec(), calls: &calls };
    let stop = || left.replace(left.get().saturating_sub(1)) == 0;
    let result = transact(&mut Dedupe::default(), &mut session, stop);
    let end = if result.is_err() { "error" } else { "ok" };
    assert_eq!(calls.take() + end, expected);
}

#[test]
fn each_class_has_its_own_recovery() {
    let some = Some;
    check(&[], 2, "poll commit poll commit close ok");
    check(&[None, some(Class::Abort)], 2, "poll commit rewind poll commit close ok");
    check(&[None, some(Class::Rejoin)], 2, "poll commit rejoin poll commit close ok");
    check(&[None, some(Class::Exit)], 2, "poll commit error");
    check(&[some(Class::Abort)], 2, "poll rewind poll commit close ok");
    check(&[some(Class::Rejoin)], 2, "poll rejoin poll commit close ok");
    check(&[some(Class::Exit)], 2, "poll error");
}

#[test]
fn failed_recovery_goes_on_by_joining_anew_until_stopped() {
    let abort = Some(Class::Abort);
    check(&[None, abort, abort], 3, "poll commit rewind rejoin poll commit close ok");
    check(&[None, abort, abort, abort], 4, "poll commit rewind rejoin rejoin poll commit close ok");
    check(&[None, abort, Some(Class::Exit)], 3, "poll commit rewind error");
    check(&[None, Some(Class::Rejoin), Some(Class::Rejoin)], 1, "poll commit rejoin close ok");
}

#[test]
fn error_of_closing_is_told() {
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
