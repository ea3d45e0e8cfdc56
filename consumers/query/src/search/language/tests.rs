use std::ops::Bound;

use super::super::pattern::{Pattern, Piece};
use super::*;

/// A query as one line of text: `&(…)`, `|(…)`, `!…`, `field=word`, `field="phrase"`, `field[low..high]`.
fn show(query: &Query) -> String {
    let list = |all: &[Query]| all.iter().map(show).collect::<Vec<_>>().join(" ");
    match query {
        Query::All => "all".into(),
        Query::And(all) => format!("&({})", list(all)),
        Query::Or(any) => format!("|({})", list(any)),
        Query::Not(query) => format!("!{}", show(query)),
        Query::Is(Condition { field, test, .. }) => {
            let field = field.as_deref().unwrap_or("_");
            match test {
                Test::Word(pattern) => format!("{field}={}", show_pattern(pattern)),
                Test::Phrase(text) => format!("{field}={text:?}"),
                Test::Range(low, high) => {
                    let low = match low {
                        Bound::Included(low) => format!("[{low}"),
                        Bound::Excluded(low) => format!("({low}"),
                        Bound::Unbounded => "(".into(),
                    };
                    let high = match high {
                        Bound::Included(high) => format!("{high}]"),
                        Bound::Excluded(high) => format!("{high})"),
                        Bound::Unbounded => ")".into(),
                    };
                    format!("{field}{low}..{high}")
                }
            }
        }
    }
}

fn show_pattern(pattern: &Pattern) -> String {
    let piece = |piece: &Piece| match piece {
        Piece::Char(char) => *char,
        Piece::One => '⋅',
        Piece::Any => '⋯',
    };
    pattern.0.iter().map(piece).collect()
}

#[track_caller]
fn check(text: &str, expected: &str) {
    match parse(text) {
        Ok(query) => assert_eq!(show(&query), expected, "{text}"),
        Err(error) => panic!("{text}: {error}"),
    }
}

#[track_caller]
fn refuse(text: &str, position: usize, message: &str) {
    let error = parse(text).unwrap_err();
    assert_eq!((error.position, error.message.as_str()), (position, message), "{text}");
}

