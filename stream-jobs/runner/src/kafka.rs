//! The Kafka session: a member of the job's group whose transactions carry everything that a plan holds (I2).

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use millrace_jobs::{Batch, Plan, Record, Table};
use millrace_runtime::kafka::{self, Guard, Member, MemberOptions, OutRecord, Polled, Resolve, read_to_mark};
use millrace_runtime::metrics;
use millrace_runtime::registry::RegistryError;
use millrace_runtime::service::Service;
use millrace_runtime::sink::send_deltas;
use millrace_schemas::progress::Progress;
use millrace_schemas::{key_partition, topics};

use crate::error::{Class, Error};
use crate::session::Session;

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
    service: Service,
    options: SessionOptions,
    changelog: String,
    n_partitions: Vec<i32>,
    member: Member,
    batch: kafka::Batch,
    ready: bool,
    value: Vec<u8>,
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
            with_headers: Vec::new(),
            resolve: resolve_from_changelog(service, &changelog),
            guard: options.guard,
        };
        let member = Member::join(&service.config.kafka, member_options).map_err(fail)?;
        Ok(KafkaSession {
            service: service.clone(),
            changelog,
            n_partitions,
            member,
            batch: kafka::Batch::default(),
            ready: false,
            value: Vec::new(),
            options,
        })
    }

    /// Fills the table from the changelog of the partitions assigned, and holds the offsets against it.
    fn restore(&mut self, assigned: &[(String, i32, i64)], table: &mut Table) -> Result<(), kafka::Error> {
        table.clear();
        let partitions: Vec<i32> = assigned
            .iter()
            .map(|(_, partition, _)| *partition)
            .collect::<BTreeSet<_>>()
            .into_iter()
            .collect();
        let codecs = &self.service.codecs;
        let mut known: Vec<Progress> = Vec::new();
        read_to_mark(
            &self.service.config.kafka,
            &self.changelog,
            &partitions,
            |partition, _, key, value| {
                if !table.restore(partition, key, value)
                    && let Some(progress) =
                        value.and_then(|value| codecs.progress().decode::<Progress>(value).ok())
                {
                    known.push(progress);
                }
                Ok(())
            },
        )?;
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

    fn send(&mut self, plan: &Plan) -> Result<(), kafka::Error> {
        let producer = &mut self.member.producer;
        producer.begin()?;
        for output in plan.outputs() {
            let partition = output
                .partition
                .unwrap_or_else(|| key_partition(output.key, self.n_partitions[output.target]));
            producer.send(OutRecord {
                topic: &self.options.outputs[output.target],
                partition: Some(partition),
                key: output.key,
                value: Some(output.value),
                headers: &[],
                tag: usize::MAX,
            })?;
        }
        for dead in plan.dead() {
            let headers: Vec<(&str, String)> = dead.headers().collect();
            let headers: Vec<(&str, &[u8])> =
                headers.iter().map(|(name, value)| (*name, value.as_bytes())).collect();
            producer.send(OutRecord {
                topic: topics::DEAD,
                partition: Some(dead.partition),
                key: dead.key,
                value: Some(dead.value),
                headers: &headers,
                tag: usize::MAX,
            })?;
        }
        for (partition, key, value) in plan.writes().iter() {
            let key = millrace_jobs::changelog_key(key);
            producer.send(OutRecord {
                topic: &self.changelog,
                partition: Some(partition),
                key: key.as_ref(),
                value,
                headers: &[],
                tag: usize::MAX,
            })?;
        }
        Ok(())
    }

    /// Progress and ledger: small, but part of the same transaction.
    fn send_books(&mut self, plan: &Plan) -> Result<(), kafka::Error> {
        let broken = |error: &dyn std::fmt::Display| kafka::Error::Broken(error.to_string());
        for (&(input, partition), &next) in plan.next() {
            let topic = self.options.inputs[input].clone();
            let key = Progress::key(&topic);
            self.value.clear();
            let progress = Progress { topic, partition, next, version: plan.version() };
            self.service
                .codecs
                .progress()
                .encode(&progress, &mut self.value)
                .map_err(|error| broken(&error))?;
            self.member.producer.send(OutRecord {
                topic: &self.changelog,
                partition: Some(partition),
                key: key.as_bytes(),
                value: Some(&self.value),
                headers: &[],
                tag: usize::MAX,
            })?;
        }
        send_deltas(&mut self.member.producer, &self.service, &plan.deltas(), &mut self.value)
            .map_err(|error| broken(&error))
    }
}

impl Session for KafkaSession {
    fn poll(&mut self, table: &mut Table, batch: &mut Batch) -> Result<(), Error> {
        self.service.health.turned(self.options.job, self.ready);
        let options = &self.options;
        let wait = Duration::from_millis(100);
        let polled = self
            .member
            .poll(&mut self.batch, options.max_records, options.max_bytes, wait, options.linger)
            .map_err(|error| lift("read the next records", error))?;
        match polled {
            Polled::Assigned(assigned) => {
                self.restore(&assigned, table).map_err(|error| lift("restore the state", error))?;
                self.ready = true;
            }
            Polled::Revoked => {
                table.clear();
                self.ready = false;
            }
            Polled::Records => {
                for record in &self.batch.records {
                    batch.push(Record {
                        input: record.topic,
                        partition: record.partition,
                        offset: record.offset,
                        appended: record.timestamp * 1_000,
                        key: self.batch.key(record),
                        value: self.batch.value(record),
                    });
                }
            }
        }
        Ok(())
    }

    fn schema(&mut self, id: u32) -> Result<Option<String>, Error> {
        match self.service.registry.schema(id) {
            Ok(text) => Ok(Some(text)),
            Err(RegistryError::Codec(_)) => Ok(None),
            Err(error @ RegistryError::Away { .. }) => Err(Error::new(Class::Exit, "read a schema", error)),
        }
    }

    fn commit(&mut self, plan: &Plan) -> Result<(), Error> {
        let committed = self.send(plan).and_then(|()| {
            self.send_books(plan)?;
            self.member.commit(plan.next())
        });
        committed.map_err(|error| lift("commit the batch", error))?;
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
        let own = std::error::Error::source(cause).and_then(|source| source.downcast_ref::<kafka::Error>());
        let cause = own.cloned().unwrap_or_else(|| kafka::Error::Broken(cause.to_string()));
        self.member.rejoin(&cause, &self.service.stop).map_err(|error| lift("join the group anew", error))
    }

    fn close(&mut self) -> Result<(), Error> {
        self.service.health.turned(self.options.job, false);
        Ok(())
    }
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
