//! Files that were compressed after their rotation (`*.gz`). What was read of the original is not read again: it is known
//! by its first bytes, its length, and the bytes before the position. What was not read is: the file is unpacked, one at a
//! time, into a file without a name in the scratch folder, and read from there like one that nobody writes to any more.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use flate2::read::MultiGzDecoder;
use millrace_schemas::position::FilePosition;
use tracing::info;

use crate::Now;
use crate::catalog::Catalog;
use crate::disk::{Sight, look, open};
use crate::follow::{Follow, Mark};
use crate::identity::{Inode, PRINT, Verdict, judge, print};
use crate::options::Options;

/// A packed file that was met.
#[derive(Debug)]
pub(crate) struct Packed {
    size: u64,
    modified: i128,
    state: State,
    /// What went wrong, and in which scan.
    fault: Option<(String, u64)>,
    seen_in: u64,
}

/// How packed files begin.
const MAGIC: [u8; 2] = [0x1f, 0x8b];
/// Scans until one that could not be unpacked is tried again, unless it changes before: it may be large.
const RETRY: u64 = 30;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// Not looked into yet.
    New,
    /// Nothing in it is left to read.
    Read,
    /// The followed file of that inode is its original.
    Of(Inode),
}

/// What a packed file is of.
enum Origin {
    /// All of it was read.
    Read,
    /// The file is still followed, by its own name or as an open file.
    Followed(Inode),
    /// Of this incarnation a part was read.
    Part(Box<FilePosition>, Option<Mark>),
    /// Never seen.
    Unknown,
}

/// Whether the file at `path` is packed. One that is empty by now will be: packing begins with a name.
pub(crate) fn is_packed(path: &Path) -> io::Result<bool> {
    if path.extension().is_none_or(|extension| extension != "gz") {
        return Ok(false);
    }
    let mut magic = [0; 2];
    let n_read = crate::disk::read_at(&open(path)?, &mut magic, 0)?;
    Ok(MAGIC.starts_with(&magic[..n_read]))
}

impl Catalog {
    /// Looks at a packed file; follows what is left to read of it.
    pub(crate) fn look_at_packed(
        &mut self,
        options: &Options,
        input: usize,
        path: &Path,
        sight: Sight,
        now: Now,
    ) -> io::Result<()> {
        let scan = self.scan_number;
        if let Some(follow) = self.files.get_mut(&sight.inode) {
            follow.seen_in = scan;
            return Ok(());
        }
        let same = |own: &&mut Packed| (own.size, own.modified) == (sight.size, sight.modified);
        let state = match self.packed.get_mut(&sight.inode).filter(same) {
            Some(known) => {
                known.seen_in = scan;
                if let Some((reason, _)) = known.fault.as_ref().filter(|(_, at)| scan < at + RETRY) {
                    return Err(io::Error::other(reason.clone()));
                }
                Some(known.state)
            }
            None => None,
        };
        let settled = match state {
            Some(State::Read) => return Ok(()),
            Some(State::Of(original)) if self.is_there(original) => return Ok(()),
            Some(State::New | State::Of(_)) => true,
            // It may still be written; at the start it is not waited for, or its original would be given up.
            None => scan == 1,
        };
        let Sight { size, modified, .. } = sight;
        let packed = |state, fault| Packed { size, modified, state, fault, seen_in: scan };
        let busy = self.files.values().any(|follow| follow.unpacked);
        if !settled || busy {
            self.packed.insert(sight.inode, packed(State::New, None));
            self.unsettled.extend(path.parent().map(Path::to_owned));
            return Ok(());
        }
        if (sight.size as usize) < MAGIC.len() {
            self.packed.insert(sight.inode, packed(State::Read, None));
            return Ok(());
        }
        let opened = self.open_packed(options, input, path, sight, now);
        let fault = opened.as_ref().err().map(|error| (format!("could not unpack it: {error}"), scan));
        self.packed.insert(sight.inode, packed(*opened.as_ref().unwrap_or(&State::New), fault.clone()));
        fault.map_or(Ok(()), |(reason, _)| Err(io::Error::other(reason)))
    }

