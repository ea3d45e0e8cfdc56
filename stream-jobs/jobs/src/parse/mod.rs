//! Turns lines into typed events.
//!
//! Reads `logs.raw` (RawEvent), and `logs.redrive`: dead letters sent again, each naming the raw record it was. Writes
//! `logs.parsed` (Event) to the same partition number under the same key.
//! Key: `tenant/host`, or `tenant/<value of the source's key field>`. State: which lines with an identity were seen (`seen.rs`),
//! the raw offsets that are dead (`owed.rs`), and how new the sources and bound streams are (`renewal.rs`). What is sent again counts only while its offset is among these: in it, it is
//! read anew; not in it, it is a duplicate. Order: a repaired line comes behind the lines that were parsed before.
//! Time: of the line; where it has none that can be read, the sender's (an attribute), else of the receipt (flag
//! `no_time`).
//! Rejected: `undecodable` values, lines that do not have the format of their stream (`no_match`), and lines on which a pattern
//! takes too many steps (`too_complex`).
//!
//! An empty or blank line is an event with message `""` and flag `empty`: nothing is lost, and dead letters stay free of
//! noise. Of a line over the limit only the first piece is read; every piece is an event with flag `piece`, and the first
//! one, which may well be cut in the middle of a value, is kept with flag `no_match` rather than refused. Bytes that are
//! not text are read as far as they are (U+FFFD in message and fields); the body keeps them exactly.

mod format;
mod formats;
mod found;
mod owed;
mod renewal;
mod roles;
mod seen;
pub mod source;
pub mod suggest;
mod time;

#[cfg(test)]
mod tests;

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use millrace_schemas::codec::unframe;
use millrace_schemas::splice::encode_after;
use millrace_schemas::{Codec, Event, Origin, Parser, RawEvent, dead, topics};

use crate::batch::Record;
use crate::effects::{Effects, Partitioning};
use crate::job::{Job, Reject, Verdict, reason};
use crate::table::{Change, State, Writes};
use seen::Sight;
use time::{Clock, Zone};

pub use format::{Format, ParseConfig};
pub use found::{Found, Stopped};
pub use owed::is_owed;
pub use renewal::least as least_sources;
pub use seen::Memory;
pub use source::Source;

/// The parser.
#[derive(Debug, Clone)]
pub struct Parse {
    config: ParseConfig,
    sources: Vec<Arc<Source>>,
    /// Source of a stream. Only looked up, like the next one: its order decides nothing.
    by_stream: HashMap<String, usize>,
    /// Who reads a stream of a tenant alone, whoever reads those of its name.
    by_tenant: HashMap<String, HashMap<String, Reader>>,
    /// Place in `millrace.control` that the sources are of.
    place: i64,
    memory: Memory,
    raw: Codec,
    event: Codec,
    /// How long letters are kept, µs of append time.
    keep_dead: i64,
}

/// Streams of tenants that are bound to a source or format: tenant and stream, and the name of that.
pub type Bound = BTreeMap<(String, String), String>;

/// Who reads a stream: a source by its number, or a format.
#[derive(Debug, Clone, Copy)]
enum Reader {
    Format(Format),
    Source(usize),
}

/// Who reads a line.
#[derive(Debug, Clone, Copy)]
enum Reading<'p> {
    Format(Format),
    Source(&'p Source),
}

impl<'p> Reading<'p> {
    fn parser(self) -> Parser<'p> {
        match self {
            Reading::Format(format) => Parser { id: format.id(), version: format.version() },
            Reading::Source(source) => Parser { id: source.name(), version: source.version() },
        }
    }

    /// Reads `text`; says by which parser.
    fn read(self, text: &'p str, received: i64) -> (Parser<'p>, Result<Found<'p>, Stopped>) {
        match self {
            Reading::Format(format) => {
                let (format, found) = format.read(text, Clock { received, zone: &Zone::UTC });
                (Reading::Format(format).parser(), found)
            }
            Reading::Source(source) => (self.parser(), source.read(text, received)),
        }
    }
}

impl Parse {
    /// Generation of the raw topic that is read.
    pub const GENERATION: i32 = 1;
    /// How long dead lines can be sent again: as long as `infra/topics.toml` has `logs.dead` kept.
    pub const KEEP_DEAD: Duration = Duration::from_hours(720);
    /// Number of `logs.redrive` among the inputs.
    const AGAIN: usize = 1;

    /// A parser that reads what `raw` reads and writes what `event` writes. The id that `raw` would write is that of the
    /// newest version of RawEvent's schema.
    pub fn new(config: ParseConfig, raw: Codec, event: Codec) -> Parse {
        let keep_dead = Parse::KEEP_DEAD.as_micros() as i64;
        let memory = Memory::default();
        let (sources, by_stream, by_tenant) = (Vec::new(), HashMap::new(), HashMap::new());
        Parse { config, sources, by_stream, by_tenant, place: 0, memory, raw, event, keep_dead }
    }

    /// Same, with another bound on what is remembered of lines that were seen.
    #[must_use]
    pub fn with_memory(mut self, memory: Memory) -> Parse {
        self.memory = memory;
        self
    }

    /// Same, with sources for the streams that they name; formats are for the others.
    #[must_use]
    pub fn with_sources(mut self, sources: Vec<Arc<Source>>) -> Parse {
        self.renew(sources, &Bound::new(), 0);
        self
    }

