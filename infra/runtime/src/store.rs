//! The object store, as the loops see it: blocking calls with retries and a deadline.
//!
//! Owns a small tokio runtime for `object_store`. Blocks the calling thread. Fails with [`StoreError`] once the deadline
//! of a call has passed; nothing is retried that the store has refused for good.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures::TryStreamExt;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt, PutMode, PutOptions, PutPayload};

/// A call to the store that did not succeed within its deadline, or never can.
#[derive(Debug, thiserror::Error)]
#[error("could not {action} {path} in {store}: {}; check the [store] section and `millrace doctor`", one_line(.source))]
pub struct StoreError {
    /// Verb: put, read, delete, list.
    pub action: &'static str,
    /// Object or prefix.
    pub path: String,
    /// Address of the store.
    pub store: String,
    /// What the store said last.
    pub source: Box<object_store::Error>,
}

impl StoreError {
    /// Whether the store answered that there is no such object, or that it is shorter than it was written.
    pub fn is_damage(&self) -> bool {
        is_cut(&self.source) || self.is_not_found()
    }

    /// Whether the store answered that there is no such object. Where all of the bucket is missing, nothing is known of the object.
    pub fn is_not_found(&self) -> bool {
        is_not_found(&self.source)
    }
}

/// What a store says, without the line ends that it may say it with.
fn one_line(source: &object_store::Error) -> String {
    let said = source.to_string();
    said.lines().map(str::trim).collect::<Vec<_>>().join(" ")
}

/// S3 tells a bucket that is missing with the status of an object that is missing.
fn is_not_found(error: &object_store::Error) -> bool {
    matches!(error, object_store::Error::NotFound { source, .. } if !source.to_string().contains("NoSuchBucket"))
}

/// An object that is shorter than it was written.
#[derive(Debug, thiserror::Error)]
#[error("it is cut short: it has {size} bytes, and bytes up to {end} were asked for")]
struct Cut {
    size: u64,
    end: u64,
}

fn is_cut(error: &object_store::Error) -> bool {
    matches!(error, object_store::Error::Generic { source, .. } if source.is::<Cut>())
}

/// An object as a listing shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    /// Path.
    pub path: String,
    /// Size, bytes.
    pub size: u64,
    /// When it was written, µs since the epoch by the store's clock.
    pub modified: i64,
}

/// Where the objects are.
#[derive(Debug, Clone)]
pub struct Store {
    inner: Arc<dyn ObjectStore>,
    address: String,
    local_root: Option<std::path::PathBuf>,
    runtime: Arc<tokio::runtime::Runtime>,
    deadline: Duration,
}

/// How to reach a store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoreOptions {
    /// A folder, `file:///folder`, or `s3://bucket/prefix`.
    pub url: String,
    /// Keys of `object_store`'s S3 client (`endpoint`, `access_key_id`, `allow_http`, …).
    pub options: Vec<(String, String)>,
    /// A call is retried for at most this long.
    pub deadline: Duration,
}

impl Store {
    /// Opens the store; a local folder is made where it is missing.
    ///
    /// # Errors
    /// Wrong address or options, or a folder that cannot be made.
    pub fn open(options: &StoreOptions) -> Result<Store, StoreError> {
        let fail = |source| StoreError {
            action: "open",
            path: String::new(),
            store: options.url.clone(),
            source: Box::new(source),
        };
        let generic = |error: Box<dyn std::error::Error + Send + Sync>| object_store::Error::Generic {
            store: "store",
            source: error,
        };
        let folder = match options.url.split_once("://") {
            None => Some(options.url.as_str()),
            Some(("file", folder)) => Some(folder),
            Some(_) => None,
        };
        let (inner, local_root): (Arc<dyn ObjectStore>, _) = match folder {
            Some(folder) => {
                std::fs::create_dir_all(folder).map_err(|error| fail(generic(Box::new(error))))?;
                let root = std::fs::canonicalize(folder).map_err(|error| fail(generic(Box::new(error))))?;
                let local = object_store::local::LocalFileSystem::new_with_prefix(&root).map_err(fail)?;
                (Arc::new(local.with_automatic_cleanup(true)), Some(root))
            }
            None => {
                let url = url::Url::parse(&options.url).map_err(|error| fail(generic(Box::new(error))))?;
                let pairs = options.options.iter().map(|(key, value)| (key.as_str(), value.as_str()));
                let (inner, prefix) = object_store::parse_url_opts(&url, pairs).map_err(fail)?;
                (Arc::new(object_store::prefix::PrefixStore::new(inner, prefix)), None)
            }
        };
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .thread_name("store")
            .enable_all()
            .build()
            .map_err(|error| fail(generic(Box::new(error))))?;
        Ok(Store {
            inner,
            address: options.url.clone(),
            local_root,
            runtime: Arc::new(runtime),
            deadline: options.deadline,
        })
    }

