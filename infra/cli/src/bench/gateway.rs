//! The gateway on a real broker: what one core of it takes, how soon it answers, and what connections cost.

use std::io::Write;
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::Context;
use millrace_loadgen::{Kind, Lines, Options};
use millrace_schemas::ledger::{edge, stage};

use super::client::{Client, paced};
use super::fleet::Fleet;
use super::site::Site;
use super::{Measured, Target, p99};
use crate::ledger::Books;

/// Lines of a request, and who sends them at a time.
const LINES: usize = 1_000;
const CLIENTS: usize = 4;
const WARM: Duration = Duration::from_secs(5);
const SPAN: Duration = Duration::from_secs(10);
const CONNECTIONS: usize = 1_000;
/// Lines of each syslog connection.
const SYSLOG_LINES: usize = 500_000;

pub(super) fn run() -> anyhow::Result<Vec<Measured>> {
    let site = Site::start("gateway")?;
    let mut fleet = Fleet::start(&site, &["gateway"])?;
    wait_for(&fleet)?;
    let memory = connections(&fleet)?;
    let body: Arc<str> = lines(Kind::Json, LINES).into();
    flat_out(&fleet, &body, WARM)?;
    let cpu = fleet.cpu_seconds("gateway")?;
    let rate = flat_out(&fleet, &body, SPAN)?;
    let per_core = rate * SPAN.as_secs_f64() / (fleet.cpu_seconds("gateway")? - cpu);
    let answer = answers(&fleet, &body, rate / 2.0)?;
    let syslog = syslog(&mut fleet)?;
    Ok(vec![
        Measured::new("gateway_ndjson", per_core, "lines/s", Some(Target::AtLeast(58_000.0)))
            .note(format!("for one core of the gateway; {CLIENTS} clients reached {rate:.0} lines/s")),
        Measured::new("gateway_answer_p99", answer, "ms", Some(Target::Below(150.0)))
            .note(format!("at half of that, {LINES} lines a request")),
        Measured::new("gateway_syslog", syslog, "lines/s", Some(Target::AtLeast(100_000.0)))
            .note(format!("RFC 5424 by {CLIENTS} TCP connections, until committed")),
        Measured::new("memory_gateway", memory, "MB", Some(Target::Below(150.0)))
            .note(format!("peak resident, {CONNECTIONS} connections with a request each")),
    ])
}

pub(super) fn lines(kind: Kind, n_lines: usize) -> String {
    let mut source = Lines::new(Options { step: 50, ..Options::one(kind, 5, 1_767_225_600_000_000) });
    let mut text = Vec::new();
    for _ in 0..n_lines {
        source.next_into(&mut text);
        text.push(b'\n');
    }
    String::from_utf8_lossy(&text).into_owned()
}

pub(super) fn wait_for(fleet: &Fleet) -> anyhow::Result<()> {
    let start = Instant::now();
    while let Err(error) = Client::open(&fleet.gateway).and_then(|mut client| client.post("{}")) {
        anyhow::ensure!(start.elapsed() < Duration::from_secs(60), "no gateway after 60 s: {error}");
        std::thread::sleep(Duration::from_millis(100));
    }
    Ok(())
}

/// Peak memory with a thousand connections, MB.
fn connections(fleet: &Fleet) -> anyhow::Result<f64> {
    let mut all =
        (0..CONNECTIONS).map(|_| Client::open(&fleet.gateway)).collect::<anyhow::Result<Vec<_>>>()?;
    all.iter_mut().try_for_each(|client| client.send("{\"message\":\"one of many\"}"))?;
    all.iter_mut().try_for_each(Client::taken)?;
    let memory = fleet.memory()?.into_iter().find(|(name, _)| *name == "gateway");
    memory.map(|(_, peak)| peak).context("the gateway does not run")
}

/// Lines a second that are acknowledged.
fn flat_out(fleet: &Fleet, body: &Arc<str>, span: Duration) -> anyhow::Result<f64> {
    let (n_lines, done) = (AtomicU64::new(0), AtomicBool::new(false));
    std::thread::scope(|scope| {
        let clients: Vec<_> = (0..CLIENTS)
            .map(|_| {
                scope.spawn(|| {
                    let mut client = Client::open(&fleet.gateway)?;
                    while !done.load(Ordering::Relaxed) {
                        client.post(body)?;
                        n_lines.fetch_add(LINES as u64, Ordering::Relaxed);
                    }
                    anyhow::Ok(())
                })
            })
            .collect();
        std::thread::sleep(span);
        done.store(true, Ordering::Relaxed);
        let panicked = |_| Err(anyhow::anyhow!("a client panicked"));
        clients.into_iter().try_for_each(|client| client.join().unwrap_or_else(panicked))
    })?;
    Ok(n_lines.into_inner() as f64 / span.as_secs_f64())
}

/// The slowest answer but one in a hundred, ms, when requests come at `rate` lines a second.
fn answers(fleet: &Fleet, body: &str, rate: f64) -> anyhow::Result<f64> {
    let pause = Duration::from_secs_f64(LINES as f64 * CLIENTS as f64 / rate);
    p99(paced((CLIENTS as u32, pause, SPAN), body, || Client::open(&fleet.gateway))?)
}

/// Lines a second by TCP, until the last one is committed.
fn syslog(fleet: &mut Fleet) -> anyhow::Result<f64> {
    let text = lines(Kind::Rfc5424, SYSLOG_LINES);
    let mut books = Books::open(&fleet.service, i64::MIN)?;
    let taken = |books: &Books| books.book.total(stage::GATEWAY, edge::OUT).0;
    books.read(&fleet.service, Duration::from_secs(1))?;
    let wanted = taken(&books) + (CLIENTS * SYSLOG_LINES) as i64;
    let start = Instant::now();
    std::thread::scope(|scope| {
        let send = || anyhow::Ok(TcpStream::connect(&fleet.syslog)?.write_all(text.as_bytes())?);
        let clients: Vec<_> = (0..CLIENTS).map(|_| scope.spawn(send)).collect();
        let panicked = |_| Err(anyhow::anyhow!("a client panicked"));
        clients.into_iter().try_for_each(|client| client.join().unwrap_or_else(panicked))
    })?;
    while taken(&books) < wanted {
        books.read(&fleet.service, Duration::from_millis(100))?;
        fleet.check()?;
        anyhow::ensure!(start.elapsed() < Duration::from_secs(120), "not taken after 120 s");
    }
    Ok((CLIENTS * SYSLOG_LINES) as f64 / start.elapsed().as_secs_f64())
}
