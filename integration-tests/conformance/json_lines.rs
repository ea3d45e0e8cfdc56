//! Topic http_gateway: JSON lines to the native interface, and what a source that knows the case's names makes of them.

use std::path::Path;

use serde_json::Value;

use crate::chain::{RECEIVED, quoted, read, steps};
use crate::gateway::{body, post};
use crate::{Cases, named_by, objects, same, text};

pub(crate) fn cases(folder: &Path) -> Cases {
    let cases = objects(&folder.join("json_lines.jsonl"));
    let id =
        |own: &Value| format!("{}-{}", text(own, "kind"), named_by(&String::from_utf8_lossy(&body(own))));
    cases.iter().map(|own| (id(own), case(own))).collect()
}

fn case(case: &Value) -> Result<(), String> {
    let outcome = post("/v1/logs/web", "application/x-ndjson", "", &body(case));
    if case["error"] == true {
        return same("the status", &outcome.status, &400);
    }
    same("the status", &outcome.status, &200)?;
    let rows = case["rows"].as_array().ok_or("the case has no rows")?;
    same("the number of rows", &outcome.items.len(), &rows.len())?;
    let (time, message) = (quoted(text(case, "time_field")), quoted(text(case, "msg_field")));
    let source = steps(&format!(
        r#"["json", {{ timestamp = {{ field = {time}, optional = true }} }}, {{ lift = {{ message = {message} }} }}]"#
    ))?;
    for (item, row) in outcome.items.iter().zip(rows) {
        let parsed = read(&source, &String::from_utf8_lossy(&item.body), RECEIVED)?;
        let time = parsed.time.map(|micros| format!("{micros}000"));
        same("the time", &time.as_deref(), &row["timestamp_ns"].as_str())?;
        for (name, value) in row["fields"].as_object().into_iter().flatten() {
            let is = parsed.get(if name == "_msg" { "message" } else { name });
            let is = is.map(|own| own.as_str().map_or_else(|| own.to_string(), str::to_owned));
            same(name, &is.as_deref(), &value.as_str())?;
        }
    }
    Ok(())
}
