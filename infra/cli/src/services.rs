//! Each service by itself.

use millrace_jobs::parse::{Format, Memory, Parse, ParseConfig};
use millrace_jobs::{Job, Table};
use millrace_runner::kafka::{KafkaSession, SessionOptions};
use millrace_runner::transact_renewed;
use millrace_runtime::config::Config;
use millrace_runtime::service::{Service, ServiceError};
use millrace_runtime::stop::Stop;
use millrace_runtime::{log, ops};

use crate::args::{Place, ServiceArgs};
use crate::forward::{self, Process};
use crate::gateway;
use crate::inputs;
use crate::output::Answer;
use crate::place;
use crate::source::live::Live;

/// Which service.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Forward,
    Gateway,
    Parse,
    Index,
    Archive,
    Query,
}

impl Kind {
    pub(crate) const ALL: [Kind; 6] =
        [Kind::Query, Kind::Archive, Kind::Index, Kind::Parse, Kind::Gateway, Kind::Forward];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Kind::Forward => "forward",
            Kind::Gateway => "gateway",
            Kind::Parse => "parse",
            Kind::Index => "index",
            Kind::Archive => "archive",
            Kind::Query => "query",
        }
    }
}

/// Runs one service as this process until it is told to stop.
pub(crate) fn run(kind: Kind, args: &ServiceArgs) -> anyhow::Result<Answer> {
    if let Some(config) = prepare(kind, args, |_| {})? {
        run_with(kind, config, |service| serve(kind, service))?;
    }
    Ok(Answer::Yes)
}

/// The checked configuration of one service, with a change to it; `None` where nothing was to be done but checking.
pub(crate) fn prepare(
    kind: Kind,
    args: &ServiceArgs,
    change: impl FnOnce(&mut Config),
) -> anyhow::Result<Option<Config>> {
    let mut config = load(&args.place)?;
    config.instance = args.instance.or(config.instance);
    change(&mut config);
    if kind == Kind::Forward && !config.forward.inputs.is_empty() {
        inputs::check(&config.forward, args.place.config.as_deref())?;
    }
    if kind == Kind::Parse {
        drop(crate::parse::load(&config.parse, args.place.config.as_deref())?);
    }
    if args.check {
        if kind == Kind::Forward && config.forward.inputs.is_empty() {
            anyhow::bail!("forward.input is empty: name at least one [[forward.input]] with globs");
        }
        println!("{}", config.describe());
        return Ok(None);
    }
    log::start(config.log.0, &config.log.1);
    Ok(Some(config))
}

/// Runs one service as this process, in its own way of serving.
pub(crate) fn run_with(
    kind: Kind,
    config: Config,
    serve: impl FnOnce(&Service) -> Result<(), ServiceError>,
) -> anyhow::Result<()> {
    let stop = Stop::on_signals()?;
    let service = Service::open(&config, &stop)?;
    serve_ops(kind, &Process { config, stop, health: service.health.clone() })?;
    serve(&service)?;
    tracing::info!(service = kind.name(), "stopped");
    Ok(())
}

/// Serves what is to be known of a process.
pub(crate) fn serve_ops(kind: Kind, process: &Process) -> Result<(), ServiceError> {
    // Not ready until the loop itself says so.
    process.health.turned(kind.name(), false);
    if let Some(address) = &process.config.ops_listen {
        let address = ops::serve(address, process.health.clone(), process.stop.clone())?;
        tracing::info!(%address, "serving /metrics, /live and /ready");
    }
    Ok(())
}

fn load(place: &Place) -> anyhow::Result<Config> {
    if place.config.is_some() && place.data.is_none() {
        return Ok(Config::load(place.config.as_deref())?);
    }
    place::config(place)
}

/// Runs one service on this thread until it is told to stop.
pub(crate) fn serve(kind: Kind, service: &Service) -> Result<(), ServiceError> {
    match kind {
        Kind::Forward => forward::serve(service),
        Kind::Gateway => gateway::serve(service),
        Kind::Parse => parse(service),
        Kind::Index => millrace_indexer::run(service),
        Kind::Archive => millrace_archiver::run(service),
        Kind::Query => millrace_query::server::run(service, |address| {
            tracing::info!(%address, "serving searches at /api/v1/search");
        }),
    }
}

fn parse(service: &Service) -> Result<(), ServiceError> {
    let (job, live) = parser(service)?;
    let slot = service.slot(Parse::NAME)?;
    let n_loops = service.config.parse.loops;
    std::thread::scope(|scope| {
        let mut loops = Vec::new();
        for number in 0..n_loops {
            let (slot, job, live) = (slot.number(), job.clone(), live.clone());
            let spawn = std::thread::Builder::new().name(format!("parse-{number}"));
            let spawned = spawn.spawn_scoped(scope, move || {
                let result = parse_loop(service, job, &live, slot, number);
                if result.is_err() {
                    service.stop.request();
                }
                result
            });
            loops.push(
                spawned.map_err(|error| ServiceError::Other(format!("could not start a thread: {error}")))?,
            );
        }
        let ends = loops.into_iter().map(|own| own.join());
        let panicked = |_| Err(ServiceError::Other("a parse loop panicked".to_owned()));
        ends.map(|end| end.unwrap_or_else(panicked)).collect::<Result<Vec<()>, _>>().map(drop)
    })
}

/// The job as the configuration describes it, and the sources that it takes up as they are set.
fn parser(service: &Service) -> Result<(Parse, Live), ServiceError> {
    let config = &service.config.parse;
    let format = |name: &str| {
        Format::named(name).ok_or_else(|| ServiceError::Other(format!("parse format {name:?} is not known")))
    };
    let by_stream = config.streams.iter().map(|(stream, name)| Ok((stream.clone(), format(name)?)));
    let parse_config = ParseConfig {
        default_format: format(&config.default_format)?,
        by_stream: by_stream.collect::<Result<_, ServiceError>>()?,
    };
    let sources = crate::parse::load(config, None)
        .map_err(|error| ServiceError::Other(crate::output::chain(&error.into())))?;
    let job = Parse::new(parse_config, service.codecs.raw().clone(), service.codecs.parsed().clone());
    let memory = Memory { window: config.dedup_window.as_micros() as i64, bytes: config.dedup_bytes };
    let live = Live::follow(service, sources.clone())?;
    Ok((job.with_memory(memory).with_sources(sources), live))
}

fn parse_loop(
    service: &Service,
    mut job: Parse,
    live: &Live,
    slot: u32,
    number: u32,
) -> Result<(), ServiceError> {
    let other = |error: millrace_runner::Error| ServiceError::Other(crate::output::chain(&error.into()));
    let options = SessionOptions::usual(Parse::NAME, job.inputs(), job.outputs(), slot, number);
    let mut session = KafkaSession::join(service, options).map_err(other)?;
    let stopped = || service.stop.requested();
    let renew = |job: &mut Parse, table: &Table| live.renew(job, table, stopped);
    transact_renewed(&mut job, &mut session, renew, stopped).map_err(other)
}
