mod attacks;
mod scans;

use proptest::prelude::*;

use super::*;

fn show(pattern: &Pattern, text: &str) -> String {
    match pattern.captures(text) {
        Err(TooComplex) => "too complex".into(),
        Ok(None) => "none".into(),
        Ok(Some(found)) => {
            let groups =
                (0..=pattern.groups().len()).map(|group| found.span(group).map_or("-", |span| &text[span]));
            groups.collect::<Vec<_>>().join("|")
        }
    }
}

#[track_caller]
fn check(pattern: &str, text: &str, expected: &str) {
    let compiled =
        Pattern::new(pattern, Dialect::Oniguruma).unwrap_or_else(|error| panic!("{pattern}: {error}"));
    assert_eq!(show(&compiled, text), expected, "{pattern} on {text:?}");
}

#[track_caller]
fn refused(pattern: &str, reason: &str) {
    for dialect in [Dialect::Oniguruma, Dialect::Perl] {
        assert_eq!(Pattern::new(pattern, dialect).unwrap_err().to_string(), reason, "{pattern}");
    }
}

#[test]
fn first_alternative_counts() {
    check("a|ab", "xab", "a");
    check("(a|ab)(c|bcd)(d*)", "abcd", "abcd|a|bcd|");
    check("(?:a|b)*?b", "aab", "aab");
}

#[test]
fn greedy_lazy_possessive() {
    check("<.*>", "<a><b>", "<a><b>");
    check("<.*?>", "<a><b>", "<a>");
    check("<.*+>", "<a><b>", "none");
    check("a{2,3}?a", "aaaa", "aaa");
    check("(?>a+)a", "aaa", "none");
    check("(?>a|ab)c", "abc", "none");
    check("(?>1+(?:-1+)?)(1)", "11-", "none");
    check("[^\"]*+\"", "ab\"", "ab\"");
    check("x{2}?y", "y", "y");
}

#[test]
fn look_arounds() {
    check("(?<![0-9])1(?![0-9])", "11 1", "1");
    check("(?<=ab|c)d", "abd", "d");
    check("(?=(a+))a", "aab", "a|aa");
    check("(?!a)\\w", "ab", "b");
    check("(?:(?<= )(?:CE|DF))*x", "a DFx", "DFx");
    check("(?<!\\\\)\"", "\\\"", "none");
}

#[test]
fn references_take_the_same_text() {
    check(r"(\w)\1", "abb", "bb|b");
    check(r"(?<q>['\x22])(.*?)\k<q>", "say 'it'", "'it'|'|it");
    check(r"(?i)(a)\1", "xAa", "Aa|A");
}

#[test]
fn sets() {
    check("[[:alnum:]_.]+", "-a_1.", "a_1.");
    check("[^[:space:]]+", " xy", "xy");
    check("[]a]+", "]a", "]a");
    check("[a-z&&[^aeiou]]+", "abc", "bc");
    check("[\\w-]+", "a-b", "a-b");
    check("[a-zA-Z0-9_.+-=:]+", "a<b", "a<b");
    check(r"\h+", "xyzff0", "ff0");
    check("ä|[à-ü]+", "éü", "éü");
    check(r"\p{Lu}\p{^Lu}", "aBc", "Bc");
}

#[test]
fn flags_reach_to_the_end_of_their_group() {
    check("(?i)ab", "AB", "AB");
    check("(?i:a)b", "AB", "none");
    check("((?i)a)b", "Ab", "Ab|A");
    check("a.b", "a\nb", "a\nb");
    check("(?x) a b # comment\n c", "abc", "abc");
}

#[test]
fn lines_and_ends() {
    check("^b$", "a\nb\nc", "b");
    check(r"\Ab", "a\nb", "none");
    check(r"a\Z", "a\n", "a");
    check(r"\bfoo\b", "xfoo foo", "foo");
    check(r"\Boo", "foo", "oo");
    let perl = Pattern::new("^b$", Dialect::Perl).unwrap();
    assert_eq!(show(&perl, "a\nb"), "none");
    let perl = Pattern::new("(?m)^b$", Dialect::Perl).unwrap();
    assert_eq!(show(&perl, "a\nb"), "b");
}

#[test]
fn empty_rounds_end_a_loop() {
    check("(a*)*b", "aab", "aab|");
    check("(?:a?)*?b", "aab", "aab");
    check("(|a)+x", "aax", "aax|");
    check("()*", "a", "|");
}

#[test]
fn what_is_wrong_is_named() {
    refused("(a", "no ) follows at byte 2");
    refused("a)", "a ) without its ( at byte 1");
    refused("*a", "nothing stands before * at byte 0");
    refused("[a", "no ] follows at byte 2");
    refused("[z-a]", "the range z-a is upside down at byte 4");
    refused(r"\1(a)", "a reference to group 1, which does not stand before it at byte 2");
    refused("a{2000}", "a count above 1000 at byte 1");
    refused(r"\p{Nope}", r"\p{Nope} is not known at byte 8");
    refused(r"\g<a>", r"\g is not supported at byte 1");
    refused(&"(".repeat(300), "groups are nested deeper than 200 at byte 200");
    refused(
        "(?:(?:a{1000}){1000}b){1000}",
        "the pattern is too long once its counts are written out at byte 0",
    );
}

