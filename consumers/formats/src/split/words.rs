//! Cuts a line into words: runs of letters and digits of any script, in lower case.

use tantivy::tokenizer::{Token, TokenStream, Tokenizer};

use super::schema::MAX_TERM;

/// The words of `text` as the column `line` has them, with their positions.
pub fn words(text: &str) -> Vec<(usize, String)> {
    let mut tokenizer = WordTokenizer::default();
    let mut stream = tokenizer.token_stream(text);
    let mut words = Vec::new();
    stream.process(&mut |token| words.push((token.position, token.text.clone())));
    words
}

/// See the module.
#[derive(Clone, Default)]
pub(super) struct WordTokenizer {
    token: Token,
}

pub(super) struct Words<'a> {
    text: &'a str,
    at: usize,
    token: &'a mut Token,
}

impl Tokenizer for WordTokenizer {
    type TokenStream<'a> = Words<'a>;

    fn token_stream<'a>(&'a mut self, text: &'a str) -> Words<'a> {
        self.token.reset();
        Words { text, at: 0, token: &mut self.token }
    }
}

/// Length of the letter or digit beyond ASCII at `at`, 0 where there is none.
#[cold]
fn wide_letter(text: &str, at: usize) -> usize {
    match text[at..].chars().next() {
        Some(char) if char.is_alphanumeric() => char.len_utf8(),
        _ => 0,
    }
}

impl Words<'_> {
    /// The next run of letters and digits, and whether it is ASCII.
    #[inline]
    fn run(&mut self) -> Option<(usize, usize, bool)> {
        let bytes = self.text.as_bytes();
        let mut at = self.at;
        while let Some(byte) = bytes.get(at) {
            if byte.is_ascii_alphanumeric() || (!byte.is_ascii() && wide_letter(self.text, at) > 0) {
                break;
            }
            at += 1;
            while !self.text.is_char_boundary(at) {
                at += 1;
            }
        }
        let from = at;
        let mut ascii = true;
        while let Some(byte) = bytes.get(at) {
            if byte.is_ascii_alphanumeric() {
                at += 1;
            } else if byte.is_ascii() {
                break;
            } else {
                match wide_letter(self.text, at) {
                    0 => break,
                    len => at += len,
                }
                ascii = false;
            }
        }
        self.at = at;
        (from < at).then_some((from, at, ascii))
    }
}

impl TokenStream for Words<'_> {
    fn advance(&mut self) -> bool {
        while let Some((from, to, ascii)) = self.run() {
            let word = &self.text[from..to];
            self.token.position = self.token.position.wrapping_add(1);
            self.token.offset_from = from;
            self.token.offset_to = to;
            self.token.text.clear();
            if ascii {
                self.token.text.push_str(word);
                self.token.text.make_ascii_lowercase();
            } else {
                self.token.text.extend(word.chars().flat_map(char::to_lowercase));
            }
            // An over-long word is passed over, but keeps its place, so that phrases across it do not match.
            if self.token.text.len() <= MAX_TERM {
                return true;
            }
        }
        false
    }

    fn token(&self) -> &Token {
        self.token
    }

    fn token_mut(&mut self) -> &mut Token {
        self.token
    }
}
