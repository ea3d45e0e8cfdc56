//! What every listener shares, and the way of a request's records to the committing thread and back.

use std::sync::atomic::AtomicI64;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::mpsc::Sender;
use std::time::{Duration, Instant};

use millrace_runtime::config::GatewayConfig;
use millrace_runtime::metrics;
use millrace_runtime::service::Service;
use millrace_runtime::sink::now_micros;
use millrace_runtime::stop::Stop;
use millrace_schemas::Codec;
use tokio::sync::{Semaphore, oneshot};

use crate::access::Access;
use crate::attempts::Attempts;
use crate::batch::Batches;
use crate::budget::{Budget, Share};
use crate::item::Item;
use crate::prepare::{PrepareError, Prepared, Sender as Origin};
use crate::proxy::Proxy;
use crate::quota::Quotas;
use crate::waiting::{Outcome, State, Waiting};

/// Longest wait of a client for a commit: longer than a transaction may take.
const COMMIT: Duration = Duration::from_secs(25);

pub(crate) struct Shared {
    pub(crate) config: GatewayConfig,
    /// Of the lines.
    pub(crate) codec: Codec,
    pub(crate) stop: Stop,
    pub(crate) behind: Behind,
    pub(crate) access: Access,
    pub(crate) attempts: Attempts,
    pub(crate) quotas: Quotas,
    /// The query service, where there is one to ask.
    pub(crate) query: Option<Proxy>,
    pub(crate) batches: Batches,
    pub(crate) budget: Budget,
    pub(crate) state: State,
    /// When the last request was received, µs: no two have one time.
    pub(crate) received: AtomicI64,
    pub(crate) queue: Sender<Waiting>,
    /// Large bodies that are read at once: each takes some times its size meanwhile.
    pub(crate) large: Semaphore,
}

/// What lines are committed to.
pub(crate) enum Behind {
    Kafka(Box<Service>),
    /// A relay's spool.
    Spool,
}

impl Behind {
    /// The label of refusals, and why nothing is committed.
    pub(crate) fn silent(&self) -> (&'static str, &'static str) {
        match self {
            Behind::Kafka(_) => ("kafka", "kafka does not answer"),
            Behind::Spool => ("spool", "the disk of this relay takes nothing"),
        }
    }
}

impl Shared {
    /// Encodes `items` of `tenant`, received now from `address`.
    pub(crate) fn prepare(
        &self,
        tenant: &str,
        address: &str,
        items: &[Item<'_>],
    ) -> Result<Prepared, PrepareError> {
        let sender = Origin { tenant, address, received: self.now() };
        let prepared = Prepared::new(&self.codec, sender, items, self.most_prepared());
        if let Err(PrepareError::Codec(error)) = &prepared {
            tracing::error!(%error, "could not encode a record");
        }
        prepared
    }

    /// µs since the epoch; later with each call.
    fn now(&self) -> i64 {
        let now = now_micros();
        let last = self.received.fetch_update(Relaxed, Relaxed, |last| Some(now.max(last + 1)));
        last.map_or(now, |last| now.max(last + 1))
    }

    /// Records of one request may take so many bytes: lines, and what stands beside each of them.
    fn most_prepared(&self) -> usize {
        4 * self.config.max_body_bytes
    }

    /// Hands records over and waits until it is known what became of them.
    pub(crate) async fn commit(&self, prepared: Prepared, share: Share) -> Outcome {
        let start = Instant::now();
        let (answer, answered) = oneshot::channel();
        if self.queue.send(Waiting { prepared, answer, _share: share }).is_err() {
            return Outcome::Later;
        }
        // Dropped unanswered: the committing thread has ended, perhaps amid this.
        let outcome = answered.await.unwrap_or(Outcome::Unknown);
        metrics::gateway_commit(start.elapsed());
        outcome
    }

    /// The same, not longer than a client waits.
    pub(crate) async fn commit_in_time(&self, prepared: Prepared, share: Share) -> Outcome {
        tokio::time::timeout(COMMIT, self.commit(prepared, share)).await.unwrap_or(Outcome::Unknown)
    }
}
