//! The Rust types as values of the reference implementation, written out by hand: independent of serde.

use apache_avro::Schema;
use apache_avro::reader::datum::GenericDatumReader;
use apache_avro::types::Value as Avro;
use apache_avro::writer::datum::GenericDatumWriter;
use millrace_schemas::attempt::{BatchAttempt, BatchState};
use millrace_schemas::ledger::{Delta, OffsetRange};
use millrace_schemas::manifest::{ManifestRecord, Part, SourceRange, TableName};
use millrace_schemas::position::FilePosition;
use millrace_schemas::progress::Progress;
use millrace_schemas::{Dedup, Event, LineEnd, Origin, Parser, Piece, Position, RawEvent, Value};

/// The datum of `value`.
pub(crate) fn write(schema: &Schema, value: &Avro) -> Vec<u8> {
    let writer = GenericDatumWriter::builder(schema).build().unwrap();
    writer.write_value_to_vec(value.clone()).unwrap()
}

/// The value of `datum`, all of it.
pub(crate) fn read(schema: &Schema, mut datum: &[u8]) -> Avro {
    let value = GenericDatumReader::builder(schema).build().unwrap().read_value(&mut datum).unwrap();
    assert!(datum.is_empty());
    value
}

fn text(text: &str) -> Avro {
    Avro::String(text.to_owned())
}

fn record<const N: usize>(fields: [(&str, Avro); N]) -> Avro {
    Avro::Record(fields.map(|(name, value)| (name.to_owned(), value)).into())
}

fn optional(value: Option<Avro>) -> Avro {
    match value {
        Some(value) => Avro::Union(1, Box::new(value)),
        None => Avro::Union(0, Box::new(Avro::Null)),
    }
}

pub(crate) fn raw(raw: &RawEvent<'_>) -> Avro {
    let position = |Position { byte, line }| record([("byte", Avro::Long(byte)), ("line", Avro::Long(line))]);
    let piece = |Piece { index, last }| record([("index", Avro::Int(index)), ("last", Avro::Boolean(last))]);
    let dedup = |Dedup { scope, index, attempt }| {
        let attempt = optional(attempt.map(Avro::Long));
        record([("scope", text(scope)), ("index", Avro::Long(index)), ("attempt", attempt)])
    };
    let attributes = raw.attributes.0.iter().map(|(name, value)| (name.to_string(), text(value)));
    let line_end = match raw.line_end {
        LineEnd::None => Avro::Enum(0, "NONE".to_owned()),
        LineEnd::Lf => Avro::Enum(1, "LF".to_owned()),
        LineEnd::CrLf => Avro::Enum(2, "CRLF".to_owned()),
    };
    record([
        ("tenant", text(raw.tenant)),
        ("stream", text(raw.stream)),
        ("host", text(raw.host)),
        ("file", optional(raw.file.map(text))),
        ("file_id", optional(raw.file_id.map(text))),
        ("attributes", Avro::Map(attributes.collect())),
        ("received", Avro::TimestampMicros(raw.received)),
        ("position", optional(raw.position.map(position))),
        ("line_end", line_end),
        ("piece", optional(raw.piece.map(piece))),
        ("dedup", optional(raw.dedup.map(dedup))),
        ("body", Avro::Bytes(raw.body.to_vec())),
    ])
}

pub(crate) fn event(event: &Event<'_>) -> Avro {
    let value = |value: &Value<'_>| match value {
        Value::String(own) => Avro::Union(0, Box::new(text(own))),
        Value::Long(number) => Avro::Union(1, Box::new(Avro::Long(*number))),
        Value::Double(number) => Avro::Union(2, Box::new(Avro::Double(*number))),
        Value::Boolean(truth) => Avro::Union(3, Box::new(Avro::Boolean(*truth))),
    };
    let fields = event.fields.0.iter().map(|(name, own)| (name.to_string(), value(own)));
    let Parser { id, version } = event.parser;
    let Origin { generation, partition, offset } = event.origin;
    let mut all = match raw(&event.raw()) {
        Avro::Record(all) => all,
        other => panic!("{other:?}"),
    };
    let found = record([
        ("time", Avro::TimestampMicros(event.time)),
        ("severity", optional(event.severity.as_deref().map(text))),
        ("user", optional(event.user.as_deref().map(text))),
        ("message", optional(event.message.as_deref().map(text))),
        ("fields", Avro::Map(fields.collect())),
        ("parser", record([("id", text(id)), ("version", Avro::Int(version))])),
        ("flags", Avro::Array(event.flags.iter().map(|flag| text(flag)).collect())),
        (
            "origin",
            record([
                ("generation", Avro::Int(generation)),
                ("partition", Avro::Int(partition)),
                ("offset", Avro::Long(offset)),
            ]),
        ),
    ]);
    if let Avro::Record(found) = found {
        all.extend(found);
    }
    Avro::Record(all)
}

