//! Lines of a text: LF ends one, one CR right before it belongs to the end, blank lines count, a last part without LF is a
//! line.

use millrace_schemas::LineEnd;

/// The lines of `text`, each with its end.
pub(crate) fn lines(text: &[u8]) -> impl Iterator<Item = (&[u8], LineEnd)> {
    let mut rest = text;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let Some(at) = memchr::memchr(b'\n', rest) else {
            return Some((std::mem::take(&mut rest), LineEnd::None));
        };
        let line = &rest[..at];
        rest = &rest[at + 1..];
        Some(match line.strip_suffix(b"\r") {
            Some(line) => (line, LineEnd::CrLf),
            None => (line, LineEnd::Lf),
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_line_feed_ends_a_line() {
        let found: Vec<_> = lines(b"a\r\n\nb\rc\r\r\nd").collect();
        let expected: [(&[u8], LineEnd); 4] =
            [(b"a", LineEnd::CrLf), (b"", LineEnd::Lf), (b"b\rc\r", LineEnd::CrLf), (b"d", LineEnd::None)];
        assert_eq!(found, expected);
        assert_eq!(lines(b"").count(), 0);
    }

    proptest::proptest! {
        #[test]
        fn lines_with_their_ends_are_the_text(text: Vec<u8>) {
            let again: Vec<u8> = lines(&text).flat_map(|(line, end)| [line, end.bytes()].concat()).collect();
            proptest::prop_assert_eq!(again, text);
        }
    }
}
