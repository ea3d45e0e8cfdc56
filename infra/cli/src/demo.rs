//! `millrace demo`: writes a log while everything runs on it, then shows what came out.

use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use indicatif::{ProgressBar, ProgressStyle};
use millrace_loadgen::{Lines, Options};
use millrace_runtime::service::Service;
use millrace_runtime::stop::Stop;
use millrace_schemas::ledger::{Report, edge, stage};
use serde_json::Value;

use crate::args::Demo;
use crate::ledger::{Books, verdict};
use crate::output::{Answer, grouped, table};
use crate::search;
use crate::up::Platform;

/// Lines as real services write them; some that no parser reads.
const SAMPLE: &str = include_str!("../sample.log");
/// What is not through after this long is said to be missing.
const PATIENCE: Duration = Duration::from_secs(120);

pub(crate) fn run(args: &Demo) -> anyhow::Result<Answer> {
    let start = Instant::now();
    // The demo's own lines are what is to be seen; warnings still show.
    millrace_runtime::log::start(millrace_runtime::log::Format::Text, "warn");
    let stop = Stop::on_signals()?;
    let mut platform = Platform::start(&args.data, None, args.ports, &stop, |text| eprintln!("{text}"))?;
    let outcome = show(&platform, args, &stop, start);
    if let Ok(Some(_)) = &outcome
        && !args.once
    {
        println!("\n{}", platform.addresses_text());
        platform.wait();
    }
    platform.finish()?;
    Ok(match outcome? {
        Some(true) => Answer::Yes,
        Some(false) => Answer::No,
        None => Answer::Unknown,
    })
}

/// Writes, watches, tells. `None`: stopped before the end.
fn show(platform: &Platform, args: &Demo, stop: &Stop, start: Instant) -> anyhow::Result<Option<bool>> {
    let service = &platform.service;
    let folder = service.config.data_dir.join("logs");
    println!(
        "millrace is up after {:.1} s; writing {} lines to {}",
        start.elapsed().as_secs_f64(),
        grouped(args.lines as i64),
        folder.display()
    );
    let writer = {
        let (folder, stop, lines, rate) = (folder.clone(), stop.clone(), args.lines, args.rate.max(1));
        std::thread::Builder::new()
            .name("writer".to_owned())
            .spawn(move || write(&folder, lines, rate, &stop))?
    };
    let mut books = Books::open(service, i64::MIN)?;
    let mut bar = Progress::new(start);
    while !writer.is_finished() && !stop.requested() {
        bar.turn(service, &mut books, &folder)?;
    }
    writer.join().map_err(|_| anyhow::anyhow!("the writer panicked"))??;
    let written = count_lines(&folder)?;
    let since = Instant::now();
    let report = loop {
        bar.turn(service, &mut books, &folder)?;
        let counts = Counts::of(&books);
        if counts.all_through(written) || since.elapsed() > PATIENCE || stop.requested() {
            let report = books.report(service)?;
            if report.in_flight == 0 || since.elapsed() > PATIENCE || stop.requested() {
                break report;
            }
        }
    };
    bar.finish();
    if stop.requested() {
        return Ok(None);
    }
    let counts = Counts::of(&books);
    let balanced = tell(written, &counts, &report);
    searches(&platform.addresses.query)?;
    Ok(Some(balanced))
}

/// Appends the sample and generated lines, in small steps, as services do.
fn write(folder: &Path, lines: u64, rate: u64, stop: &Stop) -> anyhow::Result<()> {
    let append = |name: &str| File::options().create(true).append(true).open(folder.join(name));
    append("sample.log")?.write_all(SAMPLE.as_bytes())?;
    let mut file = append("generated.log")?;
    let now = SystemTime::now().duration_since(UNIX_EPOCH)?.as_micros() as i64;
    let mut source = Lines::new(Options {
        garbage_per_10k: 5,
        step: 1_000_000 / rate.max(1) as i64,
        ..Options::mixed(now as u64, now)
    });
    let start = Instant::now();
    let mut written = 0;
    let mut chunk = Vec::new();
    while written < lines && !stop.requested() {
        let due = ((start.elapsed().as_secs_f64() * rate as f64) as u64).min(lines);
        chunk.clear();
        for _ in written..due {
            source.next_into(&mut chunk);
            chunk.push(b'\n');
        }
        file.write_all(&chunk)?;
        written = due;
        std::thread::sleep(Duration::from_millis(20));
    }
    Ok(())
}

/// Lines in all files of the folder: what should have arrived.
fn count_lines(folder: &Path) -> anyhow::Result<i64> {
    let mut n_lines = 0;
    let mut buffer = Vec::new();
    for path in log_files(folder)? {
        let mut reader = BufReader::new(File::open(path)?);
        loop {
            buffer.clear();
            if reader.read_until(b'\n', &mut buffer)? == 0 {
                break;
            }
            n_lines += 1;
        }
    }
    Ok(n_lines)
}

