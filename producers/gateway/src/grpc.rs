//! gRPC: connections of HTTP/2, and the form of calls. What a call means is decided in [`crate::api::grpc`], what becomes of
//! it in [`crate::take`].
//!
//! Bounded in connections, the calls of each, heads, windows and time (I10).

use std::convert::Infallible;
use std::future::{Ready, ready};
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready as poll_ready};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::combinators::WithTrailers;
use http_body_util::{BodyExt, Full};
use hyper::body::{Body, Frame, Incoming, SizeHint};
use hyper::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use hyper::server::conn::http2;
use hyper::service::service_fn;
use hyper::{Method, Response, StatusCode, http::request::Parts};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use millrace_runtime::metrics;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::watch;

use crate::api::Answer;
use crate::api::grpc::{ENCODINGS, EXPORT, End, PREFIX, Prefix, headers, request};
use crate::budget::Share;
use crate::item::Malformed;
use crate::server::{self, HEAD};
use crate::shared::Shared;
use crate::take::{Refuse, take};
use crate::tls::Client;

/// Calls of one connection at a time; further ones wait at the client.
const CALLS: u32 = 64;
/// Metadata of a call: twice what gRPC's own clients take.
const MAX_HEAD_BYTES: u32 = 16 << 10;
/// What a client may send before it is read: a connection holds no more beside the budget.
const WINDOW: u32 = 128 << 10;
/// A connection without calls is kept for so long: a client opens another one by itself.
const IDLE: Duration = Duration::from_secs(120);
/// Time for a client to take its last answers.
const LAST: Duration = Duration::from_secs(2);

/// What runs on a connection.
#[derive(Debug, Clone, Copy, Default)]
struct Calls {
    running: usize,
    /// Whether there ever was one.
    any: bool,
}

/// One that runs.
struct Running(Arc<watch::Sender<Calls>>);

impl Running {
    fn begin(calls: &Arc<watch::Sender<Calls>>) -> Running {
        calls.send_modify(|calls| *calls = Calls { running: calls.running + 1, any: true });
        Running(calls.clone())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.0.send_modify(|calls| calls.running -= 1);
    }
}

/// Ends when nothing has run for `patience`; before the first call, for the time that a head may take.
async fn quiet(mut calls: watch::Receiver<Calls>, patience: Duration) {
    loop {
        let Calls { running, any } = *calls.borrow_and_update();
        let changed = calls.changed();
        let gone = match running {
            0 => match tokio::time::timeout(if any { patience } else { HEAD.min(patience) }, changed).await {
                Ok(changed) => changed.is_err(),
                Err(_) => return,
            },
            _ => changed.await.is_err(),
        };
        if gone {
            return;
        }
    }
}

/// Serves the calls of one connection.
pub(crate) async fn connection(
    stream: impl AsyncRead + AsyncWrite + Unpin,
    peer: SocketAddr,
    client: Client,
    shared: Arc<Shared>,
    mut stopped: watch::Receiver<bool>,
) {
    let client = Arc::new(client);
    let (calls, running) = watch::channel(Calls::default());
    let calls = Arc::new(calls);
    let service = service_fn(move |request| {
        let (shared, client, call) = (shared.clone(), client.clone(), Running::begin(&calls));
        async move {
            let response = respond(&shared, peer, &client, request).await;
            drop(call);
            Ok::<_, Infallible>(response)
        }
    });
    let mut http = http2::Builder::new(TokioExecutor::new());
    http.timer(TokioTimer::new()).max_concurrent_streams(CALLS).max_header_list_size(MAX_HEAD_BYTES);
    http.initial_stream_window_size(WINDOW).initial_connection_window_size(WINDOW);
    let mut connection = std::pin::pin!(http.serve_connection(TokioIo::new(stream), service));
    let ended = tokio::select! {
        ended = connection.as_mut() => Some(ended),
        _ = stopped.changed() => None,
        () = quiet(running.clone(), IDLE) => None,
    };
    let ended = match ended {
        Some(ended) => ended,
        None => {
            connection.as_mut().graceful_shutdown();
            // One that takes nothing any more holds up nobody.
            tokio::select! {
                ended = connection.as_mut() => ended,
                () = quiet(running, LAST) => Ok(()),
            }
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, %peer, "connection ended early");
    }
}

type Trailed = WithTrailers<Full<Bytes>, Ready<Option<Result<HeaderMap, Infallible>>>>;

