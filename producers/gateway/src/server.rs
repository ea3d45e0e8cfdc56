//! HTTP: bodies in, answers out. What they mean is decided by [`crate::api`].
//!
//! Bounded in connections, headers, bodies and time; a request whose body is not taken at once is told to come again, so
//! that nothing is promised before it is committed (I10, I11).

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::header::{HeaderValue, RETRY_AFTER};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use millrace_runtime::metrics;
use millrace_runtime::sink::now_micros;
use tokio::net::TcpListener;
use tokio::sync::{Semaphore, watch};

use crate::api::{self, Answer, Dialect, Promise, Reply, Request};
use crate::batch::{self, Name};
use crate::budget::Share;
use crate::item::Item;
use crate::patient::Patient;
use crate::prepare::{PrepareError, Prepared};
use crate::proxy::Proxy;
use crate::shared::Shared;
use crate::waiting::{Closed, Outcome};

/// Time for the head of a request, and for which an idle connection is kept.
const HEAD: Duration = Duration::from_secs(15);
const MAX_HEADERS: usize = 100;
const MAX_HEAD_BYTES: usize = 64 << 10;
/// Time for requests that are being answered when the process is told to stop.
const FAREWELL: Duration = Duration::from_secs(10);
/// How long a request with a wrong key waits for its answer.
const DENIED: Duration = Duration::from_millis(250);
/// Larger bodies, and packed ones, are read beside the other requests, not between them, and few at once.
const LARGE: usize = 64 << 10;

/// Serves until `stopped` says so; then waits for what is being answered.
pub(crate) async fn serve(listener: TcpListener, shared: Arc<Shared>, mut stopped: watch::Receiver<bool>) {
    let most = shared.service.config.gateway.max_connections;
    let places = Arc::new(Semaphore::new(most));
    loop {
        let place = tokio::select! {
            place = places.clone().acquire_owned() => place,
            _ = stopped.changed() => break,
        };
        let Ok(place) = place else { break };
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            _ = stopped.changed() => break,
        };
        let (stream, peer) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                // Mostly too many open files: others have to end first.
                tracing::warn!(%error, "could not accept a connection");
                tokio::time::sleep(Duration::from_millis(100)).await;
                continue;
            }
        };
        let (shared, mut stopped) = (shared.clone(), stopped.clone());
        tokio::spawn(async move {
            let stream = Patient::new(stream, shared.service.config.gateway.client_timeout);
            let service = service_fn(move |request| answer(shared.clone(), peer, request));
            let mut http = http1::Builder::new();
            http.timer(TokioTimer::new()).header_read_timeout(HEAD);
            http.max_headers(MAX_HEADERS).max_buf_size(MAX_HEAD_BYTES);
            let mut connection = std::pin::pin!(http.serve_connection(TokioIo::new(stream), service));
            let ended = tokio::select! {
                ended = connection.as_mut() => ended,
                _ = stopped.changed() => {
                    connection.as_mut().graceful_shutdown();
                    connection.await
                }
            };
            if let Err(error) = ended {
                tracing::debug!(%error, %peer, "connection ended early");
            }
            drop(place);
        });
    }
    let all = places.acquire_many(most as u32);
    if tokio::time::timeout(FAREWELL, all).await.is_err() {
        tracing::warn!("some requests were not answered in time, their connections are cut");
    }
}

async fn answer(
    shared: Arc<Shared>,
    peer: SocketAddr,
    request: hyper::Request<Incoming>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let (head, body) = request.into_parts();
    let text = |value: &'_ HeaderValue| value.to_str().ok().map(str::to_owned);
    let owned: Vec<(&str, String)> =
        head.headers.iter().filter_map(|(name, value)| Some((name.as_str(), text(value)?))).collect();
    let headers: Vec<(&str, &str)> = owned.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let nonce = uuid::Uuid::new_v4().simple().to_string();
    let request = Request {
        method: head.method.as_str(),
        path: head.uri.path(),
        query: head.uri.query().unwrap_or_default(),
        headers: &headers,
        nonce: &nonce,
    };
    let mut share = shared.budget.share();
    let answer = take(&shared, peer, &request, body, &mut share).await;
    metrics::gateway_answer(answer.status);
    Ok(response(answer, share, request.method == "HEAD"))
}

/// What health checks ask: no key, no body.
const OPEN: [&str; 3] = ["/ruok", "/services/collector/health", "/services/collector/health/1.0"];

