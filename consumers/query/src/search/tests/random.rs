//! Random rows, queries and ranges: the answer equals a plain filter's.

use proptest::prelude::*;

use super::{Line, World};

/// A condition both as a query and as a filter.
#[derive(Debug, Clone)]
enum Ask {
    Word(&'static str),
    Host(&'static str),
    Status(i64, i64),
    Path(&'static str),
    HasTook,
    Dead,
    Not(Box<Ask>),
    And(Box<Ask>, Box<Ask>),
    Or(Box<Ask>, Box<Ask>),
}

impl Ask {
    fn text(&self) -> String {
        match self {
            Ask::Word(word) => (*word).to_owned(),
            Ask::Host(host) => format!("host:{host}"),
            Ask::Status(low, high) => format!("status:[{low} TO {high}]"),
            Ask::Path(prefix) => format!("http.path:{prefix}*"),
            Ask::HasTook => "took:*".to_owned(),
            Ask::Dead => "table:dead".to_owned(),
            Ask::Not(ask) => format!("NOT ({})", ask.text()),
            Ask::And(a, b) => format!("({}) AND ({})", a.text(), b.text()),
            Ask::Or(a, b) => format!("({}) OR ({})", a.text(), b.text()),
        }
    }

    fn admits(&self, line: &Line) -> bool {
        let event = !line.dead;
        match self {
            Ask::Word(word) => String::from_utf8_lossy(&line.body)
                .to_lowercase()
                .split(|char: char| !char.is_alphanumeric())
                .any(|own| own == *word),
            Ask::Host(host) => line.host == *host,
            Ask::Status(low, high) => {
                event && line.status.is_some_and(|status| (low..=high).contains(&&status))
            }
            Ask::Path(prefix) => event && line.path.is_some_and(|path| path.starts_with(prefix)),
            Ask::HasTook => event && line.took.is_some(),
            Ask::Dead => line.dead,
            Ask::Not(ask) => !ask.admits(line),
            Ask::And(a, b) => a.admits(line) && b.admits(line),
            Ask::Or(a, b) => a.admits(line) || b.admits(line),
        }
    }
}

fn asks() -> impl Strategy<Value = Ask> {
    let leaf = prop_oneof![
        prop::sample::select(vec!["alpha", "beta", "x", "caf"]).prop_map(Ask::Word),
        prop::sample::select(vec!["a", "b", "c"]).prop_map(Ask::Host),
        (0..4i64, 0..4i64).prop_map(|(low, high)| Ask::Status(low, high)),
        prop::sample::select(vec!["/", "/a", "/ab"]).prop_map(Ask::Path),
        Just(Ask::HasTook),
        Just(Ask::Dead),
    ];
    leaf.prop_recursive(3, 8, 2, |inner| {
        prop_oneof![
            inner.clone().prop_map(|ask| Ask::Not(Box::new(ask))),
            (inner.clone(), inner.clone()).prop_map(|(a, b)| Ask::And(Box::new(a), Box::new(b))),
            (inner.clone(), inner).prop_map(|(a, b)| Ask::Or(Box::new(a), Box::new(b))),
        ]
    })
}

fn lines() -> impl Strategy<Value = Vec<Line>> {
    let words = prop::sample::select(vec!["alpha", "Beta", "x,", "-", "caf\u{e9}", "ALPHA/beta"]);
    let body = (prop::collection::vec(words, 0..4), any::<bool>()).prop_map(|(words, broken)| {
        let mut body = words.join(" ").into_bytes();
        if broken {
            body.push(0xff);
        }
        body
    });
    let one = (
        0..20i64,
        prop::sample::select(vec!["a", "b"]),
        body,
        prop::option::of(0..4i64),
        prop::option::of(prop::sample::select(vec!["/", "/a", "/ab/c", "x"])),
        prop::option::of(-1.0..1.0f64),
        prop::bool::weighted(0.2),
    );
    prop::collection::vec(one, 1..30).prop_map(|lines| {
        let line = |(offset, (time, host, body, status, path, took, dead))| Line {
            time,
            offset,
            host,
            body,
            status,
            path,
            took,
            dead,
            mark: false,
            attempt: None,
        };
        (0i64..).zip(lines).map(line).collect()
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(120))]
    #[test]
    fn search_equals_a_plain_filter(
        lines in lines(),
        ask in asks(),
        per_split in 1..12usize,
        range in (0..25i64, 0..25i64),
        limit in 0..12usize,
    ) {
        let mut world = World::new();
        for chunk in lines.chunks(per_split) {
            world.add("t", chunk);
        }
        let (from, to) = (range.0.min(range.1), range.0.max(range.1));
        let mut expected: Vec<&Line> =
            lines.iter().filter(|line| (from..to).contains(&line.time) && ask.admits(line)).collect();
        expected.sort_by_key(|line| std::cmp::Reverse((line.time, line.offset)));
        let answer = world.ask(&ask.text(), Some(from), Some(to), limit);
        prop_assert_eq!(answer.total, expected.len() as u64);
        let offsets: Vec<i64> = answer.hits.iter().map(|hit| hit.origin.offset).collect();
        let expected: Vec<i64> = expected.iter().take(limit).map(|line| line.offset).collect();
        prop_assert_eq!(offsets, expected);
        prop_assert!(world.cache.n_open() <= 3);
    }
}
