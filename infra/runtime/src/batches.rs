//! `millrace.batches`, as its readers take it.

use millrace_schemas::attempt::BatchState;
use millrace_schemas::topics;

use crate::kafka::{Error, read_to_mark};
use crate::service::Service;

/// Gives every record up to now to `each`, by its key; `None`: the batch is forgotten.
///
/// # Errors
/// Kafka does not answer, or a record cannot be read.
pub fn read(service: &Service, mut each: impl FnMut(&[u8], Option<BatchState>)) -> Result<(), Error> {
    read_to_mark(&service.config.kafka, topics::BATCHES, &[0], |_, offset, key, value| {
        each(key, state(service, offset, value)?);
        Ok(())
    })
}

/// The value of the record at `offset`.
///
/// # Errors
/// It cannot be read.
pub fn state(service: &Service, offset: i64, value: Option<&[u8]>) -> Result<Option<BatchState>, Error> {
    let state = value.map(|value| service.codecs.batches().decode::<BatchState>(value)).transpose();
    state.map_err(|error| unreadable(offset, &error))
}

/// Why the record at `offset` cannot be read.
pub fn unreadable(offset: i64, reason: &impl std::fmt::Display) -> Error {
    Error::Broken(format!("could not read offset {offset} of {}: {reason}", topics::BATCHES))
}
