//! Files come out of the archive as they went into it, and what is missing is said.

use std::collections::BTreeMap;
use std::time::Duration;

use millrace_formats::table::{Effort, TableBuilder};
use millrace_runtime::store::StoreOptions;
use millrace_schemas::dead::DeadLetter;
use millrace_schemas::manifest::{ManifestRecord, Part, TableName};
use millrace_schemas::{Attributes, Dedup, Event, LineEnd, Origin, Parser, Piece, Position, RawEvent, Value};
use proptest::prelude::*;

use super::*;

const PATH: (&str, &str, &str) = ("default", "h", "/var/log/a.log");

/// A row to archive.
#[derive(Debug, Clone)]
struct Row {
    file_id: Option<&'static str>,
    host: &'static str,
    received: i64,
    byte: Option<i64>,
    piece: Option<Piece>,
    body: Vec<u8>,
    end: LineEnd,
    offset: i64,
    attempt: Option<i64>,
    dead: bool,
}

fn row(byte: i64, body: &str, offset: i64) -> Row {
    let body = body.as_bytes().to_vec();
    Row {
        file_id: Some("f1"),
        host: "h",
        received: 100,
        byte: Some(byte),
        piece: None,
        body,
        end: LineEnd::Lf,
        offset,
        attempt: None,
        dead: false,
    }
}

/// An archive in a temporary folder.
struct World {
    fold: Fold,
    store: Store,
    superseded: Hidden,
    _folder: tempfile::TempDir,
}

impl World {
    /// One bundle per list of rows, with one part per table in it.
    fn of(bundles: &[Vec<Row>]) -> World {
        let folder = tempfile::tempdir().unwrap();
        let url = folder.path().display().to_string();
        let options = StoreOptions { url, options: vec![], deadline: Duration::from_secs(1) };
        let mut archive = World {
            fold: Fold::default(),
            store: Store::open(&options).unwrap(),
            superseded: Hidden::default(),
            _folder: folder,
        };
        for (n, rows) in bundles.iter().enumerate() {
            archive.add(&format!("b{n}"), rows);
        }
        archive
    }

    fn add(&mut self, id: &str, rows: &[Row]) {
        let mut bytes = b"not a row file: ".to_vec();
        let mut parts = Vec::new();
        for (table, dead) in [(TableName::Events, false), (TableName::Dead, true)] {
            let mut builder = TableBuilder::new(table);
            for row in rows.iter().filter(|row| row.dead == dead) {
                push(&mut builder, row);
            }
            let rows = builder.rows() as i64;
            if rows > 0 {
                let from = bytes.len() as i64;
                builder.finish(Effort::Fast, &mut bytes).unwrap();
                let id = format!("{id}.{}", parts.len());
                parts.push(part(id, table, from, bytes.len() as i64, rows));
            }
        }
        let record = ManifestRecord {
            id: id.into(),
            tenant: "default".into(),
            object: format!("bundles/{id}"),
            size: bytes.len() as i64,
            checksum: "c".into(),
            created: 0,
            group: "millrace.archive".into(),
            sources: vec![],
            parts,
            replaces: vec![],
        };
        self.store.put_new(&record.object, bytes).unwrap();
        self.fold.apply(&record.key(), Some(record));
    }

    fn view(&self) -> Archive<'_> {
        Archive { fold: &self.fold, store: &self.store, superseded: &self.superseded, partial: false }
    }

    fn cat(&self, which: Which<'_>) -> (Vec<u8>, Vec<Incarnation>) {
        let mut out = Vec::new();
        let written = cat(&self.view(), PATH, which, &mut out).unwrap();
        (out, written.incarnations)
    }

    /// The newest incarnation as text, and its warnings.
    fn newest(&self) -> (String, Vec<Warning>) {
        let (out, written) = self.cat(Which::Newest);
        (String::from_utf8(out).unwrap(), written[0].warnings.clone())
    }
}

fn part(id: String, table: TableName, from: i64, to: i64, rows: i64) -> Part {
    Part {
        id,
        table,
        stream: Some("web".into()),
        bucket: 0,
        time_from: 0,
        time_to: 0,
        from,
        to,
        rows,
        bytes: 0,
        level: 0,
        hosts: vec!["g".into(), "h".into()],
        raw: vec![],
    }
}