fn ranges(ranges: &[OffsetRange]) -> Avro {
    let range = |range: &OffsetRange| {
        record([
            ("partition", Avro::Int(range.partition)),
            ("from", Avro::Long(range.from)),
            ("to", Avro::Long(range.to)),
        ])
    };
    Avro::Array(ranges.iter().map(range).collect())
}

pub(crate) fn delta(delta: &Delta) -> Avro {
    record([
        ("generation", Avro::Int(delta.generation)),
        ("tenant", text(&delta.tenant)),
        ("stream", text(&delta.stream)),
        ("minute", Avro::TimestampMicros(delta.minute)),
        ("stage", text(&delta.stage)),
        ("edge", text(&delta.edge)),
        ("count", Avro::Long(delta.count)),
        ("bytes", Avro::Long(delta.bytes)),
        ("hash", Avro::Fixed(16, delta.hash.0.to_be_bytes().to_vec())),
        ("ranges", ranges(&delta.ranges)),
    ])
}

pub(crate) fn position(own: &FilePosition) -> Avro {
    record([
        ("tenant", text(&own.tenant)),
        ("forwarder", text(&own.forwarder)),
        ("file_id", text(&own.file_id)),
        ("stream", text(&own.stream)),
        ("path", text(&own.path)),
        ("device", Avro::Long(own.device)),
        ("inode", Avro::Long(own.inode)),
        ("prefix_len", Avro::Int(own.prefix_len)),
        ("prefix_hash", Avro::Long(own.prefix_hash)),
        ("tail_len", Avro::Int(own.tail_len)),
        ("tail_hash", Avro::Long(own.tail_hash)),
        ("truncations", Avro::Int(own.truncations)),
        ("byte", Avro::Long(own.byte)),
        ("line", Avro::Long(own.line)),
        ("piece", Avro::Int(own.piece)),
        ("first_seen", Avro::TimestampMicros(own.first_seen)),
        ("lost", Avro::Long(own.lost)),
        ("finished", Avro::Boolean(own.finished)),
        ("text", optional(own.text.map(Avro::Long))),
        ("cursor", optional(own.cursor.as_deref().map(text))),
    ])
}

pub(crate) fn progress(own: &Progress) -> Avro {
    record([
        ("topic", text(&own.topic)),
        ("partition", Avro::Int(own.partition)),
        ("next", Avro::Long(own.next)),
        ("version", Avro::Int(own.version)),
    ])
}

pub(crate) fn batch_state(own: &BatchState) -> Avro {
    let attempt = |own: BatchAttempt| {
        record([
            ("number", Avro::Long(own.number)),
            ("count", Avro::Long(own.count)),
            ("hash", Avro::Fixed(16, own.hash.0.to_be_bytes().to_vec())),
        ])
    };
    record([
        ("tenant", text(&own.tenant)),
        ("stream", text(&own.stream)),
        ("host", text(&own.host)),
        ("minute", Avro::Long(own.minute)),
        ("source", optional(own.source.as_deref().map(text))),
        ("open", optional(own.open.map(attempt))),
        ("ended", optional(own.ended.map(attempt))),
    ])
}

pub(crate) fn manifest(own: &ManifestRecord) -> Avro {
    let texts = |texts: &[String]| Avro::Array(texts.iter().map(|own| text(own)).collect());
    let source = |source: &SourceRange| {
        record([
            ("topic", text(&source.topic)),
            ("partition", Avro::Int(source.partition)),
            ("from", Avro::Long(source.from)),
            ("to", Avro::Long(source.to)),
        ])
    };
    let part = |part: &Part| {
        let table = match part.table {
            TableName::Events => Avro::Enum(0, "events".to_owned()),
            TableName::Dead => Avro::Enum(1, "dead".to_owned()),
        };
        record([
            ("id", text(&part.id)),
            ("table", table),
            ("stream", optional(part.stream.as_deref().map(text))),
            ("bucket", Avro::Long(part.bucket)),
            ("time_from", Avro::Long(part.time_from)),
            ("time_to", Avro::Long(part.time_to)),
            ("from", Avro::Long(part.from)),
            ("to", Avro::Long(part.to)),
            ("rows", Avro::Long(part.rows)),
            ("bytes", Avro::Long(part.bytes)),
            ("level", Avro::Int(part.level)),
            ("hosts", texts(&part.hosts)),
            ("raw", ranges(&part.raw)),
        ])
    };
    record([
        ("id", text(&own.id)),
        ("tenant", text(&own.tenant)),
        ("object", text(&own.object)),
        ("size", Avro::Long(own.size)),
        ("checksum", text(&own.checksum)),
        ("created", Avro::TimestampMicros(own.created)),
        ("group", text(&own.group)),
        ("sources", Avro::Array(own.sources.iter().map(source).collect())),
        ("parts", Avro::Array(own.parts.iter().map(part).collect())),
        ("replaces", texts(&own.replaces)),
    ])
}
