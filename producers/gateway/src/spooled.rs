//! The committing thread of a relay: requests that wait are joined into one append to the spool, flushed to disk, and
//! answered then. What is told of batches (`PUT`) lies in the table of the same append.
//!
//! Owns: nothing but memory. Blocks: on the disk. Fails: a spool or disk that is full changes nothing, and whoever waits is
//! told to come again; an append that cannot be taken back is *Exit*, since only a new start tells what is on disk.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

use millrace_runtime::config::GatewayConfig;
use millrace_runtime::metrics;
use millrace_runtime::ops::Health;
use millrace_runtime::service::ServiceError;
use millrace_runtime::sink::now_micros;
use millrace_schemas::attempt::BatchState;
use millrace_schemas::batch::TOLD;
use millrace_schemas::ledger::stage;
use millrace_schemas::{Codec, Subject};
use millrace_spool::{Error, Group, Name, Spool};

use crate::batch::{Batches, Step, codec};
use crate::group::{self, answer};
use crate::recent::Recent;
use crate::waiting::{Closed, Outcome, State, Waiting};

/// With less room nothing is taken: the largest group of small requests fits.
const ROOM: u64 = 16 << 20;
/// Nothing is taken for so long after the disk took nothing.
const PAUSE: Duration = Duration::from_secs(1);
const LOOK: Duration = Duration::from_millis(100);
/// Bytes of the spool for each batch that is remembered: the table stays small beside the lines.
const BYTES_OF_BATCH: u64 = 64 << 10;
const MINUTE: i64 = 60_000_000;

/// Batches that are remembered: what the configuration says, as far as the spool is large enough for it.
pub(crate) fn batches_kept(config: &GatewayConfig, spool_bytes: u64) -> usize {
    config.batches_kept.min((spool_bytes / BYTES_OF_BATCH) as usize)
}

pub(crate) struct Spooler {
    spool: Arc<Spool>,
    /// What its batches bear as their host.
    host: String,
    group_wait: Duration,
    health: Health,
    queue: Receiver<Waiting>,
    state: State,
    batches: Batches,
    codec: Codec,
    recent: Recent,
    /// Number of the next change of a batch.
    next: i64,
    full_until: Option<Instant>,
}

impl Spooler {
    /// Learns from the spool's table what is known of batches.
    ///
    /// # Errors
    /// The table cannot be read.
    pub(crate) fn open(
        (spool, host): (Arc<Spool>, String),
        config: &GatewayConfig,
        health: Health,
        queue: Receiver<Waiting>,
        state: State,
        batches: Batches,
    ) -> Result<Spooler, ServiceError> {
        let codec = codec(Subject::Batches)?;
        let mut spooler = Spooler {
            spool,
            host,
            group_wait: config.group_wait,
            health,
            queue,
            state,
            batches,
            codec,
            recent: Recent::default(),
            next: 0,
            full_until: None,
        };
        spooler.restore()?;
        spooler.look();
        Ok(spooler)
    }

    fn restore(&mut self) -> Result<(), ServiceError> {
        let table = self.spool.table();
        for (key, value) in &table {
            let (number, state) = self.entry(value).ok_or_else(|| {
                let key = String::from_utf8_lossy(key);
                let reason = "was it written by a newer build?";
                ServiceError::Other(format!(
                    "batch {key:?} in the spool of this relay cannot be read: {reason}"
                ))
            })?;
            self.next = self.next.max(number + 1);
            self.batches.note(&Step { key: state.key().into(), from: Default::default(), to: state }, number);
        }
        // Fewer are kept than were.
        let mut gone = Group::default();
        let is_gone = |key: &&[u8]| !std::str::from_utf8(key).is_ok_and(|key| self.batches.knows(key));
        table.iter().map(|(key, _)| key.as_slice()).filter(is_gone).for_each(|key| gone.delete(key));
        if let Err(error) = self.spool.append(&gone, now_micros() / MINUTE) {
            tracing::warn!(%error, "batches that are known for too long stay in the spool");
        }
        Ok(())
    }

    /// Number and state in a value of the table.
    fn entry(&self, value: &[u8]) -> Option<(i64, BatchState)> {
        let (number, state) = value.split_first_chunk()?;
        Some((i64::from_le_bytes(*number), self.codec.decode(state).ok()?))
    }

    /// Commits what comes until told to stop and nothing waits any more.
    ///
    /// # Errors
    /// *Exit*.
    pub(crate) fn run(mut self) -> Result<(), ServiceError> {
        loop {
            self.health.turned(stage::GATEWAY, true);
            self.look();
            let first = match self.queue.recv_timeout(LOOK) {
                Ok(first) => first,
                Err(RecvTimeoutError::Timeout) => continue,
                // The server has gone, and with it everybody who could wait.
                Err(RecvTimeoutError::Disconnected) => return Ok(()),
            };
            let group = group::gather(&self.queue, first, self.group_wait);
            self.settle(group)?;
        }
    }

