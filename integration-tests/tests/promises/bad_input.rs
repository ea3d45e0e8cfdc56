//! Bad input: whatever bytes a file holds, it is rebuilt exactly; files that vanish or cannot be read harm no other; what
//! somebody else writes into our topics becomes dead letters.

use std::fs::{self, File};
use std::os::unix::fs::symlink;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use millrace_schemas::dead::DeadLetter;
use rdkafka::message::{DeliveryResult, Header, Headers, Message, OwnedHeaders};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer, ProducerContext};
use rdkafka::{ClientConfig, ClientContext};

use crate::harness::equality::assert_same;
use crate::harness::log::Log;
use crate::harness::{Lines, World, until};

/// Ten times the longest line: it travels in pieces.
const LONG: usize = 10 << 20;

/// Files and the number of records that each becomes.
fn files() -> Vec<(&'static str, Vec<u8>, u64)> {
    // No two pieces alike, and a word at the very beginning: the first piece is what is parsed and indexed.
    let mut long = b"firstpiece ".to_vec();
    long.extend((0u64..).flat_map(|n| format!("{n:x} ").into_bytes()).take(LONG - long.len()));
    long.extend(b"\nafter the long line\n");
    let all_bytes: Vec<u8> = (0..=255u8).filter(|byte| *byte != b'\n').chain(*b"\n").collect();
    vec![
        ("empty-file.log", Vec::new(), 0),
        ("empty-lines.log", b"\n\n\nnotempty\n\n".to_vec(), 5),
        ("long.log", long, 11),
        (
            "not-utf8.log",
            [b"latin1 caf\xe9 wordlatin\n".to_vec(), all_bytes, b"\xff\xfe\n".to_vec()].concat(),
            3,
        ),
        ("nul.log", b"before\0after wordnul\n\0\n\0\0\0\n".to_vec(), 3),
        ("crlf.log", b"windows line wordcrlf\r\n\r\nlone \r inside\r\nunix\n".to_vec(), 4),
        (
            "json-odd.log",
            b"{\"a\": 1e999}\n{\"a\":{\"b\":[1,{\"c\":null}]}}\n{\"unfinished\": \n[]\n\"text\"\n{}\n"
                .to_vec(),
            6,
        ),
        ("no-end.log", b"wordnoend without its newline".to_vec(), 1),
    ]
}

#[test]
fn bytes_of_every_kind_are_rebuilt_exactly() {
    let mut world = World::new("bad-bytes");
    world.apply_topics();
    let logs = world.forward_with("web1", |section| {
        section.insert("partial_line_timeout_ms".to_owned(), 1_000.into());
    });
    let files = files();
    for (name, bytes, _) in &files {
        fs::write(logs.join(name), bytes).unwrap();
    }
    world.start_all();
    let n_records = files.iter().map(|(_, _, n)| n).sum();
    world.wait_through(n_records);
    world.assert_balanced();
    let lines = world.assert_topics(n_records);
    for (name, bytes, n) in files.iter().filter(|(_, bytes, _)| !bytes.is_empty()) {
        let path = logs.join(name).display().to_string();
        assert_eq!(lines.iter().filter(|line| line.file == path).count() as u64, *n, "records of {name}");
        assert_same(&world.cat("web1", &path, &[]), bytes, name);
    }
    // Each can be found by what is text in it; the long line by its first piece.
    for word in ["notempty", "wordlatin", "wordnul", "wordcrlf", "wordnoend", "firstpiece"] {
        world.wait_found(word, 1);
    }
    world.stop();
}