async fn respond(
    shared: &Shared,
    peer: SocketAddr,
    client: &Client,
    call: hyper::Request<Incoming>,
) -> Response<Trailed> {
    let (head, body) = call.into_parts();
    let kind = head.headers.get(CONTENT_TYPE).map(HeaderValue::as_bytes).unwrap_or_default();
    if head.method != Method::POST || !kind.starts_with(b"application/grpc") {
        metrics::gateway_refused("invalid", 1);
        metrics::gateway_answer(415);
        let mut response = Response::new(Full::default().with_trailers(ready(None)));
        *response.status_mut() = StatusCode::UNSUPPORTED_MEDIA_TYPE;
        return response;
    }
    let mut share = shared.budget.share();
    let (status, end) = match head.uri.path() {
        EXPORT => {
            let answer = export(shared, peer, client, &head, body, &mut share).await;
            (answer.status, End::of(&answer))
        }
        other => {
            metrics::gateway_refused("invalid", 1);
            (404, End::unimplemented(other))
        }
    };
    metrics::gateway_answer(status);
    response(end, share)
}

/// Takes the logs of a call as if they had come over HTTP.
async fn export(
    shared: &Shared,
    peer: SocketAddr,
    client: &Client,
    head: &Parts,
    body: Incoming,
    share: &mut Share,
) -> Answer {
    let nonce = uuid::Uuid::new_v4().simple().to_string();
    let patience = shared.config.client_timeout;
    let begun = tokio::time::timeout(patience, Message::begin(body)).await;
    let is_packed = matches!(&begun, Ok(Ok((_, true))));
    let headers = headers(&server::headers(&head.headers), is_packed);
    let request = request(&headers, &nonce);
    match begun {
        Ok(Ok((message, _))) => take(shared, (peer.ip(), client), &request, message, share).await,
        Ok(Err(error)) => Refuse(&request).because("invalid", 400, &error.to_string(), None),
        Err(_) => Refuse(&request).because("time", 408, "the message did not come in time", None),
    }
}

fn response(end: End, share: Share) -> Response<Trailed> {
    let mut trailers = HeaderMap::new();
    for (name, value) in end.trailers {
        if let Ok(value) = HeaderValue::from_str(&value) {
            trailers.insert(HeaderName::from_static(name), value);
        }
    }
    let body = Bytes::from_owner(server::Body(end.message, share));
    let mut response = Response::new(Full::new(body).with_trailers(ready(Some(Ok(trailers)))));
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
    headers.insert(HeaderName::from_static("grpc-accept-encoding"), HeaderValue::from_static(ENCODINGS));
    response
}

/// The one message of a call, as it comes.
struct Message {
    incoming: Incoming,
    /// What came of it with its prefix.
    first: Bytes,
    /// What is still to come, by its prefix.
    left: usize,
}

/// It ended before its length, or goes on behind it.
#[derive(Debug)]
struct WrongLength;

impl Message {
    /// Reads up to the message; says whether it is packed.
    async fn begin(mut incoming: Incoming) -> Result<(Message, bool), Malformed> {
        let mut begun = Vec::new();
        loop {
            if let Some((prefix, _)) = begun.split_first_chunk::<PREFIX>() {
                let Prefix { is_packed, length } = Prefix::read(*prefix)?;
                let first = Bytes::from(begun).slice(PREFIX..);
                return Ok((Message { incoming, first, left: length }, is_packed));
            }
            let frame = incoming.frame().await.and_then(Result::ok);
            let frame = frame.ok_or_else(|| Malformed::new("the call ended before its message"))?;
            begun.extend(frame.into_data().unwrap_or_default());
        }
    }
}

impl Body for Message {
    type Data = Bytes;
    type Error = WrongLength;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, WrongLength>>> {
        let data = if self.first.is_empty() {
            match poll_ready!(Pin::new(&mut self.incoming).poll_frame(cx)) {
                Some(Ok(frame)) => frame.into_data().unwrap_or_default(),
                Some(Err(_)) => return Poll::Ready(Some(Err(WrongLength))),
                None if self.left > 0 => return Poll::Ready(Some(Err(WrongLength))),
                None => return Poll::Ready(None),
            }
        } else {
            std::mem::take(&mut self.first)
        };
        let left = self.left.checked_sub(data.len());
        Poll::Ready(Some(left.map(|left| self.left = left).map(|()| Frame::data(data)).ok_or(WrongLength)))
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left as u64)
    }
}
