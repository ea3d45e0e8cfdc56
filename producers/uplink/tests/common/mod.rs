//! A small gateway over real HTTP: it commits lines as they come and remembers them over its own death, as the real one does
//! in Kafka; beyond that it does what the test tells it.

#![allow(dead_code, reason = "each test takes what it needs")]

use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use axum::body::Body;
use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::put;
use futures::StreamExt;
use millrace_schemas::batch::{MEDIA_TYPE, Reader};
use millrace_spool::{Group, Name, Options, Spool};
use millrace_uplink::{Key, Keys, Uplink};
use tokio::net::TcpListener;
use tokio::runtime::Runtime;

/// What it answers instead of taking a batch.
#[derive(Debug, Clone)]
pub(crate) enum Whim {
    /// This status, and when to come again.
    Status(u16, Option<&'static str>),
    /// Nothing, ever.
    Silence,
}

/// Lines by batch: `tenant/stream/host/minute/source`.
#[derive(Debug, Default)]
pub(crate) struct Store {
    pub(crate) lines: BTreeMap<String, Vec<Vec<u8>>>,
    /// Batches that were ended, with their counts.
    pub(crate) ended: BTreeMap<String, u64>,
    /// For the next requests, in turn.
    pub(crate) whims: VecDeque<Whim>,
    /// Streams that are refused.
    pub(crate) refused: Vec<&'static str>,
    /// Streams whose connections break.
    pub(crate) broken: Vec<&'static str>,
    /// The key that is asked for.
    pub(crate) key: Option<&'static str>,
    /// How long a batch takes.
    pub(crate) delay: Duration,
    pub(crate) requests: Vec<Instant>,
    pub(crate) open: usize,
    pub(crate) most_open: usize,
}

impl Store {
    /// Every line that is committed, sorted.
    pub(crate) fn all(&self) -> Vec<String> {
        let text = |line: &Vec<u8>| String::from_utf8_lossy(line).into_owned();
        let mut all: Vec<String> = self.lines.values().flatten().map(text).collect();
        all.sort();
        all
    }
}

type Shared = Arc<Mutex<Store>>;

pub(crate) struct Gateway {
    pub(crate) store: Shared,
    pub(crate) address: SocketAddr,
    runtime: Option<Runtime>,
}

impl Gateway {
    /// An address at which nobody listens yet.
    pub(crate) fn new() -> Gateway {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        Gateway { store: Shared::default(), address: listener.local_addr().unwrap(), runtime: None }
    }

    pub(crate) fn started() -> Gateway {
        let mut gateway = Gateway::new();
        gateway.start();
        gateway
    }

    pub(crate) fn start(&mut self) {
        let (store, address) = (self.store.clone(), self.address);
        let runtime = Runtime::new().unwrap();
        let listener = runtime.block_on(async {
            // The port is given back a moment after the last one died.
            loop {
                let socket = tokio::net::TcpSocket::new_v4().unwrap();
                socket.set_reuseaddr(true).unwrap();
                match socket.bind(address).and_then(|()| socket.listen(64)) {
                    Ok(listener) => break listener,
                    Err(_) => tokio::time::sleep(Duration::from_millis(10)).await,
                }
            }
        });
        runtime.spawn(serve(listener, store));
        self.runtime = Some(runtime);
    }

    /// As a kill would: every connection breaks.
    pub(crate) fn kill(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_timeout(Duration::from_secs(5));
            self.store.lock().unwrap().open = 0;
        }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    pub(crate) fn store(&self) -> std::sync::MutexGuard<'_, Store> {
        self.store.lock().unwrap()
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        self.kill();
    }
}

async fn serve(listener: TcpListener, store: Shared) {
    axum::serve(listener, router(store)).await.unwrap();
}

pub(crate) fn router(store: Shared) -> axum::Router {
    axum::Router::new().route("/v1/batches/{stream}/{host}/{minute}", put(take)).with_state(store)
}

/// Answers before the body is read. What of it is there already is read first, or the answer could be lost with the
/// connection.
async fn at_once(body: Body, answer: impl IntoResponse) -> Response {
    let mut body = body.into_data_stream();
    let rest = async { while body.next().await.is_some() {} };
    drop(tokio::time::timeout(Duration::from_millis(100), rest).await);
    answer.into_response()
}

