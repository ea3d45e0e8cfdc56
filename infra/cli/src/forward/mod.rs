//! `millrace forward`: files, the journal, or standard input; to Kafka, or to a gateway.

mod kafka;
mod upstream;

use std::cell::{Cell, RefCell};
use std::io::IsTerminal;
use std::path::Path;

use indicatif::{ProgressBar, ProgressStyle};
use millrace_forwarder::feed::journal::Journal;
use millrace_forwarder::feed::{self, FeedOptions, stdin};
use millrace_forwarder::{Error, Limits, Outlet, Progress, id};
use millrace_runtime::config::{Config, Output};
use millrace_runtime::ops::Health;
use millrace_runtime::service::{Service, ServiceError};
use millrace_runtime::stop::Stop;
use millrace_schemas::id::valid_id;

use crate::args::Forward;
use crate::inputs;
use crate::output::{Answer, chain};
use crate::services::{self, Kind};
use crate::upstream::{FILES, JOURNAL, STDIN};

/// What every forwarder needs of its process.
#[derive(Clone)]
pub(crate) struct Process {
    pub(crate) config: Config,
    pub(crate) stop: Stop,
    pub(crate) health: Health,
}

/// Where lines go.
trait Way {
    type Outlet: Outlet;

    /// What raw events are written under.
    fn schema_id(&self) -> u32;

    /// The outlet of forwarder `id`, which keeps what it has to in `folder`.
    fn open(&self, id: &str, folder: &Path) -> Result<Self::Outlet, ServiceError>;

    /// Called now and then while lines flow.
    fn look(&self) {}

    /// Nothing more comes. Waits until what came has arrived, where `all` of it is to; answers whether it has.
    fn finish(&self, _all: bool) -> bool {
        true
    }
}

pub(crate) fn run(args: &Forward) -> anyhow::Result<Answer> {
    for (name, own) in [("--stream", &args.stream), ("--tenant", &args.tenant)] {
        anyhow::ensure!(valid_id(own), "{name} {own:?} is not [a-z0-9-]{{1,64}}");
    }
    let change = |config: &mut Config| {
        config.forward.once |= args.once;
        // It comes and goes: beside a service that serves them.
        if args.once || args.stdin {
            config.ops_listen = None;
        }
    };
    let Some(config) = services::prepare(Kind::Forward, &args.service, change)? else {
        return Ok(Answer::Yes);
    };
    let whole = Cell::new(true);
    let bar = bar(args.once || args.stdin);
    match config.forward.output {
        Output::Kafka => services::run_with(Kind::Forward, config, |service| {
            let process = Process::of(service);
            whole.set(forward(&process, &kafka::Kafka(service), args, &bar)?);
            Ok(())
        })?,
        Output::Http => {
            let process = Process { config, stop: Stop::on_signals()?, health: Health::default() };
            services::serve_ops(Kind::Forward, &process)?;
            whole.set(forward(&process, &upstream::Upstream::new(&process), args, &bar)?);
            tracing::info!(service = Kind::Forward.name(), "stopped");
        }
    }
    bar.finish_and_clear();
    Ok(if whole.get() { Answer::Yes } else { Answer::No })
}

/// Follows the files of the configuration until it is told to stop, as one service among others.
pub(crate) fn serve(service: &Service) -> Result<(), ServiceError> {
    let process = Process::of(service);
    match process.config.forward.output {
        Output::Kafka => files(&process, &kafka::Kafka(service), |_| {}).map(drop),
        Output::Http => {
            let way = upstream::Upstream::new(&process);
            files(&process, &way, |_| way.look())?;
            way.finish(false);
            Ok(())
        }
    }
}

impl Process {
    /// Of one service among others.
    pub(crate) fn of(service: &Service) -> Process {
        let Service { config, stop, health, .. } = service.clone();
        Process { config, stop, health }
    }
}

/// Answers whether all of what was to be sent has arrived.
fn forward<W: Way>(
    process: &Process,
    way: &W,
    args: &Forward,
    bar: &ProgressBar,
) -> Result<bool, ServiceError> {
    let told = |progress: &Progress| {
        bar.set_length(progress.bytes + progress.behind_bytes);
        bar.set_position(progress.bytes);
        way.look();
    };
    if args.stdin {
        standard_input(process, way, args, told)?;
        return Ok(way.finish(true));
    }
    if args.journald {
        the_journal(process, way, args, told)?;
        return Ok(way.finish(args.once));
    }
    let once = process.config.forward.once;
    let progress = files(process, way, told)?;
    Ok(way.finish(once) && (!once || progress.troubled_files == 0))
}

