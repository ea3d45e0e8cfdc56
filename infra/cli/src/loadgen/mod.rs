//! `millrace loadgen`: real-looking lines, the same for the same seed, to files, Kafka or a gateway.

mod agent;
pub(crate) mod args;
mod http;
mod kafka;
mod live;
mod servers;
mod target;

use std::sync::Arc;
use std::sync::atomic::AtomicU32;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use millrace_loadgen::{Lines, Options};
use millrace_runtime::stop::Stop;

use crate::output::Answer;
use agent::Agent;
use args::{Load, Loadgen, What};
use live::{Live, Stats};
use target::Opener;

/// Agents wait, they compute little: a thousand of them must not take gigabytes.
const STACK: usize = 512 << 10;

pub(crate) fn run(args: &Loadgen) -> anyhow::Result<Answer> {
    match &args.what {
        Some(What::Servers(args)) => servers::run(args),
        None => load(&args.load),
    }
}

fn load(args: &Load) -> anyhow::Result<Answer> {
    let Some(target) = &args.to else { anyhow::bail!("name a target with --to") };
    if args.ramp_up.is_some_and(|rate| !rate.is_finite() || rate <= 0.0) {
        anyhow::bail!("--ramp-up must be agents a second, above 0");
    }
    if args.dry_run {
        return dry_run(args);
    }
    millrace_runtime::log::start(millrace_runtime::log::Format::Text, "warn");
    let stop = Stop::on_signals()?;
    let opener = Opener::new(target, args)?;
    let stats = Arc::new(Stats::new()?);
    let running = Arc::new(AtomicU32::new(0));
    let start = Instant::now();
    let mut threads = Vec::new();
    for number in 0..args.agents {
        let agent = Agent {
            number,
            lines: Lines::new(options(args, number)),
            live_time: args.start.is_none(),
            quota: args.lines.map(|all| share(all, args.agents, number)),
            rate: args.rate.map(|rate| rate as f64 / f64::from(args.agents)),
            batch: u64::from(args.batch),
            delay: args
                .ramp_up
                .map_or(Duration::ZERO, |rate| Duration::from_secs_f64(f64::from(number) / rate)),
            end: args.duration.map(|duration| start + duration),
        };
        let (opener, stats, stop, running) = (opener.clone(), stats.clone(), stop.clone(), running.clone());
        let spawn = std::thread::Builder::new().name(format!("agent-{number}")).stack_size(STACK);
        threads.push(spawn.spawn(move || agent.run(&opener, &stats, &running, start, &stop))?);
    }
    let mut live = Live::new(args);
    while !threads.iter().all(std::thread::JoinHandle::is_finished) {
        live.turn(&stats, &running, start);
        std::thread::sleep(Duration::from_millis(20));
    }
    let n_unsent = threads.into_iter().map(|thread| thread.join().unwrap_or(1)).sum::<u64>();
    live.finish();
    let summary = stats.summary(start.elapsed(), args.agents, n_unsent);
    summary.print(args.format);
    Ok(if summary.n_lines == 0 || n_unsent > 0 { Answer::No } else { Answer::Yes })
}

fn dry_run(args: &Load) -> anyhow::Result<Answer> {
    let Some(target) = &args.to else { anyhow::bail!("name a target with --to") };
    eprintln!("would send to {target}, from {} agents; the first lines:", args.agents);
    for line in Lines::new(options(args, 0)).take(5) {
        println!("{}", String::from_utf8_lossy(&line));
    }
    Ok(Answer::Yes)
}

/// Each agent writes lines of its own.
fn options(args: &Load, number: u32) -> Options {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Options {
        seed: args.seed.wrapping_add(u64::from(number).wrapping_mul(0x9e37_79b9)),
        kinds: args.kind.0.clone(),
        start: args.start.unwrap_or(since.as_micros() as i64),
        step: if args.start.is_some() { 1_000 } else { 0 },
        users: args.users,
        user_cookie: true,
        garbage_per_10k: args.garbage,
    }
}

/// An equal part of `all`; the first ones take what is left over.
fn share(all: u64, n: u32, number: u32) -> u64 {
    all / u64::from(n) + u64::from(u64::from(number) < all % u64::from(n))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_add_up() {
        for (all, n) in [(0, 3), (10, 3), (2, 7), (1_000_001, 1_000)] {
            assert_eq!((0..n).map(|number| share(all, n, number)).sum::<u64>(), all);
        }
    }
}
