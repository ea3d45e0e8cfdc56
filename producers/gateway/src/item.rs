//! What protocols turn requests into: items, each of which becomes a record of `logs.raw`, and refusals.

use std::borrow::Cow;

use millrace_schemas::id::stream_fault;
pub use millrace_schemas::raw::TIME;
use millrace_schemas::{LineEnd, Piece};

/// Longest body of one record; longer items travel in numbered pieces.
pub const MAX_BODY: usize = 1 << 20;

/// Most items of one request: each costs memory, however short it is.
pub const MAX_ITEMS: usize = 1 << 18;

/// Bounds of what surrounds a body. A record must fit the topic with a full body beside it.
pub(crate) const MAX_HOST: usize = 255;
pub(crate) const MAX_FILE: usize = 4_096;
const MAX_SCOPE: usize = 4_096 + 600;
pub(crate) const MAX_ATTRIBUTES: usize = 256;
pub(crate) const MAX_ATTRIBUTE_BYTES: usize = 64 << 10;

/// One line or document as it was sent; borrows from the request where it can.
#[derive(Debug, Clone, PartialEq)]
pub struct Item<'a> {
    /// Name of the flow of lines.
    pub stream: Cow<'a, str>,
    /// Host that wrote it; `None` is the sender's address.
    pub host: Option<Cow<'a, str>>,
    /// File that it was read from.
    pub file: Option<Cow<'a, str>>,
    /// What the protocol says beside the body.
    pub attributes: Vec<(Cow<'a, str>, Cow<'a, str>)>,
    /// Identity for deduplication: scope and index.
    pub dedup: Option<(Cow<'a, str>, i64)>,
    /// How the line ended.
    pub line_end: LineEnd,
    /// Set where the protocol itself cut a line.
    pub piece: Option<Piece>,
    /// The exact bytes.
    pub body: Cow<'a, [u8]>,
}

impl<'a> Item<'a> {
    /// An item that is nothing but its body.
    pub fn new(stream: impl Into<Cow<'a, str>>, body: impl Into<Cow<'a, [u8]>>) -> Item<'a> {
        Item {
            stream: stream.into(),
            host: None,
            file: None,
            attributes: Vec::new(),
            dedup: None,
            line_end: LineEnd::None,
            piece: None,
            body: body.into(),
        }
    }

    /// Adds an attribute; of two with one name the later counts. One more than are taken is enough for the item to be
    /// refused: each is compared with those before it.
    pub fn attribute(&mut self, name: impl Into<Cow<'a, str>>, value: impl Into<Cow<'a, str>>) {
        if self.attributes.len() > MAX_ATTRIBUTES {
            return;
        }
        let (name, value) = (name.into(), value.into());
        match self.attributes.iter_mut().find(|(own, _)| *own == name) {
            Some(own) => own.1 = value,
            None => self.attributes.push((name, value)),
        }
    }

    /// Bytes of it and of what stands beside it: what a quota counts.
    pub(crate) fn size(&self) -> usize {
        let beside = self.attributes.iter().map(|(name, value)| name.len() + value.len()).sum::<usize>();
        let names = [&self.host, &self.file].map(|name| name.as_ref().map_or(0, |name| name.len()));
        self.body.len() + beside + names.iter().sum::<usize>()
    }

    /// Why it cannot be taken, whatever the protocol: a bound that it passes.
    pub fn fault(&self) -> Option<String> {
        let size: usize = self.attributes.iter().map(|(name, value)| name.len() + value.len()).sum();
        let over = |what: &str, is: usize, most: usize| {
            (is > most).then(|| format!("{what} has {is} bytes, at most {most} are taken"))
        };
        if !millrace_schemas::id::valid_stream(&self.stream) {
            return Some(stream_fault(&self.stream));
        }
        if self.host.as_ref().is_some_and(|host| host.is_empty()) {
            return Some("the host is empty".to_owned());
        }
        if self.attributes.len() > MAX_ATTRIBUTES {
            return Some(format!("more than {MAX_ATTRIBUTES} attributes stand beside the line"));
        }
        over("the host", self.host.as_ref().map_or(0, |host| host.len()), MAX_HOST)
            .or_else(|| over("the file", self.file.as_ref().map_or(0, |file| file.len()), MAX_FILE))
            .or_else(|| over("the id", self.dedup.as_ref().map_or(0, |(scope, _)| scope.len()), MAX_SCOPE))
            .or_else(|| over("what stands beside the line", size, MAX_ATTRIBUTE_BYTES))
    }
}

