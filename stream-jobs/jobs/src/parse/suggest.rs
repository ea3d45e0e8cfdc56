//! Proposes how to read lines that nobody has described.
//!
//! A format that reads nearly all of them is proposed by name. Otherwise lines are cut into pieces (times, addresses,
//! numbers, quoted texts, words), and the longest beginning that most lines share becomes a grok expression: pieces that
//! are the same in all of them are text, the others fields, what is behind is the message.

use super::found::Found;
use super::time::{Clock, Zone, find};
use super::{Format, Source};
use crate::grok::Library;

/// Lines that are looked at.
const MOST_LINES: usize = 1_000;
/// Of a hundred lines, so many must be read by what is proposed.
const ENOUGH: usize = 90;
/// Pieces of a line that are looked at.
const MOST_PIECES: usize = 64;

/// What is proposed, as the steps of a source in TOML, and how many of the lines it reads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Suggestion {
    /// `["json"]`, or a step `grok`.
    pub steps: String,
    /// Lines that it reads.
    pub read: usize,
    /// Lines that were looked at.
    pub of: usize,
}

/// Looks at lines; `None` where there are none.
pub fn suggest(lines: &[&str]) -> Option<Suggestion> {
    let lines: Vec<&str> =
        lines.iter().copied().filter(|line| !line.trim().is_empty()).take(MOST_LINES).collect();
    let of = lines.len();
    let format = Format::ALL.into_iter().filter(|format| !matches!(format, Format::Auto | Format::Syslog));
    let best = format.map(|format| (lines.iter().filter(|line| reads(format, line)).count(), format));
    // Of formats that read as many lines the first one counts: the list begins with the strict ones.
    let best = best.fold(None, |best: Option<(usize, Format)>, own| match best {
        Some(best) if best.0 >= own.0 => Some(best),
        _ => Some(own),
    });
    if let Some((read, format)) = best.filter(|(read, _)| read * 100 >= of * ENOUGH && of > 0) {
        return Some(Suggestion { steps: format!("[\"{}\"]", format.id()), read, of });
    }
    let expression = expression(&lines)?;
    let steps = format!("[{{ grok = {{ match = {} }} }}]", toml::Value::String(expression));
    let table = format!("name = \"suggested\"\nsteps = {steps}").parse().ok()?;
    let source = Source::new(table, &Library::base()).ok()?;
    let read = lines.iter().filter(|line| source.read(line, 0).is_ok()).count();
    Some(Suggestion { steps, read, of })
}

/// Whether a line is of a format, and not just let through.
fn reads(format: Format, line: &str) -> bool {
    let clock = Clock { received: 0, zone: &Zone::UTC };
    let found = format.read(line, clock).1;
    let whole = |found: Found<'_>| match format {
        // Anything with a colon or an equals sign would do.
        Format::Logfmt => {
            let lifted = [
                found.message.is_some(),
                found.severity.is_some(),
                found.user.is_some(),
                found.time.is_some(),
            ];
            let n_pairs = found.fields.0.len() + lifted.into_iter().filter(|lifted| *lifted).count();
            n_pairs > 1 && Format::of(line) == format
        }
        Format::Ltsv => found.fields.0.len() > 1,
        Format::Rfc3164 => found.fields.find("appname").is_some() || line.starts_with('<'),
        _ => true,
    };
    found.is_ok_and(whole)
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Piece<'t> {
    /// The pattern that reads it, and the name that its field has.
    Value {
        pattern: &'static str,
        name: &'static str,
        text: &'t str,
    },
    Text(&'t str),
}

impl Piece<'_> {
    fn alike(&self, other: &Piece<'_>) -> bool {
        match (self, other) {
            (Piece::Value { pattern, .. }, Piece::Value { pattern: other, .. }) => pattern == other,
            (Piece::Text(own), Piece::Text(other)) => own == other,
            _ => false,
        }
    }
}

