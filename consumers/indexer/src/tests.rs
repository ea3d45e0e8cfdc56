use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use millrace_formats::split::{Split, Stored, StoredReader};
use millrace_runtime::sink::{BundleBuilder, MergeError, Merger, Sealed};
use millrace_runtime::store::{Store, StoreOptions};
use millrace_schemas::dead::{DeadLetter, REDRIVEN};
use millrace_schemas::ledger::OffsetRange;
use millrace_schemas::manifest::{LivePart, ManifestRecord, Part, TableName};
use millrace_schemas::{Codec, Event, Origin, RawEvent};

use crate::bench::{apache_event, apache_lines, codec};
use crate::{DAY, IndexBuilder, SplitMerger, day_name, day_start};

fn values(codec: &Codec, n: usize) -> Vec<Vec<u8>> {
    (0..).zip(apache_lines(n)).map(|(at, line)| apache_event(codec, &line, at)).collect()
}

fn letter(raw: &RawEvent<'_>, partition: i32, offset: i64) -> DeadLetter {
    DeadLetter {
        topic: "logs.raw".into(),
        partition,
        offset,
        tenant: raw.tenant.into(),
        stream: raw.stream.into(),
        stage: "parse".into(),
        reason: "no_match".into(),
        detail: "expected [".into(),
        parser: "apache".into(),
        parser_version: 1,
    }
}

fn open(sealed: &Sealed, part: &Part) -> Split {
    Split::from_bytes(sealed.bytes[part.from as usize..part.to as usize].to_vec()).unwrap()
}

fn origins(split: &Split) -> Vec<Origin> {
    let reader = StoredReader::new().unwrap();
    let origin = |row| match reader.read(&split.stored(row).unwrap()).unwrap() {
        Stored::Event(event) => event.origin,
        Stored::Dead(letter, _) => {
            Origin { generation: 0, partition: letter.partition, offset: letter.offset }
        }
    };
    (0..split.rows()).map(origin).collect()
}

fn put(store: &Store, sealed: Sealed, id: &str) -> Vec<LivePart> {
    let object = format!("bundles/{id}");
    store.put_new(&object, sealed.bytes).unwrap();
    let live = |(tenant, parts): (String, Vec<Part>)| {
        let record = Arc::new(ManifestRecord {
            id: id.into(),
            tenant,
            object: object.clone(),
            size: 0,
            checksum: String::new(),
            created: 0,
            group: String::new(),
            sources: vec![],
            parts: parts.clone(),
            replaces: vec![],
        });
        parts.into_iter().map(move |part| LivePart { part, record: record.clone() })
    };
    sealed.parts.into_iter().flat_map(live).collect()
}

fn store() -> (tempfile::TempDir, Store) {
    let folder = tempfile::tempdir().unwrap();
    let url = folder.path().display().to_string();
    let store =
        Store::open(&StoreOptions { url, options: vec![], deadline: Duration::from_secs(1) }).unwrap();
    (folder, store)
}

#[test]
fn days_have_their_names() {
    let cases = [
        (0, "1970-01-01"),
        (-1, "1969-12-31"),
        (1_709_164_800_000_000, "2024-02-29"),
        (1_773_273_600_000_000, "2026-03-12"),
        (951_868_800_000_000, "2000-03-01"),
    ];
    for (time, name) in cases {
        assert_eq!(day_name(time), name);
    }
    assert_eq!(day_start(-1), -DAY);
}

