//! The query server: follows the manifest of the index and answers searches over HTTP.

use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, Instant};

use axum::Json;
use axum::extract::{Query, State};
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use millrace_runtime::kafka::Tailer;
use millrace_runtime::kafka::admin::Admin;
use millrace_runtime::keys::{Holder, Keyring};
use millrace_runtime::metrics;
use millrace_runtime::service::{Service, ServiceError};
use millrace_runtime::sink::{apply, now_micros};
use millrace_schemas::access::Role;
use millrace_schemas::id::valid_id;
use millrace_schemas::manifest::Fold;
use millrace_schemas::topics;
use serde::Deserialize;

use crate::admin;
use crate::search::{
    CacheOptions, Plan, SearchError, SearchRequest, SearchResponse, SplitCache, plan, run as run_plan,
};
use crate::store_log::{Rebuilt, StoreLog};
use crate::superseded::Superseded;

/// How often a search is tried again when a merge has taken a split away under it.
const TRIES: usize = 5;

struct Shared {
    service: Service,
    fold: RwLock<Fold>,
    cache: SplitCache,
    keys: Keyring,
    superseded: Superseded,
}

/// Serves until told to stop. Says on which address through `listening`, once the manifest has been read to its end.
///
/// # Errors
/// The address is taken, or Kafka is of class *Exit*.
pub fn run(service: &Service, listening: impl FnOnce(std::net::SocketAddr)) -> Result<(), ServiceError> {
    let config = &service.config.query;
    let other = |text: String| ServiceError::Other(text);
    let listener = std::net::TcpListener::bind(&config.listen).map_err(|error| {
        other(format!(
            "could not listen on {} for queries: {error}; choose another query.listen",
            config.listen
        ))
    })?;
    listener.set_nonblocking(true).map_err(|error| other(error.to_string()))?;
    let address = listener.local_addr().map_err(|error| other(error.to_string()))?;
    let cache = SplitCache::new(
        service.store.clone(),
        CacheOptions {
            max_open: 4_096,
            folder: Some(service.config.data_dir.join("query-cache")),
            max_bytes: config.cache_bytes,
        },
    )
    .map_err(|error| other(error.to_string()))?;
    let keys = Keyring::follow(service)?;
    let shared = Arc::new(Shared {
        service: service.clone(),
        fold: RwLock::new(Fold::default()),
        cache,
        keys: keys.clone(),
        superseded: Superseded::follow(service)?,
    });
    let n_partitions = Admin::open(&service.config.kafka)?.partitions(topics::SPLITS)?;
    let partitions: Vec<i32> = (0..n_partitions).collect();
    let mut tailer = Tailer::open(&service.config.kafka, topics::SPLITS, &partitions)?;
    while !tailer.caught_up() && !service.stop.requested() {
        follow(&shared, &mut tailer)?;
    }
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .max_blocking_threads(8)
        .thread_name("query")
        .enable_all()
        .build()
        .map_err(|error| other(error.to_string()))?;
    let router = axum::Router::new()
        .route("/api/v1/search", get(answer))
        .route("/store/log", get(store_log))
        .with_state(shared.clone())
        .merge(admin::router(service, keys));
    let stop = service.stop.clone();
    let serving = runtime.spawn(async move {
        let listener = tokio::net::TcpListener::from_std(listener)?;
        let stopped = async move {
            while !stop.requested() {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        };
        axum::serve(listener, router).with_graceful_shutdown(stopped).await
    });
    listening(address);
    while !service.stop.requested() {
        service.health.turned("query", true);
        follow(&shared, &mut tailer)?;
    }
    match runtime.block_on(async { tokio::time::timeout(Duration::from_secs(10), serving).await }) {
        Ok(Ok(Err(error))) => Err(other(format!("the query server ended: {error}"))),
        Ok(_) | Err(_) => Ok(()),
    }
}

fn follow(shared: &Shared, tailer: &mut Tailer) -> Result<(), ServiceError> {
    // Gathered first: the lock is held for the changes alone, not while waiting for them.
    let mut changes = Vec::new();
    tailer.poll(Duration::from_millis(100), &mut |_, _, key, value| {
        changes.push((key.to_vec(), value.map(<[u8]>::to_vec)));
        Ok(())
    })?;
    if !changes.is_empty() {
        let mut fold = shared.fold.write().unwrap_or_else(PoisonError::into_inner);
        for (key, value) in &changes {
            apply(&shared.service, &mut fold, key, value.as_deref())?;
        }
        // Splits that a merge has replaced would hold their disk space while they are open.
        shared.cache.retain(&fold);
    }
    Ok(())
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Parameters {
    #[serde(default)]
    q: String,
    from: Option<String>,
    to: Option<String>,
    limit: Option<usize>,
    cache: Option<bool>,
    #[serde(default)]
    partial: bool,
    tenant: Option<String>,
}

/// An answer that is no hit list: status, what was wrong, and what to do.
struct Refusal(StatusCode, String);

impl From<SearchError> for Refusal {
    fn from(error: SearchError) -> Refusal {
        let status = match &error {
            SearchError::Query(_) | SearchError::Limit { .. } | SearchError::TooBroad { .. } => {
                StatusCode::BAD_REQUEST
            }
            SearchError::Gone { .. } | SearchError::Store(_) => StatusCode::SERVICE_UNAVAILABLE,
            SearchError::Damaged { .. } | SearchError::Internal { .. } => StatusCode::INTERNAL_SERVER_ERROR,
        };
        Refusal(status, error.to_string())
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        (self.0, Json(serde_json::json!({ "error": self.1 }))).into_response()
    }
}

async fn answer(
    State(shared): State<Arc<Shared>>,
    headers: HeaderMap,
    parameters: Result<Query<Parameters>, axum::extract::rejection::QueryRejection>,
) -> Result<Json<SearchResponse>, Refusal> {
    let Query(parameters) =
        parameters.map_err(|error| Refusal(StatusCode::BAD_REQUEST, error.body_text()))?;
    let tenant = tenant(&shared, &headers, parameters.tenant)?;
    let request = SearchRequest {
        tenant,
        query: parameters.q,
        from: parameters.from.map(|text| time("from", &text)).transpose()?,
        to: parameters.to.map(|text| time("to", &text)).transpose()?,
        limit: parameters.limit.unwrap_or(100),
        cache: parameters.cache.unwrap_or(true),
        partial: parameters.partial,
    };
    let start = Instant::now();
    let found = tokio::task::spawn_blocking(move || search(&shared, &request)).await;
    metrics::search(start.elapsed());
    match found {
        Ok(found) => Ok(Json(found?)),
        Err(error) => {
            Err(Refusal(StatusCode::INTERNAL_SERVER_ERROR, format!("the search ended early: {error}")))
        }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct LogParameters {
    host: String,
    file: String,
    from: Option<i64>,
    to: Option<i64>,
    tenant: Option<String>,
}

/// `GET /store/log`: a file that came by `POST /store/batch`.
async fn store_log(
    State(shared): State<Arc<Shared>>,
    headers: HeaderMap,
    parameters: Result<Query<LogParameters>, axum::extract::rejection::QueryRejection>,
) -> Result<Response, Refusal> {
    let Query(own) = parameters.map_err(|error| Refusal(StatusCode::BAD_REQUEST, error.body_text()))?;
    let tenant = tenant(&shared, &headers, own.tenant)?;
    let (from, to) = (own.from.unwrap_or(i64::MIN), own.to.unwrap_or(i64::MAX));
    let log = StoreLog { tenant, host: own.host, file: own.file, from, to };
    let rebuilt = tokio::task::spawn_blocking(move || {
        patiently(&shared, |fold| log.plan(fold), |planned| log.rebuild(&shared.cache, &planned))
    });
    let ended = |error| Refusal(StatusCode::INTERNAL_SERVER_ERROR, format!("it ended early: {error}"));
    match rebuilt.await.map_err(ended)?? {
        Rebuilt::Lines(text) => Ok(([(CONTENT_TYPE, "text/plain; charset=utf-8")], text).into_response()),
        Rebuilt::NotFound => Err(Refusal(
            StatusCode::NOT_FOUND,
            "no line of that host and file has come by POST /store/batch".to_owned(),
        )),
        Rebuilt::TooLarge(number) => Err(Refusal(
            StatusCode::PAYLOAD_TOO_LARGE,
            format!("it is more than is given at once: ask for it in parts, the first with to={number}"),
        )),
    }
}

fn search(shared: &Shared, request: &SearchRequest) -> Result<SearchResponse, SearchError> {
    let superseded = || shared.superseded.of(&request.tenant);
    let plan = |fold: &Fold| Ok(plan(fold, request)?.without(superseded()));
    match patiently(shared, plan, |planned| run_plan(&shared.cache, planned)) {
        // Lost for good: a merge would have been heard of by now.
        Err(error) if request.partial && error.damage().is_some() => {
            patiently(shared, plan, |planned| run_plan(&shared.cache, planned.readable(&shared.cache)?))
        }
        whole => whole,
    }
}

/// Plans and runs, again where a merge took a split away meanwhile.
fn patiently<T>(
    shared: &Shared,
    plan: impl Fn(&Fold) -> Result<Plan, SearchError>,
    run: impl Fn(Plan) -> Result<T, SearchError>,
) -> Result<T, SearchError> {
    let mut tries = 0;
    loop {
        let planned = {
            let fold = shared.fold.read().unwrap_or_else(PoisonError::into_inner);
            plan(&fold)
        };
        match planned.and_then(&run) {
            // A merge took the split away: the manifest that says so is on its way.
            Err(error) if error.is_gone() && tries < TRIES => {
                tries += 1;
                std::thread::sleep(Duration::from_millis(100));
            }
            ended => return ended,
        }
    }
}

/// Whose data is asked for (I9): the admin key may name a tenant, others have their own; without a key it is the
/// listener's.
fn tenant(shared: &Shared, headers: &HeaderMap, named: Option<String>) -> Result<String, Refusal> {
    let given = headers.get("authorization").and_then(|value| value.to_str().ok());
    let named = match named {
        Some(tenant) if !valid_id(&tenant) => {
            return Err(Refusal(StatusCode::BAD_REQUEST, "tenant is not [a-z0-9-]{1,64}".to_owned()));
        }
        named => named,
    };
    let unauthorized = || {
        Refusal(
            StatusCode::UNAUTHORIZED,
            "the key is missing or wrong: send Authorization: Bearer KEY".to_owned(),
        )
    };
    match given {
        Some(given) => {
            let key = given.strip_prefix("Bearer ").unwrap_or_default();
            let forbidden = |reason: &str| Err(Refusal(StatusCode::FORBIDDEN, reason.to_owned()));
            match shared.keys.holder(key, now_micros()).ok_or_else(unauthorized)? {
                Holder::Installation => Ok(named.unwrap_or_else(|| "default".to_owned())),
                Holder::Tenant(grant) if named.is_some_and(|named| named != grant.tenant) => {
                    forbidden("the key is another tenant's")
                }
                Holder::Tenant(grant) if !grant.allows(Role::Read) => {
                    forbidden("the key does not have the role \"read\"")
                }
                Holder::Tenant(grant) => Ok(grant.tenant),
            }
        }
        None => match (&shared.service.config.query.anonymous, named) {
            (Some(own), None) => Ok(own.clone()),
            (Some(own), Some(named)) if *own == named => Ok(named),
            (Some(_), Some(_)) => {
                Err(Refusal(StatusCode::FORBIDDEN, "this listener serves another tenant".to_owned()))
            }
            (None, _) => Err(unauthorized()),
        },
    }
}

/// RFC 3339, or µs since the epoch.
fn time(name: &str, text: &str) -> Result<i64, Refusal> {
    if let Ok(micros) = text.parse() {
        return Ok(micros);
    }
    chrono::DateTime::parse_from_rfc3339(text).map(|time| time.timestamp_micros()).map_err(|error| {
        let text = format!(
            "{name} is {text:?}: {error}; give RFC 3339 (2026-01-31T12:00:00Z) or µs since the epoch"
        );
        Refusal(StatusCode::BAD_REQUEST, text)
    })
}
