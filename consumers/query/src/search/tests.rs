//! Searches against a plain filter over the same rows.

use std::time::Duration;

use millrace_formats::split::{DeadRow, Rows, write};
use millrace_runtime::store::{Store, StoreOptions};
use millrace_schemas::dead::{DeadLetter, REDRIVEN};
use millrace_schemas::manifest::{Fold, ManifestRecord, Part, TableName};
use millrace_schemas::{Attributes, Dedup, Event, Fields, LineEnd, Origin, Parser, RawEvent, Value};

use super::*;

mod partial;
mod random;
mod remembered;

/// A row, much simplified.
#[derive(Debug, Clone)]
struct Line {
    time: i64,
    offset: i64,
    host: &'static str,
    body: Vec<u8>,
    status: Option<i64>,
    path: Option<&'static str>,
    took: Option<f64>,
    dead: bool,
    /// What the index keeps beside a repaired line.
    mark: bool,
    /// Of the batch `batch/7`.
    attempt: Option<i64>,
}

fn line(offset: i64, time: i64, body: &str) -> Line {
    let (status, path, took, dead, mark, attempt) = (None, None, None, false, false, None);
    Line { time, offset, host: "a", body: body.into(), status, path, took, dead, mark, attempt }
}

/// Asks all of `t`'s lines.
fn asking(query: &str) -> SearchRequest {
    SearchRequest {
        tenant: "t".into(),
        query: query.into(),
        from: None,
        to: None,
        limit: 100,
        cache: true,
        partial: false,
    }
}

struct World {
    folder: tempfile::TempDir,
    store: Store,
    cache: SplitCache,
    fold: Fold,
    n: usize,
}

impl World {
    fn new() -> World {
        let folder = tempfile::tempdir().unwrap();
        let url = folder.path().display().to_string();
        let options = CacheOptions { max_open: 3, folder: None, max_bytes: 0 };
        World::at(url, folder, options)
    }

    /// Over a store that is not a folder, so that splits have to be copied.
    fn remote(max_bytes: u64) -> World {
        let folder = tempfile::tempdir().unwrap();
        let copies = Some(folder.path().join("cache"));
        let options = CacheOptions { max_open: 3, folder: copies, max_bytes };
        World::at("memory:///".into(), folder, options)
    }

    fn at(url: String, folder: tempfile::TempDir, options: CacheOptions) -> World {
        let deadline = Duration::from_secs(1);
        let store = Store::open(&StoreOptions { url, options: vec![], deadline }).unwrap();
        let cache = SplitCache::new(store.clone(), options).unwrap();
        World { folder, store, cache, fold: Fold::default(), n: 0 }
    }

    /// One bundle: the rows of each table are a split.
    fn add(&mut self, tenant: &str, lines: &[Line]) {
        let id = format!("r{}", self.n);
        self.n += 1;
        let mut bytes = vec![b'x'; self.n];
        let mut parts = Vec::new();
        for table in [TableName::Events, TableName::Dead] {
            let own: Vec<&Line> =
                lines.iter().filter(|line| line.dead == (table == TableName::Dead)).collect();
            let times = || own.iter().map(|line| line.time);
            let (Some(time_from), Some(time_to)) = (times().min(), times().max()) else {
                continue;
            };
            let mut rows = Rows::new();
            own.iter().for_each(|line| push(&mut rows, line, tenant));
            let from = bytes.len() as i64;
            bytes.extend(write(rows).unwrap());
            let mut hosts: Vec<String> = own.iter().map(|line| line.host.to_owned()).collect();
            hosts.sort();
            hosts.dedup();
            parts.push(Part {
                id: format!("{id}.{}", parts.len()),
                table,
                stream: None,
                bucket: 0,
                time_from,
                time_to,
                from,
                to: bytes.len() as i64,
                rows: own.len() as i64,
                bytes: 0,
                level: 0,
                hosts,
                raw: vec![],
            });
        }
        let object = format!("bundles/{id}");
        self.store.put_new(&object, bytes).unwrap();
        let record = ManifestRecord {
            id,
            tenant: tenant.into(),
            object,
            size: 0,
            checksum: String::new(),
            created: 0,
            group: String::new(),
            sources: vec![],
            parts,
            replaces: vec![],
        };
        self.fold.apply(&record.key(), Some(record));
    }

    fn ask(&self, query: &str, from: Option<i64>, to: Option<i64>, limit: usize) -> SearchResponse {
        let request = SearchRequest { from, to, limit, ..asking(query) };
        search(&self.cache, &self.fold, &request).unwrap()
    }

    fn offsets(&self, query: &str) -> Vec<i64> {
        self.ask(query, None, None, 100).hits.iter().map(|hit| hit.origin.offset).collect()
    }
}

