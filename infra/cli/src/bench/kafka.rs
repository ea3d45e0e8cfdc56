//! Measurements with a broker of their own on this machine.

use std::path::Path;
use std::process::Command;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use millrace_jobs::{Batch, Effects, Job, Partitioning, Plan, Record, Reject, State, Table, Verdict};
use millrace_kafka_local::{Broker, BrokerOptions, Jars, Registry, RegistryOptions};
use millrace_runner::kafka::{KafkaSession, SessionOptions};
use millrace_runner::transact;
use millrace_runtime::config::Config;
use millrace_runtime::kafka::admin::Admin;
use millrace_runtime::service::{Service, topic_specs};
use millrace_runtime::stop::Stop;
use millrace_schemas::topics;

use super::pure::write_lines;
use super::{Measured, Scratch, Target, median};
use crate::services::{self, Kind};

const LINES: usize = 1_000_000;

pub(super) fn run() -> anyhow::Result<Vec<Measured>> {
    let (perf, _) = median(|| {
        let site = Site::start("perf")?;
        let (path, _) = write_lines(&site.scratch.0, LINES)?;
        Ok((producer_performance(&site, &path)?, ()))
    })?;
    let mut passthrough = Vec::new();
    let (forward, ()) = median(|| {
        let site = Site::start("forward")?;
        let (path, _) = write_lines(&site.scratch.0, LINES)?;
        let start = Instant::now();
        services::serve(Kind::Forward, &site.service(&path)?)?;
        let rate = LINES as f64 / start.elapsed().as_secs_f64();
        passthrough.push(copy(&site, &path)?);
        Ok((rate, ()))
    })?;
    passthrough.sort_by(f64::total_cmp);
    let note = format!("ProducerPerformance reached {perf:.0} lines/s");
    Ok(vec![
        Measured::new("forwarder_kafka", forward, "lines/s", None),
        Measured::new("forwarder_vs_perf", forward / perf, "×", Some(Target::AtLeast(0.6)))
            .against("ProducerPerformance")
            .note(note),
        Measured::new("runner_passthrough", passthrough[1], "records/s", Some(Target::AtLeast(290_000.0))),
    ])
}

/// A broker and a registry with the topics, gone afterwards.
struct Site {
    broker: Broker,
    registry: Registry,
    jars: Jars,
    scratch: Scratch,
}

impl Site {
    fn start(name: &str) -> anyhow::Result<Site> {
        let scratch = Scratch::new(name)?;
        let jars = Jars::fetch(&mut |text| eprintln!("{text}"))?;
        let broker =
            Broker::start(&jars, BrokerOptions::new(scratch.0.join("kafka"), scratch.0.join("kafka-logs")))?;
        let registry = Registry::start(
            &jars,
            RegistryOptions::new(scratch.0.join("registry"), scratch.0.join("registry-logs")),
        )?;
        let site = Site { broker, registry, jars, scratch };
        let config = site.config(Path::new("/nowhere"))?;
        Admin::open(&config.kafka)?.apply(&topic_specs()?)?;
        Ok(site)
    }

    fn config(&self, file: &Path) -> anyhow::Result<Config> {
        let text = format!(
            "data_dir = {:?}\n[kafka]\nbrokers = {:?}\n[registry]\nurl = {:?}\n[ops]\nlisten = \"off\"\n\
             [forward]\nonce = true\n[[forward.input]]\nglobs = [{:?}]\nstream = \"web\"\n",
            self.scratch.0,
            self.broker.address(),
            self.registry.url(),
            file
        );
        let tree: toml::Table = text.parse()?;
        Ok(Config::load_with(None, std::iter::empty(), |own| own.extend(tree))?)
    }

    fn service(&self, file: &Path) -> anyhow::Result<Service> {
        Ok(Service::open(&self.config(file)?, &Stop::default())?)
    }
}

