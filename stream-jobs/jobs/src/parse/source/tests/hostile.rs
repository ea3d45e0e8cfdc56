//! Lines made to hold a step up: no step takes time that grows faster than the line. Patterns have a limit of steps instead
//! (`pattern/tests/attacks.rs`).

use std::time::Instant;

use super::*;

/// A step, and what a line begins with so that the step goes on to what follows.
const STEPS: &[(&str, &[&str])] = &[
    (r#"["auto"]"#, &["", "<34>1 - h a - - [", "{\"a\":", "<34>Oct 11 22:14:15 ", "a=1 b=2 "]),
    (r#"["json"]"#, &["{", "{\"a\":"]),
    (
        r#"["apache"]"#,
        &[
            "",
            "1.2.3.4 - - [",
            "a, ",
            "a b - ",
            "a - - [17/May/2015:10:05:03 +0000] \"",
            "a - - [17/May/2015:10:05:03 +0000] \"-\" 1 1 \"-\" \"-\" 1 0.1 [",
        ],
    ),
    (r#"["apache_error"]"#, &["[Fri Sep 09 10:42:29 2011] "]),
    (
        r#"["nginx_error"]"#,
        &["2021/04/01 13:02:31 [error] 31#31: ", "2021/04/01 13:02:31 [error] 31#31: *1 m"],
    ),
    (
        r#"["syslog"]"#,
        &["", "<34>", "<34>9: ", "<34>1 - h a - - [", "<34>Oct 11 22:14:15 h ", "<34>Oct 11 22:14:15 "],
    ),
    (r#"["logfmt"]"#, &["", "a=1 ", "a=\"\\n"]),
    (r#"["ltsv"]"#, &["a:"]),
    (r#"[{ cef = { labels = true } }]"#, &["", "CEF:", "CEF:0|V|P|1|E|n|1|", "CEF:0|V|P|1|E|n|1|a="]),
    (
        r#"["leef"]"#,
        &["LEEF:1.0|V|P|1|E|devTime=1\tdevTimeFormat=", "LEEF:2.0|V|P|1|E|^|", "LEEF:1.0|V|P|1|E|"],
    ),
    (r#"["cri"]"#, &["2016-10-06T00:17:09.669794202Z stdout ", "2016-10-06T00:17:09."]),
    (r#"["docker"]"#, &["{\"log\":\"a\",", "{\"log\":\""]),
    (r#"["glog"]"#, &["I0102 03:04:05.678901 ", "I"]),
    (
        r#"["plain"]"#,
        &[
            "",
            "2020-05-18 14:38:34 ",
            "2020-05-18 14:38:34 INFO ",
            "[2020-05-18 14:38:34",
            "INFO\t",
            "INFO 1 --- ",
            "18 May 2020 1:2:3 PM ",
        ],
    ),
    (
        r#"["access"]"#,
        &[
            "",
            "[2016-04-15T20:17:00.310Z] \"",
            "http 2018-07-02T22:23:00.186641Z ",
            "a b [06/Feb/2019:00:00:38 +0000] ",
            "1286536308.779 1 a T/200 4 ",
            "10.0.0.1:1 [06/Feb/2009:12:12:51.443] ",
            "<13>Jan  1 00:00:01 h a: ",
        ],
    ),
    (r#"["netfilter"]"#, &["", "IN=a SRC=1 PROTO=a "]),
    (r#"["mysql_slow"]"#, &["# Time: ", "# Query_time: 1 ", "# User@Host: "]),
    (r#"[{ key_value = { pair_separator = ": ", field_separator = ", " } }]"#, &["", "a: "]),
    (r#"[{ csv = { columns = ["a", "b"] } }, "strip_ansi"]"#, &["", "\"", "1,\"", ", \"\"\""]),
    (r#"[{ w3c = { columns = "date time a b c" } }]"#, &["2015-01-01 10:00:00 ", ""]),
    (r#"[{ dissect = { pattern = "%{a->} [%{b}] %{+a/2} %{c}" } }]"#, &["", "a [b] "]),
    (r#"[{ url = { parameters = true } }]"#, &["/a?", "http://h/", "http://"]),
    (r#"["query_string"]"#, &["", "a=1&"]),
    (r#"["user_agent"]"#, &["", "Mozilla/5.0 ("]),
    (r#"[{ nginx = { format = 'main' } }]"#, &["", "1.2.3.4 - - [17/May/2015:10:05:03 +0000] \""]),
    (r#"["strip_ansi", { timestamp = { optional = true } }]"#, &["", "a "]),
    (
        r#"["logfmt", { logfmt = { field = "a", prefix = "a.", optional = true } }, { logfmt = { prefix = "a.", optional = true } }]"#,
        &["", "a=\""],
    ),
    (
        r#"[{ first_of = [["json"], [{ grok = { match = "^%{COMBINEDAPACHELOG}$" } }], [{ grok = { match = "%{SYSLOGLINE}" } }]] }]"#,
        &["", "1.2.3.4 - - ["],
    ),
];

/// What is repeated; `#` is a number that grows.
const PIECES: &[&str] = &[
    " ",
    "a",
    "1",
    "é",
    "=",
    "a=",
    "a= ",
    "a=1 ",
    "k#=v ",
    "k#=v k#Label=L# ",
    "k# ",
    "\"",
    "\\",
    "\\\"",
    "a=\"\\\" ",
    "a='",
    "[",
    "[a ",
    "[a k#=\"v\"]",
    " k#=\"v\"",
    "{\"a\":",
    "\"k#\":1,",
    "\"k\":1,",
    "[1,",
    "|",
    ",",
    ",,\"",
    "\"\",",
    ", \"",
    ", \"\"\"",
    "CEF:",
    "1w2d: ",
    "k#:v\t",
    ":",
    "k#: v, ",
    "&a=1",
    "&k#=1",
    "%41",
    "(",
    "1.",
    "::",
    "\u{1b}[",
    "@",
    "Jan",
    "2015-01-01 ",
    "\n",
    "/",
    ", client: ",
    ", client: \"",
    "^k#=v",
    "# a#: 1\n",
    " IN=",
    "[a]",
    "- ",
    " [",
    "/1",
];

fn line(before: &str, piece: &str, len: usize) -> String {
    let mut line = before.to_owned();
    for number in 0.. {
        if line.len() >= len {
            break;
        }
        line.push_str(&piece.replace('#', &number.to_string()));
    }
    line
}

#[expect(clippy::disallowed_methods, reason = "how time grows is what is tested")]
fn seconds(source: &Source, line: &str) -> f64 {
    let start = Instant::now();
    drop(std::hint::black_box(source.read(line, RECEIVED)));
    start.elapsed().as_secs_f64()
}

/// A line eight times as long may take up to thirty times as long, whatever else the machine does: the square would be
/// sixty-four. What takes no time at all needs no second look.
#[test]
fn no_step_takes_the_square_of_a_line() {
    const LONG: usize = 32 << 10;
    const AT_ONCE: f64 = 0.05;
    for (steps, begins) in STEPS {
        let source = source(&format!("steps = {steps}")).unwrap();
        for (before, piece) in
            begins.iter().flat_map(|before| PIECES.iter().map(move |piece| (before, piece)))
        {
            let (short, long) = (line(before, piece, LONG / 8), line(before, piece, LONG));
            let grows = || seconds(&source, &long) > AT_ONCE.max(30.0 * seconds(&source, &short));
            assert!(!(0..10).all(|_| grows()), "{steps} on {before:?} and {piece:?} again and again");
        }
    }
}