fn push(builder: &mut TableBuilder, row: &Row) {
    let origin = Origin { generation: 0, partition: 0, offset: row.offset };
    let raw = RawEvent {
        tenant: "default",
        stream: "web",
        host: row.host,
        file: Some("/var/log/a.log"),
        file_id: row.file_id,
        attributes: Attributes::default(),
        received: row.received,
        position: row.byte.map(|byte| Position { byte, line: 0 }),
        line_end: row.end,
        piece: row.piece,
        dedup: Some(Dedup { scope: "s", index: 0, attempt: row.attempt }),
        body: &row.body,
    };
    if row.dead {
        let letter = DeadLetter {
            topic: "logs.raw".into(),
            partition: 0,
            offset: row.offset,
            tenant: "default".into(),
            stream: "web".into(),
            stage: "parse".into(),
            reason: "no_match".into(),
            detail: String::new(),
            parser: String::new(),
            parser_version: 0,
        };
        builder.push_dead(&letter, &raw, origin).unwrap();
    } else {
        let mut event = Event::unparsed(raw, Parser { id: "plain", version: 1 }, origin);
        if let Ok(text) = std::str::from_utf8(&row.body) {
            // The body is then stored as a template of this field.
            event.fields.push("all", Value::String(text.into()));
        }
        builder.push_event(&event).unwrap();
    }
}

#[test]
fn dead_letters_fill_their_places_until_they_are_parsed() {
    let dead = Row { dead: true, ..row(3, "BB", 1) };
    let archive = World::of(&[vec![row(0, "aa", 0), dead.clone(), row(6, "cc", 2)]]);
    assert_eq!(archive.newest(), ("aa\nBB\ncc\n".into(), vec![]));
    let redriven = World::of(&[vec![row(0, "aa", 0), dead, row(6, "cc", 2)], vec![row(3, "bb", 1)]]);
    assert_eq!(redriven.newest(), ("aa\nbb\ncc\n".into(), vec![]));
}

#[test]
fn the_later_attempt_counts() {
    let first = Row { attempt: Some(1), ..row(0, "old", 9) };
    let second = Row { attempt: Some(2), ..row(0, "new", 3) };
    let repeated = Warning::Repeated { from: 0, to: 4, rows: 1 };
    assert_eq!(World::of(&[vec![second], vec![first]]).newest(), ("new\n".into(), vec![repeated]));
}

#[test]
fn lines_of_an_attempt_that_was_replaced_do_not_count() {
    let of = |attempt, row| Row { attempt: Some(attempt), ..row };
    let old = [row(0, "aa", 0), row(3, "bb", 1), row(6, "longer", 2)].map(|row| of(1, row));
    let new = [row(0, "aa", 5), row(3, "BB", 6)].map(|row| of(2, row));
    let mut archive = World::of(&[old.into(), new.into()]);
    archive.superseded = Hidden::from_iter(["1/web/s".to_owned()]);
    assert_eq!(archive.newest(), ("aa\nBB\n".into(), vec![]));
    archive.superseded = Hidden::from_iter(["2/web/s".to_owned()]);
    assert_eq!(archive.newest().0, "aa\nbb\nlonger\n");
}

#[test]
fn missing_and_doubled_bytes_are_reported() {
    let archive = World::of(&[vec![row(4, "bb", 0), row(9, "cccc", 1), row(12, "Cdd", 2)]]);
    let (text, warnings) = archive.newest();
    assert_eq!(text, "bb\ncccc\nd\n");
    assert_eq!(
        warnings,
        [
            Warning::Gap { from: 0, to: 4 },
            Warning::Gap { from: 7, to: 9 },
            Warning::Overlap { from: 12, to: 14 },
        ]
    );
    let incarnation = incarnations(&archive.view(), PATH).unwrap().incarnations.remove(0);
    assert_eq!((incarnation.lines, incarnation.bytes, incarnation.complete), (3, 10, false));
}

#[test]
fn incarnations_come_in_order_of_first_sight() {
    let of = |file_id, received, body| Row { file_id, received, ..row(0, body, received) };
    let bundles = [
        vec![of(Some("zz"), 1, "first"), of(Some("aa"), 3, "third"), of(None, 2, "second")],
        vec![Row { host: "g", ..row(0, "another host", 9) }],
    ];
    let archive = World::of(&bundles);
    assert_eq!(archive.newest().0, "third\n");
    let (all, written) = archive.cat(Which::All);
    assert_eq!(all, b"first\nsecond\nthird\n");
    let ids: Vec<Option<&str>> = written.iter().map(|own| own.file_id.as_deref()).collect();
    assert_eq!(ids, [Some("zz"), None, Some("aa")]);
    assert_eq!(archive.cat(Which::One("zz")).0, b"first\n");
    assert_eq!(archive.cat(Which::One("-")).0, b"second\n");
}