    /// Takes up other sources, and streams that are bound to one of them or to a format; both are of `place` in
    /// `millrace.control`. Of two sources that name a stream the later one reads it; one that is bound is read by that. A
    /// stream that is bound to what there is not counts as if it were not bound.
    pub fn renew(&mut self, sources: Vec<Arc<Source>>, bound: &Bound, place: i64) {
        let reader = |name: &str| match Format::named(name) {
            Some(format) => Some(Reader::Format(format)),
            None => sources.iter().position(|source| source.name() == name).map(Reader::Source),
        };
        self.by_tenant.clear();
        for ((tenant, stream), name) in bound {
            if let Some(reader) = reader(name) {
                self.by_tenant.entry(tenant.clone()).or_default().insert(stream.clone(), reader);
            }
        }
        let streams = sources
            .iter()
            .enumerate()
            .flat_map(|(at, source)| source.streams().iter().map(move |own| (own.clone(), at)));
        self.by_stream = streams.collect();
        self.sources = sources;
        self.place = place;
    }

    /// Place in `millrace.control` that the sources are of.
    pub fn place(&self) -> i64 {
        self.place
    }

    fn reading(&self, tenant: &str, stream: &str) -> Reading<'_> {
        let bound = self.by_tenant.get(tenant).and_then(|own| own.get(stream)).copied();
        match bound.or_else(|| self.by_stream.get(stream).map(|at| Reader::Source(*at))) {
            Some(Reader::Source(at)) => Reading::Source(&self.sources[at]),
            Some(Reader::Format(format)) => Reading::Format(format),
            None => Reading::Format(self.config.format(stream)),
        }
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
        vec![topics::RAW.to_owned(), topics::REDRIVE.to_owned()]
    }

    fn outputs(&self) -> Vec<String> {
        vec![topics::PARSED.to_owned()]
    }

    fn process(
        &self,
        record: &Record<'_>,
        state: &State<'_>,
        out: &mut Effects<'_>,
    ) -> Result<Verdict, Reject> {
        let value = record.value.unwrap_or_default();
        let raw = self.raw.decode::<RawEvent<'_>>(value);
        let Record { input, partition, offset, .. } = *record;
        if let Ok(raw) = &raw {
            out.account(raw, Origin { generation: self.generation(input), partition, offset });
        }
        let is_again = input == Parse::AGAIN;
        let owed = record.first.filter(|first| is_again && owed::holds(state, first.offset));
        if is_again && owed.is_none() {
            return Ok(Verdict::Duplicate);
        }
        let raw = raw.map_err(|error| Reject::new(reason::UNDECODABLE, error.to_string()))?;
        // What is sent again is known by its offset alone.
        let sight = if is_again { Sight::New } else { self.memory.see(&raw, record.appended, state, out)? };
        if sight == Sight::Repeat {
            return Ok(Verdict::Duplicate);
        }
        let offset = owed.map_or(offset, |first| first.offset);
        let origin = Origin { generation: Parse::GENERATION, partition, offset };
        // Nearly all are UTF-8, and this is the faster way to see it.
        let text =
            std::str::from_utf8(raw.body).map_or_else(|_| String::from_utf8_lossy(raw.body), Cow::Borrowed);
        let mut event = read(self.reading(raw.tenant, raw.stream), raw, &text, origin)?;
        event.flags.extend(sight.flag().map(Cow::Borrowed));
        if is_again {
            event.flags.push(Cow::Borrowed(dead::REDRIVEN));
        }
        out.emit(0, Partitioning::AsInput, record.key, |bytes| self.encode(value, &event, bytes))?;
        if is_again {
            let (page, cell) = owed::repair(state, offset);
            out.change(page, cell)?;
        }
        Ok(Verdict::Out)
    }

    fn buried(&self, record: &Record<'_>, state: &State<'_>) -> Vec<Change> {
        // What is sent again and fails again is owed already.
        match record.input {
            Parse::AGAIN => Vec::new(),
            _ => owed::bury(state, record.offset, record.appended, self.keep_dead),
        }
    }

    fn advance(&self, state: &State<'_>, partition: i32, writes: &mut Writes) {
        renewal::note(state, partition, self.place, writes);
    }

    fn generation(&self, input: usize) -> i32 {
        if input == Parse::AGAIN { dead::SENT_AGAIN } else { Parse::GENERATION }
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
fn read<'a>(
    reading: Reading<'a>,
    raw: RawEvent<'a>,
    text: &'a str,
    origin: Origin,
) -> Result<Event<'a>, Reject> {
    let (piece, received) = (raw.piece, raw.received);
    let unread = |parser: Parser<'a>, flags: &[&'static str]| {
        let mut event = Event::unparsed(raw, parser, origin);
        event.flags = flags.iter().copied().map(Cow::Borrowed).collect();
        event
    };
    if piece.is_some_and(|piece| piece.index > 0) {
        return Ok(unread(reading.parser(), &["no_time", "piece"]));
    }
    if piece.is_none() && text.bytes().all(|byte| byte.is_ascii_whitespace()) {
        let mut event = unread(reading.parser(), &["no_time", "empty"]);
        event.message = Some(Cow::Borrowed(""));
        return Ok(event);
    }
    let (parser, found) = reading.read(text, received);
    let found = match found {
        Ok(found) => found,
        Err(_) if piece.is_some() => return Ok(unread(parser, &["no_time", "piece", "no_match"])),
        Err(stopped) => {
            let code = if stopped.complex { reason::TOO_COMPLEX } else { reason::NO_MATCH };
            let detail = format!("expected {} at byte {}", stopped.expected, stopped.at);
            return Err(Reject::new(code, detail).by(parser.id.to_owned(), parser.version));
        }
    };
    let mut event = unread(parser, &[]);
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
