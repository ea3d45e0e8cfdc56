//! Reads patterns in the two dialects that log tools use.
//!
//! Fails at once with the place and the reason; nothing is taken for something else in silence.

use std::fmt;

use super::set_syntax::{named_set, posix_or_escape};
use super::tree::{Assert, Kind, Node, negated, set};

/// Whose rules hold where dialects differ.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dialect {
    /// Grok's: `^` and `$` are at line ends, `.` takes a newline, `\h` is a hexadecimal digit.
    Oniguruma,
    /// That of `regex` steps, as Perl, Python and Rust have it: `^` and `$` are at the ends of the text unless `(?m)`, `.`
    /// takes no newline unless `(?s)`, `\h` is a blank or tab.
    Perl,
}

/// Why a pattern cannot be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SyntaxError {
    /// Byte in the pattern.
    pub at: usize,
    /// What is wrong there.
    pub what: String,
}

impl fmt::Display for SyntaxError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} at byte {}", self.what, self.at)
    }
}

impl std::error::Error for SyntaxError {}

/// A pattern that was read.
#[derive(Debug, Clone)]
pub(crate) struct Parsed {
    pub(crate) node: Node,
    /// Name of each group from number 1 on; `None` where it has none.
    pub(crate) groups: Vec<Option<String>>,
}

#[derive(Debug, Clone, Copy)]
pub(super) struct Flags {
    pub(super) ignore_case: bool,
    /// `^` and `$` at line ends.
    lines: bool,
    /// `.` takes a newline.
    dot_all: bool,
    extended: bool,
}

/// Deeper patterns are refused: reading them would end the stack.
const MAX_DEPTH: usize = 200;
/// Larger counts are refused: each repetition is a copy.
const MAX_COUNT: u32 = 1000;

pub(crate) fn parse(pattern: &str, dialect: Dialect) -> Result<Parsed, SyntaxError> {
    let onig = dialect == Dialect::Oniguruma;
    let flags = Flags { ignore_case: false, lines: onig, dot_all: onig, extended: false };
    let mut reader = Reader { text: pattern, at: 0, dialect, groups: Vec::new(), depth: 0 };
    let node = reader.alternatives(flags)?;
    match reader.peek() {
        None => Ok(Parsed { node, groups: reader.groups }),
        Some(_) => Err(reader.fault("a ) without its (")),
    }
}

pub(super) struct Reader<'p> {
    pub(super) text: &'p str,
    pub(super) at: usize,
    pub(super) dialect: Dialect,
    groups: Vec<Option<String>>,
    depth: usize,
}

impl<'p> Reader<'p> {
    pub(super) fn peek(&self) -> Option<char> {
        self.text[self.at..].chars().next()
    }

    pub(super) fn next(&mut self) -> Option<char> {
        let next = self.peek()?;
        self.at += next.len_utf8();
        Some(next)
    }

    pub(super) fn skip(&mut self, token: &str) -> bool {
        let found = self.text[self.at..].starts_with(token);
        self.at += if found { token.len() } else { 0 };
        found
    }

    pub(super) fn fault(&self, what: impl Into<String>) -> SyntaxError {
        SyntaxError { at: self.at, what: what.into() }
    }

