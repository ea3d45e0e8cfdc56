//! Bundles hold every row once, in the part that the manifest says; merges lose and double nothing.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use millrace_formats::table::TableReader;
use millrace_runtime::sink::{BundleBuilder, MergeError, Merger, Sealed};
use millrace_runtime::store::{Store, StoreOptions};
use millrace_schemas::dead::DeadLetter;
use millrace_schemas::ledger::OffsetRange;
use millrace_schemas::manifest::{LivePart, ManifestRecord, Part, TableName};
use millrace_schemas::{Attributes, Event, LineEnd, Origin, Parser, Position, RawEvent};
use proptest::prelude::*;

use crate::{ArchiveBuilder, ArchiveMerger, bench};

const HOUR: i64 = 3_600_000_000;

fn raw<'a>(tenant: &'a str, stream: &'a str, host: &'a str, byte: i64, body: &'a [u8]) -> RawEvent<'a> {
    RawEvent {
        tenant,
        stream,
        host,
        file: Some("/var/log/a.log"),
        file_id: Some("f1"),
        attributes: Attributes::default(),
        received: 7 * HOUR + byte,
        position: Some(Position { byte, line: 0 }),
        line_end: LineEnd::Lf,
        piece: None,
        dedup: None,
        body,
    }
}

fn event<'a>(raw: RawEvent<'a>, time: i64, partition: i32, offset: i64) -> Event<'a> {
    let origin = Origin { generation: 0, partition, offset };
    Event { time, ..Event::unparsed(raw, Parser { id: "plain", version: 1 }, origin) }
}

fn letter(offset: i64) -> DeadLetter {
    DeadLetter {
        topic: "logs.raw".into(),
        partition: 0,
        offset,
        tenant: "default".into(),
        stream: "web".into(),
        stage: "parse".into(),
        reason: "no_match".into(),
        detail: String::new(),
        parser: "plain".into(),
        parser_version: 1,
    }
}

fn store(folder: &tempfile::TempDir) -> Store {
    let url = folder.path().display().to_string();
    Store::open(&StoreOptions { url, options: vec![], deadline: Duration::from_secs(1) }).unwrap()
}

/// Puts a bundle, as the sink loop does; gives the live parts of `tenant`.
fn put(store: &Store, name: &str, sealed: Sealed, tenant: &str) -> Vec<LivePart> {
    let object = format!("bundles/{name}");
    let size = sealed.bytes.len() as i64;
    store.put_new(&object, sealed.bytes).unwrap();
    let record = Arc::new(ManifestRecord {
        id: name.into(),
        tenant: tenant.into(),
        object,
        size,
        checksum: String::new(),
        created: 0,
        group: "millrace.archive".into(),
        sources: vec![],
        parts: sealed.parts[tenant].clone(),
        replaces: vec![],
    });
    record.parts.iter().map(|part| LivePart { part: part.clone(), record: record.clone() }).collect()
}

/// `offset:body` of each row of a row file.
fn rows(file: Bytes) -> Vec<String> {
    let len = file.len() as u64;
    let reader = TableReader::open(file, len).unwrap();
    let mut rows = Vec::new();
    for group in reader.groups() {
        for batch in reader.lines(group, 0..group.rows, true).unwrap() {
            let batch = batch.unwrap();
            let row = |at| {
                let mut body = Vec::new();
                batch.body(at, &mut body).unwrap();
                format!("{}:{}", batch.key(at).place.origin.offset, body.escape_ascii())
            };
            rows.extend((0..batch.len()).map(row));
        }
    }
    rows
}