    fn open_packed(
        &mut self,
        options: &Options,
        input: usize,
        path: &Path,
        sight: Sight,
        now: Now,
    ) -> io::Result<State> {
        if self.is_read(options, input, &head(path)?, length(path)?) {
            return Ok(State::Read);
        }
        let mut file = tempfile::tempfile_in(&options.scratch)?;
        let size = io::copy(&mut MultiGzDecoder::new(open(path)?), &mut file)?;
        file.seek(SeekFrom::Start(0))?;
        let (position, committed) = match self.origin(options, input, &file, size)? {
            Origin::Read => return Ok(State::Read),
            Origin::Followed(inode) => {
                self.unsettled.extend(path.parent().map(Path::to_owned));
                return Ok(State::Of(inode));
            }
            Origin::Part(position, committed) => {
                let (path, from) = (path.display(), position.byte);
                info!(%path, from, to = size, "the rest of a file is read from what it was packed into");
                (*position, committed)
            }
            Origin::Unknown => (self.make(options, input, path, (&file, sight), 0, now)?, None),
        };
        let new = committed.is_none();
        let unpacked = Sight { size, modified: Sight::of(&file)?.modified, ..sight };
        let mut follow = Follow {
            home: None,
            // It does not grow: read to its end, it is finished.
            gone: true,
            unpacked: true,
            dirty: true,
            seen_in: self.scan_number,
            ..Follow::new(input, path.to_owned(), (file, unpacked), position, committed, now)
        };
        if new && self.begins_at_end(options, input, sight) {
            crate::catalog::start_at_end(&mut follow, 1)?;
        }
        self.n_open += 1;
        self.files.insert(sight.inode, follow);
        self.dirty.push(sight.inode);
        self.enqueue(sight.inode);
        Ok(State::New)
    }

    /// Whether a file whose first bytes are `head` and whose length is `size` (its lower 32 bits) was read to its end.
    fn is_read(&self, options: &Options, input: usize, head: &[u8], size: u32) -> bool {
        let read = self.past.values().flatten().map(|past| &past.position);
        read.filter(|position| options.is_of(input, position)).any(|position| {
            let len = position.prefix_len as usize;
            // A short print tells too little: then the bytes before the position are compared too.
            len == PRINT
                && head.len() == PRINT
                && print(head) == position.prefix_hash
                && position.byte as u32 == size
        })
    }

    /// Finds what the unpacked `file` is of, and takes the position out of where it waits.
    fn origin(&mut self, options: &Options, input: usize, file: &File, size: u64) -> io::Result<Origin> {
        let fits = |position: &FilePosition| -> io::Result<bool> {
            // One that was empty when it was met has no first bytes: those before the position have to be all, or many.
            let is_whole = position.byte > 0 && position.byte as u64 == size;
            let is_long = position.prefix_len > 0 || position.tail_len as usize == PRINT;
            let known = (is_long || is_whole) && options.is_of(input, position);
            Ok(known && judge(position, position.byte as u64, look(file, position)?) == Verdict::Same)
        };
        for past in self.past.values().flatten() {
            if past.position.byte as u64 == size && fits(&past.position)? {
                return Ok(Origin::Read);
            }
        }
        let mut found = None;
        for (inode, follow) in &self.files {
            // A living file that begins alike has another length.
            let there = Sight::at(&follow.place).ok().filter(|sight| sight.inode == *inode);
            if there.is_none_or(|sight| sight.size == size) && fits(&follow.position)? {
                found = Some((*inode, there.is_some() || follow.file.is_some()));
                break;
            }
        }
        match found {
            Some((inode, true)) => return Ok(Origin::Followed(inode)),
            Some((inode, false)) => {
                if let Some(follow) = self.files.remove(&inode) {
                    return Ok(Origin::Part(Box::new(follow.position), follow.committed));
                }
            }
            None => {}
        }
        let mut best: Option<FilePosition> = None;
        for position in self.waiting.values().flatten() {
            if best.as_ref().is_none_or(|best| best.byte < position.byte) && fits(position)? {
                best = Some(position.clone());
            }
        }
        let Some(position) = best else { return Ok(Origin::Unknown) };
        self.remove_known(&position);
        let committed = Some(Mark::of(&position));
        Ok(Origin::Part(Box::new(position), committed))
    }

    /// Whether the followed file of that inode can still be read itself.
    fn is_there(&self, inode: Inode) -> bool {
        self.files.get(&inode).is_some_and(|follow| {
            follow.file.is_some() || Sight::at(&follow.place).is_ok_and(|sight| sight.inode == inode)
        })
    }

    /// Forgets packed files that the scan did not meet.
    pub(crate) fn prune_packed(&mut self) {
        let scan = self.scan_number;
        self.packed.retain(|_, packed| packed.seen_in == scan);
    }

    /// Whether what is missing in the folder of `place` may lie there packed.
    pub(crate) fn may_be_packed(&self, place: &Path) -> bool {
        place.parent().is_some_and(|folder| self.unsettled.contains(&PathBuf::from(folder)))
    }
}

/// The first bytes of what is packed.
fn head(path: &Path) -> io::Result<Vec<u8>> {
    let mut head = Vec::with_capacity(PRINT);
    MultiGzDecoder::new(open(path)?).take(PRINT as u64).read_to_end(&mut head)?;
    Ok(head)
}

/// The length that is written at the end, its lower 32 bits.
fn length(path: &Path) -> io::Result<u32> {
    let mut file = open(path)?;
    let mut bytes = [0; 4];
    file.seek(SeekFrom::End(-4))?;
    file.read_exact(&mut bytes)?;
    Ok(u32::from_le_bytes(bytes))
}