fn push(rows: &mut Rows, line: &Line, tenant: &str) {
    let raw = RawEvent {
        tenant,
        stream: "web",
        host: line.host,
        file: Some("/var/log/x"),
        file_id: None,
        attributes: Attributes(vec![("env".into(), "prod".into())]),
        received: line.time,
        position: None,
        line_end: LineEnd::Lf,
        piece: None,
        dedup: line.attempt.map(|attempt| Dedup { scope: "batch/7", index: 0, attempt: Some(attempt) }),
        body: &line.body,
    };
    if line.dead {
        let letter = DeadLetter {
            topic: "logs.raw".into(),
            partition: 0,
            offset: line.offset,
            tenant: tenant.into(),
            stream: "web".into(),
            stage: "parse".into(),
            reason: if line.mark { REDRIVEN.into() } else { "no_match".into() },
            detail: "expected [".into(),
            parser: "apache".into(),
            parser_version: 1,
        };
        rows.push_dead(&DeadRow { letter: &letter, raw: &raw, generation: 0 }, &Rows::dead_codec().unwrap())
            .unwrap();
        return;
    }
    let origin = Origin { generation: 0, partition: 0, offset: line.offset };
    let mut event = Event::unparsed(raw, Parser { id: "plain", version: 1 }, origin);
    event.severity = line.status.map(|status| if status >= 500 { "error".into() } else { "info".into() });
    let mut fields = Fields::default();
    if let Some(status) = line.status {
        fields.push("status", Value::Long(status));
    }
    if let Some(path) = line.path {
        fields.push("http.path", Value::String(path.into()));
    }
    if let Some(took) = line.took {
        fields.push("took", Value::Double(took));
    }
    event.fields = fields;
    rows.push_event_anew(&event, &Rows::event_codec().unwrap()).unwrap();
}

fn sample() -> World {
    let mut world = World::new();
    let with = |mut line: Line, status, path, took| {
        (line.status, line.path, line.took) = (Some(status), Some(path), Some(took));
        line
    };
    world.add(
        "t",
        &[
            with(line(1, 10, "GET /cart timed out"), 500, "/cart/1", 0.25),
            with(line(2, 20, "GET /login ok"), 200, "/login", 2.0),
            with(line(3, 30, "Connection reset by peer web-01"), 503, "/cart", 1.5),
        ],
    );
    world.add(
        "t",
        &[
            line(4, 20, "peer reset the connection; Straße 東京"),
            Line { dead: true, ..line(5, 40, "garbage \u{1}") },
            Line { host: "b", ..line(6, 25, "12:30:45 nothing to see") },
        ],
    );
    world.add("other", &[line(7, 10, "GET /cart timed out")]);
    world
}

#[test]
fn a_letter_whose_line_was_repaired_is_not_found_any_more() {
    let dead = |offset, time| Line { dead: true, ..line(offset, time, "torn") };
    let mark = |offset, time| Line { mark: true, body: vec![], ..dead(offset, time) };
    let mut world = World::new();
    world.add("t", &[dead(5, 40), dead(6, 50), dead(7, 60)]);
    assert_eq!(world.offsets("torn"), [7, 6, 5]);
    // In another split than its letter, with an event of quite another time; and before its letter was stored.
    world.add("t", &[Line { time: 1, ..line(6, 50, "torn and mended") }, mark(6, 50), mark(8, 70)]);
    assert_eq!(world.offsets("torn"), [7, 5, 6]);
    world.add("t", &[dead(8, 70)]);
    assert_eq!((world.offsets("table:dead"), world.offsets("reason:*")), (vec![7, 5], vec![7, 5]));
    assert_eq!(world.ask("", None, None, 0).total, 3, "counted without being shown");
    assert_eq!(world.ask("", Some(50), Some(60), 9).total, 0);
    assert_eq!(world.ask("", Some(60), Some(80), 9).total, 1);
    // Another tenant's lines have other identities.
    world.add("other", &[dead(6, 50)]);
    let request = SearchRequest { tenant: "other".into(), limit: 9, ..asking("") };
    assert_eq!(search(&world.cache, &world.fold, &request).unwrap().total, 1);
}

