//! The backtracking machine.
//!
//! Knows the whole dialect: look-around, atomic groups, references. Each step costs one unit of a budget, so that no line
//! holds up a partition. After its first steps it remembers which states have failed, so that it takes no more steps
//! than the pattern is long times the text is long, but for references and what is within a look-around or an atomic group. Its answer is
//! the first way in the order of the pattern, as Perl, Oniguruma and the linear engine have it. Parts of which one way at
//! most leads on are left to automata (`scan`).

mod back;
mod runs;

use std::cell::Cell;

use super::instruction::Instruction;
use super::program::Program;
use super::scan::Answer;
use super::text::{holds, stands_before, step};

/// Before this many steps nothing is remembered: most searches end earlier.
const FORGETFUL_STEPS: u64 = 4_096;
/// States that can be remembered, in bits; with more of them only the budget ends a search.
const MAX_STATES: usize = 1 << 26;
/// Look-arounds within each other.
const MAX_DEPTH: usize = 64;

/// The budget ran out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Exhausted;

#[derive(Debug, Clone, Copy)]
enum Choice {
    /// Go on there.
    Branch {
        at: usize,
        pos: usize,
    },
    /// Give back one character of a run, down to `least`.
    Shorter {
        at: usize,
        pos: usize,
        least: usize,
    },
    /// Take one more of the set, up to `left`.
    Longer {
        at: usize,
        pos: usize,
        left: u32,
    },
    /// An atomic group was entered; the choices above are its own.
    Entered,
    /// Undo.
    Slot {
        slot: usize,
        old: usize,
    },
    Round {
        round: usize,
        old: usize,
    },
}

const UNSET: usize = usize::MAX;

/// Room for so many choices is kept for the next text.
const MOST_KEPT: usize = 4_096;

thread_local! {
    static ROOM: Cell<Vec<Choice>> = const { Cell::new(Vec::new()) };
}

pub(super) struct Machine<'m> {
    program: &'m Program,
    text: &'m str,
    /// Begin and end of each group.
    pub(super) slots: Vec<usize>,
    rounds: Vec<usize>,
    choices: Vec<Choice>,
    failed: Vec<u64>,
    /// One for each instruction and each way back, and one for every 16 bytes or choices that are passed over at once.
    pub(super) steps: u64,
    budget: u64,
    /// Before so many steps nothing is remembered.
    pub(super) forgetful: u64,
    /// Furthest character that was looked at, and the instruction that failed there.
    pub(super) furthest: (usize, usize),
    /// A look-behind ends here; elsewhere its match is none.
    must_end: Option<usize>,
    depth: usize,
    /// Whether automata are used. They do not say how far they came.
    scans: bool,
}

impl Drop for Machine<'_> {
    fn drop(&mut self) {
        let mut choices = std::mem::take(&mut self.choices);
        if choices.capacity() <= MOST_KEPT {
            choices.clear();
            // Where the thread ends, nothing is kept.
            ROOM.try_with(|room| room.set(choices)).unwrap_or_default();
        }
    }
}

