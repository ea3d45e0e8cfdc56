//! Lines that belong together: rules, and where the entry at the front of some bytes ends. Pure, and without memory: an
//! entry is judged from its first line on, so where a forwarder was stopped never shows.

pub(crate) mod presets;
#[cfg(test)]
mod tests;

use regex::bytes::{Regex, RegexBuilder};

use crate::split::{Cut, cut};
use millrace_schemas::LineEnd;

/// How lines become entries.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Join {
    /// An entry goes on with lines by one condition.
    Condition {
        /// Only a line that matches begins an entry of several lines.
        start: String,
        /// What the condition means.
        mode: Mode,
        /// Of the lines after the first.
        condition: String,
    },
    /// An entry goes on as long as the next line is one that may follow.
    States(Vec<StateRule>),
}

/// What it means that a line matches the condition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// It belongs to the entry; the first that does not match is not of it.
    ContinueThrough,
    /// It belongs to the entry, and so does the first that does not match.
    ContinuePast,
    /// It begins the next entry.
    HaltBefore,
    /// It is the last of the entry.
    HaltWith,
}

/// A line that matches `pattern` may stand in one of `states`, and leads to `next`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StateRule {
    /// Names; [`StateRule::START`] begins an entry.
    pub states: Vec<String>,
    /// Expression over a line without its end.
    pub pattern: String,
    /// State of the next line.
    pub next: String,
}

impl StateRule {
    /// The state before the first line.
    pub const START: &'static str = "start";
}

impl Join {
    /// An entry begins at each line that matches.
    pub fn start(pattern: &str) -> Join {
        Join::Condition { start: String::new(), mode: Mode::HaltBefore, condition: pattern.to_owned() }
    }

    /// A line that matches belongs to the entry before it.
    pub fn continuation(pattern: &str) -> Join {
        Join::Condition { start: String::new(), mode: Mode::ContinueThrough, condition: pattern.to_owned() }
    }

    /// An indented line belongs to the entry before it.
    pub fn indentation() -> Join {
        Join::continuation("^[ \t]")
    }

    /// Compiles its expressions.
    ///
    /// # Errors
    /// What is wrong with them.
    pub fn compile(&self) -> Result<Joiner, String> {
        let regex = |text: &String| {
            let built = RegexBuilder::new(text).unicode(false).build();
            built.map_err(|error| {
                let error = error.to_string();
                format!("{text:?} is no expression: {}", error.lines().last().unwrap_or_default())
            })
        };
        Ok(Joiner(match self {
            Join::Condition { start, mode, condition } => {
                Inner::Condition { start: regex(start)?, mode: *mode, condition: regex(condition)? }
            }
            Join::States(rules) => {
                let mut names: Vec<&str> = vec![StateRule::START];
                for name in rules.iter().flat_map(|rule| rule.states.iter().chain([&rule.next])) {
                    if !names.contains(&name.as_str()) {
                        names.push(name);
                    }
                }
                let number = |name: &String| names.iter().position(|own| own == name).unwrap_or_default();
                let compiled = rules.iter().map(|rule| {
                    Ok((rule.states.iter().map(number).collect(), regex(&rule.pattern)?, number(&rule.next)))
                });
                Inner::States(compiled.collect::<Result<_, String>>()?)
            }
        }))
    }
}

/// Compiled rules.
#[derive(Debug, Clone)]
pub struct Joiner(Inner);

#[derive(Debug, Clone)]
enum Inner {
    Condition { start: Regex, mode: Mode, condition: Regex },
    States(Vec<(Vec<usize>, Regex, usize)>),
}

/// What becomes of the next line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Next {
    /// It belongs to the entry, which may go on in this state.
    Goes(usize),
    /// It is the last of the entry.
    Last,
    /// It is not of the entry.
    Not,
}

impl Joiner {
    /// State after the first line of an entry; `None` where the line is an entry by itself.
    pub(crate) fn begin(&self, line: &[u8]) -> Option<usize> {
        match &self.0 {
            Inner::Condition { start, .. } => start.is_match(line).then_some(0),
            Inner::States(rules) => follow(rules, 0, line),
        }
    }

