//! A pattern as a program for the backtracking machine, and what is known of its parts.

use super::instruction::{After, Instruction, Table};
use super::maker::Maker;
use super::scan::Scan;
use super::set::{Bytes, Set};
use super::tree::{Assert, Node};

#[derive(Debug)]
pub(super) struct Program {
    pub(super) code: Vec<Instruction>,
    pub(super) sets: Vec<Set>,
    pub(super) scans: Vec<Scan>,
    pub(super) n_slots: usize,
    pub(super) n_rounds: usize,
    /// For each split, what its two ways can begin with.
    pub(super) ways: Vec<Option<Box<(Bytes, Bytes)>>>,
    /// What is behind each run.
    pub(super) after: Vec<After>,
    /// For each instruction, whether what failed there once always fails: in patterns without references to groups, and not
    /// within an atomic group, where a way may be dropped that did not fail, nor in a loop whose round may take nothing, which
    /// ends by where the round began.
    pub(super) memorable: Vec<bool>,
    /// Whether a match begins at the start of the text or of a line, if at all.
    pub(super) anchored: Option<Assert>,
}

impl Program {
    /// `None`: it would be too long.
    pub(super) fn new(node: &Node, n_groups: usize) -> Option<Program> {
        let refers = node.any(&|node| matches!(node, Node::Backreference { .. }));
        let maker = Maker::made(&Node::Group(0, Box::new(node.clone())), refers)?;
        let mut program = Program {
            code: maker.code,
            sets: maker.sets,
            scans: maker.scans,
            n_slots: 2 * (n_groups + 1),
            n_rounds: maker.n_rounds,
            ways: Vec::new(),
            after: Vec::new(),
            memorable: Vec::new(),
            anchored: anchor(node),
        };
        program.ways = (0..program.code.len()).map(|at| program.split_ways(at)).collect();
        for at in 0..program.code.len() {
            let Instruction::Choose(table) = &program.code[at] else { continue };
            let table = program.filled(&table.branches);
            program.code[at] = Instruction::Choose(Box::new(table));
        }
        program.after = (0..program.code.len()).map(|at| program.after(at)).collect();
        program.memorable = program.memorable(refers);
        Some(program)
    }

    fn memorable(&self, refers: bool) -> Vec<bool> {
        let mut n_open = 0;
        let is_free = |instruction: &Instruction| {
            let within = n_open > 0;
            match instruction {
                Instruction::AtomicStart | Instruction::RoundStart(_) => n_open += 1,
                Instruction::AtomicEnd | Instruction::RoundEnd(_) => n_open -= 1,
                _ => {}
            }
            !refers && !within
        };
        self.code.iter().map(is_free).collect()
    }

    fn split_ways(&self, at: usize) -> Option<Box<(Bytes, Bytes)>> {
        let Instruction::Split { first, second } = self.code[at] else { return None };
        Some(Box::new((self.first_bytes(first), self.first_bytes(second))))
    }

    fn after(&self, at: usize) -> After {
        let Instruction::Run { set, .. } = self.code[at] else { return After::default() };
        let mut next = at + 1;
        let byte = loop {
            match &self.code[next] {
                Instruction::Save { .. } | Instruction::Scan { .. } => next += 1,
                Instruction::Jump(to) => next = *to,
                other => break other.first_byte(),
            }
        };
        After { byte, alone: !self.first_bytes(at + 1).meets(self.sets[set].first_bytes()) }
    }

    fn filled(&self, branches: &[usize]) -> Table {
        let firsts: Vec<Bytes> = branches.iter().map(|at| self.first_bytes(*at)).collect();
        let mut table = Table { branches: branches.to_vec(), ..Table::default() };
        for byte in (0..=255).map(Some).chain([None]) {
            let row = branches.iter().zip(&firsts).filter(|(_, first)| first.has(byte)).map(|(at, _)| *at);
            let row: Box<[usize]> = row.collect();
            let known = table.rows.iter().position(|own| *own == row);
            table.row_of.push(match known {
                Some(known) => known as u8,
                None => {
                    table.rows.push(row);
                    (table.rows.len() - 1) as u8
                }
            });
        }
        table
    }

    /// Bytes that what is at `at` can begin with; more than there are where that is hard to say.
    fn first_bytes(&self, at: usize) -> Bytes {
        let (mut all, mut seen, mut open) = (Bytes::default(), Vec::new(), vec![at]);
        while let Some(at) = open.pop() {
            if seen.contains(&at) {
                continue;
            }
            seen.push(at);
            if seen.len() > 200 {
                return Bytes::all();
            }
            match &self.code[at] {
                Instruction::Byte(byte) => all.add(*byte),
                Instruction::Literal(bytes) => bytes.first().iter().for_each(|byte| all.add(**byte)),
                Instruction::Set(set) => all.union(self.sets[*set].first_bytes()),
                Instruction::Run { set, min, .. } => {
                    all.union(self.sets[*set].first_bytes());
                    if *min == 0 {
                        open.push(at + 1);
                    }
                }
                Instruction::Split { first, second } => open.extend([*first, *second]),
                Instruction::Jump(to) => open.push(*to),
                Instruction::Choose(table) => open.extend(&table.branches),
                Instruction::Look { next, .. } => open.push(*next),
                Instruction::Save { .. }
                | Instruction::Scan { .. }
                | Instruction::Assert(_)
                | Instruction::Peek { .. }
                | Instruction::AtomicStart
                | Instruction::RoundStart(_) => open.push(at + 1),
                Instruction::RoundEnd(_) => open.extend([at + 1, at + 2]),
                // The way through an atomic group does not depend on what is behind it.
                Instruction::AtomicEnd | Instruction::Backreference { .. } | Instruction::Accept => {
                    return Bytes::all();
                }
            }
        }
        all
    }
}

/// The assertion that every match begins with.
fn anchor(node: &Node) -> Option<Assert> {
    match node {
        Node::Assert(own @ (Assert::TextStart | Assert::LineStart)) => Some(*own),
        Node::Concat(parts) => parts.first().and_then(anchor),
        Node::Group(_, node) | Node::Atomic(node) => anchor(node),
        Node::Alternate(branches) => {
            let first = branches.first().and_then(anchor)?;
            branches.iter().all(|own| anchor(own) == Some(first)).then_some(first)
        }
        _ => None,
    }
}
