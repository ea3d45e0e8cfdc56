//! Paths that cannot be followed: said once, tried again at every scan.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use tracing::{info, warn};

/// What is wrong with which path; as many as the last scan met.
#[derive(Debug, Default)]
pub(crate) struct Troubles {
    known: HashMap<PathBuf, (String, u64)>,
}

impl Troubles {
    /// Says what is wrong with `path`, unless that was said before.
    pub(crate) fn report(&mut self, path: &Path, reason: String, scan: u64) {
        let known = self.known.get_mut(path).filter(|(known, _)| *known == reason);
        if let Some((_, seen_in)) = known {
            *seen_in = scan;
            return;
        }
        warn!(path = %path.display(), %reason, "could not follow a file; it is tried again at every scan");
        self.known.insert(path.to_owned(), (reason, scan));
    }

    /// Notes that what is wrong with `path` still is.
    pub(crate) fn keep(&mut self, path: &Path, scan: u64) {
        if let Some((_, seen_in)) = self.known.get_mut(path) {
            *seen_in = scan;
        }
    }

    /// Forgets what was wrong with `path`.
    pub(crate) fn clear(&mut self, path: &Path) {
        if !self.known.is_empty() && self.known.remove(path).is_some() {
            info!(path = %path.display(), "a file can be followed now");
        }
    }

    /// Forgets paths that scan number `scan` did not meet.
    pub(crate) fn prune(&mut self, scan: u64) {
        self.known.retain(|_, (_, seen_in)| *seen_in == scan);
    }

    /// Paths in trouble.
    pub(crate) fn len(&self) -> usize {
        self.known.len()
    }
}
