//! The little language of the rules in parsed_logs: paths, texts, comparisons, and the functions that they call.

use millrace_jobs::pattern::{Dialect, Pattern};
use serde_json::{Map, Value, json};

use crate::functions;

/// What rules read and write.
#[derive(Debug, Clone)]
pub(crate) struct Event {
    pub(crate) parsed: Map<String, Value>,
    pub(crate) meta: Map<String, Value>,
    pub(crate) unmarshaled: Map<String, Value>,
    pub(crate) line: String,
    pub(crate) kind: String,
}

/// A value as text.
pub(crate) fn plain(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Null => String::new(),
        other => other.to_string(),
    }
}

pub(crate) fn truth(value: &Value) -> bool {
    value == &json!(true)
}

pub(crate) fn evaluate(text: &str, event: &mut Event) -> Result<Value, String> {
    let text: String =
        text.lines().map(|line| line.split(" ##").next().unwrap_or(line)).collect::<Vec<_>>().join("\n");
    run(tokens(&text)?, event, Value::Null)
}

/// `own` is what `.name` and `#` mean: an element of a list that a condition is put to.
fn run(tokens: Vec<Token>, event: &mut Event, own: Value) -> Result<Value, String> {
    let mut reader = Reader { tokens, at: 0, event, own };
    let value = reader.choice()?;
    match reader.peek() {
        None => Ok(value),
        Some(token) => Err(format!("{token:?} is not known")),
    }
}

#[derive(Debug, Clone, PartialEq)]
enum Token {
    Text(String),
    Number(i64),
    Word(String),
    Sign(&'static str),
}

const SIGNS: [&str; 24] = [
    "==", "!=", "<=", ">=", "&&", "||", "??", "?.", "?", ":", "+", "(", ")", "[", "]", ",", ".", "{", "}",
    "#", "!", "<", ">", "-",
];

fn tokens(text: &str) -> Result<Vec<Token>, String> {
    let mut all = Vec::new();
    let mut rest = text.trim();
    while let Some(own) = rest.chars().next() {
        if ['\'', '"', '`'].contains(&own) {
            let (text, len) = quoted(&rest[1..], own).ok_or("a text has no end")?;
            all.push(Token::Text(text));
            rest = &rest[1 + len..];
        } else if own.is_ascii_digit() {
            let len = rest.find(|own: char| !own.is_ascii_digit()).unwrap_or(rest.len());
            all.push(Token::Number(rest[..len].parse().unwrap_or_default()));
            rest = &rest[len..];
        } else if own.is_ascii_alphabetic() || own == '_' {
            let len = rest.find(|own: char| !own.is_ascii_alphanumeric() && own != '_').unwrap_or(rest.len());
            all.push(Token::Word(rest[..len].to_owned()));
            rest = &rest[len..];
        } else {
            let sign = SIGNS
                .iter()
                .find(|sign| rest.starts_with(**sign))
                .ok_or_else(|| format!("{own} is not known"))?;
            all.push(Token::Sign(sign));
            rest = &rest[sign.len()..];
        }
        rest = rest.trim_start();
    }
    Ok(all)
}

/// A text up to its sign of quotation, and how long it is with that. Only grave accents keep a backslash as it is.
fn quoted(text: &str, sign: char) -> Option<(String, usize)> {
    let mut out = String::new();
    let mut chars = text.char_indices();
    while let Some((at, own)) = chars.next() {
        match own {
            own if own == sign => return Some((out, at + own.len_utf8())),
            '\\' if sign != '`' => match chars.next()?.1 {
                'n' => out.push('\n'),
                't' => out.push('\t'),
                'r' => out.push('\r'),
                other @ ('\\' | '"' | '\'' | '`') => out.push(other),
                other => out.extend(['\\', other]),
            },
            own => out.push(own),
        }
    }
    None
}

struct Reader<'e> {
    tokens: Vec<Token>,
    at: usize,
    event: &'e mut Event,
    own: Value,
}

