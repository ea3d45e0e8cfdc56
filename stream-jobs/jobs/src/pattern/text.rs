//! What stands where in a text: characters of a set, ends of lines and words.

use super::set::Set;
use super::tree::Assert;

pub(super) fn stands_before(set: &Set, text: &str, pos: usize) -> bool {
    match text.as_bytes()[..pos].last() {
        Some(&byte) if byte < 128 => set.has_ascii(byte),
        Some(_) => text[..pos].chars().next_back().is_some_and(|own| set.has(own)),
        None => false,
    }
}

/// Past one character of the set.
pub(super) fn step(set: &Set, text: &str, pos: usize) -> Option<usize> {
    let byte = *text.as_bytes().get(pos)?;
    if byte < 128 {
        return set.has_ascii(byte).then_some(pos + 1);
    }
    let own = text[pos..].chars().next()?;
    set.has(own).then_some(pos + own.len_utf8())
}

/// The end of at most `most` characters of the set.
pub(super) fn run_end(set: &Set, text: &str, start: usize, most: u32) -> usize {
    let bytes = text.as_bytes();
    if most == u32::MAX
        && let Some(stops) = &set.stops
    {
        let rest = &bytes[start..];
        let found = match **stops {
            [] => None,
            [one] => memchr::memchr(one, rest),
            [one, two] => memchr::memchr2(one, two, rest),
            [one, two, three] => memchr::memchr3(one, two, three, rest),
            _ => None,
        };
        return found.map_or(text.len(), |len| start + len);
    }
    // Most texts are ASCII, of which one byte is one character.
    let limit = bytes.len().min(start.saturating_add(most as usize));
    let plain = bytes[start..limit].iter().position(|byte| !set.has_ascii(*byte));
    let mut pos = plain.map_or(limit, |len| start + len);
    if bytes[pos..limit].first().is_none_or(u8::is_ascii) {
        return pos;
    }
    let mut left = most - (pos - start) as u32;
    while left > 0
        && let Some(next) = step(set, text, pos)
    {
        pos = next;
        left -= 1;
    }
    pos
}

pub(super) fn holds(assert: Assert, text: &str, pos: usize) -> bool {
    let bytes = text.as_bytes();
    match assert {
        Assert::TextStart => pos == 0,
        Assert::TextEnd => pos == text.len(),
        Assert::LineStart => pos == 0 || bytes[pos - 1] == b'\n',
        Assert::LineEnd => pos == text.len() || bytes[pos] == b'\n',
        Assert::WordBoundary => word_before(text, pos) != word_after(text, pos),
        Assert::NoWordBoundary => word_before(text, pos) == word_after(text, pos),
    }
}

fn word_before(text: &str, pos: usize) -> bool {
    match text.as_bytes()[..pos].last() {
        Some(&byte) if byte < 128 => byte == b'_' || byte.is_ascii_alphanumeric(),
        Some(_) => text[..pos].chars().next_back().is_some_and(is_word),
        None => false,
    }
}

fn word_after(text: &str, pos: usize) -> bool {
    match text.as_bytes().get(pos) {
        Some(&byte) if byte < 128 => byte == b'_' || byte.is_ascii_alphanumeric(),
        Some(_) => text[pos..].chars().next().is_some_and(is_word),
        None => false,
    }
}

fn is_word(own: char) -> bool {
    regex_syntax::is_word_character(own)
}
