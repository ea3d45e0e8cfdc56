//! Open splits, and local copies of those that lie in a remote store.
//!
//! Owns a folder for the copies. Blocks on the store. Fails with *Gone* where an object was deleted by a merge.

use std::collections::HashMap;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use millrace_formats::split::{Split, SplitError};
use millrace_runtime::store::{Store, StoreError};
use millrace_schemas::manifest::{Fold, LivePart};
use tantivy::directory::error::OpenReadError;
use tantivy::directory::{Directory, MmapDirectory};

use super::SearchError;
use super::counts::Counts;

/// Bounds of the cache.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CacheOptions {
    /// Splits kept open.
    pub max_open: usize,
    /// Folder of the copies, its own and emptied at start; only needed where the store is not local.
    pub folder: Option<PathBuf>,
    /// Copies are dropped, the longest unused first, above this many bytes together.
    pub max_bytes: u64,
}

/// A byte range of an object.
type Key = (String, i64);

/// A split, and what is known of it while it is open.
#[derive(Debug)]
pub(super) struct OpenSplit {
    pub(super) split: Split,
    pub(super) counts: Counts,
}

/// Open splits by what was used last.
#[derive(Debug)]
pub struct SplitCache {
    store: Store,
    options: CacheOptions,
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    open: HashMap<Key, Used<Arc<OpenSplit>>>,
    copies: HashMap<Key, Used<Copied>>,
    clock: u64,
    n_copies: u64,
}

#[derive(Debug)]
struct Used<T> {
    value: T,
    at: u64,
}

#[derive(Debug, Clone)]
struct Copied {
    path: PathBuf,
    bytes: u64,
}

impl SplitCache {
    /// A cache over `store`.
    ///
    /// # Errors
    /// The folder cannot be made or emptied.
    pub fn new(store: Store, options: CacheOptions) -> Result<SplitCache, SearchError> {
        if let Some(folder) = &options.folder {
            empty(folder).map_err(|error| {
                internal("prepare the cache folder", format!("{}: {error}", folder.display()))
            })?;
        }
        Ok(SplitCache { store, options, inner: Mutex::default() })
    }

    /// The split of `live`, opened if need be.
    ///
    /// # Errors
    /// *Gone*, *Store*, *Damaged*, or the local disk.
    pub(super) fn open(&self, live: &LivePart) -> Result<Arc<OpenSplit>, SearchError> {
        let key = (live.record.object.clone(), live.part.from);
        if let Some(split) = self.lock().used(&key) {
            return Ok(split);
        }
        // Two threads may open the same split at once; one of them wins, the other's work is in vain.
        let split = self.open_anew(live, &key)?;
        let split = Arc::new(OpenSplit { split, counts: Counts::default() });
        let mut inner = self.lock();
        let at = inner.tick();
        inner.open.insert(key, Used { value: split.clone(), at });
        while inner.open.len() > self.options.max_open.max(1) {
            let Some(oldest) = oldest(&inner.open) else { break };
            inner.open.remove(&oldest);
        }
        Ok(split)
    }

    /// Forgets the splits that are live no more, so that their disk space is given back.
    pub fn retain(&self, fold: &Fold) {
        let live: std::collections::HashSet<(&str, i64)> =
            fold.parts().map(|live| (live.record.object.as_str(), live.part.from)).collect();
        let mut inner = self.lock();
        inner.open.retain(|(object, from), _| live.contains(&(object.as_str(), *from)));
        let gone: Vec<Key> = inner
            .copies
            .keys()
            .filter(|(object, from)| !live.contains(&(object.as_str(), *from)))
            .cloned()
            .collect();
        for key in gone {
            inner.drop_copy(&key);
        }
    }

    /// Splits that are open.
    pub fn n_open(&self) -> usize {
        self.lock().open.len()
    }

    /// Bytes of local copies.
    pub fn copied_bytes(&self) -> u64 {
        self.lock().copied_bytes()
    }

