//! Lines cut into what a pattern reads and what is text.

use crate::parse::time::{Clock, Zone, find};

/// Pieces of a line that are looked at.
const MOST_PIECES: usize = 64;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Piece<'t> {
    /// The pattern that reads it, and the name that its field has.
    Value {
        pattern: &'static str,
        name: &'static str,
        text: &'t str,
    },
    Text(&'t str),
}

impl Piece<'_> {
    pub(super) fn alike(&self, other: &Piece<'_>) -> bool {
        match (self, other) {
            (Piece::Value { pattern, .. }, Piece::Value { pattern: other, .. }) => pattern == other,
            (Piece::Text(own), Piece::Text(other)) => own == other,
            _ => false,
        }
    }

    pub(super) fn is_word(&self) -> bool {
        let of_word = |own: char| own.is_alphanumeric() || "_.-/@:".contains(own);
        matches!(self, Piece::Text(text) if text.chars().all(of_word))
    }
}

/// Cuts a line into pieces, and says whether there is more of it than is looked at.
pub(super) fn pieces(line: &str) -> (Vec<Piece<'_>>, bool) {
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
    (all, at < line.len())
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
