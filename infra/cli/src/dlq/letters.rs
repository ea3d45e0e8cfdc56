//! `logs.dead` as it counts: each line by its newest letter, and whether the parser still owes it.
//!
//! Letters are read twice, up to the end that the first reading found: first for what failed again, then one by one. In
//! between the parser's own state is read, which alone says what is owed. Memory: that state, and 40 bytes for each line that
//! failed again.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use millrace_jobs::parse::{Parse, is_owed};
use millrace_jobs::{Job, Table};
use millrace_runtime::kafka::admin::Admin;
use millrace_runtime::kafka::{Tailed, Tailer, read_to_mark};
use millrace_runtime::service::Service;
use millrace_schemas::dead::{AGAIN, DeadLetter, RECEIVED};
use millrace_schemas::{TraceContext, topics, trace};

/// What became of a letter's line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    /// It is dead still.
    Owed,
    /// It was sent again and gave an event; or its letter is older than the parser remembers.
    Settled,
    /// It was sent again and failed again: a later letter counts.
    Replaced,
    /// No parser ever read it: what somebody else wrote into our topics.
    Foreign,
}

/// A letter as it was read.
pub(super) struct Letter<'m> {
    pub(super) letter: DeadLetter,
    pub(super) state: State,
    /// When the line was received, µs.
    pub(super) received: i64,
    /// When the letter was written, µs.
    pub(super) died: i64,
    /// Where the letter itself lies.
    pub(super) offset: i64,
    pub(super) key: &'m [u8],
    pub(super) value: &'m [u8],
    /// The trace that it belongs to.
    pub(super) trace: Option<TraceContext>,
}

/// What is known of all letters before they are read one by one.
pub(super) struct Letters {
    ends: BTreeMap<i32, i64>,
    /// Where the newest letter lies of lines that failed again, by their (partition, offset).
    newest: HashMap<(i32, i64), i64>,
    table: Table,
}

impl Letters {
    pub(super) fn open(service: &Service) -> anyhow::Result<Letters> {
        let mut newest = HashMap::new();
        let ends = scan(service, |record| {
            if record.header(AGAIN).is_some()
                && let Ok(letter) = DeadLetter::from_headers(|name| record.header(name))
            {
                newest.insert((letter.partition, letter.offset), record.offset);
            }
            Ok(())
        })?;
        Ok(Letters { ends, newest, table: parser_state(service)? })
    }

    /// Gives every letter that has all headers.
    pub(super) fn each(
        &self,
        service: &Service,
        mut each: impl FnMut(Letter<'_>) -> anyhow::Result<()>,
    ) -> anyhow::Result<()> {
        scan(service, |record| {
            if self.ends.get(&record.partition).is_none_or(|end| record.offset >= *end) {
                return Ok(());
            }
            let Ok(letter) = DeadLetter::from_headers(|name| record.header(name)) else { return Ok(()) };
            let died = record.appended() * 1_000;
            let received =
                record.header(RECEIVED).and_then(|text| std::str::from_utf8(text).ok()?.parse().ok());
            each(Letter {
                state: self.state(&letter, record.offset),
                received: received.unwrap_or(died),
                died,
                offset: record.offset,
                key: record.key,
                value: record.value.unwrap_or_default(),
                trace: record.header(trace::HEADER).and_then(TraceContext::parse),
                letter,
            })
        })?;
        Ok(())
    }

    fn state(&self, letter: &DeadLetter, offset: i64) -> State {
        let at = (letter.partition, letter.offset);
        if letter.topic != topics::RAW {
            State::Foreign
        } else if !is_owed(&self.table, letter.partition, letter.offset) {
            State::Settled
        } else if self.newest.get(&at).is_some_and(|newest| *newest != offset) {
            State::Replaced
        } else {
            State::Owed
        }
    }
}

/// The state of the parse job, as its changelog has it.
pub(super) fn parser_state(service: &Service) -> anyhow::Result<Table> {
    let changelog = topics::changelog(Parse::NAME);
    let n_partitions = Admin::open(&service.config.kafka)?.partitions(&changelog)?;
    let all: Vec<i32> = (0..n_partitions).collect();
    let mut table = Table::default();
    read_to_mark(&service.config.kafka, &changelog, &all, |partition, _, key, value| {
        table.restore(partition, key, value);
        Ok(())
    })?;
    Ok(table)
}

/// Reads `logs.dead` to its end; gives the next offset of each partition.
fn scan(
    service: &Service,
    mut each: impl FnMut(Tailed<'_>) -> anyhow::Result<()>,
) -> anyhow::Result<BTreeMap<i32, i64>> {
    let kafka = &service.config.kafka;
    let all: Vec<i32> = (0..Admin::open(kafka)?.partitions(topics::DEAD)?).collect();
    let mut tailer = Tailer::open(kafka, topics::DEAD, &all)?;
    while !tailer.caught_up() {
        tailer.poll_records(Duration::from_millis(100), &mut each)?;
    }
    Ok(tailer.positions().clone())
}
