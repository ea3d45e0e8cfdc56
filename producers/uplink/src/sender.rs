//! Which batch is sent when: those that grow at once, overdue ones the oldest first, as many at a time as may be.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use millrace_spool::{BatchId, Due, Spool};
use tokio::sync::watch;
use tokio::task::{Id, JoinError, JoinSet};
use tracing::{error, info, warn};

use crate::Progress;
use crate::answer::Verdict;
use crate::flight::Target;
use crate::pace::{Leave, Pace};

/// How often the spool is asked for batches, and for what commands left there.
const LOOK: Duration = Duration::from_millis(100);
const REFRESH: Duration = Duration::from_secs(1);
/// A batch that has been on its way for so long goes well as far as can be known: those that grow take a minute.
const GOES_WELL: Duration = Duration::from_secs(3);
/// After a failure another batch comes first, if there is one.
const BEHIND: Duration = Duration::from_millis(500);

pub(crate) struct Sender {
    spool: Arc<Spool>,
    target: Arc<Target>,
    parallel: usize,
    progress: Arc<Mutex<Progress>>,
    start: Instant,
    refreshed: Option<Instant>,
    flights: JoinSet<Ended>,
    flying: HashMap<Id, Flight>,
    /// By tenant: a gateway takes all of its batches, or none.
    paces: HashMap<String, Pace>,
    /// Of batches that failed, so that one which always does is no other's probe for ever.
    tries: HashMap<BatchId, Pace>,
    /// Batches to be parked when they grow no more, and why.
    refused: HashMap<BatchId, String>,
}

/// A batch on its way.
struct Flight {
    due: Due,
    since: Instant,
}

/// How a flight ended.
enum Ended {
    Sent(Verdict),
    Parked(Result<(), millrace_spool::Error>),
}

impl Sender {
    pub(crate) fn new(
        spool: Arc<Spool>,
        target: Target,
        parallel: usize,
        progress: Arc<Mutex<Progress>>,
    ) -> Sender {
        Sender {
            spool,
            target: Arc::new(target),
            parallel: parallel.max(1),
            progress,
            start: Instant::now(),
            refreshed: None,
            flights: JoinSet::new(),
            flying: HashMap::new(),
            paces: HashMap::new(),
            tries: HashMap::new(),
            refused: HashMap::new(),
        }
    }

    /// Sends until `stop` says how long what is on its way may still take.
    pub(crate) async fn run(mut self, stop: watch::Receiver<Option<Duration>>) {
        let mut until = None;
        loop {
            until = until.or_else(|| stop.borrow().map(|within| Instant::now() + within));
            if until.is_some_and(|until| self.flying.is_empty() || Instant::now() >= until) {
                break;
            }
            self.look_after_spool().await;
            if until.is_none() {
                self.launch();
            }
            tokio::select! {
                Some(ended) = self.flights.join_next_with_id() => self.land(ended),
                () = tokio::time::sleep(LOOK) => {}
            }
            while let Some(ended) = self.flights.try_join_next_with_id() {
                self.land(ended);
            }
            self.tell(|progress, own| progress.in_flight = own.flying.len());
        }
        self.flights.abort_all();
        self.refreshed = None;
        self.look_after_spool().await;
    }

    /// What the spool wants done now and then; beside the runtime's thread, since it waits for the disk.
    async fn look_after_spool(&mut self) {
        let refresh = self.refreshed.is_none_or(|last| last.elapsed() >= REFRESH);
        if refresh {
            self.refreshed = Some(Instant::now());
        }
        let spool = self.spool.clone();
        let minute = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs() / 60;
        let done = tokio::task::spawn_blocking(move || {
            spool.tick(minute as i64)?;
            if refresh { spool.refresh() } else { Ok(()) }
        });
        // Once a second: a disk that is full stays so for a while.
        if let Ok(Err(error)) = done.await
            && refresh
        {
            warn!(%error, "could not note in the spool what was sent; it may be sent again after a kill");
        }
    }

