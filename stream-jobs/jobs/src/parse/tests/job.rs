use millrace_schemas::ledger::{MINUTE, edge, minute_of};
use millrace_schemas::{Dedup, Piece};

use super::*;
use crate::job::Job;

fn only_event(plan: &Plan) -> Event<'_> {
    assert_eq!((plan.outputs().len(), plan.dead().len()), (1, 0));
    event_codec().decode(plan.outputs().next().unwrap().value).unwrap()
}

#[test]
fn event_keeps_the_line_and_names_its_origin() {
    let mut raw = line(b"{\"a\":1}");
    raw.attributes.0.push(("env".into(), "test".into()));
    raw.dedup = Some(Dedup { scope: "s", index: 4, attempt: None });
    let plan = plan_lines(Format::Auto, &[raw.clone()]);
    let event = only_event(&plan);
    assert_eq!(event.raw(), raw);
    assert_eq!(event.origin, Origin { generation: 1, partition: 3, offset: 40 });
    let output = plan.outputs().next().unwrap();
    assert_eq!((output.target, output.partition, output.key), (0, Some(3), b"default/h1".as_slice()));
    assert_eq!(plan.next().iter().collect::<Vec<_>>(), [(&(0, 3), &41)]);
}

#[test]
fn empty_and_blank_lines_are_events() {
    for body in ["", " \t", "\r"] {
        for format in Format::ALL {
            check(format, body, &format!("{} message<> #no_time #empty", format.id()));
        }
    }
}

#[test]
fn only_the_first_piece_is_read() {
    let piece = |body, index| RawEvent { piece: Some(Piece { index, last: false }), ..line(body) };
    let lines =
        [piece(b"{\"a\":1}", 0), piece(b"{\"a\":1}", 1), piece(b"{\"a\":\"cut in the mid", 0), piece(b"", 1)];
    assert_eq!(
        show_plan(&plan_lines(Format::Json, &lines)),
        "json a=1L #no_time #piece\njson #no_time #piece\njson #no_time #piece #no_match\njson #no_time #piece"
    );
}

#[test]
fn bytes_that_are_not_text_are_read_as_far_as_they_are() {
    let body = b"{\"a\":\"x\xffy\",\"b\":1}";
    let plan = plan_lines(Format::Json, &[line(body)]);
    assert_eq!(show_plan(&plan), "json a=x\u{fffd}y b=1L #no_time");
    assert_eq!(only_event(&plan).body, body);
}

#[test]
fn nul_bytes_are_kept() {
    check(Format::Rfc3164, "<13>a\0b", "rfc3164 severity<notice> message<a\0b> facility=user #no_time");
}

#[test]
fn stream_decides_the_format() {
    let by_stream = [("web".to_owned(), Format::Apache)].into();
    let job = Parse::new(ParseConfig { default_format: Format::Json, by_stream }, raw_codec(), event_codec());
    let values = [framed(&line(b"{}")), framed(&RawEvent { stream: "app", ..line(b"{}") })];
    let plan = plan(&job, &batch(&values, 0), &Table::default(), None);
    assert_eq!(
        show_plan(&plan),
        "json #no_time\n!apache no_match: expected a blank after the client at byte 2"
    );
}

#[test]
fn dead_letter_keeps_the_record() {
    let value = framed(&line(b"nonsense"));
    let plan = plan(&job(Format::Json), &batch(std::slice::from_ref(&value), 40), &Table::default(), None);
    let dead = plan.dead().next().unwrap();
    assert_eq!((dead.partition, dead.key, dead.value), (3, b"default/h1".as_slice(), value.as_slice()));
    assert_eq!(dead.received, RECEIVED);
    let letter = dead.letter;
    assert_eq!((letter.topic.as_str(), letter.partition, letter.offset), ("logs.raw", 3, 40));
    assert_eq!(
        (letter.tenant.as_str(), letter.stream.as_str(), letter.stage.as_str()),
        ("default", "web", "parse")
    );
    assert_eq!(
        (letter.reason.as_str(), letter.parser.as_str(), letter.parser_version),
        ("no_match", "json", 4)
    );
    assert_eq!(plan.next()[&(0, 3)], 41);
}

#[test]
fn undecodable_record_is_counted_under_its_tenant_and_no_stream() {
    let mut unknown = framed(&line(b"x"));
    unknown[4] = 99;
    let cut = framed(&line(b"{\"a\":1}"))[..20].to_vec();
    let values = [b"junk".to_vec(), unknown, cut, Vec::new(), framed(&line(b"{}"))];
    let plan = plan(&job(Format::Json), &batch(&values, 40), &Table::default(), None);
    let reasons: Vec<_> = plan
        .dead()
        .map(|dead| (dead.letter.reason.clone(), dead.letter.tenant.clone(), dead.letter.stream.clone()))
        .collect();
    assert_eq!(reasons, vec![("undecodable".to_owned(), "default".to_owned(), "-".to_owned()); 4]);
    let edges: Vec<_> =
        plan.deltas().into_iter().map(|delta| (delta.stream, delta.edge, delta.count)).collect();
    let expected = [("-", edge::IN, 4), ("-", edge::DEAD, 4), ("web", edge::IN, 1), ("web", edge::OUT, 1)];
    assert_eq!(edges, expected.map(|(stream, edge, count)| (stream.to_owned(), edge.to_owned(), count)));
}

