//! Connections: HTTP of version 1, and the form of its answers; those of gRPC are handed to [`crate::grpc`].
//! What becomes of a request is decided in [`crate::take`].
//!
//! Bounded in connections, headers and time (I10).

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::header::{HeaderMap, HeaderValue, RETRY_AFTER};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use millrace_runtime::metrics;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio::sync::watch;

use crate::api::{Answer, Request};
use crate::budget::Share;
use crate::grpc;
use crate::patient::Patient;
use crate::places::Places;
use crate::shared::Shared;
use crate::take::take;
use crate::tls::{Client, Speech, Tls};

/// Time for the head of a request, and for which an idle connection is kept.
pub(crate) const HEAD: Duration = Duration::from_secs(15);
const MAX_HEADERS: usize = 100;
const MAX_HEAD_BYTES: usize = 64 << 10;
/// Time for requests that are being answered when the process is told to stop.
const FAREWELL: Duration = Duration::from_secs(10);

/// Serves until `stopped` says so; then waits for what is being answered.
pub(crate) async fn serve(
    (listener, speech): (TcpListener, Speech),
    tls: Option<Arc<Tls>>,
    shared: Arc<Shared>,
    mut stopped: watch::Receiver<bool>,
) {
    let places = Places::new(shared.config.max_connections);
    loop {
        let place = tokio::select! {
            place = places.next() => place,
            _ = stopped.changed() => break,
        };
        let Some(place) = place else { break };
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
        let Some(place) = places.give(place, peer.ip()) else { continue };
        let (tls, shared, stopped) = (tls.clone(), shared.clone(), stopped.clone());
        tokio::spawn(async move {
            let stream = Patient::new(stream, shared.config.client_timeout);
            match tls {
                None => talk(speech, stream, (peer, Client::Unknown), shared, stopped).await,
                Some(tls) => {
                    if let Some((stream, client)) = tls.accept(stream, &peer, speech).await {
                        talk(speech, stream, (peer, client), shared, stopped).await;
                    }
                }
            }
            drop(place);
        });
    }
    if tokio::time::timeout(FAREWELL, places.empty()).await.is_err() {
        tracing::warn!("some requests were not answered in time, their connections are cut");
    }
}

async fn talk(
    speech: Speech,
    stream: impl AsyncRead + AsyncWrite + Unpin,
    (peer, client): (SocketAddr, Client),
    shared: Arc<Shared>,
    stopped: watch::Receiver<bool>,
) {
    match speech {
        Speech::Grpc => grpc::connection(stream, peer, client, shared, stopped).await,
        Speech::Http | Speech::Syslog => connection(stream, peer, client, shared, stopped).await,
    }
}

async fn connection(
    stream: impl AsyncRead + AsyncWrite + Unpin,
    peer: SocketAddr,
    client: Client,
    shared: Arc<Shared>,
    mut stopped: watch::Receiver<bool>,
) {
    let client = Arc::new(client);
    let service = service_fn(move |request| answer(shared.clone(), peer, client.clone(), request));
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
}

async fn answer(
    shared: Arc<Shared>,
    peer: SocketAddr,
    client: Arc<Client>,
    request: hyper::Request<Incoming>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let (head, body) = request.into_parts();
    let headers = headers(&head.headers);
    let nonce = uuid::Uuid::new_v4().simple().to_string();
    let request = Request {
        method: head.method.as_str(),
        path: head.uri.path(),
        query: head.uri.query().unwrap_or_default(),
        headers: &headers,
        nonce: &nonce,
    };
    let mut share = shared.budget.share();
    let answer = take(&shared, (peer.ip(), &*client), &request, body, &mut share).await;
    metrics::gateway_answer(answer.status);
    Ok(response(answer, share, request.method == "HEAD"))
}

/// Names and values. One that is not text counts as something that nobody means: left out, a key that is wrong would be a
/// request without one.
pub(crate) fn headers(map: &HeaderMap) -> Vec<(&str, &str)> {
    let text = |bytes| std::str::from_utf8(bytes).unwrap_or("\u{fffd}");
    map.iter().map(|(name, value)| (name.as_str(), text(value.as_bytes()))).collect()
}

/// The body of an answer, and what it holds until it is sent.
pub(crate) struct Body(pub(crate) Vec<u8>, #[expect(dead_code, reason = "held, not read")] pub(crate) Share);

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
        !matches!(answer.status, 429 | 503) || headers.contains_key(RETRY_AFTER),
        "I11: 429 and 503 say when to come again"
    );
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_that_is_not_text_is_there_all_the_same() {
        let mut map = HeaderMap::new();
        for (name, value) in
            [("authorization", &b"Bearer \xff"[..]), ("idempotency-key", "schlüssel".as_bytes())]
        {
            map.insert(name, HeaderValue::from_bytes(value).unwrap());
        }
        assert_eq!(headers(&map), [("authorization", "\u{fffd}"), ("idempotency-key", "schlüssel")]);
    }
}
