//! The outlet to Kafka: lines, positions and ledger deltas of a batch in one transaction.

use std::time::Instant;

use millrace_runtime::flow::Gate;
use millrace_runtime::kafka::admin::Admin;
use millrace_runtime::kafka::{Class, Guard, OutRecord, TxnProducer, read_to_mark};
use millrace_runtime::metrics;
use millrace_runtime::service::{Service, ServiceError};
use millrace_runtime::sink::{GENERATION, send_deltas};
use millrace_schemas::ledger::{Tally, stage};
use millrace_schemas::position::FilePosition;
use millrace_schemas::{key_partition, topics};

use crate::{Batch, Outlet, OutletError};

/// One forwarder's transactional producer and its partition of `millrace.positions`.
pub struct KafkaOutlet {
    service: Service,
    forwarder_id: String,
    partition: i32,
    producer: Option<TxnProducer>,
    gate: Gate,
    guard: Guard,
    value: Vec<u8>,
}

impl KafkaOutlet {
    /// Connects; the transactional id is taken by [`Outlet::restore`].
    ///
    /// # Errors
    /// *Exit*.
    pub fn open(service: &Service, forwarder_id: &str, guard: Guard) -> Result<KafkaOutlet, ServiceError> {
        let n_partitions = Admin::open(&service.config.kafka)?.partitions(topics::POSITIONS)?;
        Ok(KafkaOutlet {
            service: service.clone(),
            forwarder_id: forwarder_id.to_owned(),
            partition: key_partition(forwarder_id.as_bytes(), n_partitions),
            producer: None,
            gate: Gate::open(service)?,
            guard,
            value: Vec::new(),
        })
    }

    fn transact(&mut self, producer: &mut TxnProducer, batch: &Batch) -> Result<(), ServiceError> {
        let start = Instant::now();
        producer.begin()?;
        for (tag, record) in batch.records().iter().enumerate() {
            producer.send(OutRecord {
                topic: topics::RAW,
                partition: None,
                key: batch.source(record).key.as_bytes(),
                value: Some(batch.value(record)),
                headers: &[],
                tag,
            })?;
        }
        let sent = start.elapsed();
        let deliveries = producer.flush()?;
        let flushed = start.elapsed();
        if deliveries.len() != batch.records().len() {
            let (sent, acknowledged) = (batch.records().len(), deliveries.len());
            return Err(ServiceError::Other(format!("{acknowledged} of {sent} records were acknowledged")));
        }
        let mut tally = Tally::default();
        for (record, delivery) in batch.records().iter().zip(&deliveries) {
            batch.count(record, delivery.partition, delivery.offset, &mut tally);
        }
        for (positions, gone) in [(batch.positions(), false), (batch.forgotten(), true)] {
            for position in positions {
                self.value.clear();
                self.service.codecs.position().encode(position, &mut self.value)?;
                producer.send(OutRecord {
                    topic: topics::POSITIONS,
                    partition: Some(self.partition),
                    key: position.key().as_bytes(),
                    value: (!gone).then_some(self.value.as_slice()),
                    headers: &[],
                    tag: usize::MAX,
                })?;
            }
        }
        let deltas = tally.into_deltas(stage::FORWARD, GENERATION);
        send_deltas(producer, &self.service, &deltas, &mut self.value)?;
        producer.commit(None)?;
        tracing::debug!(n_records = deliveries.len(), ?sent, ?flushed, committed = ?start.elapsed(), "batch committed");
        let bytes = deltas.iter().map(|delta| delta.bytes as u64).sum();
        metrics::records(stage::FORWARD, "out", deliveries.len() as u64, bytes);
        Ok(())
    }
}

impl Outlet for KafkaOutlet {
    fn restore(&mut self) -> Result<Vec<FilePosition>, OutletError> {
        let exit = |error: ServiceError| match error.class() {
            Class::Rejoin => OutletError::Retry { reason: error.to_string() },
            Class::Abort | Class::Exit => OutletError::Exit { reason: error.to_string() },
        };
        let kafka = &self.service.config.kafka;
        self.producer = None;
        let id = format!("{}-forward-{}", kafka.prefix, self.forwarder_id);
        // First the producer, which decides what a kill left open; then what it had committed.
        let producer = TxnProducer::open(kafka, &id, true, self.guard).map_err(|error| exit(error.into()))?;
        self.producer = Some(producer);
        let mut positions = std::collections::BTreeMap::new();
        let codec = self.service.codecs.position();
        read_to_mark(kafka, topics::POSITIONS, &[self.partition], |_, _, key, value| {
            match value.map(|value| codec.decode::<FilePosition>(value)) {
                Some(Ok(position)) if position.forwarder == self.forwarder_id => {
                    positions.insert(key.to_vec(), position);
                }
                Some(Ok(_)) => {}
                Some(Err(error)) => {
                    let key = String::from_utf8_lossy(key);
                    let text = format!(
                        "could not read position {key}: {error}; is the registry the one it was written with?"
                    );
                    return Err(millrace_runtime::kafka::Error::Broken(text));
                }
                None => drop(positions.remove(key)),
            }
            Ok(())
        })
        .map_err(|error| exit(error.into()))?;
        Ok(positions.into_values().collect())
    }

    fn commit(&mut self, batch: &Batch) -> Result<(), OutletError> {
        let Some(mut producer) = self.producer.take() else {
            return Err(OutletError::Rejoin { reason: "no producer".to_owned() });
        };
        self.service.health.turned(stage::FORWARD, true);
        let Err(error) = self.transact(&mut producer, batch) else {
            self.producer = Some(producer);
            return Ok(());
        };
        let reason = error.to_string();
        match error.class() {
            Class::Abort if producer.abort().is_ok() => {
                self.producer = Some(producer);
                Err(OutletError::Abort { reason })
            }
            Class::Abort => Err(OutletError::Rejoin { reason }),
            Class::Rejoin => {
                metrics::rejoin(stage::FORWARD);
                Err(OutletError::Rejoin { reason })
            }
            Class::Exit => Err(OutletError::Exit { reason }),
        }
    }

    fn may_write(&mut self) -> bool {
        self.service.health.turned(stage::FORWARD, true);
        match self.gate.may_write() {
            Ok(may) => may,
            Err(error) => {
                tracing::warn!(%error, "flow marks not to be had, waiting");
                false
            }
        }
    }
}
