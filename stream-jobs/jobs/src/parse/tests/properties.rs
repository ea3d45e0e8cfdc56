//! I1, I3 and "reject changes nothing" for any bytes.

use std::collections::BTreeMap;

use millrace_schemas::ledger::{Delta, edge};
use proptest::prelude::*;

use super::*;

const SEEDS: [&str; 6] = [
    r#"192.0.2.7 - al [17/May/2015:10:05:03 +0000] "GET /a HTTP/1.1" 200 512 "-" "curl \"x\"" "userid=u1""#,
    r#"{"time":"2015-05-17T10:05:03Z","level":"INFO","msg":"m","a":{"b":[1,2.5]},"user":"u"}"#,
    r#"<165>1 2003-08-24T05:14:15.000003-07:00 h a 8710 ID47 [ex@1 iut="3\]" iut="4"] message"#,
    "<34>Oct 11 22:14:15 host su[12]: 'su root' failed",
    "2024-10-11T22:14:15.5+02:00 h a: x",
    "",
];

/// Real shapes with bytes changed, put in and taken away, beside plain noise.
fn body() -> impl Strategy<Value = Vec<u8>> {
    let edits = prop::collection::vec((any::<prop::sample::Index>(), any::<u8>(), 0..3_u8), 0..6);
    let edited = (0..SEEDS.len(), edits).prop_map(|(seed, edits)| {
        let mut bytes = SEEDS[seed].as_bytes().to_vec();
        for (at, byte, kind) in edits {
            let at = at.index(bytes.len() + 1);
            match kind {
                0 if at < bytes.len() => bytes[at] = byte,
                1 => bytes.insert(at, byte),
                _ => bytes.truncate(at),
            }
        }
        bytes
    });
    prop_oneof![4 => edited, 1 => prop::collection::vec(any::<u8>(), 0..200)]
}

fn value() -> impl Strategy<Value = Vec<u8>> {
    let good = (body(), any::<i64>(), 0..4_i32).prop_map(|(body, received, piece)| {
        let piece = (piece > 1).then_some(millrace_schemas::Piece { index: piece - 2, last: false });
        framed(&RawEvent { received, piece, ..line(&body) })
    });
    prop_oneof![8 => good, 1 => prop::collection::vec(any::<u8>(), 0..60)]
}

fn format() -> impl Strategy<Value = Format> {
    prop::sample::select(Format::ALL.to_vec())
}

/// Everything that the plans write, in order, and the ledger's sums.
type Written = (Vec<Vec<u8>>, Vec<(Vec<u8>, String)>, BTreeMap<String, (i64, i64, u128)>);

fn written(plans: &[Plan]) -> Written {
    let outputs =
        plans.iter().flat_map(|plan| plan.outputs().map(|output| output.value.to_vec()).collect::<Vec<_>>());
    let dead = plans.iter().flat_map(|plan| {
        plan.dead()
            .map(|dead| (dead.value.to_vec(), format!("{:?} {}", dead.letter, dead.received)))
            .collect::<Vec<_>>()
    });
    let mut sums: BTreeMap<String, (i64, i64, u128)> = BTreeMap::new();
    for delta in plans.iter().flat_map(Plan::deltas) {
        let Delta { tenant, stream, minute, edge, .. } = &delta;
        let sum = sums.entry(format!("{tenant} {stream} {minute} {edge}")).or_default();
        *sum = (sum.0 + delta.count, sum.1 + delta.bytes, sum.2.wrapping_add(delta.hash.0));
    }
    (outputs.collect(), dead.collect(), sums)
}

proptest! {
    #[test]
    fn cutting_a_batch_changes_nothing(values in prop::collection::vec(value(), 0..12), cut in any::<prop::sample::Index>(), format in format()) {
        let job = job(format);
        let cut = cut.index(values.len() + 1);
        let table = Table::default();
        let whole = plan(&job, &batch(&values, 40), &table, None);
        let parts = [plan(&job, &batch(&values[..cut], 40), &table, None), plan(&job, &batch(&values[cut..], 40 + cut as i64), &table, None)];
        prop_assert_eq!(written(&[whole]), written(&parts));
    }

    #[test]
    fn any_record_is_one_event_or_one_dead_letter(value in value(), format in format()) {
        let plan = plan(&job(format), &batch(&[value], 40), &Table::default(), None);
        prop_assert_eq!(plan.outputs().len() + plan.dead().len(), 1);
        let count = |edge: &str| plan.deltas().iter().filter(|delta| delta.edge == edge).map(|delta| delta.count).sum::<i64>();
        prop_assert_eq!((count(edge::IN), count(edge::OUT) + count(edge::DEAD)), (1, 1));
        prop_assert_eq!(plan.next()[&(0, 3)], 41);
    }

    #[test]
    fn body_survives_exactly(body in body(), format in format()) {
        let plan = plan_lines(format, &[line(&body)]);
        if let Some(output) = plan.outputs().next() {
            let event: Event<'_> = event_codec().decode(output.value).unwrap();
            prop_assert_eq!(event.raw(), line(&body));
        }
        if let Some(dead) = plan.dead().next() {
            prop_assert_eq!(dead.value, framed(&line(&body)));
        }
    }

    #[test]
    fn rejected_records_change_nothing_for_the_others(values in prop::collection::vec(value(), 0..12), format in format()) {
        let job = job(format);
        let alone = values.iter().map(|value| plan(&job, &batch(std::slice::from_ref(value), 0), &Table::default(), None));
        let n_outputs: usize = alone.map(|plan| plan.outputs().len()).sum();
        prop_assert_eq!(plan(&job, &batch(&values, 0), &Table::default(), None).outputs().len(), n_outputs);
    }

    #[test]
    fn copied_prefix_equals_the_general_encoder(body in body(), format in format()) {
        let plan = plan_lines(format, &[line(&body)]);
        for output in plan.outputs() {
            let event: Event<'_> = event_codec().decode(output.value).unwrap();
            let mut general = Vec::new();
            event_codec().encode(&event, &mut general).unwrap();
            prop_assert_eq!(output.value, general);
        }
    }
}
