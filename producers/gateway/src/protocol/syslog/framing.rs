//! RFC 6587: messages on a stream, each behind its length (octet counting), or ended by LF or NUL.
//!
//! Which of the two it is, is told at the beginning of each message: digits, a blank and `<` are a length. A message that
//! merely begins with a number is not taken for one, since a priority must follow.

use millrace_schemas::LineEnd;

/// Longest message; longer ones are handed out in pieces of this size.
pub(super) const MAX_MESSAGE: usize = crate::item::MAX_BODY;

/// Most digits of a length.
const MAX_DIGITS: usize = 8;

/// One message, or a piece of one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Frame {
    /// Its bytes.
    pub body: Vec<u8>,
    /// How it ended; a message behind its length, or ended by NUL, has no line end.
    pub end: LineEnd,
    /// Number of the piece and whether it is the last, for a message over the limit.
    pub piece: Option<(i32, bool)>,
    /// What is wrong with it.
    pub fault: Option<Fault>,
}

/// What is wrong with a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// The stream ended before the message did.
    Cut,
    /// Bytes behind a counted message that are neither a length nor a priority.
    Stray,
}

/// Cuts a stream into messages. Holds at most one message.
#[derive(Debug, Default)]
pub struct Framer {
    buffer: Vec<u8>,
    start: usize,
    /// Bytes still to come of a counted message that is longer than the limit, and the number of the next piece.
    counted: Option<(usize, i32)>,
    /// Number of the next piece of a line that is longer than the limit.
    line_piece: i32,
    /// The last message was counted.
    counting: bool,
}

impl Framer {
    /// Adds bytes. Take all frames before adding more: then what is held stays below the limit and what was added.
    pub fn push(&mut self, bytes: &[u8]) {
        self.buffer.drain(..self.start);
        self.start = 0;
        self.buffer.extend_from_slice(bytes);
    }

    /// Bytes held of what is no whole message yet.
    pub(crate) fn held(&self) -> usize {
        self.buffer.len() - self.start
    }

    /// The next whole message.
    pub fn take(&mut self) -> Option<Frame> {
        self.next_frame(false)
    }

    /// The next message at the end of the stream: what stands there without an end is one, too.
    pub fn take_last(&mut self) -> Option<Frame> {
        self.next_frame(true)
    }

    fn next_frame(&mut self, ended: bool) -> Option<Frame> {
        loop {
            if let Some((left, piece)) = self.counted {
                return self.counted_frame(left, piece, ended);
            }
            if self.line_piece > 0 {
                return self.line_frame(ended);
            }
            match length(&self.buffer[self.start..], ended) {
                Head::More => return None,
                Head::Length { digits, length } => {
                    self.start += digits + 1;
                    self.counted = Some((length, 0));
                    self.counting = true;
                }
                // Some senders put a line feed behind each counted message.
                Head::Text if self.counting && matches!(self.buffer[self.start], b'\n' | b'\r') => {
                    self.start += 1
                }
                Head::Text => return self.line_frame(ended),
            }
        }
    }

    fn counted_frame(&mut self, left: usize, piece: i32, ended: bool) -> Option<Frame> {
        let there = self.buffer.len() - self.start;
        let wanted = left.min(MAX_MESSAGE);
        if there < wanted && !ended {
            return None;
        }
        let body = self.hand_out(wanted.min(there));
        let left = left - body.len();
        let cut = body.len() < wanted;
        let last = left == 0 || cut;
        self.counted = (!last).then_some((left, piece + 1));
        let piece = (piece > 0 || !last).then_some((piece, last));
        Some(Frame { body, end: LineEnd::None, piece, fault: cut.then_some(Fault::Cut) })
    }

    fn line_frame(&mut self, ended: bool) -> Option<Frame> {
        let rest = &self.buffer[self.start..];
        let stray = self.counting && self.line_piece == 0 && rest.first().is_some_and(|byte| *byte != b'<');
        let (length, end, skip, done) = match memchr::memchr2(b'\n', 0, rest) {
            Some(at) if at <= MAX_MESSAGE => match (rest[at], rest[..at].strip_suffix(b"\r")) {
                (b'\n', Some(line)) => (line.len(), LineEnd::CrLf, 2, true),
                (b'\n', None) => (at, LineEnd::Lf, 1, true),
                _ => (at, LineEnd::None, 1, true),
            },
            // One byte more than the limit: a CR there may belong to the end.
            _ if rest.len() > MAX_MESSAGE => (MAX_MESSAGE, LineEnd::None, 0, false),
            _ if ended && (!rest.is_empty() || self.line_piece > 0) => (rest.len(), LineEnd::None, 0, true),
            _ => return None,
        };
        let body = self.hand_out(length);
        self.start += skip;
        let number = self.line_piece;
        self.line_piece = if done { 0 } else { number + 1 };
        let piece = (number > 0 || !done).then_some((number, done));
        let cut = done && skip == 0;
        self.counting = stray && !done;
        let fault = if stray { Some(Fault::Stray) } else { cut.then_some(Fault::Cut) };
        Some(Frame { body, end, piece, fault })
    }

