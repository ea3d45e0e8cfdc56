//! Sets of characters, and of the bytes that something can begin with.

use regex_syntax::hir::ClassUnicode;

use super::tree::Node;

/// A set of characters for the machine.
#[derive(Debug, Clone)]
pub(super) struct Set {
    /// By byte; none beyond ASCII.
    ascii: Box<[bool; 256]>,
    beyond: Box<[(char, char)]>,
    /// Whether it has all characters beyond ASCII.
    all_beyond: bool,
    /// Up to three ASCII bytes that alone are not in it.
    pub(super) stops: Option<Box<[u8]>>,
}

impl Set {
    pub(super) fn new(class: &ClassUnicode) -> Set {
        let mut ascii = Box::new([false; 256]);
        let mut beyond = Vec::new();
        for range in class.iter() {
            let (from, to) = (u32::from(range.start()), u32::from(range.end()));
            (from..=to.min(127)).for_each(|code| ascii[code as usize] = true);
            if to > 127 {
                beyond.push((range.start().max('\u{80}'), range.end()));
            }
        }
        let all_beyond = beyond.first().is_some_and(|range| range.0 == '\u{80}')
            && beyond.last().is_some_and(|range| range.1 == char::MAX)
            // Between the two halves lie surrogates only.
            && beyond.windows(2).all(|pair| u32::from(pair[0].1) + 1 == 0xd800 && pair[1].0 == '\u{e000}');
        let missing: Vec<u8> = (0..128).filter(|code| !ascii[usize::from(*code)]).collect();
        let stops = (all_beyond && missing.len() <= 3).then(|| missing.into());
        Set { ascii, beyond: beyond.into(), all_beyond, stops }
    }

    pub(super) fn has_ascii(&self, byte: u8) -> bool {
        self.ascii[usize::from(byte)]
    }

    pub(super) fn has(&self, own: char) -> bool {
        if own.is_ascii() {
            return self.has_ascii(own as u8);
        }
        self.all_beyond
            || self
                .beyond
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

    /// Whether it has the characters beyond ASCII, if all or none of them.
    pub(super) fn beyond(&self) -> Option<bool> {
        match (self.all_beyond, self.beyond.is_empty()) {
            (true, _) => Some(true),
            (false, true) => Some(false),
            (false, false) => None,
        }
    }

    /// Bytes that can begin a character of the set.
    pub(super) fn first_bytes(&self) -> Bytes {
        let mut bytes = Bytes::default();
        (0..128).filter(|byte| self.has_ascii(*byte)).for_each(|byte| bytes.add(byte));
        if !self.beyond.is_empty() {
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
    pub(super) fn add(&mut self, byte: u8) {
        self.bits[usize::from(byte >> 6)] |= 1 << (byte & 63);
    }

    pub(super) fn all() -> Bytes {
        Bytes { bits: [u64::MAX; 4], end: true }
    }

    pub(super) fn union(&mut self, other: Bytes) {
        self.bits.iter_mut().zip(other.bits).for_each(|(own, other)| *own |= other);
        self.end |= other.end;
    }

    /// Whether a byte is in both.
    pub(super) fn meets(self, other: Bytes) -> bool {
        self.bits.iter().zip(other.bits).any(|(own, other)| own & other != 0)
    }

    pub(super) fn has(&self, byte: Option<u8>) -> bool {
        byte.map_or(self.end, |byte| self.bits[usize::from(byte >> 6)] >> (byte & 63) & 1 == 1)
    }

    /// What `node` can begin with, given what is behind it; more than that where it is hard to say.
    pub(super) fn first_of(node: &Node, behind: Bytes) -> Bytes {
        match node {
            Node::Empty | Node::Assert(_) | Node::Look { .. } => behind,
            Node::Set(class) => Set::new(class).first_bytes(),
            Node::Concat(parts) => {
                parts.iter().rev().fold(behind, |behind, part| Bytes::first_of(part, behind))
            }
            Node::Alternate(branches) => branches.iter().fold(Bytes::default(), |mut all, branch| {
                all.union(Bytes::first_of(branch, behind));
                all
            }),
            Node::Repeat { node, min, .. } => {
                let mut all = Bytes::first_of(node, behind);
                if *min == 0 {
                    all.union(behind);
                }
                all
            }
            Node::Group(_, node) | Node::Atomic(node) => Bytes::first_of(node, behind),
            Node::Backreference { .. } => Bytes::all(),
        }
    }
}