#[test]
fn a_bundle_has_one_part_per_tenant_stream_table_and_hour() {
    let mut builder = ArchiveBuilder::new();
    assert_eq!(builder.buffered(), 0);
    let one = [
        (event(raw("default", "web", "h1", 0, b"a"), HOUR - 1, 0, 10), "hour 0"),
        (event(raw("default", "web", "h2", 2, b"bb"), HOUR, 1, 20), "hour 1"),
        (event(raw("default", "web", "h1", 4, b"ccc"), 2 * HOUR - 1, 1, 25), "hour 1"),
        (event(raw("default", "app", "h1", 4, b""), -1, 0, 11), "the hour before 1970"),
        (event(raw("other", "web", "h1", 4, b"x"), 0, 0, 12), "another tenant"),
    ];
    for (event, _) in &one {
        builder.add_event(event, &[]).unwrap();
    }
    builder.add_dead(&letter(13), &raw("default", "web", "h3", 5, b"\xff"), 0).unwrap();
    assert!(builder.buffered() > 0);
    let sealed = builder.seal("r").unwrap();
    assert_eq!(builder.buffered(), 0);

    let parts = &sealed.parts["default"];
    let shown: Vec<String> = parts
        .iter()
        .map(|part| {
            let Part { id, table, bucket, time_from, time_to, rows, bytes, hosts, .. } = part;
            let stream = part.stream.as_deref().unwrap_or("-");
            let hour = bucket / HOUR;
            format!(
                "{id} {stream} {} {hour} {time_from}..={time_to} {rows} {bytes} {hosts:?}",
                table.as_str()
            )
        })
        .collect();
    assert_eq!(
        shown,
        [
            "r.0 app events -1 -1..=-1 1 0 [\"h1\"]",
            "r.1 web events 0 3599999999..=3599999999 1 1 [\"h1\"]",
            "r.2 web events 1 3600000000..=7199999999 2 5 [\"h1\", \"h2\"]",
            "r.3 web dead 7 25200000005..=25200000005 1 1 [\"h3\"]",
        ]
    );
    assert_eq!(parts[2].raw, [OffsetRange { partition: 1, from: 20, to: 26 }]);
    assert_eq!(sealed.parts["other"].len(), 1);
    assert_eq!(sealed.parts["other"][0].to, sealed.bytes.len() as i64);
    let bytes = Bytes::from(sealed.bytes);
    let cut = |part: &Part| rows(bytes.slice(part.from as usize..part.to as usize));
    assert_eq!(cut(&parts[2]), ["25:ccc", "20:bb"]);
    assert_eq!(cut(&parts[3]), ["13:\\xff"]);
}

#[test]
fn many_hosts_are_not_listed() {
    let hosts: Vec<String> = (0..=Part::MAX_HOSTS).map(|n| format!("h{n}")).collect();
    let mut builder = ArchiveBuilder::new();
    for host in &hosts {
        builder.add_event(&event(raw("default", "web", host, 0, b""), 0, 0, 0), &[]).unwrap();
    }
    assert_eq!(builder.seal("r").unwrap().parts["default"][0].hosts, Vec::<String>::new());
}

#[test]
fn a_damaged_object_is_named_and_never_merged() {
    let folder = tempfile::tempdir().unwrap();
    let store = store(&folder);
    let mut parts = Vec::new();
    for (n, name) in (0i64..).zip(["a", "b"]) {
        let mut builder = ArchiveBuilder::new();
        builder.add_event(&event(raw("default", "web", "h", n * 10, b"a line"), 0, 0, n), &[]).unwrap();
        parts.extend(put(&store, name, builder.seal(name).unwrap(), "default"));
    }
    let path = folder.path().join("bundles/b");
    let bytes = std::fs::read(&path).unwrap();
    ArchiveMerger::new().merge(&store, &parts, "m").unwrap();
    for at in (b"PAR1".len()..bytes.len()).step_by(53) {
        let mut flipped = bytes.clone();
        flipped[at] ^= 2;
        std::fs::write(&path, flipped).unwrap();
        let error = ArchiveMerger::new().merge(&store, &parts, "m").unwrap_err();
        assert!(
            matches!(&error, MergeError::Damaged { object, .. } if object == "bundles/b"),
            "{at}: {error}"
        );
    }
    std::fs::write(&path, &bytes[..bytes.len() / 2]).unwrap();
    let error = ArchiveMerger::new().merge(&store, &parts, "m").unwrap_err();
    assert!(matches!(&error, MergeError::Store(error) if error.is_damage()), "{error}");
}

