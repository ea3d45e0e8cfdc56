//! Tells one incarnation of a file from another. Pure.

#[cfg(test)]
mod tests;

use millrace_schemas::position::FilePosition;
use xxhash_rust::xxh3::xxh3_64;

/// Bytes at a file's beginning, and bytes before the position, that are hashed to recognize it.
pub(crate) const PRINT: usize = 256;

/// Hash as positions hold it.
pub(crate) fn print(bytes: &[u8]) -> i64 {
    xxh3_64(bytes) as i64
}

/// A file as far as the file system tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Inode {
    pub(crate) device: u64,
    pub(crate) number: u64,
}

/// Id of an incarnation: device, inode, hashed prefix, truncations, and the time of creation (ns; 0 where the file
/// system does not keep it). The latter makes it new when an inode is used again for a file that begins alike.
pub(crate) fn file_id(
    inode: Inode,
    prefix_len: i32,
    prefix_hash: i64,
    truncations: i32,
    birth: u64,
) -> String {
    let Inode { device, number } = inode;
    format!("{device:x}-{number:x}-{prefix_len}-{prefix_hash:016x}-{truncations}-{birth:x}")
}

/// Time of creation of the file that `position` is of, where it is known: not where it is read from a copy, which has
/// another inode than the id.
pub(crate) fn birth_of(position: &FilePosition) -> Option<u64> {
    let mut parts = position.file_id.split('-');
    let (number, birth) = (parts.nth(1)?, parts.next_back()?);
    let [number, birth] = [number, birth].map(|part| u64::from_str_radix(part, 16).ok());
    birth.filter(|birth| *birth > 0 && number == Some(position.inode as u64))
}

/// Whether `position` can be of a file created at `birth`.
pub(crate) fn same_birth(position: &FilePosition, birth: u64) -> bool {
    birth == 0 || birth_of(position).is_none_or(|known| known == birth)
}

/// What a look at a file's bytes tells of a known incarnation.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Look {
    /// Size now.
    pub(crate) size: u64,
    /// Whether the first bytes are those of the incarnation.
    pub(crate) prefix_same: bool,
    /// Whether the bytes before the position are those that were read.
    pub(crate) tail_same: bool,
}

/// What became of an incarnation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// It is the same; at most it grew.
    Same,
    /// Bytes at its end that were not read yet are gone; what was read is still there.
    Cut {
        /// How many.
        lost: u64,
    },
    /// It was truncated, and maybe grew again: a new incarnation begins.
    Truncated {
        /// Bytes known to have been there that were not read.
        lost: u64,
    },
}

/// Compares a known incarnation, last seen `known_size` bytes long, with a look at the file.
pub(crate) fn judge(position: &FilePosition, known_size: u64, look: Look) -> Verdict {
    let read = position.byte as u64;
    if look.size < read.max(position.prefix_len as u64) || !look.prefix_same || !look.tail_same {
        return Verdict::Truncated { lost: known_size.saturating_sub(read) };
    }
    match known_size.saturating_sub(look.size) {
        0 => Verdict::Same,
        lost => Verdict::Cut { lost },
    }
}
