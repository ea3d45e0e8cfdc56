//! Takes what neighbouring branches begin with out of an alternation, so that it is tried once: `a+:b|a+:c` is
//! `a+:(?:b|c)`.
//!
//! Only a run of a set up to a character outside of it is taken out. It matches in one way at most, so the order in which
//! ways are tried stays the same; and it is no literal, so those that a search can begin with stay whole.

use super::tree::{Kind, Node, overlap};

/// The alternation of `branches`.
pub(super) fn alternation(branches: Vec<Node>) -> Node {
    let mut taken: Vec<Node> = Vec::with_capacity(branches.len());
    let mut rest = branches.into_iter().peekable();
    while let Some(branch) = rest.next() {
        let Some((head, tail)) = head(&branch) else {
            taken.push(branch);
            continue;
        };
        let mut tails = vec![tail];
        while let Some(tail) = rest.peek().and_then(self::head).filter(|(own, _)| *own == head) {
            tails.push(tail.1);
            rest.next();
        }
        taken.push(match tails.len() {
            1 => branch,
            _ => Node::concat(head.into_iter().chain([alternation(tails)]).collect()),
        });
    }
    Node::alternate(taken)
}

/// A run and the character behind it that a branch begins with, and what is left of it.
fn head(branch: &Node) -> Option<([Node; 2], Node)> {
    let parts = match branch {
        Node::Concat(parts) => parts.as_slice(),
        other => std::slice::from_ref(other),
    };
    match parts {
        [Node::Repeat { node, min: min @ 1.., max, kind }, behind @ ..]
            if matches!(**node, Node::Concat(_)) =>
        {
            let (head, Node::Empty) = head(node)? else { return None };
            let again = |max| Node::repeat((**node).clone(), min - 1, max, *kind);
            let again = match max {
                Some(1) => Node::Empty,
                Some(2) if *min == 2 => (**node).clone(),
                max => again(max.map(|max| max - 1)),
            };
            let tail = std::iter::once(again).chain(behind.iter().cloned()).collect();
            Some((head, Node::concat(tail)))
        }
        [run @ Node::Repeat { node, kind: Kind::Greedy, .. }, end @ Node::Set(other), behind @ ..] => {
            let one_way = matches!(&**node, Node::Set(set) if !overlap(set, other));
            one_way.then(|| ([run.clone(), end.clone()], Node::concat(behind.to_vec())))
        }
        _ => None,
    }
}
