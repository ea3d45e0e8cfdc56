use std::path::Path;

use super::Rules;
use crate::options::{Input, Redaction};

fn rules(change: impl FnOnce(&mut Input)) -> Rules {
    let mut input = Input::new("t", "s", vec!["/a".to_owned()]);
    change(&mut input);
    let mut faults = Vec::new();
    let rules = Rules::compile(&input, "inputs[0]", &mut faults);
    assert_eq!(faults, [""; 0]);
    rules
}

fn redacting(list: &[(&str, &str)]) -> Rules {
    let own = |(pattern, mask): &(&str, &str)| Redaction { pattern: (*pattern).into(), mask: (*mask).into() };
    rules(|input| input.redact = list.iter().map(own).collect())
}

#[test]
fn a_pattern_without_a_slash_is_of_names() {
    let own = rules(|input| input.exclude = vec!["*.gz".into(), "/var/log/old/*".into()]);
    for (path, out) in [
        ("/var/log/a.gz", true),
        ("/x/y/b.gz", true),
        ("/var/log/a.gz.log", false),
        ("/var/log/old/a.log", true),
        ("/var/log/old/deep/a.log", false),
        ("/var/log/older/a.log", false),
    ] {
        assert_eq!(own.leaves_out(Path::new(path)), out, "{path}");
    }
}

#[test]
fn masks_are_put_in_place_one_rule_after_the_other() {
    let own = redacting(&[(r"(password=)\S+", "${1}***"), (r"\b\d{16}\b", "[card]"), (r"\*{3}", "#")]);
    let masked = own.masked(b"password=hunter2 paid with 4111111111111111", 100);
    assert_eq!(String::from_utf8_lossy(&masked), "password=# paid with [card]");
    assert!(matches!(own.masked(b"nothing here", 100), std::borrow::Cow::Borrowed(_)));
    // Bytes that are not text do not hide what is.
    assert_eq!(&*own.masked(b"\xff password=x\xfe y", 100), b"\xff password=# y");
}

#[test]
fn masks_do_not_make_a_line_longer_than_may_be() {
    let own = redacting(&[("a", "aaaaaaaaaaaaaaaa")]);
    assert_eq!(own.masked(b"aaaaaaaa", 20).len(), 20);
    assert_eq!(own.masked(&[b'a'; 30], 20).len(), 30);
}

#[test]
fn a_long_line_is_cut_before_a_match_not_in_it() {
    let own = redacting(&[("secret", "x")]);
    assert_eq!(own.soft_cut(b"0123secret89", 6), 4);
    assert_eq!(own.soft_cut(b"0123secret89", 10), 10);
    assert_eq!(own.soft_cut(b"0123secret89", 4), 4);
    assert_eq!(own.soft_cut(b"secret89", 3), 3);
    // The second match touches the first one's new cut.
    let both = redacting(&[("secret", "x"), ("3s", "y")]);
    assert_eq!(both.soft_cut(b"0123secret89", 6), 3);
}

#[test]
fn every_fault_is_named() {
    let mut input = Input::new("t", "s", vec!["/a".to_owned()]);
    input.exclude = vec!["a***".into()];
    input.redact = vec![Redaction { pattern: "(".into(), mask: String::new() }];
    let mut faults = Vec::new();
    Rules::compile(&input, "inputs[0]", &mut faults);
    assert!(faults[0].starts_with("inputs[0].exclude[0] \"a***\" is no pattern"), "{faults:?}");
    assert!(
        faults[1].starts_with("inputs[0].redact[0].pattern \"(\" is no expression: unclosed"),
        "{faults:?}"
    );
}
