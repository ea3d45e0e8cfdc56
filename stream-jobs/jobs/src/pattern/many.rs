//! Many patterns tried in order, the first match wins.
//!
//! One pass over the text finds the literals of all of them, so that patterns that cannot match are not tried.

use std::collections::HashMap;

use aho_corasick::AhoCorasick;

use super::{Captures, Pattern, TooComplex, literal};

/// Says which of many alternatives a text can be, by literals of which each needs one.
#[derive(Debug)]
pub struct Filter {
    literals: AhoCorasick,
    /// Alternative of each literal.
    owners: Vec<usize>,
    /// Alternatives that need none.
    free: Vec<bool>,
}

impl Filter {
    /// Lists of literals of each alternative, of each of which a text that it reads has one; none: it is always possible. Of
    /// several lists the one is taken whose literals the fewest others share. `None`: too few to be worth a pass.
    pub fn new(alternatives: &[&[Vec<String>]]) -> Option<Filter> {
        let mut shared: HashMap<&str, usize> = HashMap::new();
        for literal in alternatives.iter().flat_map(|lists| lists.iter().flatten()) {
            *shared.entry(literal).or_default() += 1;
        }
        let most = |list: &Vec<String>| list.iter().map(|own| shared[own.as_str()]).max().unwrap_or(0);
        let rarest = alternatives.iter().map(|lists| {
            let fewest = lists.iter().map(most).min();
            let equal: Vec<Vec<String>> =
                lists.iter().filter(|list| Some(most(list)) == fewest).cloned().collect();
            literal::best(&equal).cloned().unwrap_or_default()
        });
        let rarest: Vec<Vec<String>> = rarest.collect();
        let pairs =
            rarest.iter().enumerate().flat_map(|(at, own)| own.iter().map(move |needle| (at, needle)));
        let (owners, needles): (Vec<usize>, Vec<&String>) = pairs.unzip();
        if alternatives.len() < 3 || needles.is_empty() {
            return None;
        }
        let literals = AhoCorasick::new(&needles).ok()?;
        Some(Filter { literals, owners, free: rarest.iter().map(Vec::is_empty).collect() })
    }

    /// For each alternative, whether it is possible.
    pub fn possible(&self, text: &str) -> Vec<bool> {
        let mut possible = self.free.clone();
        for found in self.literals.find_overlapping_iter(text) {
            possible[self.owners[found.pattern().as_usize()]] = true;
        }
        possible
    }
}

/// Patterns in the order in which they are tried.
#[derive(Debug)]
pub struct Many {
    patterns: Vec<Pattern>,
    filter: Option<Filter>,
}

impl Many {
    /// Prepares the patterns.
    pub fn new(patterns: Vec<Pattern>) -> Many {
        let filter = Filter::new(&patterns.iter().map(Pattern::literals).collect::<Vec<_>>());
        Many { patterns, filter }
    }

    /// The patterns.
    pub fn patterns(&self) -> &[Pattern] {
        &self.patterns
    }

    /// Number and groups of the first pattern that matches.
    ///
    /// # Errors
    /// [`TooComplex`] where it, or one before it, was.
    pub fn captures(&self, text: &str) -> Result<Option<(usize, Captures)>, TooComplex> {
        let possible = self.filter.as_ref().map(|filter| filter.possible(text));
        for (at, pattern) in self.patterns.iter().enumerate() {
            let found = match &possible {
                Some(possible) if !possible[at] => None,
                Some(_) => pattern.captures_from_candidate(text)?,
                None => pattern.captures(text)?,
            };
            if let Some(found) = found {
                return Ok(Some((at, found)));
            }
        }
        Ok(None)
    }
}