    /// Writes an object that must not exist yet (I5).
    ///
    /// A store says that the object is there also when an earlier try of this very call got through, and S3 says the same
    /// (409) while such a try is still under way, which may come to nothing yet. So what is there is looked at: these bytes
    /// are success, nothing is tried again.
    ///
    /// # Errors
    /// The store refused it or did not answer in time. An object of that name may exist afterwards: it is an orphan.
    pub fn put_new(&self, path: &str, bytes: impl Into<Bytes>) -> Result<(), StoreError> {
        let bytes = bytes.into();
        let payload = PutPayload::from(bytes.clone());
        let at = Path::from(path);
        self.retrying("put", path, || async {
            let options = PutOptions { mode: PutMode::Create, ..PutOptions::default() };
            let refusal = match self.inner.put_opts(&at, payload.clone(), options).await {
                Err(refusal @ object_store::Error::AlreadyExists { .. }) => refusal,
                other => return other.map(drop),
            };
            match self.holds(&at, &bytes).await {
                Ok(true) => Ok(()),
                Ok(false) => Err(refusal),
                Err(object_store::Error::NotFound { .. }) => {
                    Err(object_store::Error::Generic { store: "store", source: refusal.into() })
                }
                Err(error) => Err(error),
            }
        })
    }

    /// Whether an object is these bytes.
    async fn holds(&self, at: &Path, bytes: &[u8]) -> object_store::Result<bool> {
        let found = self.inner.get(at).await?;
        if found.meta.size != bytes.len() as u64 {
            return Ok(false);
        }
        let mut rest = bytes;
        let mut chunks = found.into_stream();
        while let Some(chunk) = chunks.try_next().await? {
            match rest.strip_prefix(&chunk[..]) {
                Some(behind) => rest = behind,
                None => return Ok(false),
            }
        }
        Ok(rest.is_empty())
    }

    /// Reads a whole object.
    ///
    /// # Errors
    /// It is missing, or the store did not answer in time.
    pub fn read(&self, path: &str) -> Result<Bytes, StoreError> {
        let at = Path::from(path);
        self.retrying("read", path, || async { self.inner.get(&at).await?.bytes().await })
    }

    /// Reads bytes `from..to` of an object.
    ///
    /// # Errors
    /// It is missing or cut short, or the store did not answer in time.
    pub fn read_range(&self, path: &str, range: std::ops::Range<u64>) -> Result<Bytes, StoreError> {
        let at = Path::from(path);
        self.retrying("read", path, || {
            let range = range.clone();
            let at = &at;
            async move {
                let (end, wanted) = (range.end, range.end.saturating_sub(range.start));
                let read = self.inner.get_range(at, range).await;
                if read.as_ref().is_ok_and(|bytes| bytes.len() as u64 == wanted) {
                    return read;
                }
                // Stores tell bytes that are not there in many ways, so the size decides.
                match self.inner.head(at).await {
                    Ok(meta) if meta.size < end => Err(object_store::Error::Generic {
                        store: "store",
                        source: Box::new(Cut { size: meta.size, end }),
                    }),
                    _ => read,
                }
            }
        })
    }

    /// Deletes an object; one that is missing counts as deleted.
    ///
    /// # Errors
    /// The store did not answer in time.
    pub fn delete(&self, path: &str) -> Result<(), StoreError> {
        let at = Path::from(path);
        self.retrying("delete", path, || async {
            match self.inner.delete(&at).await {
                Err(error) if is_not_found(&error) => Ok(()),
                other => other,
            }
        })
    }

