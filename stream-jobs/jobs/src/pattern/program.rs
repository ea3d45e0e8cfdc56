//! A pattern as instructions for the backtracking machine.

use std::collections::HashMap;

use regex_syntax::hir::ClassUnicode;

use super::tree::{Assert, Kind, Node};

/// Longer programs are refused: their tables take memory.
const MAX_INSTRUCTIONS: usize = 60_000;

#[derive(Debug, Clone)]
pub(super) enum Instruction {
    /// This byte.
    Byte(u8),
    /// These bytes, two or more.
    Literal(Box<[u8]>),
    /// One character of the set.
    Set(usize),
    /// So many characters of the set, as many or as few as possible at first.
    Run {
        set: usize,
        min: u32,
        max: u32,
        kind: Kind,
    },
    /// Go on at `first`; if that fails, at `second`.
    Split {
        first: usize,
        second: usize,
    },
    Jump(usize),
    Save(usize),
    /// Go on at the first of these that can begin with the next byte; if that fails, at those behind it.
    Choose(Box<Table>),
    /// A character of the set must or must not stand here.
    Peek {
        ahead: bool,
        negative: bool,
        set: usize,
    },
    /// What follows, to its `Accept`, must or must not match here; then go on at `next`.
    Look {
        ahead: bool,
        negative: bool,
        width: (u32, Option<u32>),
        next: usize,
    },
    /// What follows, to its `AtomicEnd`, matches in one way.
    AtomicStart,
    AtomicEnd,
    Assert(Assert),
    /// Remembers where a round of a loop begins.
    RoundStart(usize),
    /// Leaves the loop at the next instruction but one if the round took nothing.
    RoundEnd(usize),
    Backreference {
        groups: Box<[u32]>,
        ignore_case: bool,
    },
    Accept,
}

/// Where the branches of an alternation begin, and which of them can begin with a byte.
#[derive(Debug, Clone, Default)]
pub(super) struct Table {
    /// Row for each byte; the last one is for the end of the text.
    pub(super) row_of: Vec<u8>,
    pub(super) rows: Vec<Box<[usize]>>,
    branches: Vec<usize>,
}

impl Table {
    pub(super) fn row(&self, byte: Option<u8>) -> &[usize] {
        &self.rows[usize::from(self.row_of[byte.map_or(256, usize::from)])]
    }
}

/// A set of characters for the machine.
#[derive(Debug, Clone)]
pub(super) struct Set {
    /// By byte; none beyond ASCII.
    ascii: Box<[bool; 256]>,
    others: Box<[(char, char)]>,
    /// Whether it has all characters beyond ASCII.
    all_others: bool,
    /// Up to three ASCII bytes that alone are not in it.
    pub(super) stops: Option<Box<[u8]>>,
}

impl Set {
    fn new(class: &ClassUnicode) -> Set {
        let mut ascii = Box::new([false; 256]);
        let mut others = Vec::new();
        for range in class.iter() {
            let (from, to) = (u32::from(range.start()), u32::from(range.end()));
            (from..=to.min(127)).for_each(|code| ascii[code as usize] = true);
            if to > 127 {
                others.push((range.start().max('\u{80}'), range.end()));
            }
        }
        let all_others = others.first().is_some_and(|range| range.0 == '\u{80}')
            && others.last().is_some_and(|range| range.1 == char::MAX)
            // Between the two halves lie surrogates only.
            && others.windows(2).all(|pair| u32::from(pair[0].1) + 1 == 0xd800 && pair[1].0 == '\u{e000}');
        let missing: Vec<u8> = (0..128).filter(|code| !ascii[usize::from(*code)]).collect();
        let stops = (all_others && missing.len() <= 3).then(|| missing.into());
        Set { ascii, others: others.into(), all_others, stops }
    }

    pub(super) fn has_ascii(&self, byte: u8) -> bool {
        self.ascii[usize::from(byte)]
    }