#[test]
fn files_that_vanish_or_cannot_be_read_harm_no_other() {
    let mut world = World::new("bad-files");
    world.apply_topics();
    let logs = world.forward("web1");
    // Matched by the glob, and none of them is a file that can be read.
    symlink(logs.join("nowhere"), logs.join("dangling.log")).unwrap();
    symlink(logs.join("loop.log"), logs.join("loop.log")).unwrap();
    fs::create_dir(logs.join("folder.log")).unwrap();
    world.start_all();
    // Large enough to be deleted while it is read; what was open is read to its end.
    let vanishing = logs.join("vanishing.log");
    let text = b"a line of a file that goes away while it is being read\n".repeat(200_000);
    let n_vanishing = 200_000;
    fs::write(&vanishing, &text).unwrap();
    let log = world.log();
    until("the file is being read", Duration::from_secs(60), || {
        world.check();
        let n = log.ends("logs.raw").1;
        if n > 0 { Ok(()) } else { Err("nothing came") }
    });
    fs::remove_file(&vanishing).unwrap();
    let good = logs.join("good.log");
    fs::write(&good, b"wordgood one\nwordgood two\n").unwrap();

    world.wait_through(n_vanishing + 2);
    world.assert_balanced();
    world.assert_topics(n_vanishing + 2);
    assert_same(&world.cat("web1", &vanishing.display().to_string(), &[]), &text, "the file that vanished");
    assert_same(
        &world.cat("web1", &good.display().to_string(), &[]),
        &fs::read(&good).unwrap(),
        "the good file",
    );
    world.wait_found("wordgood", 2);
    for name in ["dangling.log", "loop.log", "folder.log"] {
        let said = world.service("forward-web1").log().lines().filter(|line| line.contains(name)).count();
        assert_eq!(said, 1, "{name} is to be named once");
    }
    // What could not be read is read once it can be.
    fs::remove_file(logs.join("dangling.log")).unwrap();
    write_slowly(&logs.join("dangling.log"));
    world.wait_found("worddangling", 1);
    world.stop();
}

fn write_slowly(path: &Path) {
    use std::io::Write;
    let mut file = File::create(path).unwrap();
    file.write_all(b"now it is there: worddangling\n").unwrap();
}

/// A record that somebody else wrote into a topic of ours.
struct Foreign {
    topic: &'static str,
    key: &'static str,
    headers: Vec<(&'static str, &'static str)>,
    value: Option<Vec<u8>>,
    /// Part of what its letter says.
    detail: &'static str,
}

fn foreign_records(log: &Log) -> Vec<Foreign> {
    let record = |topic, value: &[u8], detail| Foreign {
        topic,
        key: "default/stranger",
        headers: Vec::new(),
        value: Some(value.to_vec()),
        detail,
    };
    let mut line = Vec::new();
    let raw = millrace_schemas::dead::undecodable(b"default/x", b"a line in the wrong topic", 0);
    log.codecs().raw().encode(&raw, &mut line).unwrap();
    let mut damaged = vec![0];
    damaged.extend(log.codecs().parsed().id().to_be_bytes());
    damaged.extend([0xff; 40]);
    let mut large: Vec<u8> = b"wordlarge ".to_vec();
    // Compresses well, so that it fits into a topic that its letter would not fit into whole.
    large.extend(b"0123456789abcdef ".iter().cycle().take(3_900_000));
    vec![
        record("logs.parsed", b"wordstranger without a frame", "not framed"),
        record("logs.parsed", b"\0\x7f\xff\xff\xf0 with the id of no schema", "not known"),
        record("logs.parsed", &damaged, "could not decode"),
        record("logs.parsed", &line, "could not decode"),
        record("logs.parsed", &large, "bytes are left out"),
        Foreign { value: None, ..record("logs.parsed", b"", "not framed") },
        Foreign { key: "No tenant of ours", ..record("logs.parsed", b"from nobody", "not framed") },
        record("logs.dead", b"wordbare without headers", "header millrace-topic"),
        Foreign {
            headers: vec![("millrace-topic", "logs.raw"), ("millrace-partition", "many")],
            ..record("logs.dead", &line, "header millrace-partition")
        },
    ]
}

/// Writes them outside of any transaction; gives where each came to lie.
fn write_foreign(brokers: &str, records: &[Foreign]) -> Vec<(i32, i64)> {
    let places = Arc::new(Mutex::new(vec![None; records.len()]));
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", brokers).set("message.max.bytes", "8000000");
    config.set("compression.type", "lz4").set("acks", "all");
    let producer: BaseProducer<Delivered> = config.create_with_context(Delivered(places.clone())).unwrap();
    for (at, record) in records.iter().enumerate() {
        let mut headers = OwnedHeaders::new();
        for (key, value) in &record.headers {
            headers = headers.insert(Header { key, value: Some(*value) });
        }
        let mut out = BaseRecord::with_opaque_to(record.topic, at).key(record.key).headers(headers);
        if let Some(value) = &record.value {
            out = out.payload(value);
        }
        producer.send(out).map_err(|(error, _)| error).unwrap();
    }
    producer.flush(Duration::from_secs(30)).unwrap();
    let places = places.lock().unwrap();
    places.iter().map(|place| place.expect("every record is delivered")).collect()
}

struct Delivered(Arc<Mutex<Vec<Place>>>);

/// Partition and offset of a record; none where it was not delivered.
type Place = Option<(i32, i64)>;

