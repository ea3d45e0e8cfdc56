//! Sends the batches of a spool to a gateway: `PUT /v1/batches/{stream}/{host}/{minute}`, chunked, so that a batch travels
//! while its minute still runs; many at once after an outage; again, after growing pauses, until the gateway has committed it.
//!
//! Owns: a thread with a runtime of its own. Blocks: nobody. Fails: never by itself; what the gateway refuses for good is
//! parked, and everything else stays in the spool until it is taken.
#![warn(missing_docs)]

mod answer;
mod body;
mod flight;
mod keys;
mod pace;
mod sender;

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use millrace_spool::Spool;
use tokio::sync::watch;

pub use keys::{Key, Keys};

use crate::flight::Target;
use crate::sender::Sender;

/// What an uplink is told.
#[derive(Debug, Clone)]
pub struct Options {
    /// Base address of the gateway.
    pub url: String,
    /// Keys by tenant.
    pub keys: Keys,
    /// Batches that are sent at once: so many that grow, and so many that are overdue.
    pub parallel: usize,
    /// Certificates that vouch for the gateway, beside those that the system trusts: PEM.
    pub ca_file: Option<PathBuf>,
    /// How long the gateway may take for the next thing that is its turn; [`PATIENCE`].
    pub patience: Duration,
}

/// Usual patience with a gateway: longer than its own with Kafka.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// How it goes; counts are since the start.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Progress {
    /// Batches on their way.
    pub in_flight: usize,
    /// Attempts that ended with the batch committed.
    pub taken: u64,
    /// Attempts after which the batch is sent again.
    pub put_off: u64,
    /// Attempts after which the batch is parked.
    pub refused: u64,
    /// Why the last attempt did not end well; `None` after one that did.
    pub trouble: Option<String>,
}

/// Why sending cannot begin.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The address is none.
    #[error("could not use {url:?} as the address of a gateway: {reason}")]
    Url {
        /// What was given.
        url: String,
        /// What is wrong with it.
        reason: String,
    },
    /// A file cannot be read.
    #[error("could not read {}", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// TLS, threads.
    #[error("could not get ready to send: {reason}")]
    Setup {
        /// What was said.
        reason: String,
    },
}

/// Sends until it is told to finish.
#[derive(Debug)]
pub struct Uplink {
    spool: Arc<Spool>,
    progress: Arc<Mutex<Progress>>,
    stop: watch::Sender<Option<Duration>>,
    thread: Option<JoinHandle<()>>,
}

impl Uplink {
    /// Starts sending what `spool` holds and will hold.
    ///
    /// # Errors
    /// The options are wrong.
    pub fn start(spool: Arc<Spool>, options: &Options) -> Result<Uplink, Error> {
        let setup = |reason: String| Error::Setup { reason };
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            // Reads of the spool: one for each batch on its way.
            .max_blocking_threads(4)
            .thread_name("uplink")
            .enable_all()
            .build()
            .map_err(|error| setup(error.to_string()))?;
        let target = Target::new(options)?;
        let progress = Arc::new(Mutex::new(Progress::default()));
        let (stop, stopped) = watch::channel(None);
        let sender = Sender::new(spool.clone(), target, options.parallel, progress.clone());
        let thread = std::thread::Builder::new().name("uplink".to_owned()).spawn(move || {
            runtime.block_on(sender.run(stopped));
            runtime.shutdown_timeout(Duration::from_secs(1));
        });
        let thread = Some(thread.map_err(|error| setup(error.to_string()))?);
        Ok(Uplink { spool, progress, stop, thread })
    }

    /// How it goes.
    pub fn progress(&self) -> Progress {
        self.progress.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Ends the batches that grow, waits for what is on its way for at most `within`, and stops. What is not taken by then
    /// stays in the spool.
    pub fn finish(mut self, within: Duration) -> Progress {
        self.spool.seal();
        self.end(within);
        self.progress()
    }

    fn end(&mut self, within: Duration) {
        self.stop.send_replace(Some(within));
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the thread that sends batches panicked");
        }
    }
}

impl Drop for Uplink {
    fn drop(&mut self) {
        self.end(Duration::ZERO);
    }
}
