//! What the parse job makes of an item: time and fields as text.

use std::collections::BTreeMap;

use millrace_gateway::item::Item;
use millrace_jobs::parse::{Format, Parse, ParseConfig};
use millrace_jobs::table::Table;
use millrace_jobs::{Batch, Record, plan};
use millrace_schemas::{Attributes, Codec, Event, RawEvent, Subject, Value};

/// An event for comparison.
#[derive(Debug, Default)]
pub(crate) struct Parsed {
    /// µs
    pub(crate) time: i64,
    pub(crate) message: Option<String>,
    /// All values as text.
    pub(crate) fields: BTreeMap<String, String>,
}

/// The event of an item, or why there is none.
pub(crate) fn parse(item: &Item<'_>, format: Format) -> Result<Parsed, String> {
    let raw_codec = Codec::new("logs.raw-value", 1, Subject::Raw.schema()).unwrap();
    let event_codec = Codec::new("logs.parsed-value", 2, Subject::Parsed.schema()).unwrap();
    let raw = RawEvent {
        tenant: "default",
        stream: &item.stream,
        host: item.host.as_deref().unwrap_or("sender"),
        file: None,
        file_id: None,
        attributes: Attributes(item.attributes.clone()),
        received: 1_767_323_045_000_000,
        position: None,
        line_end: item.line_end,
        piece: None,
        dedup: None,
        body: &item.body,
    };
    let mut value = Vec::new();
    raw_codec.encode(&raw, &mut value).unwrap();
    let mut batch = Batch::default();
    batch.push(Record {
        input: 0,
        partition: 0,
        offset: 0,
        appended: 0,
        key: b"default/h",
        value: Some(&value),
        first: None,
    });
    let config = ParseConfig { default_format: format, by_stream: Default::default() };
    let planned = plan(&Parse::new(config, raw_codec, event_codec.clone()), &batch, &Table::default(), None);
    let Some(output) = planned.outputs().next() else {
        return Err(planned.dead().next().map_or_else(String::new, |dead| dead.letter.detail.clone()));
    };
    let event: Event<'_> = event_codec.decode(output.value).unwrap();
    let text = |value: &Value<'_>| match value {
        Value::String(text) => text.to_string(),
        Value::Long(number) => number.to_string(),
        Value::Double(number) => number.to_string(),
        Value::Boolean(yes) => yes.to_string(),
    };
    Ok(Parsed {
        time: event.time,
        message: event.message.map(|message| message.into_owned()),
        fields: event.fields.0.iter().map(|(name, value)| (name.to_string(), text(value))).collect(),
    })
}
