use super::{Flush, Join, Joiner, Mode, StateRule, cut_entry, presets};

const LIMITS: ((usize, usize), usize) = ((40, 2), 5);

/// Cuts `text`: each entry in brackets, `?` before what waits. Also: the same spans by lines, and cut by cut as it grows.
#[track_caller]
fn check(join: &Join, text: &str, flush: Flush, expected: &str) {
    let joiner = join.compile().unwrap();
    assert_eq!(shown(&joiner, text, flush), expected);
    // However much is in view, an entry that is cut is the same.
    for len in 0..text.len() {
        let part = shown(&joiner, &text[..len], Flush::No);
        let cuts = part.split('?').next().unwrap();
        assert!(expected.starts_with(cuts), "{part} against {expected}");
    }
}

fn shown(joiner: &Joiner, text: &str, flush: Flush) -> String {
    let (mut rest, mut piece, mut out) = (text.as_bytes(), 0, String::new());
    while let Some(entry) = cut_entry(joiner, rest, piece, LIMITS, flush) {
        let taken = &rest[..entry.cut.len()];
        assert_eq!(entry.line_ends as usize, taken.iter().filter(|byte| **byte == b'\n').count());
        out.push_str(&format!("[{}]", String::from_utf8_lossy(taken)));
        piece = entry.cut.piece.map_or(0, |piece| if piece.last { 0 } else { piece.index + 1 });
        rest = &rest[taken.len()..];
    }
    if rest.is_empty() { out } else { out + "?" + &String::from_utf8_lossy(rest) }
}

#[test]
fn an_entry_begins_at_each_line_that_matches() {
    let join = Join::start("^[0-9]");
    check(&join, "1 a\n b\n2 c\n", Flush::No, "[1 a\n b\n]?2 c\n");
    check(&join, "1 a\r\n b\r\n2 c\n", Flush::Entry, "[1 a\r\n b\r\n][2 c\n]");
    check(&join, "x\ny\n1 a\n", Flush::Entry, "[x\ny\n][1 a\n]");
}

#[test]
fn indented_lines_belong_to_the_line_before_them() {
    let join = Join::indentation();
    check(&join, "a\n b\n\tc\nd\ne\n", Flush::No, "[a\n b\n\tc\n][d\n]?e\n");
    check(&join, " a\n b\n", Flush::Entry, "[ a\n b\n]");
}

#[test]
fn a_line_may_say_that_the_next_one_belongs_to_it() {
    let mode = Mode::ContinuePast;
    let join = Join::Condition { start: r"\\$".into(), mode, condition: r"\\$".into() };
    check(&join, "a \\\nb\\\nc\nd\ne\\\n", Flush::No, "[a \\\nb\\\nc\n][d\n]?e\\\n");
    let join = Join::Condition { start: "^<".into(), mode: Mode::HaltWith, condition: "^>".into() };
    check(&join, "<\na\n>\nb\n<\n", Flush::No, "[<\na\n>\n][b\n]?<\n");
}

#[test]
fn what_waits_is_flushed_in_two_steps() {
    let join = Join::start("^[0-9]");
    check(&join, "1 a\n b\n c", Flush::No, "?1 a\n b\n c");
    check(&join, "1 a\n b\n c", Flush::Entry, "[1 a\n b\n]? c");
    check(&join, "1 a\n b\n c", Flush::Line, "[1 a\n b\n c]");
}

#[test]
fn an_entry_has_limits() {
    let join = Join::start("^[0-9]");
    // Five lines; then 40 bytes; then a line that is over-long by itself.
    check(&join, "1\na\nb\nc\nd\ne\n2\n", Flush::No, "[1\na\nb\nc\nd\n][e\n]?2\n");
    let x = "x".repeat(30);
    check(&join, &format!("1 {x}\n{x}\n2\n"), Flush::No, &format!("[1 {x}\n][{x}\n]?2\n"));
    let y = "y".repeat(50);
    check(&join, &format!("1\n{y}\n2\n"), Flush::No, &format!("[1\n][{}][{}\n]?2\n", &y[..40], &y[40..]));
}

#[test]
fn states_lead_from_line_to_line() {
    let rule = |states: &[&str], pattern: &str, next: &str| StateRule {
        states: states.iter().map(|own| (*own).to_owned()).collect(),
        pattern: pattern.into(),
        next: next.into(),
    };
    let join = Join::States(vec![rule(&["start"], "^\\[", "cont"), rule(&["cont"], "^\\s+", "cont")]);
    check(&join, "[a] x\n  b\n  c\nd\n  e\n", Flush::Entry, "[[a] x\n  b\n  c\n][d\n][  e\n]");
}

#[test]
fn stack_traces_are_found_between_other_lines() {
    let lines = |text: &'static str| text.lines().map(str::as_bytes).collect::<Vec<_>>();
    for (name, text, expected) in [
        (
            "java",
            "ok\njava.lang.Error: x\n\tat a.b(c)\nCaused by: d\n\t... 3 more\nok\n",
            vec![0..1, 1..5, 5..6],
        ),
        (
            "python",
            "Traceback (most recent call last):\n  File \"a\", line 1\n    b()\nValueError: c\nok\n",
            vec![0..4, 4..5],
        ),
        (
            "go",
            "panic: x\n\ngoroutine 1 [running]:\nmain.main()\n\t/a.go:3 +0x1\nexit status 2\n",
            vec![0..5, 5..6],
        ),
        (
            "ruby",
            "a.rb:6:in `/': divided by 0\n\tfrom a.rb:6:in `b'\n\tfrom a.rb:2:in `c'\nok\n",
            vec![0..3, 3..4],
        ),
    ] {
        let joiner = presets::preset(name).unwrap().compile().unwrap();
        assert_eq!(joiner.entries(&lines(text)), expected, "{name}");
    }
    assert!(presets::NAMES.iter().all(|name| presets::preset(name).is_some()));
}
