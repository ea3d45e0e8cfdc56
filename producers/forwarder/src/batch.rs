//! What one transaction carries: encoded lines, what the ledger wants to know of each, and how far their files are read.

use millrace_schemas::ledger::{Sum, Tally, edge, line_hash, line_seed};
use millrace_schemas::position::FilePosition;
use millrace_schemas::{Attributes, LineEnd, Piece, Position, RawTemplate};

use crate::container::Unwrapped;
use crate::encoding::Encoding;
use crate::options::{Input, Options};

/// Lines and positions that are committed together.
#[derive(Debug, Default)]
pub struct Batch {
    data: Vec<u8>,
    records: Vec<Record>,
    sources: Vec<Source>,
    scratch: Vec<u8>,
    bytes: u64,
    pub(crate) positions: Vec<FilePosition>,
    pub(crate) forgotten: Vec<FilePosition>,
}

/// Where lines come from: one per input, the same in every batch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    /// Tenant id.
    pub tenant: String,
    /// Stream.
    pub stream: String,
    /// Kafka key of its records, `tenant/host`.
    pub key: String,
}

/// One encoded line, and what the ledger wants to know of it.
#[derive(Debug, Clone, Copy)]
pub struct Record {
    /// Hash of the line.
    pub hash: Sum,
    /// When it was read, µs.
    pub received: i64,
    /// Length of its body.
    pub body_len: u32,
    /// Index into [`Batch::sources`].
    pub source: u32,
    start: u32,
    end: u32,
}

impl Batch {
    pub(crate) fn new(options: &Options) -> Batch {
        let source = |input: &Input| Source {
            tenant: input.tenant.clone(),
            stream: input.stream.clone(),
            key: format!("{}/{}", input.tenant, options.host),
        };
        Batch { sources: options.inputs.iter().map(source).collect(), ..Batch::default() }
    }

    /// The records in the order in which they must be sent.
    pub fn records(&self) -> &[Record] {
        &self.records
    }

    /// Value of `record`, which must be one of this batch: a raw event in Confluent's wire format.
    pub fn value(&self, record: &Record) -> &[u8] {
        &self.data[record.start as usize..record.end as usize]
    }

    /// Tenant, stream and Kafka key of `record`.
    pub fn source(&self, record: &Record) -> &Source {
        &self.sources[record.source as usize]
    }

    /// Where lines come from, by index.
    pub fn sources(&self) -> &[Source] {
        &self.sources
    }

    /// Counts `record`, delivered at `offset` of `partition`, as written by the forwarder.
    pub fn count(&self, record: &Record, partition: i32, offset: i64, tally: &mut Tally) {
        let Source { tenant, stream, .. } = self.source(record);
        let account = (1, i64::from(record.body_len), record.hash);
        tally.add(edge::OUT, (tenant, stream, record.received), account, partition, offset..offset + 1);
    }

    /// Positions that changed: each replaces the record under its [`FilePosition::key`].
    pub fn positions(&self) -> &[FilePosition] {
        &self.positions
    }

    /// Positions that nobody needs any more: a tombstone under each key.
    pub fn forgotten(&self) -> &[FilePosition] {
        &self.forgotten
    }

    /// Bytes of the source files that the records cover, line ends included.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Whether there is nothing to commit.
    pub fn is_empty(&self) -> bool {
        self.records.is_empty() && self.positions.is_empty() && self.forgotten.is_empty()
    }

    /// Forgets the content and keeps the memory.
    pub(crate) fn clear(&mut self) {
        self.data.clear();
        self.records.clear();
        self.positions.clear();
        self.forgotten.clear();
        self.bytes = 0;
    }

    /// Encoded bytes.
    pub(crate) fn len(&self) -> usize {
        self.data.len()
    }

    pub(crate) fn push(&mut self, source: &LineSource, received: i64, line: &Line<'_>) {
        let start = self.data.len() as u32;
        source.template.encode(
            &mut self.data,
            received,
            Some(line.position),
            line.end,
            line.piece,
            line.body,
        );
        let hash = line_hash(source.seed, Some(line.position), None, line.body, &mut self.scratch);
        self.bytes += line.read as u64;
        self.records.push(Record {
            hash,
            received,
            body_len: line.body.len() as u32,
            source: source.index,
            start,
            end: self.data.len() as u32,
        });
    }
}

/// One line, or one piece of an over-long one.
#[derive(Debug)]
pub(crate) struct Line<'a> {
    pub(crate) position: Position,
    pub(crate) end: LineEnd,
    pub(crate) piece: Option<Piece>,
    pub(crate) body: &'a [u8],
    /// Bytes of the file that it was made from.
    pub(crate) read: usize,
}

/// What all lines of one incarnation have in common, encoded and hashed once.
#[derive(Debug)]
pub(crate) struct LineSource {
    template: RawTemplate,
    seed: u64,
    index: u32,
}

impl LineSource {
    pub(crate) fn new(
        options: &Options,
        index: usize,
        position: &FilePosition,
        encoding: Encoding,
    ) -> LineSource {
        LineSource::with(options, index, position, encoding, &[])
    }

    /// For a line of a container: with the stream, and the time that the runtime wrote.
    pub(crate) fn of_container(
        options: &Options,
        index: usize,
        position: &FilePosition,
        encoding: Encoding,
        line: &Unwrapped,
    ) -> LineSource {
        let Some(stream) = &line.stream else {
            return LineSource::new(options, index, position, encoding);
        };
        let more = [("container.stream", stream.as_str()), ("container.time", line.time.as_str())];
        LineSource::with(options, index, position, encoding, &more)
    }

    fn with(
        options: &Options,
        index: usize,
        position: &FilePosition,
        encoding: Encoding,
        more: &[(&str, &str)],
    ) -> LineSource {
        let own: &[_] = options.inputs.get(index).map_or(&[], |input| &input.attributes);
        let mut pairs: Vec<_> = own.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        // With it the text can be written as it was.
        let encoding = (encoding != Encoding::Utf8).then(|| ("encoding", encoding.name()));
        // What is declared by hand stands.
        let new = |(name, _): &(&str, &str)| !own.iter().any(|(known, _)| known == name);
        pairs.extend(encoding.into_iter().chain(more.iter().copied()).filter(new));
        let pairs = pairs.into_iter().map(|(name, value)| (name.into(), value.into()));
        let attributes = Attributes(pairs.collect());
        let FilePosition { tenant, stream, path, file_id, .. } = position;
        let file = Some((path.as_str(), file_id.as_str()));
        LineSource {
            template: RawTemplate::new(options.schema_id, tenant, stream, &options.host, file, &attributes),
            seed: line_seed(tenant, stream, &options.host, Some(file_id)),
            index: index as u32,
        }
    }
}
