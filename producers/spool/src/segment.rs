//! One segment file: made, written, walked through.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::frame::{Entry, HEAD, HEADER, Head, Maker, header};
use crate::{Error, Name, SegmentId};

/// Ends the name of a segment file.
pub(crate) const SUFFIX: &str = "seg";
/// Ends the name of a file that is being made.
pub(crate) const UNFINISHED: &str = "tmp";

/// A segment as far as it is on disk.
#[derive(Debug)]
pub(crate) struct Segment {
    pub(crate) id: SegmentId,
    pub(crate) path: PathBuf,
    pub(crate) file: Arc<File>,
    pub(crate) len: u64,
    /// Bytes of the whole table at its beginning.
    pub(crate) table_len: u64,
    pub(crate) batches: Vec<Batch>,
}

/// A batch as far as it is on disk.
#[derive(Debug, Clone)]
pub(crate) struct Batch {
    /// Minutes since the epoch.
    pub(crate) minute: i64,
    pub(crate) name: Name,
    pub(crate) n_records: u64,
    pub(crate) bytes: u64,
    /// Frames that it lies in: the first one's offset, the last one's end.
    pub(crate) from: u64,
    pub(crate) to: u64,
    /// It grows no more.
    pub(crate) closed: bool,
    /// The gateway has it, or it lies elsewhere.
    pub(crate) done: bool,
}

impl Batch {
    pub(crate) fn new(minute: i64, name: Name, from: u64) -> Batch {
        Batch { minute, name, n_records: 0, bytes: 0, from, to: from, closed: false, done: false }
    }

    /// What it is called in its segment.
    pub(crate) fn title(minute: i64, name: &Name) -> String {
        format!("{minute}/{name}")
    }

    /// Inverse of [`Batch::title`].
    pub(crate) fn of_title(title: &str, from: u64) -> Option<Batch> {
        let (minute, name) = title.split_once('/')?;
        Some(Batch::new(minute.parse().ok()?, Name::parse(name)?, from))
    }
}

impl Segment {
    /// Makes segment `id` in `dir` of the frames that `write` writes, from the offset that it is told to the one it answers;
    /// the segment is there as a whole or not at all.
    ///
    /// # Errors
    /// What `write` or the system said; nothing is left behind.
    pub(crate) fn create(
        dir: &Path,
        id: SegmentId,
        write: impl FnOnce(&File, u64) -> Result<u64, Error>,
    ) -> Result<Segment, Error> {
        let path = dir.join(format!("{id}.{SUFFIX}"));
        let unfinished = dir.join(format!("{id}.{UNFINISHED}"));
        let fail = || Error::io("make the segment", &path);
        let make = || {
            let mut options = File::options();
            let file = options.create(true).truncate(true).read(true).write(true).open(&unfinished);
            let file = file.map_err(fail())?;
            file.write_all_at(&header(id.number), 0).map_err(fail())?;
            let end = write(&file, HEADER as u64)?;
            file.sync_all().map_err(fail())?;
            std::fs::rename(&unfinished, &path).map_err(fail())?;
            sync_folder(dir).map_err(fail())?;
            Ok((file, end))
        };
        let (file, len) = make().inspect_err(|_| {
            // Whichever of them came to be.
            drop(std::fs::remove_file(&unfinished));
            drop(std::fs::remove_file(&path));
        })?;
        Ok(Segment { id, path, file: Arc::new(file), len, table_len: len, batches: Vec::new() })
    }

    /// Whether nothing of it is needed any more, but for the table.
    pub(crate) fn is_done(&self) -> bool {
        self.batches.iter().all(|batch| batch.done)
    }
}

/// Writes one frame at `at`; answers where it ends. Not flushed.
pub(crate) fn write_frame(
    file: &File,
    number: u64,
    at: u64,
    maker: Maker,
    blocks: &[&[u8]],
) -> io::Result<u64> {
    if !maker.fits() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "an append of more than 1 GiB"));
    }
    let head = maker.finish(number, at);
    file.write_all_at(&head, at)?;
    let mut end = at + head.len() as u64;
    for block in blocks {
        file.write_all_at(block, end)?;
        end += block.len() as u64;
    }
    Ok(end)
}

/// Makes names in a folder outlive a crash.
pub(crate) fn sync_folder(dir: &Path) -> io::Result<()> {
    File::open(dir)?.sync_all()
}

/// A frame that was found.
#[derive(Debug)]
pub(crate) struct Frame {
    pub(crate) at: u64,
    /// Offset of the first block.
    pub(crate) body: u64,
    pub(crate) end: u64,
    pub(crate) entries: Vec<Entry>,
}

impl Frame {
    /// The blocks with their offsets.
    pub(crate) fn blocks(&self) -> impl Iterator<Item = (&Entry, u64)> {
        let mut at = self.body;
        self.entries.iter().map(move |entry| {
            at += u64::from(entry.len);
            (entry, at - u64::from(entry.len))
        })
    }
}

/// What stands next.
#[derive(Debug)]
pub(crate) enum Step {
    Frame(Frame),
    End,
    /// No frame: torn, or damaged.
    Bad,
}

/// Goes through the frames between two offsets, without their blocks.
#[derive(Debug)]
pub(crate) struct Walk<'a> {
    pub(crate) file: &'a File,
    pub(crate) number: u64,
    pub(crate) at: u64,
    pub(crate) end: u64,
}

impl Walk<'_> {
    pub(crate) fn step(&mut self) -> io::Result<Step> {
        let left = self.end.saturating_sub(self.at);
        if left == 0 {
            return Ok(Step::End);
        }
        // Mostly all of the contents comes along.
        let mut bytes = vec![0; left.min(2_048) as usize];
        self.file.read_exact_at(&mut bytes, self.at)?;
        let Some(head) = Head::decode(&bytes, left) else { return Ok(Step::Bad) };
        let known = bytes.len();
        bytes.resize(HEAD + head.contents as usize, 0);
        if bytes.len() > known {
            self.file.read_exact_at(&mut bytes[known..], self.at + known as u64)?;
        }
        let Some(entries) = head.entries(&bytes[HEAD..], self.number, self.at) else { return Ok(Step::Bad) };
        let (at, body) = (self.at, self.at + bytes.len() as u64);
        self.at = body + u64::from(head.body);
        Ok(Step::Frame(Frame { at, body, end: self.at, entries }))
    }
}
