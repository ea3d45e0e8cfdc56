//! The body of a batch as it comes: records of a forwarder, or plain lines. Holds one line and what was fed last. Pure.

use millrace_schemas::attempt::BatchState;
use millrace_schemas::batch::{Digest, Fault, MEDIA_TYPE, Reader, TOLD};
use millrace_schemas::{Attributes, Codec, CodecError, LineEnd, Piece, RawEvent, Subject};

use super::Name;
use crate::item::MAX_BODY;

/// Largest record that is taken: the longest line with all that may stand beside it.
const MAX_RECORD: u32 = (MAX_BODY + (256 << 10)) as u32;

/// A body that is being read.
#[derive(Debug)]
pub(crate) enum Body {
    /// Of a forwarder or a relay.
    Records(Box<Records>),
    /// Text.
    Lines(Box<Lines>),
}

/// Records that are read.
#[derive(Debug)]
pub(crate) struct Records {
    reader: Reader,
    lines: Codec,
    batches: Codec,
}

/// What stands next in a body.
pub(crate) enum Entry<'a> {
    Line(RawEvent<'a>),
    /// What a relay tells of a batch that it took.
    Told(BatchState),
}

/// Why a batch can never be taken.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BodyError {
    #[error(transparent)]
    Fault(#[from] Fault),
    #[error("record {at} cannot be read: {source}; is its sender newer than this gateway?")]
    Record { at: u64, source: CodecError },
}

/// Reads and writes what is sent by those who know no registry: the version of the schema stands where its id would.
///
/// # Errors
/// A schema that does not parse.
pub(crate) fn codec(subject: Subject) -> Result<Codec, CodecError> {
    let versions = subject.versions();
    let mut codec = Codec::new(subject.folder(), versions.len() as u32, subject.schema())?;
    for (at, text) in versions.iter().enumerate() {
        codec.learn(at as u32 + 1, text)?;
    }
    Ok(codec)
}

impl Body {
    /// Of this media type.
    ///
    /// # Errors
    /// A schema that does not parse: a bug.
    pub(crate) fn new(media_type: &str) -> Result<Body, CodecError> {
        Ok(match media_type {
            MEDIA_TYPE => Body::Records(Box::new(Records {
                reader: Reader::new(MAX_RECORD),
                lines: codec(Subject::Raw)?,
                batches: codec(Subject::Batches)?,
            })),
            _ => Body::Lines(Box::default()),
        })
    }

    /// Adds what came.
    pub(crate) fn feed(&mut self, bytes: &[u8]) {
        match self {
            Body::Records(own) => own.reader.feed(bytes),
            Body::Lines(lines) => lines.feed(bytes),
        }
    }

    /// Nothing more will come.
    pub(crate) fn end(&mut self) {
        if let Body::Lines(lines) = self {
            lines.ended = true;
        }
    }

    /// Whether all of it came. Plain lines have no mark of their end; a transfer that broke off is known otherwise.
    pub(crate) fn is_whole(&self) -> bool {
        match self {
            Body::Records(own) => own.reader.whole().is_some(),
            Body::Lines(lines) => lines.ended,
        }
    }

    /// Count and hash of what was given.
    pub(crate) fn digest(&self) -> &Digest {
        match self {
            Body::Records(own) => own.reader.digest(),
            Body::Lines(lines) => &lines.digest,
        }
    }

    /// What stands next; `None` until more was fed. Plain lines get what `name`, `tenant` and `received` say.
    pub(crate) fn next<'a>(
        &'a mut self,
        (tenant, name, received): (&'a str, &'a Name, i64),
    ) -> Result<Option<Entry<'a>>, BodyError> {
        match self {
            Body::Records(own) => {
                let Records { reader, lines, batches } = &mut **own;
                let at = reader.digest().n_records();
                let Some(record) = reader.next_record()? else { return Ok(None) };
                let entry = match record.split_first() {
                    Some((&TOLD, state)) => batches.decode(state).map(Entry::Told),
                    _ => lines.decode(record).map(Entry::Line),
                };
                entry.map(Some).map_err(|source| BodyError::Record { at, source })
            }
            Body::Lines(lines) => Ok(lines.next().map(|(body, line_end, piece)| {
                Entry::Line(RawEvent {
                    tenant,
                    stream: &name.stream,
                    host: &name.host,
                    file: None,
                    file_id: None,
                    attributes: Attributes::default(),
                    received,
                    position: None,
                    line_end,
                    piece,
                    dedup: None,
                    body,
                })
            })),
        }
    }
}

/// Lines of a text that comes in parts; those that are too long, in pieces.
#[derive(Debug, Default)]
pub(crate) struct Lines {
    bytes: Vec<u8>,
    used: usize,
    /// Up to here there is no line feed.
    searched: usize,
    /// Number of the next piece of a line.
    piece: i32,
    digest: Digest,
    ended: bool,
}

