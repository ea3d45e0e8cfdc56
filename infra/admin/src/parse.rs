//! Sources tried on lines, tested by their examples, and proposed: what is told of it to programs. Free of I/O.

use millrace_jobs::parse::source::rfc3339_text as time;
use millrace_jobs::parse::suggest::{Suggestion, suggest};
use millrace_jobs::parse::{Format, Found, Source, Stopped};
use millrace_schemas::Value;
use serde_json::{Map, json};

use crate::sources::Draft;

/// Lines that a proposal looks at.
pub const MOST_LINES: usize = 1_000;

/// The source that reads lines as the format `name` does, where there is such a format.
pub fn of_format(name: &str) -> Option<Source> {
    Format::named(name)?;
    let file = format!("[[source]]\nname = \"{name}\"\nsteps = [\"{name}\"]");
    Source::list(&file, |_| Ok(Vec::new())).ok()?.pop()
}

/// The source called `name`, or the only one.
///
/// # Errors
/// There is none of that name, or there are several.
pub fn one_of(all: Vec<Source>, name: Option<&str>) -> Result<Source, String> {
    let names: Vec<String> = all.iter().map(|own| own.name().to_owned()).collect();
    let mut wanted = all.into_iter().filter(|own| name.is_none_or(|name| own.name() == name));
    match (wanted.next(), wanted.next()) {
        (Some(own), None) => Ok(own),
        (None, _) => Err(format!("there is no such source; there are: {}", names.join(", "))),
        (Some(_), Some(_)) => {
            Err(format!("there are several sources; choose one by its name: {}", names.join(", ")))
        }
    }
}

/// `source` tried on `lines` that are received at `received`, until time is `over`.
pub fn try_lines(
    source: &Source,
    lines: &[&str],
    received: i64,
    over: impl Fn() -> bool,
) -> serde_json::Value {
    let (mut told, mut n_read) = (Vec::new(), 0);
    for line in lines {
        if over() {
            break;
        }
        let read = source.read(line, received);
        n_read += usize::from(read.is_ok());
        told.push(tried(line, &read));
    }
    json!({"read": n_read, "of": told.len(), "left_out": lines.len() - told.len(), "lines": told})
}

/// What comes of the examples of each of `drafts`.
pub fn test(drafts: &[Draft]) -> serde_json::Value {
    let (mut n_passed, mut failures) = (0, Vec::new());
    for source in drafts.iter().map(|draft| &draft.source) {
        for example in source.examples() {
            match example.check(source) {
                Ok(()) => n_passed += 1,
                Err(own) => {
                    failures.push(json!({"source": source.name(), "line": own.line, "what": own.what}))
                }
            }
        }
    }
    json!({"passed": n_passed, "failed": failures.len(), "failures": failures})
}

/// What is proposed for `lines`; `None` where there are none.
pub fn propose(lines: &[&str]) -> Option<serde_json::Value> {
    let found = suggest(lines)?;
    Some(json!({
        "read": found.read, "of": found.of, "timed": found.timed, "steps": found.steps, "toml": proposed(&found)
    }))
}

/// What was found in a line, or where it stopped fitting.
pub fn tried(line: &str, read: &Result<Found<'_>, Stopped>) -> serde_json::Value {
    let found = match read {
        Ok(found) => found,
        Err(stopped) => {
            let reason = if stopped.complex { "too_complex" } else { "no_match" };
            return json!({"line": line, "reason": reason, "at": stopped.at, "expected": stopped.expected});
        }
    };
    let value = |value: &Value<'_>| match value {
        Value::String(text) => json!(text),
        Value::Long(number) => json!(number),
        Value::Double(number) => json!(number),
        Value::Boolean(truth) => json!(truth),
    };
    let fields: Map<_, _> = found.fields.0.iter().map(|(name, own)| (name.to_string(), value(own))).collect();
    json!({
        "line": line, "time": found.time.map(time), "severity": found.severity, "user": found.user,
        "message": found.message.as_deref().unwrap_or(line), "fields": fields, "flags": found.flags,
    })
}

/// The source that is proposed, as a file.
pub fn proposed(found: &Suggestion) -> String {
    let Suggestion { steps, read, of, timed } = found;
    let timed = if *timed == 0 { "none".to_owned() } else { timed.to_string() };
    format!(
        "# Reads {read} of {of} lines, {timed} with a time.\n[[source]]\nname = \"suggested\"\nsteps = {steps}\n"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_told_with_its_fields_or_the_place_where_it_stops() {
        let source = of_format("json").unwrap();
        let told = |line: &str| tried(line, &source.read(line, 0));
        assert_eq!(told(r#"{"a": 1}"#)["fields"], json!({"a": 1}));
        let stopped = told("{\"a\": x}");
        assert_eq!(
            (stopped["reason"].clone(), stopped["at"].is_u64()),
            ("no_match".into(), true),
            "{stopped}"
        );
        assert!(of_format("nothing").is_none());
    }

    #[test]
    fn lines_are_tried_until_time_is_over() {
        let source = of_format("json").unwrap();
        let told = try_lines(&source, &["{}", "x"], 0, || false);
        assert_eq!(
            (told["read"].clone(), told["of"].clone(), told["left_out"].clone()),
            (1.into(), 2.into(), 0.into())
        );
        let none = try_lines(&source, &["{}", "x"], 0, || true);
        assert_eq!((none["of"].clone(), none["left_out"].clone()), (0.into(), 2.into()));
    }

    #[test]
    fn what_is_proposed_is_a_file() {
        let found = propose(&["a=1 b=2", "a=3 b=4"]).unwrap();
        let file = found["toml"].as_str().unwrap();
        let sources = Source::list(file, |_| Ok(vec![])).unwrap();
        assert_eq!(one_of(sources, Some("suggested")).unwrap().name(), "suggested", "{file}");
        assert!(file.starts_with("# Reads 2 of 2 lines, none with a time.\n"), "{file}");
        assert!(propose(&[]).is_none() && one_of(vec![], None).is_err());
    }
}
