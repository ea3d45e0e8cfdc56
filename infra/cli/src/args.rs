//! The command line.

mod access;
mod seed;
mod stream;

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

pub(crate) use access::{
    Key, KeyCreate, KeyRevoke, QuotaBounds, Tenant, TenantCreate, TenantLs, TenantQuota,
};
pub(crate) use seed::Seed;
pub(crate) use stream::{StreamMake, StreamRm, StreamSet, StreamShow, Streams};

/// Logs on Kafka, with proof: every line from file to search and archive, exactly once.
#[derive(Debug, Parser)]
#[command(
    name = "millrace",
    version,
    about,
    after_help = "\
Exit codes: 0 fine, 1 the answer is no, 2 could not say, 64 and up for wrong use.
Start with `millrace up`, then `millrace search 'status:500' --since 1h`."
)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Start a local Kafka and registry, and every service in this process
    Up(Up),
    /// Follow files, the journal or standard input, and send their lines to Kafka or a gateway
    Forward(Forward),
    /// Take lines from the network: HTTP in the protocols of many senders, and syslog
    Gateway(ServiceArgs),
    /// Run a stream job
    #[command(subcommand)]
    Job(Job),
    /// Look at dead letters, and send them again after a fix
    #[command(subcommand)]
    Dlq(crate::dlq::args::Dlq),
    /// Try and test how lines are read, or have it proposed
    #[command(subcommand)]
    Parse(ParseTool),
    /// Set, list and remove the sources of the parse job while it runs
    #[command(subcommand)]
    Source(crate::source::args::Sources),
    /// Make streams of tenants, and say what reads them
    #[command(subcommand)]
    Stream(Streams),
    /// Index parsed lines into searchable splits
    Index(ServiceArgs),
    /// Archive parsed lines as Parquet files, and keep the topics within their bounds
    Archive(ServiceArgs),
    /// Serve searches over HTTP
    Query(ServiceArgs),
    /// Make the topics as infra/topics.toml wants them, or compare
    #[command(subcommand)]
    Topics(Topics),
    /// Make and list tenants
    #[command(subcommand)]
    Tenant(Tenant),
    /// Make, list and revoke the keys of tenants
    #[command(subcommand)]
    Key(Key),
    /// Make what a file says there is to be: tenants, quotas, keys, streams and sources
    Seed(Seed),
    /// What waits on this host for a gateway, and what the gateway refused
    #[command(subcommand)]
    Spool(Spool),
    /// Search for lines: 'status:500 AND path:/cart*'
    Search(Search),
    /// Rebuild a file byte for byte from the archive, to standard output
    Cat(Cat),
    /// List the live objects of the archive
    Files(Files),
    /// List the minutes that came by PUT, and which attempt of each counts
    Batches(crate::batches::Batches),
    /// Prove that nothing was lost, duplicated or changed, per minute and stream
    Ledger(Ledger),
    /// Show lag, disk, and what is wrong with the command that mends it
    Status(Status),
    /// Check environment, configuration, broker, registry and store
    Doctor(Doctor),
    /// Write a log, run everything on it, and show what came out
    Demo(Demo),
    /// Make real-looking lines, the same for the same seed: to files, Kafka or a gateway
    Loadgen(crate::loadgen::args::Loadgen),
    /// Measure this machine against the targets of docs/bench.md
    Bench(Bench),
    /// Print a completion script for your shell
    Completion {
        /// Shell to complete for
        shell: clap_complete::Shell,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum Job {
    /// logs.raw to typed events in logs.parsed; what does not parse to logs.dead
    Parse(ServiceArgs),
}

#[derive(Debug, Subcommand)]
pub(crate) enum ParseTool {
    /// Read lines of standard input by a source, and show the fields, or where each line stops fitting
    Try {
        /// File of sources, or the name of a format
        #[arg(long, value_name = "FILE|FORMAT")]
        source: String,
        /// Which source of the file; needed where it has several
        #[arg(long)]
        name: Option<String>,
        /// How answers look
        #[arg(long, value_enum, default_value = "text")]
        format: Format,
    },
    /// Run the examples that stand beside the sources of files; exit code 1 when one fails
    Test {
        /// Files of sources
        #[arg(required = true)]
        files: Vec<PathBuf>,
    },
    /// Propose a source for the lines of standard input
    Suggest,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Topics {
    /// Create what is missing and set what differs; partition counts are never changed
    Apply(TopicsArgs),
    /// Compare; exit code 1 when something is missing or differs
    Check(TopicsArgs),
}

#[derive(Debug, Subcommand)]
pub(crate) enum Spool {
    /// List batches; exit code 1 where some are parked or damaged
    Ls(SpoolLs),
    /// Send parked batches again
    Retry(SpoolMove),
    /// Delete parked batches: their lines are lost
    Drop(SpoolMove),
}

/// Which rows a list shows.
#[derive(Debug, Args)]
pub(crate) struct OfTenant {
    /// Only those of this tenant
    #[arg(long, value_name = "ID")]
    pub(crate) tenant: Option<String>,
    #[arg(long, value_enum, default_value = "text")]
    pub(crate) format: Format,
    #[command(flatten)]
    pub(crate) place: Place,
}

/// Where the spools are.
#[derive(Debug, Args)]
pub(crate) struct SpoolPlace {
    /// Configuration of the forwarder or relay: its data_dir is looked into
    #[arg(long, value_name = "FILE", env = "MILLRACE_CONFIG")]
    pub(crate) config: Option<PathBuf>,
    /// Data folder of the forwarder or relay
    #[arg(long, value_name = "DIR", env = "MILLRACE_DATA")]
    pub(crate) data: Option<PathBuf>,
    /// Only this spool, as `ls` names it
    #[arg(long, value_name = "NAME")]
    pub(crate) spool: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct SpoolLs {
    #[arg(long, value_enum, default_value = "text")]
    pub(crate) format: Format,
    #[command(flatten)]
    pub(crate) place: SpoolPlace,
}

#[derive(Debug, Args)]
pub(crate) struct SpoolMove {
    /// Batches, by the ids that `ls` shows
    #[arg(required_unless_present = "all")]
    pub(crate) ids: Vec<String>,
    /// Every parked batch
    #[arg(long, conflicts_with = "ids")]
    pub(crate) all: bool,
    #[command(flatten)]
    pub(crate) place: SpoolPlace,
}

/// Where the installation is.
#[derive(Debug, Clone, Args)]
pub(crate) struct Place {
    /// Configuration file (see infra/config/up.toml for every key)
    #[arg(long, value_name = "FILE", env = "MILLRACE_CONFIG")]
    pub(crate) config: Option<PathBuf>,
    /// Data folder of a running `millrace up`: its addresses are used
    #[arg(long, value_name = "DIR", env = "MILLRACE_DATA")]
    pub(crate) data: Option<PathBuf>,
}

/// How answers look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// For people
    Text,
    /// For programs
    Json,
}

#[derive(Debug, Args)]
pub(crate) struct ServiceArgs {
    #[command(flatten)]
    pub(crate) place: Place,
    /// Slot number: makes the transactional id; else the first free slot of the data folder
    #[arg(long, value_name = "N")]
    pub(crate) instance: Option<u32>,
    /// Check the configuration, print what is in effect with secrets left out, and stop
    #[arg(long)]
    pub(crate) check: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Forward {
    #[command(flatten)]
    pub(crate) service: ServiceArgs,
    /// Read every file to its end, and stop once all of it is committed; exit code 1 where a file could not be read
    #[arg(long)]
    pub(crate) once: bool,
    /// Send standard input instead of files, and stop once all of it is committed
    #[arg(long, conflicts_with_all = ["once", "journald"])]
    pub(crate) stdin: bool,
    /// Follow the journal of this machine instead of files; with --once, to its end
    #[arg(long)]
    pub(crate) journald: bool,
    /// Stream of --stdin and --journald
    #[arg(long, default_value = "default")]
    pub(crate) stream: String,
    /// Tenant of --stdin and --journald
    #[arg(long, default_value = "default")]
    pub(crate) tenant: String,
}

#[derive(Debug, Args)]
pub(crate) struct Up {
    /// Folder for everything: Kafka's log, objects, ids, caches [default: data_dir of the configuration, millrace-data]
    #[arg(long, value_name = "DIR", env = "MILLRACE_DATA")]
    pub(crate) data: Option<PathBuf>,
    /// Configuration file; without one, DIR/logs/*.log is followed
    #[arg(long, value_name = "FILE", env = "MILLRACE_CONFIG")]
    pub(crate) config: Option<PathBuf>,
    /// `fixed`: the documented ports; `auto`: any that are free, see DIR/addresses.json
    #[arg(long, value_enum, default_value = "fixed")]
    pub(crate) ports: Ports,
    /// Check the configuration, print what is in effect with secrets left out, and stop
    #[arg(long)]
    pub(crate) check: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Ports {
    /// 19092, 18081, 8080, 4317, 5514, 8090, 9464
    Fixed,
    /// Any that are free
    Auto,
}

#[derive(Debug, Args)]
pub(crate) struct TopicsArgs {
    #[command(flatten)]
    pub(crate) place: Place,
    /// Say what would be changed, and change nothing
    #[arg(long)]
    pub(crate) dry_run: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Search {
    /// Words, "phrases", field:value, field:prefix*, field:[1 TO 9], AND, OR, NOT, parentheses; empty finds all
    #[arg(default_value = "")]
    pub(crate) query: String,
    /// Only lines of the last 30m, 1h, 7d, …
    #[arg(long, value_name = "TIME")]
    pub(crate) since: Option<String>,
    /// Only lines at or after this time (RFC 3339)
    #[arg(long, value_name = "TIME", conflicts_with = "since")]
    pub(crate) from: Option<String>,
    /// Only lines before this time (RFC 3339)
    #[arg(long, value_name = "TIME")]
    pub(crate) to: Option<String>,
    /// Most hits to show
    #[arg(long, default_value_t = 20)]
    pub(crate) limit: usize,
    /// Tenant to search, with the admin key
    #[arg(long)]
    pub(crate) tenant: Option<String>,
    /// Go without objects that are lost or damaged, and name them
    #[arg(long)]
    pub(crate) partial: bool,
    /// Address of the query service; else from the configuration
    #[arg(long, env = "MILLRACE_URL")]
    pub(crate) url: Option<String>,
    #[arg(long, value_enum, default_value = "text")]
    pub(crate) format: Format,
    #[command(flatten)]
    pub(crate) place: Place,
}

#[derive(Debug, Args)]
pub(crate) struct Cat {
    /// Host that wrote the file
    #[arg(long)]
    pub(crate) host: String,
    /// Path as it was when the file was first seen
    #[arg(long)]
    pub(crate) file: String,
    /// Every incarnation of the path, in order of first sight; else the newest
    #[arg(long, conflicts_with = "id")]
    pub(crate) all: bool,
    /// One incarnation, by its file id
    #[arg(long)]
    pub(crate) id: Option<String>,
    /// Say which incarnations there are, instead of their bytes
    #[arg(long)]
    pub(crate) list: bool,
    /// Go without objects that are lost or damaged, and name them; exit code 1 then
    #[arg(long)]
    pub(crate) partial: bool,
    #[arg(long, default_value = "default")]
    pub(crate) tenant: String,
    #[command(flatten)]
    pub(crate) place: Place,
}

#[derive(Debug, Args)]
pub(crate) struct Files {
    #[arg(long, default_value = "default")]
    pub(crate) tenant: String,
    #[arg(long, value_enum, default_value = "text")]
    pub(crate) format: FilesFormat,
    #[command(flatten)]
    pub(crate) place: Place,
}

/// How the list of files looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum FilesFormat {
    /// For people
    Text,
    /// For programs
    Json,
    /// Statements for DuckDB that make views `events` and `dead` over exactly these files
    Sql,
}

#[derive(Debug, Args)]
pub(crate) struct Ledger {
    /// Only minutes of the last 30m, 1h, 7d, …
    #[arg(long, value_name = "TIME")]
    pub(crate) since: Option<String>,
    /// Wait this long for what is in flight
    #[arg(long, value_name = "TIME")]
    pub(crate) wait: Option<String>,
    #[arg(long, value_enum, default_value = "text")]
    pub(crate) format: Format,
    #[command(flatten)]
    pub(crate) place: Place,
}

#[derive(Debug, Args)]
pub(crate) struct Status {
    #[arg(long, value_enum, default_value = "text")]
    pub(crate) format: Format,
    #[command(flatten)]
    pub(crate) place: Place,
}

#[derive(Debug, Args)]
pub(crate) struct Doctor {
    #[arg(long, value_enum, default_value = "text")]
    pub(crate) format: Format,
    #[command(flatten)]
    pub(crate) place: Place,
}

#[derive(Debug, Args)]
pub(crate) struct Demo {
    /// Folder for everything; a second run on it goes on where the first stopped
    #[arg(long, value_name = "DIR", default_value = "millrace-data/demo")]
    pub(crate) data: PathBuf,
    /// Stop once the table is printed: exit code 0 if everything balances, 1 if not
    #[arg(long)]
    pub(crate) once: bool,
    /// Lines to write
    #[arg(long, default_value_t = 100_000)]
    pub(crate) lines: u64,
    /// Lines to write a second
    #[arg(long, default_value_t = 10_000)]
    pub(crate) rate: u64,
    /// `fixed`: the documented ports; `auto`: any that are free
    #[arg(long, value_enum, default_value = "fixed")]
    pub(crate) ports: Ports,
}

#[derive(Debug, Args)]
pub(crate) struct Bench {
    /// Only these, separated by commas
    #[arg(long, value_name = "NAMES")]
    pub(crate) only: Option<String>,
    /// One JSON object a line
    #[arg(long, value_name = "FILE", default_value = "target/bench.json")]
    pub(crate) output: PathBuf,
}
