//! Body of a batch that one process of ours sends another (`PUT /v1/batches/…`): records, each behind its length; at last
//! their count and hash, so that a body that was cut on its way is not taken for a whole one.
//!
//! A record is a raw event in the frame of [`crate::codec`], whose id is the number of the schema's version, from 1: a host
//! behind a gateway knows no registry. A relay tells of batches that it took itself between the lines: [`TOLD`].

use xxhash_rust::xxh3::Xxh3;

/// Content-Type of such a body.
pub const MEDIA_TYPE: &str = "application/x-millrace-records";

/// Begins a record that is no line: behind it stands a [`crate::attempt::BatchState`] in its frame. A batch was taken by a
/// relay, and its lines, which bear its scope and their attempt, are among those that the relay sends.
pub const TOLD: u8 = 1;

/// Bytes before a record.
pub const LENGTH: usize = 4;
/// Stands where a length would, before count and hash.
const END: u32 = u32::MAX;
/// Bytes of the end: mark, count, hash.
const END_LEN: usize = LENGTH + 8 + 16;

/// Appends one record; `false` where it is longer than any can be.
pub fn put_record(out: &mut Vec<u8>, record: &[u8]) -> bool {
    let length = u32::try_from(record.len()).ok().filter(|length| *length != END);
    if let Some(length) = length {
        out.extend_from_slice(&length.to_le_bytes());
        out.extend_from_slice(record);
    }
    length.is_some()
}

/// Count and hash of what was written so far.
#[derive(Clone, Default)]
pub struct Digest {
    n_records: u64,
    hash: Xxh3,
}

impl std::fmt::Debug for Digest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Digest({} records)", self.n_records)
    }
}

impl Digest {
    /// Takes in `n_records` as [`put_record`] wrote them.
    pub fn add(&mut self, n_records: u64, written: &[u8]) {
        self.n_records += n_records;
        self.hash.update(written);
    }

    /// Records so far.
    pub fn n_records(&self) -> u64 {
        self.n_records
    }

    /// Hash of their bytes, lengths included.
    pub fn hash(&self) -> u128 {
        self.hash.digest128()
    }

    /// What ends the body.
    pub fn end(&self) -> Vec<u8> {
        let parts =
            [&END.to_le_bytes()[..], &self.n_records.to_le_bytes()[..], &self.hash().to_le_bytes()[..]];
        parts.concat()
    }
}

/// What is wrong with a body.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// A record is longer than it may be.
    #[error("record {at} says that it has {length} bytes, at most {most} are taken")]
    TooLong {
        /// Number of the record, from 0.
        at: u64,
        /// Its length.
        length: u32,
        /// What is taken.
        most: u32,
    },
    /// The end does not fit what came before it.
    #[error("the body says it has {said} records with another hash than the {n_records} that came")]
    Differs {
        /// Count that the end names.
        said: u64,
        /// Records that came.
        n_records: u64,
    },
    /// Bytes after the end.
    #[error("there are bytes after the end of the batch")]
    Trailing,
}

/// Reads a body as it comes. Holds no more than one record and what was fed last.
#[derive(Debug)]
pub struct Reader {
    bytes: Vec<u8>,
    used: usize,
    most: u32,
    digest: Digest,
    ended: bool,
}

impl Reader {
    /// Takes records of at most `most` bytes.
    pub fn new(most: u32) -> Reader {
        Reader { bytes: Vec::new(), used: 0, most, digest: Digest::default(), ended: false }
    }

    /// Adds what came.
    pub fn feed(&mut self, bytes: &[u8]) {
        self.bytes.drain(..self.used);
        self.used = 0;
        self.bytes.extend_from_slice(bytes);
    }

    /// The next whole record; `None` until more was fed, and after the end.
    ///
    /// # Errors
    /// [`Fault`]; nothing after it can be read.
    pub fn next_record(&mut self) -> Result<Option<&[u8]>, Fault> {
        let rest = &self.bytes[self.used..];
        if self.ended {
            return if rest.is_empty() { Ok(None) } else { Err(Fault::Trailing) };
        }
        let Some(length) = rest.first_chunk::<LENGTH>().map(|bytes| u32::from_le_bytes(*bytes)) else {
            return Ok(None);
        };
        if length == END {
            if rest.len() < END_LEN {
                return Ok(None);
            }
            if rest[..END_LEN] != self.digest.end() {
                let said = rest[LENGTH..].first_chunk().map_or(0, |bytes| u64::from_le_bytes(*bytes));
                return Err(Fault::Differs { said, n_records: self.digest.n_records() });
            }
            self.ended = true;
            self.used += END_LEN;
            return self.next_record();
        }
        if length > self.most {
            return Err(Fault::TooLong { at: self.digest.n_records(), length, most: self.most });
        }
        let whole = LENGTH + length as usize;
        if rest.len() < whole {
            return Ok(None);
        }
        self.digest.add(1, &self.bytes[self.used..self.used + whole]);
        let record = self.used + LENGTH..self.used + whole;
        self.used = record.end;
        Ok(Some(&self.bytes[record]))
    }

    /// Count and hash of what was read so far.
    pub fn digest(&self) -> &Digest {
        &self.digest
    }

    /// Count and hash of the whole batch, once its end was read.
    pub fn whole(&self) -> Option<&Digest> {
        self.ended.then_some(&self.digest)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn body(records: &[Vec<u8>]) -> Vec<u8> {
        let (mut bytes, mut digest) = (Vec::new(), Digest::default());
        records.iter().for_each(|record| assert!(put_record(&mut bytes, record)));
        digest.add(records.len() as u64, &bytes);
        bytes.extend(digest.end());
        bytes
    }

    fn read(reader: &mut Reader, bytes: &[u8], step: usize) -> Result<Vec<Vec<u8>>, Fault> {
        let mut found = Vec::new();
        for part in bytes.chunks(step.max(1)) {
            reader.feed(part);
            while let Some(record) = reader.next_record()? {
                found.push(record.to_vec());
            }
        }
        Ok(found)
    }

    #[test]
    fn what_is_wrong_is_said() {
        let good = body(&[b"one".to_vec(), vec![]]);
        let fault = |bytes: &[u8]| read(&mut Reader::new(3), bytes, 5).unwrap_err();
        assert_eq!(fault(&body(&[b"four".to_vec()])), Fault::TooLong { at: 0, length: 4, most: 3 });
        assert_eq!(fault(&[good.as_slice(), b"x"].concat()), Fault::Trailing);
        let mut other = good.clone();
        other[LENGTH] ^= 1;
        assert_eq!(fault(&other), Fault::Differs { said: 2, n_records: 2 });
    }

    proptest! {
        #[test]
        fn records_come_out_as_they_went_in(records: Vec<Vec<u8>>, step in 1..40_usize) {
            let mut reader = Reader::new(1_000);
            prop_assert_eq!(read(&mut reader, &body(&records), step).unwrap(), records.clone());
            prop_assert_eq!(reader.whole().unwrap().n_records(), records.len() as u64);
        }

        #[test]
        fn a_part_is_never_a_whole(records: Vec<Vec<u8>>, cut: prop::sample::Index, step in 1..40_usize) {
            let bytes = body(&records);
            let mut reader = Reader::new(1_000);
            let found = read(&mut reader, &bytes[..cut.index(bytes.len())], step).unwrap();
            prop_assert!(reader.whole().is_none());
            prop_assert_eq!(&records[..found.len()], &found);
        }

        #[test]
        fn any_bytes_are_read_or_refused(bytes: Vec<u8>, step in 1..40_usize) {
            drop(read(&mut Reader::new(50), &bytes, step));
        }
    }
}
