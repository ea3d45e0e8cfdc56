//! Parts of a pattern as automata, which read each byte once and leave no way to go back to.
//!
//! Such a part has no groups, and its match ends in one place at most from which the pattern can go on: it is an atomic
//! group, or what follows shows where it ends (`states`). What an automaton has no answer to is left to the instructions
//! of the part: characters beyond ASCII of which a set has some only, and texts that are so long that counts which the
//! automaton does not keep could be reached.

mod states;
mod threads;

use super::set::Bytes;
use super::tree::Node;

/// The match ends before this byte.
const ENDS: u32 = 1 << 16;
/// Nothing can match any more.
const DEAD: u32 = 1 << 17;
/// There is no answer.
const UNKNOWN: u32 = 1 << 18;
/// The state stays the same up to one of a few bytes.
const STAYS: u32 = 1 << 19;
/// Place of the next state's row in the table.
const ROW: u32 = ENDS - 1;

#[derive(Debug)]
pub(super) struct Scan {
    /// Column of each byte; that of the end of the text is the last of a row.
    columns: [u8; 256],
    n_columns: usize,
    /// Row to begin with by the column of the byte before, then that for the start of the text.
    starts: Box<[u32]>,
    table: Box<[u32]>,
    /// By state, the bytes at which it is left.
    stops: Box<[Box<[u8]>]>,
    /// A longer match may be none, since counts are not kept.
    most: usize,
}

/// What an automaton says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Answer {
    /// The match ends here.
    End(usize),
    Nothing,
    Unknown,
}

impl Scan {
    /// Whether `node` can be a part of one.
    pub(super) fn may_have(node: &Node) -> bool {
        threads::may_have(node)
    }

    /// `None`: `parts` cannot be an automaton, or it is not worth while. `behind`: bytes that can follow.
    pub(super) fn new(parts: &[Node], behind: Bytes) -> Option<Scan> {
        threads::Threads::new(parts).and_then(|threads| states::scan(&threads, behind))
    }

    /// Reads from `start` on; says where the match ends, and how far it read.
    pub(super) fn read(&self, text: &[u8], start: usize) -> (Answer, usize) {
        let before = match start.checked_sub(1) {
            Some(at) => usize::from(self.columns[usize::from(text[at])]),
            None => self.n_columns - 1,
        };
        let mut state = self.starts[before] as usize;
        let (mut at, mut end) = (start, Answer::Nothing);
        loop {
            // Most bytes lead from one state to another, and that is all.
            let mut entry = 0;
            let mut left = text.get(at..).unwrap_or_default().iter();
            for byte in left.by_ref() {
                entry = self.table[state + usize::from(self.columns[usize::from(*byte)])];
                if entry > ROW {
                    break;
                }
                state = entry as usize;
            }
            at = text.len() - left.len();
            if entry <= ROW {
                entry = self.table[state + self.n_columns - 1];
                at += 1;
            }
            if entry & ENDS != 0 {
                end = Answer::End(at - 1);
            }
            if entry & UNKNOWN != 0 {
                return (Answer::Unknown, at);
            }
            if entry & DEAD != 0 {
                break;
            }
            state = (entry & ROW) as usize;
            if entry & STAYS != 0 {
                at = self.stop(text, at, state / self.n_columns);
            }
        }
        (if at - start > self.most { Answer::Unknown } else { end }, at)
    }

    /// Next of the bytes at which a state is left.
    fn stop(&self, text: &[u8], at: usize, state: usize) -> usize {
        let Some(rest) = text.get(at..) else { return at };
        let found = match *self.stops[state] {
            [one] => memchr::memchr(one, rest),
            [one, two] => memchr::memchr2(one, two, rest),
            [one, two, three] => memchr::memchr3(one, two, three, rest),
            _ => None,
        };
        found.map_or(text.len(), |len| at + len)
    }
}
