//! Avro values in Confluent's wire format: magic byte 0, registry id (u32, big endian), datum.

use std::collections::HashMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_avro_fast::{Schema, ser::SerializerConfig};

/// Bytes before the datum.
pub const FRAME_LEN: usize = 5;

/// Why a value could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum CodecError {
    /// The value does not begin with magic byte 0 and an id.
    #[error("value of {len} bytes is not framed: expected magic byte 0 and a schema id")]
    NotFramed {
        /// Length of the value.
        len: usize,
    },
    /// The writer's schema is not known here; the registry has to be asked.
    #[error("schema id {id} is not known to this process")]
    UnknownSchema {
        /// Registry id in the frame.
        id: u32,
    },
    /// The datum does not fit its schema.
    #[error("could not decode {subject} written with schema id {id}: {reason}")]
    Decode {
        /// Subject of this codec.
        subject: &'static str,
        /// Registry id in the frame.
        id: u32,
        /// What the decoder said.
        reason: String,
    },
    /// The value does not fit the schema; a bug.
    #[error("could not encode {subject}: {reason}")]
    Encode {
        /// Subject of this codec.
        subject: &'static str,
        /// What the encoder said.
        reason: String,
    },
    /// A schema text does not parse.
    #[error("could not parse a schema of {subject}: {reason}")]
    BadSchema {
        /// Subject of this codec.
        subject: &'static str,
        /// What the parser said.
        reason: String,
    },
}

/// Reads every registered version of one subject and writes its newest (I6).
#[derive(Debug, Clone)]
pub struct Codec {
    subject: &'static str,
    write_id: u32,
    write: Arc<Schema>,
    read: HashMap<u32, Arc<Schema>>,
}

impl Codec {
    /// A codec that writes `schema` under registry id `id`.
    ///
    /// # Errors
    /// [`CodecError::BadSchema`] where the text does not parse.
    pub fn new(subject: &'static str, id: u32, schema: &str) -> Result<Codec, CodecError> {
        let write = Arc::new(parse(subject, schema)?);
        Ok(Codec { subject, write_id: id, write: write.clone(), read: HashMap::from([(id, write)]) })
    }

    /// Makes values written with registry id `id` readable.
    ///
    /// # Errors
    /// [`CodecError::BadSchema`] where the text does not parse.
    pub fn learn(&mut self, id: u32, schema: &str) -> Result<(), CodecError> {
        if !self.read.contains_key(&id) {
            self.read.insert(id, Arc::new(parse(self.subject, schema)?));
        }
        Ok(())
    }

    /// Whether values written with registry id `id` can be read.
    pub fn knows(&self, id: u32) -> bool {
        self.read.contains_key(&id)
    }

    /// Registry id that this codec writes.
    pub fn id(&self) -> u32 {
        self.write_id
    }

    /// Reads a framed value; the result borrows from it.
    ///
    /// # Errors
    /// All but `Encode` and `BadSchema`. `UnknownSchema` can be cured by [`Codec::learn`]; the others never.
    pub fn decode<'a, T: Deserialize<'a>>(&self, value: &'a [u8]) -> Result<T, CodecError> {
        let (id, datum) = unframe(value)?;
        let schema = self.read.get(&id).ok_or(CodecError::UnknownSchema { id })?;
        serde_avro_fast::from_datum_slice(datum, schema).map_err(|error| CodecError::Decode {
            subject: self.subject,
            id,
            reason: error.to_string(),
        })
    }

    /// Appends the framed value to `out`.
    ///
    /// # Errors
    /// [`CodecError::Encode`], which is a bug: Rust type and schema are compared by tests.
    pub fn encode<T: Serialize>(&self, value: &T, out: &mut Vec<u8>) -> Result<(), CodecError> {
        out.push(0);
        out.extend_from_slice(&self.write_id.to_be_bytes());
        let mut config = SerializerConfig::new(&self.write);
        serde_avro_fast::to_datum(value, out, &mut config)
            .map(drop)
            .map_err(|error| CodecError::Encode { subject: self.subject, reason: error.to_string() })
    }
}

/// Splits a framed value into registry id and datum.
///
/// # Errors
/// [`CodecError::NotFramed`].
pub fn unframe(value: &[u8]) -> Result<(u32, &[u8]), CodecError> {
    match value {
        [0, a, b, c, d, datum @ ..] => Ok((u32::from_be_bytes([*a, *b, *c, *d]), datum)),
        _ => Err(CodecError::NotFramed { len: value.len() }),
    }
}

fn parse(subject: &'static str, schema: &str) -> Result<Schema, CodecError> {
    schema.parse().map_err(|error| CodecError::BadSchema { subject, reason: format!("{error}") })
}

/// Avro's zig-zag varint.
pub(crate) fn put_long(out: &mut Vec<u8>, value: i64) {
    let mut rest = ((value << 1) ^ (value >> 63)) as u64;
    while rest >= 0x80 {
        out.push(rest as u8 | 0x80);
        rest >>= 7;
    }
    out.push(rest as u8);
}

pub(crate) fn put_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    put_long(out, bytes.len() as i64);
    out.extend_from_slice(bytes);
}

pub(crate) fn put_str(out: &mut Vec<u8>, text: &str) {
    put_bytes(out, text.as_bytes());
}
