//! Threads: what an automaton is made of. One of its states is all the threads that a text may have come to.

use regex_syntax::hir::ClassUnicode;

use crate::pattern::set::Set;
use crate::pattern::tree::{Assert, Kind, Node};

/// A part of more threads is no automaton.
const MAX_THREADS: usize = 400;
/// Least repetitions that are written out.
const MAX_LEAST: u32 = 32;
/// A count from here on is not kept: shorter texts do not reach it.
const ENDLESS: u32 = 48;

#[derive(Debug)]
pub(super) enum Thread {
    /// Takes a character of the set and goes on there.
    Take(usize, usize),
    /// Goes on in each place; the first one counts most.
    Fork([usize; 2]),
    /// Goes on there if it holds.
    Check(Check, usize),
    End,
}

#[derive(Debug, Clone, Copy)]
pub(super) enum Check {
    Assert(Assert),
    Peek { ahead: bool, negative: bool, set: usize },
}

#[derive(Debug)]
pub(super) struct Threads {
    pub(super) all: Vec<Thread>,
    pub(super) first: usize,
    pub(super) sets: Vec<Set>,
    classes: Vec<ClassUnicode>,
    /// Bytes of a text in which no count that is not kept is reached.
    pub(super) most: usize,
    /// Whether the first way counts, whatever follows.
    pub(super) atomic: bool,
}

/// Whether `node` can be a part of an automaton.
pub(super) fn may_have(node: &Node) -> bool {
    !node.any(&|node| match node {
        Node::Group(..) | Node::Backreference { .. } => true,
        Node::Look { node, .. } => !matches!(**node, Node::Set(_)),
        _ => false,
    })
}

/// Whether the machine takes several steps for it, or ways back.
fn is_worth_while(parts: &[Node]) -> bool {
    let branches = |node: &Node| match node {
        Node::Alternate(_) => true,
        Node::Repeat { node, .. } => !matches!(**node, Node::Set(_)),
        _ => false,
    };
    let checks = parts.iter().filter(|part| matches!(part, Node::Assert(_) | Node::Look { .. })).count();
    checks > 1 && parts.len() > checks || parts.iter().any(|part| part.any(&branches))
}

impl Threads {
    pub(super) fn new(parts: &[Node]) -> Option<Threads> {
        if !is_worth_while(parts) || !parts.iter().all(may_have) {
            return None;
        }
        // An atomic group behind what takes nothing is all atomic.
        let (last, before) = parts.split_last()?;
        let is_idle = |part: &Node| matches!(part, Node::Assert(_) | Node::Look { .. });
        let (last, atomic) = match last {
            Node::Atomic(inner) if before.iter().all(is_idle) => (&**inner, true),
            other => (other, false),
        };
        let all = vec![Thread::End];
        let (sets, classes) = (Vec::new(), Vec::new());
        let mut threads = Threads { all, first: 0, sets, classes, most: usize::MAX, atomic };
        threads.first = threads.add(last, 0)?;
        for part in before.iter().rev() {
            threads.first = threads.add(part, threads.first)?;
        }
        Some(threads)
    }

    fn push(&mut self, thread: Thread) -> Option<usize> {
        self.all.push(thread);
        (self.all.len() <= MAX_THREADS).then_some(self.all.len() - 1)
    }

    fn set(&mut self, class: &ClassUnicode) -> usize {
        if let Some(known) = self.classes.iter().position(|own| own == class) {
            return known;
        }
        self.classes.push(class.clone());
        self.sets.push(Set::new(class));
        self.sets.len() - 1
    }

    /// Adds `node` before `next`; says where it begins.
    fn add(&mut self, node: &Node, next: usize) -> Option<usize> {
        match node {
            Node::Empty => Some(next),
            Node::Set(class) => {
                let set = self.set(class);
                self.push(Thread::Take(set, next))
            }
            Node::Concat(parts) => parts.iter().rev().try_fold(next, |next, part| self.add(part, next)),
            Node::Alternate(branches) => {
                let (last, before) = branches.split_last()?;
                let mut all = self.add(last, next)?;
                for branch in before.iter().rev() {
                    let own = self.add(branch, next)?;
                    all = self.push(Thread::Fork([own, all]))?;
                }
                Some(all)
            }
            Node::Repeat { node, min, max, kind } => self.add_repeat(node, *min, *max, *kind, next),
            Node::Assert(assert) => self.push(Thread::Check(Check::Assert(*assert), next)),
            Node::Look { ahead, negative, node } => {
                let Node::Set(class) = &**node else { return None };
                let set = self.set(class);
                self.push(Thread::Check(Check::Peek { ahead: *ahead, negative: *negative, set }, next))
            }
            Node::Group(..) | Node::Atomic(_) | Node::Backreference { .. } => None,
        }
    }

    fn add_repeat(
        &mut self,
        node: &Node,
        min: u32,
        max: Option<u32>,
        kind: Kind,
        next: usize,
    ) -> Option<usize> {
        // What takes nothing may go round for ever.
        if node.width().0 == 0 || min > MAX_LEAST {
            return None;
        }
        let fork = |into, past| match kind {
            Kind::Greedy => Thread::Fork([into, past]),
            Kind::Lazy => Thread::Fork([past, into]),
        };
        let mut at = next;
        match max {
            Some(max) if max < ENDLESS => {
                for _ in min..max {
                    let own = self.add(node, at)?;
                    at = self.push(fork(own, next))?;
                }
            }
            _ => {
                self.most = max.map_or(self.most, |max| self.most.min(max as usize));
                at = self.push(Thread::End)?;
                let own = self.add(node, at)?;
                self.all[at] = fork(own, next);
            }
        }
        (0..min).try_fold(at, |at, _| self.add(node, at))
    }
}
