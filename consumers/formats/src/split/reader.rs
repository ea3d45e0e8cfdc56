//! Opens a split where it lies: in a mapped file, or in memory.

use std::path::Path;
use std::sync::Arc;

use tantivy::directory::error::{DeleteError, LockError, OpenReadError, OpenWriteError};
use tantivy::directory::{
    Directory, DirectoryLock, FileHandle, FileSlice, Lock, OwnedBytes, WatchCallback, WatchHandle,
};
use tantivy::schema::Value;
use tantivy::store::StoreReader;
use tantivy::{DocId, Index, SegmentReader, TantivyDocument};

use super::SplitError;
use super::container::Container;
use super::schema::{Columns, tokenizers};

/// An open split.
pub struct Split {
    container: Container,
    index: Index,
    segment: SegmentReader,
    store: StoreReader,
    columns: Columns,
}

impl std::fmt::Debug for Split {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Split").field("rows", &self.rows()).finish_non_exhaustive()
    }
}

impl Split {
    /// Decompressed blocks that an open split keeps, for hits that lie together.
    const STORE_CACHE: usize = 4;

    /// Opens the split in `bytes`.
    ///
    /// # Errors
    /// The bytes are no split, or damaged.
    pub fn open(bytes: FileSlice) -> Result<Split, SplitError> {
        Split::of(Container::open(bytes)?)
    }

    fn of(container: Container) -> Result<Split, SplitError> {
        const ACTION: &str = "open a split";
        let fail = |error: tantivy::TantivyError| SplitError::damaged(ACTION, error);
        let mut index = Index::open(SplitDirectory(container.clone())).map_err(fail)?;
        index.set_tokenizers(tokenizers());
        let columns = Columns::new();
        if index.schema() != *columns.schema() {
            return Err(SplitError::new(ACTION, "it has other columns than this program writes"));
        }
        let segments = index.searchable_segments().map_err(fail)?;
        let [segment] = segments.as_slice() else {
            return Err(SplitError::damaged(ACTION, format!("it has {} segments, not one", segments.len())));
        };
        let segment = SegmentReader::open(segment).map_err(fail)?;
        let store = segment
            .get_store_reader(Split::STORE_CACHE)
            .map_err(|error| SplitError::damaged(ACTION, error))?;
        Ok(Split { container, index, segment, store, columns })
    }

    /// Opens the split in bytes `range` of a file, as tantivy's own directories hand it out.
    ///
    /// # Errors
    /// The range lies outside, or the bytes are no split.
    pub fn open_range(file: Arc<dyn FileHandle>, range: std::ops::Range<u64>) -> Result<Split, SplitError> {
        Split::open(part(file, range)?)
    }

    /// As [`Split::open_range`]; reads every byte and compares the checksum before the index is looked into, which trusts
    /// its bytes.
    ///
    /// # Errors
    /// As [`Split::open_range`], or the bytes are damaged.
    pub fn open_verified(
        file: Arc<dyn FileHandle>,
        range: std::ops::Range<u64>,
    ) -> Result<Split, SplitError> {
        let container = Container::open(part(file, range)?)?;
        container.verify()?;
        Split::of(container)
    }

    /// Opens a split in memory.
    ///
    /// # Errors
    /// The bytes are no split, or damaged.
    pub fn from_bytes(bytes: Vec<u8>) -> Result<Split, SplitError> {
        Split::open(FileSlice::new(Arc::new(OwnedBytes::new(bytes))))
    }

    /// Reads every byte and compares the checksum, the first time.
    ///
    /// # Errors
    /// The bytes are damaged.
    pub fn verify(&self) -> Result<(), SplitError> {
        self.container.verify()
    }

    /// Its bytes, verified.
    ///
    /// # Errors
    /// The bytes are damaged.
    pub fn to_bytes(&self) -> Result<Vec<u8>, SplitError> {
        self.verify()?;
        let bytes = self.container.bytes.read_bytes();
        bytes.map(|bytes| bytes.to_vec()).map_err(|error| SplitError::damaged("read a split", error))
    }

    /// Rows.
    pub fn rows(&self) -> u32 {
        self.segment.num_docs()
    }

    /// Its columns.
    pub fn columns(&self) -> &Columns {
        &self.columns
    }

    /// Its one segment.
    pub fn segment(&self) -> &SegmentReader {
        &self.segment
    }

    /// What was stored of a row.
    ///
    /// # Errors
    /// The bytes are damaged.
    pub fn stored(&self, row: DocId) -> Result<Vec<u8>, SplitError> {
        const ACTION: &str = "read a stored row";
        let document: TantivyDocument =
            self.store.get(row).map_err(|error| SplitError::damaged(ACTION, error))?;
        let stored =
            document.get_first(self.columns.stored).and_then(|value| value.as_bytes().map(<[u8]>::to_vec));
        stored.ok_or_else(|| SplitError::damaged(ACTION, "the row has nothing stored"))
    }

    pub(super) fn index(&self) -> &Index {
        &self.index
    }
}

/// The bytes of a split within those of its object.
fn part(file: Arc<dyn FileHandle>, range: std::ops::Range<u64>) -> Result<FileSlice, SplitError> {
    let file = FileSlice::new(file);
    match (usize::try_from(range.start), usize::try_from(range.end)) {
        (Ok(from), Ok(to)) if from <= to && to <= tantivy::HasLen::len(&file) => Ok(file.slice(from..to)),
        _ => Err(SplitError::damaged("open a split", "its byte range lies outside of its object")),
    }
}

/// The files of a split as tantivy reads them.
#[derive(Debug, Clone)]
struct SplitDirectory(Container);

fn read_only() -> std::io::Error {
    std::io::Error::new(std::io::ErrorKind::ReadOnlyFilesystem, "a split is never changed")
}

impl Directory for SplitDirectory {
    fn get_file_handle(&self, path: &Path) -> Result<Arc<dyn FileHandle>, OpenReadError> {
        Ok(Arc::new(self.open_read(path)?))
    }

    fn open_read(&self, path: &Path) -> Result<FileSlice, OpenReadError> {
        self.0.file(path).ok_or_else(|| OpenReadError::FileDoesNotExist(path.to_owned()))
    }

    fn delete(&self, path: &Path) -> Result<(), DeleteError> {
        Err(DeleteError::IoError { io_error: Arc::new(read_only()), filepath: path.to_owned() })
    }

    fn exists(&self, path: &Path) -> Result<bool, OpenReadError> {
        Ok(self.0.files.contains_key(path))
    }

    fn open_write(&self, path: &Path) -> Result<tantivy::directory::WritePtr, OpenWriteError> {
        Err(OpenWriteError::wrap_io_error(read_only(), path.to_owned()))
    }

    fn atomic_read(&self, path: &Path) -> Result<Vec<u8>, OpenReadError> {
        let bytes = self.open_read(path)?.read_bytes();
        bytes
            .map(|bytes| bytes.to_vec())
            .map_err(|error| OpenReadError::wrap_io_error(error, path.to_owned()))
    }

    fn atomic_write(&self, _path: &Path, _data: &[u8]) -> std::io::Result<()> {
        Err(read_only())
    }

    fn sync_directory(&self) -> std::io::Result<()> {
        Ok(())
    }

    fn acquire_lock(&self, _lock: &Lock) -> Result<DirectoryLock, LockError> {
        Ok(DirectoryLock::from(Box::new(())))
    }

    fn watch(&self, _callback: WatchCallback) -> tantivy::Result<WatchHandle> {
        Ok(WatchHandle::empty())
    }
}
