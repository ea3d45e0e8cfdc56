use proptest::prelude::*;

use millrace_schemas::ledger::edge;
use millrace_schemas::{Dedup, Piece};

use super::*;
use crate::table::Writes;

const MINUTE: i64 = 60_000_000;

/// A line with an identity, and the minute in which the broker appended it.
#[derive(Debug, Clone)]
struct Sent {
    scope: String,
    index: i64,
    attempt: Option<i64>,
    body: &'static str,
    minute: i64,
}

fn sent(scope: &str, index: i64, body: &'static str) -> Sent {
    Sent { scope: scope.to_owned(), index, attempt: None, body, minute: 0 }
}

/// What a partition gives for `lines`, cut into batches of these lengths, the last of which takes the rest: a word a line, and
/// the state in the end.
fn run(job: &Parse, lines: &[Sent], cuts: &[usize], in_flight: bool) -> (Vec<String>, Table) {
    let (mut table, mut flying) = (Table::default(), None::<Writes>);
    let (mut words, mut from) = (vec!["repeat".to_owned(); lines.len()], 0);
    let mut ends: Vec<usize> = cuts
        .iter()
        .scan(0, |at, n| {
            Some({
                *at += n;
                *at
            })
        })
        .collect();
    ends.push(lines.len());
    for end in ends {
        let end = end.clamp(from, lines.len());
        let values: Vec<Vec<u8>> = lines[from..end]
            .iter()
            .map(|own| {
                let dedup = Dedup { scope: &own.scope, index: own.index, attempt: own.attempt };
                framed(&RawEvent { dedup: Some(dedup), ..line(own.body.as_bytes()) })
            })
            .collect();
        let mut batch = Batch::default();
        for (nth, value) in values.iter().enumerate() {
            batch.push(Record {
                input: 0,
                partition: 3,
                offset: (from + nth) as i64,
                appended: lines[from + nth].minute * MINUTE,
                key: b"default/h1",
                value: Some(value),
                first: None,
            });
        }
        let mut plan = plan(job, &batch, &table, flying.as_ref());
        for output in plan.outputs() {
            let event: Event<'_> = event_codec().decode(output.value).unwrap();
            let flags: Vec<&str> =
                event.flags.iter().map(|flag| &**flag).filter(|flag| *flag != "no_time").collect();
            words[event.origin.offset as usize] = format!("kept {}", flags.join(" ")).trim_end().to_owned();
        }
        for dead in plan.dead() {
            words[dead.letter.offset as usize] = "dead".to_owned();
        }
        if let Some(decided) = flying.take() {
            table.merge(decided);
        }
        match in_flight {
            true => flying = Some(plan.take_writes()),
            false => table.merge(plan.take_writes()),
        }
        from = end;
    }
    flying.into_iter().for_each(|decided| table.merge(decided));
    (words, table)
}

fn words(lines: &[Sent]) -> Vec<String> {
    run(&job(Format::Json), lines, &[], false).0
}

#[test]
fn the_same_line_under_the_same_index_is_a_repeat() {
    let other_stream = sent("t", 0, "{}");
    let lines = [
        sent("s", 0, "{}"),
        sent("s", 1, "{}"),
        sent("s", 0, "{}"),
        other_stream,
        sent("s", -1, "{}"),
        sent("s", 4_096, "{}"),
        sent("s", i64::MAX, "{}"),
        sent("s", i64::MIN, "{}"),
        sent("s", i64::MIN, "{}"),
        sent("s", -1, "{}"),
    ];
    let repeats: Vec<usize> =
        words(&lines).iter().enumerate().filter(|(_, word)| *word == "repeat").map(|(at, _)| at).collect();
    assert_eq!(repeats, [2, 8, 9]);
}