/// A stream's name made of any text, such as a label: what is not allowed becomes a hyphen. `None` where nothing is left.
pub fn stream_of(text: &str) -> Option<String> {
    let plain = |char: char| match char.to_ascii_lowercase() {
        char @ ('a'..='z' | '0'..='9' | '-' | '_' | '.') => char,
        _ => '-',
    };
    let name: String = text.chars().map(plain).take(128).collect();
    let name = name.trim_matches(|char| matches!(char, '-' | '_' | '.'));
    (!name.is_empty()).then(|| name.to_owned())
}

/// Part of a request that was not taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// Number of the item in the request, from 0.
    pub at: usize,
    /// Why, for the client.
    pub reason: String,
}

/// What a request holds.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Taken<'a> {
    /// What is taken, in order.
    pub items: Vec<Item<'a>>,
    /// What is not.
    pub refused: Vec<Refusal>,
}

impl<'a> Taken<'a> {
    /// Takes item number `at`, if it is within bounds.
    pub fn push(&mut self, at: usize, item: Item<'a>) {
        match item.fault() {
            None => self.items.push(item),
            Some(reason) => self.refuse(at, reason),
        }
    }

    /// Refuses item number `at`.
    pub fn refuse(&mut self, at: usize, reason: impl Into<String>) {
        self.refused.push(Refusal { at, reason: reason.into() });
    }

    /// Whether there was something, and none of it can be taken.
    pub fn is_hopeless(&self) -> bool {
        self.items.is_empty() && !self.refused.is_empty()
    }
}

/// The reason of a request with more than [`MAX_ITEMS`].
pub fn too_many() -> String {
    format!("the request has more than {MAX_ITEMS} lines; send smaller requests")
}

/// A request that would become more than is taken at once.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct TooMany(String);

/// What a request may still become, where what it says once is copied to each of its lines: labels, a resource.
pub(crate) struct Room {
    most: usize,
    bytes: usize,
    items: usize,
}

impl Room {
    /// For `most` bytes.
    pub(crate) fn new(most: usize) -> Room {
        Room { most, bytes: most, items: MAX_ITEMS }
    }

    /// Takes room for one more line of so many bytes, with what stands beside it.
    pub(crate) fn take(&mut self, bytes: usize) -> Result<(), TooMany> {
        let most = self.most >> 20;
        self.items = self.items.checked_sub(1).ok_or_else(|| TooMany(too_many()))?;
        self.bytes = self.bytes.checked_sub(bytes).ok_or_else(|| {
            TooMany(format!(
                "the lines with their labels or resource come to more than {most} MiB; send smaller requests"
            ))
        })?;
        Ok(())
    }
}

/// A request of which nothing can be taken: it does not have the form that the protocol asks for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Malformed(pub String);

impl Malformed {
    /// With this reason.
    pub fn new(reason: impl Into<String>) -> Malformed {
        Malformed(reason.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attributes_without_end_are_refused_and_not_held() {
        let mut item = Item::new("web", b"a".as_slice());
        for number in 0..MAX_ATTRIBUTES {
            item.attribute(number.to_string(), "");
        }
        item.attribute("0", "again");
        assert_eq!((item.fault(), item.attributes[0].1.as_ref()), (None, "again"));
        for number in 0..1_000 {
            item.attribute(format!("more {number}"), "");
        }
        assert_eq!((item.fault().is_some(), item.attributes.len()), (true, MAX_ATTRIBUTES + 1));
    }
}
