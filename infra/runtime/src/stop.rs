//! Stopping: a flag that loops look at between batches, set by SIGTERM or SIGINT, and a deadline.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// How long a process may take to stop once it was told to.
pub const DEADLINE: Duration = Duration::from_secs(25);

/// A flag shared by all loops of a process.
#[derive(Debug, Clone, Default)]
pub struct Stop(Arc<AtomicBool>);

impl Stop {
    /// A flag that is set by SIGTERM, SIGINT, or [`Stop::request`]. A second signal, or the deadline, ends the process
    /// with exit code 1.
    ///
    /// # Errors
    /// The signal handler could not be set.
    pub fn on_signals() -> std::io::Result<Stop> {
        let stop = Stop::default();
        let flag = stop.clone();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let (mut term, mut int) = {
            let _guard = runtime.enter();
            use tokio::signal::unix::{SignalKind, signal};
            (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?)
        };
        std::thread::Builder::new().name("signals".to_owned()).spawn(move || {
            runtime.block_on(async {
                tokio::select! { _ = term.recv() => {}, _ = int.recv() => {} }
                tracing::info!(deadline_seconds = DEADLINE.as_secs(), "stopping");
                flag.request();
                tokio::select! { _ = term.recv() => {}, _ = int.recv() => {}, () = tokio::time::sleep(DEADLINE) => {} }
                tracing::error!("did not stop in time, ending now; the next start goes on from the last commit");
                std::process::exit(1);
            });
        })?;
        Ok(stop)
    }

    /// Asks all loops to stop.
    pub fn request(&self) {
        self.0.store(true, Ordering::SeqCst);
    }

    /// Whether to stop.
    pub fn requested(&self) -> bool {
        self.0.load(Ordering::SeqCst)
    }

    /// Sleeps for `time`, or until told to stop.
    pub fn sleep(&self, time: Duration) {
        let start = std::time::Instant::now();
        while !self.requested() && start.elapsed() < time {
            std::thread::sleep(Duration::from_millis(20).min(time));
        }
    }
}