    /// Says whether requests are taken.
    fn look(&mut self) {
        let has_room = self.spool.has_room(ROOM);
        // What is ended now is sent now, and makes room.
        if !has_room && let Err(error) = self.spool.make_room() {
            tracing::debug!(%error, "no room could be made in the spool yet");
        }
        self.full_until = self.full_until.filter(|until| Instant::now() < *until);
        self.state.set((!has_room || self.full_until.is_some()).then_some(Closed::Disk));
    }

    /// Writes a group and answers it.
    fn settle(&mut self, group: Vec<Waiting>) -> Result<(), ServiceError> {
        let group = group::admit(&self.batches, group);
        let Err(error) = self.append(&group)? else {
            group::answer_committed(group, &mut self.recent);
            return Ok(());
        };
        match error {
            Error::Full { .. } | Error::Io { .. } => {
                tracing::warn!(%error, n_requests = group.len(), "nothing is written, requests are told to come again");
                self.full_until = Some(Instant::now() + PAUSE);
                self.look();
                answer(group, &Outcome::Later);
                Ok(())
            }
            Error::Broken { .. }
            | Error::Name { .. }
            | Error::Damaged { .. }
            | Error::Locked { .. }
            | Error::Unknown { .. } => {
                answer(group, &Outcome::Unknown);
                Err(ServiceError::Other(error.to_string()))
            }
        }
    }

    /// One append; the inner error is the spool's.
    fn append(&mut self, group: &[Waiting]) -> Result<Result<(), Error>, ServiceError> {
        let (mut append, mut names) = (Group::default(), Places::new(&self.host));
        let new = group::new(group, &self.recent);
        for (prepared, record) in &new {
            let place = names.of(&mut append, &prepared.tenant, prepared.stream(record));
            append.push(place, prepared.value(record));
        }
        let steps: Vec<Step> = group.iter().filter_map(|waiting| waiting.prepared.step.clone()).collect();
        // Readers need to hear of a batch once an attempt takes the place of another. A relay before this one says so, too.
        let replacing = steps.iter().map(|step| &step.to).filter(|state| state.last() > 1);
        for state in replacing.chain(group.iter().flat_map(|waiting| &waiting.prepared.told)) {
            let mut told = vec![TOLD];
            self.codec.encode(state, &mut told)?;
            let place = names.of(&mut append, &state.tenant, &state.stream);
            append.push(place, &told);
        }
        for key in self.batches.forgotten(&steps) {
            append.delete(key.as_bytes());
        }
        for (step, number) in steps.iter().zip(self.next..) {
            let mut value = number.to_le_bytes().to_vec();
            self.codec.encode(&step.to, &mut value)?;
            append.put(step.key.as_bytes(), &value);
        }
        if append.is_empty() {
            return Ok(Ok(()));
        }
        if let Err(error) = self.spool.append(&append, now_micros() / MINUTE) {
            return Ok(Err(error));
        }
        steps.iter().zip(self.next..).for_each(|(step, number)| self.batches.note(step, number));
        self.next += steps.len() as i64;
        let n_bytes = new.iter().map(|(_, record)| record.body_len as u64).sum();
        metrics::records(stage::GATEWAY, "out", new.len() as u64, n_bytes);
        Ok(Ok(()))
    }
}

/// Batches of one append: neighbours mostly belong to one.
struct Places<'a> {
    host: &'a str,
    last: Option<(Name, usize)>,
}

