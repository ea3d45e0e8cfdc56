//! One request: whose it is, what they may send, its body, its lines, their commit. What a body means is decided by
//! [`crate::api`].
//!
//! A request that is not taken at once is told to come again, so that nothing is promised before it is committed (I10,
//! I11). Every refusal is counted under a reason that docs/quotas.md explains.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use http_body_util::BodyExt;
use hyper::body::Body;
use millrace_runtime::metrics;
use millrace_runtime::sink::now_micros;

use crate::access::Caller;
use crate::api::{self, Answer, Dialect, Promise, Reply, Request};
use crate::attempts;
use crate::batch::{self, Name};
use crate::budget::Share;
use crate::item::Item;
use crate::prepare::{PrepareError, Prepared};
use crate::proxy::Proxy;
use crate::quota::{Account, Excess, Meter, Place};
use crate::shared::Shared;
use crate::tls::Client;
use crate::waiting::{Closed, Outcome};

/// Larger bodies, and packed ones, are read beside the other requests, not between them, and few at once.
const LARGE: usize = 64 << 10;

/// Largest body for the admin API.
const MOST_ADMIN: usize = 1 << 20;

/// Of a body that is refused unread so much is read all the same.
const FORGOTTEN: usize = 1 << 20;

/// What health checks ask: no key, no body.
const OPEN: [&str; 3] = ["/ruok", "/services/collector/health", "/services/collector/health/1.0"];

const NO_QUERY: &str = "this gateway is a relay and has nothing to search: ask the gateway that it sends to";

pub(crate) const NO_ROOM: &str = "too many requests are being taken, try again later";

/// A refusal, in the words of the request's protocol, and counted.
pub(crate) struct Refuse<'a>(pub(crate) &'a Request<'a>);

impl Refuse<'_> {
    pub(crate) fn because(
        &self,
        label: &'static str,
        status: u16,
        reason: &str,
        retry: Option<u32>,
    ) -> Answer {
        metrics::gateway_refused(label, 1);
        Dialect::of(self.0.path).refuse(self.0, status, reason, retry)
    }

    fn exceeded(&self, over: &Excess) -> Answer {
        self.because(over.bound.name(), over.status(), &over.reason, over.retry())
    }

    fn closed(&self, closed: Closed) -> Answer {
        let (label, reason, retry) = closed.said();
        self.because(label, 503, reason, Some(retry))
    }

    fn no_room(&self) -> Answer {
        self.because("memory", 503, NO_ROOM, Some(1))
    }
}

