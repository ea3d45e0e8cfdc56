//! Open splits, and local copies of those that lie in a remote store.
//!
//! Owns a folder for the copies. Blocks on the store. Fails with *Gone* where an object was deleted by a merge. A split is
//! verified before it is searched first, and again where its file has changed since: an index trusts its bytes, and would
//! answer from damaged ones, or end the process where a mapped file was cut short.

use std::collections::HashMap;
use std::ops::Range;
use std::os::unix::fs::MetadataExt;
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
    /// Splits that lie in place and were verified, with what their file was then.
    sound: HashMap<Key, Stamp>,
    clock: u64,
    n_copies: u64,
}

#[derive(Debug)]
struct Used<T> {
    value: T,
    at: u64,
}

/// What a file was; one that was written to is another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Stamp {
    inode: u64,
    len: u64,
    modified: (i64, i64),
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
        let file = self.store.local_file(&key.0);
        let stamp = file.as_deref().map(stamp).transpose()?.flatten();
        let is_sound = {
            let mut inner = self.lock();
            // One whose file was deleted can still be read while it is open.
            let is_sound = stamp.is_none() || inner.sound.get(&key) == stamp.as_ref();
            if !is_sound {
                inner.open.remove(&key);
                inner.sound.remove(&key);
            } else if let Some(split) = inner.used(&key) {
                return Ok(split);
            }
            is_sound
        };
        // Two threads may open the same split at once; one of them wins, the other's work is in vain.
        let split = match &file {
            Some(_) if stamp.is_none() => return Err(SearchError::Gone { object: key.0 }),
            Some(file) => map(file, part_range(live), &key.0, !is_sound)?,
            None => self.open_copy(live, &key)?,
        };
        let split = Arc::new(OpenSplit { split, counts: Counts::default() });
        let mut inner = self.lock();
        inner.sound.extend(stamp.map(|stamp| (key.clone(), stamp)));
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
        inner.sound.retain(|(object, from), _| live.contains(&(object.as_str(), *from)));
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

    fn open_copy(&self, live: &LivePart, key: &Key) -> Result<Split, SearchError> {
        let object = &live.record.object;
        let copied = self.lock().used_copy(key);
        if let Some(copied) = copied
            && let Ok(split) = map(&copied.path, 0..copied.bytes, object, false)
        {
            return Ok(split);
        }
        let Some(folder) = &self.options.folder else {
            return Err(internal("copy a split", "no cache folder is configured for a remote store".into()));
        };
        let bytes =
            self.store.read_range(object, part_range(live)).map_err(|error| gone_or(error, object))?;
        let n = {
            let mut inner = self.lock();
            inner.n_copies += 1;
            inner.n_copies
        };
        let path = folder.join(format!("{n}.split"));
        std::fs::write(&path, &bytes)
            .map_err(|error| internal("copy a split", format!("{}: {error}", path.display())))?;
        let copied = Copied { path: path.clone(), bytes: bytes.len() as u64 };
        let split = map(&path, 0..copied.bytes, object, true).inspect_err(|_| {
            std::fs::remove_file(&path).ok();
        })?;
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

/// What a file is now; `None` where there is none.
fn stamp(file: &Path) -> Result<Option<Stamp>, SearchError> {
    match file.metadata() {
        Ok(meta) => {
            let modified = (meta.mtime(), meta.mtime_nsec());
            Ok(Some(Stamp { inode: meta.ino(), len: meta.len(), modified }))
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(internal("look at a split", format!("{}: {error}", file.display()))),
    }
}

fn part_range(live: &LivePart) -> Range<u64> {
    live.part.from.max(0) as u64..live.part.to.max(0) as u64
}

fn map(file: &Path, range: Range<u64>, object: &str, verify: bool) -> Result<Split, SearchError> {
    let (Some(folder), Some(name)) = (file.parent(), file.file_name()) else {
        return Err(internal("open a split", format!("{} is no file", file.display())));
    };
    let folder = MmapDirectory::open(folder)
        .map_err(|error| internal("open a folder of splits", error.to_string()))?;
    let handle = folder.get_file_handle(Path::new(name)).map_err(|error| match error {
        OpenReadError::FileDoesNotExist(_) => SearchError::Gone { object: object.to_owned() },
        error => internal("open a split", error.to_string()),
    })?;
    let opened = if verify { Split::open_verified(handle, range) } else { Split::open_range(handle, range) };
    opened.map_err(|error| damaged(error, object))
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
    if error.is_not_found() {
        return SearchError::Gone { object: object.to_owned() };
    }
    if error.is_damage() {
        return SearchError::Damaged { object: object.to_owned(), reason: error.source.to_string() };
    }
    SearchError::Store(error)
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