    /// Up to `end`, which is stepped over.
    pub(super) fn until(&mut self, end: char) -> Result<&'p str, SyntaxError> {
        let rest = &self.text[self.at..];
        let len = rest.find(end).ok_or_else(|| self.fault(format!("no {end} follows")))?;
        self.at += len + end.len_utf8();
        Ok(&rest[..len])
    }

    fn alternatives(&mut self, mut flags: Flags) -> Result<Node, SyntaxError> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Err(self.fault(format!("groups are nested deeper than {MAX_DEPTH}")));
        }
        let mut branches = Vec::new();
        let mut parts = Vec::new();
        loop {
            if flags.extended && self.skip_comment() {
                continue;
            }
            match self.peek() {
                None | Some(')') => break,
                Some('|') => {
                    self.at += 1;
                    branches.push(Node::concat(std::mem::take(&mut parts)));
                }
                Some(_) => {
                    let Some(atom) = self.atom(&mut flags)? else { continue };
                    let node = self.quantified(atom, flags)?;
                    parts.push(node);
                }
            }
        }
        branches.push(Node::concat(parts));
        self.depth -= 1;
        Ok(Node::alternate(branches))
    }

    fn skip_comment(&mut self) -> bool {
        match self.peek() {
            Some(blank) if blank.is_whitespace() => self.at += blank.len_utf8(),
            Some('#') => {
                let rest = &self.text[self.at..];
                self.at += rest.find('\n').map_or(rest.len(), |at| at + 1);
            }
            _ => return false,
        }
        true
    }

    fn atom(&mut self, flags: &mut Flags) -> Result<Option<Node>, SyntaxError> {
        let start = self.at;
        let Some(next) = self.next() else { return Ok(None) };
        Ok(Some(match next {
            '(' => return self.group(flags),
            '[' => Node::Set(self.bracket(*flags)?),
            '.' if flags.dot_all => Node::Set(negated(set([]))),
            '.' => Node::Set(negated(set([('\n', '\n')]))),
            '^' if flags.lines => Node::Assert(Assert::LineStart),
            '^' => Node::Assert(Assert::TextStart),
            '$' if flags.lines => Node::Assert(Assert::LineEnd),
            '$' => Node::Assert(Assert::TextEnd),
            '\\' => self.escape(*flags)?,
            '*' | '+' | '?' => {
                self.at = start;
                return Err(self.fault(format!("nothing stands before {next}")));
            }
            own => self.literal(own, *flags),
        }))
    }

    fn literal(&self, own: char, flags: Flags) -> Node {
        let mut set = set([(own, own)]);
        if flags.ignore_case {
            set.case_fold_simple();
        }
        Node::Set(set)
    }

    /// `*`, `+`, `?`, `{n,m}`, each with `?` (lazy) or `+` (possessive), one after the other.
    fn quantified(&mut self, mut node: Node, flags: Flags) -> Result<Node, SyntaxError> {
        loop {
            while flags.extended && self.skip_comment() {}
            let Some((min, max, interval)) = self.count()? else { return Ok(node) };
            let onig_interval = interval && self.dialect == Dialect::Oniguruma;
            // Ruby's: `{n}?` is an optional `{n}`, and there are no possessive intervals.
            let lazy = !(onig_interval && max == Some(min)) && self.skip("?");
            let possessive = !lazy && !onig_interval && self.skip("+");
            let kind = if lazy { Kind::Lazy } else { Kind::Greedy };
            let repeated = Node::repeat(node, min, max, kind);
            node = if possessive { Node::Atomic(Box::new(repeated)) } else { repeated };
        }
    }

    /// Least and most repetitions, and whether they stood in braces. Braces that hold no numbers are text.
    fn count(&mut self) -> Result<Option<(u32, Option<u32>, bool)>, SyntaxError> {
        let simple = match self.peek() {
            Some('*') => (0, None),
            Some('+') => (1, None),
            Some('?') => (0, Some(1)),
            Some('{') => return self.interval(),
            _ => return Ok(None),
        };
        self.at += 1;
        Ok(Some((simple.0, simple.1, false)))
    }

    fn interval(&mut self) -> Result<Option<(u32, Option<u32>, bool)>, SyntaxError> {
        let rest = &self.text[self.at + 1..];
        let Some(inner) = rest.find('}').map(|len| &rest[..len]) else { return Ok(None) };
        let number = |text: &str| text.parse::<u32>().ok();
        let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        let (min, max) = match inner.split_once(',') {
            None if digits(inner) => (number(inner), Some(number(inner))),
            Some((min, "")) if digits(min) => (number(min), None),
            Some(("", max)) if digits(max) => (Some(0), Some(number(max))),
            Some((min, max)) if digits(min) && digits(max) => (number(min), Some(number(max))),
            _ => return Ok(None),
        };
        let fits = |count: &Option<u32>| count.is_some_and(|count| count <= MAX_COUNT);
        if !fits(&min) || max.as_ref().is_some_and(|max| !fits(max)) {
            return Err(self.fault(format!("a count above {MAX_COUNT}")));
        }
        let (min, max) = (min.unwrap_or(0), max.flatten());
        if max.is_some_and(|max| max < min) {
            return Err(self.fault("a least count above the most"));
        }
        self.at += inner.len() + 2;
        Ok(Some((min, max, true)))
    }

    /// After its `(`. `None` where it only sets flags for what follows.
    fn group(&mut self, flags: &mut Flags) -> Result<Option<Node>, SyntaxError> {
        let outer = *flags;
        if !self.skip("?") {
            return self.capture(None, outer).map(Some);
        }
        if self.skip("#") {
            self.until(')')?;
            return Ok(None);
        }
        for (token, ahead, negative) in
            [("=", true, false), ("!", true, true), ("<=", false, false), ("<!", false, true)]
        {
            if self.skip(token) {
                let node = Box::new(self.closed(outer)?);
                return Ok(Some(Node::Look { ahead, negative, node }));
            }
        }
        if self.skip(">") {
            return Ok(Some(Node::Atomic(Box::new(self.closed(outer)?))));
        }
        if self.skip("P=") {
            let name = self.until(')')?;
            return self.named_backreference(name, outer).map(Some);
        }
        if self.skip("P<") || self.skip("<") {
            let name = self.until('>')?;
            return self.capture(Some(name), outer).map(Some);
        }
        if self.skip("'") {
            let name = self.until('\'')?;
            return self.capture(Some(name), outer).map(Some);
        }
        let mut set_to = true;
        let mut own = outer;
        loop {
            match self.next() {
                Some(':') => return self.closed(own).map(Some),
                Some(')') => {
                    *flags = own;
                    return Ok(None);
                }
                Some('-') => set_to = false,
                Some('i') => own.ignore_case = set_to,
                Some('x') => own.extended = set_to,
                Some('m') if self.dialect == Dialect::Oniguruma => own.dot_all = set_to,
                Some('m') => own.lines = set_to,
                Some('s') => own.dot_all = set_to,
                Some('u' | 'a') => {}
                _ => return Err(self.fault("a kind of group that is not known")),
            }
        }
    }

    fn closed(&mut self, flags: Flags) -> Result<Node, SyntaxError> {
        let node = self.alternatives(flags)?;
        if self.skip(")") { Ok(node) } else { Err(self.fault("no ) follows")) }
    }

    fn capture(&mut self, name: Option<&str>, flags: Flags) -> Result<Node, SyntaxError> {
        if name == Some("") {
            return Err(self.fault("a group with an empty name"));
        }
        self.groups.push(name.map(str::to_owned));
        let number = self.groups.len() as u32;
        Ok(Node::Group(number, Box::new(self.closed(flags)?)))
    }

    fn named_backreference(&self, name: &str, flags: Flags) -> Result<Node, SyntaxError> {
        let groups: Vec<u32> = (1..)
            .zip(&self.groups)
            .filter(|(_, own)| own.as_deref() == Some(name))
            .map(|(number, _)| number)
            .collect();
        if groups.is_empty() {
            return Err(self.fault(format!("a reference to {name:?}, which no group before it is called")));
        }
        Ok(Node::Backreference { groups, ignore_case: flags.ignore_case })
    }

    /// After its backslash, outside of brackets.
    fn escape(&mut self, flags: Flags) -> Result<Node, SyntaxError> {
        let rest = &self.text[self.at..];
        let Some(next) = rest.chars().next() else { return Err(self.fault("a backslash at the end")) };
        let mut taken = |node| {
            self.at += 1;
            Ok(node)
        };
        match next {
            'A' => taken(Node::Assert(Assert::TextStart)),
            'G' => taken(Node::Assert(Assert::TextStart)),
            'z' => taken(Node::Assert(Assert::TextEnd)),
            'Z' => {
                let last = Node::concat(vec![Node::char('\n'), Node::Assert(Assert::TextEnd)]);
                let last = Node::Look { ahead: true, negative: false, node: Box::new(last) };
                taken(Node::Alternate(vec![Node::Assert(Assert::TextEnd), last]))
            }
            'b' => taken(Node::Assert(Assert::WordBoundary)),
            'B' => taken(Node::Assert(Assert::NoWordBoundary)),
            // What it changes, the beginning of the whole match, is not used.
            'K' => taken(Node::Empty),
            'R' => {
                let pair = Node::concat(vec![Node::char('\r'), Node::char('\n')]);
                let one = set([('\n', '\r'), ('\u{85}', '\u{85}'), ('\u{2028}', '\u{2029}')]);
                taken(Node::Atomic(Box::new(Node::Alternate(vec![pair, Node::Set(one)]))))
            }
            'Q' if self.dialect == Dialect::Perl => {
                self.at += 1;
                let rest = &self.text[self.at..];
                let len = rest.find("\\E").unwrap_or(rest.len());
                self.at += (len + 2).min(rest.len());
                Ok(Node::concat(rest[..len].chars().map(|own| self.literal(own, flags)).collect()))
            }
            'k' => {
                self.at += 1;
                let close = match self.next() {
                    Some('<') => '>',
                    Some('\'') => '\'',
                    Some('{') => '}',
                    _ => return Err(self.fault("a \\k without a name")),
                };
                let name = self.until(close)?;
                match name.parse::<u32>() {
                    Ok(number) => self.numbered(number, flags),
                    Err(_) => self.named_backreference(name, flags),
                }
            }
            '1'..='9' => {
                let len = rest.bytes().take(2).take_while(u8::is_ascii_digit).count();
                let number = rest[..len].parse().unwrap_or(0);
                self.at += len;
                self.numbered(number, flags)
            }
            'g' | 'X' | 'y' | 'Y' | 'N' | 'O' | 'C' | 'E' => {
                Err(self.fault(format!("\\{next} is not supported")))
            }
            _ => {
                let mut set = posix_or_escape(self)?;
                if flags.ignore_case {
                    set.case_fold_simple();
                }
                Ok(Node::Set(set))
            }
        }
    }

    fn numbered(&self, number: u32, flags: Flags) -> Result<Node, SyntaxError> {
        if number == 0 || number as usize > self.groups.len() {
            return Err(self.fault(format!("a reference to group {number}, which does not stand before it")));
        }
        Ok(Node::Backreference { groups: vec![number], ignore_case: flags.ignore_case })
    }

    /// After its `[`.
    fn bracket(&mut self, flags: Flags) -> Result<regex_syntax::hir::ClassUnicode, SyntaxError> {
        let mut found = named_set(self, 0)?;
        if flags.ignore_case {
            found.0.case_fold_simple();
        }
        if found.1 {
            found.0.negate();
        }
        Ok(found.0)
    }
}
