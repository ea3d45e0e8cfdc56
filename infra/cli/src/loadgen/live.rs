//! What the agents did: counted, shown while they run, and summed up at the end.

use std::collections::BTreeMap;
use std::io::IsTerminal;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::json;

use super::args::Load;
use super::target::{Entries, Refused};
use crate::args::Format;
use crate::output::{grouped, size, table};

/// Longest latency that is told apart, µs.
const LONGEST: u64 = 600_000_000;
/// Kinds of errors that are told apart.
const MOST_KINDS: usize = 50;

/// Counted by all agents, a batch at a time.
pub(super) struct Stats(Mutex<Counts>);

#[derive(Clone)]
struct Counts {
    n_lines: u64,
    n_bytes: u64,
    n_batches: u64,
    errors: BTreeMap<String, u64>,
    latency: Histogram<u64>,
}

impl Stats {
    pub(super) fn new() -> anyhow::Result<Stats> {
        let latency = Histogram::new_with_bounds(1, LONGEST, 3)?;
        Ok(Stats(Mutex::new(Counts {
            n_lines: 0,
            n_bytes: 0,
            n_batches: 0,
            errors: BTreeMap::new(),
            latency,
        })))
    }

    /// A batch was taken, `took` after it was due.
    pub(super) fn sent(&self, entries: &Entries, took: Duration) {
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        counts.n_lines += entries.len() as u64;
        counts.n_bytes += entries.bytes().len() as u64;
        counts.n_batches += 1;
        counts.latency.saturating_record((took.as_micros() as u64).clamp(1, LONGEST));
    }

    /// A batch was not taken; each kind of reason is said once.
    pub(super) fn refused(&self, refused: &Refused) {
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if !counts.errors.contains_key(&refused.kind) && counts.errors.len() < MOST_KINDS {
            tracing::warn!(reason = refused.text, "a batch was not taken");
        }
        let kind = if counts.errors.len() < MOST_KINDS { refused.kind.as_str() } else { "other" };
        *counts.errors.entry(kind.to_owned()).or_default() += 1;
    }

    pub(super) fn summary(&self, took: Duration, n_agents: u32, n_unsent: u64) -> Summary {
        let counts = self.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
        Summary { n_lines: counts.n_lines, counts, took, n_agents, n_unsent }
    }
}

/// What came of it.
pub(super) struct Summary {
    pub(super) n_lines: u64,
    counts: Counts,
    took: Duration,
    n_agents: u32,
    n_unsent: u64,
}

impl Summary {
    pub(super) fn print(&self, format: Format) {
        let seconds = self.took.as_secs_f64().max(1e-9);
        let Counts { n_lines, n_bytes, n_batches, errors, latency } = &self.counts;
        let per_second = *n_lines as f64 / seconds;
        let quantile = |q: f64| latency.value_at_quantile(q) as f64 / 1_000.0;
        if format == Format::Json {
            println!(
                "{}",
                json!({
                    "lines": n_lines, "bytes": n_bytes, "batches": n_batches, "agents": self.n_agents,
                    "seconds": seconds, "lines_per_second": per_second, "errors": errors.values().sum::<u64>(),
                    "errors_by_kind": errors, "unsent_lines": self.n_unsent,
                    "latency_ms": {"p50": quantile(0.5), "p90": quantile(0.9), "p99": quantile(0.99),
                        "max": latency.max() as f64 / 1_000.0},
                })
            );
            return;
        }
        println!("{}", rows(&self.counts, self.took, self.n_agents, per_second));
        for (kind, n) in errors {
            println!("not taken: {} × {kind}", grouped(*n as i64));
        }
        if self.n_unsent > 0 {
            println!("{} lines were made and never taken", grouped(self.n_unsent as i64));
        }
    }
}

fn rows(counts: &Counts, took: Duration, n_agents: u32, per_second: f64) -> String {
    let quantile = |q: f64| format!("{:.1}", counts.latency.value_at_quantile(q) as f64 / 1_000.0);
    let headers =
        ["time", "agents", "lines", "lines/s", "size", "errors", "p50 ms", "p90 ms", "p99 ms", "max ms"];
    let row = vec![
        format!("{:.0} s", took.as_secs_f64()),
        n_agents.to_string(),
        grouped(counts.n_lines as i64),
        grouped(per_second as i64),
        size(counts.n_bytes),
        grouped(counts.errors.values().sum::<u64>() as i64),
        quantile(0.5),
        quantile(0.9),
        quantile(0.99),
        format!("{:.1}", counts.latency.max() as f64 / 1_000.0),
    ];
    table(&headers, 0, [row]).to_string()
}

/// The table while the agents run: drawn over on a terminal, one line every other second elsewhere.
pub(super) struct Live {
    bar: Option<ProgressBar>,
    quiet: bool,
    last: (Instant, u64),
}

impl Live {
    pub(super) fn new(args: &Load) -> Live {
        let bar = std::io::stderr().is_terminal().then(|| {
            let bar = ProgressBar::new_spinner();
            if let Ok(style) = ProgressStyle::with_template("{msg}") {
                bar.set_style(style);
            }
            bar
        });
        Live { bar, quiet: args.format == Format::Json, last: (Instant::now(), 0) }
    }

    pub(super) fn turn(&mut self, stats: &Stats, running: &AtomicU32, start: Instant) {
        let took = self.last.0.elapsed().as_secs_f64();
        if took < if self.bar.is_some() { 0.5 } else { 2.0 } || (self.quiet && self.bar.is_none()) {
            return;
        }
        let counts = stats.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let (n_lines, per_second) = (counts.n_lines, (counts.n_lines - self.last.1) as f64 / took);
        let n_agents = running.load(Ordering::Relaxed);
        match &self.bar {
            Some(bar) => {
                bar.set_message(rows(&counts, start.elapsed(), n_agents, per_second));
                bar.tick();
            }
            None => eprintln!(
                "{:>4.0} s  agents {n_agents}  lines {}  lines/s {}  errors {}  p50 {:.1} ms  p99 {:.1} ms",
                start.elapsed().as_secs_f64(),
                grouped(n_lines as i64),
                grouped(per_second as i64),
                counts.errors.values().sum::<u64>(),
                counts.latency.value_at_quantile(0.5) as f64 / 1_000.0,
                counts.latency.value_at_quantile(0.99) as f64 / 1_000.0,
            ),
        }
        self.last = (Instant::now(), n_lines);
    }

    pub(super) fn finish(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}
