//! What flows through millrace: records, their Avro schemas and wire format, topics, keys and the ledger's arithmetic.
//!
//! Pure: no I/O, no clock, no randomness. Every other crate speaks in these types, so a change here is a change of
//! contract and is guarded by the schemas' compatibility tests (I6).
#![warn(missing_docs)]

pub mod access;
pub mod attempt;
pub mod batch;
pub mod codec;
pub mod control;
pub mod dead;
pub mod event;
pub mod id;
pub mod ledger;
pub mod manifest;
pub mod position;
pub mod progress;
pub mod quota;
pub mod raw;
pub mod source;
pub mod splice;
pub mod stream;
pub mod subject;
pub mod topics;
pub mod trace;

pub use codec::{Codec, CodecError};
pub use event::{Event, Fields, Origin, Parser, Value};
pub use id::{Tenant, key_partition};
pub use raw::{Attributes, Dedup, LineEnd, Piece, Position, RawEvent, RawTemplate};
pub use subject::Subject;
pub use trace::TraceContext;
