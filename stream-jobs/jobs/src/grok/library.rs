//! Named patterns.
//!
//! The base library is that of the `grok` crate, which took it from Logstash: its texts, not its engine.

use std::collections::HashMap;
use std::sync::OnceLock;

use crate::pattern::SyntaxError;

/// An expression grows no longer than this when its names are written out.
const MAX_EXPANDED: usize = 1 << 20;
/// Names within names; deeper means in a circle.
const MAX_DEPTH: usize = 64;

/// Why an expression cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum GrokError {
    /// A name stands for nothing.
    #[error("there is no pattern named {name}")]
    Unknown {
        /// The name.
        name: String,
    },
    /// A pattern leads back to itself, or the whole is too long.
    #[error("the pattern {name} contains itself, or becomes longer than 1 MiB")]
    Endless {
        /// Name where that was noticed.
        name: String,
    },
    /// A type that is none.
    #[error("{name:?} is not a type of a field in {expression:?}: string, long, double, boolean")]
    Type {
        /// The name of the type.
        name: String,
        /// The expression.
        expression: String,
    },
    /// The pattern that came of it is wrong.
    #[error("{expression:?}: {error}, where its names are written out")]
    Pattern {
        /// The expression.
        expression: String,
        /// What is wrong.
        error: SyntaxError,
    },
}

/// Patterns by name.
#[derive(Debug, Clone, Default)]
pub struct Library {
    own: HashMap<String, String>,
    with_base: bool,
}

fn base() -> &'static HashMap<&'static str, &'static str> {
    static BASE: OnceLock<HashMap<&'static str, &'static str>> = OnceLock::new();
    BASE.get_or_init(|| ::grok::patterns().iter().copied().collect())
}

impl Library {
    /// The base library.
    pub fn base() -> Library {
        Library { own: HashMap::new(), with_base: true }
    }

    /// No patterns at all.
    pub fn empty() -> Library {
        Library::default()
    }

    /// Adds a pattern; a later one of the same name takes its place.
    pub fn add(&mut self, name: &str, pattern: &str) {
        self.own.insert(name.to_owned(), pattern.to_owned());
    }

    /// Adds the patterns of a file in the usual form: a name, a blank, the pattern; lines that begin with `#` are comments.
    pub fn add_file(&mut self, text: &str) {
        for line in text.lines().map(str::trim_end).filter(|line| !line.trim_start().starts_with('#')) {
            if let Some((name, pattern)) = line.trim_start().split_once([' ', '\t']) {
                self.add(name, pattern.trim_start());
            }
        }
    }

    /// The pattern of a name.
    pub fn find(&self, name: &str) -> Option<&str> {
        let own = self.own.get(name).map(String::as_str);
        own.or_else(|| base().get(name).copied().filter(|_| self.with_base))
    }

    /// All names, sorted.
    pub fn names(&self) -> Vec<&str> {
        let base = base().keys().copied().filter(|_| self.with_base);
        let mut names: Vec<&str> = self.own.keys().map(String::as_str).chain(base).collect();
        names.sort_unstable();
        names.dedup();
        names
    }

    /// The expression with all names written out.
    pub(super) fn expand(&self, expression: &str) -> Result<String, GrokError> {
        let mut out = String::new();
        self.expand_into(expression, 0, &mut out)?;
        Ok(out)
    }

    fn expand_into(&self, expression: &str, depth: usize, out: &mut String) -> Result<(), GrokError> {
        let mut rest = expression;
        while let Some(at) = rest.find("%{") {
            out.push_str(&rest[..at]);
            rest = &rest[at..];
            let Some(reference) = Reference::read(rest) else {
                out.push_str("%{");
                rest = &rest[2..];
                continue;
            };
            rest = &rest[reference.len..];
            let pattern = match reference.definition {
                Some(definition) => definition,
                None => self
                    .find(reference.name)
                    .ok_or_else(|| GrokError::Unknown { name: reference.name.to_owned() })?,
            };
            if depth >= MAX_DEPTH || out.len() + pattern.len() > MAX_EXPANDED {
                return Err(GrokError::Endless { name: reference.name.to_owned() });
            }
            match reference.field {
                Some(field) => {
                    out.push_str("(?<");
                    out.push_str(field);
                    out.push('>');
                }
                None => out.push_str("(?:"),
            }
            self.expand_into(pattern, depth + 1, out)?;
            out.push(')');
        }
        out.push_str(rest);
        Ok(())
    }
}

/// `%{NAME:field:type}`, `%{NAME=definition}`.
struct Reference<'e> {
    name: &'e str,
    field: Option<&'e str>,
    definition: Option<&'e str>,
    len: usize,
}

impl<'e> Reference<'e> {
    /// At a `%{`. What follows the field up to the brace is passed over, as in Logstash.
    fn read(text: &'e str) -> Option<Reference<'e>> {
        let run = |text: &'e str, is: fn(char) -> bool| text.find(|own| !is(own)).unwrap_or(text.len());
        let inner = &text[2..];
        let name_len = run(inner, |own| own.is_ascii_alphanumeric() || own == '_');
        let (name, mut rest) = inner.split_at(name_len);
        let mut field = None;
        if let Some(path) = rest.strip_prefix(':') {
            let is = |own: char| own.is_ascii_alphanumeric() || "@[]_:.-".contains(own);
            let (own, after) = path.split_at(run(path, is));
            field = Some(own).filter(|own| !own.is_empty());
            rest = after;
        }
        let mut definition = None;
        if let Some(own) = rest.strip_prefix('=') {
            let len = closing_brace(own)?;
            definition = Some(&own[..len]);
            rest = &own[len..];
        }
        let end = rest.find('}')?;
        let len = text.len() - rest.len() + end + 1;
        (!name.is_empty()).then_some(Reference { name, field, definition, len })
    }
}

/// Where the brace closes that a definition stands in; it may have pairs of its own.
fn closing_brace(text: &str) -> Option<usize> {
    let (mut depth, mut escaped) = (0_usize, false);
    for (at, own) in text.char_indices() {
        match own {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '{' => depth += 1,
            '}' if depth == 0 => return Some(at),
            '}' => depth -= 1,
            _ => {}
        }
    }
    None
}
