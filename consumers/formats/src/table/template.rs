//! Bodies as templates of what the parser found, so that a line's text is stored once.
//!
//! A template is the body with `«name»` where a field's text stood, and `«@time»`, `«@user»`, `«@message»` and
//! `«@severity»` where the columns `time_text`, `user`, `message` and `severity` have it. Putting the texts back, in any
//! order, gives the exact body: this is tried before a template is used, and a body for which it fails is stored whole.

use std::borrow::Cow;
use std::collections::HashSet;
use std::iter::successors;
use std::ops::Range;

use memchr::memmem;

use super::clock;

const OPEN: char = '«';
const CLOSE: char = '»';
/// What both begin with in UTF-8.
const FIRST_BYTE: u8 = 0xc2;

/// Names of the columns that may stand in a template, as it has them.
pub(super) const TIME: &str = "@time";
pub(super) const USER: &str = "@user";
pub(super) const MESSAGE: &str = "@message";
pub(super) const SEVERITY: &str = "@severity";

/// Shorter texts of columns are left where they are: they may stand anywhere by chance.
const MIN_COLUMN: usize = 3;

/// Formats that are remembered whole: lines of more than a few seldom take turns.
const MOST_KNOWN: usize = 8;

/// The templates of one row file.
#[derive(Debug, Default)]
pub(super) struct Templates {
    /// Those of the last lines, the last one first: most lines are made as one of them was.
    known: Vec<Known>,
    seen: HashSet<String>,
    rows: usize,
    template: String,
    rebuilt: String,
    slots: Vec<(Range<usize>, usize)>,
}

/// A template, and the text of the time in the body.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Made<'t> {
    pub(super) template: &'t str,
    pub(super) time: Option<Range<usize>>,
}