async fn take(
    shared: &Shared,
    peer: SocketAddr,
    request: &Request<'_>,
    body: Incoming,
    share: &mut Share,
) -> Answer {
    let dialect = Dialect::of(request.path);
    let refuse = |status, reason: &str, retry| dialect.refuse(request, status, reason, retry);
    let tenant = match shared.access.tenant(request, now_micros()) {
        Ok(tenant) => tenant,
        Err(_) if request.method == "GET" && OPEN.contains(&request.path) => String::new(),
        Err((status, reason)) => {
            metrics::gateway_denied(status);
            // Whoever tries keys is not quick about it.
            tokio::time::sleep(DENIED).await;
            return refuse(status, reason, None);
        }
    };
    if Proxy::serves(request) {
        return shared.query.ask(request, &tenant, share).await;
    }
    if matches!(request.method, "POST" | "PUT") {
        // Said before the body is read: nobody sends in vain.
        match shared.state.closed() {
            None => {}
            Some(Closed::Away) => return refuse(503, "kafka is away, try again later", Some(2)),
            Some(Closed::Full) => return refuse(503, "a topic is over its bound, try again later", Some(5)),
        }
    }
    if let Some(name) = Name::of(request) {
        return batch::put(shared, &tenant, request, name, body, share).await;
    }
    let config = &shared.service.config.gateway;
    let read = read_body(body, config.max_body_bytes, share);
    let body = match tokio::time::timeout(config.client_timeout, read).await {
        Ok(Ok(body)) => body,
        Ok(Err(Unread::TooLarge)) => {
            let most = config.max_body_bytes >> 20;
            return refuse(413, &format!("the body has more than {most} MiB; send smaller requests"), None);
        }
        Ok(Err(Unread::NoRoom)) => return refuse(503, NO_ROOM, Some(1)),
        Ok(Err(Unread::Broken)) => return refuse(400, "the body ended early", None),
        Err(_) => return refuse(408, "the body did not come in time", None),
    };
    let mut work = || prepare(shared, &tenant, peer, request, &body, share);
    let prepared = if body.len() > LARGE || !request.header("content-encoding").is_empty() {
        let _place = shared.large.acquire().await;
        tokio::task::block_in_place(work)
    } else {
        work()
    };
    let (prepared, promise) = match prepared {
        Ok(prepared) => prepared,
        Err(answer) => return answer,
    };
    let n_items = prepared.n_items;
    if n_items == 0 {
        return promise.keep(0, 0);
    }
    drop(body);
    // A share of its own goes with the records: who does not wait any longer makes no room by that.
    let mut records = shared.budget.share();
    if !share.hold(promise.size()) || !records.hold(prepared.size()) {
        return refuse(503, NO_ROOM, Some(1));
    }
    let (n_records, stamp) = (prepared.records.len(), prepared.records.first().map(|record| record.received));
    match shared.commit_in_time(prepared, records).await {
        Outcome::Committed { n_known } => {
            let mut found = true;
            if let (Promise::Found(_), Some(stamp)) = (&promise, stamp) {
                found = shared.query.wait_for(request, &tenant, stamp, n_records - n_known).await;
            }
            let mut answer = promise.keep(n_items, n_known);
            if !found {
                let warning = "299 millrace \"committed, but not found by a search yet\"";
                answer.headers.push(("warning", warning.to_owned()));
            }
            answer
        }
        Outcome::Later => refuse(503, "kafka does not answer, nothing was taken; try again later", Some(2)),
        Outcome::Never(reason) => refuse(400, &reason, None),
        // The latter is a batch's alone.
        Outcome::Unknown | Outcome::Overtaken => refuse(
            503,
            "kafka has not answered in time, the request may or may not have been taken; send it again, with \
             its ids or its Idempotency-Key if it has any",
            Some(2),
        ),
    }
}

pub(crate) const NO_ROOM: &str = "too many requests are being taken, try again later";

enum Unread {
    TooLarge,
    NoRoom,
    Broken,
}

async fn read_body(mut body: Incoming, most: usize, share: &mut Share) -> Result<Vec<u8>, Unread> {
    let mut bytes = Vec::new();
    while let Some(frame) = body.frame().await {
        let Ok(data) = frame.map_err(|_| Unread::Broken)?.into_data() else { continue };
        if bytes.len() + data.len() > most {
            return Err(Unread::TooLarge);
        }
        if !share.take(data.len()) {
            return Err(Unread::NoRoom);
        }
        bytes.extend_from_slice(&data);
    }
    Ok(bytes)
}

/// Everything between body and commit, without waiting for anything.
fn prepare(
    shared: &Shared,
    tenant: &str,
    peer: SocketAddr,
    request: &Request<'_>,
    packed: &[u8],
    share: &mut Share,
) -> Result<(Prepared, Promise), Answer> {
    let dialect = Dialect::of(request.path);
    let most = shared.service.config.gateway.max_body_bytes;
    let body = api::unpack(request, packed, most)?;
    let full = || dialect.refuse(request, 503, NO_ROOM, Some(1));
    if body.len() > packed.len() && !share.take(body.len() - packed.len()) {
        return Err(full());
    }
    match api::read(request, &body, most) {
        Reply::Now(answer) => Err(answer),
        Reply::Commit(items, promise) => {
            if !share.take(items.capacity() * size_of::<Item<'_>>()) {
                return Err(full());
            }
            let address = peer.ip().to_canonical().to_string();
            let prepared = shared.prepare(tenant, &address, &items).map_err(|error| {
                let status = if matches!(error, PrepareError::TooLarge { .. }) { 413 } else { 500 };
                dialect.refuse(request, status, &error.to_string(), None)
            })?;
            Ok((prepared, promise))
        }
    }
}

/// The body of an answer, and what it holds until it is sent.
struct Body(Vec<u8>, #[expect(dead_code, reason = "held, not read")] Share);

impl AsRef<[u8]> for Body {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

fn response(answer: Answer, share: Share, head_only: bool) -> Response<Full<Bytes>> {
    let body = if head_only { Bytes::new() } else { Bytes::from_owner(Body(answer.body, share)) };
    let mut response = Response::new(Full::new(body));
    *response.status_mut() = StatusCode::from_u16(answer.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let headers = response.headers_mut();
    if !answer.media_type.is_empty() {
        headers.insert(hyper::header::CONTENT_TYPE, HeaderValue::from_static(answer.media_type));
    }
    for (name, value) in answer.headers {
        if let Ok(value) = HeaderValue::from_str(&value) {
            headers.insert(name, value);
        }
    }
    if answer.status == 401 {
        headers.insert(hyper::header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer, Basic, ApiKey"));
    }
    debug_assert!(
        answer.status != 503 || headers.contains_key(RETRY_AFTER),
        "I11: 503 says when to come again"
    );
    response
}