#[test]
fn what_is_not_there_is_an_error() {
    let archive = World::of(&[vec![row(0, "aa", 0)]]);
    let mut out = Vec::new();
    let mut failed = |at, which| cat(&archive.view(), at, which, &mut out).unwrap_err();
    assert!(matches!(failed(("default", "h", "/none"), Which::Newest), CatError::NotFound { .. }));
    assert!(matches!(failed(("other", "h", "/var/log/a.log"), Which::All), CatError::NotFound { .. }));
    let wrong = failed(PATH, Which::One("f9")).to_string();
    assert_eq!(wrong, "/var/log/a.log on host h has no incarnation f9; it has f1");
    archive.store.delete("bundles/b0").unwrap();
    let lost = failed(PATH, Which::Newest).to_string();
    let wanted = "could not read bundles/b0: it is not in the store; bring the object back as it was, or give --partial";
    assert!(lost.starts_with(wanted), "{lost}");
}

#[test]
fn what_is_lost_or_damaged_is_left_out_where_that_is_wanted() {
    let other = Row { host: "g", ..row(0, "another host", 9) };
    let bundles = [
        vec![row(0, "aa", 0)],
        vec![row(3, "bb", 1)],
        vec![row(6, "cc", 2)],
        vec![row(9, "dd", 3)],
        vec![other],
    ];
    let archive = World::of(&bundles);
    archive.store.delete("bundles/b1").unwrap();
    let rotten = archive.store.local_file("bundles/b2").unwrap();
    let bytes = std::fs::read(&rotten).unwrap();
    std::fs::write(&rotten, &bytes[..bytes.len() - 1]).unwrap();
    let partial = Archive { partial: true, ..archive.view() };
    let ask = |which| {
        let mut out = Vec::new();
        let written = cat(&partial, PATH, which, &mut out).unwrap();
        (String::from_utf8(out).unwrap(), written)
    };

    let (text, written) = ask(Which::Newest);
    assert_eq!(text, "aa\ndd\n");
    assert_eq!(written.incarnations[0].warnings, [Warning::Gap { from: 3, to: 9 }]);
    let missing: Vec<_> = written.missing.iter().map(|own| (own.object.as_str(), own.rows)).collect();
    assert_eq!(missing, [("bundles/b1", 1), ("bundles/b2", 1)]);
    let refused = cat(&archive.view(), PATH, Which::Newest, &mut Vec::new()).unwrap_err().to_string();
    assert!(refused.contains("bundles/b1"), "{refused}");

    // An incarnation that nobody sees any more may lie in what is lost.
    let (text, written) = ask(Which::One("f9"));
    assert_eq!((text.as_str(), written.incarnations.len(), written.missing.len()), ("", 0, 2));

    for bundle in ["bundles/b0", "bundles/b3"] {
        archive.store.delete(bundle).unwrap();
    }
    let (text, written) = ask(Which::All);
    assert_eq!((text.as_str(), written.incarnations.len(), written.missing.len()), ("", 0, 4));
    // Nobody knows whether the file was in what is lost.
    let none = cat(&partial, ("default", "h", "/none"), Which::All, &mut Vec::new()).unwrap();
    assert_eq!(none.missing.len(), 4);
}

#[test]
fn a_part_with_any_byte_rotten_is_left_out_as_a_whole_or_not_at_all() {
    let archive = World::of(&[vec![row(0, "aa", 0)], vec![row(3, "bb", 1)]]);
    let partial = Archive { partial: true, ..archive.view() };
    let rotten = archive.store.local_file("bundles/b1").unwrap();
    let bytes = std::fs::read(&rotten).unwrap();
    let mut n_missing = 0;
    for at in (0..bytes.len()).step_by(13) {
        let mut flipped = bytes.clone();
        flipped[at] ^= 4;
        std::fs::write(&rotten, flipped).unwrap();
        let mut out = Vec::new();
        let missing = cat(&partial, PATH, Which::Newest, &mut out).unwrap().missing.len();
        assert_eq!(out, if missing == 0 { b"aa\nbb\n".as_slice() } else { b"aa\n" }, "byte {at}");
        n_missing += missing;
    }
    assert!(n_missing > 0);
}

