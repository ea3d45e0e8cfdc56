//! Topic es_bulk.

use std::path::Path;

use millrace_jobs::parse::Format;
use serde_json::{Value, json};

use crate::gateway::{body, send};
use crate::parsed::parse;
use crate::{Cases, objects, same, text};

pub(crate) fn cases(folder: &Path) -> Cases {
    let cases = objects(&folder.join("cases.jsonl"));
    cases.iter().map(|own| (text(own, "id").to_owned(), case(own))).collect()
}

fn case(case: &Value) -> Result<(), String> {
    let (content_type, encoding) = (text(case, "content_type"), text(case, "content_encoding"));
    let method = case["method"].as_str().unwrap_or("POST");
    let outcome = send(method, text(case, "path"), content_type, encoding, &body(case));
    let answer = outcome.json();
    let wanted = case["status"].as_u64().unwrap_or(200) as u16;
    // Where peers differ, the note of a case allows a whole request to be refused instead of an item.
    let either = text(case, "note").contains("Either is accepted");
    if either && outcome.status == 400 && outcome.items.is_empty() {
        return Ok(());
    }
    same("the status", &outcome.status, &wanted)?;
    if let Some(reason) = case["error"]["reason_contains"].as_str() {
        let is = answer["error"]["reason"].as_str().unwrap_or_default();
        // The words are Elasticsearch's; up to its names of tokens they are ours, too.
        let words = reason.split(", expected").next().unwrap_or(reason);
        if !is.contains(words) {
            return Err(format!("the reason is {is:?}, not {words:?}"));
        }
    }
    if let Some(errors) = case["errors"].as_bool() {
        same("errors", &answer["errors"], &json!(errors))?;
    }
    for (at, item) in case["items"].as_array().into_iter().flatten().enumerate() {
        let inner = &answer["items"][at][text(item, "op")];
        if inner.is_null() {
            return Err(format!("item {at} is {}, not {}", answer["items"][at], text(item, "op")));
        }
        for (wanted, is) in [("status", &inner["status"]), ("error_type", &inner["error"]["type"])] {
            if !item[wanted].is_null() {
                same(&format!("{wanted} of item {at}"), is, &item[wanted])?;
            }
        }
    }
    if let Some(documents) = case["documents"].as_array() {
        let is: Vec<Value> = outcome
            .items
            .iter()
            .map(|item| {
                let mut document =
                    json!({"index": item.stream, "source": serde_json::from_slice::<Value>(&item.body).ok()});
                if let Some((scope, _)) = &item.dedup {
                    document["id"] = json!(scope.strip_prefix("id/"));
                }
                document
            })
            .collect();
        same("what is committed", &is, documents)?;
    }
    for (at, row) in case["rows"].as_array().into_iter().flatten().enumerate() {
        let item = outcome.items.get(at).ok_or_else(|| format!("row {at} is missing"))?;
        let parsed = parse(item, Format::Json)?;
        same(
            &format!("the time of row {at}"),
            &format!("{}000", parsed.time),
            &text(row, "timestamp_ns").to_owned(),
        )?;
        for (name, value) in row["flat"].as_object().into_iter().flatten() {
            let is = if name == "message" { parsed.message.as_ref() } else { parsed.fields.get(name) };
            same(&format!("{name} of row {at}"), &is.map(String::as_str), &value.as_str())?;
        }
    }
    Ok(())
}