#[test]
fn queries_find_what_they_say() {
    let world = sample();
    for (query, expected) in [
        ("", vec![5, 3, 6, 4, 2, 1]),
        ("get", vec![2, 1]),
        ("GET -timed", vec![2]),
        ("\"connection reset\"", vec![3]),
        ("reset connection", vec![3, 4]),
        ("message:reset OR body:ok", vec![3, 4, 2]),
        ("connect*", vec![3, 4]),
        ("*set", vec![3, 4]),
        ("re?et", vec![3, 4]),
        ("web-01", vec![3]),
        ("web-0*", vec![3]),
        ("web-1*", vec![]),
        ("*b-?1", vec![3]),
        ("by*peer", vec![]),
        ("b*-p* w*-*", vec![3]),
        ("12:30", vec![6]),
        ("straße", vec![4]),
        ("東京", vec![4]),
        ("status:500", vec![1]),
        ("status:500 AND http.path:/cart*", vec![1]),
        ("http.path:/cart*", vec![3, 1]),
        ("http.path:*t", vec![3]),
        ("http.path:/cart", vec![3]),
        ("fields.http.path:\"/login\"", vec![2]),
        ("http.path:[/d TO /z]", vec![2]),
        ("status:[500 TO 599]", vec![3, 1]),
        ("status:{500 TO 599]", vec![3]),
        ("status:[599 TO 500]", vec![]),
        ("status:>=500 OR status:<=200", vec![3, 2, 1]),
        ("status:>200.5", vec![3, 1]),
        ("status:5*", vec![3, 1]),
        ("status:*0", vec![2, 1]),
        ("took:0.25", vec![1]),
        ("took:2", vec![2]),
        ("took:>=1.5", vec![3, 2]),
        ("took:<2", vec![3, 1]),
        ("took:[* TO *]", vec![3, 2, 1]),
        ("took:1.?", vec![3]),
        ("status:*", vec![3, 2, 1]),
        ("NOT status:*", vec![5, 6, 4]),
        ("-status:200 get", vec![1]),
        ("severity:ERROR", vec![3, 1]),
        ("severity:e*", vec![3, 1]),
        ("host:b", vec![6]),
        ("host:(a OR b) AND reset", vec![3, 4]),
        ("file:/var/log/*", vec![5, 3, 6, 4, 2, 1]),
        ("stream:nosuch", vec![]),
        ("env:prod", vec![5, 3, 6, 4, 2, 1]),
        ("reason:no_match", vec![5]),
        ("reason:*", vec![5]),
        ("table:dead", vec![5]),
        ("-table:dead 1*", vec![6]),
        ("parser:apache", vec![5]),
        ("garbage", vec![5]),
        ("offset:[2 TO 3]", vec![3, 2]),
        ("offset:{3 TO 2}", vec![]),
        ("time:[1970-01-01T00:00:00.000025Z TO 30]", vec![3, 6]),
        ("time:>1970-01-02", vec![]),
        ("nosuch:x", vec![]),
    ] {
        assert_eq!(world.offsets(query), expected, "{query}");
    }
}

#[test]
fn what_cannot_be_asked_is_refused_with_a_reason() {
    let world = sample();
    for (query, part) in [
        ("--", "expected a condition"),
        (";;", "there is no letter or digit to search for"),
        (";;\\*", "there is no letter or digit to search for"),
        ("\";;\"", "there is no letter or digit to search for"),
        ("line:[a TO b]", "a line has no order"),
        ("time:yesterday", "\"yesterday\" is no time"),
        ("offset:x", "\"x\" is no whole number"),
        ("time:2*", "time takes no wildcards"),
        ("table:[a TO b]", "table takes no range"),
    ] {
        let request = SearchRequest { limit: 1, ..asking(query) };
        let error = search(&world.cache, &world.fold, &request).unwrap_err();
        assert!(error.is_clients() && error.to_string().contains(part), "{query}: {error}");
    }
    let request = SearchRequest { limit: MAX_LIMIT + 1, ..asking("") };
    assert!(plan(&world.fold, &request).unwrap_err().is_clients());
}

#[test]
fn time_and_tables_and_hosts_prune_splits() {
    let world = sample();
    let counts = |answer: SearchResponse| (answer.total, answer.splits_searched, answer.splits_pruned);
    assert_eq!(counts(world.ask("", None, None, 0)), (6, 3, 0));
    assert_eq!(counts(world.ask("", Some(26), Some(40), 9)), (1, 1, 2));
    assert_eq!(counts(world.ask("", Some(40), None, 9)), (1, 1, 2));
    assert_eq!(counts(world.ask("table:dead", None, None, 9)), (1, 1, 2));
    assert_eq!(counts(world.ask("host:b reset", None, None, 9)), (0, 1, 2));
    assert_eq!(counts(world.ask("", Some(50), None, 9)), (0, 0, 3));
}

