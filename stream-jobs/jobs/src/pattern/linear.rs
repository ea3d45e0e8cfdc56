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
use regex_syntax::hir::{Capture, Class, Hir, Look, Repetition};

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
        let exact = !node
            .any(&|node| matches!(node, Node::Look { .. } | Node::Atomic(_) | Node::Backreference { .. }));
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
            Regex::builder().configure(config).build_from_hir(&widened(&self.node, ascii)).ok()
        };
        if ascii { self.ascii.get_or_init(build) } else { self.full.get_or_init(build) }.as_ref()
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

/// The wider pattern.
pub(super) fn widened(node: &Node, ascii: bool) -> Hir {
    match node {
        Node::Empty | Node::Look { .. } => Hir::empty(),
        Node::Set(own) => {
            let mut own = own.clone();
            if ascii {
                own.intersect(&set([('\0', '\x7f')]));
            }
            Hir::class(Class::Unicode(own))
        }
        Node::Concat(parts) => Hir::concat(parts.iter().map(|part| widened(part, ascii)).collect()),
        Node::Alternate(branches) => {
            Hir::alternation(branches.iter().map(|own| widened(own, ascii)).collect())
        }
        Node::Repeat { node, min, max, kind } => Hir::repetition(Repetition {
            min: *min,
            max: *max,
            greedy: *kind == Kind::Greedy,
            sub: Box::new(widened(node, ascii)),
        }),
        Node::Group(number, node) => {
            Hir::capture(Capture { index: *number, name: None, sub: Box::new(widened(node, ascii)) })
        }
        Node::Atomic(node) => widened(node, ascii),
        Node::Assert(assert) => Hir::look(match assert {
            Assert::TextStart => Look::Start,
            Assert::TextEnd => Look::End,
            Assert::LineStart => Look::StartLF,
            Assert::LineEnd => Look::EndLF,
            Assert::WordBoundary if ascii => Look::WordAscii,
            Assert::WordBoundary => Look::WordUnicode,
            Assert::NoWordBoundary if ascii => Look::WordAsciiNegate,
            Assert::NoWordBoundary => Look::WordUnicodeNegate,
        }),
        // Whatever was captured.
        Node::Backreference { .. } => Hir::repetition(Repetition {
            min: 0,
            max: None,
            greedy: true,
            sub: Box::new(Hir::dot(regex_syntax::hir::Dot::AnyChar)),
        }),
    }
}