impl Reader<'_> {
    fn peek(&self) -> Option<&Token> {
        self.tokens.get(self.at)
    }

    fn skip(&mut self, sign: &str) -> bool {
        let found = matches!(self.peek(), Some(Token::Sign(own)) if *own == sign);
        self.at += usize::from(found);
        found
    }

    fn word(&mut self, word: &str) -> bool {
        let found = matches!(self.peek(), Some(Token::Word(own)) if own == word);
        self.at += usize::from(found);
        found
    }

    fn expect(&mut self, sign: &str) -> Result<(), String> {
        if self.skip(sign) { Ok(()) } else { Err(format!("no {sign} follows, but {:?}", self.peek())) }
    }

    fn choice(&mut self) -> Result<Value, String> {
        let value = self.either()?;
        if !self.skip("?") {
            return Ok(value);
        }
        let first = self.choice()?;
        self.expect(":")?;
        let second = self.choice()?;
        Ok(if truth(&value) { first } else { second })
    }

    fn either(&mut self) -> Result<Value, String> {
        let mut value = self.both()?;
        while self.skip("||") || self.word("or") {
            let other = self.both()?;
            value = json!(truth(&value) || truth(&other));
        }
        Ok(value)
    }

    fn both(&mut self) -> Result<Value, String> {
        let mut value = self.compared()?;
        while self.skip("&&") || self.word("and") {
            let other = self.compared()?;
            value = json!(truth(&value) && truth(&other));
        }
        Ok(value)
    }

    fn compared(&mut self) -> Result<Value, String> {
        if self.word("not") || self.skip("!") {
            let value = self.compared()?;
            return Ok(json!(!truth(&value)));
        }
        let value = self.sum()?;
        // A field that is missing is the empty text.
        let same = |one: &Value, other: &Value| {
            one == other
                || plain(one) == plain(other)
                    && (one.is_null() != other.is_null() || one.is_string() || other.is_string())
        };
        let result = if self.skip("==") {
            let other = self.sum()?;
            same(&value, &other)
        } else if self.skip("!=") {
            let other = self.sum()?;
            !same(&value, &other)
        } else if let Some(sign) = ["<=", ">=", "<", ">"].into_iter().find(|sign| self.skip(sign)) {
            let (left, right) = (functions::number(&value), functions::number(&self.sum()?));
            match sign {
                "<=" => left <= right,
                ">=" => left >= right,
                "<" => left < right,
                _ => left > right,
            }
        } else {
            let negated = self.word("not");
            let names = ["contains", "startsWith", "endsWith", "matches", "in"];
            let Some(name) = names.into_iter().find(|name| self.word(name)) else { return Ok(value) };
            let other = self.sum()?;
            let (left, right) = (plain(&value), plain(&other));
            negated
                != match name {
                    "contains" => left.contains(&right),
                    "startsWith" => left.starts_with(&right),
                    "endsWith" => left.ends_with(&right),
                    "matches" => Pattern::new(&right, Dialect::Perl)
                        .map_err(|error| error.to_string())?
                        .is_match(&left)
                        .map_err(|_| "too complex")?,
                    _ => other.as_array().into_iter().flatten().any(|other| same(&value, other)),
                }
        };
        Ok(json!(result))
    }

    fn sum(&mut self) -> Result<Value, String> {
        let mut value = self.postfix()?;
        loop {
            if self.skip("+") {
                let other = self.postfix()?;
                value = json!(plain(&value) + &plain(&other));
            } else if self.skip("??") {
                let other = self.postfix()?;
                value = if value.is_null() { other } else { value };
            } else {
                return Ok(value);
            }
        }
    }

    fn postfix(&mut self) -> Result<Value, String> {
        let mut value = self.primary()?;
        loop {
            if self.skip(".") || self.skip("?.") {
                let Some(Token::Word(name)) = self.peek().cloned() else {
                    return Err("a path has no name".into());
                };
                self.at += 1;
                value = value.get(&name).cloned().unwrap_or_default();
            } else if self.skip("[") {
                let from = self.sum_or_negative()?;
                if self.skip(":") {
                    let to = self.sum_or_negative()?;
                    let (from, to) = (from.as_u64().unwrap_or(0) as usize, to.as_u64().unwrap_or(0) as usize);
                    value = json!(plain(&value).get(from..to).unwrap_or_default());
                } else if let Some(at) = from.as_i64() {
                    let all = value.as_array().cloned().unwrap_or_default();
                    let at = if at < 0 { all.len() as i64 + at } else { at };
                    value = all.get(at as usize).cloned().unwrap_or(Value::Null);
                } else {
                    value = value.get(plain(&from)).cloned().unwrap_or_default();
                }
                self.expect("]")?;
            } else {
                return Ok(value);
            }
        }
    }

    fn sum_or_negative(&mut self) -> Result<Value, String> {
        if self.skip("-") {
            let value = self.sum()?;
            return Ok(json!(-value.as_i64().unwrap_or_default()));
        }
        self.sum()
    }

    fn primary(&mut self) -> Result<Value, String> {
        let token = self.peek().cloned().ok_or("the expression ends")?;
        self.at += 1;
        match token {
            Token::Text(text) => Ok(json!(text)),
            Token::Number(number) => Ok(json!(number)),
            Token::Sign("(") => {
                let value = self.choice()?;
                self.expect(")")?;
                Ok(value)
            }
            Token::Sign("[") => {
                let mut all = Vec::new();
                while !self.skip("]") {
                    all.push(self.choice()?);
                    self.skip(",");
                }
                Ok(Value::Array(all))
            }
            Token::Sign("#") => Ok(self.own.clone()),
            Token::Sign(".") => {
                self.at -= 1;
                Ok(self.own.clone())
            }
            Token::Word(word) if word == "nil" => Ok(Value::Null),
            Token::Word(word) if word == "evt" => {
                self.expect(".")?;
                let Some(Token::Word(part)) = self.peek().cloned() else {
                    return Err("evt. has no name".into());
                };
                self.at += 1;
                Ok(match part.as_str() {
                    "Parsed" => Value::Object(self.event.parsed.clone()),
                    "Meta" => Value::Object(self.event.meta.clone()),
                    "Unmarshaled" => Value::Object(self.event.unmarshaled.clone()),
                    "Line" => json!({"Raw": self.event.line, "Labels": {"type": self.event.kind}}),
                    _ => Value::Null,
                })
            }
            Token::Word(name) => self.call(&name),
            Token::Sign(sign) => Err(format!("{sign} is not the beginning of a value")),
        }
    }

    /// What a condition, put to each element of a list, comes to.
    fn elements(&mut self, name: &str, list: Option<&Value>, condition: &[Token]) -> Result<Value, String> {
        let list = list.and_then(Value::as_array).cloned().unwrap_or_default();
        let mut held = Vec::new();
        for own in &list {
            if truth(&run(condition.to_vec(), self.event, own.clone())?) {
                held.push(own.clone());
            }
        }
        Ok(match name {
            "any" => json!(!held.is_empty()),
            "none" => json!(held.is_empty()),
            "all" => json!(held.len() == list.len()),
            "count" => json!(held.len()),
            "filter" => json!(held),
            _ => return Err(format!("{name} with a condition is not known")),
        })
    }

    fn call(&mut self, name: &str) -> Result<Value, String> {
        self.expect("(")?;
        let mut arguments = Vec::new();
        while !self.skip(")") {
            if self.skip("{") {
                let len = self.tokens[self.at..].iter().position(|own| *own == Token::Sign("}"));
                let condition = self.tokens[self.at..self.at + len.ok_or("a { has no }")?].to_vec();
                self.at += condition.len() + 1;
                arguments.push(self.elements(name, arguments.last(), &condition)?);
                continue;
            }
            arguments.push(self.choice()?);
            self.skip(",");
        }
        if ["any", "none", "all", "count", "filter"].contains(&name) {
            return Ok(arguments.pop().unwrap_or_default());
        }
        functions::call(name, &arguments, self.event)
    }
}