#[test]
fn idle_atomic_groups_and_looks_run_on_the_linear_engine() {
    for (pattern, linear) in [
        (r#"^(?<ip>[\w.:\-]++)\s++(?<user>\S++)\s++"(?<path>[^"]*+)""#, true),
        (r"(?>\d\d){1,2}-", true),
        (r"(?<![0-9])a", false),
        (r"(?>a|ab)c", false),
        (r"[0-9]++[0-9]", false),
    ] {
        let compiled = Pattern::new(pattern, Dialect::Perl).unwrap();
        assert_eq!(compiled.is_linear(), linear, "{pattern}");
    }
}

#[test]
fn only_patterns_that_the_linear_engine_cannot_say_are_too_complex() {
    let text = "a".repeat(2_000);
    check("(a+)+$b", &text, "none");
    check("(?:a+a+)+b", &text, "none");
    check(r"(a+)+\1b", &format!("{text}-b"), "too complex");
}

const ATOMS: [&str; 14] =
    ["a", "b", "[ab]", "[^a]", ".", "(a)", "(b|ab)", "(?:a|)", r"\b", "^", "$", "ä", r"\w", "(a*)"];
#[test]
fn what_the_linear_engine_says_otherwise_is_not_left_to_it() {
    for (pattern, text, expected) in [
        ("(?:a||b)*", "ab", (0, 1)),
        ("(?:a??)*b?", "aab", (0, 0)),
        (".*?[ab]|.*?[^a]", "äa", (0, 3)),
        ("b??a|b??a?", "bba", (0, 0)),
    ] {
        let compiled = Pattern::new(pattern, Dialect::Oniguruma).unwrap();
        let own = compiled.captures(text).unwrap().map(|found| (found.slots[0], found.slots[1]));
        assert_eq!(own, Some(expected), "{pattern}");
        if compiled.is_linear() {
            let linear = compiled.linear.captures(text, false).unwrap().unwrap();
            assert_eq!((linear[0], linear[1]), (Some(expected.0), Some(expected.1)), "{pattern}");
        }
    }
}

const COUNTS: [&str; 8] = ["", "", "", "*", "+?", "?", "{1,2}", "*?"];

/// Branches of which some begin with the same run and the character behind it, once or several times.
const SHARING: [&str; 10] = [
    "a+:",
    "a+:(b)",
    "a+:bb",
    "(?:a+:){2}(b|ba)",
    "(?:a+:){3}",
    "(?:a+:){1,2}a",
    "(?:a+:)+?(a*)",
    "[ab]+:a",
    "[ab]{1,2}:(a)",
    "",
];

fn pattern() -> impl Strategy<Value = String> {
    let part =
        (prop::sample::select(&ATOMS[..]), prop::sample::select(&COUNTS[..])).prop_map(|(atom, count)| {
            let assertion = matches!(atom, "^" | "$" | r"\b");
            if assertion { atom.to_owned() } else { format!("{atom}{count}") }
        });
    let branch = prop::collection::vec(part, 0..6).prop_map(|parts| parts.concat());
    prop::collection::vec(branch, 1..3).prop_map(|branches| branches.join("|"))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn machine_and_linear_engine_agree(pattern in pattern(), text in "[abä\\n ]{0,12}") {
        let compiled = Pattern::new(&pattern, Dialect::Oniguruma).unwrap();
        prop_assume!(compiled.is_linear());
        let linear = compiled.linear.captures(&text, false).unwrap();
        let whole = |slots: &[usize]| (slots[0], slots[1]);
        let linear = linear.map(|slots| (slots[0].unwrap(), slots[1].unwrap()));
        let own = compiled.captures(&text).unwrap().map(|found| whole(&found.slots));
        prop_assert_eq!(own, linear, "{} on {:?}", pattern, text);
    }

    #[test]
    fn what_branches_share_is_taken_out_without_a_trace(
        branches in prop::collection::vec(prop::sample::select(&SHARING[..]), 1..6),
        count in prop::sample::select(&COUNTS[..]),
        text in "[ab:]{0,12}",
    ) {
        let pattern = format!("(?:{}){count}(b*)", branches.join("|"));
        let parsed = syntax::parse(&pattern, Dialect::Oniguruma).unwrap();
        let plain = Linear::new(parsed.node, parsed.groups.len());
        if !plain.exact() {
            return Ok(());
        }
        let plain = plain.captures(&text, false).unwrap();
        let own = Pattern::new(&pattern, Dialect::Oniguruma).unwrap().captures(&text).unwrap();
        // A group that takes part in an earlier round only is kept by the one and dropped by the other.
        let whole = |slots: &[Option<usize>]| (slots[0], slots[1], slots[slots.len() - 2], slots[slots.len() - 1]);
        let own = own.map(|own| own.slots.iter().map(|slot| Some(*slot)).collect::<Vec<_>>());
        prop_assert_eq!(own.as_deref().map(whole), plain.as_deref().map(whole), "{} on {:?}", pattern, text);
    }

    #[test]
    fn forgetting_changes_nothing(one in pattern(), other in pattern(), text in "[ab]{0,30}") {
        let pattern = format!("(?:{one})*?(?>{other})+(?:{one})b(?:{other})$|(?<=b)(?:{one})+?a");
        let compiled = Pattern::new(&pattern, Dialect::Oniguruma).unwrap();
        let answer = |forgetful: u64| {
            let mut machine = Machine::new(&compiled.program, &text, MOST_STEPS);
            machine.forgetful = forgetful;
            search(&mut machine, &text, 0).map(|found| found.then(|| machine.slots.clone()))
        };
        if let (Ok(one), Ok(other)) = (answer(0), answer(u64::MAX)) {
            prop_assert_eq!(one, other, "{} on {:?}", pattern, text);
        }
    }

    #[test]
    fn any_text_is_read_as_a_pattern_or_refused(pattern in "[\\[\\](){}?*+|^$\\\\.a-c0-9<>=!:&-]{0,24}", text in "[a-c]{0,8}") {
        for dialect in [Dialect::Oniguruma, Dialect::Perl] {
            if let Ok(compiled) = Pattern::new(&pattern, dialect) {
                drop(compiled.captures(&text));
            }
        }
    }
}
