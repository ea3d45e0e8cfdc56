//! Instructions of the backtracking machine.

use super::tree::{Assert, Kind};

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
    /// Notes where a group begins or ends. `undo`: a way that is tried later may pass the group by.
    Save {
        slot: usize,
        undo: bool,
    },
    /// Goes on at `past` where the automaton says that what lies between ends, or here where it cannot say.
    Scan {
        scan: usize,
        past: usize,
        /// The group that all of it is: its first slot, and whether to undo.
        group: Option<(usize, bool)>,
    },
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
    pub(super) branches: Vec<usize>,
}

impl Table {
    pub(super) fn row(&self, byte: Option<u8>) -> &[usize] {
        &self.rows[usize::from(self.row_of[byte.map_or(256, usize::from)])]
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
