//! The committing thread: requests that wait are joined into one Kafka transaction with their ledger deltas and the group's
//! number, and answered when it is committed (I2, I11).
//!
//! Owns: the transactional producer. Blocks: in Kafka. Fails: requests of a group that was not committed are told so; one
//! whose end is in doubt is decided by the group number that the next producer finds.

use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::Duration;

use millrace_runtime::flow::Gate;
use millrace_runtime::kafka::{Class, Guard, OutRecord, TxnProducer, read_to_mark};
use millrace_runtime::metrics;
use millrace_runtime::service::{Service, ServiceError};
use millrace_runtime::sink::{GENERATION, send_deltas};
use millrace_schemas::ledger::{Tally, edge, stage};
use millrace_schemas::progress::Progress;
use millrace_schemas::{topics, trace};

use crate::batch::{Batches, Step};
use crate::group::{self, answer};
use crate::recent::Recent;
use crate::waiting::{Closed, Outcome, State, Waiting};

/// Why a group was not committed, as far as is known.
enum Failure {
    /// It certainly was not.
    Absent(ServiceError),
    /// The end of the transaction was asked for, and no answer came.
    Doubt(ServiceError),
}

pub(crate) struct Committer {
    service: Service,
    queue: Receiver<Waiting>,
    state: State,
    transactional_id: String,
    producer: Option<TxnProducer>,
    gate: Gate,
    batches: Batches,
    /// Number of the next group.
    next: i64,
    recent: Recent,
    value: Vec<u8>,
}

impl Committer {
    /// Connects and takes the transactional id of slot `slot`.
    ///
    /// # Errors
    /// *Exit*.
    pub(crate) fn open(
        service: &Service,
        slot: u32,
        queue: Receiver<Waiting>,
        state: State,
        batches: Batches,
    ) -> Result<Committer, ServiceError> {
        let mut committer = Committer {
            service: service.clone(),
            queue,
            state,
            transactional_id: format!("{}-gateway-{slot}", service.config.kafka.prefix),
            producer: None,
            gate: Gate::open(service)?,
            batches,
            next: 0,
            recent: Recent::default(),
            value: Vec::new(),
        };
        committer.next = committer.join()?;
        committer.state.set(None);
        Ok(committer)
    }

    /// Commits what comes until told to stop and nothing waits any more.
    ///
    /// # Errors
    /// *Exit*.
    pub(crate) fn run(mut self) -> Result<(), ServiceError> {
        loop {
            self.service.health.turned(stage::GATEWAY, self.state.closed() != Some(Closed::Away));
            let may_write = self.gate.may_write().unwrap_or_else(|error| {
                tracing::warn!(%error, "flow marks not to be had, waiting");
                false
            });
            self.state.set((!may_write).then_some(Closed::Full));
            let first = match self.queue.recv_timeout(Duration::from_millis(100)) {
                Ok(first) => first,
                Err(RecvTimeoutError::Timeout) => continue,
                // The server has gone, and with it everybody who could wait.
                Err(RecvTimeoutError::Disconnected) => return Ok(()),
            };
            let group = group::gather(&self.queue, first, self.service.config.gateway.group_wait);
            self.settle(group)?;
        }
    }

    /// Commits a group and answers it.
    fn settle(&mut self, group: Vec<Waiting>) -> Result<(), ServiceError> {
        let group = group::admit(&self.batches, group);
        match self.commit(&group) {
            Ok(()) => group::answer_committed(group, &mut self.recent),
            Err(Failure::Absent(error)) => return self.absent(group, error),
            Err(Failure::Doubt(error)) => {
                tracing::warn!(%error, n_requests = group.len(), "group in doubt, asking what became of it");
                let own = self.next;
                self.next = match self.rejoin(&error) {
                    Ok(next) => next,
                    Err(error) => {
                        answer(group, &Outcome::Unknown);
                        return Err(error);
                    }
                };
                if self.next > own {
                    group::answer_committed(group, &mut self.recent);
                } else {
                    answer(group, &Outcome::Later);
                }
            }
        }
        Ok(())
    }