/// Cuts a line into pieces.
fn pieces(line: &str) -> Vec<Piece<'_>> {
    let time = find(line, Clock { received: 0, zone: &Zone::UTC }).map(|(_, span)| span);
    let mut all = Vec::new();
    let mut at = 0;
    while at < line.len() && all.len() < MOST_PIECES {
        let rest = &line[at..];
        let (piece, len) = match &time {
            Some(span) if span.start == at => {
                let text = &line[span.clone()];
                (Piece::Value { pattern: time_pattern(text), name: "timestamp", text }, span.len())
            }
            _ => piece(rest),
        };
        all.push(piece);
        at += len;
    }
    all
}

/// The named pattern of the base library that reads this time, else a general one.
fn time_pattern(text: &str) -> &'static str {
    const NAMES: [(&str, &str); 5] = [
        ("TIMESTAMP_ISO8601", r"^\d{4}-\d\d-\d\d[T ]\d\d:\d\d(?::\d\d(?:[.,:]\d+)?)?(?:Z|[+-]\d\d:?\d\d)?$"),
        ("HTTPDATE", r"^\d\d/\w{3}/\d{4}:\d\d:\d\d:\d\d [+-]\d{4}$"),
        ("SYSLOGTIMESTAMP", r"^\w{3} +\d{1,2} \d\d:\d\d:\d\d$"),
        ("HTTPDERROR_DATE", r"^\w{3} \w{3} \d\d \d\d:\d\d:\d\d(?:\.\d+)? \d{4}$"),
        ("NUMBER", r"^\d+(?:\.\d+)?$"),
    ];
    let is = |pattern: &str| {
        let pattern = crate::pattern::Pattern::new(pattern, crate::pattern::Dialect::Perl);
        pattern.is_ok_and(|pattern| pattern.is_match(text) == Ok(true))
    };
    NAMES.iter().find(|(_, pattern)| is(pattern)).map_or("DATA", |(name, _)| name)
}

fn piece(rest: &str) -> (Piece<'_>, usize) {
    let own = rest.as_bytes()[0];
    if own == b'"'
        && let Some(len) = rest[1..].find('"')
    {
        return (Piece::Value { pattern: "QS", name: "text", text: &rest[..len + 2] }, len + 2);
    }
    let len =
        rest.find(|own: char| !(own.is_alphanumeric() || "_.:-/@%".contains(own))).unwrap_or(rest.len());
    if len == 0 {
        let len = rest.chars().next().map_or(1, char::len_utf8);
        return (Piece::Text(&rest[..len]), len);
    }
    let word = rest[..len].trim_end_matches([':', '.', '-']);
    let word = if word.is_empty() { &rest[..len] } else { word };
    let digits = word.bytes().all(|byte| byte.is_ascii_digit());
    let (pattern, name) = match word {
        _ if digits => ("INT", "number"),
        _ if word.parse::<f64>().is_ok() && word.contains('.') => ("NUMBER", "number"),
        _ if word.parse::<std::net::IpAddr>().is_ok() => ("IP", "address"),
        _ if is_uuid(word) => ("UUID", "id"),
        _ if LEVELS.iter().any(|level| word.eq_ignore_ascii_case(level)) => ("LOGLEVEL", "level"),
        _ if word.starts_with('/') => ("NOTSPACE", "path"),
        _ => return (Piece::Text(word), word.len()),
    };
    (Piece::Value { pattern, name, text: word }, word.len())
}

const LEVELS: [&str; 12] = [
    "trace", "debug", "info", "notice", "warn", "warning", "error", "err", "critical", "crit", "alert",
    "fatal",
];

fn is_uuid(word: &str) -> bool {
    let dashes = [8, 13, 18, 23];
    word.len() == 36
        && word
            .bytes()
            .enumerate()
            .all(|(at, byte)| if dashes.contains(&at) { byte == b'-' } else { byte.is_ascii_hexdigit() })
}

