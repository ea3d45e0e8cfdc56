//! The Kafka session: a member of the job's group whose transactions carry everything that a plan holds (I2). Each is
//! written and committed on a thread of its own, while the loop reads and plans the next batch.

mod write;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use millrace_jobs::{Batch, First, Plan, Record, Table};
use millrace_runtime::kafka::{self, Guard, Member, MemberOptions, Polled, Resolve, read_to_mark};
use millrace_runtime::metrics;
use millrace_runtime::registry::RegistryError;
use millrace_runtime::service::Service;
use millrace_schemas::dead::{self, DeadLetter};
use millrace_schemas::progress::Progress;
use millrace_schemas::topics;

use self::write::Target;
use crate::error::{Class, Error};
use crate::session::{Session, Turn};

/// What a session reads and writes.
#[derive(Debug, Clone)]
pub struct SessionOptions {
    /// Job: names group, changelog and ledger stage.
    pub job: &'static str,
    /// Slot of the process.
    pub slot: u32,
    /// Loop within it.
    pub loop_number: u32,
    /// Input topics, by the job's numbers.
    pub inputs: Vec<String>,
    /// Output topics, by the job's numbers.
    pub outputs: Vec<String>,
    /// Most records of a transaction.
    pub max_records: usize,
    /// Most bytes read for a transaction.
    pub max_bytes: usize,
    /// How long to wait for more once a record is there: what a transaction costs is shared by what it holds.
    pub linger: Duration,
    /// When a transaction is in doubt.
    pub guard: Guard,
}

impl SessionOptions {
    /// The usual bounds for `job`.
    pub fn usual(
        job: &'static str,
        inputs: Vec<String>,
        outputs: Vec<String>,
        slot: u32,
        loop_number: u32,
    ) -> Self {
        SessionOptions {
            job,
            slot,
            loop_number,
            inputs,
            outputs,
            max_records: 50_000,
            max_bytes: 16 << 20,
            linger: Duration::from_millis(50),
            guard: Guard::default(),
        }
    }
}

/// A [`Session`] on a real cluster.
pub struct KafkaSession {
    options: SessionOptions,
    target: Arc<Target>,
    member: Member,
    batch: kafka::Batch,
    /// Partitions have come or gone and are not restored yet: those held now, with their offsets.
    moved: Option<Vec<(String, i32, i64)>>,
    ready: bool,
    flying: Option<Flying>,
}

/// A commit that is under way.
struct Flying {
    plan: Arc<Plan>,
    thread: JoinHandle<Result<(), kafka::Error>>,
}

impl KafkaSession {
    /// Takes the slot's transactional id and joins the group.
    ///
    /// # Errors
    /// *Exit*.
    pub fn join(service: &Service, options: SessionOptions) -> Result<KafkaSession, Error> {
        let fail = |error: kafka::Error| lift("join the group", error);
        let changelog = topics::changelog(options.job);
        let admin = kafka::admin::Admin::open(&service.config.kafka).map_err(fail)?;
        let count = |topic: &String| admin.partitions(topic);
        let n_partitions = options.outputs.iter().map(count).collect::<Result<_, _>>().map_err(fail)?;
        let member_options = MemberOptions {
            service: options.job.to_owned(),
            slot: options.slot,
            loop_number: options.loop_number,
            topics: options.inputs.clone(),
            with_headers: vec![topics::REDRIVE.to_owned()],
            resolve: resolve_from_changelog(service, &changelog),
            guard: options.guard,
        };
        let member = Member::join(&service.config.kafka, member_options).map_err(fail)?;
        let target = Arc::new(Target {
            service: service.clone(),
            changelog,
            inputs: options.inputs.clone(),
            outputs: options.outputs.clone(),
            n_partitions,
        });
        let batch = kafka::Batch::default();
        Ok(KafkaSession { options, target, member, batch, moved: None, ready: false, flying: None })
    }

    /// Fills the table from the changelog of the partitions assigned, and holds the offsets against it.
    fn read_changelog(&self, assigned: &[(String, i32, i64)], table: &mut Table) -> Result<(), kafka::Error> {
        table.clear();
        if assigned.is_empty() {
            return Ok(());
        }
        let partitions: Vec<i32> = assigned
            .iter()
            .map(|(_, partition, _)| *partition)
            .collect::<BTreeSet<_>>()
            .into_iter()
            .collect();
        let Target { service, changelog, .. } = &*self.target;
        let mut known: Vec<Progress> = Vec::new();
        read_to_mark(&service.config.kafka, changelog, &partitions, |partition, _, key, value| {
            if !table.restore(partition, key, value)
                && let Some(progress) =
                    value.and_then(|value| service.codecs.progress().decode::<Progress>(value).ok())
            {
                known.push(progress);
            }
            Ok(())
        })?;
        for (topic, partition, next) in assigned {
            let last =
                known.iter().rfind(|progress| progress.topic == *topic && progress.partition == *partition);
            if let Some(progress) = last.filter(|progress| progress.next > *next) {
                return Err(kafka::Error::Broken(format!(
                    "group offset {next} of {topic}/{partition} is older than the changelog of {}, which is at {}: \
                     records {next}..{} would be processed twice; reset the group to {} or delete the changelog with its outputs",
                    self.options.job, progress.next, progress.next, progress.next
                )));
            }
        }
        Ok(())
    }
}

