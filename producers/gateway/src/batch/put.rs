//! One request with a batch: reads what is committed of it, passes over that, and commits the rest in parts as it comes.
//!
//! Holds: a part, and while the batch may still turn out to differ from what is committed, what came of it so far. Fails:
//! what was committed stays, and the same batch sent again goes on behind it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http_body_util::BodyExt;
use hyper::body::Incoming;
use millrace_runtime::metrics;
use millrace_runtime::sink::now_micros;
use millrace_schemas::attempt::BatchState;
use millrace_schemas::{Dedup, RawEvent};

use super::attempt::{Attempt, Next};
use super::body::{Body, BodyError};
use super::{Known, Name, Step};
use crate::api::{Answer, Dialect, Request};
use crate::budget::Share;
use crate::item;
use crate::prepare::Prepared;
use crate::server::NO_ROOM;
use crate::shared::Shared;
use crate::waiting::{Closed, Outcome};

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

/// Status, why, and after how many seconds to come again.
struct Refused(u16, String, Option<u32>);

impl Refused {
    fn later(reason: &str) -> Refused {
        Refused(503, reason.to_owned(), Some(1))
    }
}

impl From<BodyError> for Refused {
    fn from(error: BodyError) -> Refused {
        Refused(400, error.to_string(), None)
    }
}

/// Takes the batch `name` of `tenant`, and answers when all of it is committed.
pub(crate) async fn put(
    shared: &Shared,
    tenant: &str,
    request: &Request<'_>,
    name: Result<Name, String>,
    incoming: Incoming,
    share: &mut Share,
) -> Answer {
    let answer = async {
        let name = name.map_err(|reason| Refused(400, reason, None))?;
        if !matches!(request.header("content-encoding"), "" | "identity") {
            let reason = "a batch is read as it comes: send it without Content-Encoding";
            return Err(Refused(415, reason.to_owned(), None));
        }
        let mut put = Put::new(shared, tenant, name, request.media_type(), share).await?;
        put.read(incoming).await
    };
    match answer.await {
        Ok(answer) => answer,
        Err(Refused(status, reason, retry)) => Dialect::Plain.refuse(request, status, &reason, retry),
    }
}

