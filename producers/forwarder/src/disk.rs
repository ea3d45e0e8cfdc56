//! What the forwarder asks the file system.

use std::fs::{File, Metadata, OpenOptions};
use std::io;
use std::ops::Range;
use std::os::unix::fs::{DirEntryExt, FileExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use millrace_schemas::position::FilePosition;
use rustix::fs::{OFlags, SeekFrom, seek};
use rustix::io::Errno;

use crate::identity::{Inode, Look, PRINT, print};

/// Bytes that are looked through at once.
const BLOCK: usize = 64 << 10;

/// Metadata of a file, as far as it matters here.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Sight {
    pub(crate) inode: Inode,
    pub(crate) size: u64,
    /// Time of creation, ns; 0 where it is not kept.
    pub(crate) birth: u64,
    /// Time of the last change, ns.
    pub(crate) modified: i128,
    pub(crate) is_file: bool,
    /// Whether any name leads to it.
    pub(crate) is_named: bool,
}

impl Sight {
    fn new(metadata: &Metadata) -> Sight {
        let birth = metadata.created().ok().and_then(|time| time.duration_since(UNIX_EPOCH).ok());
        Sight {
            inode: Inode { device: metadata.dev(), number: metadata.ino() },
            size: metadata.len(),
            birth: birth.map_or(0, |since| since.as_nanos() as u64),
            modified: i128::from(metadata.mtime()) * 1_000_000_000 + i128::from(metadata.mtime_nsec()),
            is_file: metadata.is_file(),
            is_named: metadata.nlink() > 0,
        }
    }

    /// Looks at a path; follows symbolic links.
    pub(crate) fn at(path: &Path) -> io::Result<Sight> {
        std::fs::metadata(path).map(|metadata| Sight::new(&metadata))
    }

    /// Looks at an open file.
    pub(crate) fn of(file: &File) -> io::Result<Sight> {
        file.metadata().map(|metadata| Sight::new(&metadata))
    }
}

/// Opens a regular file. Does not wait for the other end of a pipe that took the place of one.
pub(crate) fn open(path: &Path) -> io::Result<File> {
    let flags = OFlags::NONBLOCK | OFlags::NOCTTY;
    let file = OpenOptions::new().read(true).custom_flags(flags.bits() as i32).open(path)?;
    if file.metadata()?.is_file() {
        Ok(file)
    } else {
        Err(io::Error::other("it is not a regular file: exclude it from the pattern"))
    }
}

/// Reads at `offset` until `buffer` is full or the file ends.
pub(crate) fn read_at(file: &File, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
    let mut n_read = 0;
    while n_read < buffer.len() {
        match file.read_at(&mut buffer[n_read..], offset + n_read as u64) {
            Ok(0) => break,
            Ok(n) => n_read += n,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(n_read)
}

/// Where the last byte of the first `size` that is not NUL ends.
pub(crate) fn data_end(file: &File, size: u64) -> io::Result<u64> {
    let (mut parts, mut at) = (Vec::new(), 0);
    while let Some(part) = next_data(file, at, size) {
        at = part.end;
        parts.push(part);
    }
    let mut buffer = vec![0; BLOCK];
    for Range { start, mut end } in parts.into_iter().rev() {
        while end > start {
            let len = (end - start).min(BLOCK as u64);
            let n_read = read_at(file, &mut buffer[..len as usize], end - len)?;
            if let Some(last) = buffer[..n_read].iter().rposition(|byte| *byte != 0) {
                return Ok(end - len + last as u64 + 1);
            }
            end -= len;
        }
    }
    Ok(0)
}

/// How far nothing but NUL follows from byte `from` to byte `to`; none where something else was met. Reads at most
/// `n_most` bytes, to which holes do not count, and answers less than `to` where they were not enough.
pub(crate) fn nul_until(file: &File, from: u64, to: u64, n_most: usize) -> io::Result<Option<u64>> {
    let mut buffer = vec![0; BLOCK];
    let (mut at, mut left) = (from, n_most);
    while let Some(part) = next_data(file, at, to) {
        at = part.start;
        while at < part.end {
            let len = left.min(BLOCK).min((part.end - at) as usize);
            let n_read = read_at(file, &mut buffer[..len], at)?;
            if n_read == 0 {
                return Ok(Some(at));
            }
            if buffer[..n_read].iter().any(|byte| *byte != 0) {
                return Ok(None);
            }
            at += n_read as u64;
            left -= n_read;
        }
    }
    Ok(Some(to))
}

/// The first part of `file` from byte `from` to byte `to` that is no hole (lseek(2), `SEEK_DATA`).
fn next_data(file: &File, from: u64, to: u64) -> Option<Range<u64>> {
    let start = match seek(file, SeekFrom::Data(from)) {
        Ok(start) => start,
        Err(Errno::NXIO) => to,
        // A file system that cannot tell.
        Err(_) => from,
    };
    let end = seek(file, SeekFrom::Hole(start)).map_or(to, |end| end.min(to));
    (start < end).then_some(start..end)
}

/// Compares the bytes of `file` with what is known of an incarnation.
pub(crate) fn look(file: &File, position: &FilePosition) -> io::Result<Look> {
    let mut buffer = [0; PRINT];
    let mut same = |at: i64, len: i32, hash: i64| -> io::Result<bool> {
        let wanted = &mut buffer[..(len as usize).min(PRINT)];
        Ok(read_at(file, wanted, at as u64)? == wanted.len() && print(wanted) == hash)
    };
    let prefix_same = same(0, position.prefix_len, position.prefix_hash)?;
    let tail_at = position.byte - i64::from(position.tail_len);
    let tail_same = position.tail_len == 0 || same(tail_at, position.tail_len, position.tail_hash)?;
    Ok(Look { size: Sight::of(file)?.size, prefix_same, tail_same })
}

/// Paths in `directory` whose inode number is wanted.
pub(crate) fn find_inodes(directory: &Path, wanted: impl Fn(u64) -> bool) -> io::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(directory)? {
        let entry = entry?;
        if wanted(entry.ino()) {
            found.push(entry.path());
        }
    }
    Ok(found)
}

/// Folder in which the file at `path` lies, where `path` or a folder in it is a symbolic link.
pub(crate) fn home(path: &Path) -> Option<PathBuf> {
    let file = path.canonicalize().ok()?;
    (file.parent() != path.parent()).then(|| file.parent().map(Path::to_owned))?
}