#[test]
fn a_repaired_line_leaves_a_mark_among_the_dead_of_its_letters_day() {
    let codec = codec().unwrap();
    let mut builder = IndexBuilder::new(&[codec.id()]).unwrap();
    let values = values(&codec, 2);
    let mut event: Event<'_> = codec.decode(&values[1]).unwrap();
    event.time -= 5 * DAY;
    event.flags.push(REDRIVEN.into());
    let mut again = Vec::new();
    codec.encode(&event, &mut again).unwrap();
    builder.add_event(&event, &again).unwrap();
    let sealed = builder.seal("r").unwrap();
    let parts = &sealed.parts["default"];
    let shown: Vec<_> = parts.iter().map(|part| (part.table, part.bucket, part.rows)).collect();
    let (day, before) = (day_start(event.received), day_start(event.time));
    assert_eq!(shown, [(TableName::Events, before, 1), (TableName::Dead, day, 1)]);
    let mark = open(&sealed, &parts[1]).stored(0).unwrap();
    let reader = StoredReader::new().unwrap();
    let Stored::Dead(letter, raw) = reader.read(&mark).unwrap() else { panic!("a letter") };
    assert_eq!(letter.reason, REDRIVEN);
    assert_eq!((letter.partition, letter.offset), (event.origin.partition, event.origin.offset));
    assert_eq!((raw.received, raw.host, raw.body), (event.received, event.host, b"".as_slice()));
}

#[test]
fn a_bundle_has_one_split_for_each_tenant_table_and_day() {
    let codec = codec().unwrap();
    let mut builder = IndexBuilder::new(&[codec.id()]).unwrap();
    for (at, value) in values(&codec, 30).iter().enumerate() {
        let mut event: Event<'_> = codec.decode(value).unwrap();
        event.tenant = ["a", "b"][at % 2];
        event.time += (at as i64 % 3) * DAY;
        let mut again = Vec::new();
        codec.encode(&event, &mut again).unwrap();
        builder.add_event(&event, &again).unwrap();
        builder.add_dead(&letter(&event.raw(), 4, at as i64), &event.raw(), 0).unwrap();
    }
    assert!(builder.buffered() > 0);
    let sealed = builder.seal("r").unwrap();
    assert_eq!(builder.buffered(), 0);
    assert_eq!(sealed.parts.keys().collect::<Vec<_>>(), ["a", "b"]);
    let mut end = 0;
    for (tenant, parts) in &sealed.parts {
        let ids: Vec<&str> = parts.iter().map(|part| part.id.as_str()).collect();
        assert_eq!(ids, ["r.0", "r.1", "r.2", "r.3"], "three days of events, one of dead letters");
        for part in parts {
            assert_eq!(part.from, end);
            end = part.to;
            let split = open(&sealed, part);
            assert_eq!(i64::from(split.rows()), part.rows);
            assert!(part.time_from >= part.bucket && part.time_to < part.bucket + DAY, "{tenant}");
            let offsets: BTreeSet<i64> = origins(&split).iter().map(|origin| origin.offset).collect();
            let (first, last) = (offsets.first().unwrap(), offsets.last().unwrap());
            let partition = if part.table == TableName::Dead { 4 } else { 0 };
            assert_eq!(part.raw, [OffsetRange { partition, from: *first, to: last + 1 }]);
            assert_eq!(part.hosts, ["web-01"]);
            assert_eq!(part.level, 0);
        }
    }
    assert_eq!(end as usize, sealed.bytes.len());
    assert!(builder.seal("empty").unwrap().parts.is_empty());
}

#[test]
fn an_event_of_an_unknown_schema_id_is_stored_anew() {
    let codec = codec().unwrap();
    let mut builder = IndexBuilder::new(&[codec.id() + 7]).unwrap();
    for value in &values(&codec, 3) {
        builder.add_event(&codec.decode(value).unwrap(), value).unwrap();
    }
    let sealed = builder.seal("r").unwrap();
    assert_eq!(origins(&open(&sealed, &sealed.parts["default"][0])).len(), 3);
}

#[test]
fn too_many_hosts_are_not_listed() {
    let codec = codec().unwrap();
    let hosts: Vec<String> = (0..=Part::MAX_HOSTS).map(|n| format!("h{n}")).collect();
    let mut builder = IndexBuilder::new(&[]).unwrap();
    for (value, host) in values(&codec, hosts.len()).iter().zip(&hosts) {
        let mut event: Event<'_> = codec.decode(value).unwrap();
        event.host = host;
        builder.add_event(&event, value).unwrap();
    }
    assert!(builder.seal("r").unwrap().parts["default"][0].hosts.is_empty());
}

