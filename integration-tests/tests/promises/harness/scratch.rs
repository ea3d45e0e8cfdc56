//! Folders of a test run, below the build's own temporary folder. Those of runs that have ended are removed, unless a test
//! failed in them.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

/// Written into the folder of a test that failed: kept until the next build is cleaned.
const KEPT: &str = "kept";

fn root() -> &'static Path {
    static ROOT: OnceLock<PathBuf> = OnceLock::new();
    ROOT.get_or_init(|| {
        let all = Path::new(env!("CARGO_TARGET_TMPDIR")).join("promises");
        fs::create_dir_all(&all).unwrap();
        for old in fs::read_dir(&all).unwrap().flatten() {
            let pid = old.file_name().to_string_lossy().into_owned();
            let lives = Path::new("/proc").join(&pid).exists();
            if !lives && !old.path().join(KEPT).exists() {
                // Another run may be doing the same.
                drop(fs::remove_dir_all(old.path()));
            }
        }
        let own = all.join(std::process::id().to_string());
        fs::create_dir_all(&own).unwrap();
        own
    })
}

/// An empty folder for `test`.
pub(crate) fn folder(test: &str) -> PathBuf {
    let folder = root().join(test);
    if folder.exists() {
        fs::remove_dir_all(&folder).unwrap();
    }
    fs::create_dir_all(&folder).unwrap();
    folder
}

/// An empty folder for one more `what`, which no test removes.
pub(crate) fn own_folder(what: &str) -> PathBuf {
    static NUMBER: AtomicU32 = AtomicU32::new(0);
    folder(&format!("{what}-{}", NUMBER.fetch_add(1, Ordering::Relaxed)))
}

/// Keeps the folders of this run for whoever looks into a failure.
pub(crate) fn keep() {
    drop(fs::write(root().join(KEPT), b""));
}
