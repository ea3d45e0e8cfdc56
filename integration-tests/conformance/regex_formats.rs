//! Topic regex_formats: patterns of real formats, each with the captures of a line.

use std::path::Path;

use millrace_jobs::pattern::{Dialect, Pattern};
use serde_json::{Map, Value};

use crate::{Cases, objects, same, text};

pub(crate) fn cases(folder: &Path) -> Cases {
    let cases = objects(&folder.join("cases.jsonl"));
    let id =
        |at: usize, case: &Value| format!("{}/{}/{at}", text(case, "format"), text(case, "pattern_name"));
    cases.iter().enumerate().map(|(at, own)| (id(at, own), case(own))).collect()
}

fn case(case: &Value) -> Result<(), String> {
    // Matched at the start; ^ and $ also at line ends.
    let pattern = format!(r"\A(?m:{})", text(case, "pattern"));
    let pattern = Pattern::new(&pattern, Dialect::Perl).map_err(|error| error.to_string())?;
    let line = text(case, "line");
    let captures = pattern.captures(line).map_err(|_| "too complex")?.ok_or("does not match")?;
    let mut is = Map::new();
    for (group, name) in (1..).zip(pattern.groups()) {
        if let (Some(name), Some(span)) = (name, captures.span(group)) {
            is.insert(name.clone(), line[span].into());
        }
    }
    same("what is captured", &Value::Object(is), &case["expected"])?;
    if let Some(length) = case["matched_length"].as_u64() {
        let whole = captures.span(0).ok_or("does not match")?;
        same("the length", &(line[whole].chars().count() as u64), &length)?;
    }
    Ok(())
}
