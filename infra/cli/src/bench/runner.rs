//! The runner with a job that does nothing, and the same loop without transactions.

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use millrace_jobs::{Batch, Effects, Job, Output, Partitioning, Plan, Record, Reject, State, Table, Verdict};
use millrace_runner::kafka::{KafkaSession, SessionOptions};
use millrace_runner::{Class, Error, Session, Turn, transact};
use millrace_runtime::kafka::PlainProducer;
use millrace_runtime::stop::Stop;
use millrace_schemas::topics;

use super::fleet::cpu_seconds;
use super::forward::producer_performance;
use super::pure::write_lines;
use super::site::Site;
use super::{Measured, Target, middle};

/// Records of one measurement, and pairs of measurements.
const LINES: usize = 1_500_000;
const PAIRS: usize = 11;
/// Copied before, in small transactions: until some thousand of them the broker compiles what it runs for the first time.
const WARM_UP: usize = 1_000_000;
const WARM_UP_RECORDS: usize = 300;
/// One a core, as `parse.loops` would be set here: while one waits for its commit the other works.
const LOOPS: u32 = 2;
/// What the loops may have read beyond the last record that is counted.
const BEYOND: usize = 400_000;

pub(super) fn run() -> anyhow::Result<Vec<Measured>> {
    let site = Site::start("runner")?;
    let (path, _) = write_lines(&site.scratch.0, 1_000_000)?;
    producer_performance(&site, &path, WARM_UP + PAIRS * (LINES + BEYOND))?;
    copy(&site, true, WARM_UP, WARM_UP_RECORDS)?;
    let (mut with, mut without) = (Runs::default(), Runs::default());
    for pair in 0..PAIRS {
        // Each is as often the first as the other. Without transactions no offset is committed: what is read then is read
        // again.
        for transactions in [pair % 2 == 1, pair % 2 == 0] {
            let runs = if transactions { &mut with } else { &mut without };
            let (rate, cpu) = copy(&site, transactions, LINES, usize::MAX)?;
            runs.rates.push(rate);
            runs.cpu.push(cpu);
        }
    }
    eprintln!("without transactions {without:.2?}, with {with:.2?}");
    // The two of a pair met the same weather.
    let mut costs: Vec<f64> =
        with.rates.iter().zip(&without.rates).map(|(with, without)| (1.0 - with / without) * 100.0).collect();
    costs.sort_by(f64::total_cmp);
    let quartiles = (costs[PAIRS / 4], costs[PAIRS - 1 - PAIRS / 4]);
    let cpu = (middle(without.cpu), middle(with.cpu));
    let (with, without, cost) = (middle(with.rates), middle(without.rates), middle(costs));
    Ok(vec![
        Measured::new("runner_passthrough", with, "records/s", Some(Target::AtLeast(290_000.0)))
            .note(format!("{LOOPS} loops in one process, ledger and progress included")),
        Measured::new("runner_transactions", cost, "%", Some(Target::Below(5.0)))
            .against("the same loop without transactions, offsets and ledger")
            .note(format!(
                "median of {PAIRS} pairs in turns on one broker, half of them from {:.1} to {:.1} %; without: {without:.0} records/s; \
                 CPU of runner and broker for a record {:.2} µs without, {:.2} µs with",
                quartiles.0, quartiles.1, cpu.0, cpu.1
            )),
    ])
}

/// Of each run, records a second and µs of CPU a record, runner and broker together.
#[derive(Debug, Default)]
struct Runs {
    rates: Vec<f64>,
    cpu: Vec<f64>,
}