#[test]
fn who_stores_an_undecodable_record_counts_what_parse_counted() {
    use millrace_schemas::dead::undecodable;
    use millrace_schemas::ledger::Line;
    let plan = plan(&job(Format::Json), &batch(&[b"junk".to_vec()], 40), &Table::default(), None);
    let dead = plan.dead().next().unwrap();
    let stand_in = undecodable(dead.key, dead.value, dead.received);
    let delta = plan.deltas().into_iter().find(|delta| delta.edge == edge::DEAD).unwrap();
    let (tenant, stream, received, bytes) = stand_in.account();
    assert_eq!((delta.tenant.as_str(), delta.stream.as_str()), (tenant, stream));
    assert_eq!((delta.minute, delta.bytes, delta.hash), (minute_of(received), bytes as i64, stand_in.sum()));
}

#[test]
fn tombstone_is_undecodable() {
    let mut batch = Batch::default();
    batch.push(Record {
        input: 0,
        partition: 0,
        offset: 0,
        appended: 0,
        key: b"NO/h",
        value: None,
        first: None,
    });
    let plan = plan(&job(Format::Auto), &batch, &Table::default(), None);
    assert_eq!(
        (plan.dead().next().unwrap().letter.reason.as_str(), plan.deltas()[0].tenant.as_str()),
        ("undecodable", "-")
    );
}

#[test]
fn learned_schema_is_read_by_the_general_way_to_the_same_event() {
    let raw =
        RawEvent { dedup: Some(Dedup { scope: "s", index: 4, attempt: Some(1) }), ..line(b"{\"a\":1}") };
    let mut value = framed(&raw);
    value[4] = 55;
    let mut parse = job(Format::Json);
    assert!(!parse.knows(55));
    parse.learn(55, Subject::Raw.schema());
    assert!(parse.knows(55));
    let other = plan(&parse, &batch(&[value], 40), &Table::default(), None);
    let usual = plan_lines(Format::Json, &[raw]);
    assert_eq!(other.outputs().next(), usual.outputs().next());
}

#[test]
fn bytes_behind_the_record_do_not_reach_the_event() {
    let mut value = framed(&line(b"{\"a\":1}"));
    let usual = plan_lines(Format::Json, &[line(b"{\"a\":1}")]);
    value.extend_from_slice(b"trailing");
    let plan = plan(&job(Format::Json), &batch(&[value], 40), &Table::default(), None);
    assert_eq!(plan.outputs().next(), usual.outputs().next());
}

#[test]
fn ledger_has_a_cell_a_minute() {
    let late = RawEvent { received: RECEIVED + MINUTE, ..line(b"{}") };
    let plan = plan_lines(Format::Json, &[line(b"{}"), late, line(b"x")]);
    let cells: Vec<_> = plan
        .deltas()
        .iter()
        .map(|delta| (delta.minute - minute_of(RECEIVED), delta.edge.clone(), delta.count))
        .collect();
    let expected = [(0, "in", 2), (0, "out", 1), (0, "dead", 1), (MINUTE, "in", 1), (MINUTE, "out", 1)];
    assert_eq!(cells, expected.map(|(minute, edge, count)| (minute, edge.to_owned(), count)));
}

/// Ring 2: every example of the subject.
#[test]
fn every_example_of_the_schema_is_answered() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../schemas/avro/logs.raw-value/examples");
    let mut n_examples = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        let text = std::fs::read_to_string(entry.unwrap().path()).unwrap();
        let example: serde_json::Value = serde_json::from_str(&text).unwrap();
        let body = example["body"].as_str().unwrap().as_bytes();
        for format in Format::ALL {
            let plan = plan_lines(format, &[line(body)]);
            assert_eq!(plan.outputs().len() + plan.dead().len(), 1);
        }
        n_examples += 1;
    }
    assert!(n_examples >= 2);
}

#[test]
fn the_senders_time_counts_where_the_line_has_none() {
    let time = |body: &'static [u8], nanos: &'static str| {
        let mut line = line(body);
        line.attributes.0.push((millrace_schemas::raw::TIME.into(), nanos.into()));
        let plan = plan_lines(Format::Json, &[line]);
        let output = plan.outputs().next().unwrap();
        let event: Event<'_> = event_codec().decode(output.value).unwrap();
        (event.time, event.flags.contains(&"no_time".into()))
    };
    assert_eq!(time(br#"{"a":1}"#, "1767225600123456789"), (1_767_225_600_123_456, false));
    assert_eq!(time(br#"{"time":1767225601,"a":1}"#, "1767225600123456789"), (1_767_225_601_000_000, false));
    assert_eq!(time(br#"{"a":1}"#, "soon"), (RECEIVED, true));
}
