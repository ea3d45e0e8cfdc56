//! What a sink sends: objects to the store, manifest records and ledger deltas into the open transaction.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use millrace_schemas::ledger::Delta;
use millrace_schemas::manifest::ManifestRecord;
use millrace_schemas::{key_partition, topics};

use crate::kafka::{OutRecord, TxnProducer};
use crate::service::{Service, ServiceError};

/// Between two calls to a store that does not take an object.
const PAUSE: Duration = Duration::from_secs(1);

/// Of somebody who puts an object into a store that may be away.
#[derive(Debug, Default)]
pub(crate) struct Patience {
    tried: AtomicBool,
    ended: AtomicBool,
}

impl Patience {
    /// Whether the store has refused the object at least once.
    pub(crate) fn is_tried(&self) -> bool {
        self.tried.load(Ordering::Relaxed)
    }

    /// Nobody wants the object any more.
    pub(crate) fn give_up(&self) {
        self.ended.store(true, Ordering::Relaxed);
    }
}

/// Puts an object, waiting for a store that is away until told to stop, or given up.
pub(crate) fn put_until(
    service: &Service,
    stage: &str,
    path: &str,
    bytes: Vec<u8>,
    patience: &Patience,
) -> Result<(), ServiceError> {
    let bytes = bytes::Bytes::from(bytes);
    loop {
        match service.store.put_new(path, bytes.clone()) {
            Ok(()) => return Ok(()),
            Err(error) if service.stop.requested() || patience.ended.load(Ordering::Relaxed) => {
                return Err(error.into());
            }
            Err(error) => {
                tracing::error!(stage, path, %error, "store does not take objects, waiting for it");
                service.health.turned(stage, false);
                patience.tried.store(true, Ordering::Relaxed);
                // A refusal (wrong keys, no such bucket) comes at once.
                service.stop.sleep(PAUSE);
            }
        }
    }
}

/// Sends a manifest record to its tenant's partition.
pub(crate) fn send_manifest(
    producer: &mut TxnProducer,
    service: &Service,
    topic: &str,
    n_partitions: i32,
    record: &ManifestRecord,
    value: &mut Vec<u8>,
) -> Result<(), ServiceError> {
    value.clear();
    service.codecs.manifest().encode(record, value)?;
    producer.send(OutRecord {
        topic,
        partition: Some(key_partition(record.tenant.as_bytes(), n_partitions)),
        key: record.key().as_bytes(),
        value: Some(value),
        headers: &[],
        tag: usize::MAX,
    })?;
    Ok(())
}

/// Sends ledger deltas, each stream's to one partition.
///
/// # Errors
/// By class.
pub fn send_deltas(
    producer: &mut TxnProducer,
    service: &Service,
    deltas: &[Delta],
    value: &mut Vec<u8>,
) -> Result<(), ServiceError> {
    let n_partitions = crate::service::topic_specs(service.config.kafka.partitions)?
        .iter()
        .find(|spec| spec.name == topics::LEDGER)
        .map_or(1, |spec| spec.partitions);
    for delta in deltas {
        value.clear();
        service.codecs.ledger().encode(delta, value)?;
        producer.send(OutRecord {
            topic: topics::LEDGER,
            partition: Some(key_partition(delta.partition_key().as_bytes(), n_partitions)),
            key: delta.key().as_bytes(),
            value: Some(value),
            headers: &[],
            tag: usize::MAX,
        })?;
    }
    Ok(())
}

/// A name's part that is never used twice.
pub(crate) fn attempt() -> String {
    uuid::Uuid::new_v4().simple().to_string()[..12].to_owned()
}

/// µs since the epoch.
pub fn now_micros() -> i64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    since.as_micros() as i64
}
