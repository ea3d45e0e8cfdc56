//! The way to a gateway: a spool on disk, and what sends it.

use std::cell::{Cell, RefCell};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use millrace_forwarder::spool::{SpoolOutlet, schema_version};
use millrace_runtime::config::UpstreamConfig;
use millrace_runtime::metrics;
use millrace_runtime::service::ServiceError;
use millrace_schemas::ledger::stage;
use millrace_spool::{Error, Group, Options, Spool};
use millrace_uplink::{Key, Keys, PATIENCE, Uplink};

use super::{Process, Way, other};
use crate::output::chain;

/// Folders of spools below the data folder: of files, of the journal, and of standard input with a number after it.
pub(crate) const SPOOLS: [&str; 3] = ["spool", "journald/spool", "stdin-spool"];
/// Runs at once that read standard input.
const MAX_RUNS: usize = 64;
/// How long what is on its way may take when the process stops.
const FAREWELL: Duration = Duration::from_secs(10);
/// Between two reports.
const LOOK: Duration = Duration::from_secs(1);

pub(super) struct Upstream<'a> {
    process: &'a Process,
    running: RefCell<Option<(Arc<Spool>, Uplink)>>,
    looked: Cell<Option<Instant>>,
}

impl<'a> Upstream<'a> {
    pub(super) fn new(process: &'a Process) -> Upstream<'a> {
        Upstream { process, running: RefCell::new(None), looked: Cell::new(None) }
    }

    fn spool(&self, folder: &Path) -> Result<Spool, ServiceError> {
        let UpstreamConfig { spool_bytes, parked_bytes, .. } = self.process.config.upstream;
        let open = |dir: PathBuf| {
            Spool::open(Options { dir, max_bytes: spool_bytes, max_parked_bytes: parked_bytes })
        };
        if !folder.ends_with(SPOOLS[2]) {
            return open(folder.to_owned()).map_err(failed);
        }
        // One that a killed run left behind is sent by the next run.
        for number in 0..MAX_RUNS {
            match open(PathBuf::from(format!("{}-{number}", folder.display()))) {
                Err(Error::Locked { .. }) => {}
                Err(error) => return Err(failed(error)),
                Ok(spool) => {
                    // Its position is of no use to anybody.
                    let mut group = Group::default();
                    spool.table().iter().for_each(|(key, _)| group.delete(key));
                    spool.append(&group, 0).map_err(failed)?;
                    return Ok(spool);
                }
            }
        }
        Err(other(format!("{MAX_RUNS} others already send their standard input; wait for one of them")))
    }
}

impl Way for Upstream<'_> {
    type Outlet = SpoolOutlet;

    fn schema_id(&self) -> u32 {
        schema_version()
    }

    fn open(&self, _id: &str, folder: &Path) -> Result<SpoolOutlet, ServiceError> {
        let spool = Arc::new(self.spool(folder)?);
        let uplink = Uplink::start(spool.clone(), &options(&self.process.config.upstream)).map_err(failed)?;
        self.running.replace(Some((spool.clone(), uplink)));
        Ok(SpoolOutlet::new(spool))
    }

    fn look(&self) {
        self.process.health.turned(stage::FORWARD, true);
        if self.looked.get().is_some_and(|last| last.elapsed() < LOOK) {
            return;
        }
        self.looked.set(Some(Instant::now()));
        if let Some((spool, uplink)) = &*self.running.borrow() {
            report(spool, uplink);
        }
    }

    fn finish(&self, all: bool) -> bool {
        let waits = || match &*self.running.borrow() {
            Some((spool, _)) => {
                spool.seal();
                spool.status().waiting > 0
            }
            None => false,
        };
        while all && waits() && !self.process.stop.requested() {
            self.look();
            std::thread::sleep(Duration::from_millis(20));
        }
        let Some((spool, uplink)) = self.running.take() else { return true };
        let progress = uplink.finish(FAREWELL);
        let status = spool.status();
        if status.waiting > 0 {
            let (n_batches, n_lines) = (status.waiting, status.waiting_records);
            tracing::warn!(n_batches, n_lines, "batches stay in the spool; the next start sends them");
        }
        !all || (status.waiting == 0 && progress.refused == 0)
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
        full: !spool.has_room(millrace_forwarder::spool::ROOM),
        sent_records: status.done_records_since_start,
        attempts: [("taken", progress.taken), ("later", progress.put_off), ("refused", progress.refused)],
    });
}

fn failed(error: impl std::error::Error + Send + Sync + 'static) -> ServiceError {
    other(chain(&anyhow::Error::new(error)))
}