/// Copies `n_lines` from logs.raw to logs.parsed as bytes in [`LOOPS`] loops, at most `max_records` in a batch: records a
/// second, all loops together, and µs of CPU a record, from the end of the first batch.
fn copy(site: &Site, transactions: bool, n_lines: usize, max_records: usize) -> anyhow::Result<(f64, f64)> {
    let service = site.service(Path::new("/nowhere"))?;
    let pids = [std::process::id(), site.broker.pid()];
    let (seen, stop) = (Mutex::new(Seen { pids, n: 0, measured: None }), Stop::default());
    let give_up = Instant::now() + Duration::from_secs(180);
    std::thread::scope(|scope| {
        let one = |number| {
            let (service, seen, stop) = (service.clone(), &seen, stop.clone());
            move || -> anyhow::Result<()> {
                let mut job = Copy;
                let mut options = SessionOptions::usual(Copy::NAME, job.inputs(), job.outputs(), 0, number);
                options.max_records = options.max_records.min(max_records);
                let inner = KafkaSession::join(&service, options)?;
                let plain =
                    if transactions { None } else { Some(PlainProducer::open(&service.config.kafka)?) };
                let mut session = Counting { inner, plain, in_flight: 0, seen, n_lines, stop: stop.clone() };
                transact(&mut job, &mut session, || stop.requested() || Instant::now() > give_up)?;
                Ok(())
            }
        };
        let threads: Vec<_> = (0..LOOPS).map(|number| scope.spawn(one(number))).collect();
        let panicked = |_| Err(anyhow::anyhow!("a loop panicked"));
        threads.into_iter().try_for_each(|thread| thread.join().unwrap_or_else(panicked))
    })?;
    let seen = seen.into_inner().unwrap_or_else(PoisonError::into_inner);
    anyhow::ensure!(seen.n >= n_lines, "only {} of {n_lines} records were copied", seen.n);
    let Some((n_before, from, to)) = seen.measured else { anyhow::bail!("nothing was measured") };
    let n = (seen.n - n_before) as f64;
    Ok((n / (to.at - from.at).as_secs_f64(), (to.cpu - from.cpu) * 1e6 / n))
}

/// A moment, and the CPU seconds that were used until then.
#[derive(Clone, Copy)]
struct Mark {
    at: Instant,
    cpu: f64,
}

/// What all loops have copied.
struct Seen {
    pids: [u32; 2],
    n: usize,
    /// Records copied when the clock started, when that was, and when the last ones were.
    measured: Option<(usize, Mark, Mark)>,
}

impl Seen {
    fn add(&mut self, n: usize) {
        if n == 0 {
            return;
        }
        self.n += n;
        let cpu = self.pids.iter().map(|pid| cpu_seconds(*pid).unwrap_or(f64::NAN)).sum();
        let now = Mark { at: Instant::now(), cpu };
        self.measured.get_or_insert((self.n, now, now)).2 = now;
    }
}

/// The job that does nothing to a record.
struct Copy;

impl Job for Copy {
    const NAME: &'static str = "parse";

    fn inputs(&self) -> Vec<String> {
        vec![topics::RAW.to_owned()]
    }

    fn outputs(&self) -> Vec<String> {
        vec![topics::PARSED.to_owned()]
    }

    fn process(&self, record: &Record<'_>, _: &State<'_>, out: &mut Effects<'_>) -> Result<Verdict, Reject> {
        out.emit(0, Partitioning::AsInput, record.key, |value| {
            value.extend_from_slice(record.value.unwrap_or_default());
            Ok(())
        })?;
        Ok(Verdict::Out)
    }
}

/// Counts what is committed; where there is a plain producer, sends through that one and commits nothing.
struct Counting<'s> {
    inner: KafkaSession,
    plain: Option<PlainProducer>,
    in_flight: usize,
    seen: &'s Mutex<Seen>,
    n_lines: usize,
    stop: Stop,
}

impl Session for Counting<'_> {
    fn poll(&mut self, batch: &mut Batch) -> Result<Turn, Error> {
        self.inner.poll(batch)
    }

    fn restore(&mut self, table: &mut Table) -> Result<(), Error> {
        self.inner.restore(table)
    }

    fn schema(&mut self, id: u32) -> Result<Option<String>, Error> {
        self.inner.schema(id)
    }

    fn submit(&mut self, plan: Arc<Plan>) -> Result<(), Error> {
        self.in_flight = plan.n_records();
        let Some(plain) = &mut self.plain else { return self.inner.submit(plan) };
        let mut send =
            |output: Output<'_>| plain.send(topics::PARSED, output.partition, output.key, Some(output.value));
        plan.outputs().try_for_each(&mut send).map_err(plainly)
    }

    fn settle(&mut self) -> Result<(), Error> {
        match &mut self.plain {
            Some(plain) => plain.flush().map_err(plainly)?,
            None => self.inner.settle()?,
        }
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        seen.add(std::mem::take(&mut self.in_flight));
        if seen.n >= self.n_lines {
            self.stop.request();
        }
        Ok(())
    }

    fn rewind(&mut self, cause: &Error) -> Result<(), Error> {
        self.inner.rewind(cause)
    }

    fn rejoin(&mut self, cause: &Error) -> Result<(), Error> {
        self.inner.rejoin(cause)
    }

    fn close(&mut self) -> Result<(), Error> {
        self.inner.close()
    }
}

fn plainly(error: millrace_runtime::kafka::Error) -> Error {
    Error::new(Class::Exit, "send without transactions", error)
}
