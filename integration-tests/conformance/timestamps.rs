//! Topic timestamps: times found in lines, and times that are the whole of a text.

use std::path::Path;

use serde_json::Value;

use crate::chain::{RECEIVED, micros, quoted, read, steps};
use crate::{Cases, objects, same, text};

pub(crate) fn cases(folder: &Path) -> Cases {
    let cases = objects(&folder.join("cases.jsonl"));
    cases.iter().map(|own| (text(own, "id").to_owned(), case(own))).collect()
}

fn case(case: &Value) -> Result<(), String> {
    let field = if case["line"].is_string() { "" } else { "field = \"message\", " };
    let zone = match text(case, "zone_of_reader") {
        "" => "UTC",
        zone => zone,
    };
    let source = steps(&format!("[{{ timestamp = {{ {field}timezone = {} }} }}]", quoted(zone)))?;
    let received = match (text(case, "now"), case["year_of_reader"].as_i64()) {
        ("", None) => RECEIVED,
        ("", Some(year)) => {
            micros(&format!("{year}-12-31T00:00:00Z")).ok_or("a year of the corpus is none")?
        }
        (now, _) => micros(now).ok_or("the time of the reader is none")?,
    };
    let line = if case["line"].is_string() { text(case, "line") } else { text(case, "value") };
    let is = read(&source, line, received).ok().and_then(|read| read.time);
    let wanted = match (&case["epoch"], case["utc"].as_str(), case["epoch_ns"].as_str()) {
        (Value::Number(seconds), ..) => seconds.as_i64().map(|seconds| seconds * 1_000_000),
        (_, Some(utc), _) => micros(utc),
        (.., Some(nanos)) => nanos.parse::<i64>().ok().map(|nanos| nanos.div_euclid(1000)),
        _ => None,
    };
    // Either is right where the corpus leaves it open.
    if wanted.is_none() && case["utc"].is_null() && case.get("utc").is_some() {
        return Ok(());
    }
    // An epoch of the corpus is in whole seconds, its lines may have a fraction.
    let is = if case["epoch"].is_number() { is.map(|is| is.div_euclid(1_000_000) * 1_000_000) } else { is };
    same("the time", &is, &wanted)
}
