//! Takes atomic groups and look-arounds out of a pattern where that provably changes no match.
//!
//! - Of an atomic group that ends with another one, the inner one says nothing: `(?>a(?>b*))` is `(?>ab*)`.
//! - Branches that begin with other characters each are atomic by themselves: `(?>a+|b)` is `(?:(?>a+)|b)`.
//! - What has one width only leaves an atomic group the same way each time: `(?>\d\d)` is `\d\d`.
//! - A run of one set, as long as it goes, is the run and no more of the set behind it: `[^"]*+` is `[^"]*(?![^"])`.
//! - What neighbouring branches begin with is tried once (`factor`).
//! - `(?!x)` before something that takes a character outside of `x` says nothing.
//!
//! These rules need that no later part refers to a group, so a pattern with references is left alone.

use regex_syntax::hir::ClassUnicode;

use super::factor;
use super::tree::{Kind, Node, overlap};

pub(super) fn simplify(node: Node) -> Node {
    let refers = node.any(&|node| matches!(node, Node::Backreference { .. }));
    if refers { node } else { simple(node, None) }
}

/// `next`: what the character behind `node` can be, where there must be one. Within atomic groups and look-arounds nothing
/// is said of it: what fails behind them does not lead back into them.
fn simple(node: Node, next: Option<&ClassUnicode>) -> Node {
    match node {
        Node::Concat(parts) => {
            let mut kept = Vec::with_capacity(parts.len());
            let mut next = next.cloned();
            for part in parts.into_iter().rev() {
                let part = simple(part, next.as_ref());
                if is_idle(&part, next.as_ref()) {
                    continue;
                }
                next = before(&part, next);
                match part {
                    Node::Concat(inner) => kept.extend(inner.into_iter().rev()),
                    other => kept.push(other),
                }
            }
            kept.reverse();
            Node::concat(kept)
        }
        Node::Alternate(branches) => {
            let simple = branches.into_iter().map(|branch| simple(branch, next));
            let flat = simple.flat_map(|branch| match branch {
                Node::Alternate(inner) => inner,
                other => vec![other],
            });
            factor::alternation(flat.collect())
        }
        Node::Repeat { node, min, max, kind } => {
            let again = if max == Some(1) {
                next.cloned()
            } else {
                before(&node, next.cloned()).filter(|_| next.is_some())
            };
            let again = again.map(|mut again| {
                next.iter().for_each(|next| again.union(next));
                again
            });
            match (simple(*node, again.as_ref()), min, max) {
                (Node::Empty, ..) => Node::Empty,
                (node, 1, Some(1)) => node,
                (node, ..) => Node::repeat(node, min, max, kind),
            }
        }
        Node::Group(number, node) => Node::Group(number, Box::new(simple(*node, next))),
        Node::Look { ahead, negative, node } => {
            let look = Node::Look { ahead, negative, node: Box::new(simple(*node, None)) };
            if is_idle(&look, next) { Node::Empty } else { look }
        }
        Node::Atomic(node) => match atomic(simple(*node, None)) {
            // What became of it may be idle here.
            node @ Node::Concat(_) => simple(node, next),
            node => node,
        },
        Node::Empty | Node::Set(_) | Node::Assert(_) | Node::Backreference { .. } => node,
    }
}

fn is_idle(node: &Node, next: Option<&ClassUnicode>) -> bool {
    match (node, next) {
        (Node::Look { ahead: true, negative: true, node }, Some(next)) => {
            matches!(&**node, Node::Set(set) if !overlap(next, set))
        }
        _ => false,
    }
}

/// What the character can be before which `node` stands, given what is behind it.
fn before(node: &Node, next: Option<ClassUnicode>) -> Option<ClassUnicode> {
    let (mut all, always) = first(node)?;
    if !always {
        all.union(&next?);
    }
    Some(all)
}

fn atomic(node: Node) -> Node {
    let node = open_end(node);
    let (least, most) = node.width();
    if most == Some(least) {
        return node;
    }
    match node {
        Node::Alternate(branches) if are_apart(&branches) => {
            Node::Alternate(branches.into_iter().map(atomic).collect())
        }
        Node::Repeat { node: ref inner, max: None, kind: Kind::Greedy, .. }
            if matches!(**inner, Node::Set(_)) =>
        {
            let no_more = Node::Look { ahead: true, negative: true, node: inner.clone() };
            Node::Concat(vec![node, no_more])
        }
        _ => Node::Atomic(Box::new(node)),
    }
}

/// `node` without the atomic groups that it ends with.
fn open_end(node: Node) -> Node {
    match node {
        Node::Atomic(node) => open_end(*node),
        Node::Concat(mut parts) => {
            let last = parts.pop().map(open_end);
            parts.extend(last);
            Node::concat(parts)
        }
        Node::Alternate(branches) => Node::Alternate(branches.into_iter().map(open_end).collect()),
        Node::Group(number, node) => Node::Group(number, Box::new(open_end(*node))),
        other => other,
    }
}

/// Whether the first character says which branch it is.
fn are_apart(branches: &[Node]) -> bool {
    let mut all = super::tree::set([]);
    branches.iter().all(|branch| {
        let Some((set, true)) = first(branch) else { return false };
        let apart = !overlap(&all, &set);
        all.union(&set);
        apart
    })
}

/// What the first character can be, and whether there is always one.
fn first(node: &Node) -> Option<(ClassUnicode, bool)> {
    let none = super::tree::set([]);
    match node {
        Node::Empty | Node::Assert(_) | Node::Look { .. } => Some((none, false)),
        Node::Set(set) => Some((set.clone(), true)),
        Node::Concat(parts) => {
            let mut all = none;
            for part in parts {
                let (set, ends) = first(part)?;
                all.union(&set);
                if ends {
                    return Some((all, true));
                }
            }
            Some((all, false))
        }
        Node::Alternate(branches) => {
            let (mut all, mut always) = (none, true);
            for branch in branches {
                let (set, ends) = first(branch)?;
                all.union(&set);
                always &= ends;
            }
            Some((all, always))
        }
        Node::Repeat { node, min, .. } => first(node).map(|(set, ends)| (set, ends && *min > 0)),
        Node::Group(_, node) | Node::Atomic(node) => first(node),
        Node::Backreference { .. } => None,
    }
}