/// Takes a request from `peer`, whose connection is `client`'s, and answers.
pub(crate) async fn take(
    shared: &Shared,
    (peer, client): (IpAddr, &Client),
    request: &Request<'_>,
    body: impl Body<Data = Bytes> + Unpin,
    share: &mut Share,
) -> Answer {
    let caller = match shared.access.caller(request, client, now_micros()) {
        Ok(caller) => caller,
        Err(_) if request.method == "GET" && OPEN.contains(&request.path) => Caller::default(),
        Err((status, reason)) => return deny(shared, peer, request, status, reason).await,
    };
    let (tenant, existing) = (&caller.tenant, shared.access.existing(&caller));
    let refuse = Refuse(request);
    if Proxy::serves(request) {
        let Some(query) = &shared.query else {
            return refuse.because("relay", 501, NO_QUERY, None);
        };
        let body = match Proxy::is_admin(request) {
            true => read_in_time(shared, body, MOST_ADMIN, share, &refuse).await,
            false => Ok(Vec::new()),
        };
        return match body {
            Ok(body) => query.ask(request, tenant, body, share).await,
            Err(answer) => answer,
        };
    }
    let name = Name::of(request);
    // A batch is read as its quota allows.
    let length = name.as_ref().map_or(body.size_hint().exact().unwrap_or(u64::MAX), |_| 0);
    let stream = name.as_ref().and_then(|name| Some(name.as_ref().ok()?.stream.as_str()));
    let new_stream = existing.zip(stream).and_then(|(existing, stream)| existing.refuse(stream));
    let admitted = match new_stream {
        Some(excess) => Err(refuse.exceeded(&excess)),
        None => admit(shared, tenant, &refuse, length),
    };
    let (account, _place) = match admitted {
        Ok(admitted) => admitted,
        Err(answer) => {
            let client_timeout = shared.config.client_timeout;
            drop(tokio::time::timeout(client_timeout, forget(request, body)).await);
            return answer;
        }
    };
    if let Some(name) = name {
        return batch::put(shared, tenant, account.as_deref(), request, name, body, share).await;
    }
    let most = most_of_body(shared, account.as_ref());
    let body = match read_in_time(shared, body, most, share, &refuse).await {
        Ok(body) => body,
        Err(answer) => return answer,
    };
    let meter = Meter::new(account.as_deref(), existing, Instant::now());
    let mut work = || prepare(shared, tenant, peer, request, &body, most, &meter, share);
    let prepared = if body.len() > LARGE || !request.header("content-encoding").is_empty() {
        let _place = shared.large.acquire().await;
        tokio::task::block_in_place(work)
    } else {
        work()
    };
    meter.settle(body.len());
    let n_over: u64 =
        meter.refused().map(|(bound, n)| (metrics::gateway_refused(bound.name(), n), n).1).sum();
    let (prepared, promise) = match prepared {
        Ok(prepared) => prepared,
        Err(answer) => {
            match answer.status {
                503 => metrics::gateway_refused("memory", 1),
                413 if n_over == 0 => metrics::gateway_refused("body", 1),
                400.. if n_over == 0 => metrics::gateway_refused("invalid", 1),
                _ => {}
            }
            return answer;
        }
    };
    let n_items = prepared.n_items;
    if n_items == 0 {
        return promise.keep(0, 0);
    }
    drop(body);
    // A share of its own goes with the records: who does not wait any longer makes no room by that.
    let mut records = shared.budget.share();
    if !share.hold(promise.size()) || !records.hold(prepared.size()) {
        return refuse.no_room();
    }
    let (n_records, stamp) = (prepared.records.len(), prepared.records.first().map(|record| record.received));
    match shared.commit_in_time(prepared, records).await {
        Outcome::Committed { n_known } => {
            let mut found = true;
            if let (Promise::Found(_), Some(stamp)) = (&promise, stamp) {
                found = match &shared.query {
                    Some(query) => query.wait_for(request, tenant, stamp, n_records - n_known).await,
                    None => false,
                };
            }
            let mut answer = promise.keep(n_items, n_known);
            if !found {
                let warning = "299 millrace \"committed, but not found by a search yet\"";
                answer.headers.push(("warning", warning.to_owned()));
            }
            answer
        }
        Outcome::Later => {
            let (label, why) = shared.behind.silent();
            refuse.because(label, 503, &format!("{why}, nothing was taken; try again later"), Some(2))
        }
        Outcome::Never(reason) => refuse.because("invalid", 400, &reason, None),
        // The latter is a batch's alone.
        Outcome::Unknown | Outcome::Overtaken => {
            let (label, why) = shared.behind.silent();
            let reason = format!(
                "{why} in time, the request may or may not have been taken; send it again, with its ids or its \
                 Idempotency-Key if it has any"
            );
            refuse.because(label, 503, &reason, Some(2))
        }
    }
}

/// Whether a request may come in, before its body is read.
fn admit(
    shared: &Shared,
    tenant: &str,
    refuse: &Refuse<'_>,
    length: u64,
) -> Result<(Option<Arc<Account>>, Option<Place>), Answer> {
    if !matches!(refuse.0.method, "POST" | "PUT") {
        return Ok((None, None));
    }
    if let Some(closed) = shared.state.closed() {
        return Err(refuse.closed(closed));
    }
    let Some(account) = shared.quotas.account(tenant) else { return Ok((None, None)) };
    match account.enter(length, Instant::now()) {
        Ok(place) => Ok((Some(account), Some(place))),
        Err(over) => Err(refuse.exceeded(&over)),
    }
}

