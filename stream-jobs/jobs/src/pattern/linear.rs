//! A pattern on the linear engine.
//!
//! Look-arounds, atomic groups and references cannot be said there. They are left out, which makes a *wider* pattern: it
//! matches wherever the pattern itself does, and its leftmost match begins no later. So where it finds nothing there is
//! nothing, and where nothing was left out ([`Linear::exact`]) its captures are those of the pattern.
//!
//! Lines are mostly ASCII. For them the sets are cut down to ASCII, which changes no answer and makes the automata many
//! times smaller; the full ones are built when the first other line comes.

use std::sync::OnceLock;

use regex_automata::meta::{Config, Regex};
use regex_automata::util::captures::Captures;
use regex_automata::{Anchored, Input};
use regex_syntax::hir::{Capture, Class, Hir, HirKind, Look, Repetition};

use super::tree::{Assert, Kind, Node, set};

/// Automata may take this much memory; a pattern that needs more goes without.
const MAX_BYTES: usize = 16 << 20;

#[derive(Debug)]
pub(super) struct Linear {
    node: Node,
    n_groups: usize,
    exact: bool,
    ascii: OnceLock<Option<Regex>>,
    full: OnceLock<Option<Regex>>,
}

impl Linear {
    pub(super) fn new(node: Node, n_groups: usize) -> Linear {
        let exact = !node.any(&|node| match node {
            Node::Look { .. } | Node::Atomic(_) | Node::Backreference { .. } => true,
            // A round that takes nothing ends the loop; there it is left out, and the next way is tried.
            Node::Repeat { node, max, .. } => *max != Some(1) && node.any(&prefers_nothing),
            _ => false,
        });
        Linear { node, n_groups, exact, ascii: OnceLock::new(), full: OnceLock::new() }
    }

    /// Whether nothing was left out.
    pub(super) fn exact(&self) -> bool {
        self.exact
    }

    fn regex(&self, text: &str) -> Option<&Regex> {
        let ascii = text.is_ascii();
        let build = || {
            let config = Config::new().nfa_size_limit(Some(MAX_BYTES)).hybrid_cache_capacity(MAX_BYTES);
            Regex::builder().configure(config).build_from_hir(&self.widened(ascii)).ok()
        };
        if ascii { self.ascii.get_or_init(build) } else { self.full.get_or_init(build) }.as_ref()
    }

    fn widened(&self, ascii: bool) -> Hir {
        Widening { ascii, spare: self.n_groups as u32 + 1 }.of(&self.node)
    }

    /// Where the leftmost match of the wider pattern begins. `Err`: it has no automaton.
    pub(super) fn start(&self, text: &str) -> Result<Option<usize>, ()> {
        let regex = self.regex(text).ok_or(())?;
        Ok(regex.find(text).map(|found| found.start()))
    }

    /// Groups of the match, of an exact pattern: pairs of begin and end.
    pub(super) fn captures(&self, text: &str, anchored: bool) -> Option<Option<Vec<Option<usize>>>> {
        let regex = self.regex(text).filter(|_| self.exact)?;
        let mut found: Captures = regex.create_captures();
        let anchored = if anchored { Anchored::Yes } else { Anchored::No };
        regex.search_captures(&Input::new(text).anchored(anchored), &mut found);
        if !found.is_match() {
            return Some(None);
        }
        let span = |group: usize| found.get_group(group);
        let slots = (0..=self.n_groups)
            .flat_map(|group| [span(group).map(|span| span.start), span(group).map(|span| span.end)]);
        Some(Some(slots.collect()))
    }
}

/// Makes the wider pattern.
struct Widening {
    ascii: bool,
    /// A group that nobody asks for.
    spare: u32,
}

impl Widening {
    fn of(&self, node: &Node) -> Hir {
        let all = |parts: &[Node]| parts.iter().map(|part| self.of(part)).collect();
        match node {
            Node::Empty | Node::Look { .. } => Hir::empty(),
            Node::Set(own) => {
                let mut own = own.clone();
                if self.ascii {
                    own.intersect(&set([('\0', '\x7f')]));
                }
                Hir::class(Class::Unicode(own))
            }
            Node::Concat(parts) => Hir::concat(all(parts)),
            Node::Alternate(branches) => self.alternation(all(branches)),
            Node::Repeat { node, min, max, kind } => Hir::repetition(Repetition {
                min: *min,
                max: *max,
                greedy: *kind == Kind::Greedy,
                sub: Box::new(self.of(node)),
            }),
            Node::Group(number, node) => self.group(*number, self.of(node)),
            Node::Atomic(node) => self.of(node),
            Node::Assert(assert) => Hir::look(self.look(*assert)),
            // Whatever was captured.
            Node::Backreference { .. } => Hir::repetition(Repetition {
                min: 0,
                max: None,
                greedy: true,
                sub: Box::new(Hir::dot(regex_syntax::hir::Dot::AnyChar)),
            }),
        }
    }

    fn group(&self, index: u32, sub: Hir) -> Hir {
        Hir::capture(Capture { index, name: None, sub: Box::new(sub) })
    }

    /// `regex-syntax` takes out what all branches begin with, also where that matches in several ways: `.*?a|.*?b` would be
    /// `.*?(?:a|b)`, which has other matches (rust-lang/regex#1357). A branch that is a group keeps it from that.
    fn alternation(&self, mut branches: Vec<Hir>) -> Hir {
        if let [first, others @ ..] = branches.as_mut_slice()
            && others.iter().all(|other| shares_a_way(first, other))
        {
            *first = self.group(self.spare, std::mem::replace(first, Hir::empty()));
        }
        Hir::alternation(branches)
    }

    fn look(&self, assert: Assert) -> Look {
        match assert {
            Assert::TextStart => Look::Start,
            Assert::TextEnd => Look::End,
            Assert::LineStart => Look::StartLF,
            Assert::LineEnd => Look::EndLF,
            Assert::WordBoundary if self.ascii => Look::WordAscii,
            Assert::WordBoundary => Look::WordUnicode,
            Assert::NoWordBoundary if self.ascii => Look::WordAsciiNegate,
            Assert::NoWordBoundary => Look::WordUnicodeNegate,
        }
    }
}

/// Whether it can take nothing before it tries to take something.
fn prefers_nothing(node: &Node) -> bool {
    let is_empty = |node: &Node| node.width().0 == 0;
    match node {
        Node::Alternate(branches) => branches.iter().rev().skip(1).any(is_empty),
        Node::Repeat { min, kind, .. } => *min == 0 && *kind == Kind::Lazy,
        _ => false,
    }
}

/// Whether both begin with the same parts, of which one has no fixed width.
fn shares_a_way(one: &Hir, other: &Hir) -> bool {
    let (HirKind::Concat(one), HirKind::Concat(other)) = (one.kind(), other.kind()) else { return false };
    let shared = one.iter().zip(other).take_while(|(one, other)| one == other);
    let varies = |part: &Hir| part.properties().minimum_len() != part.properties().maximum_len();
    shared.into_iter().any(|(part, _)| varies(part))
}
