//! Topic format_samples: small real files, read by what their lines look like. Each line becomes one event or one dead letter
//! with all its bytes; JSON gives fields, what is not valid JSON is kept.

use std::path::Path;

use millrace_jobs::parse::{Format, Parse, ParseConfig};
use millrace_jobs::table::Table;
use millrace_jobs::{Batch, Record, plan};
use millrace_schemas::{Attributes, Codec, Event, LineEnd, RawEvent, Subject};
use serde_json::Value;

use crate::chain::RECEIVED;
use crate::{Cases, objects, same, text};

pub(crate) fn cases(folder: &Path) -> Cases {
    let cases = objects(&folder.join("index.jsonl"));
    cases.iter().map(|own| (text(own, "file").to_owned(), case(folder, own))).collect()
}

fn case(folder: &Path, case: &Value) -> Result<(), String> {
    let file = std::fs::read(folder.join(text(case, "file"))).map_err(|error| error.to_string())?;
    same("the number of bytes", &(file.len() as u64), &case["bytes"].as_u64().unwrap_or_default())?;
    let lines: Vec<&[u8]> = file.split_inclusive(|byte| *byte == b'\n').collect();
    same("the number of lines", &(lines.len() as u64), &case["lines"].as_u64().unwrap_or_default())?;
    let raw_codec = Codec::new("logs.raw-value", 1, Subject::Raw.schema()).unwrap();
    let event_codec = Codec::new("logs.parsed-value", 2, Subject::Parsed.schema()).unwrap();
    let config = ParseConfig { default_format: Format::Auto, by_stream: Default::default() };
    let job = Parse::new(config, raw_codec.clone(), event_codec.clone());
    let mut rebuilt = Vec::new();
    for line in lines {
        let (body, line_end) =
            line.strip_suffix(b"\n").map_or((line, LineEnd::None), |body| (body, LineEnd::Lf));
        let raw = RawEvent {
            tenant: "default",
            stream: "sample",
            host: "h",
            file: None,
            file_id: None,
            attributes: Attributes::default(),
            received: RECEIVED,
            position: None,
            line_end,
            piece: None,
            dedup: None,
            body,
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
        let planned = plan(&job, &batch, &Table::default(), None);
        same("events and dead letters of a line", &(planned.outputs().len() + planned.dead().len()), &1)?;
        if let Some(output) = planned.outputs().next() {
            let event: Event<'_> = event_codec.decode(output.value).map_err(|error| error.to_string())?;
            rebuilt.extend_from_slice(event.body);
            let object =
                serde_json::from_slice::<Value>(body).ok().and_then(|json| json.as_object().cloned());
            let found = !event.fields.0.is_empty() || event.message.is_some() || event.severity.is_some();
            if object.is_some_and(|object| !object.is_empty()) && !found {
                return Err(format!("no fields of {}", String::from_utf8_lossy(body)));
            }
        }
        if let Some(dead) = planned.dead().next() {
            if serde_json::from_slice::<Value>(body).is_ok_and(|json| json.is_object()) {
                return Err(format!("refused: {}: {}", String::from_utf8_lossy(body), dead.letter.detail));
            }
            same("the record of a dead letter", &(dead.value == value), &true)?;
            rebuilt.extend_from_slice(body);
        }
        rebuilt.extend_from_slice(line_end.bytes());
    }
    same("the file rebuilt", &(rebuilt == file), &true)
}
