//! What `millrace.control` says of tenants, keys, quotas, sources and streams.

use std::collections::BTreeMap;

use millrace_schemas::access::{KeyEntry, TenantEntry};
use millrace_schemas::control::ControlRecord;
use millrace_schemas::quota::Quota;
use millrace_schemas::source::SourceEntry;
use millrace_schemas::stream::StreamEntry;

/// All of it, by id.
#[derive(Debug, Clone, Default)]
pub struct Known {
    /// Tenants that were made; `default` is there without.
    pub tenants: BTreeMap<String, TenantEntry>,
    /// Keys, those that are over, too.
    pub keys: BTreeMap<String, KeyEntry>,
    /// Quotas of tenants.
    pub quotas: BTreeMap<String, Quota>,
    /// Sources that were set.
    pub sources: BTreeMap<String, SourceEntry>,
    /// Streams that were set, by tenant and name.
    pub streams: BTreeMap<(String, String), StreamEntry>,
}

impl Known {
    /// Takes up a record; one that is deleted, or cannot be read, is none.
    pub fn take(&mut self, key: &[u8], record: Option<&ControlRecord>) {
        match std::str::from_utf8(key).ok().and_then(|key| key.split_once('/')) {
            Some(("tenant", id)) => put(&mut self.tenants, id, record.and_then(ControlRecord::as_tenant)),
            Some(("key", id)) => put(&mut self.keys, id, record.and_then(ControlRecord::as_api_key)),
            Some(("quota", id)) => put(&mut self.quotas, id, record.and_then(ControlRecord::as_quota)),
            Some(("source", id)) => put(&mut self.sources, id, record.and_then(ControlRecord::as_source)),
            Some(("stream", id)) => {
                let Some((tenant, name)) = id.split_once('/') else { return };
                let id = (tenant.to_owned(), name.to_owned());
                match record.and_then(ControlRecord::as_stream) {
                    Some(entry) => drop(self.streams.insert(id, entry)),
                    None => drop(self.streams.remove(&id)),
                }
            }
            _ => {}
        }
    }
}

fn put<T>(all: &mut BTreeMap<String, T>, id: &str, entry: Option<T>) {
    match entry {
        Some(entry) => drop(all.insert(id.to_owned(), entry)),
        None => drop(all.remove(id)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_record_of_each_key_counts() {
        let mut known = Known::default();
        let tenant = ControlRecord::tenant("acme", &TenantEntry { created: 5 });
        let quota = ControlRecord::quota("acme", &Quota { max_streams: Some(3), ..Quota::default() });
        for record in [&tenant, &quota] {
            known.take(record.key().as_bytes(), Some(record));
        }
        assert_eq!((known.tenants["acme"].created, known.quotas["acme"].max_streams), (5, Some(3)));
        known.take(quota.key().as_bytes(), None);
        known.take(b"flow/logs.raw", None);
        known.take(b"\xff", Some(&tenant));
        assert_eq!((known.tenants.len(), known.quotas.len()), (1, 0));
        known.take(tenant.key().as_bytes(), Some(&ControlRecord { json: "?".into(), ..tenant.clone() }));
        assert_eq!(known.tenants.len(), 0, "what cannot be read is none");
    }
}
