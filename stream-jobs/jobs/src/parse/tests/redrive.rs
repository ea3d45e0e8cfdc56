//! Dead letters that are sent again: each is repaired once, whatever is sent how often.

use millrace_schemas::dead::{REDRIVEN, SENT_AGAIN};
use millrace_schemas::ledger::edge;
use proptest::prelude::*;

use super::*;
use crate::batch::First;

/// What the next parser reads: sent to the one before, these were dead letters.
const GOOD: &str = "{\"a\":1}";
const BAD: &str = "no object";

/// Records of `logs.redrive` from offset 70 on, each naming the raw offset that it was.
fn again(records: &[(i64, &str)]) -> Batch {
    let mut batch = Batch::default();
    for ((raw, body), offset) in records.iter().zip(70..) {
        let value = framed(&line(body.as_bytes()));
        let first = Some(First { offset: *raw, received: RECEIVED });
        let (key, value) = (b"default/h1".as_slice(), Some(value.as_slice()));
        batch.push(Record { input: 1, partition: 3, offset, appended: RECEIVED + 9, key, value, first });
    }
    batch
}

/// The state after `bodies` died at the raw offsets from 40 on.
fn died(bodies: &[&str]) -> Table {
    let values: Vec<_> = bodies.iter().map(|body| framed(&line(body.as_bytes()))).collect();
    let mut table = Table::default();
    let mut plan = plan(&job(Format::Rfc5424), &batch(&values, 40), &table, None);
    assert_eq!(plan.dead().len(), bodies.len(), "the parser before reads none of them");
    table.merge(plan.take_writes());
    table
}

fn edges(plan: &Plan) -> Vec<(i32, String, i64)> {
    plan.deltas().into_iter().map(|delta| (delta.generation, delta.edge, delta.count)).collect()
}

#[test]
fn a_dead_line_is_read_by_the_present_parser_under_its_own_identity() {
    let mut table = died(&[GOOD, GOOD]);
    let mut plan = plan(&job(Format::Json), &again(&[(41, GOOD)]), &table, None);
    assert_eq!(show_plan(&plan), "json a=1L #no_time #redriven");
    let output = plan.outputs().next().unwrap();
    assert_eq!((output.partition, output.key), (Some(3), b"default/h1".as_slice()));
    let event: Event<'_> = event_codec().decode(output.value).unwrap();
    assert_eq!(event.origin, Origin { generation: 1, partition: 3, offset: 41 });
    assert_eq!(event.flags.last().unwrap(), REDRIVEN);
    assert_eq!(edges(&plan), [(SENT_AGAIN, edge::IN.into(), 1), (SENT_AGAIN, edge::OUT.into(), 1)]);
    assert_eq!(plan.deltas()[0].ranges[0].from, 70, "offsets are those of what was sent again");
    assert_eq!(plan.next().iter().collect::<Vec<_>>(), [(&(1, 3), &71)]);
    table.merge(plan.take_writes());
    assert_eq!((is_owed(&table, 3, 40), is_owed(&table, 3, 41)), (true, false));
}

#[test]
fn what_is_sent_twice_is_one_event() {
    let mut table = died(&[GOOD]);
    let mut plan = plan(&job(Format::Json), &again(&[(40, GOOD), (40, GOOD)]), &table, None);
    let counts = [(edge::IN, 2), (edge::OUT, 1), (edge::DUPLICATE, 1)];
    assert_eq!(edges(&plan), counts.map(|(edge, count)| (SENT_AGAIN, edge.to_owned(), count)));
    table.merge(plan.take_writes());
    let later = crate::plan::plan(&job(Format::Json), &again(&[(40, GOOD)]), &table, None);
    assert_eq!((later.outputs().len(), later.dead().len(), later.writes().len()), (0, 0, 0));
}

