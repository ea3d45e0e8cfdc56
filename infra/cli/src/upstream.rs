//! The way to a gateway: a spool on disk, and what sends it. The forwarder and a relay have one each.

use std::cell::Cell;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use millrace_runtime::config::UpstreamConfig;
use millrace_runtime::metrics;
use millrace_runtime::service::ServiceError;
use millrace_spool::{Error, Options, Spool, Status};
use millrace_uplink::{Key, Keys, PATIENCE, Progress, Uplink};

use crate::output::chain;

/// Folders of spools below the data folder: of files, of the journal, of a relay, and of standard input with a number after it.
pub(crate) const FILES: &str = "spool";
pub(crate) const JOURNAL: &str = "journald/spool";
pub(crate) const RELAY: &str = "relay/spool";
pub(crate) const STDIN: &str = "stdin-spool";

/// With less room nothing more is taken.
const ROOM: u64 = millrace_forwarder::spool::ROOM;
/// Between two reports.
const LOOK: Duration = Duration::from_secs(1);

/// A spool that is being sent.
pub(crate) struct Sending {
    pub(crate) spool: Arc<Spool>,
    uplink: Uplink,
    looked: Cell<Option<Instant>>,
}

/// The spool in `dir`.
pub(crate) fn open(dir: PathBuf, config: &UpstreamConfig) -> Result<Spool, Error> {
    let UpstreamConfig { spool_bytes, parked_bytes, .. } = *config;
    Spool::open(Options { dir, max_bytes: spool_bytes, max_parked_bytes: parked_bytes })
}

impl Sending {
    /// Starts to send what `spool` holds and will hold.
    pub(crate) fn start(spool: Spool, config: &UpstreamConfig) -> Result<Sending, ServiceError> {
        let spool = Arc::new(spool);
        let uplink = Uplink::start(spool.clone(), &options(config)).map_err(failed)?;
        Ok(Sending { spool, uplink, looked: Cell::new(None) })
    }

    /// Reports how it goes, now and then.
    pub(crate) fn look(&self) {
        if self.looked.get().is_none_or(|last| last.elapsed() >= LOOK) {
            self.looked.set(Some(Instant::now()));
            report(&self.spool, &self.uplink);
        }
    }

    /// Gives what is on its way so long to arrive; what has not, the next start sends.
    pub(crate) fn finish(self, within: Duration) -> (Status, Progress) {
        let progress = self.uplink.finish(within);
        let status = self.spool.status();
        if status.waiting > 0 {
            let (n_batches, n_lines) = (status.waiting, status.waiting_records);
            tracing::warn!(n_batches, n_lines, "batches stay in the spool; the next start sends them");
        }
        (status, progress)
    }
}

fn options(config: &UpstreamConfig) -> millrace_uplink::Options {
    let file = |path: &PathBuf| Key::File(path.clone());
    let usual = config.key.as_ref().map(|key| Key::Text(key.0.clone()));
    millrace_uplink::Options {
        url: config.url.clone(),
        keys: Keys {
            usual: usual.or(config.key_file.as_ref().map(file)),
            of: config.key_files.iter().map(|(tenant, path)| (tenant.clone(), file(path))).collect(),
        },
        parallel: config.parallel,
        ca_file: config.ca_file.clone(),
        patience: PATIENCE,
    }
}

fn report(spool: &Spool, uplink: &Uplink) {
    let (status, progress) = (spool.status(), uplink.progress());
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    // Since its minute ended.
    let oldest = status.oldest_minute.map(|minute| now.saturating_sub((minute.max(0) as u64 + 1) * 60));
    metrics::spool(&metrics::Spool {
        bytes: status.bytes,
        waiting_records: status.waiting_records,
        oldest_seconds: oldest.unwrap_or_default(),
        parked_files: status.parked,
        dropped: status.dropped_since_start,
        full: !spool.has_room(ROOM),
        sent_records: status.done_records_since_start,
        attempts: [("taken", progress.taken), ("later", progress.put_off), ("refused", progress.refused)],
    });
}

pub(crate) fn failed(error: impl std::error::Error + Send + Sync + 'static) -> ServiceError {
    ServiceError::Other(chain(&anyhow::Error::new(error)))
}

/// Spools of a data folder, by name.
pub(crate) fn folders(data: &Path) -> Vec<(String, PathBuf)> {
    let mut found: Vec<_> =
        [FILES, JOURNAL, RELAY].map(|name| (name.to_owned(), data.join(name))).into_iter().collect();
    for entry in std::fs::read_dir(data).into_iter().flatten().flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        if name.strip_prefix(STDIN).is_some_and(|rest| rest.starts_with('-')) {
            found.push((name, entry.path()));
        }
    }
    found.retain(|(_, dir)| dir.is_dir());
    found.sort();
    found
}