/// Reads what comes of a body and keeps nothing. A sender that is cut off amid its body may not see the answer, and would
/// come again at once. Who asked first sends nothing at all.
async fn forget(request: &Request<'_>, mut body: impl Body<Data = Bytes> + Unpin) {
    let mut n_bytes = 0;
    while n_bytes < FORGOTTEN && request.header("expect").is_empty() {
        let Some(Ok(frame)) = body.frame().await else { return };
        n_bytes += frame.data_ref().map_or(0, Bytes::len);
    }
}

/// Refuses a request for its key. Whoever tries keys is not quick about it, and gets slower.
async fn deny(shared: &Shared, peer: IpAddr, request: &Request<'_>, status: u16, reason: &str) -> Answer {
    let refuse = |status, reason: &str, retry| {
        metrics::gateway_denied(status);
        Dialect::of(request.path).refuse(request, status, reason, retry)
    };
    if status != 401 {
        tokio::time::sleep(attempts::FIRST).await;
        return refuse(status, reason, None);
    }
    let Some(wait) = shared.attempts.wrong(peer, Instant::now()) else {
        let reason = "too many wrong keys came from this address, try again later";
        return refuse(429, reason, Some(attempts::LONGEST.as_secs() as u32));
    };
    tokio::time::sleep(wait.pause).await;
    refuse(status, reason, None)
}

/// Largest body: the gateway's bound, or a lower one of the tenant.
fn most_of_body(shared: &Shared, account: Option<&Arc<Account>>) -> usize {
    let most = shared.config.max_body_bytes;
    let own = account.and_then(|account| account.quota().max_body_bytes);
    own.and_then(|own| usize::try_from(own).ok()).map_or(most, |own| own.min(most))
}

/// Reads a body; the answer, where that cannot be.
async fn read_in_time(
    shared: &Shared,
    body: impl Body<Data = Bytes> + Unpin,
    most: usize,
    share: &mut Share,
    refuse: &Refuse<'_>,
) -> Result<Vec<u8>, Answer> {
    let client_timeout = shared.config.client_timeout;
    Err(match tokio::time::timeout(client_timeout, read_body(body, most, share)).await {
        Ok(Ok(body)) => return Ok(body),
        Ok(Err(Unread::TooLarge)) => {
            let reason = format!("the body has more than {most} bytes; send smaller requests");
            refuse.because("body", 413, &reason, None)
        }
        Ok(Err(Unread::NoRoom)) => refuse.no_room(),
        Ok(Err(Unread::Broken)) => {
            refuse.because("invalid", 400, "the body ended early, or is longer than it says", None)
        }
        Err(_) => refuse.because("time", 408, "the body did not come in time", None),
    })
}

enum Unread {
    TooLarge,
    NoRoom,
    Broken,
}

async fn read_body(
    mut body: impl Body<Data = Bytes> + Unpin,
    most: usize,
    share: &mut Share,
) -> Result<Vec<u8>, Unread> {
    if body.size_hint().lower() > most as u64 {
        return Err(Unread::TooLarge);
    }
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
#[expect(clippy::too_many_arguments, reason = "who asks, what, and what bounds it")]
fn prepare(
    shared: &Shared,
    tenant: &str,
    peer: IpAddr,
    request: &Request<'_>,
    packed: &[u8],
    most: usize,
    meter: &Meter<'_>,
    share: &mut Share,
) -> Result<(Prepared, Promise), Answer> {
    let dialect = Dialect::of(request.path);
    let body = api::unpack(request, packed, most)?;
    let full = || dialect.refuse(request, 503, NO_ROOM, Some(1));
    if body.len() > packed.len() && !share.take(body.len() - packed.len()) {
        return Err(full());
    }
    match api::read(request, &body, most, meter) {
        Reply::Now(answer) => Err(answer),
        Reply::Commit(items, promise) => {
            if !share.take(items.capacity() * size_of::<Item<'_>>()) {
                return Err(full());
            }
            let address = peer.to_canonical().to_string();
            let mut prepared = shared.prepare(tenant, &address, &items).map_err(|error| {
                let status = if matches!(error, PrepareError::TooLarge { .. }) { 413 } else { 500 };
                dialect.refuse(request, status, &error.to_string(), None)
            })?;
            prepared.trace = request.trace();
            Ok((prepared, promise))
        }
    }
}
