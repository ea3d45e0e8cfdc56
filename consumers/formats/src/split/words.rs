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

/// Length of the letter or digit at `at`, 0 where there is none.
#[inline]
fn letter(text: &str, at: usize) -> usize {
    match text.as_bytes().get(at) {
        None => 0,
        Some(byte) if byte.is_ascii() => usize::from(byte.is_ascii_alphanumeric()),
        Some(_) => match text[at..].chars().next() {
            Some(char) if char.is_alphanumeric() => char.len_utf8(),
            _ => 0,
        },
    }
}

/// Length of the character at `at`.
#[inline]
fn width(text: &str, at: usize) -> usize {
    text[at..].chars().next().map_or(1, char::len_utf8)
}

impl TokenStream for Words<'_> {
    fn advance(&mut self) -> bool {
        loop {
            let mut from = self.at;
            while from < self.text.len() && letter(self.text, from) == 0 {
                from += width(self.text, from);
            }
            let mut to = from;
            loop {
                match letter(self.text, to) {
                    0 => break,
                    n => to += n,
                }
            }
            self.at = to;
            if from == to {
                return false;
            }
            let word = &self.text[from..to];
            self.token.position = self.token.position.wrapping_add(1);
            self.token.offset_from = from;
            self.token.offset_to = to;
            self.token.text.clear();
            if word.is_ascii() {
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
    }

    fn token(&self) -> &Token {
        self.token
    }

    fn token_mut(&mut self) -> &mut Token {
        self.token
    }
}