    fn open_anew(&self, live: &LivePart, key: &Key) -> Result<Split, SearchError> {
        let object = &live.record.object;
        let range = live.part.from.max(0) as u64..live.part.to.max(0) as u64;
        if let Some(file) = self.store.local_file(object) {
            return map(&file, range, object);
        }
        let copied = self.lock().used_copy(key);
        if let Some(copied) = copied
            && let Ok(split) = map(&copied.path, 0..copied.bytes, object)
        {
            return Ok(split);
        }
        let Some(folder) = &self.options.folder else {
            return Err(internal("copy a split", "no cache folder is configured for a remote store".into()));
        };
        let bytes = self.store.read_range(object, range).map_err(|error| gone_or(error, object))?;
        let n = {
            let mut inner = self.lock();
            inner.n_copies += 1;
            inner.n_copies
        };
        let path = folder.join(format!("{n}.split"));
        std::fs::write(&path, &bytes)
            .map_err(|error| internal("copy a split", format!("{}: {error}", path.display())))?;
        let copied = Copied { path: path.clone(), bytes: bytes.len() as u64 };
        let split = map(&path, 0..copied.bytes, object)?;
        split.verify().map_err(|error| damaged(error, object))?;
        let mut inner = self.lock();
        inner.drop_copy(key);
        let at = inner.tick();
        inner.copies.insert(key.clone(), Used { value: copied, at });
        // The newest copy stays even where it is larger than the bound: it is in use.
        while inner.copied_bytes() > self.options.max_bytes && inner.copies.len() > 1 {
            let Some(oldest) = oldest(&inner.copies) else {
                break;
            };
            inner.open.remove(&oldest);
            inner.drop_copy(&oldest);
        }
        Ok(split)
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        // Every change of the maps is one call, so a panic elsewhere leaves them whole.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    fn tick(&mut self) -> u64 {
        self.clock += 1;
        self.clock
    }

    fn used(&mut self, key: &Key) -> Option<Arc<OpenSplit>> {
        let at = self.tick();
        if let Some(copy) = self.copies.get_mut(key) {
            copy.at = at;
        }
        let used = self.open.get_mut(key)?;
        used.at = at;
        Some(used.value.clone())
    }

    fn used_copy(&mut self, key: &Key) -> Option<Copied> {
        let at = self.tick();
        let used = self.copies.get_mut(key)?;
        used.at = at;
        Some(used.value.clone())
    }

    fn copied_bytes(&self) -> u64 {
        self.copies.values().map(|copy| copy.value.bytes).sum()
    }

    /// A split that is still open keeps its bytes until it is closed.
    fn drop_copy(&mut self, key: &Key) {
        if let Some(copy) = self.copies.remove(key)
            && let Err(error) = std::fs::remove_file(&copy.value.path)
        {
            tracing::warn!(path = %copy.value.path.display(), %error, "could not delete a cached split");
        }
    }
}

fn oldest<T>(entries: &HashMap<Key, Used<T>>) -> Option<Key> {
    entries.iter().min_by_key(|(_, used)| used.at).map(|(key, _)| key.clone())
}

fn map(file: &Path, range: Range<u64>, object: &str) -> Result<Split, SearchError> {
    let (Some(folder), Some(name)) = (file.parent(), file.file_name()) else {
        return Err(internal("open a split", format!("{} is no file", file.display())));
    };
    if !file.exists() {
        return Err(SearchError::Gone { object: object.to_owned() });
    }
    let folder = MmapDirectory::open(folder)
        .map_err(|error| internal("open a folder of splits", error.to_string()))?;
    let handle = folder.get_file_handle(Path::new(name)).map_err(|error| match error {
        OpenReadError::FileDoesNotExist(_) => SearchError::Gone { object: object.to_owned() },
        error => internal("open a split", error.to_string()),
    })?;
    Split::open_range(handle, range).map_err(|error| damaged(error, object))
}

fn empty(folder: &Path) -> std::io::Result<()> {
    std::fs::create_dir_all(folder)?;
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "split") {
            std::fs::remove_file(path)?;
        }
    }
    Ok(())
}

fn gone_or(error: StoreError, object: &str) -> SearchError {
    match &*error.source {
        object_store::Error::NotFound { .. } => SearchError::Gone { object: object.to_owned() },
        _ => SearchError::Store(error),
    }
}

pub(super) fn damaged(error: SplitError, object: &str) -> SearchError {
    if error.damaged {
        SearchError::Damaged { object: object.to_owned(), reason: error.to_string() }
    } else {
        internal(error.action, error.reason)
    }
}

pub(super) fn internal(action: &'static str, reason: String) -> SearchError {
    SearchError::Internal { action, reason }
}
