//! Patterns and texts that are known to hold backtracking engines up for minutes: each is answered within the limit of steps.

use super::*;

/// Texts for which there is no answer within the limit, of patterns with references or look-arounds only.
const TOO_COMPLEX: [&str; 6] = [
    r"(?>(a+))*\1b",
    r"^(a+)+\1b$",
    r"(\w+)-\1-\1-b",
    r"(?i)(?:[aA]|ä)+(?=ä+Ä+b)",
    "(?<!(?:ab?)+)c",
    r"^(.*)\1(.*)\2$",
];

/// Pattern, and the text that it is bad at: what it begins with, what is repeated, what it ends with.
const ATTACKS: [(&str, &str, &str, &str); 34] = [
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
    // Counts within counts.
    ("^(?:a{1,30}){1,30}$", "", "a", "!"),
    ("^((a{0,5}){0,5}){0,5}[c]", "", "a", "!"),
    ("^(?:(?:(?:a+)+)+)+$", "", "a", "!"),
    (r"^(?:\d+(?:,\d+)*;?)*$", "", "12,3;", "x"),
    // Look-arounds around loops, and loops around look-arounds.
    ("^(?:(?=(a+)+)a)+b", "", "a", "!"),
    ("(?:a(?!(?:a+)+b))+c", "", "a", "!"),
    ("(?<=(?:a|aa)+)b", "", "a", "!"),
    ("(?<!(?:ab?)+)c", "", "ab", "c"),
    // References within loops.
    (r"^(?:(a+)\1)+b", "", "a", "!"),
    (r"^((a*)\2)*b", "", "a", "!"),
    (r"^(.*)\1(.*)\2$", "", "abc", "!"),
    // Atomic groups that do not help, and possessive counts.
    ("(?:(?>a+|b)|a)+c", "", "ab", "!"),
    ("(?:a++|a)*+(?=b)b", "", "a", "!"),
    (r"(?:[^<]|<(?!!--))*-->", "", "<!-", ""),
];

/// Bytes of the longest texts.
const LONG: usize = 50_000;

#[test]
fn slow_patterns_are_answered_within_the_limit() {
    // A budget is looked at before each instruction, the last of which may pass over the rest of the text.
    let beyond = LONG as u64 / 8;
    for (pattern, before, again, after) in ATTACKS {
        let own = pattern.replace("%{GREEDYDATA}", ".*");
        let compiled = Pattern::new(&own, Dialect::Oniguruma).unwrap();
        for n in [30, 3_000, LONG / again.len()] {
            let text = format!("{before}{}{after}", again.repeat(n));
            let mut steps = 0;
            let found = compiled.captures_in(&text, &mut steps);
            let most = if compiled.is_linear() { QUICK_STEPS } else { QUICK_STEPS + MOST_STEPS };
            assert!(steps <= most + beyond, "{pattern} takes {steps} steps on {} bytes", text.len());
            assert!(found.is_ok() || TOO_COMPLEX.contains(&pattern), "{pattern} on {} bytes", text.len());
            if text.len() >= LONG - 3 {
                assert_eq!(found.is_err(), TOO_COMPLEX.contains(&pattern), "{pattern}");
            }
        }
    }
}
