//! `/metrics`, `/live` and `/ready` of a process.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use axum::http::StatusCode;
use axum::routing::get;

use crate::stop::Stop;

/// A loop that has not turned for this long counts as dead: longer than the longest wait for a store or broker.
const STALE: Duration = Duration::from_secs(300);

/// What the loops of a process say of themselves.
#[derive(Debug, Clone, Default)]
pub struct Health(Arc<Mutex<BTreeMap<String, (bool, Instant)>>>);

impl Health {
    /// Loop `name` turned; `ready` once it is assigned and restored.
    pub fn turned(&self, name: &str, ready: bool) {
        let mut loops = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match loops.get_mut(name) {
            Some(own) => *own = (ready, Instant::now()),
            None => drop(loops.insert(name.to_owned(), (ready, Instant::now()))),
        }
    }

    /// Names of loops that are not ready.
    pub fn not_ready(&self) -> Vec<String> {
        self.failing(|(ready, _)| !ready)
    }

    fn stale(&self) -> Vec<String> {
        self.failing(|(_, last)| last.elapsed() > STALE)
    }

    fn failing(&self, fails: impl Fn(&(bool, Instant)) -> bool) -> Vec<String> {
        let loops = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        loops.iter().filter(|(_, own)| fails(own)).map(|(name, _)| name.clone()).collect()
    }
}

/// The server cannot be started.
#[derive(Debug, thiserror::Error)]
#[error("could not listen on {address} for /metrics: {source}; choose another ops.listen, or \"off\"")]
pub struct OpsError {
    /// Address.
    pub address: String,
    /// What the system said.
    pub source: std::io::Error,
}

/// Serves until `stop`, on a thread of its own. Returns the address it listens on.
///
/// # Errors
/// The address is taken or not ours.
pub fn serve(address: &str, health: Health, stop: Stop) -> Result<std::net::SocketAddr, OpsError> {
    let fail = |source| OpsError { address: address.to_owned(), source };
    let listener = std::net::TcpListener::bind(address).map_err(fail)?;
    listener.set_nonblocking(true).map_err(fail)?;
    let local = listener.local_addr().map_err(fail)?;
    let recorder = metrics_exporter_prometheus::PrometheusBuilder::new()
        .set_buckets(&[0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 0.75, 1.0, 2.0, 5.0, 10.0])
        .map_err(|error| fail(std::io::Error::other(error.to_string())))?
        .build_recorder();
    let handle = recorder.handle();
    if metrics::set_global_recorder(recorder).is_err() {
        tracing::debug!("metrics were started already");
    }
    crate::metrics::describe();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(fail)?;
    let live = health.clone();
    let router = axum::Router::new()
        .route("/metrics", get(move || async move { handle.render() }))
        .route("/live", get(move || async move { answer("stale", live.stale()) }))
        .route("/ready", get(move || async move { answer("not ready", health.not_ready()) }));
    let serve = async move {
        let listener = tokio::net::TcpListener::from_std(listener)?;
        let stopped = async move {
            while !stop.requested() {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        };
        axum::serve(listener, router).with_graceful_shutdown(stopped).await
    };
    std::thread::Builder::new()
        .name("ops".to_owned())
        .spawn(move || {
            if let Err(error) = runtime.block_on(serve) {
                tracing::error!(%error, "metrics server ended");
            }
        })
        .map_err(fail)?;
    Ok(local)
}

fn answer(what: &str, failing: Vec<String>) -> (StatusCode, String) {
    if failing.is_empty() {
        (StatusCode::OK, "ok\n".to_owned())
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, format!("{what}: {}\n", failing.join(", ")))
    }
}