    fn hand_out(&mut self, length: usize) -> Vec<u8> {
        let body = self.buffer[self.start..self.start + length].to_vec();
        self.start += length;
        body
    }
}

enum Head {
    /// Too few bytes to tell.
    More,
    Length {
        digits: usize,
        length: usize,
    },
    Text,
}

fn length(bytes: &[u8], ended: bool) -> Head {
    let digits = bytes.iter().take(MAX_DIGITS + 1).take_while(|byte| byte.is_ascii_digit()).count();
    let undecided = if ended && !bytes.is_empty() { Head::Text } else { Head::More };
    match (bytes.first(), bytes.get(digits), bytes.get(digits + 1)) {
        (None, _, _) => Head::More,
        (Some(b'1'..=b'9'), Some(b' '), Some(b'<')) if digits <= MAX_DIGITS => {
            let text = std::str::from_utf8(&bytes[..digits]).unwrap_or_default();
            text.parse().map_or(Head::Text, |length| Head::Length { digits, length })
        }
        (Some(b'1'..=b'9'), Some(b' ') | None, None) if digits <= MAX_DIGITS => undecided,
        _ => Head::Text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Frames of `stream`, given in chunks of `chunk` bytes, as text: `~` marks a cut one, `?` a stray one.
    fn show(stream: &[u8], chunk: usize) -> String {
        let mut framer = Framer::default();
        let mut shown = Vec::new();
        let mut note = |frame: Frame| {
            let mark = match frame.fault {
                None => "",
                Some(Fault::Cut) => "~",
                Some(Fault::Stray) => "?",
            };
            shown.push(format!("{mark}{}", String::from_utf8_lossy(&frame.body)));
        };
        for bytes in stream.chunks(chunk) {
            framer.push(bytes);
            std::iter::from_fn(|| framer.take()).for_each(&mut note);
        }
        std::iter::from_fn(|| framer.take_last()).for_each(&mut note);
        shown.join("|")
    }

    #[test]
    fn both_framings_are_told_apart() {
        for chunk in [1, 2, 7, 1_000] {
            assert_eq!(show(b"5 <1>ab6 <2>c\nd", chunk), "<1>ab|<2>c\nd");
            assert_eq!(show(b"5 <1>ab\n5 <1>cd\n", chunk), "<1>ab|<1>cd");
            assert_eq!(show(b"<1>a\r\n<2>b\0<3>c", chunk), "<1>a|<2>b|~<3>c");
            assert_eq!(
                show(b"2026 is a year\n1 2020-05-22T14:59:09Z h\n", chunk),
                "2026 is a year|1 2020-05-22T14:59:09Z h"
            );
            assert_eq!(show(b"16 <1>1", chunk), "~<1>1");
            assert_eq!(show(b"5 <1>abxaaa", chunk), "<1>ab|?xaaa");
            assert_eq!(show(b"16", chunk), "~16");
            assert_eq!(show(b"", chunk), "");
            assert_eq!(show(b"5 <1>ab<2>c\n5 <1>cd", chunk), "<1>ab|<2>c|<1>cd");
        }
    }

    #[test]
    fn a_message_over_the_limit_comes_in_pieces() {
        let long = [b"<1>".to_vec(), vec![b'x'; 2 * MAX_MESSAGE]].concat();
        for stream in [
            [long.clone(), b"\n".to_vec()].concat(),
            [format!("{} ", long.len()).into_bytes(), long.clone()].concat(),
        ] {
            let mut framer = Framer::default();
            let mut frames = Vec::new();
            for bytes in stream.chunks(100_000) {
                framer.push(bytes);
                frames.extend(std::iter::from_fn(|| framer.take()));
            }
            frames.extend(std::iter::from_fn(|| framer.take_last()));
            let pieces: Vec<_> = frames.iter().map(|frame| frame.piece).collect();
            assert_eq!(pieces, [Some((0, false)), Some((1, false)), Some((2, true))]);
            assert_eq!(frames.iter().flat_map(|frame| frame.body.clone()).collect::<Vec<u8>>(), long);
        }
    }

    proptest::proptest! {
        #[test]
        fn how_a_stream_is_chunked_changes_nothing(stream in "([1-9]{1,2} |<[0-9]>|[a-c\n\r\0 ]{0,6}){0,9}", chunk in 1usize..9) {
            proptest::prop_assert_eq!(show(stream.as_bytes(), chunk), show(stream.as_bytes(), 10_000));
        }

        #[test]
        fn any_bytes_are_frames(stream: Vec<u8>, chunk in 1usize..99) {
            let n_bytes: usize = show(&stream, chunk).len();
            proptest::prop_assert!(n_bytes <= stream.len() * 4);
        }
    }
}
