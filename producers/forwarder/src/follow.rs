//! One incarnation of a file while it is followed.

use std::fs::File;
use std::path::PathBuf;
use std::time::Duration;

use millrace_schemas::position::FilePosition;

use crate::Now;
use crate::disk::{Sight, home, look, open};
use crate::identity::{Inode, Verdict, judge};

/// What tells two positions of one incarnation apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Mark {
    byte: i64,
    lost: i64,
    finished: bool,
}

impl Mark {
    pub(crate) fn of(position: &FilePosition) -> Mark {
        Mark { byte: position.byte, lost: position.lost, finished: position.finished }
    }
}

/// The beginning of a line whose end was not there yet.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Held {
    /// Where the file ended.
    pub(crate) end: u64,
    /// Since when it ends there.
    pub(crate) since: Duration,
}

/// NUL bytes at the end of a file, set aside by who writes it through a memory map.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Room {
    /// How far they were looked through.
    pub(crate) until: u64,
    /// Size of the file then.
    pub(crate) size: u64,
    /// Time of change of the file when the look began.
    pub(crate) modified: i128,
}

/// An incarnation that is followed.
#[derive(Debug)]
pub(crate) struct Follow {
    /// How far it is read.
    pub(crate) position: FilePosition,
    /// What the outlet holds of it.
    pub(crate) committed: Option<Mark>,
    /// Index of its input.
    pub(crate) input: usize,
    /// Where it lies now; the position keeps the path of first sight.
    pub(crate) place: PathBuf,
    /// Where `place` leads through a symbolic link: folder of the file itself.
    pub(crate) home: Option<PathBuf>,
    pub(crate) file: Option<File>,
    pub(crate) birth: u64,
    /// Size and time of change when last looked at.
    pub(crate) size: u64,
    pub(crate) modified: i128,
    pub(crate) held: Option<Held>,
    /// What is read ends before these; a write into them may show in nothing but the bytes.
    pub(crate) room: Option<Room>,
    /// Since when it neither grew nor was read.
    pub(crate) quiet_since: Duration,
    /// No name leads to it any more.
    pub(crate) gone: bool,
    /// Read from a copy without a name, since the file itself is packed.
    pub(crate) unpacked: bool,
    /// The last attempt to read it failed.
    pub(crate) broken: bool,
    /// Waits for its turn to be read.
    pub(crate) queued: bool,
    /// The position is not in a batch yet.
    pub(crate) dirty: bool,
    /// Former file of the same path, which is read to its end first.
    pub(crate) after: Option<Inode>,
    /// Number of the last scan that saw it.
    pub(crate) seen_in: u64,
}

impl Follow {
    /// An open file that is read on from `position`.
    pub(crate) fn new(
        input: usize,
        place: PathBuf,
        (file, sight): (File, Sight),
        position: FilePosition,
        committed: Option<Mark>,
        now: Now,
    ) -> Follow {
        let Inode { device, number } = sight.inode;
        Follow {
            position: FilePosition { device: device as i64, inode: number as i64, ..position },
            committed,
            input,
            home: home(&place),
            place,
            file: Some(file),
            birth: sight.birth,
            size: sight.size,
            modified: sight.modified,
            held: None,
            room: None,
            quiet_since: now.monotonic,
            gone: false,
            unpacked: false,
            broken: false,
            queued: false,
            dirty: false,
            after: None,
            seen_in: 0,
        }
    }

    /// Known bytes that are not read.
    pub(crate) fn unread(&self) -> u64 {
        self.size.saturating_sub(self.position.byte as u64)
    }

    /// Takes a greater size for known if the file is still the same incarnation; else the next visit finds out.
    pub(crate) fn note_growth(&mut self) {
        let seen = match &self.file {
            Some(file) => look(file, &self.position),
            None => open(&self.place).and_then(|file| look(&file, &self.position)),
        };
        if let Ok(seen) = seen
            && judge(&self.position, self.size, seen) == Verdict::Same
        {
            self.size = seen.size;
        }
    }

    /// Whether it must be read in view of `sight`.
    pub(crate) fn needs_visit(&self, sight: &Sight) -> bool {
        sight.size != self.held.map_or(self.position.byte as u64, |held| held.end)
            || sight.size < self.size
            || sight.modified != self.modified
            || self.room.is_some()
    }

    /// Whether a held line has waited for `patience`.
    pub(crate) fn must_flush(&self, now: Duration, patience: Duration) -> bool {
        self.held.is_some_and(|held| now >= held.since + patience)
    }

    /// Whether anything was ever handed on.
    pub(crate) fn is_of_note(&self) -> bool {
        is_of_note(&self.position, self.committed)
    }
}

/// Whether an incarnation is known to anyone else, or anything of it was read or lost.
pub(crate) fn is_of_note(position: &FilePosition, committed: Option<Mark>) -> bool {
    committed.is_some() || position.byte > 0 || position.lost > 0
}
