//! The archiver as a service; the keeper of the topics' size and the folder of the ledger run with it.

use std::sync::atomic::AtomicBool;
use std::time::Duration;

use millrace_runtime::kafka::Guard;
use millrace_runtime::owner::OwnerOptions;
use millrace_runtime::service::{Service, ServiceError};
use millrace_runtime::sink::{SinkOptions, serve};
use millrace_runtime::{folder, keeper};
use millrace_schemas::ledger::stage;
use millrace_schemas::manifest::TableName;
use millrace_schemas::topics;

use crate::{ArchiveBuilder, ArchiveMerger};

/// Archives until told to stop.
///
/// # Errors
/// Of class *Exit*.
pub fn run(service: &Service) -> Result<(), ServiceError> {
    let config = &service.config.archive;
    let sink = SinkOptions {
        stage: stage::ARCHIVE,
        manifest: topics::FILES,
        commit_interval: config.commit_interval,
        max_buffer_bytes: config.max_buffer_bytes,
        writes_letters: true,
        guard: Guard::default(),
    };
    let owner = OwnerOptions {
        stage: stage::ARCHIVE,
        manifest: topics::FILES,
        folders: [TableName::Events, TableName::Dead].iter().map(|table| table.as_str().to_owned()).collect(),
        delete_after: config.delete_after,
        orphan_interval: Duration::from_secs(30),
        guard: Guard::default(),
    };
    let holds_first = AtomicBool::new(false);
    std::thread::scope(|scope| {
        // On threads of their own: they are needed most when the store is away and the others wait for it.
        let holds = &holds_first;
        let beside = |name: &str, run: fn(&Service, &AtomicBool) -> Result<(), ServiceError>| {
            let spawn = std::thread::Builder::new().name(name.to_owned());
            spawn.spawn_scoped(scope, move || run(service, holds)).map_err(|error| {
                service.stop.request();
                ServiceError::Other(format!("could not start a thread: {error}"))
            })
        };
        let (keeping, folding) = (beside("keeper", keeper::run)?, beside("folder", folder::run)?);
        let merger = ArchiveMerger::new();
        let served = serve(service, &sink, &owner, || Ok(ArchiveBuilder::new()), &merger, &holds_first);
        service.stop.request();
        let panicked = |_| Err(ServiceError::Other("keeper or folder panicked".to_owned()));
        let others = [keeping, folding].map(|own| own.join().unwrap_or_else(panicked));
        others.into_iter().fold(served, Result::and)
    })
}
