//! The way of a forwarder's lines to a gateway.

use std::cell::RefCell;
use std::path::{Path, PathBuf};
use std::time::Duration;

use millrace_forwarder::spool::{SpoolOutlet, schema_version};
use millrace_runtime::service::ServiceError;
use millrace_schemas::ledger::stage;
use millrace_spool::{Error, Group, Spool};

use super::{Process, Way, other};
use crate::upstream::{STDIN, Sending, failed, open};

/// Runs at once that read standard input.
const MAX_RUNS: usize = 64;
/// How long what is on its way may take when the process stops.
const FAREWELL: Duration = Duration::from_secs(10);

pub(super) struct Upstream<'a> {
    process: &'a Process,
    running: RefCell<Option<Sending>>,
}

impl<'a> Upstream<'a> {
    pub(super) fn new(process: &'a Process) -> Upstream<'a> {
        Upstream { process, running: RefCell::new(None) }
    }

    fn spool(&self, folder: &Path) -> Result<Spool, ServiceError> {
        let open = |dir: PathBuf| open(dir, &self.process.config.upstream);
        if !folder.ends_with(STDIN) {
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
        let sending = Sending::start(self.spool(folder)?, &self.process.config.upstream)?;
        let spool = sending.spool.clone();
        self.running.replace(Some(sending));
        Ok(SpoolOutlet::new(spool))
    }

    fn look(&self) {
        self.process.health.turned(stage::FORWARD, true);
        if let Some(sending) = &*self.running.borrow() {
            sending.look();
        }
    }

    fn finish(&self, all: bool) -> bool {
        let waits = || match &*self.running.borrow() {
            Some(Sending { spool, .. }) => {
                spool.seal();
                spool.status().waiting > 0
            }
            None => false,
        };
        while all && waits() && !self.process.stop.requested() {
            self.look();
            std::thread::sleep(Duration::from_millis(20));
        }
        let Some(sending) = self.running.take() else { return true };
        let (status, progress) = sending.finish(FAREWELL);
        !all || (status.waiting == 0 && progress.refused == 0)
    }
}
