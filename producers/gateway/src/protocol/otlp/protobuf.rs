//! The protobuf form, record by record.

use prost::Message;

use super::message::{LogRecord, Resource, Scope};
use super::{ReadError, Records, Source};
use crate::item::Malformed;
use crate::protocol::wire::{MAX_PART, one, parts};

/// Fields of `ExportLogsServiceRequest`, `ResourceLogs` and `ScopeLogs` that are read.
const REQUEST: &[u64] = &[1];
const RESOURCE_LOGS: &[u64] = &[1, 2];
const SCOPE_LOGS: &[u64] = &[1, 2];

pub(super) fn read(body: &[u8], records: &mut Records<'_>) -> Result<(), ReadError> {
    for group in parts(body, REQUEST, 1) {
        let group = group?;
        let resource: Resource = one(group, RESOURCE_LOGS, 1)?;
        let source = Source::new(&resource.attributes, records.default_stream);
        for scope_logs in parts(group, RESOURCE_LOGS, 2) {
            let scope_logs = scope_logs?;
            let scope: Scope = one(scope_logs, SCOPE_LOGS, 1)?;
            for record in parts(scope_logs, SCOPE_LOGS, 2) {
                let record = record?;
                if record.len() > MAX_PART {
                    records.too_long(record.len())?;
                    continue;
                }
                // Values nested deeper than protobuf's usual 100 levels are refused.
                let record = LogRecord::decode(record)
                    .map_err(|error| Malformed(format!("not an ExportLogsServiceRequest: {error}")))?;
                records.take(&source, Some(&scope), &record)?;
            }
        }
    }
    Ok(())
}