#[test]
fn merging_keeps_rows_and_adds_a_level() {
    let (_folder, store) = store();
    let codec = codec().unwrap();
    let all = values(&codec, 300);
    let mut live = Vec::new();
    for (n, chunk) in all.chunks(70).enumerate() {
        let mut builder = IndexBuilder::new(&[codec.id()]).unwrap();
        for value in chunk {
            builder.add_event(&codec.decode(value).unwrap(), value).unwrap();
        }
        live.extend(put(&store, builder.seal(&format!("r{n}")).unwrap(), &format!("r{n}")));
    }
    let merger = SplitMerger::default();
    assert!(merger.rewrite_alone(&live[0]));
    assert_eq!(merger.path(&live, "m"), "index/tenant=default/day=2026-03-12/m.split");
    let (bytes, part) = merger.merge(&store, &live, "m").unwrap();
    assert_eq!((part.id.as_str(), part.level, part.rows), ("m.0", 1, 300));
    assert_eq!((part.from, part.to), (0, bytes.len() as i64));
    assert_eq!(part.bytes, live.iter().map(|live| live.part.bytes).sum::<i64>());
    assert_eq!(part.raw, [OffsetRange { partition: 0, from: 0, to: 300 }]);
    let mut seen: Vec<i64> =
        origins(&Split::from_bytes(bytes).unwrap()).iter().map(|own| own.offset).collect();
    seen.sort_unstable();
    assert_eq!(seen, (0..300).collect::<Vec<_>>());

    let (alone, part) = merger.merge(&store, &live[..1], "n").unwrap();
    assert_eq!((part.level, part.rows, part.to), (1, 70, alone.len() as i64));
}

#[test]
fn parts_of_a_remote_store_are_merged_from_copies() {
    let options =
        StoreOptions { url: "memory:///".into(), options: vec![], deadline: Duration::from_secs(1) };
    let store = Store::open(&options).unwrap();
    let codec = codec().unwrap();
    let mut live = Vec::new();
    for (n, chunk) in values(&codec, 20).chunks(10).enumerate() {
        let mut builder = IndexBuilder::new(&[codec.id()]).unwrap();
        for value in chunk {
            builder.add_event(&codec.decode(value).unwrap(), value).unwrap();
        }
        live.extend(put(&store, builder.seal(&format!("r{n}")).unwrap(), &format!("r{n}")));
    }
    let (bytes, part) = SplitMerger::default().merge(&store, &live, "m").unwrap();
    assert_eq!((part.rows, Split::from_bytes(bytes).unwrap().rows()), (20, 20));
}

#[test]
fn a_merge_refuses_what_does_not_add_up() {
    let (folder, store) = store();
    let codec = codec().unwrap();
    let mut builder = IndexBuilder::new(&[codec.id()]).unwrap();
    for value in &values(&codec, 5) {
        builder.add_event(&codec.decode(value).unwrap(), value).unwrap();
    }
    let live = put(&store, builder.seal("r").unwrap(), "r");
    let merger = SplitMerger::default();
    let mut wrong_rows = live.clone();
    wrong_rows[0].part.rows += 1;
    assert!(matches!(merger.merge(&store, &wrong_rows, "m"), Err(MergeError::Damaged { .. })));
    let mut wrong_range = live.clone();
    wrong_range[0].part.to += 1;
    assert!(matches!(merger.merge(&store, &wrong_range, "m"), Err(MergeError::Damaged { .. })));
    // Rot: the object is named, alone and among others, and never merged.
    let path = folder.path().join("bundles/r");
    let bytes = std::fs::read(&path).unwrap();
    for at in (0..bytes.len()).step_by(211) {
        let mut flipped = bytes.clone();
        flipped[at] ^= 2;
        std::fs::write(&path, flipped).unwrap();
        let error = merger.merge(&store, &live, "m").unwrap_err();
        assert!(
            matches!(&error, MergeError::Damaged { object, .. } if object == "bundles/r"),
            "{at}: {error}"
        );
    }
    std::fs::remove_file(folder.path().join("bundles/r")).unwrap();
    assert!(matches!(merger.merge(&store, &live, "m"), Err(MergeError::Store(_))));
}
