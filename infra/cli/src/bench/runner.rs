//! The runner with a job that does nothing, and the same loop without transactions.

use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use millrace_jobs::{Batch, Effects, Job, Partitioning, Plan, Record, Reject, State, Table, Verdict};
use millrace_runner::kafka::{KafkaSession, SessionOptions};
use millrace_runner::{Error, Session, transact};
use millrace_runtime::kafka::PlainProducer;
use millrace_runtime::stop::Stop;
use millrace_schemas::topics;

use super::forward::producer_performance;
use super::pure::write_lines;
use super::site::Site;
use super::{Measured, Target, middle};

const LINES: usize = 2_000_000;
/// One a core, as `parse.loops` would be set here: while one waits for its commit the other works.
const LOOPS: u32 = 2;

pub(super) fn run() -> anyhow::Result<Vec<Measured>> {
    let (mut with, mut without) = (Vec::new(), Vec::new());
    for _ in 0..3 {
        // Each on a broker of its own: what one leaves in the page cache to be written is not the other's burden.
        for (transactions, rates) in [(false, &mut without), (true, &mut with)] {
            let site = Site::start("runner")?;
            let (path, _) = write_lines(&site.scratch.0, LINES / 2)?;
            producer_performance(&site, &path, LINES)?;
            rates.push(copy(&site, transactions)?);
        }
        eprintln!("without transactions {without:.0?}, with {with:.0?}");
    }
    let (with, without) = (middle(with), middle(without));
    let cost = (1.0 - with / without) * 100.0;
    Ok(vec![
        Measured::new("runner_passthrough", with, "records/s", Some(Target::AtLeast(290_000.0)))
            .note(format!("{LOOPS} loops in one process, ledger and progress included")),
        Measured::new("runner_transactions", cost, "%", Some(Target::Below(5.0)))
            .against("the same loop without transactions, offsets and ledger")
            .note(format!("without: {without:.0} records/s")),
    ])
}

/// Copies logs.raw to logs.parsed as bytes in [`LOOPS`] loops: records a second, from the first batch to the end of the
/// last.
fn copy(site: &Site, transactions: bool) -> anyhow::Result<f64> {
    let service = site.service(Path::new("/nowhere"))?;
    let (seen, stop) = (AtomicUsize::new(0), Stop::default());
    let give_up = Instant::now() + Duration::from_secs(120);
    let spans = std::thread::scope(|scope| {
        let one = |number| {
            let (service, seen, stop) = (service.clone(), &seen, stop.clone());
            move || -> anyhow::Result<Option<(Instant, Instant)>> {
                let mut job = Copy;
                let options = SessionOptions::usual(Copy::NAME, job.inputs(), job.outputs(), 0, number);
                let inner = KafkaSession::join(&service, options)?;
                let plain =
                    if transactions { None } else { Some(PlainProducer::open(&service.config.kafka)?) };
                let mut session = Counting { inner, plain, seen, span: None, stop: stop.clone() };
                transact(&mut job, &mut session, || stop.requested() || Instant::now() > give_up)?;
                Ok(session.span)
            }
        };
        let threads: Vec<_> = (0..LOOPS).map(|number| scope.spawn(one(number))).collect();
        let panicked = |_| Err(anyhow::anyhow!("a loop panicked"));
        let ends = threads.into_iter().map(|thread| thread.join().unwrap_or_else(panicked));
        ends.collect::<anyhow::Result<Vec<_>>>()
    })?;
    let n_seen = seen.into_inner();
    anyhow::ensure!(n_seen >= LINES, "only {n_seen} of {LINES} records were copied");
    let spans: Vec<_> = spans.into_iter().flatten().collect();
    let from = spans.iter().map(|(from, _)| *from).min();
    let to = spans.iter().map(|(_, to)| *to).max();
    let (Some(from), Some(to)) = (from, to) else { anyhow::bail!("nothing was copied") };
    Ok(n_seen as f64 / (to - from).as_secs_f64())
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

/// Tells the time from the first batch to the last commit; where there is a plain producer, sends through that one and
/// commits nothing.
struct Counting<'s> {
    inner: KafkaSession,
    plain: Option<PlainProducer>,
    seen: &'s AtomicUsize,
    span: Option<(Instant, Instant)>,
    stop: Stop,
}

impl Counting<'_> {
    fn send(&mut self, plan: &Plan) -> Result<bool, Error> {
        let Some(plain) = &mut self.plain else { return Ok(false) };
        let sent = plan.outputs().try_for_each(|output| {
            plain.send(topics::PARSED, output.partition, output.key, Some(output.value))
        });
        sent.and_then(|()| plain.flush())
            .map_err(|error| Error::new(millrace_runner::Class::Exit, "send without transactions", error))?;
        Ok(true)
    }
}

impl Session for Counting<'_> {
    fn poll(&mut self, table: &mut Table, batch: &mut Batch) -> Result<(), Error> {
        self.inner.poll(table, batch)?;
        if !batch.is_empty() {
            self.span.get_or_insert_with(|| (Instant::now(), Instant::now()));
        }
        Ok(())
    }

    fn schema(&mut self, id: u32) -> Result<Option<String>, Error> {
        self.inner.schema(id)
    }

    fn commit(&mut self, plan: &Plan) -> Result<(), Error> {
        if !self.send(plan)? {
            self.inner.commit(plan)?;
        }
        let seen = self.seen.fetch_add(plan.n_records(), Ordering::Relaxed) + plan.n_records();
        if let Some(span) = &mut self.span {
            span.1 = Instant::now();
        }
        if seen >= LINES {
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
