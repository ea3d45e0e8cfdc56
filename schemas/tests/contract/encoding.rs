//! The fast codec writes, byte for byte, what `apache-avro` writes, and each reads the other.

use std::collections::BTreeSet;
use std::fmt::Debug;

use apache_avro::Schema;
use apache_avro::types::Value as Avro;
use millrace_schemas::attempt::{BatchAttempt, BatchState};
use millrace_schemas::ledger::{Delta, OffsetRange, Sum};
use millrace_schemas::manifest::{ManifestRecord, Part, SourceRange, TableName};
use millrace_schemas::position::FilePosition;
use millrace_schemas::progress::Progress;
use millrace_schemas::splice::encode_after;
use millrace_schemas::{
    Attributes, Codec, Dedup, Event, Fields, LineEnd, Origin, Parser, Piece, Position, RawEvent, RawTemplate,
    Subject, Value,
};
use proptest::prelude::*;

use crate::reference;

const ID: u32 = 0xdead_beef;

fn codec(subject: Subject) -> Codec {
    Codec::new(subject.folder(), ID, subject.schema()).unwrap()
}

/// Encodes both ways and compares. A map of several entries has no order for the reference: its values are compared.
fn check<T: serde::Serialize>(subject: Subject, value: &T, expected: Avro, ordered: bool) -> Vec<u8> {
    let schema = Schema::parse_str(subject.schema()).unwrap();
    let mut framed = Vec::new();
    codec(subject).encode(value, &mut framed).unwrap();
    assert_eq!(framed[..5], [0, 0xde, 0xad, 0xbe, 0xef]);
    let reference = reference::write(&schema, &expected);
    if ordered {
        assert_eq!(framed[5..], reference, "{}", subject.folder());
    }
    assert_eq!(framed.len(), reference.len() + 5);
    assert_eq!(reference::read(&schema, &framed[5..]), expected);
    [&framed[..5], &reference].concat()
}

fn same<'a, T: serde::Deserialize<'a> + PartialEq + Debug>(subject: Subject, framed: &'a [u8], value: &T) {
    assert_eq!(&codec(subject).decode::<T>(framed).unwrap(), value);
}

/// Owned parts that a [`RawEvent`] is borrowed from.
#[derive(Debug, Clone)]
struct Parts {
    texts: [String; 3],
    file: Option<(String, String)>,
    attributes: Vec<(String, String)>,
    received: i64,
    position: Option<(i64, i64)>,
    line_end: LineEnd,
    piece: Option<(i32, bool)>,
    dedup: Option<(String, i64, Option<i64>)>,
    body: Vec<u8>,
}

impl Parts {
    fn raw(&self) -> RawEvent<'_> {
        let [tenant, stream, host] = &self.texts;
        let attributes =
            self.attributes.iter().map(|(name, value)| (name.as_str().into(), value.as_str().into()));
        RawEvent {
            tenant,
            stream,
            host,
            file: self.file.as_ref().map(|(file, _)| file.as_str()),
            file_id: self.file.as_ref().map(|(_, id)| id.as_str()),
            attributes: Attributes(attributes.collect()),
            received: self.received,
            position: self.position.map(|(byte, line)| Position { byte, line }),
            line_end: self.line_end,
            piece: self.piece.map(|(index, last)| Piece { index, last }),
            dedup: self.dedup.as_ref().map(|(scope, index, attempt)| Dedup {
                scope,
                index: *index,
                attempt: *attempt,
            }),
            body: &self.body,
        }
    }
}

fn pairs<V: Debug>(value: impl Strategy<Value = V>) -> impl Strategy<Value = Vec<(String, V)>> {
    prop::collection::vec((".{0,6}", value), 0..4).prop_map(|pairs| {
        let mut seen = BTreeSet::new();
        pairs.into_iter().filter(|(name, _)| seen.insert(name.clone())).collect()
    })
}

prop_compose! {
    fn parts()(
        texts in prop::array::uniform3(".{0,8}"),
        file in prop::option::of((".{0,20}", "[a-f0-9]{0,90}")),
        attributes in pairs(".{0,8}"),
        received in any::<i64>(),
        position in prop::option::of(any::<(i64, i64)>()),
        line_end in prop::sample::select(vec![LineEnd::None, LineEnd::Lf, LineEnd::CrLf]),
        piece in prop::option::of(any::<(i32, bool)>()),
        dedup in prop::option::of((".{0,8}", any::<i64>(), any::<Option<i64>>())),
        body in prop_oneof![9 => prop::collection::vec(any::<u8>(), 0..300), 1 => prop::collection::vec(any::<u8>(), 70_000..70_010)],
    ) -> Parts {
        Parts { texts, file, attributes, received, position, line_end, piece, dedup, body }
    }
}

fn value() -> impl Strategy<Value = Value<'static>> {
    prop_oneof![
        ".{0,10}".prop_map(|text| Value::String(text.into())),
        any::<i64>().prop_map(Value::Long),
        any::<i32>().prop_map(|number| Value::Double(f64::from(number) / 8.0)),
        any::<bool>().prop_map(Value::Boolean),
    ]
}

