//! `make conformance`: other people's requests, messages, files and lines, given to the gateway's protocols, the forwarder's
//! joining of lines and the parser, and what must come of them.
//!
//! One line a topic: `topic passed/total`; ids that fail, with the reason, in `target/conformance/<topic>.txt`. Floors are
//! in `floors.toml`, deliberate differences by case id in `differences.toml`: they do not count. A `*` at the end of an id
//! there stands for a kind of cases. Exit code 0 at the floors, 1 below, 2 where there are no corpora.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod access_logs;
mod auth_logs;
mod bulk;
mod chain;
mod expression;
mod field_parsers;
mod format_samples;
mod functions;
mod gateway;
mod grok;
mod json_lines;
mod loghub;
mod loki;
mod multiline;
mod otlp;
mod parsed;
mod parsed_logs;
mod regex_formats;
mod syslog;
mod text;
mod timestamps;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use serde_json::Value;

/// A case by id, and what is wrong with it.
pub(crate) type Cases = Vec<(String, Result<(), String>)>;

/// Reads the folder of a topic.
type Topic = fn(&Path) -> Cases;

const TOPICS: [(&str, Topic); 16] = [
    ("es_bulk", bulk::cases),
    ("loki", loki::cases),
    ("otlp", otlp::cases),
    ("http_gateway", json_lines::cases),
    ("syslog", syslog::cases),
    ("encodings", text::cases),
    ("multiline", multiline::cases),
    ("grok", grok::cases),
    ("field_parsers", field_parsers::cases),
    ("format_samples", format_samples::cases),
    ("regex_formats", regex_formats::cases),
    ("parsed_logs", parsed_logs::cases),
    ("access_logs", access_logs::cases),
    ("auth_logs", auth_logs::cases),
    ("loghub", loghub::cases),
    ("timestamps", timestamps::cases),
];

fn main() -> ExitCode {
    let set = |name| std::env::var(name).ok().filter(|value: &String| !value.is_empty());
    let corpora = set("CORPORA").map_or_else(|| PathBuf::from("../shared/data"), PathBuf::from);
    let wanted = set("TOPIC");
    let known = |name: &str| TOPICS.iter().any(|(own, _)| *own == name);
    if let Some(unknown) = wanted.as_deref().filter(|name| !known(name)) {
        eprintln!("there is no topic {unknown}");
        return ExitCode::from(64);
    }
    let floors = table(include_str!("floors.toml"));
    let differences = table(include_str!("differences.toml"));
    let out = set("OUT").map_or_else(|| PathBuf::from("target/conformance"), PathBuf::from);
    std::fs::create_dir_all(&out).expect("could not make the folder of the results");
    let (mut found, mut below) = (false, false);
    for (topic, cases) in TOPICS {
        let folder = corpora.join(topic);
        if wanted.as_deref().is_some_and(|own| own != topic) || !folder.is_dir() {
            continue;
        }
        found = true;
        let differing = differences.get(topic).and_then(toml::Value::as_table);
        let of_kind =
            |id: &str, listed: &str| listed.strip_suffix('*').is_some_and(|kind| id.starts_with(kind));
        let is_differing = |id: &str| {
            differing.is_some_and(|own| own.contains_key(id) || own.keys().any(|listed| of_kind(id, listed)))
        };
        // A corpus that is not of the shape fails its topic; the others are run.
        let unreadable = |_| vec![("corpus".to_owned(), Err("could not be read: see above".to_owned()))];
        let all: Cases = std::panic::catch_unwind(|| cases(&folder)).unwrap_or_else(unreadable);
        let (apart, counted): (Cases, Cases) = all.into_iter().partition(|(id, _)| is_differing(id));
        let failing =
            counted.iter().filter_map(|(id, result)| Some(format!("{id}: {}\n", result.as_ref().err()?)));
        let failing: Vec<String> = failing.collect();
        let (passed, total) = (counted.len() - failing.len(), counted.len());
        std::fs::write(out.join(format!("{topic}.txt")), failing.concat())
            .expect("could not write the failing ids");
        let floor = floors.get(topic).and_then(toml::Value::as_float).unwrap_or(98.0);
        let note = match apart.len() {
            0 => String::new(),
            n => format!(" ({n} differ on purpose)"),
        };
        println!("{topic} {passed}/{total}{note}");
        for (id, _) in apart.iter().filter(|(_, result)| result.is_ok()) {
            println!("  {topic}/{id} is listed as a difference, and is none");
        }
        if total == 0 || (passed * 100) as f64 / (total.max(1) as f64) < floor {
            println!("  below the floor of {floor} %: see {}", out.join(format!("{topic}.txt")).display());
            below = true;
        }
    }
    if !found {
        println!("no corpora: there is no folder of a topic in {}", corpora.display());
        return ExitCode::from(2);
    }
    ExitCode::from(u8::from(below))
}

fn table(text: &str) -> BTreeMap<String, toml::Value> {
    text.parse::<toml::Table>().expect("floors.toml and differences.toml are TOML").into_iter().collect()
}

/// Objects of a file of one object a line; none where it is not there.
pub(crate) fn objects(path: &Path) -> Vec<Value> {
    let text = std::fs::read_to_string(path).unwrap_or_default();
    let lines = text.lines().filter(|line| !line.trim().is_empty());
    lines.map(|line| serde_json::from_str(line).expect("a line of a corpus is JSON")).collect()
}

/// A name for a case that has none of its own: by what it says, not by its place, so that it is the same wherever it stands.
pub(crate) fn named_by(text: &str) -> String {
    let hash =
        text.bytes().fold(0x811c_9dc5_u32, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193));
    format!("{hash:08x}")
}

/// Text of a member, empty where there is none.
pub(crate) fn text<'v>(case: &'v Value, name: &str) -> &'v str {
    case[name].as_str().unwrap_or_default()
}

/// `Ok` where both are equal.
pub(crate) fn same<T: PartialEq + std::fmt::Debug>(what: &str, is: &T, wanted: &T) -> Result<(), String> {
    if is == wanted { Ok(()) } else { Err(format!("{what} is {is:?}, not {wanted:?}")) }
}