impl Templates {
    /// The template of `body`, if it has a useful one. `texts` are the fields' names and texts, then the columns'.
    pub(super) fn of(&mut self, body: &str, texts: &[(&str, Cow<'_, str>)]) -> Option<Made<'_>> {
        self.rows += 1;
        if texts.is_empty() || position(OPEN, body).is_some() {
            return None;
        }
        let mut last = self.known.iter().enumerate();
        if let Some((at, time)) = last.find_map(|(at, known)| Some((at, known.fits(body, texts)?))) {
            self.known[..=at].rotate_right(1);
            return Some(Made { template: &self.known[0].template, time });
        }
        let time = self.make(body, texts)?;
        if self.seen.contains(&self.template) {
            self.known.truncate(MOST_KNOWN - 1);
            self.known.insert(0, Known::new(&self.template, texts));
        } else {
            // A format has a few dozen; where most lines need their own, templates are no gain.
            if self.seen.len() > 64 + self.rows / 32 {
                return None;
            }
            self.seen.insert(self.template.clone());
        }
        Some(Made { template: &self.template, time })
    }

    /// Makes a template of the texts wherever they stand, and the time in it.
    fn make(&mut self, body: &str, texts: &[(&str, Cow<'_, str>)]) -> Option<Option<Range<usize>>> {
        find_slots(body, texts, &mut self.slots);
        if self.slots.is_empty() {
            return None;
        }
        let range = fill(body, texts, &self.slots, &mut self.template);
        let time = range.clone().map(|range| &body[range]);
        let text = |name: &str| match name {
            TIME => time,
            _ => first(texts, name).map(|which| texts[which].1.as_ref()),
        };
        self.rebuilt.clear();
        (rebuild(&self.template, text, &mut self.rebuilt) && self.rebuilt == body).then_some(range)
    }
}

/// A template in parts, to hold a body against it.
#[derive(Debug)]
struct Known {
    template: String,
    /// Of the texts, in their order.
    names: Vec<String>,
    /// What stands before each slot, and which text in it; `None`: the time.
    parts: Vec<(String, Option<usize>)>,
    tail: String,
}

impl Known {
    fn new(template: &str, texts: &[(&str, Cow<'_, str>)]) -> Known {
        let (mut parts, mut rest) = (Vec::new(), template);
        while let Some((literal, name, after)) = next_slot(rest) {
            parts.push((literal.to_owned(), first(texts, name)));
            rest = after;
        }
        let names = texts.iter().map(|(name, _)| (*name).to_owned()).collect();
        Known { template: template.to_owned(), names, parts, tail: rest.to_owned() }
    }

    /// Whether the template with these texts is `body`, and where the time is then.
    fn fits(&self, body: &str, texts: &[(&str, Cow<'_, str>)]) -> Option<Option<Range<usize>>> {
        let alike = texts.len() == self.names.len()
            && texts.iter().zip(&self.names).all(|((name, _), known)| name == known);
        if !alike {
            return None;
        }
        let (mut rest, mut time) = (body, None);
        for (literal, slot) in &self.parts {
            rest = rest.strip_prefix(literal.as_str())?;
            let Some(which) = slot else {
                let (start, len) = (body.len() - rest.len(), clock::at_start(rest)?);
                time = Some(start..start + len);
                rest = &rest[len..];
                continue;
            };
            rest = rest.strip_prefix(texts[*which].1.as_ref())?;
        }
        (rest == self.tail).then_some(time)
    }
}

/// Which of `texts` a slot of this name stands for.
fn first(texts: &[(&str, Cow<'_, str>)], name: &str) -> Option<usize> {
    texts.iter().position(|(own, _)| *own == name)
}

/// Where a bracket stands: `str::find` looks for its second byte, which other letters have, one byte after the other.
fn position(bracket: char, text: &str) -> Option<usize> {
    memchr::memchr_iter(FIRST_BYTE, text.as_bytes()).find(|at| text[*at..].starts_with(bracket))
}

/// Writes the template; the time is a text of its own.
fn fill(
    body: &str,
    texts: &[(&str, Cow<'_, str>)],
    slots: &[(Range<usize>, usize)],
    template: &mut String,
) -> Option<Range<usize>> {
    template.clear();
    let (mut at, mut time) = (0, None);
    let ends = slots.iter().map(|(range, which)| (range.clone(), Some(*which)));
    for (range, which) in ends.chain([(body.len()..body.len(), None)]) {
        let literal = &body[at..range.start];
        // Only the first one: the others are mostly the same.
        match clock::find(literal).filter(|_| time.is_none()) {
            Some(found) => {
                template.push_str(&literal[..found.start]);
                slot(TIME, template);
                template.push_str(&literal[found.end..]);
                time = Some(at + found.start..at + found.end);
            }
            None => template.push_str(literal),
        }
        if let Some((name, _)) = which.and_then(|which| texts.get(which)) {
            slot(name, template);
        }
        at = range.end;
    }
    time
}

fn slot(name: &str, template: &mut String) {
    template.push(OPEN);
    template.push_str(name);
    template.push(CLOSE);
}

/// Where texts stand in `body`: fields one behind the other, then columns wherever there is room; in order.
fn find_slots(body: &str, texts: &[(&str, Cow<'_, str>)], slots: &mut Vec<(Range<usize>, usize)>) {
    slots.clear();
    let mut from = 0;
    for (which, (name, text)) in texts.iter().enumerate() {
        let is_column = [USER, MESSAGE, SEVERITY].contains(name);
        if is_column || text.is_empty() || name.starts_with('@') || name.contains([OPEN, CLOSE]) {
            continue;
        }
        let next = body.as_bytes().get(from..).and_then(|rest| find(rest, text.as_bytes()));
        if let Some(start) = next {
            slots.push((from + start..from + start + text.len(), which));
            from += start + text.len();
        }
    }
    for (which, (name, text)) in texts.iter().enumerate() {
        if ![USER, MESSAGE, SEVERITY].contains(name) || text.len() < MIN_COLUMN {
            continue;
        }
        let next = |from: usize| Some(from + find(body.as_bytes().get(from..)?, text.as_bytes())?);
        let found = successors(next(0), |start| next(start + text.len())).find_map(|start| {
            let range = start..start + text.len();
            let place = slots.partition_point(|(own, _)| own.end <= range.start);
            slots.get(place).is_none_or(|(own, _)| range.end <= own.start).then_some((place, range))
        });
        if let Some((place, range)) = found {
            slots.insert(place, (range, which));
        }
    }
}

/// Where `text` begins. Most are short and near: what sets up a searcher would take longer than a look at each place
/// where the first byte stands; but a long one could make those looks long, too.
fn find(body: &[u8], text: &[u8]) -> Option<usize> {
    match text {
        [first, rest @ ..] if rest.len() < 64 => {
            memchr::memchr_iter(*first, body).find(|&at| body[at + 1..].starts_with(rest))
        }
        _ => memmem::find(body, text),
    }
}

/// What stands before the first slot, its name, and what stands behind it.
fn next_slot(template: &str) -> Option<(&str, &str, &str)> {
    let open = position(OPEN, template)?;
    let slot = &template[open + OPEN.len_utf8()..];
    let close = position(CLOSE, slot)?;
    Some((&template[..open], &slot[..close], &slot[close + CLOSE.len_utf8()..]))
}

/// Appends the body that `template` stands for; false where it names a text that is not there.
pub(super) fn rebuild<'t>(template: &str, text: impl Fn(&str) -> Option<&'t str>, out: &mut String) -> bool {
    let mut rest = template;
    while let Some((literal, name, after)) = next_slot(rest) {
        let Some(text) = text(name) else { return false };
        out.push_str(literal);
        out.push_str(text);
        rest = after;
    }
    out.push_str(rest);
    position(OPEN, rest).is_none()
}
