//! A pattern as a tree, after its syntax is read.

use regex_syntax::hir::{ClassUnicode, ClassUnicodeRange};

/// What a pattern consists of.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Node {
    Empty,
    /// One character.
    Set(ClassUnicode),
    Concat(Vec<Node>),
    /// The first one that leads to a match counts.
    Alternate(Vec<Node>),
    Repeat {
        node: Box<Node>,
        min: u32,
        max: Option<u32>,
        kind: Kind,
    },
    /// A group that captures; numbers begin at 1.
    Group(u32, Box<Node>),
    Look {
        ahead: bool,
        negative: bool,
        node: Box<Node>,
    },
    /// Once left, it is not entered again to try another way.
    Atomic(Box<Node>),
    Assert(Assert),
    /// The text that the last of these groups to take part has captured.
    Backreference {
        groups: Vec<u32>,
        ignore_case: bool,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Greedy,
    Lazy,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Assert {
    TextStart,
    TextEnd,
    LineStart,
    LineEnd,
    WordBoundary,
    NoWordBoundary,
}

impl Node {
    pub(crate) fn char(char: char) -> Node {
        Node::Set(set([(char, char)]))
    }

    pub(crate) fn repeat(node: Node, min: u32, max: Option<u32>, kind: Kind) -> Node {
        Node::Repeat { node: Box::new(node), min, max, kind }
    }

    /// Parts one after the other.
    pub(crate) fn concat(mut parts: Vec<Node>) -> Node {
        parts.retain(|part| *part != Node::Empty);
        match parts.len() {
            0 => Node::Empty,
            1 => parts.remove(0),
            _ => Node::Concat(parts),
        }
    }

    pub(crate) fn alternate(mut branches: Vec<Node>) -> Node {
        if branches.len() == 1 { branches.remove(0) } else { Node::Alternate(branches) }
    }

    /// Fewest and most characters that it takes; `None`: any number, or what a group captured.
    pub(crate) fn width(&self) -> (u32, Option<u32>) {
        match self {
            Node::Empty | Node::Look { .. } | Node::Assert(_) => (0, Some(0)),
            Node::Set(_) => (1, Some(1)),
            Node::Concat(parts) => parts.iter().map(Node::width).fold((0, Some(0)), |sum, part| {
                (
                    sum.0.saturating_add(part.0),
                    sum.1.zip(part.1).and_then(|(sum, part)| sum.checked_add(part)),
                )
            }),
            Node::Alternate(branches) => {
                let widths: Vec<_> = branches.iter().map(Node::width).collect();
                let most =
                    widths.iter().map(|width| width.1).try_fold(0, |most, own| own.map(|own| own.max(most)));
                (widths.iter().map(|width| width.0).min().unwrap_or(0), most)
            }
            Node::Repeat { node, min, max, .. } => {
                let (least, most) = node.width();
                let most = match (most, max) {
                    (Some(0), _) => Some(0),
                    (most, max) => most.zip(*max).and_then(|(most, max)| most.checked_mul(max)),
                };
                (least.saturating_mul(*min), most)
            }
            Node::Group(_, node) | Node::Atomic(node) => node.width(),
            Node::Backreference { .. } => (0, None),
        }
    }

    /// Same with the groups of which `number` says their new number, and without the others.
    pub(crate) fn with_groups(self, number: &impl Fn(u32) -> Option<u32>) -> Node {
        let all = |parts: Vec<Node>| parts.into_iter().map(|part| part.with_groups(number)).collect();
        let one = |node: Box<Node>| Box::new(node.with_groups(number));
        match self {
            Node::Group(old, node) => match number(old) {
                Some(new) => Node::Group(new, one(node)),
                None => node.with_groups(number),
            },
            Node::Concat(parts) => Node::Concat(all(parts)),
            Node::Alternate(branches) => Node::Alternate(all(branches)),
            Node::Repeat { node, min, max, kind } => Node::Repeat { node: one(node), min, max, kind },
            Node::Look { ahead, negative, node } => Node::Look { ahead, negative, node: one(node) },
            Node::Atomic(node) => Node::Atomic(one(node)),
            Node::Empty | Node::Set(_) | Node::Assert(_) | Node::Backreference { .. } => self,
        }
    }

    /// Whether it, or anything in it, is such.
    pub(crate) fn any(&self, is: &impl Fn(&Node) -> bool) -> bool {
        is(self)
            || match self {
                Node::Concat(parts) | Node::Alternate(parts) => parts.iter().any(|part| part.any(is)),
                Node::Repeat { node, .. }
                | Node::Group(_, node)
                | Node::Look { node, .. }
                | Node::Atomic(node) => node.any(is),
                Node::Empty | Node::Set(_) | Node::Assert(_) | Node::Backreference { .. } => false,
            }
    }
}

pub(crate) fn set(ranges: impl IntoIterator<Item = (char, char)>) -> ClassUnicode {
    ClassUnicode::new(ranges.into_iter().map(|(from, to)| ClassUnicodeRange::new(from, to)))
}

pub(crate) fn negated(mut set: ClassUnicode) -> ClassUnicode {
    set.negate();
    set
}

pub(crate) fn overlap(one: &ClassUnicode, other: &ClassUnicode) -> bool {
    let mut both = one.clone();
    both.intersect(other);
    !both.ranges().is_empty()
}
