//! Parts that run as automata give the answers of the instructions that they stand for.

use super::*;
use crate::grok::{Grok, Library};

/// What an automaton is made of, and what it has no answer to.
const PARTS: [&str; 30] = [
    "a",
    "b",
    "[ab]+",
    "[ab]{1,3}",
    r"\d",
    "(?:ab|a)",
    "(?:a|ab|b1)",
    "(?:a|b)*",
    "(?:[ab]1?)+",
    "(?:1[01]|[ab]?1)",
    "(?:a{1,60}1){0,70}",
    "(?>a|ab)",
    "(?>(?>a+|b)+|1)",
    "(?>[+-]?(?:[01]+(?:-[01]+)?|-[01]+))",
    r#"(?>(?<!-)(?>"(?>-.|[^-"]+)+"|""))"#,
    "(?:a|b)*?",
    "(?<![ab])",
    "(?![1-])",
    "(?=[a1])",
    r"\b",
    r"\B",
    "$",
    "^",
    r"\w+",
    r"\S*",
    "[^a]",
    "ä",
    "[^\"]+",
    "(?:ä|a)+",
    "-",
];
const COUNTS: [&str; 6] = ["", "", "", "", "?", "*"];

fn pattern() -> impl Strategy<Value = String> {
    let part = (prop::sample::select(&PARTS[..]), prop::sample::select(&COUNTS[..]), 0..5).prop_map(
        |(part, count, group)| match group {
            0 => format!("({part}){count}"),
            1 => format!("(?:{part}){count}"),
            _ => part.to_owned(),
        },
    );
    let branch = prop::collection::vec(part, 1..6).prop_map(|parts| parts.concat());
    let alternation = prop::collection::vec(branch, 1..4).prop_map(|branches| branches.join("|"));
    let piece = (alternation, 0..4).prop_map(|(own, kind)| match kind {
        0 => format!("({own})"),
        1 => format!("(?>{own})"),
        2 => format!("(?:{own})*"),
        _ => format!("(?:{own})"),
    });
    prop::collection::vec(piece, 1..4).prop_map(|pieces| pieces.join(""))
}

/// The machine takes more before it remembers what has failed.
const STEPS: u64 = 4_000;

/// Groups of the leftmost match, and whether there is an answer within the limit.
fn found(mut machine: Machine<'_>, text: &str) -> Result<Option<Vec<usize>>, Exhausted> {
    let found = search(&mut machine, text, 0)?;
    Ok(found.then(|| std::mem::take(&mut machine.slots)))
}

fn agree(compiled: &Pattern, text: &str) -> Result<(), TestCaseError> {
    let scans = found(Machine::new(&compiled.program, text, STEPS), text);
    let instructions = found(Machine::without_scans(&compiled.program, text, STEPS), text);
    if let (Ok(scans), Ok(instructions)) = (scans, instructions) {
        prop_assert_eq!(scans, instructions, "{:?}", text);
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(6_000))]

    #[test]
    fn automata_and_instructions_agree(
        pattern in pattern(),
        texts in prop::collection::vec("[ab1\"ä \\-]{0,12}", 8),
        long in "[ab1]{50,90}",
    ) {
        let compiled = Pattern::new(&pattern, Dialect::Oniguruma).unwrap();
        for text in texts.iter().chain([&long]) {
            agree(&compiled, text).map_err(|fault| TestCaseError::fail(format!("{pattern}: {fault}")))?;
        }
    }
}

#[test]
fn patterns_of_the_base_library_agree() {
    const TEXTS: [&str; 12] = [
        r#"83.149.9.216 - al@b.example [17/May/2015:10:05:03 +0000] "GET /x HTTP/1.1" 200 12 "http://a/\"b" "curl ä""#,
        r#"::ffff:10.0.0.1 - - [1/Mär/15:1:05:60,5 -1] "POST" 304 - 'x' ``"#,
        "2001:db8::1%eth0 Mar  7 23:59:59.123 host.example. prog[77]: -12.5e+3 .5 1.",
        "<165>1 2003-08-24T05:14:15.000003-07:00 h a 8710 ID47 [ex@1 iut=\"3\\]\"] \u{feff}message",
        "Mon, 02 Jan 2006 15:04:05 MST https://user:pw@host.example:8080/a/b;c?d=e#f C:\\dir\\file.txt",
        "00:1b:44:11:3a:B7 001b.4411.3ab7 550e8400-e29b-41d4-a716-446655440000 0x1F0 255.255.255.256",
        "INFO WARNING eMeRg 1.2.3.4:80 256.1.1.1 1.1.1.1.1 a.b-c.d_e user.name+tag@mail.example.org",
        "äöü ñ 12ä 9\u{a0}9 é@è.example \"ü\" '\\'' [ä] 日本 10.0.0.1\u{2028}x",
        "",
        "-",
        "a_very-long.label-that-goes-on-and-on-and-on-and-on-and-on-and-on-and-on-and-on-and-on.example x@y",
        "\n10.0.0.1\nJan 1\n\"a\nb\"",
    ];
    let library = Library::base();
    let mut n_scans = 0;
    for name in library.names() {
        let (_, pattern) = Grok::new(&format!("%{{{name}:own}}"), &library, false).unwrap();
        n_scans += pattern.program.scans.len();
        for text in TEXTS {
            agree(&pattern, text).unwrap_or_else(|fault| panic!("{name}: {fault}"));
        }
    }
    assert!(n_scans > 300, "{n_scans} automata");
}
