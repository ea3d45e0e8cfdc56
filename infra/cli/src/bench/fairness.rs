//! What a tenant far over its quota costs another one, on a real broker: the other's answers with and without it.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use millrace_loadgen::Kind;

use super::client::{Client, paced};
use super::fleet::Fleet;
use super::gateway::{lines, wait_for};
use super::site::Site;
use super::{Measured, Target, middle, p99};

/// The quota of the loud tenant, bytes a second, and how many times that it sends.
const QUOTA: u64 = 200_000;
const TIMES: u64 = 50;
/// Who sends as if there were no refusals, and who waits as long as a refusal says.
const DEAF: u32 = 4;
const POLITE: u32 = 2;
const LOUD_LINES: usize = 100;
/// The other tenant: so many senders, each with so many lines each time.
const QUIET: u32 = 2;
const QUIET_LINES: usize = 20;
const PAUSE: Duration = Duration::from_millis(20);
const PAIRS: usize = 5;
const SPAN: Duration = Duration::from_secs(8);
/// May name any tenant.
const KEY: &str = "fairness";

#[derive(Default)]
struct Loud {
    offered: AtomicU64,
    taken: AtomicU64,
}

pub(super) fn run() -> anyhow::Result<Vec<Measured>> {
    let site = Site::start("fairness")?;
    std::fs::write(site.folder("services")?.join("admin.key"), KEY)?;
    let quotas = format!(
        "[gateway.quotas.loud]\nbytes_per_second = {QUOTA}\nburst_bytes = {QUOTA}\n\
         [gateway.quotas.quiet]\nbytes_per_second = 50000000\n"
    );
    let mut fleet = Fleet::start_with(&site, &["gateway"], &quotas)?;
    wait_for(&fleet)?;
    let body = lines(Kind::Json, QUIET_LINES);
    let loud_body = lines(Kind::Json, LOUD_LINES);
    let loud = Loud::default();
    let quiet = || {
        let open = || Client::of(&fleet.gateway, "quiet", KEY);
        p99(paced((QUIET, PAUSE, SPAN), &body, open)?)
    };
    let beside = || while_loud(&fleet, &loud_body, &loud, quiet);
    quiet()?;
    beside()?;
    let (mut alone, mut together) = (Vec::new(), Vec::new());
    for pair in 0..PAIRS {
        // Which comes first changes, so that neither has the warmer broker.
        if pair % 2 == 0 {
            alone.push(quiet()?);
            together.push(beside()?);
        } else {
            together.push(beside()?);
            alone.push(quiet()?);
        }
    }
    fleet.check()?;
    let spans = SPAN.as_secs_f64() * (PAIRS + 1) as f64;
    let times = |bytes: &AtomicU64| bytes.load(Ordering::Relaxed) as f64 / spans / QUOTA as f64;
    let (offered, taken) = (times(&loud.offered), times(&loud.taken));
    anyhow::ensure!(taken < 2.0, "{taken:.1} × the quota was taken: nothing was refused");
    let ratio = middle(together.iter().zip(&alone).map(|(with, without)| with / without).collect());
    let note = format!(
        "p99 {:.1} ms beside a tenant that sends {offered:.0} × its quota, of which {taken:.1} × is taken; {:.1} ms alone",
        middle(together),
        middle(alone),
    );
    Ok(vec![Measured::new("gateway_fairness_p99", ratio, "×", Some(Target::AtMost(1.5))).note(note)])
}

/// Measures while the loud tenant sends.
fn while_loud(
    fleet: &Fleet,
    body: &str,
    loud: &Loud,
    measure: impl Fn() -> anyhow::Result<f64>,
) -> anyhow::Result<f64> {
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let deaf = (0..DEAF).map(|_| scope.spawn(|| send(fleet, body, loud, &done, false)));
        let polite = (0..POLITE).map(|_| scope.spawn(|| send(fleet, body, loud, &done, true)));
        let senders: Vec<_> = deaf.chain(polite).collect();
        let measured = measure();
        done.store(true, Ordering::Relaxed);
        let panicked = |_| Err(anyhow::anyhow!("a client panicked"));
        senders.into_iter().try_for_each(|sender| sender.join().unwrap_or_else(panicked))?;
        measured
    })
}

/// Sends at its part of the rate; a polite one waits where it is told to.
fn send(fleet: &Fleet, body: &str, loud: &Loud, done: &AtomicBool, polite: bool) -> anyhow::Result<()> {
    let pause = Duration::from_secs_f64(body.len() as f64 * f64::from(DEAF) / (QUOTA * TIMES) as f64);
    let open = || Client::of(&fleet.gateway, "loud", KEY);
    let (mut client, mut due) = (open()?, Instant::now());
    while !done.load(Ordering::Relaxed) {
        let wait = due.saturating_duration_since(Instant::now()).min(Duration::from_millis(50));
        if !wait.is_zero() {
            std::thread::sleep(wait);
            continue;
        }
        due = Instant::now().max(due + pause);
        loud.offered.fetch_add(body.len() as u64, Ordering::Relaxed);
        match client.ask(body) {
            Ok(answer) if answer.status == 200 => {
                loud.taken.fetch_add(body.len() as u64, Ordering::Relaxed);
            }
            Ok(answer) if answer.status == 429 => {
                due += answer.retry.filter(|_| polite).unwrap_or_default();
            }
            Ok(answer) => anyhow::bail!("the gateway answered {}", answer.status),
            // The connection was closed with a refusal on it.
            Err(_) => client = open()?,
        }
    }
    Ok(())
}
