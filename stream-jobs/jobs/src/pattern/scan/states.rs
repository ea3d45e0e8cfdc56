//! Makes an automaton of threads.

use std::collections::HashMap;

use super::threads::{Check, Thread, Threads};
use super::{DEAD, ENDS, ROW, STAYS, Scan, UNKNOWN};
use crate::pattern::set::Bytes;
use crate::pattern::tree::Assert;

/// A part of more states is no automaton.
const MAX_STATES: usize = 250;

/// A character, as far as sets tell it from others.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Char {
    /// The ASCII characters of a column.
    Ascii(u8),
    /// Any character beyond ASCII.
    Beyond,
    /// Start or end of the text.
    None,
}

/// Threads that are tried here, in their order, and the character before, where they look back.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct State {
    before: Char,
    threads: Vec<usize>,
}

#[derive(Debug, Clone, Copy)]
enum Step {
    Unknown,
    To { state: Option<usize>, ends: bool },
}

/// Columns: those of ASCII, then first bytes of characters beyond it, other bytes of these, and the end of the text.
struct Maker<'t> {
    threads: &'t Threads,
    columns: [u8; 256],
    /// A byte of each column of ASCII.
    samples: Vec<u8>,
    states: Vec<State>,
    known: HashMap<State, usize>,
}

/// `None`: there are too many states, or the automaton cannot say where the match ends.
pub(super) fn scan(threads: &Threads, behind: Bytes) -> Option<Scan> {
    let mut maker = Maker::new(threads)?;
    let n_ascii = maker.samples.len();
    let n_columns = n_ascii + 3;
    let befores = (0..n_ascii).map(|column| Char::Ascii(column as u8));
    let befores: Vec<Char> = befores.chain([Char::Beyond, Char::Beyond, Char::None]).collect();
    let firsts: Vec<usize> = befores.iter().map(|before| maker.state(*before, vec![threads.first])).collect();
    let mut rows: Vec<Vec<Step>> = Vec::new();
    while let Some(state) = maker.states.get(rows.len()).cloned() {
        if rows.len() >= MAX_STATES {
            return None;
        }
        let own = rows.len();
        let steps = (0..n_ascii).map(|column| Char::Ascii(column as u8)).chain([Char::Beyond]);
        let mut row: Vec<Step> = steps.map(|next| maker.step(&state, next)).collect();
        row.push(Step::To { state: Some(own), ends: false });
        row.push(maker.step(&state, Char::None));
        rows.push(row);
    }
    // The end of an atomic group counts even where the pattern cannot go on from it.
    if !threads.atomic {
        drop_idle_ends(&mut rows, &maker.columns_of(behind, n_columns));
    }
    drop_dead(&mut rows);
    if !threads.atomic && !ends_where_it_must(&rows) {
        return None;
    }
    let stops: Box<[Box<[u8]>]> =
        (0..rows.len()).map(|state| stops(&rows[state], state, &maker.columns)).collect();
    let to = |state: usize| (state * n_columns) as u32 | if stops[state].is_empty() { 0 } else { STAYS };
    let entry = |step: &Step| match step {
        Step::Unknown => UNKNOWN,
        Step::To { state, ends } => state.map_or(DEAD, to) | if *ends { ENDS } else { 0 },
    };
    let table: Box<[u32]> = rows.iter().flatten().map(entry).collect();
    (table.len() <= ROW as usize).then(|| Scan {
        columns: maker.columns,
        n_columns,
        starts: firsts.into_iter().map(|state| (state * n_columns) as u32).collect(),
        table,
        stops,
        most: threads.most,
    })
}

/// Makes steps to states from which no end is reached steps to none.
fn drop_dead(rows: &mut [Vec<Step>]) {
    let mut alive = vec![false; rows.len()];
    loop {
        let mut changed = false;
        for at in 0..rows.len() {
            let leads_on = |step: &Step| match step {
                Step::Unknown => true,
                Step::To { state, ends } => *ends || state.is_some_and(|state| state != at && alive[state]),
            };
            if !alive[at] && rows[at].iter().any(leads_on) {
                alive[at] = true;
                changed = true;
            }
        }
        if !changed {
            break;
        }
    }
    for step in rows.iter_mut().flatten() {
        if let Step::To { state, .. } = step {
            *state = state.filter(|state| alive[*state]);
        }
    }
}

/// Makes ends from which the pattern cannot go on no ends.
fn drop_idle_ends(rows: &mut [Vec<Step>], follows: &[bool]) {
    for row in rows {
        for (step, follows) in row.iter_mut().zip(follows) {
            if let Step::To { ends, .. } = step {
                *ends &= follows;
            }
        }
    }
}

/// Whether no match goes on past a place where another one ends.
fn ends_where_it_must(rows: &[Vec<Step>]) -> bool {
    rows.iter().flatten().all(|step| !matches!(step, Step::To { state: Some(_), ends: true }))
}

/// The bytes at which a state is left, if they are few.
fn stops(row: &[Step], own: usize, columns: &[u8; 256]) -> Box<[u8]> {
    let stays = |step: &Step| matches!(step, Step::To { state: Some(state), ends: false } if *state == own);
    let left = (0..=255).filter(|byte| !stays(&row[usize::from(columns[usize::from(*byte)])]));
    let left: Vec<u8> = left.take(4).collect();
    if left.len() < 4 { left.into() } else { Box::default() }
}

