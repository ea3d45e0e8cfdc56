//! The indexer as a service.

use std::sync::atomic::AtomicBool;
use std::time::Duration;

use millrace_runtime::kafka::Guard;
use millrace_runtime::owner::OwnerOptions;
use millrace_runtime::service::{Service, ServiceError};
use millrace_runtime::sink::{SinkOptions, serve};
use millrace_schemas::ledger::stage;
use millrace_schemas::topics;

use crate::{IndexBuilder, SplitMerger};

/// Indexes until told to stop.
///
/// # Errors
/// Of class *Exit*.
pub fn run(service: &Service) -> Result<(), ServiceError> {
    let config = &service.config.index;
    let sink = SinkOptions {
        stage: stage::INDEX,
        manifest: topics::SPLITS,
        commit_interval: config.commit_interval,
        max_buffer_bytes: config.max_buffer_bytes,
        writes_letters: false,
        guard: Guard::default(),
    };
    let owner = OwnerOptions {
        stage: stage::INDEX,
        manifest: topics::SPLITS,
        folders: vec!["index".to_owned()],
        delete_after: config.delete_after,
        orphan_interval: Duration::from_secs(30),
        guard: Guard::default(),
    };
    let ids = service.codecs.parsed_ids();
    drop(IndexBuilder::new(ids)?); // a schema that does not fit shows here, not in the middle of the loop
    let merger = SplitMerger::default();
    serve(service, &sink, &owner, || IndexBuilder::new(ids), &merger, &AtomicBool::new(false))
}
