use millrace_schemas::dead::DeadLetter;
use millrace_schemas::{Attributes, Event, Fields, LineEnd, Origin, Parser, RawEvent, Value};
use tantivy::Term;
use tantivy::query::{EnableScoring, PhraseQuery, Query, TermQuery};
use tantivy::schema::IndexRecordOption;

use super::stored::NAMES;
use super::*;

fn raw(body: &[u8]) -> RawEvent<'_> {
    RawEvent {
        tenant: "default",
        stream: "web",
        host: "a",
        file: Some("/var/log/x"),
        file_id: None,
        attributes: Attributes::default(),
        received: 1_000,
        position: None,
        line_end: LineEnd::Lf,
        piece: None,
        dedup: None,
        body,
    }
}

fn event(body: &[u8], offset: i64) -> Event<'_> {
    let origin = Origin { generation: 0, partition: 1, offset };
    let mut event = Event::unparsed(raw(body), Parser { id: "plain", version: 1 }, origin);
    event.time = 5_000 - offset;
    event
}

fn split(events: &[Event<'_>]) -> Split {
    let codec = Rows::event_codec().unwrap();
    let mut rows = Rows::new();
    for event in events {
        rows.push_event_anew(event, &codec).unwrap();
    }
    Split::from_bytes(write(rows).unwrap()).unwrap()
}

fn count(split: &Split, query: &dyn Query) -> u32 {
    let weight = query.weight(EnableScoring::disabled_from_schema(split.columns().schema())).unwrap();
    weight.count(split.segment()).unwrap()
}

fn word(split: &Split, text: &str) -> u32 {
    let term = Term::from_field_text(split.columns().line, text);
    count(split, &TermQuery::new(term, IndexRecordOption::Basic))
}

fn field(split: &Split, name: &str, append: impl Fn(&mut Term)) -> u32 {
    let mut term = Term::from_field_json_path(split.columns().fields, &field_path(name), true);
    append(&mut term);
    count(split, &TermQuery::new(term, IndexRecordOption::Basic))
}

fn stored(split: &Split) -> Vec<Vec<u8>> {
    (0..split.rows()).map(|row| split.stored(row).unwrap()).collect()
}

#[test]
fn words_are_runs_of_letters_and_digits_in_lower_case() {
    let texts: Vec<String> =
        words("GET /a-b?Straße=1\tÉTÉ 東京_x").into_iter().map(|(_, word)| word).collect();
    assert_eq!(texts, ["get", "a", "b", "straße", "1", "été", "東京", "x"]);
    assert!(words("").is_empty() && words(" ,;").is_empty());
}

#[test]
fn an_over_long_word_is_skipped_but_keeps_its_place() {
    let text = format!("a {} b", "x".repeat(MAX_TERM + 1));
    assert_eq!(words(&text), [(0, "a".to_owned()), (2, "b".to_owned())]);
}

#[test]
fn rows_come_back_as_they_were_and_in_the_order_of_time() {
    let events = [event(b"first line", 0), event(b"second \xff line", 1), event(b"", 2)];
    let split = split(&events);
    let reader = StoredReader::new().unwrap();
    let bytes = stored(&split);
    let read: Vec<_> = bytes.iter().map(|bytes| reader.read(bytes).unwrap()).collect();
    let expected: Vec<_> = events.iter().rev().map(|event| Stored::Event(Box::new(event.clone()))).collect();
    assert_eq!(read, expected);
    assert_eq!((word(&split, "line"), word(&split, "second"), word(&split, "third")), (2, 1, 0));
}

#[test]
fn phrases_have_positions() {
    let split = split(&[event(b"connection reset by peer", 0), event(b"peer reset connection", 1)]);
    let terms =
        |words: [&str; 2]| words.map(|word| Term::from_field_text(split.columns().line, word)).to_vec();
    assert_eq!(count(&split, &PhraseQuery::new(terms(["connection", "reset"]))), 1);
    assert_eq!(count(&split, &PhraseQuery::new(terms(["by", "connection"]))), 0);
}

#[test]
fn fields_keep_their_types() {
    let mut event = event(b"x", 0);
    event.fields = Fields(vec![
        ("status".into(), Value::Long(500)),
        ("http.path".into(), Value::String("/a b".into())),
        ("ok".into(), Value::Boolean(true)),
        ("took".into(), Value::Double(0.5)),
    ]);
    event.attributes = Attributes(vec![("env".into(), "prod".into())]);
    let split = split(&[event]);
    assert_eq!(field(&split, "status", |term| term.append_type_and_fast_value(500i64)), 1);
    assert_eq!(field(&split, "status", |term| term.append_type_and_str("500")), 0);
    assert_eq!(field(&split, "http.path", |term| term.append_type_and_str("/a b")), 1);
    assert_eq!(field(&split, "ok", |term| term.append_type_and_fast_value(true)), 1);
    assert_eq!(field(&split, "took", |term| term.append_type_and_fast_value(0.5f64)), 1);
    assert_eq!(field(&split, "env", |term| term.append_type_and_str("prod")), 1);
}

#[test]
fn a_row_with_odd_fields_is_found_by_its_other_fields() {
    let huge = "y".repeat(MAX_TERM + 1);
    let mut odd = event(b"needle", 0);
    odd.fields = Fields(vec![
        ("".into(), Value::Long(1)),
        ("nul\0name".into(), Value::Long(1)),
        ("z".repeat(MAX_FIELD_NAME + 1).into(), Value::Long(1)),
        ("huge".into(), Value::String(huge.as_str().into())),
        ("nan".into(), Value::Double(f64::NAN)),
        ("twice".into(), Value::Long(1)),
        ("twice".into(), Value::Long(1)),
        ("good".into(), Value::Long(7)),
    ]);
    odd.file = Some(&huge);
    let split = split(&[odd]);
    assert_eq!(word(&split, "needle"), 1);
    assert_eq!(field(&split, "good", |term| term.append_type_and_fast_value(7i64)), 1);
}

#[test]
fn field_names_past_the_bound_are_not_indexed() {
    let names: Vec<String> = (0..Rows::MAX_NAMES + 10).map(|n| format!("n{n}")).collect();
    let mut events: Vec<Event<'_>> = Vec::new();
    for (at, chunk) in names.chunks(500).enumerate() {
        let mut event = event(b"needle", at as i64);
        event.fields = Fields(chunk.iter().map(|name| (name.as_str().into(), Value::Long(1))).collect());
        events.push(event);
    }
    let split = split(&events);
    let one = |name: &str| field(&split, name, |term| term.append_type_and_fast_value(1i64));
    assert_eq!((one("n0"), one(&format!("n{}", Rows::MAX_NAMES))), (1, 0));
    assert_eq!(word(&split, "needle") as usize, events.len());
}

#[test]
fn a_merge_keeps_every_row() {
    let splits: Vec<Split> = (0..5i64)
        .map(|n| split(&(0..40).map(|m| event(b"one line", n * 40 + m)).collect::<Vec<_>>()))
        .collect();
    let mut before: Vec<Vec<u8>> = splits.iter().flat_map(stored).collect();
    let merged = Split::from_bytes(merge(&splits).unwrap()).unwrap();
    let again = Split::from_bytes(merge(&[merged]).unwrap()).unwrap();
    again.verify().unwrap();
    let mut after = stored(&again);
    before.sort();
    after.sort();
    assert_eq!(before, after);
    assert_eq!(word(&again, "line"), 200);
}

#[test]
fn damage_is_seen() {
    let codec = Rows::event_codec().unwrap();
    let mut rows = Rows::new();
    rows.push_event_anew(&event(b"x", 0), &codec).unwrap();
    let good = write(rows).unwrap();
    for cut in [0, 10, good.len() - 1] {
        assert!(Split::from_bytes(good[..cut].to_vec()).unwrap_err().damaged);
    }
    let mut flipped = good.clone();
    flipped[10] ^= 1;
    let damaged = match Split::from_bytes(flipped) {
        Ok(split) => split.verify().unwrap_err().damaged,
        Err(error) => error.damaged,
    };
    assert!(damaged);
    let mut table = good;
    let at = table.len() - 40;
    table[at] ^= 1;
    assert!(Split::from_bytes(table).unwrap_err().damaged);
}

#[test]
fn dead_letters_come_back_with_their_headers() {
    let letter = DeadLetter {
        topic: "logs.raw".into(),
        partition: 3,
        offset: 99,
        tenant: "default".into(),
        stream: "web".into(),
        stage: "parse".into(),
        reason: "no_match".into(),
        detail: String::new(),
        parser: "apache".into(),
        parser_version: 2,
    };
    assert_eq!(letter.headers().map(|(name, _)| name), NAMES);
    let raw = raw(b"no \x00 match");
    let mut rows = Rows::new();
    rows.push_dead(&DeadRow { letter: &letter, raw: &raw, generation: 0 }, &Rows::dead_codec().unwrap())
        .unwrap();
    let split = Split::from_bytes(write(rows).unwrap()).unwrap();
    let bytes = split.stored(0).unwrap();
    let read = StoredReader::new().unwrap();
    assert_eq!(read.read(&bytes).unwrap(), Stored::Dead(Box::new(letter), Box::new(raw)));
    for cut in 0..bytes.len() {
        assert!(read.read(&bytes[..cut]).is_err(), "{cut}");
    }
    let term = Term::from_field_text(split.columns().reason, "no_match");
    assert_eq!(count(&split, &TermQuery::new(term, IndexRecordOption::Basic)), 1);
}
