//! Topic http_gateway: JSON lines to the native interface, and what the parse job makes of them.

use std::path::Path;

use millrace_jobs::parse::Format;
use serde_json::Value;

use crate::gateway::{body, post};
use crate::parsed::parse;
use crate::{Cases, objects, same, text};

pub(crate) fn cases(folder: &Path) -> Cases {
    let cases = objects(&folder.join("json_lines.jsonl"));
    let id = |at: usize, case: &Value| format!("{}-{at}", text(case, "kind"));
    cases.iter().enumerate().map(|(at, own)| (id(at, own), case(own))).collect()
}

fn case(case: &Value) -> Result<(), String> {
    let outcome = post("/v1/logs/web", "application/x-ndjson", "", &body(case));
    if case["error"] == true {
        return same("the status", &outcome.status, &400);
    }
    same("the status", &outcome.status, &200)?;
    let rows = case["rows"].as_array().ok_or("the case has no rows")?;
    same("the number of rows", &outcome.items.len(), &rows.len())?;
    for (item, row) in outcome.items.iter().zip(rows) {
        let parsed = parse(item, Format::Json)?;
        same("the time", &format!("{}000", parsed.time), &text(row, "timestamp_ns").to_owned())?;
        for (name, value) in row["fields"].as_object().into_iter().flatten() {
            let is = if name == "_msg" { parsed.message.as_ref() } else { parsed.fields.get(name) };
            same(name, &is.map(String::as_str), &value.as_str())?;
        }
    }
    Ok(())
}
