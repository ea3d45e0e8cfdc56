//! Measurements that need no broker: one core, data in memory or in a file that the page cache holds.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Instant;

use millrace_jobs::parse::{Format, Parse, ParseConfig};
use millrace_jobs::{Batch, Plan, Record, Table};
use millrace_loadgen::{Kind, Lines, Options};
use millrace_runtime::registry::Codecs;
use millrace_schemas::{Attributes, Event, LineEnd, Position, RawTemplate};

use super::{Measured, Scratch, Target, median};

/// Time of the first generated line.
const START: i64 = 1_767_225_600_000_000;

/// Apache lines of about 190 bytes, in a file.
pub(super) fn write_lines(folder: &Path, n_lines: usize) -> anyhow::Result<(PathBuf, u64)> {
    let path = folder.join("access.log");
    let mut lines = Lines::new(Options::one(Kind::Apache, 1, START));
    let mut text = Vec::new();
    for _ in 0..n_lines {
        lines.next_into(&mut text);
        text.push(b'\n');
    }
    std::fs::File::create(&path)?.write_all(&text)?;
    Ok((path, text.len() as u64))
}

pub(super) fn forwarder() -> anyhow::Result<Vec<Measured>> {
    let scratch = Scratch::new("forwarder")?;
    let (path, _) = write_lines(&scratch.0, 1_000_000)?;
    let (rate, ()) = median(|| {
        let (bytes, seconds) = millrace_forwarder::bench::read_through(&path)?;
        Ok((bytes as f64 / seconds / f64::from(1 << 20), ()))
    })?;
    Ok(vec![Measured::new("forwarder_own_code", rate, "MiB/s", Some(Target::AtLeast(77.0)))])
}

/// Framed raw events of Apache lines, and the bytes of their bodies.
fn raw_batch(codecs: &Codecs, first: usize, n_lines: usize, partition: i32) -> (Batch, u64) {
    let template = RawTemplate::new(
        codecs.raw().id(),
        "default",
        "web",
        "web-1",
        Some(("/var/log/access.log", "1-2-256-0123456789abcdef-0")),
        &Attributes::default(),
    );
    // A second goes by every hundred lines.
    let mut lines = Lines::new(Options::one(Kind::Apache, 2 + first as u64, START + first as i64 * 10_000));
    let (mut batch, mut body, mut value) = (Batch::default(), Vec::new(), Vec::new());
    let mut bytes = 0;
    for at in first..first + n_lines {
        body.clear();
        lines.next_into(&mut body);
        value.clear();
        let position = Position { byte: bytes as i64, line: at as i64 };
        template.encode(&mut value, lines.time(), Some(position), LineEnd::Lf, None, &body);
        bytes += body.len() as u64;
        batch.push(Record {
            input: 0,
            partition,
            offset: at as i64,
            appended: START,
            key: b"default/web-1",
            value: Some(&value),
            first: None,
        });
    }
    (batch, bytes)
}

fn parse_job(codecs: &Codecs) -> Parse {
    let config = ParseConfig { default_format: Format::Apache, by_stream: std::collections::BTreeMap::new() };
    Parse::new(config, codecs.raw().clone(), codecs.parsed().clone())
}

pub(super) fn parse() -> anyhow::Result<Vec<Measured>> {
    let codecs = Codecs::local()?;
    let job = parse_job(&codecs);
    let (batch, bytes) = raw_batch(&codecs, 0, 50_000, 0);
    let table = Table::default();
    let mut step = Plan::default();
    let (rate, lines) = median(|| {
        let start = Instant::now();
        for _ in 0..10 {
            step.fill(&job, &batch, &table, None);
        }
        let seconds = start.elapsed().as_secs_f64() / 10.0;
        anyhow::ensure!(
            step.outputs().len() == 50_000,
            "only {} of 50000 lines were parsed",
            step.outputs().len()
        );
        Ok((bytes as f64 / seconds / f64::from(1 << 20), 50_000.0 / seconds))
    })?;
    let note = format!("{lines:.0} lines/s, with decoding, encoding and ledger hashes");
    Ok(vec![Measured::new("parse_apache", rate, "MiB/s", Some(Target::AtLeast(20.0))).note(note)])
}

/// Framed events, as `logs.parsed` carries them.
fn events(codecs: &Codecs, n_lines: usize) -> Vec<Vec<u8>> {
    events_from(codecs, 0, n_lines, 0)
}

/// Same, the lines from number `first` on, of `partition`.
pub(super) fn events_from(codecs: &Codecs, first: usize, n_lines: usize, partition: i32) -> Vec<Vec<u8>> {
    let (batch, _) = raw_batch(codecs, first, n_lines, partition);
    let mut step = Plan::default();
    step.fill(&parse_job(codecs), &batch, &Table::default(), None);
    step.outputs().map(|output| output.value.to_vec()).collect()
}

pub(super) fn index() -> anyhow::Result<Vec<Measured>> {
    let codecs = Codecs::local()?;
    let values = events(&codecs, 200_000);
    let (rate, ratio) = median(|| {
        let (body, split, seconds) = millrace_indexer::bench::index(codecs.parsed(), &values, 20_000)?;
        Ok((body as f64 / seconds / 1e6, split as f64 / body as f64))
    })?;
    let note = format!("split is {ratio:.2} × the text, with the stored lines");
    Ok(vec![Measured::new("index", rate, "MB/s", Some(Target::AtLeast(13.0))).note(note)])
}

pub(super) fn archive() -> anyhow::Result<Vec<Measured>> {
    let codecs = Codecs::local()?;
    let values = events(&codecs, 300_000);
    let decoded: Vec<Event<'_>> =
        values.iter().map(|value| codecs.parsed().decode(value)).collect::<Result<_, _>>()?;
    let (rate, measured) = median(|| {
        let measured = millrace_archiver::bench::archive(&decoded)?;
        Ok((measured.rows as f64 / measured.seconds, measured))
    })?;
    let ratio = measured.text_bytes as f64 / measured.parquet_bytes as f64;
    let note =
        format!("{} rows, generated Apache lines, body and typed fields, after compaction", measured.rows);
    Ok(vec![
        Measured::new("archive_rate", rate, "events/s", Some(Target::AtLeast(61_000.0))),
        Measured::new("archive_ratio", ratio, "×", Some(Target::AtLeast(10.0))).note(note),
    ])
}
