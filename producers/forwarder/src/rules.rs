//! What an input's options mean, compiled once: the paths it leaves out, how its bytes become text, what is masked.

#[cfg(test)]
mod tests;

use std::borrow::Cow;
use std::path::Path;
use std::time::Duration;

use glob::{MatchOptions, Pattern};
use regex::bytes::{Regex, RegexBuilder};
use tracing::warn;

use crate::container::{Bounds, Container, Group, cut_group};
use crate::encoding::{Encoding, MARK};
use crate::follow::Follow;
use crate::join::{Entry, Flush, Joiner, cut_entry};
use crate::options::Input;
use crate::split::{LINE_END_MAX, cut};

/// Bytes beyond the longest line that are looked at before it is cut, so that no match of this length is cut in two.
pub(crate) const REDACTION_VIEW: usize = 4 << 10;

/// What is done to the files of one input.
#[derive(Debug)]
pub(crate) struct Rules {
    /// By name where the pattern has no slash, else by path.
    exclude: Vec<(Pattern, bool)>,
    pub(crate) encoding: Encoding,
    pub(crate) container: Option<Container>,
    pub(crate) joiner: Option<Joiner>,
    max_lines: usize,
    entry_timeout: Duration,
    redact: Vec<(Regex, Vec<u8>)>,
}

/// What is handed on at once.
#[derive(Debug)]
pub(crate) enum Found {
    /// A line, a piece of one, or lines that belong together: bytes of the text as they stand there.
    Entry(Entry),
    /// Lines of containers.
    Group(Group),
}

impl Rules {
    /// Compiles; every fault is added to `faults`, with `path` before it.
    pub(crate) fn compile(input: &Input, path: &str, faults: &mut Vec<String>) -> Rules {
        let mut exclude = Vec::new();
        for (i, text) in input.exclude.iter().enumerate() {
            match Pattern::new(text) {
                Ok(pattern) => exclude.push((pattern, !text.contains('/'))),
                Err(error) => faults.push(format!("{path}.exclude[{i}] {text:?} is no pattern: {error}")),
            }
        }
        let mut redact = Vec::new();
        for (i, rule) in input.redact.iter().enumerate() {
            // By bytes, not characters: what is no text must not end a match of `\S+`.
            match RegexBuilder::new(&rule.pattern).unicode(false).build() {
                Ok(regex) => redact.push((regex, rule.mask.clone().into_bytes())),
                Err(error) => {
                    let (text, error) = (&rule.pattern, error.to_string());
                    let error = last_line(&error);
                    faults.push(format!("{path}.redact[{i}].pattern {text:?} is no expression: {error}"));
                }
            }
        }
        let joiner = input.join.as_ref().and_then(|join| {
            join.compile().map_err(|error| faults.push(format!("{path}.join: {error}"))).ok()
        });
        Rules {
            exclude,
            encoding: input.encoding,
            container: input.container,
            joiner,
            max_lines: input.entry_max_lines.max(1),
            entry_timeout: input.entry_timeout,
            redact,
        }
    }

    /// Whether the input does not want `path`, though a glob names it.
    pub(crate) fn leaves_out(&self, path: &Path) -> bool {
        let options = MatchOptions { require_literal_separator: true, ..MatchOptions::new() };
        let name = path.file_name().map(Path::new).unwrap_or(path);
        let hit = |(pattern, by_name): &(Pattern, bool)| {
            let text = if *by_name { name } else { path }.to_string_lossy();
            pattern.matches_with(&text, options)
        };
        self.exclude.iter().any(hit)
    }

    /// Whether what is handed on can be of another length than what was read.
    pub(crate) fn alter(&self) -> bool {
        self.encoding != Encoding::Utf8 || self.container.is_some() || !self.redact.is_empty()
    }

    /// How long what is there waits for what may belong to it, where a line without end waits for `line`.
    pub(crate) fn patience(&self, line: Duration) -> Duration {
        let whole_lines = self.container.is_none() && self.joiner.is_none();
        if whole_lines { line } else { line.min(self.entry_timeout) }
    }

    /// Finds what is at the front of `text`, which begins a line or its piece number `piece`; `None` is 'not yet'.
    pub(crate) fn find(&self, text: &[u8], piece: i32, max_bytes: usize, flush: Flush) -> Option<Found> {
        let limits = (max_bytes, self.margin());
        match (self.container, &self.joiner) {
            (Some(container), joiner) => {
                // An over-long line is not unwrapped, but travels in pieces like any other.
                let first = cut(text, piece, limits, flush == Flush::Line);
                if let Some(own) = first.filter(|own| own.piece.is_some()) {
                    return Some(Found::Entry(Entry::line(own)));
                }
                let bounds = Bounds { max_bytes, margin: limits.1, max_lines: self.max_lines };
                cut_group(container, joiner.as_ref(), text, bounds, flush).map(Found::Group)
            }
            (None, Some(joiner)) => {
                cut_entry(joiner, text, piece, (limits, self.max_lines), flush).map(Found::Entry)
            }
            (None, None) => {
                cut(text, piece, limits, flush == Flush::Line).map(|own| Found::Entry(Entry::line(own)))
            }
        }
    }

    /// Bytes at the end of a file that was read to its end and that make no character.
    pub(crate) fn no_text(&self, follow: &Follow) -> u64 {
        let rest = follow.unread();
        let mark_alone = follow.position.byte == 0 && rest == MARK as u64 && self.encoding.widest() == MARK;
        if rest == 0 || mark_alone {
            return 0;
        }
        let (path, from) = (follow.place.display(), follow.position.byte);
        warn!(%path, from, to = follow.size, "a file ended within a character; these bytes are lost");
        rest
    }

    /// Bytes that must be in view beyond the longest line to cut it well.
    pub(crate) fn margin(&self) -> usize {
        if self.redact.is_empty() { LINE_END_MAX } else { REDACTION_VIEW }
    }

    /// Where to cut the over-long line at the front of `view` so that neither a match nor a character that was decoded is
    /// cut in two; `at` is where it would be.
    pub(crate) fn soft_cut(&self, view: &[u8], at: usize) -> usize {
        let mut cut = at;
        loop {
            let before = cut;
            for (regex, _) in &self.redact {
                let mut found = regex.find_iter(view).take_while(|found| found.start() < cut);
                cut = found.find(|found| found.end() > cut).map_or(cut, |found| found.start());
            }
            if cut == before {
                break;
            }
        }
        // A match over all of it is cut, and masked in parts.
        let mut cut = if cut == 0 { at } else { cut };
        while self.encoding != Encoding::Utf8
            && cut > 0
            && view.get(cut).is_some_and(|byte| byte & 0xc0 == 0x80)
        {
            cut -= 1;
        }
        cut
    }

    /// What may leave the host. A line that grows beyond `max` by its masks is cut there.
    pub(crate) fn masked<'a>(&self, body: &'a [u8], max: usize) -> Cow<'a, [u8]> {
        let mut text = Cow::Borrowed(body);
        for (regex, mask) in &self.redact {
            if let Cow::Owned(masked) = regex.replace_all(&text, mask.as_slice()) {
                text = Cow::Owned(masked);
            }
        }
        if let Cow::Owned(owned) = &mut text {
            owned.truncate(max.max(body.len()));
        }
        text
    }
}

/// The regex crate draws a picture; its last line says what is wrong.
fn last_line(text: &str) -> &str {
    text.lines().last().unwrap_or_default().trim_start_matches("error: ")
}
