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

/// Names of the columns that may stand in a template, as it has them.
pub(super) const TIME: &str = "@time";
pub(super) const USER: &str = "@user";
pub(super) const MESSAGE: &str = "@message";
pub(super) const SEVERITY: &str = "@severity";

/// Shorter texts of columns are left where they are: they may stand anywhere by chance.
const MIN_COLUMN: usize = 3;

/// The templates of one row file.
#[derive(Debug, Default)]
pub(super) struct Templates {
    seen: HashSet<String>,
    rows: usize,
    made: Made,
    slots: Vec<(Range<usize>, usize)>,
}

/// A template, and the text of the time in the body.
#[derive(Debug, Default)]
pub(super) struct Made {
    pub(super) template: String,
    pub(super) time: Option<Range<usize>>,
    rebuilt: String,
}

impl Templates {
    /// The template of `body`, if it has a useful one. `texts` are the fields' names and texts, then the columns'.
    pub(super) fn of(&mut self, body: &str, texts: &[(&str, Cow<'_, str>)]) -> Option<&Made> {
        self.rows += 1;
        if texts.is_empty() || body.contains(OPEN) {
            return None;
        }
        find_slots(body, texts, &mut self.slots);
        if self.slots.is_empty() {
            return None;
        }
        self.made.fill(body, texts, &self.slots);
        let time = self.made.time.clone().map(|range| &body[range]);
        let text = |name: &str| match name {
            TIME => time,
            _ => texts.iter().find(|(own, _)| *own == name).map(|(_, text)| text.as_ref()),
        };
        self.made.rebuilt.clear();
        if !rebuild(&self.made.template, text, &mut self.made.rebuilt) || self.made.rebuilt != body {
            return None;
        }
        if !self.seen.contains(&self.made.template) {
            // A format has a few dozen; where most lines need their own, templates are no gain.
            if self.seen.len() > 64 + self.rows / 32 {
                return None;
            }
            self.seen.insert(self.made.template.clone());
        }
        Some(&self.made)
    }
}

impl Made {
    fn fill(&mut self, body: &str, texts: &[(&str, Cow<'_, str>)], slots: &[(Range<usize>, usize)]) {
        self.template.clear();
        self.time = None;
        let mut at = 0;
        let ends = slots.iter().map(|(range, which)| (range.clone(), Some(*which)));
        for (range, which) in ends.chain([(body.len()..body.len(), None)]) {
            self.literal(body, at..range.start);
            if let Some((name, _)) = which.and_then(|which| texts.get(which)) {
                self.slot(name);
            }
            at = range.end;
        }
    }

    /// What stands between two texts; the first time in it is a text of its own.
    fn literal(&mut self, body: &str, range: Range<usize>) {
        let literal = &body[range.clone()];
        match clock::find(literal).filter(|_| self.time.is_none()) {
            Some(time) => {
                self.template.push_str(&literal[..time.start]);
                self.slot(TIME);
                self.template.push_str(&literal[time.end..]);
                self.time = Some(range.start + time.start..range.start + time.end);
            }
            None => self.template.push_str(literal),
        }
    }

    fn slot(&mut self, name: &str) {
        self.template.push(OPEN);
        self.template.push_str(name);
        self.template.push(CLOSE);
    }
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

/// Appends the body that `template` stands for; false where it names a text that is not there.
pub(super) fn rebuild<'t>(template: &str, text: impl Fn(&str) -> Option<&'t str>, out: &mut String) -> bool {
    let mut rest = template;
    while let Some((literal, slot)) = rest.split_once(OPEN) {
        let Some((name, after)) = slot.split_once(CLOSE) else {
            return false;
        };
        let Some(text) = text(name) else { return false };
        out.push_str(literal);
        out.push_str(text);
        rest = after;
    }
    out.push_str(rest);
    true
}
