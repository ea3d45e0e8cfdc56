//! Lines on disk until a gateway has them: what the forwarder's output `http` and a gateway's relay write before they send.
//!
//! An append is one frame in one segment file: lines of any number of batches, and changes of a small table (positions, for
//! the forwarder), together or not at all. It is written and flushed to disk (fdatasync) before `append` returns, and only
//! then can be read. What a segment holds of one minute, tenant, stream and host is a batch; it is closed when its minute is
//! over, and grows no more. Each segment begins with the whole table, so one whose batches are all done is simply deleted. A
//! process adds only to segments that it made itself.
//!
//! Owns: the folder, which is locked. Blocks: on the disk. Fails: a disk that is full or over its bound refuses the append
//! and changes nothing ([`Error::Full`]); what is damaged is said, and kept aside. After a kill at any moment the folder
//! holds every append that returned, and of the one that did not all or nothing.
#![warn(missing_docs)]

mod aside;
mod frame;
mod group;
mod lock;
mod parked;
mod read;
mod recover;
mod reserve;
mod segment;
mod spool;
mod state;

use std::path::PathBuf;

pub use group::Group;
pub use parked::{Overview, Shown, drop_parked, look, retry_parked};
pub use read::{Cursor, Part};
pub use spool::Spool;
pub use state::{Due, Status};

/// What a spool is told.
#[derive(Debug, Clone)]
pub struct Options {
    /// Its folder; made where there is none.
    pub dir: PathBuf,
    /// Bytes on disk beyond which nothing is taken.
    pub max_bytes: u64,
    /// Bytes of parked batches beyond which the oldest of them is dropped.
    pub max_parked_bytes: u64,
}

/// Whose lines a batch holds.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Name {
    /// Tenant; without a slash.
    pub tenant: String,
    /// Stream; without a slash.
    pub stream: String,
    /// Host.
    pub host: String,
}

/// A file of the spool: its number, which is never used twice, and which part of that segment it holds: 0 is all of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SegmentId {
    /// Counted up.
    pub number: u64,
    /// Above 0 for a batch that was parked: one more than its number in the segment.
    pub part: u32,
}

/// A batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BatchId {
    /// Where it lies.
    pub segment: SegmentId,
    /// Number within the segment.
    pub index: u32,
}

impl std::fmt::Display for SegmentId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.part {
            0 => write!(f, "{:016}", self.number),
            part => write!(f, "{:016}-{part}", self.number),
        }
    }
}

impl SegmentId {
    /// The id that is written so.
    pub fn parse(text: &str) -> Option<SegmentId> {
        let (number, part) = text
            .split_once('-')
            .map_or((text, Some(0)), |(number, part)| (number, part.parse().ok().filter(|part| *part > 0)));
        Some(SegmentId { number: number.parse().ok()?, part: part? })
    }
}

impl std::fmt::Display for Name {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}/{}", self.tenant, self.stream, self.host)
    }
}

impl Name {
    fn parse(text: &str) -> Option<Name> {
        let mut parts = text.splitn(3, '/').map(str::to_owned);
        Some(Name { tenant: parts.next()?, stream: parts.next()?, host: parts.next()? })
    }
}

/// Why something was not done.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No room, by the bound or on the disk: the same again once there is some.
    #[error("could not write to the spool {}: {reason}", dir.display())]
    Full {
        /// Folder of the spool.
        dir: PathBuf,
        /// Which bound, and what to do.
        reason: String,
    },
    /// The file system refused.
    #[error("could not {tried} {}", path.display())]
    Io {
        /// What was tried.
        tried: &'static str,
        /// On what.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// An append failed and could not be taken back: only a new start tells what is on disk.
    #[error("could not take back an append to the spool {} that failed: {reason}; start the process again", dir.display())]
    Broken {
        /// Folder of the spool.
        dir: PathBuf,
        /// What the system said.
        reason: String,
    },
    /// A name that cannot be written.
    #[error("could not write lines of {name}: the name is too long")]
    Name {
        /// The name.
        name: Name,
    },
    /// Bytes on disk are not those that were written.
    #[error("could not read {}: the bytes at {at} are not those that were written; check the disk", path.display())]
    Damaged {
        /// File.
        path: PathBuf,
        /// Offset of the frame.
        at: u64,
    },
    /// Another process has it.
    #[error("could not lock the spool {}: another process uses it; stop that one, or choose another data_dir", dir.display())]
    Locked {
        /// Folder of the spool.
        dir: PathBuf,
    },
    /// There is no such batch, or no longer.
    #[error("there is no batch {id} in {}; `millrace spool ls` lists those that there are", dir.display())]
    Unknown {
        /// Its id.
        id: String,
        /// Where it was looked for.
        dir: PathBuf,
    },
}

impl Error {
    fn io(tried: &'static str, path: &std::path::Path) -> impl FnOnce(std::io::Error) -> Error {
        let path = path.to_owned();
        move |source| Error::Io { tried, path, source }
    }
}
