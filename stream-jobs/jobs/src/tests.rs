//! The port itself, with a small stateful job: I1, I3, "reject changes nothing", and what a job sees of its state.

use proptest::prelude::*;

use millrace_schemas::TraceContext;
use millrace_schemas::ledger::edge;

use super::*;

/// Counts how often a key came; emits `key=n`. `dup:` drops what came before; `bad` writes first, then rejects; `del:`
/// forgets a key.
struct Count;

impl Job for Count {
    const NAME: &'static str = "count";

    fn inputs(&self) -> Vec<String> {
        vec!["in".to_owned()]
    }

    fn outputs(&self) -> Vec<String> {
        vec!["out".to_owned()]
    }

    fn process(
        &self,
        record: &Record<'_>,
        state: &State<'_>,
        out: &mut Effects<'_>,
    ) -> Result<Verdict, Reject> {
        let text =
            std::str::from_utf8(record.value.unwrap_or_default()).map_err(|_| Reject::new("text", ""))?;
        let (verb, key) = text.split_once(':').unwrap_or(("", text));
        let seen = state.get(key.as_bytes()).map_or(0, |cell| cell[0]);
        out.put(key, vec![seen.saturating_add(1)])?;
        match verb {
            "dup" if seen > 0 => return Ok(Verdict::Duplicate),
            "del" => out.delete(key),
            _ => {}
        }
        out.emit(0, Partitioning::AsInput, record.key, |bytes| {
            bytes.extend_from_slice(format!("{key}={}", seen.saturating_add(1)).as_bytes());
            if verb == "bad" { Err(Reject::new("bad", "asked for")) } else { Ok(()) }
        })?;
        Ok(Verdict::Out)
    }
}

/// `p/value` goes to partition p.
fn batch(records: &[(i32, String)], from: usize) -> Batch {
    let mut batch = Batch::default();
    for (at, (partition, value)) in records.iter().enumerate() {
        let (offset, value) = ((from + at) as i64, Some(value.as_bytes()));
        batch.push(Record {
            input: 0,
            partition: *partition,
            offset,
            appended: 0,
            key: b"t/k",
            value,
            first: None,
        });
    }
    batch
}

fn records(texts: &str) -> Vec<(i32, String)> {
    let split = |text: &str| match text.split_once('@') {
        Some((value, partition)) => (partition.parse().unwrap(), value.to_owned()),
        None => (0, text.to_owned()),
    };
    texts.split_whitespace().map(split).collect()
}

fn written(plan: &Plan) -> Vec<String> {
    let outputs = plan.outputs().map(|output| String::from_utf8(output.value.to_vec()).unwrap());
    let dead =
        plan.dead().map(|dead| format!("!{}:{}", String::from_utf8_lossy(dead.value), dead.letter.reason));
    outputs.chain(dead).collect()
}

#[track_caller]
fn check(texts: &str, expected: &str) {
    let plan = plan(&Count, &batch(&records(texts), 0), &Table::default(), None);
    assert_eq!(written(&plan).join(" "), expected);
}

#[test]
fn later_records_see_the_writes_of_earlier_ones() {
    check("a b a", "a=1 b=1 a=2");
}

#[test]
fn partitions_have_a_state_each() {
    check("a@0 a@1 a@0", "a=1 a=1 a=2");
}

#[test]
fn reject_changes_nothing() {
    check("a bad:a a", "a=1 a=2 !bad:a:bad");
}

#[test]
fn last_effect_on_a_cell_counts() {
    check("a del:a a", "a=1 a=2 a=1");
}

#[test]
fn table_in_flight_and_own_writes_lie_over_each_other() {
    let mut table = Table::default();
    let mut first = plan(&Count, &batch(&records("a b c"), 0), &table, None);
    table.merge(first.take_writes());
    let flying = plan(&Count, &batch(&records("a del:b"), 3), &table, None);
    let next = plan(&Count, &batch(&records("a b c a"), 5), &table, Some(flying.writes()));
    assert_eq!(written(&next), ["a=3", "b=1", "c=2", "a=4"]);
}

#[test]
fn every_record_is_counted_once_on_its_edge() {
    let plan = plan(&Count, &batch(&records("a dup:a bad:a dup:b"), 0), &Table::default(), None);
    let edges: Vec<_> = plan
        .deltas()
        .into_iter()
        .map(|delta| (delta.edge, delta.count, delta.ranges[0].from, delta.ranges[0].to))
        .collect();
    let expected =
        [(edge::IN, 4, 0, 4), (edge::OUT, 2, 0, 4), (edge::DEAD, 1, 2, 3), (edge::DUPLICATE, 1, 1, 2)];
    assert_eq!(edges, expected.map(|(edge, count, from, to)| (edge.to_owned(), count, from, to)));
}

#[test]
fn changelog_restores_the_table() {
    let mut table = Table::default();
    let mut plan = plan(&Count, &batch(&records("a b@1 a b@1 c del:c"), 0), &table, None);
    let mut restored = Table::default();
    for (partition, key, value) in plan.writes().iter() {
        assert!(restored.restore(partition, &changelog_key(key), value));
    }
    assert!(!restored.restore(0, b"next/in", Some(b"x")));
    table.merge(plan.take_writes());
    assert_eq!(restored, table);
    assert_eq!(table.cells(0).collect::<Vec<_>>(), [(b"a".as_slice(), [2].as_slice())]);
    assert_eq!((table.n_cells(), table.n_bytes() > 2 * 64), (2, true));
    table.restore(0, &changelog_key(b"a"), None);
    table.restore(1, &changelog_key(b"b"), None);
    assert_eq!((table.n_cells(), table.n_bytes()), (0, 0));
}

