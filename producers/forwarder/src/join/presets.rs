//! Rules for stack traces as they come without a log line before them. Facts taken over from Fluent Bit's built-in rules.

use super::{Join, StateRule};

/// Names in a configuration.
pub const NAMES: [&str; 4] = ["java", "python", "go", "ruby"];

type Row = (&'static [&'static str], &'static str, &'static str);

const JAVA: &[Row] = &[
    (&["start", "exception"], r"(?:Exception|Error|Throwable|V8 errors stack trace)(?:[:\r\n]|$)", "after"),
    (&["after"], r"^[\t ]*nested exception is:[\t ]*", "exception"),
    (&["after"], r"^[\r\n]*$", "after"),
    (&["after", "trace"], r"^[\t ]+(?:eval )?at ", "trace"),
    (&["after", "trace"], r"^[\t ]+--- End of inner exception stack trace ---$", "trace"),
    (
        &["after", "trace"],
        r"^--- End of stack trace from previous location where exception was thrown ---$",
        "trace",
    ),
    (&["after", "trace"], r"^[\t ]*(?:Caused by|Suppressed):", "after"),
    (&["after", "trace"], r"^[\t ]*\.\.\. \d+ (?:more|common frames omitted)", "trace"),
];
const PYTHON: &[Row] = &[
    (&["start", "exception"], r"^Traceback \(most recent call last\):$", "trace"),
    (&["trace"], r"^[\t ]+File ", "code"),
    (&["code"], r"[^\t ]", "trace"),
    (&["trace"], r"^(?:[^\s.():]+\.)*[^\s.():]+:", "exception"),
];
const GO: &[Row] = &[
    (&["start"], r"\bpanic: ", "panic"),
    (&["start"], r"http: panic serving", "goroutine"),
    (&["panic"], r"^\[signal ", "signal"),
    (&["panic", "signal", "frame"], r"^$", "goroutine"),
    (&["goroutine"], r"^goroutine \d+ \[[^\]]+\]:$", "frame"),
    (&["frame"], r"^(?:[^\s.:]+\.)*[^\s.():]+\(|^created by ", "place"),
    (&["place"], r"^\s", "frame"),
];
const RUBY: &[Row] = &[
    (&["start", "exception"], r"^.+:\d+:in\s+.*", "after"),
    (&["after", "trace"], r"^\s+from\s+.*:\d+:in\s+.*", "trace"),
];

/// The rules of that name.
pub fn preset(name: &str) -> Option<Join> {
    let rows = match name {
        "java" => JAVA,
        "python" => PYTHON,
        "go" => GO,
        "ruby" => RUBY,
        _ => return None,
    };
    let rule = |(states, pattern, next): &Row| StateRule {
        states: states.iter().map(|own| (*own).to_owned()).collect(),
        pattern: (*pattern).to_owned(),
        next: (*next).to_owned(),
    };
    Some(Join::States(rows.iter().map(rule).collect()))
}
