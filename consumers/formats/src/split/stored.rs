//! What a split stores of a row: all that a hit shows.
//!
//! An event is stored as its framed Avro value with the number of the schema's version (from 1) in place of the
//! registry's id, so that a split can be read without a registry (I6). A dead letter is its raw line in the same form
//! and, behind it, its headers. The first byte tells which: 0 for an event, 1 for a dead letter.

use millrace_schemas::codec::FRAME_LEN;
use millrace_schemas::dead::DeadLetter;
use millrace_schemas::{Codec, CodecError, Event, RawEvent, Subject};

use super::SplitError;

const ACTION: &str = "read a stored row";
const DEAD: u8 = 1;

/// A row as it was stored.
#[derive(Debug, Clone, PartialEq)]
pub enum Stored<'a> {
    /// A parsed line.
    Event(Box<Event<'a>>),
    /// A dead letter.
    Dead(Box<DeadLetter>, Box<RawEvent<'a>>),
}

/// Reads stored rows, whatever version they were written with.
#[derive(Debug)]
pub struct StoredReader {
    events: Codec,
    raw: Codec,
}

impl StoredReader {
    /// A reader of every version that this program knows.
    ///
    /// # Errors
    /// An embedded schema does not parse; a bug.
    pub fn new() -> Result<StoredReader, SplitError> {
        let fail = |error: CodecError| SplitError::new("prepare the schemas of stored rows", error);
        Ok(StoredReader {
            events: versions(Subject::Parsed).map_err(fail)?,
            raw: versions(Subject::Raw).map_err(fail)?,
        })
    }

    /// Decodes what a split has stored.
    ///
    /// # Errors
    /// The bytes are damaged, or of a version that this program does not know.
    pub fn read<'a>(&self, stored: &'a [u8]) -> Result<Stored<'a>, SplitError> {
        let fail = |error: CodecError| SplitError::damaged(ACTION, error);
        if stored.first() != Some(&DEAD) {
            return Ok(Stored::Event(Box::new(self.events.decode(stored).map_err(fail)?)));
        }
        let (letter, raw) =
            split_dead(stored).ok_or_else(|| SplitError::damaged(ACTION, "the headers are cut off"))?;
        Ok(Stored::Dead(Box::new(letter), Box::new(self.raw.decode(raw).map_err(fail)?)))
    }
}

/// A codec that reads each version under its own number and writes the newest under its number.
pub(super) fn versions(subject: Subject) -> Result<Codec, CodecError> {
    let texts = subject.versions();
    let mut codec = Codec::new(subject.folder(), texts.len() as u32, subject.schema())?;
    for (number, text) in (1..).zip(texts) {
        codec.learn(number, text)?;
    }
    Ok(codec)
}

/// Replaces the registry's id in a framed value by the number of a version.
pub(super) fn renumber(framed: &mut [u8], version: u32) {
    if let Some(id) = framed.get_mut(1..FRAME_LEN) {
        id.copy_from_slice(&version.to_be_bytes());
    }
}

/// Appends a dead letter: marker, length of the raw value, raw value, headers.
///
/// # Errors
/// A bug: the raw line does not fit its schema.
pub fn encode_dead(
    codec: &Codec,
    letter: &DeadLetter,
    raw: &RawEvent<'_>,
    out: &mut Vec<u8>,
) -> Result<(), CodecError> {
    out.push(DEAD);
    let at = out.len();
    out.extend_from_slice(&[0; 4]);
    codec.encode(raw, out)?;
    let len = (out.len() - at - 4) as u32;
    out[at..at + 4].copy_from_slice(&len.to_le_bytes());
    for (_, text) in letter.headers() {
        out.extend_from_slice(&(text.len() as u32).to_le_bytes());
        out.extend_from_slice(text.as_bytes());
    }
    Ok(())
}

fn split_dead(stored: &[u8]) -> Option<(DeadLetter, &[u8])> {
    let (raw, mut rest) = chunk(stored.get(1..)?)?;
    let mut headers = Vec::with_capacity(10);
    while !rest.is_empty() {
        let (header, behind) = chunk(rest)?;
        headers.push(header);
        rest = behind;
    }
    let names = NAMES.iter().zip(headers);
    let letter =
        DeadLetter::from_headers(|name| names.clone().find(|(own, _)| **own == name).map(|(_, text)| text));
    Some((letter.ok()?, raw))
}

/// Names of the headers in the order of [`DeadLetter::headers`]; tested.
pub(super) const NAMES: [&str; 10] = [
    "millrace-topic",
    "millrace-partition",
    "millrace-offset",
    "millrace-tenant",
    "millrace-stream",
    "millrace-stage",
    "millrace-reason",
    "millrace-detail",
    "millrace-parser",
    "millrace-parser-version",
];

fn chunk(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (len, rest) = bytes.split_first_chunk::<4>()?;
    rest.split_at_checked(u32::from_le_bytes(*len) as usize)
}
