//! One request with a batch: reads what is committed of it, passes over that, and commits the rest in parts as it comes.
//!
//! Holds: a part, and while the batch may still turn out to differ from what is committed, what came of it so far. Fails:
//! what was committed stays, and the same batch sent again goes on behind it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http_body_util::BodyExt;
use millrace_runtime::metrics;
use millrace_runtime::sink::now_micros;
use millrace_schemas::Dedup;
use millrace_schemas::attempt::{BatchState, MAX_ATTEMPTS};

use super::attempt::{Attempt, Next};
use super::body::{Body, BodyError, Entry};
use super::fault::{line_fault, told_fault};
use super::{Known, Name, Step};
use crate::api::{Answer, Dialect, Request};
use crate::budget::Share;
use crate::item;
use crate::prepare::Prepared;
use crate::quota::{Account, Excess};
use crate::shared::{Behind, Shared};
use crate::take::NO_ROOM;
use crate::waiting::Outcome;

/// A part is committed when it has so many bytes, or this long after its first line.
const PART_BYTES: usize = 1 << 20;
const PART_WAIT: Duration = Duration::from_millis(100);
/// Between looks at whether the process is to stop.
const LOOK: Duration = Duration::from_millis(250);
/// A batch may grow for its minute without a line.
const MINUTE: Duration = Duration::from_secs(60);
/// So much of a batch is held until it is known to be the same as what is committed. A longer one that turns out to differ
/// has to be sent twice.
const HELD_BYTES: usize = 8 << 20;

/// Longest wait for the tenant's quota, while nothing more of the batch is read: shorter than a sender's patience.
const QUOTA_WAIT: Duration = Duration::from_secs(15);

/// The label of its metric, status, why, and after how many seconds to come again.
struct Refused(&'static str, u16, String, Option<u32>);

impl Refused {
    fn invalid(reason: impl Into<String>) -> Refused {
        Refused("invalid", 400, reason.into(), None)
    }

    fn later(label: &'static str, reason: &str) -> Refused {
        Refused(label, 503, reason.to_owned(), Some(1))
    }
}

impl From<BodyError> for Refused {
    fn from(error: BodyError) -> Refused {
        Refused::invalid(error.to_string())
    }
}

impl From<Excess> for Refused {
    fn from(over: Excess) -> Refused {
        Refused(over.bound.name(), over.status(), over.reason.clone(), over.retry())
    }
}

/// Takes the batch `name` of `tenant`, and answers when all of it is committed.
pub(crate) async fn put(
    shared: &Shared,
    tenant: &str,
    account: Option<&Account>,
    request: &Request<'_>,
    name: Result<Name, String>,
    incoming: impl hyper::body::Body<Data = Bytes> + Unpin,
    share: &mut Share,
) -> Answer {
    let answer = async {
        let name = name.map_err(Refused::invalid)?;
        if !matches!(request.header("content-encoding"), "" | "identity") {
            let reason = "a batch is read as it comes: send it without Content-Encoding";
            return Err(Refused("invalid", 415, reason.to_owned(), None));
        }
        let mut put = Put::new(shared, tenant, name, request.media_type(), share).await?;
        put.account = account;
        put.read(incoming).await
    };
    match answer.await {
        Ok(answer) => answer,
        Err(Refused(label, status, reason, retry)) => {
            metrics::gateway_refused(label, 1);
            Dialect::Plain.refuse(request, status, &reason, retry)
        }
    }
}

struct Put<'a> {
    shared: &'a Shared,
    share: &'a mut Share,
    tenant: &'a str,
    account: Option<&'a Account>,
    name: Name,
    key: Arc<str>,
    scope: String,
    state: BatchState,
    media_type: String,
    received: i64,
    known: Known,
    attempt: Attempt,
    body: Body,
    ended: bool,
    /// What came, while it may still turn out to differ from what is committed.
    held: Option<Vec<Bytes>>,
    n_held: usize,
    part: Prepared,
    part_since: Option<Instant>,
    n_skipped: u64,
    scratch: Vec<u8>,
}