    /// Lists the objects under a prefix.
    ///
    /// # Errors
    /// The store did not answer in time.
    pub fn list(&self, prefix: &str) -> Result<Vec<Listed>, StoreError> {
        let at = Path::from(prefix);
        self.retrying("list", prefix, || async {
            let mut listed = Vec::new();
            let mut metas = self.inner.list(Some(&at));
            while let Some(meta) = metas.try_next().await? {
                listed.push(Listed {
                    path: meta.location.to_string(),
                    size: meta.size,
                    modified: meta.last_modified.timestamp_micros(),
                });
            }
            Ok(listed)
        })
    }

    /// What a kill in the middle of a put left behind in a local folder: `NAME#<n>`, which no listing shows.
    pub fn staged(&self, prefix: &str) -> Vec<Listed> {
        let mut found = Vec::new();
        if let Some(root) = &self.local_root {
            walk_staged(root, &root.join(prefix), &mut found);
        }
        found
    }

    /// Deletes what [`Store::staged`] found.
    ///
    /// # Errors
    /// The folder does not let it go.
    pub fn delete_staged(&self, path: &str) -> Result<(), StoreError> {
        let Some(file) = self.local_file(path) else { return Ok(()) };
        match std::fs::remove_file(file) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(StoreError {
                action: "delete",
                path: path.to_owned(),
                store: self.address.clone(),
                source: Box::new(object_store::Error::Generic { store: "store", source: Box::new(error) }),
            }),
            _ => Ok(()),
        }
    }

    /// Where an object lies on this machine's disk, for a local store.
    pub fn local_file(&self, path: &str) -> Option<std::path::PathBuf> {
        self.local_root.as_ref().map(|root| root.join(path))
    }

    /// Its address, for people.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// The async client, for servers that stream.
    pub fn client(&self) -> Arc<dyn ObjectStore> {
        self.inner.clone()
    }

    fn retrying<T, F>(
        &self,
        action: &'static str,
        path: &str,
        mut call: impl FnMut() -> F,
    ) -> Result<T, StoreError>
    where
        F: Future<Output = object_store::Result<T>>,
    {
        let start = Instant::now();
        let mut pause = Duration::from_millis(50);
        loop {
            let left = self.deadline.saturating_sub(start.elapsed()).max(Duration::from_millis(100));
            let result = self.runtime.block_on(async {
                match tokio::time::timeout(left, call()).await {
                    Ok(result) => result,
                    Err(_) => {
                        let reason = format!("no answer within {} s", self.deadline.as_secs());
                        Err(object_store::Error::Generic { store: "store", source: reason.into() })
                    }
                }
            });
            match result {
                Ok(value) => return Ok(value),
                Err(source) if final_answer(&source) || start.elapsed() + pause >= self.deadline => {
                    return Err(StoreError {
                        action,
                        path: path.to_owned(),
                        store: self.address.clone(),
                        source: Box::new(source),
                    });
                }
                Err(source) => {
                    tracing::warn!(action, path, %source, "store call failed, trying again");
                    std::thread::sleep(pause.mul_f64(rand::random_range(0.5..1.5)));
                    pause = (pause * 2).min(Duration::from_secs(5));
                }
            }
        }
    }
}

fn walk_staged(root: &std::path::Path, folder: &std::path::Path, found: &mut Vec<Listed>) {
    let Ok(entries) = std::fs::read_dir(folder) else { return };
    for entry in entries.flatten() {
        let (path, Ok(meta)) = (entry.path(), entry.metadata()) else { continue };
        if meta.is_dir() {
            walk_staged(root, &path, found);
            continue;
        }
        let name = entry.file_name();
        let staged = name.to_string_lossy().rsplit_once('#').is_some_and(|(_, n)| n.parse::<u64>().is_ok());
        if let Some(path) = path.strip_prefix(root).ok().filter(|_| staged) {
            found.push(Listed { path: path.display().to_string(), size: meta.len(), modified: 0 });
        }
    }
}

/// Whether trying again cannot help.
fn final_answer(error: &object_store::Error) -> bool {
    use object_store::Error as E;
    is_cut(error)
        || matches!(
            error,
            E::NotFound { .. }
                | E::InvalidPath { .. }
                | E::NotSupported { .. }
                | E::AlreadyExists { .. }
                | E::NotImplemented { .. }
                | E::PermissionDenied { .. }
                | E::Unauthenticated { .. }
                | E::UnknownConfigurationKey { .. }
        )
}

#[cfg(test)]
mod tests;
