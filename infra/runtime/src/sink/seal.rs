//! A bundle on its way into the store, on a thread of its own, while the loop gathers the next one.

use std::sync::Arc;
use std::thread::JoinHandle;

use millrace_schemas::manifest::ManifestRecord;

use super::gather::Open;
use super::send::{Patience, now_micros, put_until};
use super::{BundleBuilder, Sealed, checksum};
use crate::service::{Service, ServiceError};

/// What is sealed and put. Dropped, it is given up: an object without a manifest record is an orphan (I5).
pub(super) struct Sealing<B> {
    thread: Option<JoinHandle<Result<Stored<B>, ServiceError>>>,
    patience: Arc<Patience>,
}

/// A bundle that lies in the store; not part of anything before its manifest records are committed.
pub(super) struct Stored<B> {
    pub(super) open: Open<B>,
    pub(super) records: Vec<ManifestRecord>,
    /// Bytes of the object.
    pub(super) size: usize,
}

impl<B: BundleBuilder + Send + 'static> Sealing<B> {
    /// Starts.
    ///
    /// # Errors
    /// No thread is to be had.
    pub(super) fn start(
        service: &Service,
        stage: &'static str,
        open: Open<B>,
    ) -> Result<Sealing<B>, ServiceError> {
        let patience: Arc<Patience> = Arc::default();
        let (service, own) = (service.clone(), patience.clone());
        let thread = std::thread::Builder::new()
            .name(format!("{stage}-seal"))
            .spawn(move || store(&service, stage, open, &own))
            .map_err(|error| ServiceError::Other(format!("could not start a thread: {error}")))?;
        Ok(Sealing { thread: Some(thread), patience })
    }

    /// Whether [`Sealing::finish`] would not wait.
    pub(super) fn is_finished(&self) -> bool {
        self.thread.as_ref().is_none_or(JoinHandle::is_finished)
    }

    /// Whether it waits for a store that does not take objects.
    pub(super) fn waits_for_store(&self) -> bool {
        self.patience.is_tried()
    }

    /// Waits for it.
    ///
    /// # Errors
    /// The builder's; the store's where the process is told to stop.
    pub(super) fn finish(mut self) -> Result<Stored<B>, ServiceError> {
        let thread = self.thread.take();
        let thread = thread.ok_or_else(|| ServiceError::Other("a bundle was sealed twice".to_owned()))?;
        thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    }
}

impl<B> Drop for Sealing<B> {
    fn drop(&mut self) {
        self.patience.give_up();
    }
}

fn store<B: BundleBuilder>(
    service: &Service,
    stage: &'static str,
    mut open: Open<B>,
    patience: &Patience,
) -> Result<Stored<B>, ServiceError> {
    let id = open.name();
    let Sealed { bytes, parts } = open.builder.seal(&id)?;
    let path = format!("bundles/{stage}/{id}");
    let (size, checksum) = (bytes.len(), checksum(&bytes));
    if !parts.is_empty() {
        put_until(service, stage, &path, bytes, patience)?;
    }
    let sources = open.sources();
    let records = parts
        .into_iter()
        .map(|(tenant, parts)| ManifestRecord {
            id: id.clone(),
            tenant,
            object: path.clone(),
            size: size as i64,
            checksum: checksum.clone(),
            created: now_micros(),
            group: stage.to_owned(),
            sources: sources.clone(),
            parts,
            replaces: Vec::new(),
        })
        .collect();
    Ok(Stored { open, records, size })
}
