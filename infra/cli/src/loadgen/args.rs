//! The command line of `millrace loadgen`.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use millrace_loadgen::Kind;

use crate::args::{Format, Place};

#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
pub(crate) struct Loadgen {
    #[command(subcommand)]
    pub(crate) what: Option<What>,
    #[command(flatten)]
    pub(crate) load: Load,
}

#[derive(Debug, Subcommand)]
pub(crate) enum What {
    /// Write access logs of three web servers that share their users: DIR/server0..2/access-0001.log and on
    Servers(Servers),
}

#[derive(Debug, Args)]
pub(crate) struct Servers {
    /// Folder to write to; files of these names are overwritten
    #[arg(long, value_name = "DIR")]
    pub(crate) output: PathBuf,
    /// Lines of each file
    #[arg(long = "linePerFile", value_name = "N", default_value_t = 10_000, value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) line_per_file: u64,
    /// Users, the same on every server
    #[arg(long = "numUsers", value_name = "N", default_value_t = 1_000, value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) num_users: u32,
    /// Files of each server
    #[arg(long = "numFiles", value_name = "N", default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) num_files: u32,
    /// The same seed gives the same bytes
    #[arg(long, default_value_t = 1)]
    pub(crate) seed: u64,
    /// Time of each server's first line (RFC 3339)
    #[arg(long, value_name = "TIME", default_value = "2026-01-01T00:00:00Z", value_parser = micros)]
    pub(crate) start: i64,
    /// Say what would be written, and write nothing
    #[arg(long)]
    pub(crate) dry_run: bool,
    #[arg(long, value_enum, default_value = "text")]
    pub(crate) format: Format,
}

#[derive(Debug, Args)]
pub(crate) struct Load {
    /// Where lines go: file:PATH, kafka, http://HOST:PORT (a gateway; bulk+http, loki+http, hec+http for other
    /// protocols), syslog+tcp://HOST:PORT, syslog+udp://HOST:PORT
    #[arg(long, value_name = "TARGET", required = true, value_parser = super::target::Target::parse)]
    pub(crate) to: Option<super::target::Target>,
    /// Kinds with weights, such as `apache=5,json=3`: apache, json, rfc5424, rfc3164, java, kubernetes
    #[arg(long, value_name = "KINDS", default_value = "apache=5,json=3,rfc5424=1,rfc3164=1", value_parser = kinds)]
    pub(crate) kind: Kinds,
    /// Lines a second over all agents; else as many as are taken
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) rate: Option<u64>,
    /// Stop after so many lines
    #[arg(long, value_name = "N")]
    pub(crate) lines: Option<u64>,
    /// Stop after this time: 30s, 5m
    #[arg(long, value_name = "TIME", value_parser = humantime::parse_duration)]
    pub(crate) duration: Option<std::time::Duration>,
    /// Senders at the same time
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub(crate) agents: u32,
    /// Start so many agents a second; else all at once
    #[arg(long, value_name = "PER_SECOND")]
    pub(crate) ramp_up: Option<f64>,
    /// Most lines that are sent at once
    #[arg(long, value_name = "N", default_value_t = 1_000, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub(crate) batch: u32,
    /// The same seed gives the same lines
    #[arg(long, default_value_t = 1)]
    pub(crate) seed: u64,
    /// Time of the first line (RFC 3339), the next ones a millisecond apart; else the time at which each is made
    #[arg(long, value_name = "TIME", value_parser = micros)]
    pub(crate) start: Option<i64>,
    /// Users in the lines
    #[arg(long, value_name = "N", default_value_t = 1_000, value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) users: u32,
    /// Lines in 10,000 that no parser reads
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub(crate) garbage: u32,
    /// Stream the lines go to (kafka, http)
    #[arg(long, default_value = "load")]
    pub(crate) stream: String,
    /// Tenant whose lines they are (kafka)
    #[arg(long, default_value = "default")]
    pub(crate) tenant: String,
    /// Key of the gateway
    #[arg(long, env = "MILLRACE_KEY", hide_env_values = true)]
    pub(crate) key: Option<String>,
    /// Say what would be sent, and send nothing
    #[arg(long)]
    pub(crate) dry_run: bool,
    #[arg(long, value_enum, default_value = "text")]
    pub(crate) format: Format,
    #[command(flatten)]
    pub(crate) place: Place,
}

/// Kinds of lines, each with its weight.
#[derive(Debug, Clone)]
pub(crate) struct Kinds(pub(crate) Vec<(Kind, u32)>);

fn kinds(text: &str) -> Result<Kinds, String> {
    let names = || Kind::ALL.map(Kind::id).join(", ");
    let mut list = Vec::new();
    for part in text.split(',') {
        let (name, weight) = part.split_once('=').unwrap_or((part, "1"));
        let kind = Kind::ALL.into_iter().find(|kind| kind.id() == name.trim());
        let kind = kind.ok_or_else(|| format!("{name:?} is not one of {}", names()))?;
        let weight = weight.trim().parse::<u32>().ok().filter(|weight| (1..=1_000_000).contains(weight));
        list.push((kind, weight.ok_or_else(|| format!("the weight in {part:?} is not in 1..=1000000"))?));
    }
    Ok(Kinds(list))
}

fn micros(text: &str) -> Result<i64, String> {
    let time = humantime::parse_rfc3339_weak(text)
        .map_err(|error| format!("{error}; write it like 2026-01-01T00:00:00Z"))?;
    let since = time.duration_since(std::time::UNIX_EPOCH).map_err(|_| "it lies before 1970".to_owned())?;
    i64::try_from(since.as_micros()).map_err(|error| error.to_string())
}
