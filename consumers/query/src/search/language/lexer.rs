//! Query text → tokens.

use std::fmt;
use std::ops::Bound;

use super::super::pattern::{Pattern, Piece};
use super::QueryError;

/// A token of a query.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Token {
    And,
    Or,
    Not,
    Plus,
    Open,
    Close,
    /// `name:`
    Field(String),
    Word(Pattern),
    Phrase(String),
    Range(Bound<String>, Bound<String>),
    End,
}

impl fmt::Display for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Token::And => f.write_str("AND"),
            Token::Or => f.write_str("OR"),
            Token::Not => f.write_str("NOT"),
            Token::Plus => f.write_str("+"),
            Token::Open => f.write_str("("),
            Token::Close => f.write_str(")"),
            Token::Field(name) => write!(f, "{name}:"),
            Token::Word(_) => f.write_str("a word"),
            Token::Phrase(_) => f.write_str("a phrase"),
            Token::Range(..) => f.write_str("a range"),
            Token::End => f.write_str("the end"),
        }
    }
}

type Place<T> = Result<(T, usize), QueryError>;

pub(super) struct Lexer<'q> {
    text: &'q str,
    at: usize,
    peeked: Option<(Token, usize)>,
}

impl<'q> Lexer<'q> {
    pub(super) fn new(text: &'q str) -> Lexer<'q> {
        Lexer { text, at: 0, peeked: None }
    }

    /// An error at byte `at`.
    pub(super) fn wrong(&self, at: usize, message: String, help: &'static str) -> QueryError {
        let position = self.text.get(..at).map_or(0, |before| before.chars().count());
        QueryError { position, message, help }
    }

    pub(super) fn peek(&mut self) -> Result<&(Token, usize), QueryError> {
        let token = match self.peeked.take() {
            Some(token) => token,
            None => self.scan()?,
        };
        Ok(self.peeked.insert(token))
    }

    pub(super) fn next(&mut self) -> Place<Token> {
        match self.peeked.take() {
            Some(token) => Ok(token),
            None => self.scan(),
        }
    }

    /// The value behind `name:`, which must follow at once.
    pub(super) fn next_value(&mut self) -> Place<Token> {
        let at = self.at;
        match self.rest().chars().next() {
            None => Ok((Token::End, at)),
            Some(char) if char.is_whitespace() => Err(self.wrong(
                at,
                "expected a value, found a blank".into(),
                "write it right behind the colon",
            )),
            Some('(') => self.single(Token::Open),
            Some(')') => self.single(Token::Close),
            Some('"') => self.phrase(),
            Some('[' | '{') => self.range(),
            Some('<' | '>') => self.comparison(),
            Some(_) => Ok((Token::Word(self.word(|_| false)), at)),
        }
    }

    fn rest(&self) -> &'q str {
        &self.text[self.at..]
    }

    fn blanks(&mut self) {
        let rest = self.rest();
        self.at += rest.len() - rest.trim_start().len();
    }

    fn single(&mut self, token: Token) -> Place<Token> {
        self.at += 1;
        Ok((token, self.at - 1))
    }

    fn scan(&mut self) -> Place<Token> {
        self.blanks();
        let at = self.at;
        match self.rest().chars().next() {
            None => return Ok((Token::End, at)),
            Some('(') => return self.single(Token::Open),
            Some(')') => return self.single(Token::Close),
            Some('"') => return self.phrase(),
            Some('[' | '{') => return self.range(),
            Some('-' | '!') => return self.single(Token::Not),
            Some('+') => return self.single(Token::Plus),
            Some(_) => {}
        }
        let word = self.word(|char| char == ':');
        if self.rest().starts_with(':') && is_name(&word) {
            self.at += 1;
            return Ok((Token::Field(word.as_literal().unwrap_or_default()), at));
        }
        let mut word = word;
        word.0.extend(self.word(|_| false).0); // a colon within a word, as in 12:30
        let token = match &self.text[at..self.at] {
            "AND" | "&&" => Token::And,
            "OR" | "||" => Token::Or,
            "NOT" => Token::Not,
            _ => Token::Word(word),
        };
        Ok((token, at))
    }