fn files<W: Way>(
    process: &Process,
    way: &W,
    mut told: impl FnMut(&Progress),
) -> Result<Progress, ServiceError> {
    let config = &process.config.forward;
    let folder = &process.config.data_dir;
    let id = id::load_or_make(folder).map_err(|error| other(error.to_string()))?;
    let options = millrace_forwarder::Options {
        host: config.host.clone(),
        forwarder_id: id.as_str().to_owned(),
        schema_id: way.schema_id(),
        inputs: config.inputs.iter().map(inputs::input).collect(),
        scratch: folder.clone(),
        limits: limits(process),
        once: config.once,
    };
    let outlet = way.open(id.as_str(), &folder.join(FILES))?;
    let mut lost = 0;
    let progress = millrace_forwarder::run(
        options,
        outlet,
        || process.stop.requested(),
        |progress| {
            millrace_runtime::metrics::lost_bytes(progress.lost_bytes - lost);
            lost = progress.lost_bytes;
            millrace_runtime::metrics::forwarder(progress.files, progress.behind_bytes);
            told(progress);
        },
    );
    ended(progress)
}

/// Each run is a flow of its own: nobody knows what a pipe held before.
fn standard_input<W: Way>(
    process: &Process,
    way: &W,
    args: &Forward,
    told: impl FnMut(&Progress),
) -> Result<(), ServiceError> {
    let id = format!("stdin-{}", uuid::Uuid::new_v4().simple());
    let outlet = way.open(&id, &process.config.data_dir.join(STDIN))?;
    let limits = limits(process);
    let max = limits.max_line_bytes;
    let open = |_: Option<&str>| feed::start(move |to| stdin::read(std::io::stdin(), max, to));
    let options = FeedOptions {
        forget: true,
        name: "stdin".to_owned(),
        ..feed_options(process, way, args, (&id, &id), limits)
    };
    ended(feed::run(options, outlet, open, || process.stop.requested(), told)).map(drop)
}

/// Goes on after the cursor that was committed last.
fn the_journal<W: Way>(
    process: &Process,
    way: &W,
    args: &Forward,
    told: impl FnMut(&Progress),
) -> Result<(), ServiceError> {
    let folder = process.config.data_dir.join("journald");
    let id = id::load_or_make(&folder).map_err(|error| other(error.to_string()))?;
    let outlet = way.open(id.as_str(), &process.config.data_dir.join(JOURNAL))?;
    let limits = limits(process);
    let (max, follow) = (limits.max_line_bytes, !args.once);
    // Until the run is over.
    let running = RefCell::new(None);
    let open = |cursor: Option<&str>| {
        let own = Journal::spawn("journalctl", cursor, follow).map_err(|error| Error::Read {
            path: "the journal".to_owned(),
            reason: format!("could not start journalctl: {error}"),
        })?;
        let given = feed::start(own.reader(max));
        running.replace(Some(own));
        given
    };
    let options = feed_options(process, way, args, (id.as_str(), "journald"), limits);
    ended(feed::run(options, outlet, open, || process.stop.requested(), told)).map(drop)
}

fn feed_options<W: Way>(
    process: &Process,
    way: &W,
    args: &Forward,
    (forwarder, flow): (&str, &str),
    limits: Limits,
) -> FeedOptions {
    FeedOptions {
        host: process.config.forward.host.clone(),
        forwarder_id: forwarder.to_owned(),
        schema_id: way.schema_id(),
        tenant: args.tenant.clone(),
        stream: args.stream.clone(),
        name: flow.to_owned(),
        // Another stream begins anew: its lines are others.
        id: format!("{flow}-{}", args.stream),
        forget: false,
        limits,
    }
}

fn limits(process: &Process) -> Limits {
    let config = &process.config.forward;
    let (max_line_bytes, partial_line_timeout) = (config.max_line_bytes, config.partial_line_timeout);
    Limits { max_line_bytes, partial_line_timeout, ..Limits::USUAL }
}

fn ended(progress: Result<Progress, Error>) -> Result<Progress, ServiceError> {
    let progress = progress.map_err(|error| other(chain(&error.into())))?;
    let Progress { lines, bytes, batches, .. } = progress;
    tracing::info!(n_lines = lines, bytes, n_batches = batches, "forwarder ended");
    Ok(progress)
}

fn other(text: String) -> ServiceError {
    ServiceError::Other(text)
}

/// How much of what is there is committed, on a terminal.
fn bar(wanted: bool) -> ProgressBar {
    if !wanted || !std::io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let bar = ProgressBar::new(0);
    let style = "{bar:40} {bytes}/{total_bytes}, {bytes_per_sec}, {eta} to go";
    ProgressStyle::with_template(style).map_or(bar.clone(), |style| bar.with_style(style))
}