/// The beginning that most lines share, as an expression.
fn expression(lines: &[&str]) -> Option<String> {
    let cut: Vec<Vec<Piece<'_>>> = lines.iter().map(|line| pieces(line)).collect();
    let model = cut.first()?;
    let mut parts: Vec<String> = vec!["^".into()];
    let mut named: Vec<&str> = Vec::new();
    let mut shared = 0;
    for at in 0..model.len() {
        let alike = cut.iter().filter(|own| own.get(at).is_some_and(|piece| piece.alike(&model[at])));
        let words = cut.iter().filter(|own| matches!((own.get(at), model[at]), (Some(Piece::Text(own)), Piece::Text(model)) if is_word(own) && is_word(model)));
        if alike.count() * 100 >= lines.len() * ENOUGH {
            match model[at] {
                Piece::Value { pattern, name, text } => {
                    let constant = cut.iter().all(
                        |own| matches!(own.get(at), Some(Piece::Value { text: other, .. }) if *other == text),
                    );
                    if constant && lines.len() > 3 && name != "level" {
                        parts.push(guarded(text));
                    } else {
                        named.push(name);
                        let n = named.iter().filter(|own| **own == name).count();
                        let number = if n > 1 { n.to_string() } else { String::new() };
                        parts.push(format!("%{{{pattern}:{name}{number}}}"));
                    }
                }
                Piece::Text(text) => parts.push(guarded(text)),
            }
        } else if words.count() * 100 >= lines.len() * ENOUGH && at + 1 < model.len() {
            named.push("word");
            parts.push(format!("%{{NOTSPACE:word{}}}", named.iter().filter(|own| **own == "word").count()));
        } else {
            break;
        }
        shared = at + 1;
    }
    // A word that nothing shared follows belongs to the message.
    while parts.last().is_some_and(|part| part.starts_with("%{NOTSPACE:word")) {
        parts.pop();
        shared -= 1;
    }
    let more = cut.iter().any(|own| own.len() > shared);
    parts.push(if more { "%{GREEDYDATA:message}".into() } else { "$".into() });
    Some(parts.concat())
}

fn is_word(text: &str) -> bool {
    text.chars().all(|own| own.is_alphanumeric() || "_.-/@:".contains(own))
}

/// Text as a pattern.
fn guarded(text: &str) -> String {
    regex_syntax::escape(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(lines: &[&str], steps: &str, read: usize) {
        assert_eq!(suggest(lines), Some(Suggestion { steps: steps.into(), read, of: lines.len() }));
    }

    #[test]
    fn formats_are_proposed_by_name() {
        check(&[r#"{"a":1}"#, r#"{"b":2}"#], r#"["json"]"#, 2);
        check(&["level=info msg=a", "level=warn msg=\"b c\""], r#"["logfmt"]"#, 2);
        check(&["Jan  1 00:00:01 h a[1]: x", "Jan  1 00:00:02 h b: y"], r#"["rfc3164"]"#, 2);
        check(
            &[
                "[Sat Dec 28 09:18:05 2013] [error] [client 192.0.2.1] no",
                "[Sat Dec 28 09:18:05 2013] [notice] yes",
            ],
            r#"["apache_error"]"#,
            2,
        );
    }

    #[test]
    fn what_lines_share_becomes_an_expression() {
        check(
            &[
                "2026-01-01 10:00:00,123 INFO [worker-1] took 15 ms for /a from 10.0.0.1",
                "2026-01-01 10:00:01,456 WARN [worker-1] took 7 ms for /b/c from 10.0.0.2",
                "2026-01-01 10:00:02,789 INFO [worker-1] took 999 ms for /d from 10.0.0.3",
            ],
            r#"[{ grok = { match = '^%{TIMESTAMP_ISO8601:timestamp} %{LOGLEVEL:level} \[worker\-1\] took %{INT:number} ms for %{NOTSPACE:path} from %{IP:address}$' } }]"#,
            3,
        );
        check(
            &["A 1: one thing", "A 2: and another one", "A 3: third"],
            "[{ grok = { match = \"^A %{INT:number}: %{GREEDYDATA:message}\" } }]",
            3,
        );
    }

    #[test]
    fn nothing_is_proposed_for_nothing() {
        assert_eq!(suggest(&["", "  "]), None);
    }
}
