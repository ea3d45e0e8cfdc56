//! Writes the instructions of a pattern.
//!
//! A part that has no groups and of which, from any place, one way at most can lead on is written twice: as an automaton
//! (`scan`), and as instructions for the texts on which the automaton has no answer.

use std::collections::HashMap;

use regex_syntax::hir::ClassUnicode;

use super::instruction::{Instruction, Table};
use super::scan::Scan;
use super::set::{Bytes, Set};
use super::tree::{Kind, Node};

/// Longer programs are refused: their tables take memory.
const MAX_INSTRUCTIONS: usize = 60_000;
/// Neighbouring parts that are tried as one automaton, from all that can be down to the first.
const TRIES: usize = 3;
/// Automata of one program.
const MAX_SCANS: usize = 64;

#[derive(Default)]
pub(super) struct Maker {
    pub(super) code: Vec<Instruction>,
    pub(super) sets: Vec<Set>,
    pub(super) scans: Vec<Scan>,
    known: HashMap<Vec<(char, char)>, usize>,
    pub(super) n_rounds: usize,
    /// Whether a way may pass this part by, so that what was noted here has to be undone.
    optional: bool,
    /// Whether this is the second writing of a part.
    again: bool,
}

impl Maker {
    /// All of a pattern; `refers`: it has references to groups. `None`: it would be too long.
    pub(super) fn made(node: &Node, refers: bool) -> Option<Maker> {
        let mut maker = Maker { optional: refers, ..Maker::default() };
        maker.emit(node, Bytes::all())?;
        maker.push(Instruction::Accept)?;
        Some(maker)
    }

    fn push(&mut self, instruction: Instruction) -> Option<usize> {
        self.code.push(instruction);
        (self.code.len() <= MAX_INSTRUCTIONS).then_some(self.code.len() - 1)
    }

    fn set(&mut self, class: &ClassUnicode) -> usize {
        let key: Vec<_> = class.iter().map(|range| (range.start(), range.end())).collect();
        let sets = &mut self.sets;
        *self.known.entry(key).or_insert_with(|| {
            sets.push(Set::new(class));
            sets.len() - 1
        })
    }

    /// `behind`: bytes that can follow.
    fn emit(&mut self, node: &Node, behind: Bytes) -> Option<()> {
        match node {
            Node::Concat(parts) => self.emit_parts(parts, behind),
            _ if self.emit_scan(std::slice::from_ref(node), behind)? => Some(()),
            _ => self.emit_one(node, behind),
        }
    }

    fn emit_one(&mut self, node: &Node, behind: Bytes) -> Option<()> {
        match node {
            Node::Empty => {}
            Node::Set(class) => {
                self.emit_set(class)?;
            }
            Node::Concat(parts) => self.emit_parts(parts, behind)?,
            Node::Alternate(branches) => self.maybe(|maker| maker.emit_branches(branches, behind))?,
            Node::Repeat { node, min, max, kind } => {
                self.maybe(|maker| maker.emit_repeat(node, *min, *max, *kind, behind))?;
            }
            Node::Group(number, node) => {
                let (slot, undo) = (2 * *number as usize, self.optional);
                let at = self.push(Instruction::Save { slot, undo })?;
                self.emit(node, behind)?;
                let end = self.push(Instruction::Save { slot: slot + 1, undo })?;
                if let Some(Instruction::Scan { past, group, .. }) = self.code.get_mut(at + 1)
                    && *past == end
                    && group.is_none()
                {
                    (*past, *group) = (end + 1, Some((slot, undo)));
                    self.code.swap(at, at + 1);
                }
            }
            Node::Look { ahead, negative, node } if matches!(**node, Node::Set(_)) => {
                let Node::Set(class) = &**node else { return None };
                let set = self.set(class);
                self.push(Instruction::Peek { ahead: *ahead, negative: *negative, set })?;
            }
            Node::Look { ahead, negative, node } => {
                let (ahead, negative, width) = (*ahead, *negative, node.width());
                let at = self.push(Instruction::Look { ahead, negative, width, next: 0 })?;
                self.maybe(|maker| maker.emit(node, Bytes::all()))?;
                self.push(Instruction::Accept)?;
                self.code[at] = Instruction::Look { ahead, negative, width, next: self.code.len() };
            }
            // Its way is chosen before what is behind it is looked at.
            Node::Atomic(node) => {
                self.push(Instruction::AtomicStart)?;
                self.emit(node, Bytes::all())?;
                self.push(Instruction::AtomicEnd)?;
            }
            Node::Assert(own) => {
                self.push(Instruction::Assert(*own))?;
            }
            Node::Backreference { groups, ignore_case } => {
                let groups = groups.clone().into();
                self.push(Instruction::Backreference { groups, ignore_case: *ignore_case })?;
            }
        }
        Some(())
    }

    /// Writes what not every way passes.
    fn maybe(&mut self, write: impl FnOnce(&mut Maker) -> Option<()>) -> Option<()> {
        let outer = std::mem::replace(&mut self.optional, true);
        let written = write(self);
        self.optional = outer;
        written
    }

