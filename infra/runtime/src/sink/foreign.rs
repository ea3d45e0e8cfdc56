//! Records that no stage of ours wrote: a client wrote to a topic that only our stages write, or data is damaged. Each
//! becomes one dead letter with its bytes, in the transaction that passes its offset (I1, I2).

use std::collections::BTreeMap;

use millrace_schemas::dead::{self, DeadLetter};
use millrace_schemas::ledger::{Tally, edge, stage};
use millrace_schemas::topics;

use crate::kafka::{Batch, Error, OutRecord, Record, TxnProducer};

/// Most bytes of a record that travel in its letter: a batch of others is compressed, so a record may be larger than
/// `logs.dead` takes. The rest stays where it is as long as its topic keeps it; the letter says so.
const MOST_BYTES: usize = 3 << 20;
/// Most characters of what a decoder says.
const MOST_DETAIL: usize = 500;
/// Most bytes of a key.
const MOST_KEY: usize = 32 << 10;

/// A foreign record, and the letter that it becomes.
pub(super) struct Foreign {
    letter: DeadLetter,
    key: Vec<u8>,
    value: Vec<u8>,
    /// When the broker appended it, µs.
    received: i64,
}

impl Foreign {
    /// `topic` is where it was read; `reason` how it was seen to be foreign.
    pub(super) fn new(topic: &str, batch: &Batch, record: &Record, reason: &str) -> Foreign {
        let whole = batch.value(record).unwrap_or_default();
        let value = &whole[..whole.len().min(MOST_BYTES)];
        let key = batch.key(record);
        let key = &key[..key.len().min(MOST_KEY)];
        let received = record.timestamp * 1_000;
        let cut = match whole.len() - value.len() {
            0 => String::new(),
            n => format!("; the last {n} of its {} bytes are left out", whole.len()),
        };
        let tenant = dead::undecodable(key, value, received).tenant.to_owned();
        let at = (record.partition, record.offset);
        let reason: String = reason.chars().take(MOST_DETAIL).collect();
        let letter = DeadLetter::foreign(topic, at, &tenant, stage::ARCHIVE, format!("{reason}{cut}"));
        Foreign { letter, key: key.to_vec(), value: value.to_vec(), received }
    }

    /// Bytes of memory, roughly.
    pub(super) fn len(&self) -> usize {
        self.key.len() + self.value.len() + 512
    }
}

/// Counts them as debts: every sink that stores a letter pays one.
pub(super) fn count(all: &[Foreign], tallies: &mut BTreeMap<i32, Tally>) {
    for own in all {
        let line = dead::undecodable(&own.key, &own.value, own.received);
        let tally = tallies.entry(own.letter.generation()).or_default();
        tally.count(edge::FOREIGN, &line, own.letter.partition, own.letter.offset);
    }
}

/// Sends their letters into the open transaction, each to the partition of its record.
pub(super) fn send(all: &[Foreign], producer: &mut TxnProducer) -> Result<(), Error> {
    for own in all {
        let received = own.received.to_string();
        let headers = own.letter.headers();
        let mut headers: Vec<(&str, &[u8])> =
            headers.iter().map(|(name, value)| (*name, value.as_bytes())).collect();
        headers.push((dead::RECEIVED, received.as_bytes()));
        producer.send(OutRecord {
            topic: topics::DEAD,
            partition: Some(own.letter.partition),
            key: &own.key,
            value: Some(&own.value),
            headers: &headers,
            tag: usize::MAX,
        })?;
    }
    Ok(())
}