impl<'a> Places<'a> {
    fn new(host: &'a str) -> Places<'a> {
        Places { host, last: None }
    }

    fn of(&mut self, append: &mut Group, tenant: &str, stream: &str) -> usize {
        match &self.last {
            Some((name, place)) if name.tenant == tenant && name.stream == stream => *place,
            _ => {
                let [tenant, stream, host] = [tenant, stream, self.host].map(str::to_owned);
                let name = Name { tenant, stream, host };
                let place = append.batch(&name);
                self.last = Some((name, place));
                place
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use millrace_runtime::config::Config;
    use millrace_schemas::attempt::BatchAttempt;
    use millrace_schemas::ledger::Sum;
    use millrace_spool::{Cursor, Options, Part};
    use tokio::sync::oneshot;

    use super::*;
    use crate::batch::Known;
    use crate::budget::Budget;
    use crate::item::Item;
    use crate::prepare::{Prepared, Sender};

    fn open(dir: &std::path::Path, max_bytes: u64, kept: usize) -> Spooler {
        let options = Options { dir: dir.to_owned(), max_bytes, max_parked_bytes: 1 << 20 };
        let own = (Arc::new(Spool::open(options).unwrap()), "site".to_owned());
        let config = Config::load_with(None, std::iter::empty(), |_| {}).unwrap().gateway;
        let (_, queue) = mpsc::channel();
        Spooler::open(own, &config, Health::default(), queue, State::default(), Batches::new(kept)).unwrap()
    }

    /// A line of `tenant` with an identity.
    fn line(tenant: &str, body: &[u8]) -> Prepared {
        let mut item = Item::new("web", body);
        item.dedup = Some(("key".into(), 1));
        let sender = Sender { tenant, address: "10.0.0.1", received: 7 };
        Prepared::new(&codec(Subject::Raw).unwrap(), sender, &[item], usize::MAX).unwrap()
    }

    fn settle(spooler: &mut Spooler, requests: Vec<Prepared>) -> Vec<Outcome> {
        let (group, answers): (Vec<_>, Vec<_>) = requests
            .into_iter()
            .map(|prepared| {
                let (answer, answered) = oneshot::channel();
                (Waiting { prepared, answer, _share: Budget::new(0).share() }, answered)
            })
            .unzip();
        spooler.settle(group).unwrap();
        answers.into_iter().map(|answered| answered.blocking_recv().unwrap()).collect()
    }

    fn batch(host: &str, number: i64) -> BatchState {
        let [tenant, stream, host] = ["acme", "web", host].map(str::to_owned);
        let open = Some(BatchAttempt { number, count: 3, hash: Sum(5) });
        BatchState { tenant, stream, host, minute: 7, source: None, open, ended: None }
    }

    fn step(to: BatchState) -> Prepared {
        let step = Step { key: to.key().into(), from: Known::default(), to };
        let mut prepared = Prepared::empty("acme");
        prepared.step = Some(step);
        prepared
    }

    /// Records of each batch in the spool.
    fn held(spooler: &Spooler) -> Vec<(String, u64)> {
        let count = |id| {
            let (mut cursor, mut n) = (Cursor::default(), 0);
            while let Part::Lines { n_records, .. } = spooler.spool.read(id, &mut cursor).unwrap() {
                n += n_records;
            }
            n
        };
        spooler.spool.due(9, |_| true).iter().map(|due| (due.name.to_string(), count(due.id))).collect()
    }

    #[test]
    fn a_group_is_in_the_batches_of_its_tenants_and_nothing_twice() {
        let dir = tempfile::tempdir().unwrap();
        let mut spooler = open(dir.path(), 64 << 20, 9);
        let committed = |n_known| Outcome::Committed { n_known };
        let group = vec![line("acme", b"a"), line("shop", b"a"), line("acme", b"b"), line("acme", b"b")];
        assert_eq!(settle(&mut spooler, group), [committed(0), committed(0), committed(0), committed(1)]);
        assert_eq!(settle(&mut spooler, vec![line("shop", b"a")]), [committed(1)]);
        let wanted = [("acme/web/site".to_owned(), 2), ("shop/web/site".to_owned(), 1)];
        assert_eq!(held(&spooler), wanted);
    }

    #[test]
    fn what_is_known_of_batches_outlives_a_restart_within_its_bound() {
        let dir = tempfile::tempdir().unwrap();
        let known = |spooler: &Spooler| {
            ["a", "b", "c"]
                .map(|host| spooler.batches.known(&batch(host, 1).key()).open.map(|own| own.number))
        };
        let mut spooler = open(dir.path(), 64 << 20, 2);
        for own in [batch("a", 1), batch("b", 1), batch("c", 2)] {
            settle(&mut spooler, vec![step(own)]);
        }
        assert_eq!(known(&spooler), [None, Some(1), Some(2)]);
        // Of a batch that takes the place of another, the centre is told.
        assert_eq!(held(&spooler), [("acme/web/site".to_owned(), 1)]);
        drop(spooler);
        let mut spooler = open(dir.path(), 64 << 20, 2);
        assert_eq!((known(&spooler), spooler.spool.table().len()), ([None, Some(1), Some(2)], 2));
        let late = settle(&mut spooler, vec![step(batch("b", 1))]);
        assert_eq!(late, [Outcome::Overtaken], "it does not begin where the batch stands");
        drop(spooler);
        let spooler = open(dir.path(), 64 << 20, 1);
        assert_eq!((known(&spooler), spooler.spool.table().len()), ([None, None, Some(2)], 1));
    }

    #[test]
    fn a_full_spool_takes_nothing_and_says_so() {
        let dir = tempfile::tempdir().unwrap();
        let mut spooler = open(dir.path(), ROOM + (1 << 20), 9);
        assert_eq!(spooler.state.closed(), None);
        assert_eq!(settle(&mut spooler, vec![line("acme", &vec![0; 18 << 20])]), [Outcome::Later]);
        assert_eq!(spooler.state.closed(), Some(Closed::Disk));
        assert_eq!((held(&spooler), spooler.spool.table().len()), (vec![], 0));
    }
}
