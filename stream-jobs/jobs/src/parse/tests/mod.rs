//! What each format finds, and what the job makes of it.

mod access;
mod apache;
mod corpus;
mod devices;
mod job;
mod json;
mod plain;
mod properties;
mod redrive;
mod renewal;
mod seen;
mod syslog;
mod time;

use millrace_schemas::{Codec, Event, Origin, RawEvent, Subject, Value};

use super::*;
use crate::batch::Batch;
use crate::plan::{Plan, plan};
use crate::table::Table;

/// 2026-01-02T03:04:05Z
pub(super) const RECEIVED: i64 = 1_767_323_045_000_000;

pub(super) const RAW_ID: u32 = 7;
pub(super) const EVENT_ID: u32 = 9;

pub(super) fn raw_codec() -> Codec {
    Codec::new("logs.raw-value", RAW_ID, Subject::Raw.schema()).unwrap()
}

pub(super) fn event_codec() -> Codec {
    Codec::new("logs.parsed-value", EVENT_ID, Subject::Parsed.schema()).unwrap()
}

pub(super) fn job(default_format: Format) -> Parse {
    Parse::new(ParseConfig { default_format, by_stream: Default::default() }, raw_codec(), event_codec())
}

pub(super) fn line(body: &[u8]) -> RawEvent<'_> {
    source::targets::line(body, RECEIVED)
}

pub(super) fn framed(raw: &RawEvent<'_>) -> Vec<u8> {
    let mut value = Vec::new();
    raw_codec().encode(raw, &mut value).unwrap();
    value
}

/// A batch of partition 3 that begins at `from`.
pub(super) fn batch(values: &[Vec<u8>], from: i64) -> Batch {
    let mut batch = Batch::default();
    for (value, offset) in values.iter().zip(from..) {
        let record = Record {
            input: 0,
            partition: 3,
            offset,
            appended: RECEIVED,
            key: b"default/h1",
            value: Some(value),
            first: None,
        };
        batch.push(record);
    }
    batch
}

/// Plans the lines as one batch from offset 40 on.
pub(super) fn plan_lines(format: Format, lines: &[RawEvent<'_>]) -> Plan {
    let values: Vec<_> = lines.iter().map(framed).collect();
    plan(&job(format), &batch(&values, 40), &Table::default(), None)
}

/// Reads one line and compares what is found, as text: parser, time relative to what the test says, then the rest.
#[track_caller]
pub(super) fn check(format: Format, body: &str, expected: &str) {
    let plan = plan_lines(format, &[line(body.as_bytes())]);
    assert_eq!(show_plan(&plan), expected, "{}", body.get(..200).unwrap_or(body));
}

pub(super) fn show_plan(plan: &Plan) -> String {
    let events = plan.outputs().map(|output| show(&event_codec().decode(output.value).unwrap()));
    let dead = plan
        .dead()
        .map(|dead| format!("!{} {}: {}", dead.letter.parser, dead.letter.reason, dead.letter.detail));
    events.chain(dead).collect::<Vec<_>>().join("\n")
}

fn show(event: &Event<'_>) -> String {
    let mut shown = vec![event.parser.id.to_owned()];
    if event.time != RECEIVED {
        shown.push(rfc3339(event.time));
    }
    let named = [("severity", &event.severity), ("user", &event.user), ("message", &event.message)];
    shown.extend(named.iter().filter_map(|(name, text)| text.as_ref().map(|text| format!("{name}<{text}>"))));
    shown.extend(event.fields.0.iter().map(|(name, value)| match value {
        Value::String(text) => format!("{name}={text}"),
        Value::Long(number) => format!("{name}={number}L"),
        Value::Double(number) => format!("{name}={number:?}D"),
        Value::Boolean(truth) => format!("{name}={truth}"),
    }));
    shown.extend(event.flags.iter().map(|flag| format!("#{flag}")));
    shown.join(" ")
}

/// Back from µs, by counting days: independent of the arithmetic under test.
fn rfc3339(micros: i64) -> String {
    let (mut day, micro) = (micros.div_euclid(86_400_000_000), micros.rem_euclid(86_400_000_000));
    let leap = |year: i64| (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
    let mut year = 1970;
    while day < 0 {
        year -= 1;
        day += 365 + i64::from(leap(year));
    }
    while day >= 365 + i64::from(leap(year)) {
        day -= 365 + i64::from(leap(year));
        year += 1;
    }
    let mut month = 0;
    let months = [31, 28 + i64::from(leap(year)), 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
    while day >= months[month] {
        day -= months[month];
        month += 1;
    }
    let second = micro / 1_000_000;
    let (hour, minute, second, micro) = (second / 3600, second / 60 % 60, second % 60, micro % 1_000_000);
    let fraction = if micro == 0 { String::new() } else { format!(".{micro:06}") };
    format!("{year:04}-{:02}-{:02}T{hour:02}:{minute:02}:{second:02}{fraction}Z", month + 1, day + 1)
}

#[test]
fn times_are_shown_as_they_are() {
    assert_eq!(rfc3339(RECEIVED), "2026-01-02T03:04:05Z");
    assert_eq!(rfc3339(-1), "1969-12-31T23:59:59.999999Z");
}