    fn launch(&mut self) {
        let now = self.start.elapsed();
        for flight in self.flying.values().filter(|flight| flight.since.elapsed() >= GOES_WELL) {
            if let Some(pace) = self.paces.get_mut(&flight.due.name.tenant) {
                pace.went_well();
            }
        }
        // Each kind has places of its own: overdue batches must not keep the newest lines, nor these them.
        for closed in [true, false] {
            let busy = self.flying.values().filter(|flight| flight.due.closed == closed).count();
            let mut alone: Vec<String> = Vec::new();
            let wanted = |due: &Due| {
                let refused = self.refused.contains_key(&due.id);
                if due.closed != closed || (refused && !closed) || self.is_flying(due.id) {
                    return false;
                }
                if self.tries.get(&due.id).is_some_and(|pace| pace.leave(now) == Leave::None) {
                    return false;
                }
                let tenant = &due.name.tenant;
                match self.paces.get(tenant).map_or(Leave::Any, |pace| pace.leave(now)) {
                    Leave::Any => true,
                    Leave::None => refused,
                    Leave::One if alone.contains(tenant) || self.is_any_flying(tenant) => refused,
                    Leave::One => {
                        alone.push(tenant.clone());
                        true
                    }
                }
            };
            for due in self.spool.due(self.parallel.saturating_sub(busy), wanted) {
                self.send(due);
            }
        }
    }

    fn is_flying(&self, id: BatchId) -> bool {
        self.flying.values().any(|flight| flight.due.id == id)
    }

    fn is_any_flying(&self, tenant: &str) -> bool {
        self.flying.values().any(|flight| flight.due.name.tenant == tenant)
    }

    fn send(&mut self, due: Due) {
        let (spool, target, own) = (self.spool.clone(), self.target.clone(), due.clone());
        let reason = self.refused.get(&due.id).cloned();
        let task = async move {
            let Some(reason) = reason else {
                return Ended::Sent(target.put(spool, &own).await);
            };
            let parked = tokio::task::spawn_blocking(move || spool.park(own.id, &reason)).await;
            // The runtime ends: it will be refused again.
            Ended::Parked(parked.unwrap_or(Ok(())))
        };
        let id = self.flights.spawn(task).id();
        self.flying.insert(id, Flight { due, since: Instant::now() });
    }

    fn land(&mut self, ended: Result<(Id, Ended), JoinError>) {
        let (id, ended) = match ended {
            Ok((id, ended)) => (id, ended),
            Err(panic) => {
                error!(error = %panic, "sending a batch panicked");
                let reason = panic.to_string();
                (panic.id(), Ended::Sent(Verdict::Later { reason, after: None }))
            }
        };
        let Some(Flight { due, .. }) = self.flying.remove(&id) else { return };
        match ended {
            Ended::Sent(Verdict::Taken) => {
                self.spool.done(due.id);
                self.tries.remove(&due.id);
                self.paces.remove(&due.name.tenant);
                self.tell(|progress, _| {
                    progress.taken += 1;
                    progress.trouble = None;
                });
            }
            Ended::Sent(Verdict::Later { reason, after }) => self.put_off(&due, reason, after, false),
            Ended::Sent(Verdict::Wrong { reason }) => self.put_off(&due, reason, None, true),
            Ended::Sent(Verdict::Refused { reason }) => {
                error!(batch = %due.name, minute = due.minute, reason, "the gateway refuses a batch, it is parked; see `millrace spool ls`");
                self.tries.remove(&due.id);
                self.refused.insert(due.id, reason.clone());
                self.tell(|progress, _| {
                    progress.refused += 1;
                    progress.trouble = Some(reason);
                });
            }
            Ended::Parked(Ok(())) => {
                self.refused.remove(&due.id);
                info!(batch = %due.name, minute = due.minute, "batch parked");
            }
            // It is sent again, and refused again, when there is room.
            Ended::Parked(Err(error)) => {
                self.refused.remove(&due.id);
                self.put_off(&due, error.to_string(), None, false);
            }
        }
    }

    fn put_off(&mut self, due: &Due, reason: String, after: Option<Duration>, wrong: bool) {
        let tenant = due.name.tenant.clone();
        let (now, source) = (self.start.elapsed(), self.spool.source(due.id));
        let pace = self.paces.entry(tenant).or_default();
        let n_failures = pace.failed(now, after, &source);
        let behind_others = pace.pause(now) + BEHIND;
        self.tries.entry(due.id).or_default().failed(now, Some(behind_others), &source);
        let batch = &due.name;
        if n_failures.is_power_of_two() && wrong {
            error!(%batch, reason, n_failures, "the gateway takes nothing until this is mended; trying again");
        } else if n_failures.is_power_of_two() {
            warn!(%batch, reason, n_failures, "a batch was not taken; trying again");
        }
        self.tell(|progress, _| {
            progress.put_off += 1;
            progress.trouble = Some(reason);
        });
    }

    fn tell(&self, change: impl FnOnce(&mut Progress, &Sender)) {
        change(&mut self.progress.lock().unwrap_or_else(PoisonError::into_inner), self);
    }
}