#[test]
fn cell_and_output_have_a_largest_size() {
    struct Big;
    impl Job for Big {
        const NAME: &'static str = "big";
        fn inputs(&self) -> Vec<String> {
            vec!["in".to_owned()]
        }
        fn outputs(&self) -> Vec<String> {
            vec!["out".to_owned()]
        }
        fn process(
            &self,
            record: &Record<'_>,
            _: &State<'_>,
            out: &mut Effects<'_>,
        ) -> Result<Verdict, Reject> {
            match record.value {
                Some(b"cell") => out.put("k", vec![0; effects::MAX_CELL])?,
                _ => out.emit(0, Partitioning::ByKey, b"k", |bytes| {
                    bytes.resize(bytes.len() + effects::MAX_OUTPUT, 0);
                    Ok(())
                })?,
            }
            Ok(Verdict::Out)
        }
    }
    let plan = plan(&Big, &batch(&records("cell output"), 0), &Table::default(), None);
    assert_eq!(written(&plan), ["!cell:too_large", "!output:too_large"]);
    assert!(plan.writes().is_empty() && plan.n_bytes() < 100);
}

#[test]
fn detail_is_cut_between_characters() {
    assert_eq!(Reject::new("x", "ä".repeat(300)).detail.len(), 512);
    assert_eq!(Reject::new("x", format!("a{}", "ä".repeat(300))).detail.len(), 511);
}

#[test]
fn markers_behind_the_records_are_passed() {
    let mut batch = batch(&records("a b@1"), 0);
    batch.pass(0, 0, 9);
    batch.pass(0, 1, 1);
    batch.pass(0, 2, 4);
    let plan = plan(&Count, &batch, &Table::default(), None);
    assert_eq!(
        plan.next().iter().map(|(place, next)| (*place, *next)).collect::<Vec<_>>(),
        [((0, 0), 9), ((0, 1), 2), ((0, 2), 4)]
    );
}

#[test]
fn what_comes_of_a_record_belongs_to_its_trace() {
    let own = TraceContext::parse(b"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01").unwrap();
    let mut traced = Batch::default();
    traced.trace(own); // of no record
    for (at, record) in records("a b bad:c d bad:e").iter().enumerate() {
        let one = batch(std::slice::from_ref(record), at);
        one.records().for_each(|record| traced.push(record));
        if at % 2 == 0 {
            traced.trace(own);
        }
    }
    let plan = plan(&Count, &traced, &Table::default(), None);
    let traces: Vec<_> = plan.outputs().map(|output| output.trace.is_some()).collect();
    assert_eq!(
        (written(&plan).join(" ").as_str(), traces),
        ("a=1 b=1 d=1 !bad:c:bad !bad:e:bad", vec![true, false, false])
    );
    let told = ("traceparent", own.to_string());
    assert!(plan.dead().all(|dead| dead.headers().any(|header| header == told)));
    traced.clear();
    traced.push(batch(&records("a"), 9).records().next().unwrap());
    assert!(
        super::plan(&Count, &traced, &Table::default(), None).outputs().all(|output| output.trace.is_none())
    );
}

#[test]
fn memory_is_used_again_without_trace() {
    let mut step = Plan::default();
    step.fill(&Count, &batch(&records("a bad:x a@7"), 0), &Table::default(), None);
    step.fill(&Count, &batch(&records("b"), 3), &Table::default(), None);
    let fresh = plan(&Count, &batch(&records("b"), 3), &Table::default(), None);
    assert_eq!((written(&step), step.deltas(), step.next()), (written(&fresh), fresh.deltas(), fresh.next()));
    assert_eq!((step.writes(), step.n_records()), (fresh.writes(), 1));
}

proptest! {
    #[test]
    fn cutting_a_batch_changes_nothing(texts in prop::collection::vec("(dup:|bad:|del:|)[abc]@[012]", 0..30), cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..4)) {
        let records: Vec<_> = texts.iter().flat_map(|text| records(text)).collect();
        let mut whole = plan(&Count, &batch(&records, 0), &Table::default(), None);
        let mut expected = Table::default();
        expected.merge(whole.take_writes());

        let mut ends: Vec<usize> = cuts.iter().map(|cut| cut.index(records.len() + 1)).chain([records.len()]).collect();
        ends.sort_unstable();
        let (mut table, mut from, mut outputs, mut dead) = (Table::default(), 0, Vec::new(), Vec::new());
        for end in ends {
            let mut part = plan(&Count, &batch(&records[from..end], from), &table, None);
            outputs.extend(part.outputs().map(|output| (output.partition, output.value.to_vec())));
            dead.extend(part.dead().map(|dead| dead.letter.clone()));
            table.merge(part.take_writes());
            from = end;
        }
        prop_assert_eq!(outputs, whole.outputs().map(|output| (output.partition, output.value.to_vec())).collect::<Vec<_>>());
        prop_assert_eq!(dead, whole.dead().map(|dead| dead.letter.clone()).collect::<Vec<_>>());
        prop_assert_eq!(table, expected);
    }
}
