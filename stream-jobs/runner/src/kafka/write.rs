//! One plan as one transaction: what the session's thread beside the loop does.

use std::sync::Arc;

use millrace_jobs::{Plan, changelog_key};
use millrace_runtime::kafka::{Error, OutRecord, Transaction, TxnProducer};
use millrace_runtime::service::Service;
use millrace_runtime::sink::send_deltas;
use millrace_schemas::progress::Progress;
use millrace_schemas::{key_partition, topics, trace};

/// Where a session's transactions go.
pub(super) struct Target {
    pub(super) service: Service,
    pub(super) changelog: String,
    pub(super) inputs: Vec<String>,
    pub(super) outputs: Vec<String>,
    /// Partitions of each output.
    pub(super) n_partitions: Vec<i32>,
}

impl Target {
    /// Writes all of `plan` and commits it.
    pub(super) fn write(&self, plan: &Arc<Plan>, transaction: Transaction) -> Result<(), Error> {
        let mut producer = transaction.producer();
        producer.begin()?;
        self.send(plan, &mut producer)?;
        self.send_books(plan, &mut producer)?;
        drop(producer);
        transaction.commit()
    }

    fn send(&self, plan: &Plan, producer: &mut TxnProducer) -> Result<(), Error> {
        for output in plan.outputs() {
            let partition = output
                .partition
                .unwrap_or_else(|| key_partition(output.key, self.n_partitions[output.target]));
            let trace = output.trace.as_ref().map(|own| (trace::HEADER, own.as_bytes()));
            producer.send(OutRecord {
                topic: &self.outputs[output.target],
                partition: Some(partition),
                key: output.key,
                value: Some(output.value),
                headers: trace.as_slice(),
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
            self.send_change(partition, &changelog_key(key), value, producer)?;
        }
        Ok(())
    }

    /// Progress and ledger: small, but part of the same transaction.
    fn send_books(&self, plan: &Plan, producer: &mut TxnProducer) -> Result<(), Error> {
        let broken = |error: &dyn std::fmt::Display| Error::Broken(error.to_string());
        let mut value = Vec::new();
        for (&(input, partition), &next) in plan.next() {
            let topic = self.inputs[input].clone();
            let key = Progress::key(&topic);
            value.clear();
            let progress = Progress { topic, partition, next, version: plan.version() };
            self.service.codecs.progress().encode(&progress, &mut value).map_err(|error| broken(&error))?;
            self.send_change(partition, key.as_bytes(), Some(&value), producer)?;
        }
        send_deltas(producer, &self.service, &plan.deltas(), &mut value).map_err(|error| broken(&error))
    }

    fn send_change(
        &self,
        partition: i32,
        key: &[u8],
        value: Option<&[u8]>,
        producer: &mut TxnProducer,
    ) -> Result<(), Error> {
        producer.send(OutRecord {
            topic: &self.changelog,
            partition: Some(partition),
            key,
            value,
            headers: &[],
            tag: usize::MAX,
        })
    }
}