    fn emit_parts(&mut self, parts: &[Node], behind: Bytes) -> Option<()> {
        let mut follows = vec![behind];
        for part in parts.iter().rev() {
            follows.push(Bytes::first_of(part, *follows.last()?));
        }
        follows.reverse();
        let mut at = 0;
        'parts: while at < parts.len() {
            let most = at + parts[at..].iter().take_while(|part| Scan::may_have(part)).count();
            for end in (at + 2..=most).rev().take(TRIES) {
                if self.emit_scan(&parts[at..end], follows[end])? {
                    at = end;
                    continue 'parts;
                }
            }
            self.emit(&parts[at], follows[at + 1])?;
            at += 1;
        }
        Some(())
    }

    /// Writes `parts` as an automaton, if they are worth it and one way of them at most leads on.
    fn emit_scan(&mut self, parts: &[Node], behind: Bytes) -> Option<bool> {
        if self.again || self.scans.len() >= MAX_SCANS {
            return Some(false);
        }
        let Some(own) = Scan::new(parts, behind) else { return Some(false) };
        let scan = self.scans.len();
        self.scans.push(own);
        let at = self.push(Instruction::Scan { scan, past: 0, group: None })?;
        self.again = true;
        parts.iter().try_for_each(|part| self.emit_one(part, behind))?;
        self.again = false;
        self.fence()?;
        self.code[at] = Instruction::Scan { scan, past: self.code.len(), group: None };
        Some(true)
    }

    fn emit_set(&mut self, class: &ClassUnicode) -> Option<()> {
        match class.ranges() {
            [one] if one.start() == one.end() => {
                let bytes = one.start().to_string().into_bytes();
                // Jumps lead behind a finished part only, so a literal that is last can grow: see `fence`.
                let before = match self.code.last() {
                    Some(Instruction::Literal(last)) => Some(last.to_vec()),
                    Some(Instruction::Byte(last)) => Some(vec![*last]),
                    _ => None,
                };
                let whole = match before {
                    Some(mut before) => {
                        self.code.pop();
                        before.extend(bytes);
                        before
                    }
                    None => bytes,
                };
                self.push(match whole[..] {
                    [byte] => Instruction::Byte(byte),
                    _ => Instruction::Literal(whole.into()),
                })?;
            }
            _ => {
                let set = self.set(class);
                self.push(Instruction::Set(set))?;
            }
        }
        Some(())
    }

    fn emit_branches(&mut self, branches: &[Node], behind: Bytes) -> Option<()> {
        let choose = self.push(Instruction::Jump(0))?;
        let (mut starts, mut jumps) = (Vec::new(), Vec::new());
        let mut at = 0;
        while at < branches.len() {
            starts.push(self.code.len());
            at += self.emit_first_of(&branches[at..], behind)?;
            if at < branches.len() {
                jumps.push(self.push(Instruction::Jump(0))?);
            }
        }
        self.fence()?;
        let end = self.code.len();
        self.code[choose] = Instruction::Choose(Box::new(Table { branches: starts, ..Table::default() }));
        for jump in jumps {
            self.code[jump] = Instruction::Jump(end);
        }
        Some(())
    }

    /// Writes the first of `branches`, or as many of them as one automaton can be; says how many.
    fn emit_first_of(&mut self, branches: &[Node], behind: Bytes) -> Option<usize> {
        let most = branches.iter().take_while(|branch| Scan::may_have(branch)).count();
        for n in (2..=most).rev().take(TRIES) {
            if self.emit_scan(&[Node::Alternate(branches[..n].to_vec())], behind)? {
                return Some(n);
            }
        }
        self.emit(&branches[0], behind)?;
        Some(1)
    }

    /// Keeps a literal that follows from becoming a part of the one before, since a jump leads between them.
    fn fence(&mut self) -> Option<()> {
        if matches!(self.code.last(), Some(Instruction::Literal(_) | Instruction::Byte(_))) {
            let next = self.code.len() + 1;
            self.push(Instruction::Jump(next))?;
        }
        Some(())
    }

    fn emit_repeat(
        &mut self,
        node: &Node,
        min: u32,
        max: Option<u32>,
        kind: Kind,
        mut behind: Bytes,
    ) -> Option<()> {
        if let Node::Set(class) = node {
            let set = self.set(class);
            self.push(Instruction::Run { set, min, max: max.unwrap_or(u32::MAX), kind })?;
            return Some(());
        }
        behind.union(Bytes::first_of(node, behind));
        for _ in 0..min {
            self.emit(node, behind)?;
        }
        let Some(max) = max else { return self.emit_loop(node, kind, behind) };
        let mut splits = Vec::new();
        for _ in min..max {
            splits.push(self.push(Instruction::Jump(0))?);
            self.emit(node, behind)?;
        }
        let end = self.code.len();
        for split in splits {
            self.code[split] = split_of(kind, split + 1, end);
        }
        self.fence()
    }

    fn emit_loop(&mut self, node: &Node, kind: Kind, behind: Bytes) -> Option<()> {
        self.fence()?;
        let guarded = node.width().0 == 0;
        let split = self.push(Instruction::Jump(0))?;
        if guarded {
            let round = self.n_rounds;
            self.n_rounds += 1;
            self.push(Instruction::RoundStart(round))?;
            self.emit(node, behind)?;
            self.push(Instruction::RoundEnd(round))?;
        } else {
            self.emit(node, behind)?;
        }
        self.push(Instruction::Jump(split))?;
        self.code[split] = split_of(kind, split + 1, self.code.len());
        Some(())
    }
}

fn split_of(kind: Kind, into: usize, past: usize) -> Instruction {
    match kind {
        Kind::Greedy => Instruction::Split { first: into, second: past },
        Kind::Lazy => Instruction::Split { first: past, second: into },
    }
}
