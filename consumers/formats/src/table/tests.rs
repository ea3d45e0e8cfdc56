//! Row files keep every byte, in order, and merge without losing or doubling a row.

use std::borrow::Cow;

use arrow_array::cast::AsArray;
use bytes::Bytes;
use millrace_schemas::dead::DeadLetter;
use millrace_schemas::manifest::TableName;
use millrace_schemas::{
    Attributes, Dedup, Event, Fields, LineEnd, Origin, Parser, Piece, Position, RawEvent, Value,
};

use super::*;

fn raw<'a>(host: &'a str, file_id: Option<&'a str>, byte: Option<i64>, body: &'a [u8]) -> RawEvent<'a> {
    RawEvent {
        tenant: "default",
        stream: "web",
        host,
        file: file_id.map(|_| "/var/log/a.log"),
        file_id,
        attributes: Attributes(vec![("zone".into(), "b".into())]),
        received: 1_000_000 + byte.unwrap_or(0),
        position: byte.map(|byte| Position { byte, line: byte / 10 }),
        line_end: LineEnd::Lf,
        piece: None,
        dedup: None,
        body,
    }
}

fn event<'a>(raw: RawEvent<'a>, offset: i64) -> Event<'a> {
    let origin = Origin { generation: 0, partition: 1, offset };
    let mut event = Event::unparsed(raw, Parser { id: "apache", version: 3 }, origin);
    event.fields = Fields(vec![
        ("status".into(), Value::Long(200)),
        ("took".into(), Value::Double(0.5)),
        ("ok".into(), Value::Boolean(true)),
        ("path".into(), Value::String("/ä".into())),
    ]);
    event.flags = vec![Cow::Borrowed("no_time")];
    event
}

