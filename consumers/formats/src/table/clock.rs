//! Finds a time in text by its shape, whatever it means.

use std::ops::Range;

/// Further into a text no time is looked for.
const REACH: usize = 128;
/// `9` is a digit, `_` a digit or a blank, `a` a letter; all others stand for themselves.
const SHAPES: [&[u8]; 3] = [b"99/aaa/9999:99:99:99 +9999", b"9999-99-99T99:99:99", b"aaa _9 99:99:99"];

/// The first time as Apache, ISO 8601 or BSD syslog write it, with fraction and zone.
pub(super) fn find(text: &str) -> Option<Range<usize>> {
    let bytes = text.as_bytes();
    let last = bytes.len().min(REACH).checked_sub(15)?;
    (0..=last).find_map(|start| Some(start..start + length(&bytes[start..])?))
}

/// Length of the time that `text` begins with.
pub(super) fn at_start(text: &str) -> Option<usize> {
    length(text.as_bytes())
}

fn length(bytes: &[u8]) -> Option<usize> {
    let is = |shape: &&&[u8]| {
        let candidate = bytes.get(..shape.len());
        candidate.is_some_and(|own| own.iter().zip(**shape).all(|(byte, kind)| fits(*byte, *kind)))
    };
    let shape = SHAPES.iter().find(is)?;
    Some(shape.len() + tail(&bytes[shape.len()..]))
}

fn fits(byte: u8, kind: u8) -> bool {
    match kind {
        b'9' => byte.is_ascii_digit(),
        b'_' => byte.is_ascii_digit() || byte == b' ',
        b'a' => byte.is_ascii_alphabetic(),
        b'T' => byte == b'T' || byte == b' ',
        b'+' => byte == b'+' || byte == b'-',
        other => byte == other,
    }
}

/// Length of a fraction and a zone.
fn tail(rest: &[u8]) -> usize {
    let digits = |from: usize| rest[from..].iter().take_while(|byte| byte.is_ascii_digit()).count();
    let mut at = match rest {
        [b'.' | b',', digit, ..] if digit.is_ascii_digit() => 1 + digits(1),
        _ => 0,
    };
    let zone: Option<&[u8]> = rest.get(at..at + 6);
    let is_zone = |zone: &[u8]| zone.iter().zip(b"+99:99").all(|(byte, kind)| fits(*byte, *kind));
    if rest.get(at) == Some(&b'Z') {
        at += 1;
    } else if zone.is_some_and(is_zone) {
        at += 6;
    }
    at
}
