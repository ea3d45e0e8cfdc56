//! An event's datum begins with the datum of its raw record, since Event's schema begins with RawEvent's fields (tested):
//! a parser copies these bytes and writes only what it has found.

use crate::codec::{put_long, put_str};
use crate::event::{Event, Value};

/// Appends the framed event to `out`: the frame with registry id `schema_id`, then `raw_datum`, then what follows the raw
/// fields in `event`. Byte-equal to [`crate::Codec::encode`] where `raw_datum` is the same line in the newest version of
/// RawEvent's schema, to its last byte, written by this crate; from another writer the bytes may differ (Avro leaves it
/// free how to cut a map into blocks), the value does not.
pub fn encode_after(schema_id: u32, raw_datum: &[u8], event: &Event<'_>, out: &mut Vec<u8>) {
    out.push(0);
    out.extend_from_slice(&schema_id.to_be_bytes());
    out.extend_from_slice(raw_datum);
    put_long(out, event.time);
    for text in [&event.severity, &event.user, &event.message] {
        match text {
            Some(text) => {
                put_long(out, 1);
                put_str(out, text);
            }
            None => put_long(out, 0),
        }
    }
    if !event.fields.0.is_empty() {
        put_long(out, event.fields.0.len() as i64);
        for (name, value) in &event.fields.0 {
            put_str(out, name);
            put_value(out, value);
        }
    }
    put_long(out, 0);
    put_str(out, event.parser.id);
    put_long(out, i64::from(event.parser.version));
    if !event.flags.is_empty() {
        put_long(out, event.flags.len() as i64);
        for flag in &event.flags {
            put_str(out, flag);
        }
    }
    put_long(out, 0);
    put_long(out, i64::from(event.origin.generation));
    put_long(out, i64::from(event.origin.partition));
    put_long(out, event.origin.offset);
}

/// A union: number of the branch, then the value.
fn put_value(out: &mut Vec<u8>, value: &Value<'_>) {
    match value {
        Value::String(text) => {
            put_long(out, 0);
            put_str(out, text);
        }
        Value::Long(number) => {
            put_long(out, 1);
            put_long(out, *number);
        }
        Value::Double(number) => {
            put_long(out, 2);
            out.extend_from_slice(&number.to_le_bytes());
        }
        Value::Boolean(truth) => {
            put_long(out, 3);
            out.push(u8::from(*truth));
        }
    }
}
