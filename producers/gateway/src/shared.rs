//! What every listener shares, and the way of a request's records to the committing thread and back.

use std::sync::mpsc::Sender;
use std::time::{Duration, Instant};

use millrace_runtime::metrics;
use millrace_runtime::service::Service;
use millrace_runtime::sink::now_micros;
use tokio::sync::oneshot;

use crate::access::Access;
use crate::budget::Budget;
use crate::commit::{Outcome, State, Waiting};
use crate::item::Item;
use crate::prepare::{Prepared, Sender as Origin};
use crate::proxy::Proxy;

/// Longest wait for a commit: longer than a transaction may take.
const COMMIT: Duration = Duration::from_secs(25);

pub(crate) struct Shared {
    pub(crate) service: Service,
    pub(crate) access: Access,
    pub(crate) query: Proxy,
    pub(crate) budget: Budget,
    pub(crate) state: State,
    pub(crate) queue: Sender<Waiting>,
}

impl Shared {
    /// Encodes `items` of `tenant`, received now from `address`.
    pub(crate) fn prepare(
        &self,
        tenant: &str,
        address: &str,
        items: &[Item<'_>],
    ) -> Result<Prepared, String> {
        let sender = Origin { tenant, address, received: now_micros() };
        Prepared::new(self.service.codecs.raw(), sender, items).map_err(|error| {
            tracing::error!(%error, "could not encode a record");
            "a record could not be encoded".to_owned()
        })
    }

    /// Hands records over and waits until they are committed, or not. `Err` where it is not known in time.
    pub(crate) async fn commit(&self, prepared: Prepared) -> Result<Outcome, &'static str> {
        let start = Instant::now();
        let (answer, answered) = oneshot::channel();
        if self.queue.send(Waiting { prepared, answer }).is_err() {
            return Ok(Outcome::Later);
        }
        match tokio::time::timeout(COMMIT, answered).await {
            Ok(Ok(outcome)) => {
                metrics::gateway_commit(start.elapsed());
                Ok(outcome)
            }
            // Dropped unanswered: the committing thread has ended.
            Ok(Err(_)) => Ok(Outcome::Later),
            Err(_) => Err("kafka has not answered in time; the request may or may not have been taken"),
        }
    }
}
