//! Records read together, in one buffer: a record costs no allocation of its own.

use std::ops::Range;

use millrace_schemas::{TraceContext, trace};
use rdkafka::message::{Headers, Message};

/// A record that was read; key and value lie in the batch.
#[derive(Debug, Clone)]
pub struct Record {
    /// Number of the topic in [`super::MemberOptions::topics`].
    pub topic: usize,
    /// Partition.
    pub partition: i32,
    /// Offset.
    pub offset: i64,
    /// Append time, ms since the epoch.
    pub timestamp: i64,
    /// Where its headers lie in the batch.
    headers: Range<usize>,
    /// The trace that it belongs to.
    pub trace: Option<TraceContext>,
    key: Range<usize>,
    value: Option<Range<usize>>,
}

/// Records read together, in one buffer.
#[derive(Debug, Default)]
pub struct Batch {
    data: Vec<u8>,
    headers: Vec<(String, Vec<u8>)>,
    /// The records, in order of arrival.
    pub records: Vec<Record>,
}

impl Batch {
    /// Key of a record.
    pub fn key(&self, record: &Record) -> &[u8] {
        &self.data[record.key.clone()]
    }

    /// Value of a record.
    pub fn value(&self, record: &Record) -> Option<&[u8]> {
        record.value.clone().map(|range| &self.data[range])
    }

    /// Value of a header of a record.
    pub fn header(&self, record: &Record, name: &str) -> Option<&[u8]> {
        let headers = &self.headers[record.headers.clone()];
        headers.iter().find(|(own, _)| own == name).map(|(_, value)| value.as_slice())
    }

    /// Bytes of keys and values.
    pub fn bytes(&self) -> usize {
        self.data.len()
    }

    /// Forgets the records, keeps the memory.
    pub fn clear(&mut self) {
        self.data.clear();
        self.headers.clear();
        self.records.clear();
    }

    pub(super) fn push(&mut self, topic: usize, message: &impl Message, with_headers: bool) {
        let mut put = |bytes: &[u8]| {
            let start = self.data.len();
            self.data.extend_from_slice(bytes);
            start..self.data.len()
        };
        let key = put(message.key().unwrap_or_default());
        let value = message.payload().map(put);
        let first_header = self.headers.len();
        let mut trace = None;
        for header in message.headers().into_iter().flat_map(Headers::iter) {
            let value = header.value.unwrap_or_default();
            if header.key == trace::HEADER {
                trace = TraceContext::parse(value);
            }
            if with_headers {
                self.headers.push((header.key.to_owned(), value.to_vec()));
            }
        }
        self.records.push(Record {
            topic,
            partition: message.partition(),
            offset: message.offset(),
            timestamp: message.timestamp().to_millis().unwrap_or_default(),
            headers: first_header..self.headers.len(),
            trace,
            key,
            value,
        });
    }
}
