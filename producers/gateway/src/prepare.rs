//! Items as records: encoded, hashed for the ledger and keyed in the request's own task, so that the committing thread
//! only sends.

use std::collections::HashMap;

use millrace_schemas::attempt::BatchState;
use millrace_schemas::ledger::{Sum, line_hash, line_seed};
use millrace_schemas::{Attributes, Codec, CodecError, Dedup, LineEnd, Piece, RawEvent, TraceContext};
use xxhash_rust::xxh3::{Xxh3, xxh3_64};

use crate::batch::Step;
use crate::item::{Item, MAX_BODY};

/// What is told of a batch counts for so many bytes.
const TOLD: usize = size_of::<BatchState>() + 256;

/// Who sent a request, and when.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Sender<'a> {
    /// Tenant (I9: the key's or the listener's, never the request's own word).
    pub(crate) tenant: &'a str,
    /// Host of lines that name none.
    pub(crate) address: &'a str,
    /// µs since the epoch, stamped on every line.
    pub(crate) received: i64,
}

/// Why items did not become records.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PrepareError {
    /// A bug: schema and type differ.
    #[error("a record could not be encoded")]
    Codec(#[from] CodecError),
    /// Too much once every line has what stands beside it.
    #[error("the lines with what stands beside each come to more than {} MiB; send smaller requests", most >> 20)]
    TooLarge {
        /// Bound.
        most: usize,
    },
}

/// Records of one request: committed together or not at all.
#[derive(Debug, Default)]
pub(crate) struct Prepared {
    data: Vec<u8>,
    pub(crate) tenant: String,
    pub(crate) n_items: usize,
    /// The trace that the request belongs to.
    pub(crate) trace: Option<TraceContext>,
    pub(crate) records: Vec<Record>,
    /// How far they take the batch that they belong to.
    pub(crate) step: Option<Step>,
    /// What a relay tells of batches that it has taken.
    pub(crate) told: Vec<BatchState>,
    streams: Vec<String>,
    /// Where each stream is among them.
    places: HashMap<String, usize>,
}

/// One encoded record.
#[derive(Debug)]
pub(crate) struct Record {
    key: std::ops::Range<usize>,
    value: std::ops::Range<usize>,
    stream: usize,
    /// When it was received, µs.
    pub(crate) received: i64,
    /// Hash for the ledger.
    pub(crate) hash: Sum,
    /// Length of its body.
    pub(crate) body_len: usize,
    /// What it is known by, and the hash of its body.
    pub(crate) identity: Option<(u128, u64)>,
}

impl Prepared {
    /// Encodes `items`, into not much more than `most` bytes.
    ///
    /// # Errors
    /// [`PrepareError`].
    pub(crate) fn new(
        codec: &Codec,
        sender: Sender<'_>,
        items: &[Item<'_>],
        most: usize,
    ) -> Result<Prepared, PrepareError> {
        let mut prepared = Prepared::empty(sender.tenant);
        prepared.n_items = items.len();
        let mut scratch = Vec::new();
        for item in items {
            if prepared.data.len() > most {
                return Err(PrepareError::TooLarge { most });
            }
            if item.body.len() <= MAX_BODY {
                prepared.add(codec, sender, item, item.piece, item.line_end, &item.body, &mut scratch)?;
                continue;
            }
            let n_pieces = item.body.len().div_ceil(MAX_BODY);
            for (index, body) in item.body.chunks(MAX_BODY).enumerate() {
                let last = index + 1 == n_pieces;
                let end = if last { item.line_end } else { LineEnd::None };
                let piece = Some(Piece { index: index as i32, last });
                prepared.add(codec, sender, item, piece, end, body, &mut scratch)?;
            }
        }
        Ok(prepared)
    }

    /// Without records yet.
    pub(crate) fn empty(tenant: &str) -> Prepared {
        Prepared { tenant: tenant.to_owned(), ..Prepared::default() }
    }

    #[expect(clippy::too_many_arguments, reason = "an item, and what differs from piece to piece of it")]
    fn add(
        &mut self,
        codec: &Codec,
        sender: Sender<'_>,
        item: &Item<'_>,
        piece: Option<Piece>,
        line_end: LineEnd,
        body: &[u8],
        scratch: &mut Vec<u8>,
    ) -> Result<(), CodecError> {
        let host = item.host.as_deref().unwrap_or(sender.address);
        // Pieces have their number; an identity of one index would make them repeats of each other.
        let dedup = item.dedup.as_ref().filter(|_| piece.is_none());
        let dedup = dedup.map(|(scope, index)| Dedup { scope, index: *index, attempt: None });
        let raw = RawEvent {
            tenant: sender.tenant,
            stream: &item.stream,
            host,
            file: item.file.as_deref(),
            file_id: None,
            attributes: Attributes(item.attributes.clone()),
            received: sender.received,
            position: None,
            line_end,
            piece,
            dedup,
            body,
        };
        let identity = dedup.map(|dedup| (identity(sender.tenant, &item.stream, &dedup), xxh3_64(body)));
        self.push(codec, &raw, identity, scratch)
    }

    /// Adds one record, to be known by `identity`.
    pub(crate) fn push(
        &mut self,
        codec: &Codec,
        raw: &RawEvent<'_>,
        identity: Option<(u128, u64)>,
        scratch: &mut Vec<u8>,
    ) -> Result<(), CodecError> {
        let start = self.data.len();
        self.data.extend_from_slice(raw.tenant.as_bytes());
        self.data.push(b'/');
        self.data.extend_from_slice(raw.host.as_bytes());
        let key = start..self.data.len();
        codec.encode(raw, &mut self.data)?;
        let value = key.end..self.data.len();
        let stream = self.place(raw.stream);
        let seed = line_seed(raw.tenant, raw.stream, raw.host, raw.file_id);
        let hash = line_hash(seed, raw.position, raw.dedup.as_ref(), raw.body, scratch);
        let (received, body_len) = (raw.received, raw.body.len());
        self.records.push(Record { key, value, stream, received, hash, body_len, identity });
        Ok(())
    }

    /// Where a stream is among those of the records. Most have that of the record before.
    fn place(&mut self, stream: &str) -> usize {
        if let Some(last) = self.records.last()
            && self.streams[last.stream] == stream
        {
            return last.stream;
        }
        if let Some(at) = self.places.get(stream) {
            return *at;
        }
        let at = self.streams.len();
        self.streams.push(stream.to_owned());
        self.places.insert(stream.to_owned(), at);
        at
    }

    /// Kafka key of a record: `tenant/host`.
    pub(crate) fn key(&self, record: &Record) -> &[u8] {
        &self.data[record.key.clone()]
    }

    /// Value of a record.
    pub(crate) fn value(&self, record: &Record) -> &[u8] {
        &self.data[record.value.clone()]
    }

    /// Stream of a record.
    pub(crate) fn stream(&self, record: &Record) -> &str {
        &self.streams[record.stream]
    }

    /// Bytes to send.
    pub(crate) fn len(&self) -> usize {
        self.data.len() + self.told.len() * TOLD
    }

    /// Bytes held.
    pub(crate) fn size(&self) -> usize {
        self.data.capacity() + self.records.capacity() * size_of::<Record>() + self.told.len() * TOLD
    }
}

/// What an item is known by: tenant, stream, scope and index.
fn identity(tenant: &str, stream: &str, dedup: &Dedup<'_>) -> u128 {
    let mut hash = Xxh3::new();
    for part in [tenant, stream, dedup.scope] {
        hash.update(&(part.len() as u64).to_le_bytes());
        hash.update(part.as_bytes());
    }
    hash.update(&dedup.index.to_le_bytes());
    hash.digest128()
}

#[cfg(test)]
mod tests {
    use millrace_schemas::Subject;