#[test]
fn what_fails_again_is_one_debt_and_says_why_now() {
    let mut table = died(&[BAD]);
    let mut plan = plan(&job(Format::Json), &again(&[(40, BAD)]), &table, None);
    let dead = plan.dead().next().unwrap();
    let letter = dead.letter;
    assert_eq!((letter.topic.as_str(), letter.partition, letter.offset), ("logs.raw", 3, 40));
    assert_eq!(
        (letter.parser.as_str(), letter.reason.as_str(), dead.received),
        ("json", "no_match", RECEIVED)
    );
    assert_eq!(dead.headers().find(|(name, _)| *name == dead::AGAIN).unwrap().1, "70");
    assert_eq!(edges(&plan), [(SENT_AGAIN, edge::IN.into(), 1), (SENT_AGAIN, edge::DEAD.into(), 1)]);
    table.merge(plan.take_writes());
    assert!(is_owed(&table, 3, 40), "it can be sent again once more");
}

#[test]
fn a_line_that_never_died_is_a_duplicate_whatever_it_is() {
    let table = died(&[GOOD]);
    let mut batch = again(&[(99, GOOD), (-1, GOOD)]);
    let foreign = Record {
        input: 1,
        partition: 3,
        offset: 72,
        appended: RECEIVED,
        key: b"default/h1",
        value: Some(b"not framed"),
        first: None,
    };
    batch.push(foreign);
    // Of another partition.
    batch.push(Record { partition: 2, first: Some(First { offset: 40, received: 0 }), ..foreign });
    let plan = plan(&job(Format::Json), &batch, &table, None);
    assert_eq!((plan.outputs().len(), plan.dead().len(), plan.writes().len()), (0, 0, 0));
    let duplicates = edges(&plan).into_iter().filter(|(_, own, _)| own == edge::DUPLICATE);
    assert_eq!(duplicates.map(|(_, _, count)| count).sum::<i64>(), 4);
}

#[test]
fn bytes_that_decode_now_are_read() {
    let value = framed(&line(GOOD.as_bytes()));
    let mut unknown = value.clone();
    unknown[1..5].copy_from_slice(&(RAW_ID + 1).to_be_bytes());
    let mut table = Table::default();
    let mut plan = plan(&job(Format::Json), &batch(&[unknown.clone()], 40), &table, None);
    assert_eq!(plan.dead().next().unwrap().letter.reason, "undecodable");
    table.merge(plan.take_writes());
    let first = Some(First { offset: 40, received: RECEIVED });
    let mut batch = Batch::default();
    let record =
        Record { input: 1, partition: 3, offset: 70, appended: 1, key: b"t/h", value: Some(&unknown), first };
    batch.push(record);
    let still = crate::plan::plan(&job(Format::Json), &batch, &table, None);
    assert_eq!(still.dead().next().unwrap().received, RECEIVED, "its minute stays");
    let mut job = job(Format::Json);
    job.learn(RAW_ID + 1, Subject::Raw.schema());
    let now = crate::plan::plan(&job, &batch, &table, None);
    assert_eq!(show_plan(&now), "json a=1L #no_time #redriven");
}

proptest! {
    /// However what is sent again is cut into batches: each line that can be read is one event, and the rest stays owed.
    #[test]
    fn cuts_do_not_change_what_is_repaired(sent in prop::collection::vec(40i64..46, 0..20), cut in 0usize..20) {
        let bodies = [GOOD, BAD, GOOD, BAD, GOOD];
        let start = died(&bodies);
        let records: Vec<(i64, &str)> =
            sent.iter().map(|raw| (*raw, *bodies.get((raw - 40) as usize).unwrap_or(&GOOD))).collect();
        let run = |parts: &[&[(i64, &str)]]| {
            let (mut table, mut shown) = (start.clone(), Vec::new());
            for part in parts {
                let mut plan = plan(&job(Format::Json), &again(part), &table, None);
                shown.extend(plan.outputs().map(|output| output.value.to_vec()));
                table.merge(plan.take_writes());
            }
            (table, shown)
        };
        let whole = run(&[&records]);
        let (before, behind) = records.split_at(cut.min(records.len()));
        prop_assert_eq!(&whole, &run(&[before, behind]));
        for (raw, body) in (40..).zip(bodies) {
            let repaired = body == GOOD && sent.contains(&raw);
            prop_assert_eq!(is_owed(&whole.0, 3, raw), !repaired);
        }
        let repaired: std::collections::BTreeSet<_> = sent.iter().filter(|raw| [40, 42, 44].contains(*raw)).collect();
        prop_assert_eq!(whole.1.len(), repaired.len());
    }
}