impl<'m> Machine<'m> {
    pub(super) fn new(program: &'m Program, text: &'m str, budget: u64) -> Machine<'m> {
        Machine {
            program,
            text,
            slots: vec![UNSET; program.n_slots],
            rounds: vec![UNSET; program.n_rounds],
            choices: ROOM.try_with(Cell::take).unwrap_or_default(),
            failed: Vec::new(),
            steps: 0,
            budget,
            forgetful: FORGETFUL_STEPS,
            furthest: (0, 0),
            must_end: None,
            depth: 0,
            scans: true,
        }
    }

    /// Same, by instructions alone.
    pub(super) fn without_scans(program: &'m Program, text: &'m str, budget: u64) -> Machine<'m> {
        let mut machine = Machine::new(program, text, budget);
        machine.scans = false;
        machine
    }

    /// Whether the pattern matches from `start` on; the groups are in the slots.
    pub(super) fn matches_at(&mut self, start: usize) -> Result<bool, Exhausted> {
        self.slots.fill(UNSET);
        self.choices.clear();
        self.run(0, start).map(|end| end.is_some())
    }

    fn byte(&self, pos: usize) -> Option<u8> {
        self.text.as_bytes().get(pos).copied()
    }

    /// Runs to `Accept` and says where that was.
    fn run(&mut self, mut at: usize, mut pos: usize) -> Result<Option<usize>, Exhausted> {
        let floor = self.choices.len();
        loop {
            self.steps += 1;
            if self.steps > self.budget {
                return Err(Exhausted);
            }
            let went = match &self.program.code[at] {
                Instruction::Byte(byte) => (self.byte(pos) == Some(*byte)).then_some((at + 1, pos + 1)),
                Instruction::Literal(bytes) => {
                    let found = self.text.as_bytes()[pos..].starts_with(bytes);
                    found.then_some((at + 1, pos + bytes.len()))
                }
                Instruction::Set(set) => {
                    step(&self.program.sets[*set], self.text, pos).map(|pos| (at + 1, pos))
                }
                Instruction::Run { set, min, max, kind } => {
                    self.enter_run(at, pos, *set, (*min, *max), *kind)
                }
                Instruction::Split { first, second } => Some((self.split(at, *first, *second, pos), pos)),
                Instruction::Choose(table) => {
                    let mut row = table.row(self.byte(pos)).iter().rev();
                    let first = row.next_back();
                    self.choices.extend(row.map(|at| Choice::Branch { at: *at, pos }));
                    first.map(|at| (*at, pos))
                }
                Instruction::Jump(to) => Some((*to, pos)),
                Instruction::Save { slot, undo } => {
                    self.save(*slot, pos, *undo);
                    Some((at + 1, pos))
                }
                Instruction::Scan { scan, past, group } if self.scans => {
                    let (answer, read) = self.program.scans[*scan].read(self.text.as_bytes(), pos);
                    self.steps += (read - pos) as u64 / 16;
                    match answer {
                        Answer::End(end) => {
                            if let Some((slot, undo)) = *group {
                                self.save(slot, pos, undo);
                                self.save(slot + 1, end, undo);
                            }
                            Some((*past, end))
                        }
                        Answer::Nothing => None,
                        Answer::Unknown => Some((at + 1, pos)),
                    }
                }
                Instruction::Scan { .. } => Some((at + 1, pos)),
                Instruction::Look { ahead, negative, width, next } => {
                    let (negative, next) = (*negative, *next);
                    let found = if *ahead {
                        self.aside(at + 1, pos, None)?
                    } else {
                        self.behind(at + 1, pos, *width)?
                    };
                    (found.is_some() != negative).then_some((next, pos))
                }
                Instruction::AtomicStart => {
                    self.choices.push(Choice::Entered);
                    Some((at + 1, pos))
                }
                Instruction::AtomicEnd => {
                    let own =
                        self.choices[floor..].iter().rposition(|choice| matches!(choice, Choice::Entered));
                    self.forget(floor + own.unwrap_or(0));
                    Some((at + 1, pos))
                }
                Instruction::Peek { ahead, negative, set } => {
                    let set = &self.program.sets[*set];
                    let found = if *ahead {
                        step(set, self.text, pos).is_some()
                    } else {
                        stands_before(set, self.text, pos)
                    };
                    (found != *negative).then_some((at + 1, pos))
                }
                Instruction::Assert(assert) => holds(*assert, self.text, pos).then_some((at + 1, pos)),
                Instruction::RoundStart(round) => {
                    self.choices.push(Choice::Round { round: *round, old: self.rounds[*round] });
                    self.rounds[*round] = pos;
                    Some((at + 1, pos))
                }
                Instruction::RoundEnd(round) => {
                    Some((if self.rounds[*round] == pos { at + 2 } else { at + 1 }, pos))
                }
                Instruction::Backreference { groups, ignore_case } => {
                    self.referred(groups, *ignore_case, pos).map(|pos| (at + 1, pos))
                }
                Instruction::Accept if self.must_end.is_none_or(|end| end == pos) => {
                    return Ok(Some(pos));
                }
                Instruction::Accept => None,
            };
            (at, pos) = match went {
                Some(went) => went,
                None => {
                    self.stopped_at(pos, at);
                    match self.back(floor)? {
                        Some(went) => went,
                        None => return Ok(None),
                    }
                }
            };
        }
    }

    fn save(&mut self, slot: usize, pos: usize, undo: bool) {
        if undo {
            self.choices.push(Choice::Slot { slot, old: self.slots[slot] });
        }
        self.slots[slot] = pos;
    }

    fn stopped_at(&mut self, pos: usize, at: usize) {
        if pos >= self.furthest.0 && self.depth == 0 {
            self.furthest = (pos, at);
        }
    }

    /// Which way to go; the other one is kept for later unless it cannot begin with what stands here.
    fn split(&mut self, at: usize, first: usize, second: usize, pos: usize) -> usize {
        let next = self.byte(pos);
        if let Some(ways) = &self.program.ways[at] {
            if !ways.0.has(next) {
                return second;
            }
            if !ways.1.has(next) {
                return first;
            }
        }
        self.choices.push(Choice::Branch { at: second, pos });
        first
    }

    /// Runs a part by itself and forgets its other ways. Slots that it set are restored when the whole goes back.
    fn aside(&mut self, at: usize, pos: usize, must_end: Option<usize>) -> Result<Option<usize>, Exhausted> {
        if self.depth >= MAX_DEPTH {
            return Err(Exhausted);
        }
        let floor = self.choices.len();
        let outer = std::mem::replace(&mut self.must_end, must_end);
        self.depth += 1;
        let end = self.run(at, pos);
        self.depth -= 1;
        self.must_end = outer;
        let end = end?;
        self.forget(floor);
        Ok(end)
    }

    fn behind(
        &mut self,
        at: usize,
        pos: usize,
        (least, most): (u32, Option<u32>),
    ) -> Result<Option<usize>, Exhausted> {
        let mut start = pos;
        let mut n_chars = 0;
        loop {
            if n_chars >= least
                && let Some(end) = self.aside(at, start, Some(pos))?
            {
                return Ok(Some(end));
            }
            if start == 0 || most.is_some_and(|most| n_chars >= most) {
                return Ok(None);
            }
            start -= 1;
            while !self.text.is_char_boundary(start) {
                start -= 1;
            }
            n_chars += 1;
            self.steps += 1;
        }
    }

    fn referred(&mut self, groups: &[u32], ignore_case: bool, pos: usize) -> Option<usize> {
        let span = |group: &u32| (self.slots[2 * *group as usize], self.slots[2 * *group as usize + 1]);
        let (from, to) = groups.iter().rev().map(span).find(|(from, to)| *from != UNSET && *to != UNSET)?;
        let own = self.text.get(from..to)?;
        let rest = &self.text[pos..];
        self.steps += own.len() as u64 / 16;
        if rest.starts_with(own) {
            return Some(pos + own.len());
        }
        let same = ignore_case
            && rest.get(..own.len()).is_some_and(|other| other.to_lowercase() == own.to_lowercase());
        same.then_some(pos + own.len())
    }
}