impl<'t> Maker<'t> {
    fn new(threads: &'t Threads) -> Option<Maker<'t>> {
        if threads.sets.len() > 62 {
            return None;
        }
        let (mut columns, mut samples, mut known) = ([0; 256], Vec::new(), HashMap::new());
        for byte in 0..128_u8 {
            let sets = threads.sets.iter().enumerate();
            let member = sets.fold(0_u64, |all, (at, set)| all | u64::from(set.has_ascii(byte)) << at);
            let key = member | u64::from(is_word(byte)) << 62 | u64::from(byte == b'\n') << 63;
            columns[usize::from(byte)] = *known.entry(key).or_insert_with(|| {
                samples.push(byte);
                samples.len() as u8 - 1
            });
        }
        columns[128..192].fill(samples.len() as u8 + 1);
        columns[192..].fill(samples.len() as u8);
        Some(Maker { threads, columns, samples, states: Vec::new(), known: HashMap::new() })
    }

    /// Columns of these bytes, and of the end of the text.
    fn columns_of(&self, bytes: Bytes, n_columns: usize) -> Vec<bool> {
        let mut columns = vec![false; n_columns];
        for byte in (0..=255).filter(|byte| bytes.has(Some(*byte))) {
            columns[usize::from(self.columns[usize::from(byte)])] = true;
        }
        columns[n_columns - 1] = true;
        columns
    }

    fn state(&mut self, before: Char, threads: Vec<usize>) -> usize {
        let before = if self.looks_back(&threads) { before } else { Char::None };
        let state = State { before, threads };
        if let Some(known) = self.known.get(&state) {
            return *known;
        }
        self.states.push(state.clone());
        self.known.insert(state, self.states.len() - 1);
        self.states.len() - 1
    }

    fn looks_back(&self, threads: &[usize]) -> bool {
        let (mut open, mut seen) = (threads.to_vec(), vec![false; self.threads.all.len()]);
        while let Some(at) = open.pop() {
            if std::mem::replace(&mut seen[at], true) {
                continue;
            }
            match &self.threads.all[at] {
                Thread::Fork(both) => open.extend(both),
                Thread::Check(Check::Assert(Assert::TextEnd | Assert::LineEnd), next)
                | Thread::Check(Check::Peek { ahead: true, .. }, next) => open.push(*next),
                Thread::Check(..) => return true,
                Thread::Take(..) | Thread::End => {}
            }
        }
        false
    }

    fn step(&mut self, state: &State, next: Char) -> Step {
        let (mut taken, mut ends) = (Vec::new(), false);
        let mut seen = vec![false; self.threads.all.len()];
        let mut open: Vec<usize> = state.threads.iter().rev().copied().collect();
        while let Some(at) = open.pop() {
            if std::mem::replace(&mut seen[at], true) {
                continue;
            }
            match &self.threads.all[at] {
                Thread::Fork([first, second]) => open.extend([*second, *first]),
                Thread::Check(check, to) => match self.holds(*check, state.before, next) {
                    None => return Step::Unknown,
                    Some(true) => open.push(*to),
                    Some(false) => {}
                },
                Thread::Take(set, to) => match self.has(*set, next) {
                    None => return Step::Unknown,
                    Some(true) if !taken.contains(to) => taken.push(*to),
                    Some(_) => {}
                },
                Thread::End => {
                    ends = true;
                    // The threads behind it count less.
                    if self.threads.atomic {
                        break;
                    }
                }
            }
        }
        if !self.threads.atomic {
            taken.sort_unstable();
        }
        let state = if taken.is_empty() { None } else { Some(self.state(next, taken)) };
        Step::To { state, ends }
    }

    /// `None`: other characters of its kind differ.
    fn has(&self, set: usize, own: Char) -> Option<bool> {
        let set = &self.threads.sets[set];
        match own {
            Char::Ascii(column) => Some(set.has_ascii(self.samples[usize::from(column)])),
            Char::Beyond => set.beyond(),
            Char::None => Some(false),
        }
    }

    fn holds(&self, check: Check, before: Char, next: Char) -> Option<bool> {
        let sample = |own: Char| match own {
            Char::Ascii(column) => Some(self.samples[usize::from(column)]),
            Char::Beyond | Char::None => None,
        };
        let word = |own: Char| (own != Char::Beyond).then(|| sample(own).is_some_and(is_word));
        Some(match check {
            Check::Peek { ahead, negative, set } => {
                self.has(set, if ahead { next } else { before })? != negative
            }
            Check::Assert(Assert::TextStart) => before == Char::None,
            Check::Assert(Assert::TextEnd) => next == Char::None,
            Check::Assert(Assert::LineStart) => before == Char::None || sample(before) == Some(b'\n'),
            Check::Assert(Assert::LineEnd) => next == Char::None || sample(next) == Some(b'\n'),
            Check::Assert(Assert::WordBoundary) => word(before)? != word(next)?,
            Check::Assert(Assert::NoWordBoundary) => word(before)? == word(next)?,
        })
    }
}

fn is_word(byte: u8) -> bool {
    byte == b'_' || byte.is_ascii_alphanumeric()
}