/// Kafka's own producer with the same lines: records a second.
fn producer_performance(site: &Site, path: &Path) -> anyhow::Result<f64> {
    let output = Command::new(site.jars.java())
        .args(["-cp", &format!("{}/*", site.jars.dir().join("kafka").display())])
        .args(["org.apache.kafka.tools.ProducerPerformance", "--topic", topics::RAW, "--throughput", "-1"])
        .args(["--num-records", &LINES.to_string(), "--payload-file", &path.display().to_string()])
        .args(["--producer-props", &format!("bootstrap.servers={}", site.broker.address())])
        .args(["compression.type=lz4", "acks=all", "linger.ms=5", "batch.size=1048576"])
        .output()?;
    let text = String::from_utf8_lossy(&output.stdout);
    let last = text.lines().rfind(|line| line.contains("records/sec")).unwrap_or_default();
    let rate = last
        .split(" records sent, ")
        .nth(1)
        .and_then(|rest| rest.split(' ').next())
        .and_then(|rate| rate.parse().ok());
    rate.ok_or_else(|| {
        anyhow::anyhow!(
            "ProducerPerformance did not end well: {text}{}",
            String::from_utf8_lossy(&output.stderr)
        )
    })
}

/// Copies logs.raw to logs.parsed as bytes, in transactions: records a second.
fn copy(site: &Site, path: &Path) -> anyhow::Result<f64> {
    let service = site.service(path)?;
    let stop = Stop::default();
    let done: Mutex<Option<(Instant, Instant)>> = Mutex::new(None);
    let mut job = Copy;
    let mut options = SessionOptions::usual("parse", job.inputs(), job.outputs(), 0, 0);
    options.bookkeeping = false;
    let session = KafkaSession::join(&service, options).map_err(anyhow::Error::new)?;
    let mut session = Counting { inner: session, seen: 0, span: &done, stop: stop.clone() };
    let give_up = Instant::now() + Duration::from_secs(120);
    transact(&mut job, &mut session, || stop.requested() || Instant::now() > give_up)
        .map_err(anyhow::Error::new)?;
    anyhow::ensure!(session.seen >= LINES, "only {} of {LINES} records were copied", session.seen);
    let span = done.lock().map_err(|_| anyhow::anyhow!("a lock was poisoned"))?.take();
    let (from, to) = span.ok_or_else(|| anyhow::anyhow!("nothing was copied"))?;
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

/// Tells the time from the first batch to the last commit.
struct Counting<'s> {
    inner: KafkaSession,
    seen: usize,
    span: &'s Mutex<Option<(Instant, Instant)>>,
    stop: Stop,
}

impl millrace_runner::Session for Counting<'_> {
    fn poll(&mut self, table: &mut Table, batch: &mut Batch) -> Result<(), millrace_runner::Error> {
        self.inner.poll(table, batch)?;
        if !batch.is_empty()
            && let Ok(mut span) = self.span.lock()
        {
            span.get_or_insert((Instant::now(), Instant::now()));
        }
        Ok(())
    }

    fn schema(&mut self, id: u32) -> Result<Option<String>, millrace_runner::Error> {
        self.inner.schema(id)
    }

    fn commit(&mut self, plan: &Plan) -> Result<(), millrace_runner::Error> {
        self.inner.commit(plan)?;
        self.seen += plan.n_records();
        if let Ok(mut span) = self.span.lock()
            && let Some(span) = span.as_mut()
        {
            span.1 = Instant::now();
        }
        if self.seen >= LINES {
            self.stop.request();
        }
        Ok(())
    }

    fn rewind(&mut self, cause: &millrace_runner::Error) -> Result<(), millrace_runner::Error> {
        self.inner.rewind(cause)
    }

    fn rejoin(&mut self, cause: &millrace_runner::Error) -> Result<(), millrace_runner::Error> {
        self.inner.rejoin(cause)
    }

    fn close(&mut self) -> Result<(), millrace_runner::Error> {
        self.inner.close()
    }
}
