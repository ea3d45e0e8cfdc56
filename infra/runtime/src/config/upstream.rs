//! The gateway that takes what this process has: `[upstream]`.

use std::path::PathBuf;

use millrace_schemas::id::valid_id;

use super::raw;

/// The gateway, and the spool before it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UpstreamConfig {
    /// Base address.
    pub url: String,
    /// Key of tenants that have none of their own.
    pub key: Option<Secret>,
    /// File that holds it.
    pub key_file: Option<PathBuf>,
    /// Files that hold keys, by tenant.
    pub key_files: Vec<(String, PathBuf)>,
    /// Authorities that vouch for the gateway, beside those of the system.
    pub ca_file: Option<PathBuf>,
    /// Batches sent at once: so many that grow, and so many that are overdue.
    pub parallel: usize,
    /// Bytes of lines that wait on disk.
    pub spool_bytes: u64,
    /// Bytes of batches that were refused.
    pub parked_bytes: u64,
}

/// What must not be shown.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(pub String);

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("***")
    }
}

/// `fault` takes a path and what is wrong with it.
pub(super) fn check(raw: raw::Upstream, fault: &mut dyn FnMut(&str, String)) -> UpstreamConfig {
    let config = UpstreamConfig {
        url: raw.url.unwrap_or_else(|| "http://127.0.0.1:8080".to_owned()),
        key: raw.key.map(Secret),
        key_file: raw.key_file.map(PathBuf::from),
        key_files: raw.key_files.into_iter().map(|(tenant, path)| (tenant, path.into())).collect(),
        ca_file: raw.ca_file.map(PathBuf::from),
        parallel: raw.parallel.unwrap_or(8),
        spool_bytes: raw.spool_mib.unwrap_or(1_024) << 20,
        parked_bytes: raw.parked_mib.unwrap_or(256) << 20,
    };
    let url = url::Url::parse(&config.url);
    if !url.is_ok_and(|url| matches!(url.scheme(), "http" | "https") && url.host_str().is_some()) {
        fault("upstream.url", format!("{:?} is not an http address", config.url));
    }
    if config.key.is_some() && config.key_file.is_some() {
        fault("upstream.key", "is set, and key_file too: give one of them".into());
    }
    for (tenant, _) in config.key_files.iter().filter(|(tenant, _)| !valid_id(tenant)) {
        fault("upstream.key_files", format!("{tenant:?} is not a tenant id, [a-z0-9-]{{1,64}}"));
    }
    if !(1..=64).contains(&config.parallel) {
        fault("upstream.parallel", format!("{} is not in 1..=64", config.parallel));
    }
    for (path, bytes) in
        [("upstream.spool_mib", config.spool_bytes), ("upstream.parked_mib", config.parked_bytes)]
    {
        // A batch of the forwarder has several MiB.
        if !(64 << 20..=1 << 50).contains(&bytes) {
            fault(path, format!("{} is not in 64..=1073741824", bytes >> 20));
        }
    }
    config
}