fn file(events: &[Event<'_>]) -> Bytes {
    let mut builder = TableBuilder::new(TableName::Events);
    for event in events {
        builder.push_event(event).unwrap();
    }
    let mut out = Vec::new();
    builder.finish(Effort::Fast, &mut out).unwrap();
    out.into()
}

fn open(file: Bytes) -> TableReader<Bytes> {
    let len = file.len() as u64;
    TableReader::open(file, len).unwrap()
}

/// `host file_id byte piece offset body line_end` of each row.
fn rows(reader: &TableReader<Bytes>) -> Vec<String> {
    let mut rows = Vec::new();
    for group in reader.groups() {
        for batch in reader.lines(group, 0..group.rows, true).unwrap() {
            let batch = batch.unwrap();
            for at in 0..batch.len() {
                let line = batch.line(at).unwrap();
                let Key { host, file_id, place, .. } = line.key;
                let mut body = Vec::new();
                batch.body(at, &mut body).unwrap();
                let (body, byte) = (body.escape_ascii(), place.byte);
                rows.push(format!(
                    "{host} {file_id:?} {byte:?} {} {} {body} {:?}",
                    place.piece, place.origin.offset, line.line_end
                ));
            }
        }
    }
    rows
}

#[test]
fn odd_lines_keep_their_bytes() {
    let bodies: [&[u8]; 6] = [b"plain", b"", b"nul\0in", b"\xff\xfe not utf-8", "ünï".as_bytes(), b"cr\rin"];
    let ends = [LineEnd::Lf, LineEnd::Lf, LineEnd::CrLf, LineEnd::Lf, LineEnd::Lf, LineEnd::None];
    let mut events = Vec::new();
    for (at, body) in bodies.iter().enumerate() {
        let own = RawEvent { line_end: ends[at], ..raw("h", Some("f"), Some(at as i64 * 100), body) };
        events.push(event(own, at as i64));
    }
    let reader = open(file(&events));
    assert_eq!(reader.rows(), 6);
    assert_eq!(reader.version(), Some(schema::VERSION));
    let group = reader.groups().next().unwrap();
    let batch = reader.lines(group, 0..6, true).unwrap().next().unwrap().unwrap();
    for (at, body) in bodies.iter().enumerate() {
        let line = batch.line(at).unwrap();
        let mut kept = vec![b'?'];
        batch.body(at, &mut kept).unwrap();
        assert_eq!((&kept[..], line.line_end, line.received), (*body, ends[at], 1_000_000 + at as i64 * 100));
    }
}

#[test]
fn rows_are_sorted_by_place() {
    let piece = |index, body| RawEvent {
        piece: Some(Piece { index, last: index == 1 }),
        ..raw("a", Some("f1"), Some(7), body)
    };
    let events = [
        event(raw("b", Some("f1"), Some(0), b"other host"), 9),
        event(piece(1, b"second"), 5),
        event(raw("a", Some("f2"), Some(0), b"later file"), 2),
        event(piece(0, b"first"), 6),
        event(raw("a", None, None, b"no file 1"), 8),
        event(raw("a", None, None, b"no file 0"), 7),
        event(raw("a", Some("f1"), Some(0), b"start"), 4),
    ];
    assert_eq!(
        rows(&open(file(&events))),
        [
            "a None None 0 7 no file 0 Lf",
            "a None None 0 8 no file 1 Lf",
            "a Some(\"f1\") Some(0) 0 4 start Lf",
            "a Some(\"f1\") Some(7) 0 6 first Lf",
            "a Some(\"f1\") Some(7) 1 5 second Lf",
            "a Some(\"f2\") Some(0) 0 2 later file Lf",
            "b Some(\"f1\") Some(0) 0 9 other host Lf",
        ]
    );
}

#[test]
fn fields_keep_text_and_type() {
    let mut odd = event(raw("h", None, None, b"x"), 1);
    odd.fields = Fields::default();
    odd.dedup = Some(Dedup { scope: "s", index: 4, attempt: None });
    let reader = open(file(&[event(raw("h", None, None, b"x"), 0), odd]));
    let batch = reader.whole(reader.groups().next().unwrap()).unwrap().next().unwrap().unwrap();
    let fields = batch.column_by_name("fields").unwrap().as_map();
    let text = |column: &arrow_array::ArrayRef| -> Vec<String> {
        column.as_string::<i32>().iter().map(|own| own.unwrap_or("null").to_owned()).collect()
    };
    assert_eq!(text(fields.keys()), ["status", "took", "ok", "path"]);
    assert_eq!(text(fields.values()), ["200", "0.5", "true", "/ä"]);
    assert_eq!(fields.value_offsets(), [0, 4, 4]);
    assert_eq!(text(batch.column_by_name("field_types").unwrap()), ["ldbs", ""]);
    assert_eq!(text(batch.column_by_name("dedup_scope").unwrap()), ["null", "s"]);
    assert_eq!(batch.schema().fields(), schema::of(TableName::Events).fields());
}

#[test]
fn dead_letters_say_why() {
    let letter = DeadLetter {
        topic: "logs.raw".into(),
        partition: 1,
        offset: 3,
        tenant: "default".into(),
        stream: "web".into(),
        stage: "parse".into(),
        reason: "no_match".into(),
        detail: "expected [".into(),
        parser: "apache".into(),
        parser_version: 2,
    };
    let mut builder = TableBuilder::new(TableName::Dead);
    let origin = Origin { generation: 0, partition: 1, offset: 3 };
    builder.push_dead(&letter, &raw("h", Some("f"), Some(3), b"\xffbad"), origin).unwrap();
    assert!(builder.push_event(&event(raw("h", None, None, b""), 0)).is_err());
    let mut out = Vec::new();
    builder.finish(Effort::Small, &mut out).unwrap();
    let reader = open(out.into());
    assert_eq!(rows(&reader), ["h Some(\"f\") Some(3) 0 3 \\xffbad Lf"]);
    let batch = reader.whole(reader.groups().next().unwrap()).unwrap().next().unwrap().unwrap();
    assert_eq!(batch.column_by_name("reason").unwrap().as_string::<i32>().value(0), "no_match");
    assert_eq!(batch.schema().fields(), schema::of(TableName::Dead).fields());
}

#[test]
fn a_merge_equals_one_file_of_all_rows() {
    let bodies: Vec<String> = (0..3_000).map(|n| format!("line {n}")).collect();
    let ids = ["f1", "f2", "f3"];
    let hosts = ["a", "b"];
    let all: Vec<Event<'_>> = (0..9_000usize)
        .map(|n| {
            let own =
                raw(hosts[n % 2], Some(ids[n % 3]), Some(n as i64 / 6 * 10), bodies[n % 3_000].as_bytes());
            event(own, n as i64)
        })
        .collect();
    for ways in [1, 2, 5] {
        let pick = |way| {
            all.iter().enumerate().filter(move |(n, _)| n / 7 % ways == way).map(|(_, event)| event.clone())
        };
        let parts: Vec<_> = (0..ways).map(|way| open(file(&pick(way).collect::<Vec<_>>()))).collect();
        let mut out = Vec::new();
        let merged = merge(TableName::Events, &parts, Effort::Small, &mut out).unwrap();
        assert_eq!(merged, Merged { rows_in: 9_000, rows_out: 9_000 });
        assert_eq!(rows(&open(out.into())), rows(&open(file(&all))), "{ways} ways");
    }
}

#[test]
fn statistics_rule_out_other_hosts_and_files() {
    let reader = open(file(&[
        event(raw("b", Some("f"), Some(0), b""), 0),
        event(raw("d", Some("f"), Some(0), b""), 1),
    ]));
    let group = reader.groups().next().unwrap();
    let hosts: Vec<bool> =
        ["a", "b", "c", "d", "e"].iter().map(|host| reader.may_hold(group, "host", host)).collect();
    assert_eq!(hosts, [false, true, true, true, false]);
    assert!(reader.may_hold(group, "file", "/var/log/a.log"));
    assert!(!reader.may_hold(group, "file", "/var/log/b.log"));
    assert!(reader.may_hold(group, "body", "no statistics"));
}

#[test]
fn a_damaged_file_is_an_error() {
    let whole = file(&[event(raw("b", Some("f"), Some(0), b"x"), 0)]);
    for len in [0, 3, 8, 100, whole.len() - 1] {
        assert!(TableReader::open(whole.slice(..len), len as u64).is_err(), "{len}");
    }
}

mod checksums;
mod templates;
