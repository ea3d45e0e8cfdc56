//! Topic loki.

use std::collections::BTreeMap;
use std::path::Path;

use millrace_gateway::item::{Item, TIME};
use serde_json::Value;

use crate::gateway::{body, nanos, post};
use crate::{Cases, objects, same, text};

pub(crate) fn cases(folder: &Path) -> Cases {
    let cases = objects(&folder.join("push_cases.jsonl"));
    cases.iter().map(|own| (text(own, "id").to_owned(), case(own))).collect()
}

type Row = (String, String, BTreeMap<String, String>);

fn case(case: &Value) -> Result<(), String> {
    let (content_type, encoding) = (text(case, "content_type"), text(case, "content_encoding"));
    let outcome = post("/loki/api/v1/push", content_type, encoding, &body(case));
    if case["ok"] == false {
        let refused = (400..500).contains(&outcome.status) && outcome.items.is_empty();
        return if refused { Ok(()) } else { Err(format!("answered {}, not refused", outcome.status)) };
    }
    if !outcome.is_ok() {
        return Err(format!("answered {}: {}", outcome.status, String::from_utf8_lossy(&outcome.body)));
    }
    if let Some(count) = case["rows_count"].as_u64() {
        same("the number of rows", &(outcome.items.len() as u64), &count)?;
    }
    if let Some(length) = case["line_length"].as_u64() {
        same(
            "the length of the line",
            &outcome.items.first().map(|item| item.body.len() as u64),
            &Some(length),
        )?;
    }
    let Some(rows) = case["rows"].as_array() else { return Ok(()) };
    let is: Vec<Row> = outcome.items.iter().map(row).collect();
    let wanted: Vec<Row> = rows
        .iter()
        .map(|row| {
            let fields = row["fields"].as_object().into_iter().flatten();
            let fields =
                fields.map(|(name, value)| (name.clone(), value.as_str().unwrap_or_default().to_owned()));
            (text(row, "timestamp_ns").to_owned(), text(row, "line").to_owned(), fields.collect())
        })
        .collect();
    same("what is committed", &is, &wanted)
}

fn row(item: &Item<'_>) -> Row {
    let fields = item.attributes.iter().filter(|(name, _)| name != TIME);
    let fields = fields.map(|(name, value)| (name.to_string(), value.to_string())).collect();
    (nanos(item).unwrap_or_default(), String::from_utf8_lossy(&item.body).into_owned(), fields)
}