    pub(super) fn has(&self, own: char) -> bool {
        if own.is_ascii() {
            return self.has_ascii(own as u8);
        }
        self.all_others
            || self
                .others
                .binary_search_by(|range| {
                    if range.1 < own {
                        std::cmp::Ordering::Less
                    } else if range.0 > own {
                        std::cmp::Ordering::Greater
                    } else {
                        std::cmp::Ordering::Equal
                    }
                })
                .is_ok()
    }

    /// Bytes that can begin a character of the set.
    fn first_bytes(&self) -> Bytes {
        let mut bytes = Bytes::default();
        (0..128).filter(|byte| self.has_ascii(*byte)).for_each(|byte| bytes.add(byte));
        if !self.others.is_empty() {
            (128..=255).for_each(|byte| bytes.add(byte));
        }
        bytes
    }
}

/// A set of bytes, and whether the end of the text belongs to it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Bytes {
    bits: [u64; 4],
    end: bool,
}

impl Bytes {
    fn add(&mut self, byte: u8) {
        self.bits[usize::from(byte >> 6)] |= 1 << (byte & 63);
    }

    fn all() -> Bytes {
        Bytes { bits: [u64::MAX; 4], end: true }
    }

    fn union(&mut self, other: Bytes) {
        self.bits.iter_mut().zip(other.bits).for_each(|(own, other)| *own |= other);
        self.end |= other.end;
    }

    /// Whether a byte is in both.
    fn meets(self, other: Bytes) -> bool {
        self.bits.iter().zip(other.bits).any(|(own, other)| own & other != 0)
    }

    pub(super) fn has(&self, byte: Option<u8>) -> bool {
        byte.map_or(self.end, |byte| self.bits[usize::from(byte >> 6)] >> (byte & 63) & 1 == 1)
    }
}

/// What is behind a run of characters.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct After {
    /// The byte that must stand there.
    pub(super) byte: Option<u8>,
    /// Whether nothing there begins with a character of the run: then only all of the run can lead on.
    pub(super) alone: bool,
}

#[derive(Debug)]
pub(super) struct Program {
    pub(super) code: Vec<Instruction>,
    pub(super) sets: Vec<Set>,
    pub(super) n_slots: usize,
    pub(super) n_rounds: usize,
    /// For each split, what its two ways can begin with.
    pub(super) ways: Vec<Option<Box<(Bytes, Bytes)>>>,
    /// What is behind each run.
    pub(super) after: Vec<After>,
    /// Whether a state that failed once always fails: without references to groups.
    pub(super) memorable: bool,
    /// Whether a match begins at the start of the text or of a line, if at all.
    pub(super) anchored: Option<Assert>,
}

impl Instruction {
    /// The byte that must stand here.
    pub(super) fn first_byte(&self) -> Option<u8> {
        match self {
            Instruction::Byte(byte) => Some(*byte),
            Instruction::Literal(bytes) => bytes.first().copied(),
            _ => None,
        }
    }
}