    /// Up to a blank, a parenthesis, a quote or what `stop` says.
    fn word(&mut self, stop: impl Fn(char) -> bool) -> Pattern {
        let mut pieces = Vec::new();
        let mut escaped = false;
        let rest = self.rest();
        let mut len = rest.len();
        for (at, char) in rest.char_indices() {
            if escaped {
                pieces.push(Piece::Char(char));
                escaped = false;
                continue;
            }
            if char.is_whitespace() || matches!(char, '(' | ')' | '"') || stop(char) {
                len = at;
                break;
            }
            match char {
                '\\' => escaped = true,
                '*' if pieces.last() == Some(&Piece::Any) => {}
                '*' => pieces.push(Piece::Any),
                '?' => pieces.push(Piece::One),
                char => pieces.push(Piece::Char(char)),
            }
        }
        if escaped {
            pieces.push(Piece::Char('\\'));
        }
        self.at += len;
        Pattern(pieces)
    }

    fn phrase(&mut self) -> Place<Token> {
        let (text, at) = self.quoted()?;
        Ok((Token::Phrase(text), at))
    }

    fn quoted(&mut self) -> Place<String> {
        let at = self.at;
        let mut text = String::new();
        let mut chars = self.rest().char_indices().skip(1);
        while let Some((offset, char)) = chars.next() {
            match char {
                '"' => {
                    self.at += offset + 1;
                    return Ok((text, at));
                }
                '\\' => text.extend(chars.next().map(|(_, escaped)| escaped)),
                char => text.push(char),
            }
        }
        Err(self.wrong(
            at,
            "this quote is never closed".into(),
            "write \" at its end, and \\\" for a quote within",
        ))
    }

    /// `>=x`, `>x`, `<=x`, `<x`
    fn comparison(&mut self) -> Place<Token> {
        let at = self.at;
        let above = self.rest().starts_with('>');
        self.at += 1;
        let inclusive = self.rest().starts_with('=');
        self.at += usize::from(inclusive);
        let end = self.end_of_range(|_| false)?;
        let Some(end) = end else {
            return Err(self.wrong(self.at, "expected a value to compare with".into(), "as in status:>=500"));
        };
        let end = if inclusive { Bound::Included(end) } else { Bound::Excluded(end) };
        let (low, high) = if above { (end, Bound::Unbounded) } else { (Bound::Unbounded, end) };
        Ok((Token::Range(low, high), at))
    }

    /// `[a TO b]` with `{` and `}` for ends that are left out.
    fn range(&mut self) -> Place<Token> {
        const HELP: &str = "a range is [low TO high]; { } leave the ends out, * is no end";
        let at = self.at;
        let bound = |end: Option<String>, inclusive: bool| match end {
            None => Bound::Unbounded,
            Some(end) if inclusive => Bound::Included(end),
            Some(end) => Bound::Excluded(end),
        };
        let inclusive = self.rest().starts_with('[');
        self.at += 1;
        self.blanks();
        let low = bound(self.end_of_range(|char| matches!(char, ']' | '}'))?, inclusive);
        self.blanks();
        if !self.rest().starts_with("TO") || !self.rest()[2..].starts_with(char::is_whitespace) {
            return Err(self.wrong(self.at, "expected TO within a range".into(), HELP));
        }
        self.at += 2;
        self.blanks();
        let high = self.end_of_range(|char| matches!(char, ']' | '}'))?;
        self.blanks();
        let inclusive = match self.rest().chars().next() {
            Some(']') => true,
            Some('}') => false,
            _ => return Err(self.wrong(self.at, "expected ] or } at the end of a range".into(), HELP)),
        };
        self.at += 1;
        Ok((Token::Range(low, bound(high, inclusive)), at))
    }

    /// A value; `None` for `*` and for nothing.
    fn end_of_range(&mut self, stop: impl Fn(char) -> bool) -> Result<Option<String>, QueryError> {
        if self.rest().starts_with('"') {
            return Ok(Some(self.quoted()?.0));
        }
        let at = self.at;
        let word = self.word(stop);
        if word.0.is_empty() || word.is_any() {
            return Ok(None);
        }
        let help = "only * alone may stand there";
        word.as_literal().map(Some).ok_or_else(|| self.wrong(at, "a range takes no wildcards".into(), help))
    }
}

/// Whether a word before a colon names a field. Digits do not: `12:30` is a time of day.
fn is_name(word: &Pattern) -> bool {
    word.as_literal().is_some_and(|name| !name.is_empty() && !name.chars().all(|char| char.is_ascii_digit()))
}
