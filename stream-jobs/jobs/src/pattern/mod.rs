//! Regular expressions in the dialects of log tools, on engines that no line can hold up.
//!
//! [`Pattern::captures`] has three tries, which all have the same answer:
//! 1. A text without a literal that every match has does not match.
//! 2. The linear engine says whether and where a match can begin (`linear`); the machine (`machine`) finds the groups
//!    there, with a small budget; parts that match in one way are automata (`scan`). For most lines that is all.
//! 3. Over the budget: where the linear engine can say all of the pattern, it finds the groups, too. Elsewhere the machine
//!    goes on to its limit, and beyond that the text is [`TooComplex`].

mod factor;
mod instruction;
mod linear;
mod literal;
mod machine;
mod maker;
mod many;
mod program;
mod scan;
mod set;
mod set_syntax;
mod simplify;
mod syntax;
mod text;
mod tree;

#[cfg(test)]
mod tests;

use linear::Linear;
use machine::{Exhausted, Machine};
use memchr::memmem::Finder;
use program::Program;
use tree::Assert;

pub use many::{Filter, Many};
pub use syntax::{Dialect, SyntaxError};

/// Steps of the machine before the linear engine takes over.
const QUICK_STEPS: u64 = 20_000;
/// Steps of the machine before it gives up: some milliseconds.
const MOST_STEPS: u64 = 250_000;

/// Steps for saying how far a text went that does not match.
const FURTHEST_STEPS: u64 = 4_000;

/// A text on which a pattern takes too many steps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TooComplex;

/// A compiled pattern.
#[derive(Debug)]
pub struct Pattern {
    /// Apart: it is large, and whoever holds a pattern is moved.
    program: Box<Program>,
    linear: Linear,
    /// One of these is in every match; empty: nothing is known.
    needles: Vec<Finder<'static>>,
    /// All such lists of literals that are known.
    literals: Vec<Vec<String>>,
    groups: Vec<Option<String>>,
}

/// Begin and end of each group; group 0 is the match.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Captures {
    slots: Vec<usize>,
}

const UNSET: usize = usize::MAX;

impl Captures {
    /// Where a group matched; `None` where it took no part.
    pub fn span(&self, group: usize) -> Option<std::ops::Range<usize>> {
        let (from, to) = (*self.slots.get(2 * group)?, *self.slots.get(2 * group + 1)?);
        (from != UNSET && to != UNSET).then_some(from..to)
    }
}

impl Pattern {
    /// Reads and compiles a pattern.
    ///
    /// # Errors
    /// What is wrong in it, and where.
    pub fn new(pattern: &str, dialect: Dialect) -> Result<Pattern, SyntaxError> {
        Pattern::compile(syntax::parse(pattern, dialect)?)
    }

    /// Same, with groups that have no name left out unless the pattern refers to groups: they take time. The others are
    /// numbered anew.
    ///
    /// # Errors
    /// As [`Pattern::new`].
    pub fn with_named_groups(pattern: &str, dialect: Dialect) -> Result<Pattern, SyntaxError> {
        let mut parsed = syntax::parse(pattern, dialect)?;
        if !parsed.node.any(&|node| matches!(node, tree::Node::Backreference { .. })) {
            let named: Vec<u32> = (1..)
                .zip(&parsed.groups)
                .filter(|(_, name)| name.is_some())
                .map(|(number, _)| number)
                .collect();
            let anew = |old: u32| named.binary_search(&old).ok().map(|at| at as u32 + 1);
            parsed.node = parsed.node.with_groups(&anew);
            parsed.groups.retain(Option::is_some);
        }
        Pattern::compile(parsed)
    }

    fn compile(parsed: syntax::Parsed) -> Result<Pattern, SyntaxError> {
        let node = simplify::simplify(parsed.node);
        let n_groups = parsed.groups.len();
        let program = Program::new(&node, n_groups).ok_or_else(|| SyntaxError {
            at: 0,
            what: "the pattern is too long once its counts are written out".into(),
        })?;
        let literals = literal::needed(&node);
        let needles = literal::best(&literals).map(Vec::as_slice).unwrap_or_default();
        let needles = needles.iter().map(|own| Finder::new(own.as_bytes()).into_owned()).collect();
        Ok(Pattern {
            program: Box::new(program),
            linear: Linear::new(node, n_groups),
            needles,
            literals,
            groups: parsed.groups,
        })
    }

