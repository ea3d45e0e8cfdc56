//! Reads a line of Docker's `json-file`: a flat object of which three members count. Lenient: what a strict reader refuses
//! (a control character within a text) is kept.

use std::borrow::Cow;

use super::Part;

/// The text that member `name` of the flat object in `line` holds.
pub(crate) fn member<'a>(line: &'a [u8], name: &[u8]) -> Option<Cow<'a, [u8]>> {
    let mut rest = blanks(line).strip_prefix(b"{")?;
    loop {
        let (own, after) = text(blanks(rest))?;
        let after = blanks(blanks(after).strip_prefix(b":")?);
        if *own == *name {
            return text(after).map(|(value, _)| value);
        }
        rest = blanks(skip(after)?).strip_prefix(b",")?;
    }
}

pub(super) fn part(line: &[u8]) -> Option<Part<'_>> {
    let mut rest = blanks(line).strip_prefix(b"{")?;
    let (mut log, mut stream, mut time) = (None, None, None);
    loop {
        let (name, after) = text(blanks(rest))?;
        let after = blanks(blanks(after).strip_prefix(b":")?);
        rest = match &*name {
            b"log" => value(after, &mut log)?,
            b"stream" => value(after, &mut stream)?,
            b"time" => value(after, &mut time)?,
            _ => skip(after)?,
        };
        rest = blanks(rest);
        match rest.split_first()? {
            (b',', more) => rest = more,
            (b'}', _) => break,
            _ => return None,
        }
    }
    let text = |bytes: Cow<'_, [u8]>| String::from_utf8_lossy(&bytes).into_owned();
    let mut log: Cow<'_, [u8]> = log?;
    let last = log.ends_with(b"\n");
    if last {
        match &mut log {
            Cow::Borrowed(bytes) => *bytes = &bytes[..bytes.len() - 1],
            Cow::Owned(bytes) => drop(bytes.pop()),
        }
    }
    let stream = stream.map_or_else(|| "stdout".to_owned(), text);
    Some(Part {
        stream: stream.into(),
        time: time.map(text).unwrap_or_default().into(),
        text: log,
        last,
        docker: true,
    })
}

fn blanks(bytes: &[u8]) -> &[u8] {
    let n = bytes.iter().take_while(|byte| byte.is_ascii_whitespace()).count();
    &bytes[n..]
}

fn value<'a>(bytes: &'a [u8], into: &mut Option<Cow<'a, [u8]>>) -> Option<&'a [u8]> {
    let (own, rest) = text(bytes)?;
    *into = Some(own);
    Some(rest)
}

/// The text at the front, its escapes resolved, and what follows.
fn text(bytes: &[u8]) -> Option<(Cow<'_, [u8]>, &[u8])> {
    let bytes = bytes.strip_prefix(b"\"")?;
    let plain = memchr::memchr2(b'"', b'\\', bytes)?;
    if bytes[plain] == b'"' {
        return Some((bytes[..plain].into(), &bytes[plain + 1..]));
    }
    let (mut out, mut at) = (bytes[..plain].to_vec(), plain);
    loop {
        match *bytes.get(at)? {
            b'"' => return Some((out.into(), &bytes[at + 1..])),
            b'\\' => at += escape(&bytes[at + 1..], &mut out)?,
            byte => out.push(byte),
        }
        at += 1;
    }
}

/// Resolves what follows a backslash; answers its length.
fn escape(bytes: &[u8], out: &mut Vec<u8>) -> Option<usize> {
    let byte = match *bytes.first()? {
        b'n' => b'\n',
        b't' => b'\t',
        b'r' => b'\r',
        b'b' => 0x08,
        b'f' => 0x0c,
        b'u' => {
            let unit =
                |at: usize| u16::from_str_radix(std::str::from_utf8(bytes.get(at..at + 4)?).ok()?, 16).ok();
            let first = unit(1)?;
            let second = bytes.get(5..7).filter(|own| *own == b"\\u").and_then(|_| unit(7));
            let units = [first, second.unwrap_or_default()];
            let pair = (0xd800..0xdc00).contains(&first) && (0xdc00..0xe000).contains(&units[1]);
            let text = String::from_utf16_lossy(&units[..if pair { 2 } else { 1 }]);
            out.extend_from_slice(text.as_bytes());
            return Some(if pair { 11 } else { 5 });
        }
        other => other,
    };
    out.push(byte);
    Some(1)
}

/// What follows the value at the front.
fn skip(bytes: &[u8]) -> Option<&[u8]> {
    if bytes.first() == Some(&b'"') {
        return text(bytes).map(|(_, rest)| rest);
    }
    let (mut rest, mut depth) = (bytes, 0);
    loop {
        match *rest.first()? {
            b'"' => {
                rest = text(rest)?.1;
                continue;
            }
            b'{' | b'[' => depth += 1,
            b'}' | b']' | b',' if depth == 0 => return Some(rest),
            b'}' | b']' => depth -= 1,
            _ => {}
        }
        rest = &rest[1..];
    }
}
