//! What a format finds in a line, or where it stopped.

use std::borrow::Cow;
use std::collections::HashMap;

use millrace_schemas::{Fields, Value};

/// What a format found.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Found<'t> {
    /// Event time, µs; `None` where the line has none that can be read.
    pub time: Option<i64>,
    /// As the format names it, lower case.
    pub severity: Option<Cow<'t, str>>,
    /// User, where the format has one.
    pub user: Option<Cow<'t, str>>,
    /// `None`: the whole line is the message.
    pub message: Option<Cow<'t, str>>,
    /// Typed fields in the order of the line.
    pub fields: Fields<'t>,
    /// What was odd.
    pub flags: Vec<&'static str>,
}

impl<'t> Found<'t> {
    /// Adds a text. Room is made before the pair is: if making room could fail while the pair waits, the pair would lie in
    /// memory and be copied from there, which takes longer than all the rest.
    #[inline]
    pub(crate) fn push(&mut self, name: &'t str, text: &'t str) {
        let pair = || (Cow::Borrowed(name), Value::String(Cow::Borrowed(text)));
        self.fields.0.extend(std::iter::once_with(pair));
    }

    /// Adds a text unless the format says that there is none (`-`).
    pub(crate) fn text(&mut self, name: &'static str, text: &'t str) {
        if text != "-" {
            self.push(name, text);
        }
    }
}

impl<'t> Found<'t> {
    /// Adds what a head says that stands before this: it counts where there is nothing else.
    pub(crate) fn behind(&mut self, head: Found<'t>) {
        self.time = self.time.or(head.time);
        self.severity = self.severity.take().or(head.severity);
        let mut places = Places::default();
        for (name, value) in head.fields.0 {
            if places.of(&name, &self.fields).is_none() {
                self.fields.push(name, value);
            }
        }
    }
}

/// Where names stand among fields that only grow. Few are looked through, many are in a table: a line of names alone takes no
/// more than its length.
#[derive(Default)]
pub(crate) struct Places<'t> {
    /// Only looked up: its order decides nothing.
    table: HashMap<Cow<'t, str>, usize>,
    n_known: usize,
}

impl<'t> Places<'t> {
    /// Fields that are looked through.
    const FEW: usize = 32;

    /// Where `name` stands first.
    pub(crate) fn of(&mut self, name: &str, fields: &Fields<'t>) -> Option<usize> {
        if fields.0.len() <= Places::FEW {
            return fields.0.iter().position(|(own, _)| own == name);
        }
        for (at, (own, _)) in fields.0.iter().enumerate().skip(self.n_known) {
            self.table.entry(own.clone()).or_insert(at);
        }
        self.n_known = fields.0.len();
        self.table.get(name).copied()
    }
}

/// Where a line stops being of the format.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stopped {
    /// Byte in the line.
    pub at: usize,
    /// What should stand there.
    pub expected: Cow<'static, str>,
    /// The line takes too many steps to say.
    pub complex: bool,
}

impl Stopped {
    pub(crate) fn new(at: usize, expected: &'static str) -> Stopped {
        Stopped { at, expected: Cow::Borrowed(expected), complex: false }
    }

    pub(crate) fn too_complex(pattern: &str) -> Stopped {
        let expected = format!("a text on which {pattern:?} takes fewer steps");
        Stopped { at: 0, expected: expected.into(), complex: true }
    }
}

/// A place in a line.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Cursor<'t> {
    pub(crate) text: &'t str,
    pub(crate) at: usize,
}

impl<'t> Cursor<'t> {
    pub(crate) fn new(text: &'t str) -> Cursor<'t> {
        Cursor { text, at: 0 }
    }

    pub(crate) fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    pub(crate) fn rest(&self) -> &'t str {
        self.text.get(self.at..).unwrap_or_default()
    }

    /// Steps over `token`, which is ASCII.
    pub(crate) fn skip(&mut self, token: &str) -> bool {
        let found = self.text.as_bytes()[self.at.min(self.text.len())..].starts_with(token.as_bytes());
        self.at += if found { token.len() } else { 0 };
        found
    }

    /// Steps over `token`, or says that it is `expected`.
    pub(crate) fn expect(&mut self, token: &str, expected: &'static str) -> Result<(), Stopped> {
        if self.skip(token) { Ok(()) } else { Err(self.stop(expected)) }
    }

    /// Text up to the ASCII byte `end`, or all that is left; stands before it afterwards.
    pub(crate) fn until(&mut self, end: u8) -> &'t str {
        let rest = self.rest();
        let len = memchr::memchr(end, rest.as_bytes()).unwrap_or(rest.len());
        self.at += len;
        &rest[..len]
    }

    /// Longest run of ASCII bytes for which `is` holds.
    pub(crate) fn run(&mut self, is: impl Fn(u8) -> bool) -> &'t str {
        let rest = self.rest();
        let len = rest.bytes().position(|byte| !(byte.is_ascii() && is(byte))).unwrap_or(rest.len());
        self.at += len;
        &rest[..len]
    }

    /// Longest run of bytes for which `is` holds, which must hold for all bytes beyond ASCII.
    pub(crate) fn run_any(&mut self, is: impl Fn(u8) -> bool) -> &'t str {
        let rest = self.rest();
        let len = rest.bytes().position(|byte| byte.is_ascii() && !is(byte)).unwrap_or(rest.len());
        self.at += len;
        &rest[..len]
    }

    pub(crate) fn stop(&self, expected: &'static str) -> Stopped {
        Stopped::new(self.at, expected)
    }
}