impl Lines {
    fn feed(&mut self, bytes: &[u8]) {
        self.bytes.drain(..self.used);
        self.searched -= self.used;
        self.used = 0;
        self.bytes.extend_from_slice(bytes);
    }

    fn next(&mut self) -> Option<(&[u8], LineEnd, Option<Piece>)> {
        let start = self.used;
        let found = memchr::memchr(b'\n', &self.bytes[self.searched..]).map(|at| self.searched + at);
        self.searched = found.unwrap_or(self.bytes.len());
        let (mut body, mut line_end) = match found {
            Some(at) if self.bytes[start..at].ends_with(b"\r") => (start..at - 1, LineEnd::CrLf),
            Some(at) => (start..at, LineEnd::Lf),
            None => (start..self.bytes.len(), LineEnd::None),
        };
        let has_more = body.len() > MAX_BODY;
        // Without its end it is not known yet whether a line ends at the bound.
        if found.is_none() && body.len() <= MAX_BODY + 1 && (body.is_empty() || !self.ended) {
            return None;
        }
        if has_more {
            body.end = start + MAX_BODY;
            line_end = LineEnd::None;
            self.used = body.end;
        } else {
            self.used = body.end + line_end.bytes().len();
            self.searched = self.used;
        }
        let piece = (has_more || self.piece > 0).then_some(Piece { index: self.piece, last: !has_more });
        self.piece = if has_more { self.piece + 1 } else { 0 };
        self.digest.add(1, &self.bytes[start..self.used]);
        Some((&self.bytes[body], line_end, piece))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_a_relay_tells_stands_between_lines() {
        let name = Name { stream: "web".into(), host: "h".into(), minute: 7, source: None };
        let told = name.state("acme");
        let mut record = vec![TOLD];
        codec(Subject::Batches).unwrap().encode(&told, &mut record).unwrap();
        let (mut bytes, mut digest) = (Vec::new(), Digest::default());
        assert!(millrace_schemas::batch::put_record(&mut bytes, &record));
        digest.add(1, &bytes);
        bytes.extend(digest.end());
        let mut body = Body::new(MEDIA_TYPE).unwrap();
        body.feed(&bytes);
        let entry = body.next(("acme", &name, 0)).unwrap();
        assert!(matches!(entry, Some(Entry::Told(own)) if own == told));
        assert!(body.next(("acme", &name, 0)).unwrap().is_none() && body.is_whole());
        // One that is cut.
        let mut body = Body::new(MEDIA_TYPE).unwrap();
        body.feed(&[1, 0, 0, 0, TOLD]);
        assert!(body.next(("acme", &name, 0)).is_err());
    }

    type Found = (Vec<u8>, LineEnd, Option<Piece>);

    fn read(text: &[u8], step: usize) -> (Vec<Found>, Lines) {
        let (mut lines, mut found) = (Lines::default(), Vec::new());
        let parts = text.chunks(step.max(1)).map(Some).chain([None]);
        for part in parts {
            match part {
                Some(part) => lines.feed(part),
                None => lines.ended = true,
            }
            while let Some((body, end, piece)) = lines.next() {
                found.push((body.to_vec(), end, piece));
            }
        }
        (found, lines)
    }

    #[test]
    fn a_long_line_comes_in_pieces() {
        let piece = |index, last| Some(Piece { index, last });
        for (len, end, pieces) in [
            (MAX_BODY, LineEnd::CrLf, vec![None]),
            (MAX_BODY + 1, LineEnd::CrLf, vec![piece(0, false), piece(1, true)]),
            (2 * MAX_BODY, LineEnd::None, vec![piece(0, false), piece(1, true)]),
            (2 * MAX_BODY + 1, LineEnd::Lf, vec![piece(0, false), piece(1, false), piece(2, true)]),
        ] {
            let mut text = vec![b'x'; len];
            text.extend_from_slice(end.bytes());
            let whole = read(&text, usize::MAX).0;
            assert_eq!(whole.iter().map(|own| own.2).collect::<Vec<_>>(), pieces, "{len}");
            assert_eq!(whole.last().unwrap().1, end);
            // However it is cut.
            assert!(read(&text, 99_991).0 == whole, "{len}");
        }
    }

    proptest! {
        #[test]
        fn lines_do_not_depend_on_how_they_come(text in "[a\r\n]{0,60}", step in 1..20_usize) {
            let (found, lines) = read(text.as_bytes(), step);
            let wanted: Vec<_> =
                crate::lines::lines(text.as_bytes()).map(|(body, end)| (body.to_vec(), end, None)).collect();
            prop_assert_eq!(found, wanted);
            prop_assert_eq!(lines.digest.hash(), xxhash_rust::xxh3::xxh3_128(text.as_bytes()));
        }
    }
}
