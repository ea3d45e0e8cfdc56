//! What the project's bench measures.

use std::time::Instant;

use millrace_formats::table::{Effort, TableReader, merge};
use millrace_runtime::sink::{BuildError, BundleBuilder};
use millrace_schemas::Event;
use millrace_schemas::manifest::TableName;

use crate::ArchiveBuilder;

/// One run.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Measured {
    /// Rows archived.
    pub rows: u64,
    /// Their lines as text, with line ends.
    pub text_bytes: u64,
    /// The bundle they came to first.
    pub bundle_bytes: u64,
    /// The plain files that remain.
    pub parquet_bytes: u64,
    /// Time to gather and seal the bundles.
    pub seconds: f64,
    /// Time to merge them into plain files.
    pub merge_seconds: f64,
}

/// Bundles as the sink makes them (sealed at 24 MiB), then one merge per stream and hour, as the owner does.
///
/// # Errors
/// A bug.
pub fn archive(events: &[Event<'_>]) -> Result<Measured, BuildError> {
    let fail = |reason: millrace_formats::table::TableError| BuildError {
        action: "archive rows".to_owned(),
        reason: reason.to_string(),
    };
    let start = Instant::now();
    let mut builder = ArchiveBuilder::new();
    let mut sealed = Vec::new();
    for event in events {
        builder.add_event(event, &[])?;
        if builder.buffered() > 24 << 20 {
            sealed.push(builder.seal("bench")?);
        }
    }
    sealed.push(builder.seal("bench")?);
    let seconds = start.elapsed().as_secs_f64();

    let start = Instant::now();
    let mut inputs = std::collections::BTreeMap::<_, Vec<_>>::new();
    let mut bundle_bytes = 0;
    for bundle in sealed {
        let bytes = bytes::Bytes::from(bundle.bytes);
        bundle_bytes += bytes.len() as u64;
        for (tenant, parts) in bundle.parts {
            for part in parts {
                let own = bytes.slice(part.from as usize..part.to as usize);
                let len = own.len() as u64;
                let reader = TableReader::open(own, len).map_err(fail)?;
                inputs.entry((tenant.clone(), part.stream, part.bucket)).or_default().push(reader);
            }
        }
    }
    let (mut rows, mut parquet_bytes) = (0, 0);
    for readers in inputs.into_values() {
        let mut out = Vec::new();
        rows += merge(TableName::Events, &readers, Effort::Small, &mut out).map_err(fail)?.rows_out;
        parquet_bytes += out.len() as u64;
    }
    let merge_seconds = start.elapsed().as_secs_f64();
    let text = |event: &Event<'_>| (event.body.len() + event.line_end.bytes().len()) as u64;
    let text_bytes = events.iter().map(text).sum();
    Ok(Measured { rows, text_bytes, bundle_bytes, parquet_bytes, seconds, merge_seconds })
}