    /// Name of each group from number 1 on.
    pub fn groups(&self) -> &[Option<String>] {
        &self.groups
    }

    /// Whether the linear engine can say all of it, so that no text is too complex for it.
    pub fn is_linear(&self) -> bool {
        self.linear.exact()
    }

    /// Lists of literals of which each has one that is in every match.
    pub(crate) fn literals(&self) -> &[Vec<String>] {
        &self.literals
    }

    /// The groups of the leftmost match.
    ///
    /// # Errors
    /// [`TooComplex`], never for a pattern that [`Pattern::is_linear`].
    pub fn captures(&self, text: &str) -> Result<Option<Captures>, TooComplex> {
        if !self.needles.is_empty()
            && self.needles.iter().all(|needle| needle.find(text.as_bytes()).is_none())
        {
            return Ok(None);
        }
        self.captures_from_candidate(text)
    }

    /// Same, for a text that is known to have one of the needles.
    pub(crate) fn captures_from_candidate(&self, text: &str) -> Result<Option<Captures>, TooComplex> {
        self.captures_in(text, &mut 0)
    }

    /// Same; adds the steps of the machine to `steps`.
    fn captures_in(&self, text: &str, steps: &mut u64) -> Result<Option<Captures>, TooComplex> {
        let anchored = match self.program.anchored {
            Some(Assert::TextStart) => true,
            Some(_) => memchr::memchr(b'\n', text.as_bytes()).is_none(),
            None => false,
        };
        let mut machine = Machine::new(&self.program, text, QUICK_STEPS);
        // Most lines match from their start on, so that is tried before the search for a place.
        let mut at_start = machine.matches_at(0);
        let mut start = 0;
        if !anchored && at_start == Ok(false) {
            at_start = match self.linear.start(text) {
                Ok(None) => Ok(false),
                found => {
                    start = found.ok().flatten().unwrap_or(0);
                    search(&mut machine, text, start)
                }
            };
        }
        *steps += machine.steps;
        if let Ok(found) = at_start {
            return Ok(found.then_some(Captures { slots: std::mem::take(&mut machine.slots) }));
        }
        if let Some(found) = self.linear.captures(text, anchored) {
            let slots =
                |spans: Vec<Option<usize>>| spans.into_iter().map(|place| place.unwrap_or(UNSET)).collect();
            return Ok(found.map(|spans| Captures { slots: slots(spans) }));
        }
        match self.linear.start(text) {
            Ok(None) => return Ok(None),
            Ok(Some(found)) if !anchored => start = found,
            Ok(Some(_)) | Err(()) => {}
        }
        let mut machine = Machine::new(&self.program, text, MOST_STEPS);
        let found = if anchored { machine.matches_at(0) } else { search(&mut machine, text, start) };
        *steps += machine.steps;
        match found {
            Ok(found) => Ok(found.then_some(Captures { slots: std::mem::take(&mut machine.slots) })),
            Err(Exhausted) => Err(TooComplex),
        }
    }

    /// Whether there is a match.
    ///
    /// # Errors
    /// As [`Pattern::captures`].
    pub fn is_match(&self, text: &str) -> Result<bool, TooComplex> {
        self.captures(text).map(|found| found.is_some())
    }

    /// How far a match from the start of `text` comes before it fails.
    pub fn furthest(&self, text: &str) -> usize {
        let mut machine = Machine::without_scans(&self.program, text, FURTHEST_STEPS);
        match machine.matches_at(0) {
            Ok(true) => text.len(),
            // Exhausted or not: what it saw until then is the answer.
            Ok(false) | Err(Exhausted) => machine.furthest.0,
        }
    }
}

/// Tries from `start` on.
fn search(machine: &mut Machine<'_>, text: &str, mut start: usize) -> Result<bool, Exhausted> {
    loop {
        if machine.matches_at(start)? {
            return Ok(true);
        }
        let Some(next) = text[start..].chars().next() else { return Ok(false) };
        start += next.len_utf8();
    }
}
