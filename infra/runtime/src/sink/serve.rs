//! A sink as a service: its loop, and the owner of its manifest beside it.

use std::sync::atomic::AtomicBool;

use super::{BuildError, BundleBuilder, Merger, SinkOptions};
use crate::owner::{self, OwnerOptions};
use crate::service::{Service, ServiceError};

/// Runs both until told to stop, or until one ends with an error, which stops the process.
///
/// # Errors
/// Of class *Exit*.
pub fn serve<B: BundleBuilder + Send + 'static, M: Merger + Sync>(
    service: &Service,
    sink: &SinkOptions,
    owner: &OwnerOptions,
    make: impl Fn() -> Result<B, BuildError> + Send,
    merger: &M,
    holds_first: &AtomicBool,
) -> Result<(), ServiceError> {
    let slot = service.slot(sink.stage)?;
    let number = slot.number();
    std::thread::scope(|scope| {
        let stopping = |result: Result<(), ServiceError>| {
            if result.is_err() {
                service.stop.request();
            }
            result
        };
        let spawn = std::thread::Builder::new().name(format!("{}-owner", sink.stage));
        let owning = spawn
            .spawn_scoped(scope, move || stopping(owner::run(service, owner, number, merger, holds_first)))
            .map_err(|error| ServiceError::Other(format!("could not start a thread: {error}")))?;
        let sank = stopping(super::run(service, sink, number, make));
        let owned = owning
            .join()
            .unwrap_or_else(|_| Err(ServiceError::Other("the manifest owner panicked".to_owned())));
        sank.and(owned)
    })
}
