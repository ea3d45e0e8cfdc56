//! Keys of a relay: its configuration is read again when it changes, and of what it says then the keys hold at once, the
//! rest from the next start on.
//!
//! Fails: a configuration that cannot be read is said, and the former keys stay.

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use millrace_runtime::config::Config;
use millrace_runtime::keys::{Keyring, admin_key};

/// Between two looks at the file.
const LOOK: Duration = Duration::from_secs(1);

pub(crate) struct RelayKeys {
    file: Option<PathBuf>,
    seen: Option<Stamp>,
    looked: Instant,
    keys: Keyring,
}

/// What tells one state of a file from another.
type Stamp = (u64, u64, i64, i64);

impl RelayKeys {
    /// Those of `config`, which was read from `file`.
    pub(crate) fn new(config: &Config, file: Option<&Path>) -> RelayKeys {
        let keys = Keyring::of(admin_key(&config.data_dir), config.gateway.keys.clone());
        // Not what it is now: it may have changed since it was read.
        RelayKeys { file: file.map(Path::to_owned), seen: None, looked: Instant::now(), keys }
    }

    pub(crate) fn keys(&self) -> Keyring {
        self.keys.clone()
    }

    /// Looks at the file, now and then.
    pub(crate) fn look(&mut self) {
        let Some(file) = self.file.as_ref().filter(|_| self.looked.elapsed() >= LOOK) else { return };
        self.looked = Instant::now();
        let meta = std::fs::metadata(file).ok();
        let now = meta.map(|meta| (meta.ino(), meta.len(), meta.mtime(), meta.mtime_nsec()));
        if now == self.seen {
            return;
        }
        self.seen = now;
        match Config::load(Some(file)) {
            Ok(config) => {
                tracing::info!(n_keys = config.gateway.keys.len(), "keys of this relay read");
                self.keys.replace(config.gateway.keys);
            }
            Err(error) => tracing::error!(%error, "keys of this relay not read, the former ones stay"),
        }
    }
}