fn log_files(folder: &Path) -> std::io::Result<Vec<PathBuf>> {
    let paths = std::fs::read_dir(folder)?.map(|entry| entry.map(|entry| entry.path()));
    let mut paths: Vec<PathBuf> = paths.collect::<Result<_, _>>()?;
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "log"));
    Ok(paths)
}

/// Lines by stage, as the ledger has them.
#[derive(Debug, Clone, Copy, Default)]
struct Counts {
    raw: i64,
    parsed: i64,
    dead: i64,
    indexed: i64,
    archived: i64,
}

impl Counts {
    fn of(books: &Books) -> Counts {
        let count = |stage, edge| books.book.total(stage, edge).0;
        Counts {
            raw: count(stage::FORWARD, edge::OUT),
            parsed: count(stage::PARSE, edge::OUT),
            dead: count(stage::PARSE, edge::DEAD),
            indexed: count(stage::INDEX, edge::IN) + count(stage::INDEX, edge::DEAD),
            archived: count(stage::ARCHIVE, edge::IN) + count(stage::ARCHIVE, edge::DEAD),
        }
    }

    fn all_through(&self, written: i64) -> bool {
        [self.raw, self.parsed + self.dead, self.indexed, self.archived].iter().all(|own| *own >= written)
    }
}

/// A line that is drawn over on a terminal, and printed now and then elsewhere.
struct Progress {
    bar: Option<ProgressBar>,
    start: Instant,
    last: (Instant, Counts),
}

impl Progress {
    fn new(start: Instant) -> Progress {
        use std::io::IsTerminal;
        let bar = std::io::stderr().is_terminal().then(|| {
            let bar = ProgressBar::new_spinner();
            if let Ok(style) = ProgressStyle::with_template("{spinner} {msg}") {
                bar.set_style(style);
            }
            bar
        });
        Progress { bar, start, last: (Instant::now(), Counts::default()) }
    }

    fn turn(&mut self, service: &Service, books: &mut Books, folder: &Path) -> anyhow::Result<()> {
        books.read(service, Duration::from_millis(200))?;
        let took = self.last.0.elapsed().as_secs_f64();
        if took < if self.bar.is_some() { 0.5 } else { 2.0 } {
            return Ok(());
        }
        let (now, before) = (Counts::of(books), self.last.1);
        let rate = |own: i64, before: i64| grouped(((own - before) as f64 / took) as i64);
        let written = count_lines(folder)?;
        let text = format!(
            "{:>4.0} s  lines/s: raw {}  parsed {}  indexed {}  archived {}  | lag: parse {}  index {}  archive {}",
            self.start.elapsed().as_secs_f64(),
            rate(now.raw, before.raw),
            rate(now.parsed + now.dead, before.parsed + before.dead),
            rate(now.indexed, before.indexed),
            rate(now.archived, before.archived),
            grouped(written - now.parsed - now.dead),
            grouped(written - now.indexed),
            grouped(written - now.archived),
        );
        match &self.bar {
            Some(bar) => {
                bar.set_message(text);
                bar.tick();
            }
            None => eprintln!("{text}"),
        }
        self.last = (Instant::now(), now);
        Ok(())
    }

    fn finish(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

fn tell(written: i64, counts: &Counts, report: &Report) -> bool {
    let balanced = report.faults.is_empty() && report.in_flight == 0 && counts.raw == written;
    let rows = [
        ("lines written", written),
        ("in logs.raw", counts.raw),
        ("parsed", counts.parsed),
        ("dead", counts.dead),
        ("indexed", counts.indexed),
        ("archived", counts.archived),
    ];
    let rows = rows.iter().map(|(name, count)| vec![(*name).to_owned(), grouped(*count)]);
    println!("{}", table(&["stage", "lines"], 1, rows));
    println!("ledger {}", verdict(report));
    if !balanced {
        println!("does not balance: run `millrace ledger` and `millrace status` on this data folder");
    }
    balanced
}

fn searches(query: &str) -> anyhow::Result<()> {
    let asker = search::Asker::new(&format!("http://{query}"))?;
    for text in ["status:500 AND path:/cart*", "severity:error", "reason:no_match"] {
        println!("\nmillrace search '{text}' --limit 3");
        let parameters = [("q", text.to_owned()), ("limit", "3".to_owned())];
        // The index is committed; the query service follows within a moment.
        let deadline = Instant::now() + Duration::from_secs(3);
        let found: Value = loop {
            let found = asker.ask(&parameters, None)?;
            if found["total"] != 0 || Instant::now() > deadline {
                break found;
            }
            std::thread::sleep(Duration::from_millis(100));
        };
        search::show(&found);
    }
    Ok(())
}
