//! The archiver as a service; the keeper of the topics' size runs with it.

use std::sync::atomic::AtomicBool;
use std::time::Duration;

use millrace_runtime::kafka::Guard;
use millrace_runtime::keeper;
use millrace_runtime::owner::OwnerOptions;
use millrace_runtime::service::{Service, ServiceError};
use millrace_runtime::sink::{SinkOptions, serve};
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
        // On a thread of its own: it is needed most when the store is away and the others wait for it.
        let spawn = std::thread::Builder::new().name("keeper".to_owned());
        let keeping = spawn
            .spawn_scoped(scope, || keeper::run(service, &holds_first))
            .map_err(|error| ServiceError::Other(format!("could not start a thread: {error}")))?;
        let merger = ArchiveMerger::new();
        let served = serve(service, &sink, &owner, || Ok(ArchiveBuilder::new()), &merger, &holds_first);
        service.stop.request();
        let kept =
            keeping.join().unwrap_or_else(|_| Err(ServiceError::Other("the keeper panicked".to_owned())));
        served.and(kept)
    })
}
