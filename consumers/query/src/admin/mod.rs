//! The admin API, `/api/v1/admin/…`: tenants, keys, quotas, sources and streams of `millrace.control`, and sources tried on
//! lines.
//!
//! Here are its bounds: requests at once, bytes, time (I10). [`who`] says who asks, [`action`] what they ask and whether they
//! may, [`perform`] does it, on a thread that may block. What is under way goes on when nobody waits for it any longer.

mod action;
mod perform;
mod reply;
mod who;

#[cfg(test)]
mod tests;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::header::CONTENT_ENCODING;
use axum::http::request::Parts;
use axum::response::{IntoResponse, Response};
use axum::routing::any;
use millrace_runtime::keys::Keyring;
use millrace_runtime::metrics;
use millrace_runtime::service::Service;
use millrace_runtime::sink::now_micros;
use tokio::sync::Semaphore;
use tokio::time::timeout;

use action::{Asked, Wanted};
use reply::Reply;
use who::Who;

/// Where it lies.
pub(crate) const ROOT: &str = "/api/v1/admin/";

/// Largest body.
const MOST_BYTES: usize = 1 << 20;
/// Requests that are taken at once, and of these worked on: searches want the machine, too.
const PLACES: usize = 16;
const WORKERS: usize = 2;
/// Longest time for a body to come, for a worker to be free, and for the work.
const BODY: Duration = Duration::from_secs(15);
const QUEUE: Duration = Duration::from_secs(10);
const WORK: Duration = Duration::from_secs(30);

pub(crate) struct Desk {
    service: Service,
    keys: Keyring,
    places: Semaphore,
    workers: Arc<Semaphore>,
    /// Two writes of our own would fence each other.
    writing: Mutex<()>,
}

pub(crate) fn router(service: &Service, keys: Keyring) -> axum::Router {
    let desk = Desk {
        service: service.clone(),
        keys,
        places: Semaphore::new(PLACES),
        workers: Arc::new(Semaphore::new(WORKERS)),
        writing: Mutex::new(()),
    };
    axum::Router::new().route(&format!("{ROOT}{{*rest}}"), any(answer)).with_state(Arc::new(desk))
}

async fn answer(State(desk): State<Arc<Desk>>, request: Request) -> Response {
    let (head, body) = request.into_parts();
    // What cannot be read has no name.
    let mut name = "none";
    let reply = take(&desk, &head, body, &mut name).await.unwrap_or_else(|refusal| refusal);
    metrics::admin_request(name, reply.status.as_u16());
    reply.into_response()
}

async fn take(desk: &Arc<Desk>, head: &Parts, body: Body, name: &mut &'static str) -> Result<Reply, Reply> {
    let who = who::of(&head.headers, &desk.keys, now_micros())?;
    if head.headers.contains_key(CONTENT_ENCODING) {
        return Err(Reply::refused(415, "a body is taken as it is: send it without a Content-Encoding"));
    }
    let _place = desk.places.try_acquire().map_err(|_| Reply::later("too many requests are being taken"))?;
    let body = timeout(BODY, axum::body::to_bytes(body, MOST_BYTES));
    let body = body.await.map_err(|_| Reply::refused(408, "the body did not come in time"))?;
    let large = |_| Reply::refused(413, "the body ended early, or has more than 1 MiB; send less at once");
    let body = body.map_err(large)?;
    let wanted = Wanted::read(&Asked::of(head, &body)?)?;
    *name = wanted.action.name();
    wanted.action.allowed(&who)?;
    let worker = timeout(QUEUE, desk.workers.clone().acquire_owned()).await;
    let Ok(Ok(worker)) = worker else { return Err(Reply::later("other requests are being worked on")) };
    let desk = desk.clone();
    let work = tokio::task::spawn_blocking(move || {
        let reply = perform::perform(&desk, &who, &wanted);
        tell(&who, &wanted, &reply);
        drop(worker);
        reply
    });
    match timeout(WORK, work).await {
        Ok(Ok(reply)) => Ok(reply),
        Ok(Err(error)) => Err(Reply::refused(500, &format!("it ended early: {error}"))),
        Err(_) => Err(Reply::later(
            "it takes longer than 30 s, mostly since kafka does not answer, and goes on: of a write it is not known what \
             becomes of it; look, and send it again",
        )),
    }
}

/// Each write is a line of the log, whatever became of it.
fn tell(who: &Who, wanted: &Wanted, reply: &Reply) {
    if let Some(what) = wanted.action.writes() {
        let (key, action, status) = (who.key(), wanted.action.name(), reply.status.as_u16());
        tracing::info!(key, action, what, dry_run = wanted.dry_run, status, "admin write");
    }
}
