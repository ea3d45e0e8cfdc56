//! `millrace bench`: what this machine reaches, against the targets of docs/bench.md.

mod client;
mod fairness;
mod fleet;
mod forward;
mod gateway;
mod patterns;
mod pure;
mod runner;
mod search;
mod site;
mod whole;

use std::io::Write;

use crate::args::Bench;
use crate::output::{Answer, table};

/// One measured value.
#[derive(Debug, Clone)]
pub(crate) struct Measured {
    pub(crate) name: &'static str,
    pub(crate) value: f64,
    pub(crate) unit: &'static str,
    pub(crate) target: Option<Target>,
    pub(crate) against: &'static str,
    pub(crate) note: String,
}

/// What is to be reached.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Target {
    AtLeast(f64),
    AtMost(f64),
    Below(f64),
}

impl Measured {
    pub(crate) fn new(
        name: &'static str,
        value: f64,
        unit: &'static str,
        target: Option<Target>,
    ) -> Measured {
        Measured { name, value, unit, target, against: "", note: String::new() }
    }

    pub(crate) fn against(self, against: &'static str) -> Measured {
        Measured { against, ..self }
    }

    pub(crate) fn note(self, note: String) -> Measured {
        Measured { note, ..self }
    }

    fn ok(&self) -> bool {
        match self.target {
            None => true,
            Some(Target::AtLeast(target)) => self.value >= target,
            Some(Target::AtMost(target)) => self.value <= target,
            Some(Target::Below(target)) => self.value < target,
        }
    }
}

type Run = fn(&[&str]) -> anyhow::Result<Vec<Measured>>;

/// Which names one run gives; what belongs together is measured together.
const RUNS: [(&[&str], Run); 14] = [
    (&["forwarder_own_code"], |_| pure::forwarder()),
    (&["parse_apache"], |_| pure::parse()),
    (&["parse_regex", "parse_grok_vs_regex"], |_| patterns::expressions()),
    (&["parse_grok_vs_onig", "parse_grok_vs_onig_mixed"], |_| patterns::onig()),
    (&["parse_first_of_50"], |_| patterns::first_of()),
    (&["parse_json"], |_| patterns::json()),
    (&["index"], |_| pure::index()),
    (&["archive_rate", "archive_ratio"], |_| pure::archive()),
    (
        &["forwarder_kafka", "forwarder_vs_perf", "forwarder_vs_rsyslog", "forwarder_vs_rsyslog_default"],
        |_| forward::run(),
    ),
    (&["runner_passthrough", "runner_transactions"], |_| runner::run()),
    (
        &[
            "freshness_p99",
            "whole_way",
            "memory_forward",
            "memory_parse",
            "memory_index",
            "memory_archive",
            "memory_query",
        ],
        |_| whole::run(),
    ),
    (&["gateway_ndjson", "gateway_answer_p99", "gateway_syslog", "memory_gateway"], |_| gateway::run()),
    (&["gateway_fairness_p99"], |_| fairness::run()),
    (&["search_term_p99", "search_again_p99", "search_all_p99"], |_| search::run()),
];

pub(crate) fn run(args: &Bench) -> anyhow::Result<Answer> {
    let level = std::env::var("RUST_LOG").unwrap_or_else(|_| "warn".to_owned());
    millrace_runtime::log::start(millrace_runtime::log::Format::Text, &level);
    let only: Vec<&str> = args.only.iter().flat_map(|list| list.split(',')).map(str::trim).collect();
    let known = |name: &&str| RUNS.iter().any(|(names, _)| names.contains(name));
    if let Some(unknown) = only.iter().find(|name| !known(name)) {
        let names: Vec<&str> = RUNS.iter().flat_map(|(names, _)| names.iter().copied()).collect();
        anyhow::bail!("no measurement is named {unknown:?}; there are {}", names.join(", "));
    }
    let mut all = Vec::new();
    for (names, measure) in RUNS {
        if only.is_empty() || names.iter().any(|name| only.contains(name)) {
            eprintln!("measuring {}", names.join(", "));
            all.extend(measure(&only)?.into_iter().filter(|own| only.is_empty() || only.contains(&own.name)));
        }
    }
    if let Some(folder) = args.output.parent() {
        std::fs::create_dir_all(folder)?;
    }
    let mut file = std::fs::File::create(&args.output)?;
    for own in &all {
        let target = own.target.map(|target| match target {
            Target::AtLeast(value) | Target::AtMost(value) | Target::Below(value) => value,
        });
        let line = serde_json::json!({
            "name": own.name, "value": own.value, "unit": own.unit, "target": target, "ok": own.ok(),
            "against": own.against, "note": own.note,
        });
        writeln!(file, "{line}")?;
    }
    let rows = all.iter().map(|own| {
        let target = own.target.map_or(String::new(), |target| match target {
            Target::AtLeast(value) => format!("≥ {value}"),
            Target::AtMost(value) => format!("≤ {value}"),
            Target::Below(value) => format!("< {value}"),
        });
        let verdict = if own.target.is_none() {
            ""
        } else if own.ok() {
            "ok"
        } else {
            "MISSED"
        };
        vec![
            own.name.into(),
            format!("{:.2}", own.value),
            own.unit.into(),
            target,
            verdict.into(),
            own.note.clone(),
        ]
    });
    println!("{}", table(&["name", "value", "unit", "target", "", "note"], 6, rows));
    println!("written to {}", args.output.display());
    let missed = all.iter().any(|own| !own.ok());
    Ok(if missed && std::env::var("STRICT").is_ok_and(|strict| strict == "1") {
        Answer::No
    } else {
        Answer::Yes
    })
}

/// Runs `measure` three times; the run with the median value.
pub(crate) fn median<T>(mut measure: impl FnMut() -> anyhow::Result<(f64, T)>) -> anyhow::Result<(f64, T)> {
    let mut runs = Vec::new();
    for _ in 0..3 {
        runs.push(measure()?);
    }
    runs.sort_by(|a, b| a.0.total_cmp(&b.0));
    Ok(runs.swap_remove(1))
}

/// The value in the middle.
pub(crate) fn middle(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or_default()
}

/// The slowest but one in a hundred.
pub(crate) fn p99(mut took: Vec<f64>) -> anyhow::Result<f64> {
    took.sort_by(f64::total_cmp);
    took.get(took.len() * 99 / 100).copied().ok_or_else(|| anyhow::anyhow!("nothing was measured"))
}

/// A folder that is gone afterwards.
pub(crate) struct Scratch(pub(crate) std::path::PathBuf);

impl Scratch {
    pub(crate) fn new(name: &str) -> anyhow::Result<Scratch> {
        let path = std::env::temp_dir().join(format!("millrace-bench-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&path)?;
        Ok(Scratch(path))
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        if let Err(error) = std::fs::remove_dir_all(&self.0) {
            eprintln!("could not remove {}: {error}", self.0.display());
        }
    }
}
