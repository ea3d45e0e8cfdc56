//! Topic multiline: lines that the forwarder joins to entries, and containers' lines that it unwraps.

use std::path::Path;

use millrace_forwarder::{Container, Join, Mode, StateRule, Unwrapped, join_preset};
use millrace_schemas::LineEnd;
use serde_json::Value;

use crate::{Cases, objects};

/// Longest text of a container's line.
const MAX: usize = 1 << 20;

pub(crate) fn cases(folder: &Path) -> Cases {
    let mut all = Vec::new();
    for case in objects(&folder.join("cases.jsonl")) {
        all.push((text(&case["id"]), case_of_lines(&case)));
    }
    for file in objects(&folder.join("files.jsonl")) {
        all.push((text(&file["file"]), whole_file(folder, &file)));
    }
    if folder.join("cri_interleaved.expected.jsonl").exists() {
        all.push(("cri_interleaved".to_owned(), interleaved(folder)));
    }
    all
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

fn texts(value: &Value) -> Vec<String> {
    value.as_array().into_iter().flatten().map(text).collect()
}

/// A case gives its lines; those that carry their own end are told by it.
fn case_of_lines(case: &Value) -> Result<(), String> {
    let (lines, expected) = (texts(&case["lines"]), texts(&case["expected"]));
    let whole: Vec<&str> = lines.iter().map(|line| line.strip_suffix('\n').unwrap_or(line)).collect();
    let bare: Vec<&[u8]> = whole.iter().map(|line| line.as_bytes()).collect();
    let parsers = texts(&case["parsers"]);
    if parsers.iter().any(|own| own == "cri" || own == "docker") {
        return unwrapped(case, Container::Auto.unwrap(&bare, MAX), expected);
    }
    let joiner = rule(case, &parsers).ok_or("no rule is given")?.compile()?;
    let spans = joiner.entries(&bare);
    if let Some(wanted) = case["expected_spans"].as_array() {
        let own: Vec<Value> = spans.iter().map(|own| Value::from(vec![own.start, own.end - 1])).collect();
        if own != *wanted {
            return Err(format!("spans {own:?}, expected {wanted:?}"));
        }
    }
    let end = if expected.iter().all(|own| own.ends_with('\n')) { "\n" } else { "" };
    let joined = spans.into_iter().map(|span| whole[span].join("\n") + end).collect();
    compare(joined, expected)
}

/// A line end that is written out is part of what Docker's lines hold, and none of other lines: where it is expected, the
/// line must be whole. A case may have its lines joined further.
fn unwrapped(case: &Value, lines: Vec<Unwrapped>, expected: Vec<String>) -> Result<(), String> {
    let mut own: Vec<(String, bool)> = lines
        .iter()
        .map(|own| (String::from_utf8_lossy(&own.text).into_owned(), own.end == LineEnd::Lf))
        .collect();
    if let Some(further) = case["rule"].as_array().and_then(|_| rule(case, &[])) {
        let texts: Vec<&[u8]> = lines.iter().map(|own| own.text.as_slice()).collect();
        let spans = further.compile()?.entries(&texts);
        let text = |span: &std::ops::Range<usize>| {
            own[span.clone()].iter().map(|(text, _)| text.as_str()).collect::<Vec<_>>().join("\n")
        };
        own = spans.iter().map(|span| (text(span), true)).collect();
    }
    let wanted: Vec<(String, bool)> = expected
        .iter()
        .zip(&own)
        .map(|(wanted, (_, whole))| match wanted.strip_suffix('\n') {
            Some(text) => (text.to_owned(), true),
            None => (wanted.clone(), *whole),
        })
        .collect();
    if own == wanted && own.len() == expected.len() {
        return Ok(());
    }
    Err(format!("{own:#?}, expected {expected:#?}"))
}

fn rule(case: &Value, parsers: &[String]) -> Option<Join> {
    if let Some(preset) = parsers.iter().find_map(|name| join_preset(name)) {
        return Some(preset);
    }
    if let Some(states) = case["rule"].as_array() {
        let state = |row: &Value| StateRule {
            // The name that fluent-bit's own rules have.
            states: vec![text(&row["state"]).replace("start_state", StateRule::START)],
            pattern: text(&row["pattern"]),
            next: text(&row["next"]),
        };
        return Some(Join::States(states.iter().map(state).collect()));
    }
    if text(&case["rule"]).contains("backslash") {
        let pattern = || r"\\$".to_owned();
        return Some(Join::Condition { start: pattern(), mode: Mode::ContinuePast, condition: pattern() });
    }
    let mode = match case["mode"].as_str()? {
        "continue_through" => Mode::ContinueThrough,
        "continue_past" => Mode::ContinuePast,
        "halt_before" => Mode::HaltBefore,
        "halt_with" => Mode::HaltWith,
        _ => return None,
    };
    let (start, condition) = (text(&case["start_pattern"]), text(&case["condition_pattern"]));
    Some(Join::Condition { start, mode, condition })
}

fn whole_file(folder: &Path, file: &Value) -> Result<(), String> {
    let bytes = std::fs::read(folder.join(text(&file["file"]))).map_err(|error| error.to_string())?;
    let lines = lines(&bytes);
    let spans = Join::start(&text(&file["start_pattern"])).compile()?.entries(&lines);
    let own: Vec<Value> = spans.iter().map(|own| Value::from(vec![own.start + 1, own.end])).collect();
    if Value::from(own.clone()) == file["spans"] { Ok(()) } else { Err(format!("{} entries", own.len())) }
}

fn interleaved(folder: &Path) -> Result<(), String> {
    let bytes = std::fs::read(folder.join("files/cri_interleaved.log")).map_err(|error| error.to_string())?;
    let expected = objects(&folder.join("cri_interleaved.expected.jsonl"));
    let expected = expected.iter().map(|own| text(&own["stream"]) + " " + &text(&own["text"])).collect();
    // The file may end before the last part of a line: what is expected has its last part.
    let own = Container::Cri.unwrap(&lines(&bytes), MAX).into_iter().filter(|own| own.end != LineEnd::None);
    compare(
        own.map(|own| own.stream.unwrap_or_default() + " " + &String::from_utf8_lossy(&own.text)).collect(),
        expected,
    )
}

fn lines(bytes: &[u8]) -> Vec<&[u8]> {
    let whole = bytes.strip_suffix(b"\n").unwrap_or(bytes);
    whole.split(|byte| *byte == b'\n').map(|line| line.strip_suffix(b"\r").unwrap_or(line)).collect()
}

fn compare(own: Vec<String>, expected: Vec<String>) -> Result<(), String> {
    if own == expected { Ok(()) } else { Err(format!("{own:#?}, expected {expected:#?}")) }
}
