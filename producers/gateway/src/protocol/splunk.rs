//! Splunk's HTTP Event Collector: events one after another, or raw lines.
//!
//! As in Splunk, a request with an event that cannot be read is refused with that event's number; nothing of it is taken,
//! so that it can be sent again whole.

use std::borrow::Cow;

use serde_json::{Value, json};

use crate::item::{Item, MAX_ITEMS, TIME, Taken, stream_of, too_many};
use crate::json;
use crate::lines::lines;

/// Why a request is refused: Splunk's codes.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EventError {
    /// 27
    #[error("{}", too_many())]
    TooMany,
    /// 5
    #[error("there is no event")]
    NoData,
    /// 6
    #[error("event {at} is not of the form that the collector takes")]
    Format {
        /// Number of the event, from 0.
        at: usize,
    },
    /// 12
    #[error("event {at} has no field event")]
    Missing {
        /// Number of the event, from 0.
        at: usize,
    },
    /// 13
    #[error("event {at} is blank")]
    Blank {
        /// Number of the event, from 0.
        at: usize,
    },
    /// 15
    #[error("what stands beside event {at} cannot be taken")]
    Fields {
        /// Number of the event, from 0.
        at: usize,
    },
}

impl EventError {
    /// The answer's status.
    pub fn status(&self) -> u16 {
        if *self == EventError::TooMany { 413 } else { 400 }
    }

    /// The answer's body, in Splunk's words.
    pub fn answer(&self) -> Value {
        let (code, text, at) = match self {
            EventError::TooMany => return json!({"text": self.to_string(), "code": 27}),
            EventError::NoData => return json!({"text": "No data", "code": 5}),
            EventError::Format { at } => (6, "Invalid data format", at),
            EventError::Missing { at } => (12, "Event field is required", at),
            EventError::Blank { at } => (13, "Event field cannot be blank", at),
            EventError::Fields { at } => (15, "Error in handling indexed fields", at),
        };
        json!({"text": text, "code": code, "invalid-event-number": at})
    }
}

/// What a request says for all its lines: query parameters, or what an event says for itself.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Meta<'a> {
    /// Index: names the stream.
    pub index: Option<Cow<'a, str>>,
    /// Host.
    pub host: Option<Cow<'a, str>>,
    /// Source, mostly a path.
    pub source: Option<Cow<'a, str>>,
    /// Type of the source.
    pub sourcetype: Option<Cow<'a, str>>,
}

impl<'a> Meta<'a> {
    fn item(&self, default_stream: &'a str, body: impl Into<Cow<'a, [u8]>>) -> Item<'a> {
        let stream = self.index.as_deref().and_then(stream_of).map_or(default_stream.into(), Cow::Owned);
        let mut item = Item::new(stream, body);
        item.host = self.host.clone().filter(|host| !host.is_empty());
        for (name, value) in [("source", &self.source), ("sourcetype", &self.sourcetype)] {
            if let Some(value) = value {
                item.attribute(name, value.clone());
            }
        }
        item
    }
}

/// Reads events: JSON objects one after another, or an array of them.
///
/// # Errors
/// [`EventError`]: nothing is taken.
pub fn events<'a>(default_stream: &'a str, meta: &Meta<'a>, body: &'a [u8]) -> Result<Taken<'a>, EventError> {
    let text = std::str::from_utf8(body).map_err(|_| EventError::Format { at: 0 })?;
    let mut taken = Taken::default();
    let mut at = 0;
    for value in json::values(text) {
        let value = value.map_err(|_| EventError::Format { at })?;
        let (array, alone) = match json::elements(value) {
            Ok(array) => (Some(array), None),
            Err(_) => (None, Some(Ok(value))),
        };
        for value in array.into_iter().flatten().chain(alone) {
            if at == MAX_ITEMS {
                return Err(EventError::TooMany);
            }
            let value = value.map_err(|_| EventError::Format { at })?;
            let item = event(default_stream, meta, at, value)?;
            if item.fault().is_some() {
                return Err(EventError::Fields { at });
            }
            taken.items.push(item);
            at += 1;
        }
    }
    if at == 0 { Err(EventError::NoData) } else { Ok(taken) }
}

fn event<'a>(stream: &'a str, meta: &Meta<'a>, at: usize, text: &'a str) -> Result<Item<'a>, EventError> {
    const NAMES: [&str; 7] = ["index", "host", "source", "sourcetype", "event", "fields", "time"];
    let found = json::named(text, NAMES).map_err(|_| EventError::Format { at })?;
    let [index, host, source, sourcetype, event, fields, time] = found;
    let words = |value: Option<&'a str>, other: &Option<Cow<'a, str>>| match value {
        None | Some("null") => Ok(other.clone()),
        Some(value) => json::string(value).map(Some).ok_or(EventError::Format { at }),
    };
    let own = Meta {
        index: words(index, &meta.index)?,
        host: words(host, &meta.host)?,
        source: words(source, &meta.source)?,
        sourcetype: words(sourcetype, &meta.sourcetype)?,
    };
    let event = event.filter(|value| *value != "null").ok_or(EventError::Missing { at })?;
    // Text is the line itself; anything else is kept as it is written.
    let body: Cow<'a, [u8]> = match json::string(event) {
        Some(line) if line.is_empty() => return Err(EventError::Blank { at }),
        Some(Cow::Borrowed(line)) => Cow::Borrowed(line.as_bytes()),
        Some(Cow::Owned(line)) => Cow::Owned(line.into_bytes()),
        None if event.starts_with('"') => return Err(EventError::Format { at }),
        None => Cow::Borrowed(event.as_bytes()),
    };
    let mut item = own.item(stream, body);
    if let Some(fields) = fields.filter(|value| *value != "null") {
        let fault = |_| EventError::Fields { at };
        for member in json::members(fields).map_err(fault)? {
            let (name, value) = member.map_err(fault)?;
            // A list of values stays one text, as it is written.
            let value = json::scalar(value).unwrap_or(Cow::Borrowed(value));
            item.attribute(name, value);
        }
    }
    if let Some(time) = time.filter(|value| *value != "null") {
        let nanos = json::scalar(time).and_then(|time| nanos(&time)).ok_or(EventError::Format { at })?;
        item.attribute(TIME, nanos.to_string());
    }
    Ok(item)
}

