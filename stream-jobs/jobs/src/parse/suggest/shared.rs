//! What lines have in common, as an expression.

use super::ENOUGH;
use super::pieces::{Piece, pieces};

/// The beginning that most lines share.
pub(super) struct Shared {
    /// Each reads one piece.
    pub(super) parts: Vec<String>,
    /// Whether no line goes on behind it.
    pub(super) is_all: bool,
}

impl Shared {
    /// Where there are lines.
    pub(super) fn of(lines: &[&str]) -> Option<Shared> {
        let cut: Vec<(Vec<Piece<'_>>, bool)> = lines.iter().map(|line| pieces(line)).collect();
        let (model, _) = cut.first()?;
        let enough = |n: usize| n * 100 >= lines.len() * ENOUGH;
        let mut parts: Vec<String> = Vec::new();
        let mut named: Vec<&str> = Vec::new();
        for (at, piece) in model.iter().enumerate() {
            let others = || cut.iter().map(|(own, _)| own.get(at));
            let alike = others().flatten().filter(|own| own.alike(piece)).count();
            let words = others().flatten().filter(|own| own.is_word() && piece.is_word()).count();
            if enough(alike) {
                match *piece {
                    Piece::Value { pattern, name, text } => {
                        let is_same = |own: Option<&Piece<'_>>| matches!(own, Some(Piece::Value { text: other, .. }) if *other == text);
                        if lines.len() > 3 && name != "level" && others().all(is_same) {
                            parts.push(regex_syntax::escape(text));
                        } else {
                            named.push(name);
                            let n = named.iter().filter(|own| **own == name).count();
                            let number = if n > 1 { n.to_string() } else { String::new() };
                            parts.push(format!("%{{{pattern}:{name}{number}}}"));
                        }
                    }
                    Piece::Text(text) => parts.push(regex_syntax::escape(text)),
                }
            } else if enough(words) && at + 1 < model.len() {
                named.push("word");
                let n = named.iter().filter(|own| **own == "word").count();
                parts.push(format!("%{{NOTSPACE:word{n}}}"));
            } else {
                break;
            }
        }
        // A word that nothing shared follows belongs to the message.
        while parts.last().is_some_and(|part| part.starts_with("%{NOTSPACE:word")) {
            parts.pop();
        }
        let is_all = cut.iter().all(|(own, is_cut)| !is_cut && own.len() <= parts.len());
        Some(Shared { parts, is_all })
    }

    /// Expressions, the longest first, each with a message behind it if there may be one.
    pub(super) fn expressions(&self) -> impl Iterator<Item = String> {
        let whole = self.is_all.then(|| format!("^{}$", self.parts.concat()));
        let cut = |n: usize| format!("^{}%{{GREEDYDATA:message}}", self.parts[..n].concat());
        whole.into_iter().chain((0..=self.parts.len()).rev().map(cut))
    }
}
