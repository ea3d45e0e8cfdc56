//! Turns lines into typed events.
//!
//! Reads `logs.raw` (RawEvent), writes `logs.parsed` (Event) to the same partition number under the same key.
//! Key: `tenant/host`, or `tenant/<value of the source's key field>`. State: none.
//! Time: of the line; where it has none that can be read, the sender's (an attribute), else of the receipt (flag
//! `no_time`).
//! Rejected: `undecodable` values, and lines that do not have the format of their stream (`no_match`).
//!
//! An empty or blank line is an event with message `""` and flag `empty`: nothing is lost, and dead letters stay free of
//! noise. Of a line over the limit only the first piece is read; every piece is an event with flag `piece`, and the first
//! one, which may well be cut in the middle of a value, is kept with flag `no_match` rather than refused. Bytes that are
//! not text are read as far as they are (U+FFFD in message and fields); the body keeps them exactly.

mod apache;
mod format;
mod found;
mod json;
mod rfc3164;
mod rfc5424;
mod roles;
mod syslog;
mod time;

#[cfg(test)]
mod tests;

use std::borrow::Cow;

use millrace_schemas::codec::unframe;
use millrace_schemas::splice::encode_after;
use millrace_schemas::{Codec, Event, Origin, Parser, RawEvent, topics};

use crate::batch::Record;
use crate::effects::{Effects, Partitioning};
use crate::job::{Job, Reject, Verdict, reason};
use crate::table::State;

pub use format::{Format, ParseConfig};

/// The parser.
#[derive(Debug, Clone)]
pub struct Parse {
    config: ParseConfig,
    raw: Codec,
    event: Codec,
}

impl Parse {
    /// Generation of the raw topic that is read.
    pub const GENERATION: i32 = 1;

    /// A parser that reads what `raw` reads and writes what `event` writes. The id that `raw` would write is that of the
    /// newest version of RawEvent's schema.
    pub fn new(config: ParseConfig, raw: Codec, event: Codec) -> Parse {
        Parse { config, raw, event }
    }

    /// Appends the framed event. Its datum begins with the raw one, which is copied where it is of the newest version and
    /// ends with the body, so that no byte follows that is not of the record.
    fn encode(&self, record: &[u8], event: &Event<'_>, out: &mut Vec<u8>) -> Result<(), Reject> {
        match unframe(record) {
            Ok((id, datum))
                if id == self.raw.id() && datum.as_ptr_range().end == event.body.as_ptr_range().end =>
            {
                encode_after(self.event.id(), datum, event, out);
                Ok(())
            }
            _ => self
                .event
                .encode(event, out)
                .map_err(|error| Reject::new(reason::UNDECODABLE, error.to_string())),
        }
    }
}

impl Job for Parse {
    const NAME: &'static str = "parse";

    fn inputs(&self) -> Vec<String> {
        vec![topics::RAW.to_owned()]
    }

    fn outputs(&self) -> Vec<String> {
        vec![topics::PARSED.to_owned()]
    }

    fn process(&self, record: &Record<'_>, _: &State<'_>, out: &mut Effects<'_>) -> Result<Verdict, Reject> {
        let value = record.value.unwrap_or_default();
        let raw: RawEvent<'_> =
            self.raw.decode(value).map_err(|error| Reject::new(reason::UNDECODABLE, error.to_string()))?;
        let origin =
            Origin { generation: Parse::GENERATION, partition: record.partition, offset: record.offset };
        out.account(&raw, origin);
        let text = String::from_utf8_lossy(raw.body);
        let event = read(self.config.format(raw.stream), raw, &text, origin)?;
        out.emit(0, Partitioning::AsInput, record.key, |bytes| self.encode(value, &event, bytes))?;
        Ok(Verdict::Out)
    }

    fn generation(&self) -> i32 {
        Parse::GENERATION
    }

    fn knows(&self, schema_id: u32) -> bool {
        self.raw.knows(schema_id)
    }

    fn learn(&mut self, schema_id: u32, schema: &str) {
        // A text that is no schema leaves its records undecodable, and they say so.
        drop(self.raw.learn(schema_id, schema));
    }
}

/// The event of `raw`, whose body reads as `text`.
fn read<'a>(format: Format, raw: RawEvent<'a>, text: &'a str, origin: Origin) -> Result<Event<'a>, Reject> {
    let (piece, received) = (raw.piece, raw.received);
    let unread = |format: Format, flags: &[&'static str]| {
        let parser = Parser { id: format.id(), version: format.version() };
        let mut event = Event::unparsed(raw, parser, origin);
        event.flags = flags.iter().copied().map(Cow::Borrowed).collect();
        event
    };
    if piece.is_some_and(|piece| piece.index > 0) {
        return Ok(unread(format, &["no_time", "piece"]));
    }
    if piece.is_none() && text.bytes().all(|byte| byte.is_ascii_whitespace()) {
        let mut event = unread(format, &["no_time", "empty"]);
        event.message = Some(Cow::Borrowed(""));
        return Ok(event);
    }
    let (format, found) = format.read(text, received);
    let found = match found {
        Ok(found) => found,
        Err(_) if piece.is_some() => return Ok(unread(format, &["no_time", "piece", "no_match"])),
        Err(stopped) => {
            let detail = format!("expected {} at byte {}", stopped.expected, stopped.at);
            return Err(Reject::new(reason::NO_MATCH, detail).by(format.id(), format.version()));
        }
    };
    let mut event = unread(format, &[]);
    let time = found.time.or_else(|| sent(&event));
    let oddities = [(time.is_none(), "no_time"), (piece.is_some(), "piece")];
    let flags = oddities.into_iter().filter(|(odd, _)| *odd).map(|(_, flag)| flag).chain(found.flags);
    event.flags = flags.map(Cow::Borrowed).collect();
    event.time = time.unwrap_or(received);
    event.severity = found.severity;
    event.user = found.user;
    event.message = found.message;
    event.fields = found.fields;
    Ok(event)
}

/// The time that the sender said beside the line, µs.
fn sent(event: &Event<'_>) -> Option<i64> {
    let (_, nanos) = event.attributes.0.iter().find(|(name, _)| name == millrace_schemas::raw::TIME)?;
    nanos.parse::<i64>().ok().map(|nanos| nanos.div_euclid(1_000))
}
