//! The whole way on one machine: forwarder, parse, index, archive, merges, query and broker together.

use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use millrace_loadgen::{Kind, Lines, Options};
use millrace_runtime::stop::Stop;
use millrace_schemas::ledger::{edge, stage};

use super::{Measured, Scratch, Target};
use crate::args::Ports;
use crate::ledger::Books;
use crate::search;
use crate::up::Platform;

/// How long lines are written at each rate.
const SPAN: Duration = Duration::from_secs(40);
/// A probe line this often.
const PROBE: Duration = Duration::from_millis(500);

pub(super) fn run() -> anyhow::Result<Vec<Measured>> {
    let scratch = Scratch::new("whole")?;
    let stop = Stop::default();
    let platform = Platform::start(&scratch.0, None, Ports::Auto, &stop, |text| eprintln!("{text}"))?;
    let measured = measure(&platform);
    platform.finish()?;
    measured
}

fn measure(platform: &Platform) -> anyhow::Result<Vec<Measured>> {
    let logs = platform.service.config.data_dir.join("logs");
    let query = format!("http://{}", platform.addresses.query);
    let freshness = freshness(&logs, &query)?;
    drain(platform)?;
    let (rate, seconds) = sustained(platform, &logs)?;
    let memory = resident(std::process::id())?;
    let search = search_p99(&query)?;
    let note = format!("a backlog of lines through to both sinks in {seconds:.0} s");
    Ok(vec![
        Measured::new("freshness_p99", freshness, "s", Some(Target::Below(3.0)))
            .note("at 20000 lines/s".to_owned()),
        Measured::new("whole_way", rate, "lines/s", Some(Target::AtLeast(40_000.0))).note(note),
        Measured::new("memory_all", memory, "MB", None).note("every service in one process, peak".to_owned()),
        Measured::new("search_term_p99", search, "ms", Some(Target::Below(100.0)))
            .note("on the lines of this run, over HTTP".to_owned()),
    ])
}

/// Writes at 20,000 lines/s with a probe line now and then; how long until each probe is found.
fn freshness(logs: &Path, query: &str) -> anyhow::Result<f64> {
    let mut source = Lines::new(Options { step: 50, ..Options::one(Kind::Apache, 3, now()?) });
    let mut file = File::options().create(true).append(true).open(logs.join("fresh.log"))?;
    let (start, mut written, mut text) = (Instant::now(), 0, Vec::new());
    let mut open: Vec<(String, Instant)> = Vec::new();
    let (mut probed, mut ages) = (Instant::now(), Vec::new());
    let mut n_probes = 0;
    while start.elapsed() < SPAN || (!open.is_empty() && start.elapsed() < SPAN * 2) {
        if start.elapsed() < SPAN {
            let due = (start.elapsed().as_secs_f64() * 20_000.0) as u64;
            text.clear();
            for _ in written..due {
                source.next_into(&mut text);
                text.push(b'\n');
            }
            written = due;
            if probed.elapsed() >= PROBE {
                probed = Instant::now();
                let token = format!("probe{n_probes}x");
                n_probes += 1;
                writeln!(text, r#"{{"message":"{token}","level":"info"}}"#)?;
                open.push((token, Instant::now()));
            }
            file.write_all(&text)?;
        }
        if let Some((token, since)) = open.first() {
            let found = search::ask(query, &[("q", token.clone()), ("limit", "1".to_owned())], None)?;
            if found["total"] != 0 {
                ages.push(since.elapsed().as_secs_f64());
                open.remove(0);
            }
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    anyhow::ensure!(open.is_empty(), "{} probe lines were never found", open.len());
    ages.sort_by(f64::total_cmp);
    ages.get(ages.len() * 99 / 100).copied().ok_or_else(|| anyhow::anyhow!("no probe was found"))
}

fn archived(books: &Books) -> i64 {
    let count = |stage, edge| books.book.total(stage, edge).0;
    let archived = count(stage::ARCHIVE, edge::IN) + count(stage::ARCHIVE, edge::DEAD);
    archived.min(count(stage::INDEX, edge::IN) + count(stage::INDEX, edge::DEAD))
}

/// Waits until both sinks hold everything.
fn drain(platform: &Platform) -> anyhow::Result<i64> {
    let mut books = Books::open(&platform.service, i64::MIN)?;
    loop {
        let report = books.report(&platform.service)?;
        anyhow::ensure!(report.faults.is_empty(), "the ledger is off: {:?}", report.faults);
        if report.in_flight == 0 {
            return Ok(archived(&books));
        }
        std::thread::sleep(Duration::from_millis(100));
    }
}

/// Writes faster than anything can take for a while, then waits for both sinks: lines a second over all of it.
fn sustained(platform: &Platform, logs: &Path) -> anyhow::Result<(f64, f64)> {
    const LINES: usize = 2_000_000;
    let mut books = Books::open(&platform.service, i64::MIN)?;
    let before = archived(&books);
    let mut source = Lines::new(Options { step: 25, ..Options::one(Kind::Apache, 4, now()?) });
    let mut file = File::options().create(true).append(true).open(logs.join("bulk.log"))?;
    let mut text = Vec::new();
    let start = Instant::now();
    for at in 0..LINES {
        source.next_into(&mut text);
        text.push(b'\n');
        if text.len() > 1 << 20 || at + 1 == LINES {
            file.write_all(&text)?;
            text.clear();
        }
    }
    while archived(&books) - before < LINES as i64 {
        books.read(&platform.service, Duration::from_millis(200))?;
        anyhow::ensure!(start.elapsed() < Duration::from_secs(600), "not through after 600 s");
    }
    let seconds = start.elapsed().as_secs_f64();
    Ok((LINES as f64 / seconds, seconds))
}

/// Peak resident memory of a process, MB.
fn resident(pid: u32) -> anyhow::Result<f64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap_or_default();
    let kib: f64 = line.trim().trim_end_matches(" kB").parse()?;
    Ok(kib * 1024.0 / 1e6)
}

/// A term, a phrase, a boolean and a prefix query in turn; the slowest but one in a hundred, ms.
fn search_p99(query: &str) -> anyhow::Result<f64> {
    let queries = ["status:500", "\"GET /cart\"", "status:404 AND method:POST", "path:/cart* AND status:200"];
    let mut took = Vec::new();
    for round in 0..60 {
        for text in queries {
            let start = Instant::now();
            search::ask(query, &[("q", text.to_owned()), ("limit", "20".to_owned())], None)?;
            if round >= 10 {
                took.push(start.elapsed().as_secs_f64() * 1e3);
            }
        }
    }
    took.sort_by(f64::total_cmp);
    Ok(took[took.len() * 99 / 100])
}

fn now() -> anyhow::Result<i64> {
    Ok(SystemTime::now().duration_since(UNIX_EPOCH)?.as_micros() as i64)
}
