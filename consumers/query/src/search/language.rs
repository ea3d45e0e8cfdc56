//! The query language: text → [`Query`].
//!
//! ```text
//! status:500 AND path:/cart*       both; AND may be left out
//! timeout OR "connection reset"    words and phrases of the line
//! NOT host:web-03   -debug         without
//! status:[500 TO 599]  took:>=0.5  ranges; { } and > < leave the end out
//! host:(web-01 OR web-02)          several values
//! user:*                           has the field
//! ```

mod lexer;
#[cfg(test)]
mod tests;

use std::ops::Bound;

use lexer::{Lexer, Token};

use super::pattern::Pattern;

/// Longest query, bytes.
pub const MAX_QUERY: usize = 16 << 10;

/// Deepest nesting of parentheses and NOTs.
pub const MAX_DEPTH: usize = 50;

/// Most conditions in a query.
pub const MAX_CONDITIONS: usize = 1_000;

/// What is asked for.
#[derive(Debug, Clone, PartialEq)]
pub enum Query {
    /// Every row.
    All,
    /// Rows that all of these find.
    And(Vec<Query>),
    /// Rows that one of these finds.
    Or(Vec<Query>),
    /// Rows that this does not find.
    Not(Box<Query>),
    /// Rows of which this is true.
    Is(Condition),
}

/// A test of one field.
#[derive(Debug, Clone, PartialEq)]
pub struct Condition {
    /// Name as written; `None` for a bare word or phrase.
    pub field: Option<String>,
    /// What its value must be.
    pub test: Test,
    /// Byte of the query at which it begins.
    pub position: usize,
}

/// What a value must be.
#[derive(Debug, Clone, PartialEq)]
pub enum Test {
    /// A word, perhaps with wildcards.
    Word(Pattern),
    /// A text in quotes.
    Phrase(String),
    /// Between two ends.
    Range(Bound<String>, Bound<String>),
}

/// A query that cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message} (at character {}): {help}", position + 1)]
pub struct QueryError {
    /// Character of the query at which it goes wrong, from 0.
    pub position: usize,
    /// What is wrong.
    pub message: String,
    /// What to write instead.
    pub help: &'static str,
}

/// Reads a query; nothing but blanks means every row.
///
/// # Errors
/// [`QueryError`] says where it goes wrong and what was expected.
pub fn parse(text: &str) -> Result<Query, QueryError> {
    if text.len() > MAX_QUERY {
        let message = format!("the query is {} bytes long", text.len());
        return Err(QueryError { position: 0, message, help: "at most 16384 are read" });
    }
    let mut parser = Parser { lexer: Lexer::new(text), field: None, depth: 0, conditions: 0 };
    if matches!(parser.lexer.peek()?.0, Token::End) {
        return Ok(Query::All);
    }
    let query = parser.either()?;
    match parser.lexer.next()? {
        (Token::End, _) => Ok(query),
        (token, at) => {
            Err(parser.lexer.wrong(at, format!("unexpected {token}"), "every ) needs a ( before it"))
        }
    }
}

struct Parser<'q> {
    lexer: Lexer<'q>,
    /// The field before a parenthesis that is open.
    field: Option<String>,
    depth: usize,
    conditions: usize,
}

impl Parser<'_> {
    fn either(&mut self) -> Result<Query, QueryError> {
        let mut any = vec![self.both()?];
        while matches!(self.lexer.peek()?.0, Token::Or) {
            self.lexer.next()?;
            any.push(self.both()?);
        }
        Ok(if any.len() == 1 { any.remove(0) } else { Query::Or(any) })
    }

    fn both(&mut self) -> Result<Query, QueryError> {
        let mut all = vec![self.unary()?];
        loop {
            match self.lexer.peek()?.0 {
                Token::And => {
                    self.lexer.next()?;
                    all.push(self.unary()?);
                }
                Token::Or | Token::Close | Token::End => break,
                _ => all.push(self.unary()?),
            }
        }
        Ok(if all.len() == 1 { all.remove(0) } else { Query::And(all) })
    }

    fn unary(&mut self) -> Result<Query, QueryError> {
        let (token, at) = self.lexer.next()?;
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Err(self.lexer.wrong(
                at,
                "the query is nested too deeply".into(),
                "at most 50 levels are read",
            ));
        }
        let query = match token {
            Token::Not => Query::Not(Box::new(self.unary()?)),
            Token::Plus => self.unary()?,
            Token::Open => self.group(at)?,
            Token::Field(name) => self.value_of(name, at)?,
            Token::Word(pattern) if pattern.is_any() && self.field.is_none() => Query::All,
            Token::Word(pattern) => self.condition(Test::Word(pattern), at)?,
            Token::Phrase(text) => self.condition(Test::Phrase(text), at)?,
            Token::Range(low, high) => self.condition(Test::Range(low, high), at)?,
            token @ (Token::And | Token::Or | Token::Close | Token::End) => {
                let help = "write a word, a \"phrase\", field:value or a ( group )";
                return Err(self.lexer.wrong(at, format!("expected a condition, found {token}"), help));
            }
        };
        self.depth -= 1;
        Ok(query)
    }

    fn group(&mut self, opened: usize) -> Result<Query, QueryError> {
        let query = self.either()?;
        match self.lexer.next()? {
            (Token::Close, _) => Ok(query),
            _ => Err(self.lexer.wrong(opened, "this ( is never closed".into(), "write ) at its end")),
        }
    }

    /// What follows `name:`.
    fn value_of(&mut self, name: String, at: usize) -> Result<Query, QueryError> {
        if self.field.is_some() {
            let message = format!("{name}: stands within the values of another field");
            return Err(self.lexer.wrong(at, message, "close the parenthesis first"));
        }
        let (token, value_at) = self.lexer.next_value()?;
        self.field = Some(name);
        let query = match token {
            Token::Open => self.group(value_at),
            Token::Word(pattern) => self.condition(Test::Word(pattern), at),
            Token::Phrase(text) => self.condition(Test::Phrase(text), at),
            Token::Range(low, high) => self.condition(Test::Range(low, high), at),
            token => {
                let name = self.field.take().unwrap_or_default();
                let help = "write a value right behind the colon, or \"\" for an empty one";
                Err(self.lexer.wrong(value_at, format!("expected a value of {name}, found {token}"), help))
            }
        };
        self.field = None;
        query
    }

    fn condition(&mut self, test: Test, position: usize) -> Result<Query, QueryError> {
        self.conditions += 1;
        if self.conditions > MAX_CONDITIONS {
            let message = "the query has too many conditions".into();
            return Err(self.lexer.wrong(position, message, "at most 1000 are read"));
        }
        Ok(Query::Is(Condition { field: self.field.clone(), test, position }))
    }
}