#[derive(Debug, Clone)]
struct Found {
    time: i64,
    texts: [Option<String>; 3],
    fields: Vec<(String, Value<'static>)>,
    parser: (String, i32),
    flags: Vec<String>,
    origin: (i32, i32, i64),
}

prop_compose! {
    fn found()(
        time in any::<i64>(),
        texts in prop::array::uniform3(prop::option::of(".{0,10}")),
        fields in pairs(value()),
        parser in ("[a-z0-9]{0,8}", any::<i32>()),
        flags in prop::collection::vec("[a-z_]{0,8}", 0..4),
        origin in any::<(i32, i32, i64)>(),
    ) -> Found {
        Found { time, texts, fields, parser, flags, origin }
    }
}

fn event<'a>(parts: &'a Parts, found: &'a Found) -> Event<'a> {
    let parser = Parser { id: &found.parser.0, version: found.parser.1 };
    let (generation, partition, offset) = found.origin;
    let mut event = Event::unparsed(parts.raw(), parser, Origin { generation, partition, offset });
    let [severity, user, message] = found.texts.each_ref().map(|text| text.as_deref().map(Into::into));
    (event.time, event.severity, event.user, event.message) = (found.time, severity, user, message);
    event.fields =
        Fields(found.fields.iter().map(|(name, value)| (name.as_str().into(), value.clone())).collect());
    event.flags = found.flags.iter().map(|flag| flag.as_str().into()).collect();
    event
}

proptest! {
    #[test]
    fn raw_event(parts in parts()) {
        let raw = parts.raw();
        let framed = check(Subject::Raw, &raw, reference::raw(&raw), parts.attributes.len() < 2);
        if parts.attributes.len() < 2 {
            same(Subject::Raw, &framed, &raw);
        }
    }

    #[test]
    fn raw_template(parts in parts()) {
        let mut raw = parts.raw();
        raw.dedup = None;
        let file = raw.file.zip(raw.file_id);
        let template = RawTemplate::new(ID, raw.tenant, raw.stream, raw.host, file, &raw.attributes);
        let (mut fast, mut general) = (b"before".to_vec(), b"before".to_vec());
        template.encode(&mut fast, raw.received, raw.position, raw.line_end, raw.piece, raw.body);
        codec(Subject::Raw).encode(&raw, &mut general).unwrap();
        prop_assert_eq!(fast, general);
    }

    #[test]
    fn parsed_event(parts in parts(), found in found()) {
        let event = event(&parts, &found);
        let ordered = parts.attributes.len() < 2 && found.fields.len() < 2;
        let framed = check(Subject::Parsed, &event, reference::event(&event), ordered);
        if ordered {
            same(Subject::Parsed, &framed, &event);
        }
    }

    #[test]
    fn event_after_its_raw_datum(parts in parts(), found in found()) {
        let event = event(&parts, &found);
        let (mut raw, mut general, mut spliced) = (Vec::new(), b"before".to_vec(), b"before".to_vec());
        codec(Subject::Raw).encode(&parts.raw(), &mut raw).unwrap();
        codec(Subject::Parsed).encode(&event, &mut general).unwrap();
        encode_after(ID, &raw[5..], &event, &mut spliced);
        prop_assert_eq!(&spliced, &general);
        same(Subject::Parsed, &spliced[6..], &event);
    }

    #[test]
    fn ledger_delta(texts in prop::array::uniform4(".{0,8}"), numbers in any::<(i32, i64, i64, i64, u128)>(), ranges in prop::collection::vec(any::<(i32, i64, i64)>(), 0..4)) {
        let [tenant, stream, stage, edge] = texts;
        let (generation, minute, count, bytes, hash) = numbers;
        let ranges = ranges.into_iter().map(|(partition, from, to)| OffsetRange { partition, from, to }).collect();
        let delta = Delta { generation, tenant, stream, minute, stage, edge, count, bytes, hash: Sum(hash), ranges };
        let framed = check(Subject::Ledger, &delta, reference::delta(&delta), true);
        same(Subject::Ledger, &framed, &delta);
    }

    #[test]
    fn file_position(texts in prop::array::uniform5(".{0,8}"), longs in prop::array::uniform8(any::<i64>()), ints in prop::array::uniform4(any::<i32>()), finished in any::<bool>(), text in any::<Option<i64>>(), cursor in prop::option::of(".{0,8}")) {
        let [tenant, forwarder, file_id, stream, path] = texts;
        let [device, inode, prefix_hash, tail_hash, byte, line, first_seen, lost] = longs;
        let [prefix_len, tail_len, truncations, piece] = ints;
        let own = FilePosition { tenant, forwarder, file_id, stream, path, device, inode, prefix_len, prefix_hash, tail_len, tail_hash,
            truncations, byte, line, piece, first_seen, lost, finished, text, cursor };
        let framed = check(Subject::Position, &own, reference::position(&own), true);
        same(Subject::Position, &framed, &own);
    }

    #[test]
    fn progress(topic in ".{0,8}", partition in any::<i32>(), next in any::<i64>(), version in any::<i32>()) {
        let own = Progress { topic, partition, next, version };
        let framed = check(Subject::Progress, &own, reference::progress(&own), true);
        same(Subject::Progress, &framed, &own);
    }

    #[test]
    fn batch_state(texts in prop::array::uniform3(".{0,8}"), minute in any::<i64>(), source in prop::option::of(".{0,8}"), attempts in prop::array::uniform2(prop::option::of(any::<(i64, i64, u128)>()))) {
        let [tenant, stream, host] = texts;
        let [open, ended] = attempts.map(|own| own.map(|(number, count, hash)| BatchAttempt { number, count, hash: Sum(hash) }));
        let own = BatchState { tenant, stream, host, minute, source, open, ended };
        let framed = check(Subject::Batches, &own, reference::batch_state(&own), true);
        same(Subject::Batches, &framed, &own);
    }

    #[test]
    fn manifest_record(id in ".{0,8}", size in any::<i64>(), n_parts in 0..3_usize, stream in prop::option::of(".{0,8}"), lists in prop::collection::vec(".{0,8}", 0..3)) {
        let range = OffsetRange { partition: 3, from: -1, to: size };
        let part = |n: usize| Part {
            id: format!("{id}.{n}"),
            table: if n == 0 { TableName::Events } else { TableName::Dead },
            stream: stream.clone(), bucket: 1, time_from: 2, time_to: 3, from: 4, to: 5, rows: 6, bytes: size, level: 7,
            hosts: lists.clone(),
            raw: vec![range; n],
        };
        let source = |topic: &String| SourceRange { topic: topic.clone(), partition: 1, from: 2, to: size };
        let own = ManifestRecord {
            id: id.clone(), tenant: "t".into(), object: id.clone(), size, checksum: "c".into(), created: size, group: "g".into(),
            sources: lists.iter().map(source).collect(),
            parts: (0..n_parts).map(part).collect(),
            replaces: lists.clone(),
        };
        let framed = check(Subject::Manifest, &own, reference::manifest(&own), true);
        same(Subject::Manifest, &framed, &own);
    }

    #[test]
    fn any_bytes_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..80)) {
        let framed = [&ID.to_be_bytes()[..], &bytes].concat();
        let value = [&[0][..], &framed].concat();
        drop(codec(Subject::Raw).decode::<RawEvent<'_>>(&value));
        drop(codec(Subject::Parsed).decode::<Event<'_>>(&value));
        drop(codec(Subject::Ledger).decode::<Delta>(&value));
    }

    #[test]
    fn damaged_records_are_read_or_refused(parts in parts(), found in found(), at in any::<prop::sample::Index>(), byte in any::<u8>()) {
        let mut value = Vec::new();
        codec(Subject::Parsed).encode(&event(&parts, &found), &mut value).unwrap();
        let at = 5 + at.index(value.len() - 5);
        value[at] = byte;
        drop(codec(Subject::Parsed).decode::<Event<'_>>(&value));
        drop(codec(Subject::Parsed).decode::<Event<'_>>(&value[..at]));
    }
}

#[test]
fn millions_of_bytes_and_thousands_of_fields() {
    let body = vec![b'x'; 3 << 20];
    let parts = Parts {
        texts: ["t".into(), "s".into(), "h".into()],
        file: None,
        attributes: vec![],
        received: i64::MIN,
        position: Some((i64::MAX, i64::MIN)),
        line_end: LineEnd::CrLf,
        piece: Some((i32::MAX, true)),
        dedup: Some((String::new(), 0, Some(i64::MIN))),
        body,
    };
    let fields = (0..5000).map(|n| (format!("f{n}"), Value::Double(f64::from(n) / 3.0))).collect();
    let found = Found {
        time: -1,
        texts: [Some(String::new()), None, Some("m".repeat(100_000))],
        fields,
        parser: (String::new(), 0),
        flags: vec![String::new(); 1000],
        origin: (0, 0, 0),
    };
    let event = event(&parts, &found);
    check(Subject::Parsed, &event, reference::event(&event), false);
    let mut framed = Vec::new();
    codec(Subject::Parsed).encode(&event, &mut framed).unwrap();
    same(Subject::Parsed, &framed, &event);
}

#[test]
fn special_doubles_keep_their_bits() {
    for number in [0.0, -0.0, f64::INFINITY, f64::NEG_INFINITY, f64::MIN_POSITIVE, f64::MAX] {
        let mut framed = Vec::new();
        let mut event = Event::unparsed(
            RawEvent {
                tenant: "t",
                stream: "s",
                host: "h",
                file: None,
                file_id: None,
                attributes: Attributes::default(),
                received: 0,
                position: None,
                line_end: LineEnd::None,
                piece: None,
                dedup: None,
                body: b"",
            },
            Parser { id: "p", version: 1 },
            Origin { generation: 1, partition: 0, offset: 0 },
        );
        event.fields.push("f", Value::Double(number));
        codec(Subject::Parsed).encode(&event, &mut framed).unwrap();
        let read: Event<'_> = codec(Subject::Parsed).decode(&framed).unwrap();
        match read.fields.find("f") {
            Some(Value::Double(own)) => assert_eq!(own.to_bits(), number.to_bits()),
            other => panic!("{other:?}"),
        }
    }
}