impl ClientContext for Delivered {}

impl ProducerContext for Delivered {
    type DeliveryOpaque = usize;

    fn delivery(&self, result: &DeliveryResult<'_>, at: usize) {
        let message = result.as_ref().expect("delivered");
        self.0.lock().unwrap()[at] = Some((message.partition(), message.offset()));
    }
}

/// Letters in `logs.dead` that have all headers, with their values and keys.
fn letters(log: &Log) -> Vec<(DeadLetter, Vec<u8>, Vec<u8>)> {
    let mut letters = Vec::new();
    log.read("logs.dead", "read_committed", |message| {
        let headers = message.headers();
        let find = |name: &str| headers?.iter().find(|header| header.key == name).and_then(|own| own.value);
        if let Ok(letter) = DeadLetter::from_headers(find) {
            let key = message.key().unwrap_or_default().to_vec();
            letters.push((letter, message.payload().unwrap_or_default().to_vec(), key));
        }
    });
    letters
}

#[test]
fn records_that_no_stage_wrote_become_one_dead_letter_each() {
    let mut world = World::new("foreign");
    world.apply_topics();
    let logs = world.forward("web1");
    world.start_all();
    let n_lines = 500;
    fs::write(logs.join("good.log"), Lines::new("g").text(0..n_lines)).unwrap();
    world.wait_through(n_lines);
    let log = world.log();
    let n_dead = letters(&log).len();

    let records = foreign_records(&log);
    let places = write_foreign(&world.cluster.brokers, &records);
    // Whoever writes the letters dies while it has them in hand, and the other who reads them too.
    for name in ["archive-0", "index-0"] {
        world.service(name).kill();
        world.service(name).start();
    }
    fs::write(logs.join("more.log"), Lines::new("m").text(0..n_lines)).unwrap();
    until("each foreign record has a letter", Duration::from_secs(90), || {
        world.check();
        let n = letters(&log).iter().filter(|(letter, ..)| letter.reason == "foreign").count();
        if n >= records.len() { Ok(()) } else { Err(n.to_string()) }
    });
    world.assert_balanced();

    let found = letters(&log);
    for (record, place) in records.iter().zip(&places) {
        let own: Vec<_> = found
            .iter()
            .filter(|(letter, ..)| {
                letter.topic == record.topic && (letter.partition, letter.offset) == *place
            })
            .collect();
        assert_eq!(own.len(), 1, "letters of {}/{place:?}", record.topic);
        let (letter, value, key) = own[0];
        let whole = record.value.clone().unwrap_or_default();
        let tenant = if record.key.starts_with("default/") { "default" } else { "-" };
        assert_eq!((letter.stage.as_str(), letter.reason.as_str()), ("archive", "foreign"));
        assert_eq!((letter.tenant.as_str(), letter.stream.as_str()), (tenant, "-"));
        assert!(
            letter.detail.contains(record.detail),
            "{:?} does not say {:?}",
            letter.detail,
            record.detail
        );
        assert_eq!(key, record.key.as_bytes());
        assert_same(value, &whole[..whole.len().min(3 << 20)], &format!("letter of {place:?}"));
    }

    // Stored once each by both sinks, beside the lines; what has a tenant is found.
    let n_of_tenant = records.iter().filter(|record| record.key.starts_with("default/")).count() as u64;
    world.wait_found("reason:foreign", n_of_tenant);
    for word in ["wordstranger", "wordbare", "wordlarge"] {
        world.wait_found(word, 1);
    }
    world.wait_found("", 2 * n_lines + n_of_tenant);
    let out = world.cli_ok(&["ledger", "--format", "json"]);
    let answer: serde_json::Value = serde_json::from_slice(&out).unwrap();
    let minutes = answer["minutes"].as_array().unwrap();
    for edge in ["archive.foreign", "archive.letter", "index.letter"] {
        let n: i64 = minutes.iter().filter_map(|cell| cell["edges"][edge]["count"].as_i64()).sum();
        assert_eq!(n, records.len() as i64, "{edge}");
    }
    // No letter gave birth to another one: all that came since are those of the second file's lines.
    let n_lines_dead = found.iter().filter(|(letter, ..)| letter.topic == "logs.raw").count();
    assert_eq!(found.len(), n_lines_dead + records.len());
    assert!(n_lines_dead > n_dead, "the second file has dead lines too");
    world.stop();
    assert_eq!(letters(&log).len(), found.len(), "letters once all is at rest");
}
