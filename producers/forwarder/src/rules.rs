//! What an input's options mean, compiled once: the paths it leaves out, how its bytes become text, what is masked.

#[cfg(test)]
mod tests;

use std::borrow::Cow;
use std::path::Path;

use glob::{MatchOptions, Pattern};
use regex::bytes::{Regex, RegexBuilder};
use tracing::warn;

use crate::encoding::{Encoding, MARK};
use crate::follow::Follow;
use crate::options::Input;
use crate::split::LINE_END_MAX;

/// Bytes beyond the longest line that are looked at before it is cut, so that no match of this length is cut in two.
pub(crate) const REDACTION_VIEW: usize = 4 << 10;

/// What is done to the files of one input.
#[derive(Debug)]
pub(crate) struct Rules {
    /// By name where the pattern has no slash, else by path.
    exclude: Vec<(Pattern, bool)>,
    pub(crate) encoding: Encoding,
    redact: Vec<(Regex, Vec<u8>)>,
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
        Rules { exclude, encoding: input.encoding, redact }
    }

    /// Whether the input does not want `path`, though a glob names it.
    pub(crate) fn leaves_out(&self, path: &Path) -> bool {
        let options = MatchOptions { require_literal_separator: true, ..MatchOptions::new() };
        let name = path.file_name().map(Path::new).unwrap_or(path);
        let hit = |(pattern, by_name): &(Pattern, bool)| {
            pattern.matches_path_with(if *by_name { name } else { path }, options)
        };
        self.exclude.iter().any(hit)
    }

    /// Whether what is handed on can be of another length than what was read.
    pub(crate) fn alter(&self) -> bool {
        self.encoding != Encoding::Utf8 || !self.redact.is_empty()
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

    /// Where to cut the over-long line at the front of `view` so that no match is cut in two; `at` is where it would be.
    pub(crate) fn soft_cut(&self, view: &[u8], at: usize) -> usize {
        let mut cut = at;
        loop {
            let before = cut;
            for (regex, _) in &self.redact {
                let mut found = regex.find_iter(view).take_while(|found| found.start() < cut);
                cut = found.find(|found| found.end() > cut).map_or(cut, |found| found.start());
            }
            match cut {
                // A match over all of it is cut, and masked in parts.
                0 => return at,
                _ if cut == before => return cut,
                _ => {}
            }
        }
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
