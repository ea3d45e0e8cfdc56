//! Requests that are committed together, whatever they are committed to.

use std::collections::{HashMap, HashSet};
use std::sync::mpsc::Receiver;
use std::time::{Duration, Instant};

use millrace_runtime::metrics;

use crate::batch::Batches;
use crate::prepare::{Prepared, Record};
use crate::recent::Recent;
use crate::waiting::{Outcome, Waiting};

/// A group is not joined further beyond this.
const BYTES: usize = 8 << 20;
const REQUESTS: usize = 4_096;

/// `first`, and what comes within `wait` after it.
pub(crate) fn gather(queue: &Receiver<Waiting>, first: Waiting, wait: Duration) -> Vec<Waiting> {
    let until = Instant::now() + wait;
    let mut n_bytes = first.prepared.len();
    let mut group = vec![first];
    while n_bytes < BYTES && group.len() < REQUESTS {
        let Ok(next) = queue.recv_timeout(until.saturating_duration_since(Instant::now())) else {
            break;
        };
        n_bytes += next.prepared.len();
        group.push(next);
    }
    group
}

/// Those that take no batch further than from where it stands; the others are told so.
pub(crate) fn admit(batches: &Batches, group: Vec<Waiting>) -> Vec<Waiting> {
    let mut stepped = HashSet::new();
    let (admitted, overtaken) = group.into_iter().partition(|waiting| {
        let step = waiting.prepared.step.as_ref();
        step.is_none_or(|step| batches.known(&step.key) == step.from && stepped.insert(step.key.clone()))
    });
    answer(overtaken, &Outcome::Overtaken);
    admitted
}

/// The records that are not known yet.
pub(crate) fn new<'g>(group: &'g [Waiting], recent: &Recent) -> Vec<(&'g Prepared, &'g Record)> {
    let mut new = Vec::new();
    // What an earlier request of the same group brings counts as known, too.
    let mut own = HashMap::new();
    for waiting in group {
        for record in &waiting.prepared.records {
            let known =
                record.identity.is_some_and(|(identity, content)| match own.insert(identity, content) {
                    Some(last) => last == content,
                    None => recent.knows(identity, content),
                });
            if !known {
                new.push((&waiting.prepared, record));
            }
        }
    }
    new
}

/// Tells each request of a group that is committed how many of its records had been before.
pub(crate) fn answer_committed(group: Vec<Waiting>, recent: &mut Recent) {
    for waiting in group {
        let mut n_known = 0;
        for (identity, content) in waiting.prepared.records.iter().filter_map(|record| record.identity) {
            n_known += usize::from(recent.knows(identity, content));
            recent.note(identity, content);
        }
        metrics::gateway_known(n_known as u64);
        // Who has gone will find out by sending again.
        drop(waiting.answer.send(Outcome::Committed { n_known }));
    }
}

/// Tells each request of a group the same.
pub(crate) fn answer(group: Vec<Waiting>, outcome: &Outcome) {
    for waiting in group {
        // Who has gone will find out by sending again.
        drop(waiting.answer.send(outcome.clone()));
    }
}