struct Put<'a> {
    shared: &'a Shared,
    share: &'a mut Share,
    tenant: &'a str,
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
        let refreshed = tokio::time::timeout(MINUTE / 2, shared.batches.refreshed(&shared.service)).await;
        if let Some(error) =
            refreshed.map_or(Some("no answer in time".to_owned()), |own| Some(own.err()?.to_string()))
        {
            tracing::warn!(error, "could not learn what is committed of a batch");
            return Err(Refused::later("kafka does not answer, nothing was taken; try again later"));
        }
        let state = name.state(tenant);
        let key: Arc<str> = state.key().into();
        let known = shared.batches.known(&key);
        let attempt = Attempt::of(&known);
        Ok(Put {
            shared,
            share,
            tenant,
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
    async fn read(&mut self, mut incoming: Incoming) -> Result<Answer, Refused> {
        let patience = MINUTE + self.shared.service.config.gateway.client_timeout;
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
                Ok(Some(Err(_))) => return Err(Refused(400, "the body ended early".to_owned(), None)),
                Err(_) if last.elapsed() > patience => {
                    return Err(Refused(408, "the body did not come in time".to_owned(), None));
                }
                Err(_) => {}
            }
            if self.shared.service.stop.requested() {
                return Err(Refused::later("the gateway is stopping; send the batch again"));
            }
            if self.part_since.is_some_and(|since| since.elapsed() >= PART_WAIT) {
                self.commit(false).await?;
            }
        }
        self.ended = true;
        self.body.end();
        self.drain().await?;
        if !self.body.is_whole() {
            return Err(Refused(400, "the body ended before the batch did".to_owned(), None));
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
        if self.share.hold(bytes) { Ok(()) } else { Err(Refused::later(NO_ROOM)) }
    }

    /// Reads the lines that are there.
    async fn drain(&mut self) -> Result<(), Refused> {
        loop {
            let next = self.attempt.next(self.body.digest());
            if next == Next::Write {
                self.held = None;
            }
            let index = self.body.digest().n_records() as i64;
            let Some(mut raw) = self.body.next((self.tenant, &self.name, self.received))? else {
                return Ok(());
            };
            match next {
                Next::Skip => self.n_skipped += 1,
                Next::Write => {
                    if let Some(reason) = fault(&raw, self.tenant, &self.name) {
                        return Err(Refused(400, format!("record {index} cannot be taken: {reason}"), None));
                    }
                    let own = Dedup { scope: &self.scope, index, attempt: Some(self.attempt.number) };
                    raw.dedup = raw.dedup.or(Some(own));
                    let codec = self.shared.service.codecs.raw();
                    self.part.push(codec, &raw, None, &mut self.scratch).map_err(internal)?;
                    self.part_since.get_or_insert_with(Instant::now);
                    if self.part.len() >= PART_BYTES {
                        self.commit(false).await?;
                    }
                }
                Next::End | Next::Differs => self.begin_anew().await?,
            }
        }
    }

    /// The batch differs from what is committed under its name: it is a new attempt, from its first line on.
    async fn begin_anew(&mut self) -> Result<(), Refused> {
        self.attempt = self.attempt.instead();
        self.n_skipped = 0;
        let Some(held) = self.held.take() else {
            // Its first lines are gone. The next request finds an attempt of which nothing is committed yet.
            let number = self.attempt.number;
            self.body = Body::new(&self.media_type).map_err(internal)?;
            self.commit(false).await?;
            return Err(Refused::later(&format!(
                "this batch differs from the one that is committed for its minute: send it again, it becomes attempt {number}"
            )));
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
        match self.shared.state.closed() {
            None => {}
            Some(Closed::Away) => return Err(Refused::later("kafka is away, try again later")),
            Some(Closed::Full) => {
                return Err(Refused(503, "a topic is over its bound, try again later".to_owned(), Some(5)));
            }
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
            return Err(Refused::later(NO_ROOM));
        }
        match self.shared.commit_in_time(part, records).await {
            Outcome::Committed { .. } => {
                self.known = known;
                Ok(())
            }
            Outcome::Overtaken => {
                Err(Refused::later("another request is sending this batch, try again later"))
            }
            Outcome::Later | Outcome::Unknown => {
                Err(Refused::later("kafka does not answer; send the batch again, what is committed is known"))
            }
            Outcome::Never(reason) => Err(Refused(400, reason, None)),
        }
    }
}

fn internal(error: millrace_schemas::CodecError) -> Refused {
    tracing::error!(%error, "could not read or write a record of a batch");
    Refused(500, error.to_string(), None)
}

/// Why a record cannot be taken (I9, I10).
fn fault(raw: &RawEvent<'_>, tenant: &str, name: &Name) -> Option<String> {
    for (what, own, wanted) in
        [("tenant", raw.tenant, tenant), ("stream", raw.stream, &name.stream), ("host", raw.host, &name.host)]
    {
        if own != wanted {
            return Some(format!("its {what} is not that of the batch"));
        }
    }
    let size: usize = raw.attributes.0.iter().map(|(name, value)| name.len() + value.len()).sum();
    let file = raw.file.unwrap_or_default().len().max(raw.file_id.unwrap_or_default().len());
    let over = |what: &str, is: usize, most: usize| {
        (is > most).then(|| format!("{what} has {is} bytes, at most {most} are taken"))
    };
    over("its body", raw.body.len(), item::MAX_BODY)
        .or_else(|| over("its file", file, item::MAX_FILE))
        .or_else(|| over("what stands beside it", size, item::MAX_ATTRIBUTE_BYTES))
}
