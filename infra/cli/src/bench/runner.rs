//! The runner with a job that does nothing, and the same loop without transactions.

use std::path::Path;
use std::time::{Duration, Instant};

use millrace_jobs::{Batch, Effects, Job, Partitioning, Plan, Record, Reject, State, Table, Verdict};
use millrace_runner::kafka::{KafkaSession, SessionOptions};
use millrace_runner::{Error, Session, transact};
use millrace_runtime::kafka::PlainProducer;
use millrace_runtime::service::Service;
use millrace_runtime::stop::Stop;
use millrace_schemas::topics;

use super::forward::producer_performance;
use super::pure::write_lines;
use super::site::Site;
use super::{Measured, Target, middle};

const LINES: usize = 2_000_000;

pub(super) fn run() -> anyhow::Result<Vec<Measured>> {
    let (mut with, mut without) = (Vec::new(), Vec::new());
    for _ in 0..3 {
        let site = Site::start("runner")?;
        let (path, _) = write_lines(&site.scratch.0, LINES / 2)?;
        producer_performance(&site, &path, LINES)?;
        // The plain loop first: it leaves nothing behind that the other would go on from.
        without.push(copy(&site, "plain", false)?);
        with.push(copy(&site, "transactions", true)?);
        eprintln!("without transactions {without:.0?}, with {with:.0?}");
    }
    let (with, without) = (middle(with), middle(without));
    let cost = (1.0 - with / without) * 100.0;
    Ok(vec![
        Measured::new("runner_passthrough", with, "records/s", Some(Target::AtLeast(290_000.0))),
        Measured::new("runner_transactions", cost, "%", Some(Target::Below(5.0)))
            .against("the same loop without transactions, offsets and ledger")
            .note(format!("without: {without:.0} records/s")),
    ])
}

/// Copies logs.raw to logs.parsed as bytes: records a second, from the first batch to the end of the last.
fn copy(site: &Site, prefix: &str, transactions: bool) -> anyhow::Result<f64> {
    let mut service = site.service(Path::new("/nowhere"))?;
    prefix.clone_into(&mut service.config.kafka.prefix);
    let mut job = Copy;
    let options = SessionOptions::usual(Copy::NAME, job.inputs(), job.outputs(), 0, 0);
    let inner = KafkaSession::join(&service, options)?;
    let plain = if transactions { None } else { Some(PlainProducer::open(&service.config.kafka)?) };
    let stop = Stop::default();
    let mut session = Counting { service, inner, plain, seen: 0, span: None, stop: stop.clone() };
    let give_up = Instant::now() + Duration::from_secs(120);
    transact(&mut job, &mut session, || stop.requested() || Instant::now() > give_up)?;
    anyhow::ensure!(session.seen >= LINES, "only {} of {LINES} records were copied", session.seen);
    let (from, to) = session.span.ok_or_else(|| anyhow::anyhow!("nothing was copied"))?;
    Ok(LINES as f64 / (to - from).as_secs_f64())
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
struct Counting {
    service: Service,
    inner: KafkaSession,
    plain: Option<PlainProducer>,
    seen: usize,
    span: Option<(Instant, Instant)>,
    stop: Stop,
}

impl Counting {
    fn send(&mut self, plan: &Plan) -> Result<bool, Error> {
        let Some(plain) = &mut self.plain else { return Ok(false) };
        let sent = plan.outputs().try_for_each(|output| {
            plain.send(topics::PARSED, output.partition, output.key, Some(output.value))
        });
        sent.and_then(|()| plain.flush()).map_err(|error| {
            Error::new(millrace_runner::Class::Exit, "send without transactions", error)
        })?;
        Ok(true)
    }
}

impl Session for Counting {
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
        self.seen += plan.n_records();
        if let Some(span) = &mut self.span {
            span.1 = Instant::now();
        }
        if self.seen >= LINES {
            self.stop.request();
            self.service.stop.request();
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