#[test]
fn queries_are_read() {
    for (text, expected) in [
        ("", "all"),
        (" * ", "all"),
        ("timeout", "_=timeout"),
        ("a b", "&(_=a _=b)"),
        ("a AND b OR c d", "|(&(_=a _=b) &(_=c _=d))"),
        ("a && b || c", "|(&(_=a _=b) _=c)"),
        ("(a OR b) c", "&(|(_=a _=b) _=c)"),
        ("NOT a -b !c", "&(!_=a !_=b !_=c)"),
        ("NOT NOT a", "!!_=a"),
        ("+a -b", "&(_=a !_=b)"),
        ("-(a b)", "!&(_=a _=b)"),
        ("not and or", "&(_=not _=and _=or)"),
        ("\"connection reset\"", "_=\"connection reset\""),
        (r#""a \"b\" \\c""#, r#"_="a \"b\" \\c""#),
        ("status:500", "status=500"),
        ("status:500 AND path:/cart*", "&(status=500 path=/cart⋯)"),
        ("path:/a?c/**/d", "path=/a⋅c/⋯/d"),
        (r"path:\*\?\(", "path=*?("),
        ("user:*", "user=⋯"),
        ("user:\"\"", "user=\"\""),
        ("agent:\"curl/8 x\"", "agent=\"curl/8 x\""),
        ("url:http://x:80/", "url=http://x:80/"),
        ("12:30:45", "_=12:30:45"),
        ("host:(a OR b)", "|(host=a host=b)"),
        ("host:(a \"b c\" -d) e", "&(&(host=a host=\"b c\" !host=d) _=e)"),
        ("status:[500 TO 599]", "status[500..599]"),
        ("status:{500 TO 599}", "status(500..599)"),
        ("status:[500 TO 599}", "status[500..599)"),
        ("status:[ 500 TO * ]", "status[500..)"),
        ("status:[* TO 599]", "status(..599]"),
        ("time:[\"2026-03-12 08:00\" TO 2026-03-13}", "time[2026-03-12 08:00..2026-03-13)"),
        ("status:>=500", "status[500..)"),
        ("status:>500", "status(500..)"),
        ("status:<=500", "status(..500]"),
        ("status:<500", "status(..500)"),
        ("took:<0.5", "took(..0.5)"),
        ("delta:-3", "delta=-3"),
        ("a-b x_y", "&(_=a-b _=x_y)"),
        ("größe:élan", "größe=élan"),
    ] {
        check(text, expected);
    }
}

#[test]
fn errors_say_where_and_what() {
    for (text, position, message) in [
        ("a AND", 5, "expected a condition, found the end"),
        ("OR a", 0, "expected a condition, found OR"),
        ("ä AND AND b", 6, "expected a condition, found AND"),
        ("(a b", 0, "this ( is never closed"),
        ("a)", 1, "unexpected )"),
        ("()", 1, "expected a condition, found )"),
        ("\"abc", 0, "this quote is never closed"),
        ("status:", 7, "expected a value of status, found the end"),
        ("status: 500", 7, "expected a value, found a blank"),
        ("status:)", 7, "expected a value of status, found )"),
        ("status:[500 599]", 12, "expected TO within a range"),
        ("status:[500 TO 599", 18, "expected ] or } at the end of a range"),
        ("status:[5* TO 599]", 8, "a range takes no wildcards"),
        ("status:>=", 9, "expected a value to compare with"),
        ("host:(a user:b)", 8, "user: stands within the values of another field"),
    ] {
        refuse(text, position, message);
    }
    let error = parse("status:").unwrap_err().to_string();
    assert!(error.starts_with("expected a value of status, found the end (at character 8)"), "{error}");
}

#[test]
fn size_and_depth_are_bounded() {
    assert!(parse(&"a ".repeat(MAX_QUERY)).is_err());
    assert!(parse(&"(".repeat(MAX_QUERY)).is_err());
    assert!(parse(&"-".repeat(MAX_QUERY)).is_err());
    assert!(parse(&"a ".repeat(MAX_CONDITIONS)).is_ok());
    assert!(parse(&"a ".repeat(MAX_CONDITIONS + 1)).is_err());
    assert!(parse(&format!("{}a{}", "(".repeat(MAX_DEPTH - 1), ")".repeat(MAX_DEPTH - 1))).is_ok());
}

#[test]
fn patterns_match_whole_texts() {
    let pattern = |text: &str| {
        Pattern(
            text.chars()
                .map(|char| match char {
                    '*' => Piece::Any,
                    '?' => Piece::One,
                    char => Piece::Char(char),
                })
                .collect(),
        )
    };
    for (text, against, expected) in [
        ("", "", true),
        ("*", "", true),
        ("?", "", false),
        ("a*", "abc", true),
        ("a*", "ba", false),
        ("*b*", "abc", true),
        ("a?c", "aéc", true),
        ("a?c", "ac", false),
        ("*a*b*c", "xaybzc", true),
        ("*a*b*c", "xaybz", false),
        ("*aab", "aaaab", true),
    ] {
        assert_eq!(pattern(text).matches(against), expected, "{text} {against}");
    }
    assert!(pattern("ab*").is_prefix() && !pattern("a*b").is_prefix() && !pattern("ab").is_prefix());
}

proptest::proptest! {
    #[test]
    fn any_text_is_read_or_refused(text in "[ a-c:()\\[\\]{}\"*?\\\\<>=!+-]{0,40}|.{0,40}") {
        if let Err(error) = parse(&text) {
            proptest::prop_assert!(error.position <= text.chars().count());
        }
    }
}
