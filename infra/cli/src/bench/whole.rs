//! The whole way on one machine: forwarder, parse, index, archive, merges, query and broker together.

use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use millrace_loadgen::{Kind, Lines, Options};
use millrace_schemas::ledger::{edge, stage};

use super::fleet::Fleet;
use super::site::Site;
use super::{Measured, Target, p99};
use crate::ledger::Books;

/// How long lines are written at the steady rate.
const SPAN: Duration = Duration::from_secs(40);
/// Of these seconds, the first so many are the services' first: caches, connections, the compiler of the broker.
const WARM: Duration = Duration::from_secs(10);
/// A probe line this often.
const PROBE: Duration = Duration::from_millis(250);
/// Lines a second while freshness is measured.
const STEADY: f64 = 20_000.0;
/// Lines of the backlog.
const LINES: usize = 3_000_000;

pub(super) fn run() -> anyhow::Result<Vec<Measured>> {
    let site = Site::start("whole")?;
    let mut fleet = Fleet::start(&site, &["query", "index", "archive", "job parse", "forward"])?;
    let freshness = freshness(&mut fleet)?;
    drain(&fleet)?;
    let (rate, seconds) = sustained(&mut fleet)?;
    let mut all = vec![
        Measured::new("freshness_p99", freshness, "s", Some(Target::Below(3.0)))
            .note(format!("at {STEADY} lines/s")),
        Measured::new("whole_way", rate, "lines/s", Some(Target::AtLeast(40_000.0)))
            .note(format!("a backlog of {LINES} lines through to both sinks in {seconds:.0} s")),
    ];
    let bounds = [
        ("forward", "memory_forward", 50.0),
        ("job parse", "memory_parse", 300.0),
        ("index", "memory_index", 600.0),
        ("archive", "memory_archive", 300.0),
        ("query", "memory_query", 300.0),
    ];
    for (service, peak) in fleet.memory()? {
        if let Some((_, name, bound)) = bounds.iter().find(|(own, _, _)| *own == service) {
            all.push(
                Measured::new(name, peak, "MB", Some(Target::Below(*bound)))
                    .note("peak resident, over the whole way".to_owned()),
            );
        }
    }
    Ok(all)
}

/// Writes at a steady rate with a probe line now and then; how long until each probe is found.
fn freshness(fleet: &mut Fleet) -> anyhow::Result<f64> {
    let mut source = Lines::new(Options { step: 50, ..Options::one(Kind::Apache, 3, now()?) });
    let mut file = File::options().create(true).append(true).open(fleet.logs.join("fresh.log"))?;
    let (start, mut written, mut text) = (Instant::now(), 0, Vec::new());
    let mut open: Vec<(String, Instant)> = Vec::new();
    let (mut probed, mut ages) = (Instant::now(), Vec::new());
    let mut n_probes = 0;
    while start.elapsed() < SPAN || (!open.is_empty() && start.elapsed() < SPAN * 2) {
        if start.elapsed() < SPAN {
            let due = (start.elapsed().as_secs_f64() * STEADY) as u64;
            text.clear();
            for _ in written..due {
                source.next_into(&mut text);
                text.push(b'\n');
            }
            written = due;
            if probed.elapsed() >= PROBE && start.elapsed() > WARM {
                probed = Instant::now();
                let token = format!("probe{n_probes}x");
                n_probes += 1;
                writeln!(text, r#"{{"message":"{token}","level":"info"}}"#)?;
                open.push((token, Instant::now()));
            }
            file.write_all(&text)?;
        }
        if let Some((token, since)) = open.first()
            && fleet.count(token)? > 0
        {
            ages.push(since.elapsed().as_secs_f64());
            open.remove(0);
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    fleet.check()?;
    anyhow::ensure!(open.is_empty(), "{} probe lines were never found", open.len());
    p99(ages)
}

fn archived(books: &Books) -> i64 {
    let count = |stage, edge| books.book.total(stage, edge).0;
    let archived = count(stage::ARCHIVE, edge::IN) + count(stage::ARCHIVE, edge::DEAD);
    archived.min(count(stage::INDEX, edge::IN) + count(stage::INDEX, edge::DEAD))
}

/// Waits until both sinks hold everything.
fn drain(fleet: &Fleet) -> anyhow::Result<()> {
    let mut books = Books::open(&fleet.service, i64::MIN)?;
    let start = Instant::now();
    loop {
        let report = books.report(&fleet.service)?;
        anyhow::ensure!(report.faults.is_empty(), "the ledger is off: {:?}", report.faults);
        if report.in_flight == 0 {
            return Ok(());
        }
        anyhow::ensure!(start.elapsed() < Duration::from_secs(120), "not through after 120 s");
        std::thread::sleep(Duration::from_millis(200));
    }
}

/// A file that is there at once, until both sinks hold all of it: lines a second. What makes the lines is done before the
/// clock starts: it would take a core from those that are measured.
fn sustained(fleet: &mut Fleet) -> anyhow::Result<(f64, f64)> {
    let mut books = Books::open(&fleet.service, i64::MIN)?;
    let before = archived(&books);
    let aside = fleet.logs.with_file_name("bulk.log");
    write_backlog(&aside)?;
    let start = Instant::now();
    std::fs::rename(&aside, fleet.logs.join("bulk.log"))?;
    while archived(&books) - before < LINES as i64 {
        books.read(&fleet.service, Duration::from_millis(200))?;
        fleet.check()?;
        anyhow::ensure!(start.elapsed() < Duration::from_secs(600), "not through after 600 s");
    }
    let seconds = start.elapsed().as_secs_f64();
    Ok((LINES as f64 / seconds, seconds))
}

fn write_backlog(path: &Path) -> anyhow::Result<()> {
    let mut source = Lines::new(Options { step: 25, ..Options::one(Kind::Apache, 4, now()?) });
    let (mut file, mut text) = (File::create(path)?, Vec::new());
    for at in 0..LINES {
        source.next_into(&mut text);
        text.push(b'\n');
        if text.len() > 1 << 20 || at + 1 == LINES {
            file.write_all(&text)?;
            text.clear();
        }
    }
    Ok(())
}

fn now() -> anyhow::Result<i64> {
    Ok(SystemTime::now().duration_since(UNIX_EPOCH)?.as_micros() as i64)
}