    fn next(&self, state: usize, line: &[u8]) -> Next {
        match &self.0 {
            Inner::Condition { mode, condition, .. } => match (mode, condition.is_match(line)) {
                (Mode::ContinueThrough | Mode::ContinuePast, true) => Next::Goes(0),
                (Mode::HaltBefore | Mode::HaltWith, false) => Next::Goes(0),
                (Mode::ContinuePast, false) | (Mode::HaltWith, true) => Next::Last,
                (Mode::ContinueThrough, false) | (Mode::HaltBefore, true) => Next::Not,
            },
            // Nothing leads on from state 0 within an entry: there the next one begins.
            Inner::States(rules) => match follow(rules, state, line) {
                Some(next) if state != 0 => Next::Goes(next),
                Some(_) | None => Next::Not,
            },
        }
    }

    /// State after `line`, and whether it is the last of its entry; `None` where it is not of it.
    pub(crate) fn step(&self, state: usize, line: &[u8]) -> Option<(usize, bool)> {
        match self.next(state, line) {
            Next::Goes(next) => Some((next, false)),
            Next::Last => Some((state, true)),
            Next::Not => None,
        }
    }

    /// The entries that `lines` (without their ends) make, as numbers of lines, the last one ended by the end of them.
    pub fn entries(&self, lines: &[&[u8]]) -> Vec<std::ops::Range<usize>> {
        let mut entries = Vec::new();
        let mut from = 0;
        while from < lines.len() {
            let mut to = from + 1;
            let mut state = self.begin(lines[from]);
            while let (Some(own), Some(line)) = (state, lines.get(to)) {
                let next = self.next(own, line);
                to += usize::from(next != Next::Not);
                state = if let Next::Goes(state) = next { Some(state) } else { None };
            }
            entries.push(from..to);
            from = to;
        }
        entries
    }
}

fn follow(rules: &[(Vec<usize>, Regex, usize)], state: usize, line: &[u8]) -> Option<usize> {
    let fits =
        |(states, regex, _): &&(Vec<usize>, Regex, usize)| states.contains(&state) && regex.is_match(line);
    rules.iter().find(fits).map(|(_, _, next)| *next)
}

/// What is waited for no longer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Flush {
    /// Nothing: what is not complete waits.
    No,
    /// The next line: an entry of whole lines is complete.
    Entry,
    /// The line's end too.
    Line,
}

/// An entry and the number of line ends in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) cut: Cut,
    pub(crate) line_ends: i64,
}

impl Entry {
    pub(crate) fn line(cut: Cut) -> Entry {
        Entry { cut, line_ends: i64::from(cut.end != LineEnd::None) }
    }
}

/// Cuts the entry at the front of `bytes`. It has at most `max_lines` lines and `max_bytes` bytes; an over-long line is in
/// no entry, but travels in pieces by itself.
pub(crate) fn cut_entry(
    joiner: &Joiner,
    bytes: &[u8],
    piece: i32,
    ((max_bytes, margin), max_lines): ((usize, usize), usize),
    flush: Flush,
) -> Option<Entry> {
    let line_at = |at: usize, piece: i32| cut(&bytes[at..], piece, (max_bytes, margin), flush == Flush::Line);
    let first = line_at(0, piece)?;
    let whole = Entry::line(first);
    if first.piece.is_some() || first.end == LineEnd::None {
        return Some(whole);
    }
    let Some(mut state) = joiner.begin(&bytes[..first.body]) else { return Some(whole) };
    let (mut entry, mut n_lines) = (whole, 1);
    // Nothing beyond it can join: what is in view is over the limit.
    let crowded = bytes.len() >= max_bytes + margin;
    while n_lines < max_lines {
        let start = entry.cut.len();
        let Some(line) = line_at(start, 0) else {
            return (flush >= Flush::Entry || crowded).then_some(entry);
        };
        if line.piece.is_some() || start + line.body > max_bytes {
            return Some(entry);
        }
        let next = joiner.next(state, &bytes[start..start + line.body]);
        if next == Next::Not {
            return Some(entry);
        }
        entry.cut = Cut { body: start + line.body, end: line.end, piece: None };
        entry.line_ends += i64::from(line.end != LineEnd::None);
        n_lines += 1;
        match next {
            Next::Goes(then) => state = then,
            Next::Last | Next::Not => break,
        }
    }
    Some(entry)
}
