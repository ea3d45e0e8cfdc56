//! Reading and writing `millrace.control`.
//!
//! Of two writers at once the later one fences the earlier, which says so: what was read after the producer was opened still
//! holds when it commits. Blocks; where Kafka is away, up to a minute.

use millrace_runtime::kafka::{self, Guard, OutRecord, TxnProducer, read_to_mark};
use millrace_runtime::service::Service;
use millrace_schemas::control::ControlRecord;
use millrace_schemas::{CodecError, topics};

use crate::{Decision, Known, Refusal};

/// A record by its key; `None` deletes it.
pub type Change = (String, Option<ControlRecord>);

/// Why nothing was changed, or why that is not known.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// What is asked for cannot be.
    #[error("{0}")]
    Refused(Refusal),
    /// Kafka, or another writer that came between.
    #[error(transparent)]
    Kafka(#[from] kafka::Error),
    /// A bug.
    #[error(transparent)]
    Codec(#[from] CodecError),
}

impl From<Refusal> for Error {
    fn from(refusal: Refusal) -> Error {
        Error::Refused(refusal)
    }
}

/// What there is now.
///
/// # Errors
/// Kafka does not answer.
pub fn read(service: &Service) -> Result<Known, Error> {
    let mut known = Known::default();
    read_to_mark(&service.config.kafka, topics::CONTROL, &[0], |_, _, key, value| {
        let record = value.and_then(|value| service.codecs.control().decode::<ControlRecord>(value).ok());
        known.take(key, record.as_ref());
        Ok(())
    })?;
    Ok(known)
}

/// Lets `decide` say what becomes of what there is, and writes that in one transaction; with `dry_run` only says it.
///
/// # Errors
/// It is refused; or Kafka's, after which it is not always known whether it was written.
pub fn change<T>(
    service: &Service,
    dry_run: bool,
    decide: impl FnOnce(&Known) -> Decision<T>,
) -> Result<T, Error> {
    let kafka = &service.config.kafka;
    let open = || TxnProducer::open(kafka, &format!("{}-access", kafka.prefix), false, Guard::default());
    let producer = if dry_run { None } else { Some(open()?) };
    let (changes, answer) = decide(&read(service)?)?;
    if let Some(producer) = producer.filter(|_| !changes.is_empty()) {
        write(service, producer, &changes)?;
    }
    Ok(answer)
}

fn write(service: &Service, mut producer: TxnProducer, changes: &[Change]) -> Result<(), Error> {
    producer.begin()?;
    for (key, record) in changes {
        let mut value = Vec::new();
        if let Some(record) = record {
            service.codecs.control().encode(record, &mut value)?;
        }
        producer.send(OutRecord {
            topic: topics::CONTROL,
            partition: Some(0),
            key: key.as_bytes(),
            value: record.is_some().then_some(value.as_slice()),
            headers: &[],
            tag: usize::MAX,
        })?;
    }
    Ok(producer.commit(None)?)
}