#[test]
fn a_merge_that_does_not_add_up_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let store = store(&folder);
    let mut builder = ArchiveBuilder::new();
    builder.add_event(&event(raw("default", "web", "h", 0, b"abc"), 0, 0, 0), &[]).unwrap();
    let good = put(&store, "a", builder.seal("a").unwrap(), "default").remove(0);
    let merger = ArchiveMerger::new();
    let refused = |live: LivePart| match merger.merge(&store, &[good.clone(), live], "m") {
        Err(MergeError::Build(error)) => error.to_string(),
        Err(MergeError::Store(error)) => format!("store: {}", error.action),
        Err(MergeError::Damaged { object, reason }) => format!("{object}: {reason}"),
        Ok(_) => "taken".to_owned(),
    };
    let mut rows = good.clone();
    rows.part.rows = 2;
    assert!(refused(rows).contains("3 rows"), "rows");
    let mut bytes = good.clone();
    bytes.part.bytes = 4;
    assert!(refused(bytes).contains("7 bytes"), "bytes");
    let mut hour = good.clone();
    hour.part.bucket = HOUR;
    assert!(refused(hour).contains("several"), "hour");
    let mut cut = good.clone();
    cut.part.to -= 1;
    assert!(refused(cut).contains("row file"), "cut");
    let mut gone = good.clone();
    Arc::make_mut(&mut gone.record).object = "bundles/none".into();
    assert_eq!(refused(gone), "store: read");
    assert_eq!(refused(good.clone()), "taken");
}

#[test]
fn only_parts_of_bundles_are_rewritten_alone() {
    let folder = tempfile::tempdir().unwrap();
    let store = store(&folder);
    let mut builder = ArchiveBuilder::new();
    builder.add_event(&event(raw("default", "we/b", "h", 0, b"abc"), 30 * HOUR, 0, 0), &[]).unwrap();
    let live = put(&store, "a", builder.seal("a").unwrap(), "default").remove(0);
    let merger = ArchiveMerger::new();
    assert!(merger.rewrite_alone(&live));
    let path = merger.path(std::slice::from_ref(&live), "m-1");
    assert_eq!(path, "events/tenant=default/stream=we!2Fb/date=1970-01-02/hour=06/m-1.parquet");
    let mut plain = live;
    Arc::make_mut(&mut plain.record).object = path;
    assert!(!merger.rewrite_alone(&plain));
}

#[test]
fn the_bench_counts_what_it_archives() {
    let lines: Vec<String> = (0..500).map(|n| format!("line {n} of many that look alike")).collect();
    let events: Vec<Event<'_>> = lines
        .iter()
        .enumerate()
        .map(|(n, line)| {
            let at = n as i64;
            event(raw("default", "web", "h", at * 40, line.as_bytes()), at, 0, at)
        })
        .collect();
    let measured = bench::archive(&events).unwrap();
    let text: usize = lines.iter().map(|line| line.len() + 1).sum();
    assert_eq!((measured.rows, measured.text_bytes), (500, text as u64));
    assert!(measured.parquet_bytes > 0 && measured.parquet_bytes < measured.text_bytes);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    /// However rows are spread over bundles, their merge has each once, in order, and says so.
    #[test]
    fn a_merge_holds_every_row_once(
        bodies in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..20), 1..60),
        ways in 1usize..5,
        shuffle in any::<u64>(),
    ) {
        let folder = tempfile::tempdir().unwrap();
        let store = store(&folder);
        let mut builders: Vec<ArchiveBuilder> = (0..ways).map(|_| ArchiveBuilder::new()).collect();
        let mut expected: Vec<String> = Vec::new();
        for (n, body) in bodies.iter().enumerate() {
            let way = (shuffle.rotate_left(n as u32 * 7) % ways as u64) as usize;
            let own = event(raw("default", "web", "h", n as i64 * 100, body), n as i64, 0, n as i64);
            builders[way].add_event(&own, &[]).unwrap();
            expected.push(format!("{n}:{}", body.escape_ascii()));
        }
        let mut parts = Vec::new();
        for (way, mut builder) in builders.into_iter().enumerate() {
            let sealed = builder.seal(&format!("b{way}")).unwrap();
            if !sealed.parts.is_empty() {
                parts.extend(put(&store, &format!("b{way}"), sealed, "default"));
            }
        }
        let (merged, part) = ArchiveMerger::new().merge(&store, &parts, "m").unwrap();
        prop_assert_eq!((part.from, part.to), (0, merged.len() as i64));
        prop_assert_eq!(rows(merged.into()), expected);
        prop_assert_eq!((part.id.as_str(), part.table, part.level), ("m.0", TableName::Events, 1));
        prop_assert_eq!((part.rows, part.time_from, part.time_to), (bodies.len() as i64, 0, bodies.len() as i64 - 1));
        prop_assert_eq!(part.bytes, bodies.iter().map(|body| body.len() as i64).sum::<i64>());
        prop_assert_eq!(part.raw, vec![OffsetRange { partition: 0, from: 0, to: bodies.len() as i64 }]);
    }
}