#[test]
fn a_hit_shows_all_of_its_row() {
    let mut world = World::new();
    let mut odd = line(9, 1_773_273_600_000_001, "");
    odd.body = b"caf\xe9".to_vec();
    odd.status = Some(404);
    let dead = Line { dead: true, ..line(8, 5, "x") };
    world.add("t", &[odd, dead]);
    let answer = world.ask("", None, None, 2);
    let json = serde_json::to_value(&answer.hits[0]).unwrap();
    assert_eq!(
        json,
        serde_json::json!({
            "table": "events", "time": "2026-03-12T00:00:00.000001Z", "received": "2026-03-12T00:00:00.000001Z",
            "stream": "web", "host": "a", "file": "/var/log/x", "body": "caf\u{fffd}", "body_base64": "Y2Fm6Q==",
            "severity": "info", "fields": {"status": 404}, "attributes": {"env": "prod"}, "parser": "plain/1",
            "origin": {"generation": 0, "partition": 0, "offset": 9},
        })
    );
    let dead = &answer.hits[1];
    assert_eq!(
        (dead.table, dead.reason.as_deref(), dead.stage.as_deref()),
        (TableName::Dead, Some("no_match"), Some("parse"))
    );
}

#[test]
fn a_split_that_a_merge_deleted_is_gone_and_not_an_error_of_the_store() {
    let mut world = sample();
    world.store.delete("bundles/r1").unwrap();
    let request = SearchRequest { limit: 1, ..asking("") };
    assert!(search(&world.cache, &world.fold, &request).unwrap_err().is_gone());
    // One that is open already can still be read.
    world = sample();
    assert_eq!(world.offsets("").len(), 6);
    world.store.delete("bundles/r0").unwrap();
    assert_eq!(world.offsets("status:500"), [1]);
    world.cache.retain(&Fold::default());
    assert_eq!(world.cache.n_open(), 0);
    assert!(search(&world.cache, &world.fold, &request).unwrap_err().is_gone());
}

#[test]
fn copies_of_remote_splits_stay_within_their_bound() {
    let mut world = World::remote(1);
    for n in 0..5 {
        world.add("t", &[line(n, n, "x")]);
    }
    let files = |world: &World| std::fs::read_dir(world.folder.path().join("cache")).unwrap().count();
    for _ in 0..2 {
        assert_eq!(world.offsets("x"), [4, 3, 2, 1, 0]);
        assert_eq!(files(&world), 1);
    }
    let mut world = World::remote(u64::MAX);
    for n in 0..5 {
        world.add("t", &[line(n, n, "x")]);
    }
    assert_eq!(world.offsets("x"), [4, 3, 2, 1, 0]);
    assert!(files(&world) == 5 && world.cache.copied_bytes() > 0);
    // What was copied is found there, and what was not is gone.
    world.store.delete("bundles/r0").unwrap();
    assert_eq!(world.offsets("x"), [4, 3, 2, 1, 0]);
    world.cache.retain(&Fold::default());
    assert_eq!((files(&world), world.cache.n_open(), world.cache.copied_bytes()), (0, 0, 0));
    let request = SearchRequest { limit: 1, ..asking("") };
    assert!(search(&world.cache, &world.fold, &request).unwrap_err().is_gone());
}

#[test]
fn a_damaged_split_is_named_and_never_answered_from() {
    let mut world = World::new();
    world.add("t", &[line(1, 1, "x")]);
    let path = world.store.local_file("bundles/r0").unwrap();
    let bytes = std::fs::read(&path).unwrap();
    let request = SearchRequest { limit: 1, ..asking("") };
    let is_named = |bytes: &[u8]| {
        std::fs::write(&path, bytes).unwrap();
        let error = search(&world.cache, &world.fold, &request).unwrap_err();
        assert!(matches!(&error, SearchError::Damaged { object, .. } if object == "bundles/r0"), "{error}");
    };
    let flipped = |at: usize| {
        let mut flipped = bytes.clone();
        flipped[at] ^= 1;
        flipped
    };
    is_named(&bytes[..bytes.len() - 1]);
    // The first byte of the object is none of the split's.
    (1..bytes.len()).step_by(97).for_each(|at| is_named(&flipped(at)));
    std::fs::write(&path, &bytes).unwrap();
    assert_eq!(world.offsets(""), [1]);
    // It is open now, and its file is written to.
    is_named(&flipped(bytes.len() / 2));
    is_named(b"");
    std::fs::write(&path, &bytes).unwrap();
    assert_eq!(world.offsets(""), [1]);
}

#[test]
fn an_answer_stops_growing() {
    let mut world = World::new();
    let big = "x".repeat(MAX_RESPONSE_BYTES / 4);
    let lines: Vec<Line> = (0..6).map(|offset| line(offset, offset, &big)).collect();
    world.add("t", &lines);
    let answer = world.ask("", None, None, 10);
    assert!(answer.truncated && answer.total == 6);
    assert_eq!(answer.hits.iter().map(|hit| hit.origin.offset).collect::<Vec<_>>(), [5, 4, 3]);
}