    /// Answers a group of which nothing is committed. Where Kafka refused a record its group is halved until that record's
    /// request is alone, so that none harms another.
    fn absent(&mut self, mut group: Vec<Waiting>, error: ServiceError) -> Result<(), ServiceError> {
        let refused = matches!(&error, ServiceError::Kafka(error) if error.refuses_record());
        // A new producer in every case: what is sent after an abort can be purged along with what was before it.
        let joined = if refused { self.join().ok() } else { None };
        let Some(next) = joined else {
            // Nobody waits while Kafka is sought: each may be sent again.
            answer(group, &Outcome::Later);
            if !refused && error.class() == Class::Exit {
                return Err(error);
            }
            self.next = self.rejoin(&error)?;
            return Ok(());
        };
        self.next = next;
        tracing::warn!(%error, n_requests = group.len(), "group aborted");
        if group.len() <= 1 {
            answer(group, &Outcome::Never(format!("kafka does not take this request: {error}")));
            return Ok(());
        }
        let rest = group.split_off(group.len() / 2);
        self.settle(group)?;
        self.settle(rest)
    }

    /// One transaction.
    fn commit(&mut self, group: &[Waiting]) -> Result<(), Failure> {
        let Some(mut producer) = self.producer.take() else {
            return Err(Failure::Absent(ServiceError::Other("there is no producer".to_owned())));
        };
        let sent = self.send(&mut producer, group);
        let result = match sent {
            Ok(None) => Ok(()),
            Ok(Some(steps)) => {
                let committed = producer.commit(None).map_err(|error| match error.class() {
                    Class::Abort => Failure::Absent(error.into()),
                    _ if error.refuses_record() => Failure::Absent(error.into()),
                    // Exit, too: the new producer after a success in doubt may be what was refused.
                    Class::Rejoin | Class::Exit => Failure::Doubt(error.into()),
                });
                committed.map(|()| {
                    self.next += 1;
                    steps.iter().for_each(|(step, offset)| self.batches.note(step, *offset));
                })
            }
            Err(error) => Err(Failure::Absent(error)),
        };
        self.producer = Some(producer);
        result
    }

    /// Sends all that is new in the group; `None` where nothing is. Gives what it does to batches, and where that is
    /// written.
    fn send(
        &mut self,
        producer: &mut TxnProducer,
        group: &[Waiting],
    ) -> Result<Option<Vec<(Step, i64)>>, ServiceError> {
        let new = group::new(group, &self.recent);
        let steps = self.batches.steps(group);
        if new.is_empty() && steps.is_empty() {
            return Ok(None);
        }
        producer.begin()?;
        for (tag, (prepared, record)) in new.iter().enumerate() {
            let trace = prepared.trace.as_ref().map(|own| (trace::HEADER, own.as_bytes()));
            producer.send(OutRecord {
                topic: topics::RAW,
                partition: None,
                key: prepared.key(record),
                value: Some(prepared.value(record)),
                headers: trace.as_slice(),
                tag,
            })?;
        }
        self.send_steps(producer, &steps, new.len())?;
        let deliveries = producer.flush()?;
        if deliveries.len() != new.len() + steps.len() {
            let (n_sent, n_delivered) = (new.len() + steps.len(), deliveries.len());
            return Err(ServiceError::Other(format!("{n_delivered} of {n_sent} records were acknowledged")));
        }
        let mut tally = Tally::default();
        for ((prepared, record), delivery) in new.iter().zip(&deliveries) {
            let account = (prepared.tenant.as_str(), prepared.stream(record), record.received);
            let sums = (1, record.body_len as i64, record.hash);
            tally.add(edge::OUT, account, sums, delivery.partition, delivery.offset..delivery.offset + 1);
        }
        let deltas = tally.into_deltas(stage::GATEWAY, GENERATION);
        send_deltas(producer, &self.service, &deltas, &mut self.value)?;
        let mark = Progress { topic: topics::RAW.to_owned(), partition: 0, next: self.next + 1, version: 1 };
        self.value.clear();
        self.service.codecs.progress().encode(&mark, &mut self.value)?;
        producer.send(OutRecord {
            topic: &topics::changelog(stage::GATEWAY),
            partition: Some(0),
            key: self.transactional_id.as_bytes(),
            value: Some(&self.value),
            headers: &[],
            tag: usize::MAX,
        })?;
        let n_bytes = deltas.iter().map(|delta| delta.bytes as u64).sum();
        metrics::records(stage::GATEWAY, "out", new.len() as u64, n_bytes);
        let offsets = deliveries[new.len()..].iter().map(|delivery| delivery.offset);
        Ok(Some(steps.into_iter().zip(offsets).collect()))
    }