/// Reads raw lines; blank ones are no events.
///
/// # Errors
/// [`EventError::NoData`].
pub fn raw<'a>(default_stream: &'a str, meta: &Meta<'a>, body: &'a [u8]) -> Result<Taken<'a>, EventError> {
    let mut taken = Taken::default();
    for (at, (line, end)) in lines(body).filter(|(line, _)| !line.trim_ascii().is_empty()).enumerate() {
        let mut item = meta.item(default_stream, line);
        item.line_end = end;
        if item.fault().is_some() {
            return Err(EventError::Fields { at });
        }
        taken.items.push(item);
    }
    if taken.items.is_empty() { Err(EventError::NoData) } else { Ok(taken) }
}

/// Seconds with a fraction of up to nine digits, to ns. Exact, which a float would not be: only one that is written with an
/// exponent is read as such, to µs, which is as far as it reaches.
fn nanos(text: &str) -> Option<i64> {
    if text.contains(['e', 'E']) {
        let micros = (text.parse::<f64>().ok()? * 1e6).round();
        return (0.0..9.2e15).contains(&micros).then(|| micros as i64 * 1_000);
    }
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let fraction = fraction.get(..9).unwrap_or(fraction);
    if !fraction.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let whole: i64 = whole.parse().ok().filter(|whole| *whole >= 0)?;
    let part: i64 = format!("{fraction:0<9}").parse().ok()?;
    whole.checked_mul(1_000_000_000)?.checked_add(part)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn show(body: &str) -> String {
        match events("main", &Meta::default(), body.as_bytes()) {
            Err(error) => error.answer().to_string(),
            Ok(taken) => {
                let show = |item: &Item<'_>| {
                    let attributes: Vec<_> =
                        item.attributes.iter().map(|(name, value)| format!("{name}={value}")).collect();
                    let host = item.host.as_deref().unwrap_or("-");
                    format!(
                        "{} {host} [{}] {}",
                        item.stream,
                        attributes.join(","),
                        String::from_utf8_lossy(&item.body)
                    )
                };
                taken.items.iter().map(show).collect::<Vec<_>>().join("|")
            }
        }
    }

    #[test]
    fn events_come_one_after_another() {
        let body = r#"{"event":"a \"b\"","time":1426279439.123,"host":"h"} {"event":{"k" : 1},"index":"My Index","fields":{"f":"x","n":[1]}}"#;
        assert_eq!(
            show(body),
            r#"main h [millrace-time=1426279439123000000] a "b"|my-index - [f=x,n=[1]] {"k" : 1}"#
        );
        assert_eq!(show(r#"[{"event":"a"},{"event":7}]"#), "main - [] a|main - [] 7");
    }

    #[test]
    fn times_are_seconds_however_they_are_written() {
        for (text, wanted) in [
            ("1426279439", Some(1_426_279_439_000_000_000)),
            ("1426279439.1234567891", Some(1_426_279_439_123_456_789)),
            ("1.426279439123E9", Some(1_426_279_439_123_000_000)),
            ("1e300", None),
            ("-1", None),
            ("1.2.3", None),
            ("e", None),
        ] {
            assert_eq!(nanos(text), wanted, "{text}");
        }
    }

    #[test]
    fn refusals_have_splunks_codes() {
        assert_eq!(show(""), r#"{"text":"No data","code":5}"#);
        assert_eq!(
            show(r#"{"event":"a"}{"x":1}"#),
            r#"{"text":"Event field is required","code":12,"invalid-event-number":1}"#
        );
        assert_eq!(
            show(r#"{"event":""}"#),
            r#"{"text":"Event field cannot be blank","code":13,"invalid-event-number":0}"#
        );
        assert_eq!(
            show("{\"event\":\"a\"} x"),
            r#"{"text":"Invalid data format","code":6,"invalid-event-number":1}"#
        );
    }

    #[test]
    fn fields_without_end_are_refused() {
        let fields: Vec<String> = (0..100_000).map(|n| format!(r#""k{n}":"v""#)).collect();
        let body = format!(r#"{{"event":"a","fields":{{{}}}}}"#, fields.join(","));
        assert_eq!(events("main", &Meta::default(), body.as_bytes()), Err(EventError::Fields { at: 0 }));
    }

    #[test]
    fn raw_lines_are_events() {
        let taken =
            raw("main", &Meta { sourcetype: Some("s".into()), ..Meta::default() }, b"a\r\n\nb").unwrap();
        let bodies: Vec<_> = taken.items.iter().map(|item| item.body.to_vec()).collect();
        assert_eq!(bodies, [b"a", b"b"]);
        assert_eq!(raw("main", &Meta::default(), b"\n"), Err(EventError::NoData));
    }

    proptest::proptest! {
        #[test]
        fn any_bytes_are_events_or_a_refusal(body: Vec<u8>, text in "(\\{\"event\":[0-9a\"\\[\\]{}]{0,4}\\}|[{}\",: ]){0,5}") {
            drop(events("main", &Meta::default(), &body));
            drop(events("main", &Meta::default(), text.as_bytes()));
            drop(raw("main", &Meta::default(), &body));
        }
    }
}