impl Session for KafkaSession {
    fn poll(&mut self, batch: &mut Batch) -> Result<Turn, Error> {
        self.target.service.health.turned(self.options.job, self.ready);
        if self.moved.is_some() {
            return Ok(Turn::Moved);
        }
        let options = &self.options;
        let wait = Duration::from_millis(100);
        let polled = self
            .member
            .poll(&mut self.batch, options.max_records, options.max_bytes, wait, options.linger)
            .map_err(|error| lift("read the next records", error))?;
        let assigned = match polled {
            Polled::Assigned(assigned) => assigned,
            Polled::Revoked => Vec::new(),
            Polled::Records => {
                for record in &self.batch.records {
                    batch.push(Record {
                        input: record.topic,
                        partition: record.partition,
                        offset: record.offset,
                        appended: record.timestamp * 1_000,
                        key: self.batch.key(record),
                        value: self.batch.value(record),
                        first: first(&self.batch, record),
                    });
                    record.trace.into_iter().for_each(|trace| batch.trace(trace));
                }
                return Ok(Turn::Records);
            }
        };
        self.moved = Some(assigned);
        self.ready = false;
        Ok(Turn::Moved)
    }

    fn restore(&mut self, table: &mut Table) -> Result<(), Error> {
        let Some(assigned) = &self.moved else { return Ok(()) };
        self.read_changelog(assigned, table).map_err(|error| lift("restore the state", error))?;
        self.ready = !assigned.is_empty();
        self.moved = None;
        Ok(())
    }

    fn schema(&mut self, id: u32) -> Result<Option<String>, Error> {
        match self.target.service.registry.schema(id) {
            Ok(text) => Ok(Some(text)),
            Err(RegistryError::Codec(_)) => Ok(None),
            Err(error @ RegistryError::Away { .. }) => Err(Error::new(Class::Exit, "read a schema", error)),
        }
    }

    fn submit(&mut self, plan: Arc<Plan>) -> Result<(), Error> {
        let fail = |error| lift("commit the batch", error);
        let transaction = self.member.transaction(plan.next()).map_err(fail)?;
        let (target, written) = (self.target.clone(), plan.clone());
        let thread = std::thread::Builder::new()
            .name(format!("{}-write", self.options.job))
            .spawn(move || target.write(&written, transaction))
            .map_err(|error| Error::new(Class::Exit, "start a thread for a commit", error))?;
        self.flying = Some(Flying { plan, thread });
        Ok(())
    }

    fn settle(&mut self) -> Result<(), Error> {
        let Some(Flying { plan, thread }) = self.flying.take() else { return Ok(()) };
        let panicked = |_| Err(kafka::Error::Broken("the thread of the commit panicked".to_owned()));
        let committed = thread.join().unwrap_or_else(panicked);
        committed.map_err(|error| lift("commit the batch", error))?;
        self.member.passed(plan.next());
        let n_dead = plan.dead().len() as u64;
        metrics::records(self.options.job, "out", plan.outputs().len() as u64, plan.n_bytes() as u64);
        metrics::records(self.options.job, "dead", n_dead, 0);
        Ok(())
    }

    fn rewind(&mut self, _cause: &Error) -> Result<(), Error> {
        self.member.rewind().map_err(|error| lift("rewind", error))
    }

    fn rejoin(&mut self, cause: &Error) -> Result<(), Error> {
        self.ready = false;
        self.moved = None;
        let own = std::error::Error::source(cause).and_then(|source| source.downcast_ref::<kafka::Error>());
        let cause = own.cloned().unwrap_or_else(|| kafka::Error::Broken(cause.to_string()));
        self.member
            .rejoin(&cause, &self.target.service.stop)
            .map_err(|error| lift("join the group anew", error))
    }

    fn close(&mut self) -> Result<(), Error> {
        self.target.service.health.turned(self.options.job, false);
        Ok(())
    }
}

/// What a record of `logs.redrive` was, where its headers name a raw record of the same partition.
fn first(batch: &kafka::Batch, record: &kafka::Record) -> Option<First> {
    let number = |name| std::str::from_utf8(batch.header(record, name)?).ok()?.parse::<i64>().ok();
    let letter = DeadLetter::from_headers(|name| batch.header(record, name)).ok()?;
    let is_raw = letter.topic == topics::RAW && letter.partition == record.partition;
    let received = number(dead::RECEIVED)?;
    is_raw.then_some(First { offset: letter.offset, received })
}

fn lift(action: &'static str, error: kafka::Error) -> Error {
    let class = match error.class() {
        kafka::Class::Abort => Class::Abort,
        kafka::Class::Rejoin => Class::Rejoin,
        kafka::Class::Exit => Class::Exit,
    };
    Error::new(class, action, error)
}

/// Where a group without offsets goes on: what the changelog says was processed is not processed again.
fn resolve_from_changelog(service: &Service, changelog: &str) -> Resolve {
    let (service, changelog) = (service.clone(), changelog.to_owned());
    Arc::new(move |missing| {
        let mut known = BTreeMap::new();
        let partitions: BTreeSet<i32> = missing.iter().map(|(_, partition)| *partition).collect();
        let partitions: Vec<i32> = partitions.into_iter().collect();
        read_to_mark(&service.config.kafka, &changelog, &partitions, |partition, _, key, value| {
            let at = missing
                .iter()
                .position(|(topic, own)| *own == partition && key == Progress::key(topic).as_bytes());
            if let Some(at) = at {
                let progress =
                    value.and_then(|value| service.codecs.progress().decode::<Progress>(value).ok());
                known.insert(at, progress.map(|progress| progress.next));
            }
            Ok(())
        })?;
        Ok((0..missing.len()).map(|at| known.get(&at).copied().flatten()).collect())
    })
}
