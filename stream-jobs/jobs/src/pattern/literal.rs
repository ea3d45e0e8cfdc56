//! Literals that every match of a pattern has.

use super::tree::Node;

/// More alternatives are not worth their search.
const MOST: usize = 12;

/// One of these is in every match. `None`: nothing useful is known.
pub(super) fn needed(node: &Node) -> Option<Vec<String>> {
    let mut best = Vec::new();
    collect(node, &mut best);
    best.into_iter().filter(|own| !own.is_empty() && own.len() <= MOST).max_by_key(|own: &Vec<String>| {
        let shortest = own.iter().map(String::len).min().unwrap_or(0);
        (shortest.min(8), std::cmp::Reverse(own.len()))
    })
}

/// Adds what is needed by every match of `node`; each entry is enough by itself.
fn collect(node: &Node, found: &mut Vec<Vec<String>>) {
    match node {
        Node::Concat(parts) => {
            let mut run = String::new();
            for part in parts {
                match single(part) {
                    Some(own) => run.push(own),
                    None => {
                        flush(&mut run, found);
                        collect(part, found);
                    }
                }
            }
            flush(&mut run, found);
        }
        Node::Set(_) => {
            if let Some(own) = single(node) {
                flush(&mut own.to_string(), found);
            }
        }
        Node::Alternate(branches) => {
            let each: Option<Vec<Vec<String>>> = branches.iter().map(needed).collect();
            if let Some(each) = each {
                found.push(each.concat());
            }
        }
        Node::Repeat { node, min: 1.., .. } | Node::Group(_, node) | Node::Atomic(node) => {
            collect(node, found)
        }
        _ => {}
    }
}

fn flush(run: &mut String, found: &mut Vec<Vec<String>>) {
    // A single character is in most lines.
    if run.len() > 1 {
        found.push(vec![std::mem::take(run)]);
    }
    run.clear();
}

fn single(node: &Node) -> Option<char> {
    let Node::Set(set) = node else { return None };
    match set.ranges() {
        [one] if one.start() == one.end() => Some(one.start()),
        _ => None,
    }
}
