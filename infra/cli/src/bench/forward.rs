//! The forwarder on a real broker, beside Kafka's own producer and rsyslog with the same lines.

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use millrace_runtime::kafka::admin::Admin;
use millrace_schemas::topics;

use super::pure::write_lines;
use super::site::Site;
use super::{Measured, Target, middle};
use crate::services::{self, Kind};

/// Lines of a run: enough for some seconds, so that a start does not count.
const LINES: usize = 3_000_000;
/// The queue with which rsyslog was fastest here.
const TUNED: &str =
    "main_queue(queue.size=\"1000000\" queue.dequeueBatchSize=\"4096\" queue.workerThreads=\"1\")\n";

pub(super) fn run() -> anyhow::Result<Vec<Measured>> {
    let site = Site::start("forward")?;
    let (path, _) = write_lines(&site.scratch.0, LINES)?;
    // One after the other three times over, so that all of them meet the same weather.
    let (mut own, mut perf, mut tuned, mut usual) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    // A broker compiles what it runs for the first time, at the cost of who comes first.
    producer_performance(&site, &path, LINES)?;
    for run in 0..3 {
        perf.push(producer_performance(&site, &path, LINES)?);
        own.push(forwarder(&site, &path, run)?);
        tuned.extend(imfile_omkafka(&site, &path, &format!("tuned-{run}"), TUNED)?);
        usual.extend(imfile_omkafka(&site, &path, &format!("usual-{run}"), "")?);
        eprintln!(
            "run {run}: perf {perf:.0?}, forwarder {own:.0?}, rsyslog {tuned:.0?}, as it comes {usual:.0?}"
        );
    }
    let (own, perf) = (middle(own), middle(perf));
    let mut all = vec![
        Measured::new("forwarder_kafka", own, "lines/s", None).note("start included".to_owned()),
        Measured::new("forwarder_vs_perf", own / perf, "×", Some(Target::AtLeast(0.6)))
            .against("ProducerPerformance")
            .note(format!("ProducerPerformance reached {perf:.0} lines/s")),
    ];
    if tuned.is_empty() {
        eprintln!(
            "forwarder_vs_rsyslog is not measured: install rsyslog with its module omkafka (Debian: rsyslog-kafka)"
        );
    } else {
        let queues = [("forwarder_vs_rsyslog", tuned), ("forwarder_vs_rsyslog_default", usual)];
        for (name, rates) in queues {
            let rsyslog = middle(rates);
            let note = format!("rsyslog imfile → omkafka reached {rsyslog:.0} lines/s");
            all.push(
                Measured::new(name, own / rsyslog, "×", Some(Target::AtLeast(3.0)))
                    .against("rsyslog")
                    .note(note),
            );
        }
    }
    Ok(all)
}

/// The forwarder from its start until everything is acknowledged, as a new one each time.
fn forwarder(site: &Site, path: &Path, run: usize) -> anyhow::Result<f64> {
    let mut service = site.service(path)?;
    service.config.data_dir = site.folder(&format!("forwarder-{run}"))?;
    let start = Instant::now();
    services::serve(Kind::Forward, &service)?;
    Ok(LINES as f64 / start.elapsed().as_secs_f64())
}

/// Kafka's own producer with the same lines: records a second.
pub(super) fn producer_performance(site: &Site, path: &Path, n_lines: usize) -> anyhow::Result<f64> {
    let (n_lines, file) = (n_lines.to_string(), path.display().to_string());
    let brokers = format!("bootstrap.servers={}", site.broker.address());
    let mut args = vec!["--topic", topics::RAW, "--throughput", "-1", "--num-records", &n_lines];
    args.extend(["--payload-file", &file, "--producer-props", &brokers]);
    args.extend(["compression.type=lz4", "acks=all", "linger.ms=5", "batch.size=1048576"]);
    let output = site.tool("org.apache.kafka.tools.ProducerPerformance", &args)?;
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

/// A child that is gone with its owner.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

/// rsyslog following the same file with that configuration of its queue, from its start until the broker holds all lines;
/// none where it is not installed.
fn imfile_omkafka(site: &Site, path: &Path, run: &str, queue: &str) -> anyhow::Result<Option<f64>> {
    let modules = Path::new("/usr/lib/x86_64-linux-gnu/rsyslog");
    if !Path::new("/usr/sbin/rsyslogd").exists() || !modules.join("omkafka.so").exists() {
        return Ok(None);
    }
    let folder = site.folder(&format!("rsyslog-{run}"))?;
    let config = format!(
        "global(workDirectory={folder:?})\n\
         module(load=\"imfile\")\nmodule(load=\"omkafka\")\n\
         template(name=\"line\" type=\"string\" string=\"%msg%\")\n\
         {queue}\
         input(type=\"imfile\" file={path:?} tag=\"bench\" readMode=\"0\")\n\
         action(type=\"omkafka\" broker=[{:?}] topic={:?} template=\"line\" confParam=[\"compression.codec=lz4\", \
         \"acks=all\", \"linger.ms=5\", \"queue.buffering.max.messages=1000000\"])\n",
        site.broker.address(),
        topics::RAW,
    );
    let file = folder.join("rsyslog.conf");
    std::fs::write(&file, config)?;
    let before = n_records(site)?;
    let start = Instant::now();
    let child = Command::new("/usr/sbin/rsyslogd")
        .arg("-n")
        .arg("-f")
        .arg(&file)
        .arg("-i")
        .arg(folder.join("pid"))
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()?;
    let running = Running(child);
    while n_records(site)? - before < LINES as i64 {
        anyhow::ensure!(
            start.elapsed() < Duration::from_secs(180),
            "rsyslog did not send all lines in 180 s"
        );
        std::thread::sleep(Duration::from_millis(20));
    }
    let rate = LINES as f64 / start.elapsed().as_secs_f64();
    drop(running);
    Ok(Some(rate))
}

/// Records that the raw topic has ever held.
fn n_records(site: &Site) -> anyhow::Result<i64> {
    let admin = Admin::open(&site.config(Path::new("/nowhere"))?.kafka)?;
    let mut sum = 0;
    for partition in 0..admin.partitions(topics::RAW)? {
        sum += admin.watermarks(topics::RAW, partition)?.1;
    }
    Ok(sum)
}