#[test]
fn another_line_takes_the_place_and_so_does_the_first_again() {
    let lines = [
        sent("s", 5, r#"{"a":1}"#),
        sent("s", 5, r#"{"a":2}"#),
        sent("s", 5, r#"{"a":2}"#),
        sent("s", 5, r#"{"a":1}"#),
    ];
    assert_eq!(words(&lines), ["kept", "kept conflict", "repeat", "kept conflict"]);
}

#[test]
fn another_attempt_writes_all_anew_and_its_own_repeats_are_dropped() {
    let attempt = |number| Sent { attempt: Some(number), ..sent("web/12:00", 0, "{}") };
    assert_eq!(
        words(&[attempt(1), attempt(1), attempt(2), attempt(2)]),
        ["kept", "repeat", "kept", "repeat"]
    );
}

#[test]
fn a_refused_line_is_remembered_too() {
    let lines = [sent("s", 0, "no json"), sent("s", 0, "no json"), sent("s", 1, "{}")];
    assert_eq!(words(&lines), ["dead", "repeat", "kept"]);
}

#[test]
fn repeats_are_counted() {
    let value =
        framed(&RawEvent { dedup: Some(Dedup { scope: "s", index: 0, attempt: None }), ..line(b"{}") });
    let plan = plan(&job(Format::Json), &batch(&[value.clone(), value], 0), &Table::default(), None);
    let counts: Vec<_> = plan.deltas().into_iter().map(|delta| (delta.edge, delta.count)).collect();
    let expected = [(edge::IN, 2), (edge::OUT, 1), (edge::DUPLICATE, 1)];
    assert_eq!(counts, expected.map(|(edge, count)| (edge.to_owned(), count)));
}

#[test]
fn pieces_of_a_line_are_no_repeats_of_each_other() {
    let dedup = Some(Dedup { scope: "s", index: 0, attempt: None });
    let piece = |index| RawEvent { piece: Some(Piece { index, last: false }), dedup, ..line(b"{}") };
    let plan = plan_lines(Format::Json, &[piece(0), piece(1)]);
    assert_eq!(plan.outputs().len(), 2);
}

#[test]
fn what_is_older_than_the_window_is_forgotten() {
    let memory = Memory { window: 160 * MINUTE, bytes: 1 << 20 };
    let job = job(Format::Json).with_memory(memory);
    let at = |minute, index| Sent { minute, ..sent(&format!("s{index}"), 0, "{}") };
    let lines = [at(0, 0), at(100, 1), at(160, 0), at(170, 0), at(260, 1), at(400, 2), at(400, 3)];
    let (words, table) = run(&job, &lines, &[], false);
    assert_eq!(words, ["kept", "kept", "repeat", "kept", "repeat", "kept", "kept"]);
    let left = table.cells(3).filter(|(key, _)| key.starts_with(b"seen/")).count();
    assert_eq!(left, 2, "only what came within the window is held");
}

#[test]
fn memory_is_bounded_and_what_cannot_be_told_is_flagged() {
    let memory = Memory { window: 160 * MINUTE, bytes: 20_000 };
    let job = job(Format::Json).with_memory(memory);
    let at = |minute, scope: i64| Sent { minute, ..sent(&format!("s{scope}"), 0, "{}") };
    let mut lines: Vec<Sent> = (0..1_000).map(|nth| at(nth / 50, nth)).collect();
    lines.extend([at(20, 0), at(20, 999)]);
    let (words, table) = run(&job, &lines, &[300, 7, 0, 500], true);
    assert_eq!((words[0].as_str(), words[999].as_str()), ("kept", "kept unchecked"));
    assert_eq!((words[1_000].as_str(), words[1_001].as_str()), ("kept unchecked", "repeat"));
    assert!(table.n_bytes() < 40_000, "{} bytes", table.n_bytes());
    let count = |prefix: &[u8]| table.cells(3).filter(|(key, _)| key.starts_with(prefix)).count();
    assert_eq!(count(b"seen/"), count(b"age/"));
}

fn any_sent() -> impl Strategy<Value = Sent> {
    let body = prop_oneof![Just("{}"), Just(r#"{"a":1}"#), Just("no json")];
    let scope = (0..6u8).prop_map(|scope| format!("s{scope}"));
    (scope, prop_oneof![0..4i64, Just(5_000)], body, prop::option::of(1..3i64), 0..60i64)
        .prop_map(|(scope, index, body, attempt, minute)| Sent { scope, index, attempt, body, minute })
}

proptest! {
    /// I3: where batches end, and what of them is still in flight, decides nothing.
    #[test]
    fn batches_cut_anywhere_give_the_same(
        lines in prop::collection::vec(any_sent(), 0..120),
        cuts in prop::collection::vec(0..30usize, 0..8),
        in_flight: bool,
        bytes in prop_oneof![Just(700usize), Just(1 << 20)],
    ) {
        let job = job(Format::Json).with_memory(Memory { window: 32 * MINUTE, bytes });
        prop_assert_eq!(run(&job, &lines, &[], false), run(&job, &lines, &cuts, in_flight));
    }

    /// Within the window and the bound, a line is dropped if and only if it is the last that came under its index.
    #[test]
    fn repeats_are_what_a_map_says(lines in prop::collection::vec(any_sent(), 0..120)) {
        let mut last = std::collections::HashMap::new();
        let expected: Vec<bool> = lines
            .iter()
            .map(|own| {
                let content = (own.attempt, own.body);
                last.insert((own.scope.clone(), own.index), content) == Some(content)
            })
            .collect();
        let lines: Vec<Sent> = lines.into_iter().map(|own| Sent { minute: 0, ..own }).collect();
        let found: Vec<bool> = words(&lines).iter().map(|word| word == "repeat").collect();
        prop_assert_eq!(found, expected);
    }
}