#[test]
fn lines_without_a_position_keep_their_order() {
    let bare = |offset, body| Row { byte: None, ..row(0, body, offset) };
    let archive = World::of(&[vec![bare(3, "c"), bare(1, "a")], vec![bare(2, "b"), bare(1, "a")]]);
    let repeated = Warning::Repeated { from: 0, to: 2, rows: 1 };
    assert_eq!(archive.newest(), ("a\nb\nc\n".into(), vec![repeated, Warning::Unplaced { lines: 3 }]));
}

#[test]
fn live_files_are_listed_with_their_ranges() {
    let dead = Row { dead: true, ..row(3, "BB", 1) };
    let archive = World::of(&[vec![row(0, "aa", 0), dead]]);
    let files = list_files(&archive.fold, &archive.store, "default");
    let shown: Vec<_> = files.iter().map(|file| (file.table, file.rows, file.plain)).collect();
    assert_eq!(shown, [(TableName::Events, 1, false), (TableName::Dead, 1, false)]);
    assert!(files.iter().all(|file| std::path::Path::new(&file.location).is_file()));
    assert!(serde_json::to_string(&files).unwrap().contains("\"table\":\"dead\""));
    assert_eq!(list_files(&archive.fold, &archive.store, "other"), []);
    let plain: Vec<FileObject> = files
        .into_iter()
        .map(|file| FileObject { plain: file.table == TableName::Events, location: "/it's".into(), ..file })
        .collect();
    let sql = duckdb_sql(&plain, &Hidden::default());
    assert!(sql.contains("CREATE OR REPLACE VIEW events") && sql.contains("'/it''s'"), "{sql}");
    let without = duckdb_sql(&plain, &Hidden::from_iter(["1/web/it's".to_owned()]));
    assert!(without.contains("NOT IN ('1/web/it''s')") && !sql.contains("NOT IN"), "{without}");
    assert!(sql.contains("-- dead: 1 rows more") && !sql.contains("VIEW dead"), "{sql}");
}

/// Bytes as lines with their ends, over-long ones in pieces of at most 7 bytes.
fn lines(bytes: &[u8], pieces_bear_line_start: bool) -> Vec<Row> {
    let mut rows = Vec::new();
    let mut byte = 0;
    for whole in bytes.split_inclusive(|byte| *byte == b'\n') {
        let (body, end) = match whole {
            [body @ .., b'\r', b'\n'] => (body, LineEnd::CrLf),
            [body @ .., b'\n'] => (body, LineEnd::Lf),
            body => (body, LineEnd::None),
        };
        let n_pieces = body.len().div_ceil(7).max(1);
        for index in 0..n_pieces {
            let own = &body[index * 7..body.len().min(index * 7 + 7)];
            let last = index + 1 == n_pieces;
            let at = if pieces_bear_line_start { byte } else { byte + index as i64 * 7 };
            let mut row = row(at, "", rows.len() as i64);
            row.body = own.to_vec();
            row.end = if last { end } else { LineEnd::None };
            row.piece = (n_pieces > 1).then_some(Piece { index: index as i32, last });
            rows.push(row);
        }
        byte += whole.len() as i64;
    }
    rows
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    /// However lines are spread over parts and tables, the file comes out as it was.
    #[test]
    fn a_shuffled_archive_gives_the_source_bytes(
        bytes in prop::collection::vec(prop_oneof![4 => any::<u8>(), 1 => Just(b'\n'), 1 => Just(b'\r')], 1..400),
        places in prop::collection::vec((0usize..4, 0u8..8), 1..50),
        pieces_bear_line_start in any::<bool>(),
    ) {
        let mut bundles: BTreeMap<usize, Vec<Row>> = BTreeMap::new();
        for (n, row) in lines(&bytes, pieces_bear_line_start).into_iter().enumerate() {
            let (bundle, kind) = places[n % places.len()];
            if kind == 0 {
                // Parsed later: a dead letter with other bytes, which must not count.
                let dead = Row { dead: true, body: vec![b'?'; row.body.len()], ..row.clone() };
                bundles.entry(3 - bundle).or_default().push(dead);
            }
            bundles.entry(bundle).or_default().insert(0, Row { dead: kind == 1, ..row });
        }
        let archive = World::of(&bundles.into_values().collect::<Vec<_>>());
        let (out, written) = archive.cat(Which::Newest);
        prop_assert_eq!(&out, &bytes);
        prop_assert!(written[0].complete, "{:?}", written);
        prop_assert_eq!(written[0].bytes, bytes.len() as u64);
        prop_assert_eq!(written[0].lines, bytes.split_inclusive(|byte| *byte == b'\n').count() as u64);
    }
}
