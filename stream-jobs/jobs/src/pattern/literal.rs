//! Literals that every match of a pattern has.

use super::tree::Node;

/// More alternatives are not worth their search.
const MOST: usize = 12;

/// Lists of literals, of each of which one is in every match.
pub(super) fn needed(node: &Node) -> Vec<Vec<String>> {
    let mut found = Vec::new();
    collect(node, &mut found);
    found.retain(|own| !own.is_empty() && own.len() <= MOST);
    found
}

/// The list that says most.
pub(super) fn best(lists: &[Vec<String>]) -> Option<&Vec<String>> {
    lists.iter().max_by_key(|own| {
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
            let each: Option<Vec<Vec<String>>> =
                branches.iter().map(|own| best(&needed(own)).cloned()).collect();
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
