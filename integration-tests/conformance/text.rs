//! Topic encodings: each file posted as plain text gives its lines, byte for byte.

use std::path::Path;

use serde_json::Value;

use crate::gateway::{decode, post};
use crate::{Cases, objects, same, text};

pub(crate) fn cases(folder: &Path) -> Cases {
    let cases = objects(&folder.join("manifest.jsonl"));
    cases.iter().map(|own| (text(own, "file").to_owned(), case(folder, own))).collect()
}

fn case(folder: &Path, case: &Value) -> Result<(), String> {
    let file = std::fs::read(folder.join(text(case, "file"))).map_err(|error| error.to_string())?;
    let outcome = post("/v1/logs/web", "text/plain", "", &file);
    same("the status", &outcome.status, &200)?;
    same("the number of lines", &(outcome.items.len() as u64), &case["lines"].as_u64().unwrap_or_default())?;
    let again: Vec<u8> =
        outcome.items.iter().flat_map(|item| [item.body.as_ref(), item.line_end.bytes()].concat()).collect();
    same("the file rebuilt from its lines", &(again == file), &true)?;
    for (at, line) in case["expected"].as_array().into_iter().flatten().enumerate() {
        let wanted = line["base64"].as_str().map_or_else(|| text(line, "text").as_bytes().to_vec(), decode);
        let is = outcome.items[at].body.as_ref();
        same(&format!("line {at}"), &String::from_utf8_lossy(is), &String::from_utf8_lossy(&wanted))?;
        same(&format!("bytes of line {at}"), &(is == wanted), &true)?;
    }
    for (at, length) in case["line_lengths"].as_array().into_iter().flatten().enumerate() {
        same(
            &format!("length of line {at}"),
            &(outcome.items[at].body.len() as u64),
            &length.as_u64().unwrap_or(0),
        )?;
    }
    Ok(())
}