    /// Sends how far batches are, tagged from `tag` on, and deletes what is known for too long.
    fn send_steps(
        &mut self,
        producer: &mut TxnProducer,
        steps: &[Step],
        tag: usize,
    ) -> Result<(), ServiceError> {
        let record = OutRecord {
            topic: topics::BATCHES,
            partition: Some(0),
            key: &[],
            value: None,
            headers: &[],
            tag: usize::MAX,
        };
        for key in self.batches.too_old(steps) {
            // What goes on now is not old.
            if !steps.iter().any(|step| step.key == key) {
                producer.send(OutRecord { key: key.as_bytes(), ..record })?;
            }
        }
        for (at, step) in steps.iter().enumerate() {
            self.value.clear();
            self.service.codecs.batches().encode(&step.to, &mut self.value)?;
            let key = step.key.as_bytes();
            producer.send(OutRecord { key, value: Some(&self.value), tag: tag + at, ..record })?;
        }
        Ok(())
    }

    /// A new producer, and the number of the next group. First the producer, which decides what was left open; then the
    /// number, read to the end of what may have been committed.
    fn join(&mut self) -> Result<i64, ServiceError> {
        let kafka = &self.service.config.kafka;
        self.producer = None;
        self.producer = Some(TxnProducer::open(kafka, &self.transactional_id, true, Guard::default())?);
        let mut next = 0;
        let codec = self.service.codecs.progress();
        read_to_mark(kafka, &topics::changelog(stage::GATEWAY), &[0], |_, _, key, value| {
            if let Some(value) = value.filter(|_| key == self.transactional_id.as_bytes()) {
                let mark: Progress = codec.decode(value).map_err(|error| {
                    let text =
                        format!("could not read the group number of {}: {error}", self.transactional_id);
                    millrace_runtime::kafka::Error::Broken(text)
                })?;
                next = mark.next;
            }
            Ok(())
        })?;
        self.batches.refresh_now(&self.service)?;
        Ok(next)
    }

    /// The same, as often as it takes; meanwhile nothing is taken, and what waits is told so.
    fn rejoin(&mut self, error: &ServiceError) -> Result<i64, ServiceError> {
        tracing::warn!(%error, "kafka does not answer, requests are told to come again");
        metrics::rejoin(stage::GATEWAY);
        self.state.set(Some(Closed::Away));
        let mut pause = Duration::from_millis(100);
        loop {
            self.service.health.turned(stage::GATEWAY, false);
            while let Ok(waiting) = self.queue.try_recv() {
                answer(vec![waiting], &Outcome::Later);
            }
            match self.join() {
                Ok(next) => {
                    tracing::info!("kafka answers again");
                    self.state.set(None);
                    return Ok(next);
                }
                Err(error) if error.class() == Class::Exit || self.service.stop.requested() => {
                    return Err(error);
                }
                Err(error) => tracing::warn!(%error, "kafka still does not answer"),
            }
            self.service.stop.sleep(pause);
            pause = (pause * 2).min(Duration::from_secs(5));
        }
    }
}