impl Program {
    /// `None`: it would be too long.
    pub(super) fn new(node: &Node, n_groups: usize) -> Option<Program> {
        let mut maker = Maker { n_rounds: 0, ..Maker::default() };
        maker.emit(&Node::Group(0, Box::new(node.clone())))?;
        maker.push(Instruction::Accept)?;
        let memorable = !node.any(&|node| matches!(node, Node::Backreference { .. }));
        let mut program = Program {
            code: maker.code,
            sets: maker.sets,
            n_slots: 2 * (n_groups + 1),
            n_rounds: maker.n_rounds,
            ways: Vec::new(),
            after: Vec::new(),
            memorable,
            anchored: anchor(node),
        };
        program.ways = (0..program.code.len()).map(|at| program.split_ways(at)).collect();
        for at in 0..program.code.len() {
            let Instruction::Choose(table) = &program.code[at] else { continue };
            let table = program.filled(&table.branches);
            program.code[at] = Instruction::Choose(Box::new(table));
        }
        program.after = (0..program.code.len()).map(|at| program.after(at)).collect();
        Some(program)
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
                Instruction::Save(_) => next += 1,
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
                Instruction::Save(_)
                | Instruction::Assert(_)
                | Instruction::Peek { .. }
                | Instruction::AtomicStart
                | Instruction::AtomicEnd
                | Instruction::RoundStart(_) => open.push(at + 1),
                Instruction::RoundEnd(_) => open.extend([at + 1, at + 2]),
                Instruction::Backreference { .. } | Instruction::Accept => {
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

#[derive(Default)]
struct Maker {
    code: Vec<Instruction>,
    sets: Vec<Set>,
    known: HashMap<Vec<(char, char)>, usize>,
    n_rounds: usize,
}

impl Maker {
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

    fn emit(&mut self, node: &Node) -> Option<()> {
        match node {
            Node::Empty => {}
            Node::Set(class) => {
                self.emit_set(class)?;
            }
            Node::Concat(parts) => parts.iter().try_for_each(|part| self.emit(part))?,
            Node::Alternate(branches) => self.emit_branches(branches)?,
            Node::Repeat { node, min, max, kind } => self.emit_repeat(node, *min, *max, *kind)?,
            Node::Group(number, node) => {
                self.push(Instruction::Save(2 * *number as usize))?;
                self.emit(node)?;
                self.push(Instruction::Save(2 * *number as usize + 1))?;
            }
            Node::Look { ahead, negative, node } if matches!(**node, Node::Set(_)) => {
                let Node::Set(class) = &**node else { return None };
                let set = self.set(class);
                self.push(Instruction::Peek { ahead: *ahead, negative: *negative, set })?;
            }
            Node::Look { ahead, negative, node } => {
                let (ahead, negative, width) = (*ahead, *negative, node.width());
                let at = self.push(Instruction::Look { ahead, negative, width, next: 0 })?;
                self.emit(node)?;
                self.push(Instruction::Accept)?;
                self.code[at] = Instruction::Look { ahead, negative, width, next: self.code.len() };
            }
            Node::Atomic(node) => {
                self.push(Instruction::AtomicStart)?;
                self.emit(node)?;
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

    fn emit_branches(&mut self, branches: &[Node]) -> Option<()> {
        let choose = self.push(Instruction::Jump(0))?;
        let (mut starts, mut jumps) = (Vec::new(), Vec::new());
        for (at, branch) in branches.iter().enumerate() {
            starts.push(self.code.len());
            self.emit(branch)?;
            if at + 1 < branches.len() {
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

    /// Keeps a literal that follows from becoming a part of the one before, since a jump leads between them.
    fn fence(&mut self) -> Option<()> {
        if matches!(self.code.last(), Some(Instruction::Literal(_) | Instruction::Byte(_))) {
            let next = self.code.len() + 1;
            self.push(Instruction::Jump(next))?;
        }
        Some(())
    }

    fn emit_repeat(&mut self, node: &Node, min: u32, max: Option<u32>, kind: Kind) -> Option<()> {
        if let Node::Set(class) = node {
            let set = self.set(class);
            self.push(Instruction::Run { set, min, max: max.unwrap_or(u32::MAX), kind })?;
            return Some(());
        }
        for _ in 0..min {
            self.emit(node)?;
        }
        let Some(max) = max else { return self.emit_loop(node, kind) };
        let mut splits = Vec::new();
        for _ in min..max {
            splits.push(self.push(Instruction::Jump(0))?);
            self.emit(node)?;
        }
        let end = self.code.len();
        for split in splits {
            self.code[split] = split_of(kind, split + 1, end);
        }
        self.fence()
    }

    fn emit_loop(&mut self, node: &Node, kind: Kind) -> Option<()> {
        self.fence()?;
        let guarded = node.width().0 == 0;
        let split = self.push(Instruction::Jump(0))?;
        if guarded {
            let round = self.n_rounds;
            self.n_rounds += 1;
            self.push(Instruction::RoundStart(round))?;
            self.emit(node)?;
            self.push(Instruction::RoundEnd(round))?;
        } else {
            self.emit(node)?;
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
