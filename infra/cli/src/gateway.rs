//! `millrace gateway`: lines from the network to Kafka; or, as a relay, to another gateway.

use std::path::Path;
use std::time::Duration;

use millrace_runtime::config::Output;
use millrace_runtime::ops::Health;
use millrace_runtime::service::{Service, ServiceError};
use millrace_runtime::stop::Stop;

use crate::args::ServiceArgs;
use crate::forward::Process;
use crate::output::Answer;
use crate::relay_keys::RelayKeys;
use crate::services::{self, Kind};
use crate::upstream::{self, RELAY, Sending};

/// How long what is on its way may take when a relay stops: its listeners take their time before.
const FAREWELL: Duration = Duration::from_secs(5);

pub(crate) fn run(args: &ServiceArgs) -> anyhow::Result<Answer> {
    let Some(config) = services::prepare(Kind::Gateway, args, |_| {})? else {
        return Ok(Answer::Yes);
    };
    match config.gateway.output {
        Output::Kafka => services::run_with(Kind::Gateway, config, serve)?,
        Output::Http => {
            let process = Process { config, stop: Stop::on_signals()?, health: Health::default() };
            services::serve_ops(Kind::Gateway, &process)?;
            relay(&process, args.place.config.as_deref())?;
            tracing::info!(service = Kind::Gateway.name(), "stopped");
        }
    }
    Ok(Answer::Yes)
}

/// Serves until it is told to stop, as one service among others.
pub(crate) fn serve(service: &Service) -> Result<(), ServiceError> {
    match service.config.gateway.output {
        Output::Kafka => millrace_gateway::run(service, |address| {
            tracing::info!(%address, "taking lines over HTTP");
        }),
        Output::Http => relay(&Process::of(service), None),
    }
}

/// Takes lines into a spool, which is sent meanwhile; `file` is the configuration's.
fn relay(process: &Process, file: Option<&Path>) -> Result<(), ServiceError> {
    let Process { config, stop, health } = process.clone();
    let mut relay_keys = RelayKeys::new(&config, file);
    let keys = relay_keys.keys();
    let spool = upstream::open(config.data_dir.join(RELAY), &config.upstream).map_err(upstream::failed)?;
    let sending = Sending::start(spool, &config.upstream)?;
    let (spool, url) = (sending.spool.clone(), config.upstream.url.clone());
    let served = std::thread::scope(|scope| {
        let serving = scope.spawn(|| {
            let relay = millrace_gateway::Relay { config, stop, health, spool, keys };
            millrace_gateway::relay(relay, |address| {
                tracing::info!(%address, upstream = url, "taking lines over HTTP, as a relay");
            })
        });
        while !serving.is_finished() {
            sending.look();
            relay_keys.look();
            std::thread::sleep(Duration::from_millis(50));
        }
        serving.join().unwrap_or_else(|_| Err(ServiceError::Other("the relay panicked".to_owned())))
    });
    sending.finish(FAREWELL);
    served
}