    use super::*;

    fn codec() -> Codec {
        Codec::new("logs.raw-value", 1, Subject::Raw.schema()).unwrap()
    }

    const SENDER: Sender<'static> = Sender { tenant: "default", address: "127.0.0.1", received: 7 };

    #[test]
    fn records_hold_what_items_said() {
        let mut item = Item::new("web", b"a line".as_slice());
        item.dedup = Some(("key/k".into(), 3));
        item.attribute("app", "shop");
        let mut named = Item::new("web", b"".as_slice());
        named.host = Some("h1".into());
        let codec = codec();
        let prepared = Prepared::new(&codec, SENDER, &[item, named], 1 << 20).unwrap();
        let keys: Vec<_> = prepared.records.iter().map(|record| prepared.key(record)).collect();
        assert_eq!(keys, [b"default/127.0.0.1".as_slice(), b"default/h1"]);
        let raw: RawEvent<'_> = codec.decode(prepared.value(&prepared.records[0])).unwrap();
        assert_eq!((raw.host, raw.body, raw.received), ("127.0.0.1", b"a line".as_slice(), 7));
        assert_eq!(raw.dedup, Some(Dedup { scope: "key/k", index: 3, attempt: None }));
        assert_eq!(millrace_schemas::ledger::Line::sum(&raw), prepared.records[0].hash);
        assert!(prepared.records[1].identity.is_none());
    }

    #[test]
    fn a_long_item_travels_in_pieces() {
        let mut item = Item::new("web", vec![b'x'; 2 * MAX_BODY + 1]);
        item.line_end = LineEnd::Lf;
        let codec = codec();
        let prepared = Prepared::new(&codec, SENDER, &[item], 4 << 20).unwrap();
        let pieces = prepared.records.iter().map(|record| {
            let raw: RawEvent<'_> = codec.decode(prepared.value(record)).unwrap();
            (raw.piece.unwrap().index, raw.piece.unwrap().last, raw.line_end, raw.body.len())
        });
        let pieces: Vec<_> = pieces.collect();
        let none = LineEnd::None;
        assert_eq!(
            pieces,
            [(0, false, none, MAX_BODY), (1, false, none, MAX_BODY), (2, true, LineEnd::Lf, 1)]
        );
    }

    #[test]
    fn as_many_streams_as_lines_take_no_longer_than_lines() {
        let items: Vec<Item<'_>> = (0..100_000).map(|n| Item::new(format!("s{n}"), b"".as_slice())).collect();
        let prepared = Prepared::new(&codec(), SENDER, &items, 64 << 20).unwrap();
        let streams = prepared.records.iter().map(|record| prepared.stream(record));
        assert!(streams.eq(items.iter().map(|item| item.stream.as_ref())));
    }

    #[test]
    fn what_stands_beside_many_lines_is_bounded() {
        let mut item = Item::new("web", b"".as_slice());
        item.attribute("a", "x".repeat(1_000));
        let items = vec![item; 100];
        assert!(Prepared::new(&codec(), SENDER, &items, 200_000).is_ok());
        let refused = Prepared::new(&codec(), SENDER, &items, 50_000);
        assert!(matches!(refused, Err(PrepareError::TooLarge { most: 50_000 })));
    }
}