impl<'a> Put<'a> {
    async fn new(
        shared: &'a Shared,
        tenant: &'a str,
        name: Name,
        media_type: String,
        share: &'a mut Share,
    ) -> Result<Put<'a>, Refused> {
        learn(shared).await?;
        let state = name.state(tenant);
        let key: Arc<str> = state.key().into();
        let known = shared.batches.known(&key);
        let attempt = Attempt::of(&known);
        Ok(Put {
            shared,
            share,
            tenant,
            account: None,
            scope: state.scope(),
            name,
            key,
            state,
            body: Body::new(&media_type).map_err(internal)?,
            media_type,
            received: now_micros(),
            known,
            held: attempt.may_differ().then(Vec::new),
            n_held: 0,
            attempt,
            ended: false,
            part: Prepared::empty(tenant),
            part_since: None,
            n_skipped: 0,
            scratch: Vec::new(),
        })
    }

    /// Reads to the end.
    async fn read(
        &mut self,
        mut incoming: impl hyper::body::Body<Data = Bytes> + Unpin,
    ) -> Result<Answer, Refused> {
        let patience = MINUTE + self.shared.config.client_timeout;
        let mut last = Instant::now();
        loop {
            let wait = self.part_since.map_or(LOOK, |since| PART_WAIT.saturating_sub(since.elapsed()));
            match tokio::time::timeout(wait, incoming.frame()).await {
                Ok(None) => break,
                Ok(Some(Ok(frame))) => {
                    last = Instant::now();
                    if let Ok(data) = frame.into_data() {
                        self.take(data).await?;
                    }
                }
                Ok(Some(Err(_))) => return Err(Refused::invalid("the body ended early")),
                Err(_) if last.elapsed() > patience => {
                    return Err(Refused("time", 408, "the body did not come in time".to_owned(), None));
                }
                Err(_) => {}
            }
            if self.shared.stop.requested() {
                return Err(Refused::later("stopping", "the gateway is stopping; send the batch again"));
            }
            if self.part_since.is_some_and(|since| since.elapsed() >= PART_WAIT) {
                self.commit(false).await?;
            }
        }
        self.ended = true;
        self.body.end();
        self.drain().await?;
        if !self.body.is_whole() {
            return Err(Refused::invalid("the body ended before the batch did"));
        }
        // Shorter than what is committed: a line that is skipped would have to follow.
        while matches!(self.attempt.next(self.body.digest()), Next::Skip | Next::Differs) {
            self.begin_anew().await?;
            self.drain().await?;
        }
        if self.attempt.next(self.body.digest()) == Next::Write {
            self.commit(true).await?;
        }
        metrics::gateway_known(self.n_skipped);
        Ok(self.answer())
    }

    fn answer(&self) -> Answer {
        let digest = self.body.digest();
        let answer = serde_json::json!({
            "stream": self.name.stream,
            "host": self.name.host,
            "minute": self.name.shown_minute(),
            "attempt": self.attempt.number,
            "count": digest.n_records(),
            "hash": format!("{:032x}", digest.hash()),
            "known": self.n_skipped,
        });
        Answer::json(200, &answer)
    }

    async fn take(&mut self, data: Bytes) -> Result<(), Refused> {
        self.body.feed(&data);
        self.n_held = if self.held.is_some() { self.n_held } else { 0 } + data.len();
        if let Some(held) = self.held.as_mut().filter(|_| self.n_held <= HELD_BYTES) {
            held.push(data);
        } else {
            self.held = None;
        }
        self.weigh()?;
        self.drain().await
    }

    /// Takes room for what is held.
    fn weigh(&mut self) -> Result<(), Refused> {
        // What is held, and again in the reader's hands when it is read anew.
        let bytes = 2 * self.n_held + self.part.size() + item::MAX_BODY;
        if self.share.hold(bytes) { Ok(()) } else { Err(Refused::later("memory", NO_ROOM)) }
    }

    /// Reads the lines that are there.
    async fn drain(&mut self) -> Result<(), Refused> {
        loop {
            let next = self.attempt.next(self.body.digest());
            if next == Next::Write {
                self.held = None;
            }
            let index = self.body.digest().n_records() as i64;
            let Some(entry) = self.body.next((self.tenant, &self.name, self.received))? else {
                return Ok(());
            };
            match (next, entry) {
                (Next::Skip, _) => self.n_skipped += 1,
                (Next::Write, Entry::Told(state)) => {
                    if let Some(reason) = told_fault(&state, self.tenant, &self.name) {
                        return Err(Refused::invalid(format!("record {index} cannot be taken: {reason}")));
                    }
                    self.part.told.push(state);
                    self.part_since.get_or_insert_with(Instant::now);
                    if self.part.len() >= PART_BYTES {
                        self.commit(false).await?;
                    }
                }
                (Next::Write, Entry::Line(mut raw)) => {
                    if let Some(reason) = line_fault(&raw, self.tenant, &self.name) {
                        return Err(Refused::invalid(format!("record {index} cannot be taken: {reason}")));
                    }
                    self.account.map_or(Ok(()), |account| account.line(raw.body.len()))?;
                    let own = Dedup { scope: &self.scope, index, attempt: Some(self.attempt.number) };
                    raw.dedup = raw.dedup.or(Some(own));
                    let codec = &self.shared.codec;
                    self.part.push(codec, &raw, None, &mut self.scratch).map_err(internal)?;
                    self.part_since.get_or_insert_with(Instant::now);
                    if self.part.len() >= PART_BYTES {
                        self.commit(false).await?;
                    }
                }
                (Next::End | Next::Differs, _) => self.begin_anew().await?,
            }
        }
    }

    /// The batch differs from what is committed under its name: it is a new attempt, from its first line on.
    async fn begin_anew(&mut self) -> Result<(), Refused> {
        if self.attempt.number >= MAX_ATTEMPTS {
            let reason =
                format!("this batch was replaced {MAX_ATTEMPTS} times; tell another one apart by ?source=");
            return Err(Refused("attempt", 409, reason, None));
        }
        self.attempt = self.attempt.instead();
        self.n_skipped = 0;
        let Some(held) = self.held.take() else {
            // Its first lines are gone. The next request finds an attempt of which nothing is committed yet.
            let number = self.attempt.number;
            self.body = Body::new(&self.media_type).map_err(internal)?;
            self.commit(false).await?;
            return Err(Refused::later(
                "attempt",
                &format!(
                    "this batch differs from the one that is committed for its minute: send it again, it becomes attempt {number}"
                ),
            ));
        };
        tracing::info!(
            stream = self.name.stream,
            minute = self.name.minute,
            attempt = self.attempt.number,
            "a batch replaces another"
        );
        self.body = Body::new(&self.media_type).map_err(internal)?;
        held.iter().for_each(|data| self.body.feed(data));
        if self.ended {
            self.body.end();
        }
        Ok(())
    }

    /// Commits what was read since the last part, and how far the batch is with it.
    async fn commit(&mut self, end: bool) -> Result<(), Refused> {
        self.afford().await?;
        if let Some(closed) = self.shared.state.closed() {
            let (label, reason, retry) = closed.said();
            return Err(Refused(label, 503, reason.to_owned(), Some(retry)));
        }
        if !self.part.told.is_empty() {
            // What is told of them is joined with what is known.
            learn(self.shared).await?;
        }
        let at = self.attempt.at(self.body.digest());
        let known = if end {
            Known { open: None, ended: Some(at) }
        } else {
            Known { open: Some(at), ended: self.known.ended }
        };
        let to = BatchState { open: known.open, ended: known.ended, ..self.state.clone() };
        let mut part = std::mem::replace(&mut self.part, Prepared::empty(self.tenant));
        part.step = Some(Step { key: self.key.clone(), from: self.known, to });
        self.part_since = None;
        let mut records = self.shared.budget.share();
        self.weigh()?;
        if !records.hold(part.size()) {
            return Err(Refused::later("memory", NO_ROOM));
        }
        match self.shared.commit_in_time(part, records).await {
            Outcome::Committed { .. } => {
                self.known = known;
                Ok(())
            }
            Outcome::Overtaken => {
                Err(Refused::later("attempt", "another request is sending this batch, try again later"))
            }
            Outcome::Later | Outcome::Unknown => {
                let (label, why) = self.shared.behind.silent();
                let reason = format!("{why}; send the batch again, what is committed is known");
                Err(Refused::later(label, &reason))
            }
            Outcome::Never(reason) => Err(Refused::invalid(reason)),
        }
    }

    /// Waits until the tenant's quota has room for what was read; where that takes long, the sender comes again, and what
    /// is committed is known then.
    async fn afford(&self) -> Result<(), Refused> {
        let Some(account) = self.account.filter(|_| !self.part.records.is_empty()) else { return Ok(()) };
        let until = Instant::now() + QUOTA_WAIT;
        let n_bytes = self.part.records.iter().map(|record| record.body_len as u64).sum();
        let n_events = self.part.records.len() as u64;
        loop {
            let now = Instant::now();
            let Err(over) = account.take([self.name.stream.as_str()].into_iter(), n_bytes, n_events, now)
            else {
                return Ok(());
            };
            match over.after.filter(|after| now + *after <= until && !self.shared.stop.requested()) {
                Some(after) => tokio::time::sleep(after).await,
                None => return Err(over.into()),
            }
        }
    }
}

/// Learns what other gateways have committed of batches; a relay has nobody to ask.
async fn learn(shared: &Shared) -> Result<(), Refused> {
    let Behind::Kafka(service) = &shared.behind else { return Ok(()) };
    let refreshed = tokio::time::timeout(MINUTE / 2, shared.batches.refreshed(service)).await;
    let Some(error) =
        refreshed.map_or(Some("no answer in time".to_owned()), |own| Some(own.err()?.to_string()))
    else {
        return Ok(());
    };
    tracing::warn!(error, "could not learn what is committed of a batch");
    Err(Refused::later("kafka", "kafka does not answer, nothing was taken; try again later"))
}

fn internal(error: millrace_schemas::CodecError) -> Refused {
    tracing::error!(%error, "could not read or write a record of a batch");
    Refused("invalid", 500, error.to_string(), None)
}
