//! Patterns and texts that are known to hold backtracking engines up for minutes: each is answered in some milliseconds.

use std::time::{Duration, Instant};

use super::*;

/// Pattern, and the text that it is bad at: what it begins with, what is repeated, what it ends with.
const ATTACKS: [(&str, &str, &str, &str); 20] = [
    ("^(a+)+$", "", "a", "!"),
    ("^(a|aa)+$", "", "a", "!"),
    ("^(a|a?)+$", "", "a", "!"),
    ("^([a-zA-Z]+)*$", "", "aB", "1"),
    ("^(.*a){12}$", "", "a", "!"),
    ("(x+x+)+y", "", "x", ""),
    ("(.*)*,(.*)*,(.*)*;", "", "a,", ""),
    (r"^(\w+\s?)*$", "", "word ", "!"),
    (r"^([\w.+-]+)+@([\w-]+\.)+\w+$", "a@", "a.", "!"),
    (r#"^"(\\.|[^"\\]|\\)*"$"#, "\"", "\\", ""),
    (r"(?:\s+|\S)*,$", "", " ", "x"),
    ("(a+)+(?<!b)$", "", "a", "!"),
    ("^(?=(a+))(a+)+b", "", "a", "!"),
    (r"(?>(a+))*\1b", "", "a", "-b"),
    (r"^(a+)+\1b$", "", "a", "-b"),
    (r"(\w+)-\1-\1-b", "", "ab-", "b"),
    ("(?:(?:a*)*)*b(?!c)", "", "a", ""),
    ("^(?:.*?,){11}P", "", "1,", ""),
    (r"(?i)(?:[aA]|ä)+(?=ä+Ä+b)", "", "ä", "!"),
    ("%{GREEDYDATA}%{GREEDYDATA}%{GREEDYDATA}%{GREEDYDATA}x(?<!y)$", "", "z", ""),
];

#[test]
fn slow_patterns_are_answered_at_once() {
    for (pattern, before, again, after) in ATTACKS {
        let own = pattern.replace("%{GREEDYDATA}", ".*");
        let compiled = Pattern::new(&own, Dialect::Oniguruma).unwrap();
        for n in [30, 3_000, 50_000 / again.len()] {
            let text = format!("{before}{}{after}", again.repeat(n));
            // The first call builds what the later ones use; the machine may be busy, so the best of some counts.
            let best = (0..6).map(|_| took(&compiled, &text)).min();
            assert!(
                best < Some(Duration::from_millis(10)),
                "{pattern} took {best:?} on {} bytes",
                text.len()
            );
        }
    }
}

#[allow(clippy::disallowed_methods)] // what is tested is time
fn took(pattern: &Pattern, text: &str) -> Duration {
    let start = Instant::now();
    drop(pattern.captures(text));
    start.elapsed()
}
