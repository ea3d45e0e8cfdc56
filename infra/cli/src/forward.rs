//! `millrace forward`: files, the journal, or standard input.

use std::cell::{Cell, RefCell};
use std::io::IsTerminal;

use indicatif::{ProgressBar, ProgressStyle};
use millrace_forwarder::feed::journal::Journal;
use millrace_forwarder::feed::{self, FeedOptions, stdin};
use millrace_forwarder::kafka::KafkaOutlet;
use millrace_forwarder::{Error, Limits, Progress, id};
use millrace_runtime::kafka::Guard;
use millrace_runtime::service::{Service, ServiceError};
use millrace_schemas::id::valid_id;

use crate::args::Forward;
use crate::inputs;
use crate::output::{Answer, chain};
use crate::services::{Kind, run_with};

pub(crate) fn run(args: &Forward) -> anyhow::Result<Answer> {
    for (name, own) in [("--stream", &args.stream), ("--tenant", &args.tenant)] {
        anyhow::ensure!(valid_id(own), "{name} {own:?} is not [a-z0-9-]{{1,64}}");
    }
    let whole = Cell::new(true);
    let bar = bar(args.once || args.stdin);
    let change = |config: &mut millrace_runtime::config::Config| {
        config.forward.once |= args.once;
        // It comes and goes: beside a service that serves them.
        if args.once || args.stdin {
            config.ops_listen = None;
        }
    };
    let told = |progress: &Progress| {
        bar.set_length(progress.bytes + progress.behind_bytes);
        bar.set_position(progress.bytes);
    };
    let serve = |service: &Service| {
        if args.stdin {
            return standard_input(service, args, told);
        }
        if args.journald {
            return the_journal(service, args);
        }
        let progress = files(service, told)?;
        whole.set(!service.config.forward.once || progress.troubled_files == 0);
        Ok(())
    };
    let answer = run_with(Kind::Forward, &args.service, change, serve)?;
    bar.finish_and_clear();
    Ok(if whole.get() { answer } else { Answer::No })
}

/// Follows the files of the configuration until it is told to stop.
pub(crate) fn files(service: &Service, mut told: impl FnMut(&Progress)) -> Result<Progress, ServiceError> {
    let config = &service.config.forward;
    let id = id::load_or_make(&service.config.data_dir).map_err(|error| other(error.to_string()))?;
    let options = millrace_forwarder::Options {
        host: config.host.clone(),
        forwarder_id: id.as_str().to_owned(),
        schema_id: service.codecs.raw().id(),
        inputs: config.inputs.iter().map(inputs::input).collect(),
        scratch: service.config.data_dir.clone(),
        limits: limits(service),
        once: config.once,
    };
    let outlet = KafkaOutlet::open(service, id.as_str(), Guard::default())?;
    let mut lost = 0;
    let progress = millrace_forwarder::run(
        options,
        outlet,
        || service.stop.requested(),
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
fn standard_input(
    service: &Service,
    args: &Forward,
    told: impl FnMut(&Progress),
) -> Result<(), ServiceError> {
    let id = format!("stdin-{}", uuid::Uuid::new_v4().simple());
    let outlet = KafkaOutlet::open(service, &id, Guard::default())?;
    let limits = limits(service);
    let max = limits.max_line_bytes;
    let open = |_: Option<&str>| feed::start(move |to| stdin::read(std::io::stdin(), max, to));
    let options = FeedOptions {
        forget: true,
        name: "stdin".to_owned(),
        ..feed_options(service, args, &id, &id, limits)
    };
    ended(feed::run(options, outlet, open, || service.stop.requested(), told)).map(drop)
}

/// Goes on after the cursor that was committed last.
fn the_journal(service: &Service, args: &Forward) -> Result<(), ServiceError> {
    let folder = service.config.data_dir.join("journald");
    let id = id::load_or_make(&folder).map_err(|error| other(error.to_string()))?;
    let outlet = KafkaOutlet::open(service, id.as_str(), Guard::default())?;
    let limits = limits(service);
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
    let options = feed_options(service, args, id.as_str(), "journald", limits);
    ended(feed::run(options, outlet, open, || service.stop.requested(), |_| {})).map(drop)
}

fn feed_options(
    service: &Service,
    args: &Forward,
    forwarder: &str,
    flow: &str,
    limits: Limits,
) -> FeedOptions {
    FeedOptions {
        host: service.config.forward.host.clone(),
        forwarder_id: forwarder.to_owned(),
        schema_id: service.codecs.raw().id(),
        tenant: args.tenant.clone(),
        stream: args.stream.clone(),
        name: flow.to_owned(),
        // Another stream begins anew: its lines are others.
        id: format!("{flow}-{}", args.stream),
        forget: false,
        limits,
    }
}

fn limits(service: &Service) -> Limits {
    let config = &service.config.forward;
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