async fn take(
    State(store): State<Shared>,
    Path((stream, host, minute)): Path<(String, String, String)>,
    Query(query): Query<BTreeMap<String, String>>,
    headers: HeaderMap,
    body: Body,
) -> Response {
    let header = |name: &str| headers.get(name).map_or("", |value| value.to_str().unwrap()).to_owned();
    assert_eq!(header("content-type"), MEDIA_TYPE);
    assert_eq!(header("transfer-encoding"), "chunked");
    let batch = format!("{}/{stream}/{host}/{minute}/{}", query["tenant"], query["source"]);
    let (known, refused, broken, whim, delay) = {
        let mut store = store.lock().unwrap();
        store.requests.push(Instant::now());
        let known = store.key.is_none_or(|key| header("authorization") == format!("Bearer {key}"));
        let has = |list: &[&str]| list.contains(&stream.as_str());
        (known, has(&store.refused), has(&store.broken), store.whims.pop_front(), store.delay)
    };
    if !known {
        return at_once(body, (StatusCode::UNAUTHORIZED, "the key is missing or wrong")).await;
    }
    if refused {
        return at_once(body, (StatusCode::BAD_REQUEST, r#"{"error":"no such stream"}"#)).await;
    }
    if broken {
        // An answer that promises more than it brings.
        let parts = [Ok("{"), Err(std::io::Error::other("broken"))];
        return Body::from_stream(futures::stream::iter(parts)).into_response();
    }
    match whim {
        None => {}
        Some(Whim::Silence) => std::future::pending().await,
        Some(Whim::Status(status, retry_after)) => {
            let status = StatusCode::from_u16(status).unwrap();
            return match retry_after {
                Some(text) => at_once(body, (status, [("retry-after", text)], "later")).await,
                None => at_once(body, (status, "later")).await,
            };
        }
    }
    {
        let mut store = store.lock().unwrap();
        store.open += 1;
        store.most_open = store.most_open.max(store.open);
    }
    let mut reader = Reader::new(1 << 24);
    let mut body = body.into_data_stream();
    let mut index = 0;
    while let Some(Ok(bytes)) = body.next().await {
        reader.feed(&bytes);
        while let Some(record) = reader.next_record().unwrap() {
            let mut store = store.lock().unwrap();
            let lines = store.lines.entry(batch.clone()).or_default();
            match lines.get(index) {
                Some(known) => assert_eq!(known, record, "another line {index} of {batch}"),
                None => lines.push(record.to_vec()),
            }
            index += 1;
        }
    }
    tokio::time::sleep(delay).await;
    let mut store = store.lock().unwrap();
    store.open -= 1;
    let Some(whole) = reader.whole() else {
        return (StatusCode::BAD_REQUEST, "the body ended early").into_response();
    };
    let ended = store.ended.insert(batch.clone(), whole.n_records());
    assert!(ended.is_none_or(|count| count == whole.n_records()), "{batch} was ended with another count");
    let count = whole.n_records();
    axum::Json(serde_json::json!({ "count": count })).into_response()
}

/// A minute that is not over while the test runs; so are some after it.
pub(crate) fn now() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs() as i64 / 60 + 1
}

pub(crate) fn spool(dir: &std::path::Path) -> Arc<Spool> {
    let options = Options { dir: dir.to_owned(), max_bytes: 1 << 30, max_parked_bytes: 1 << 30 };
    Arc::new(Spool::open(options).unwrap())
}

pub(crate) fn options(url: String) -> millrace_uplink::Options {
    millrace_uplink::Options {
        url,
        keys: Keys::default(),
        parallel: 4,
        ca_file: None,
        patience: Duration::from_secs(20),
    }
}

pub(crate) fn uplink(spool: &Arc<Spool>, gateway: &Gateway) -> Uplink {
    Uplink::start(spool.clone(), &options(gateway.url())).unwrap()
}

pub(crate) fn key_file(path: PathBuf) -> Keys {
    Keys { usual: Some(Key::File(path)), ..Keys::default() }
}

/// Writes lines of `stream` at `minute`.
pub(crate) fn write(spool: &Spool, stream: &str, minute: i64, lines: &[&str]) {
    let mut group = Group::default();
    let name = Name { tenant: "t".into(), stream: stream.into(), host: "h".into() };
    let place = group.batch(&name);
    lines.iter().for_each(|line| group.push(place, line.as_bytes()));
    spool.append(&group, minute).unwrap();
}

#[track_caller]
pub(crate) fn until(what: &str, mut done: impl FnMut() -> bool) {
    let start = Instant::now();
    while !done() {
        assert!(start.elapsed() < Duration::from_secs(60), "still not after a minute: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}
