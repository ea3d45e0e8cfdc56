//! What a folder holds after a stop, a kill or a crash: every append that returned, whole.
//!
//! Only the newest segment can end in an append that was not finished; that one is cut off. Anything else that cannot be read
//! is damage: said, kept aside, and gone round.

use std::collections::BTreeMap;
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tracing::{error, info};

use crate::frame::{Entry, HEADER, Kind, block_hash, header};
use crate::group::{Table, apply};
use crate::parked;
use crate::segment::{Batch, SUFFIX, Segment, Step, UNFINISHED, Walk};
use crate::{BatchId, Error, SegmentId};

/// Bytes of an entry in a list of batches that are done.
const DONE: usize = 16;

#[derive(Debug, Default)]
pub(crate) struct Recovered {
    pub(crate) segments: BTreeMap<SegmentId, Segment>,
    pub(crate) table: Table,
    /// Above every number that was ever used.
    pub(crate) next_number: u64,
}

/// Reads `dir` and mends it.
///
/// # Errors
/// [`Error::Io`].
pub(crate) fn recover(dir: &Path) -> Result<Recovered, Error> {
    for path in files(dir, UNFINISHED)?.into_values() {
        std::fs::remove_file(&path).map_err(Error::io("remove", &path))?;
    }
    load(dir, true)
}

/// Reads `dir`, and changes nothing unless it is to `mend`.
///
/// # Errors
/// [`Error::Io`].
pub(crate) fn load(dir: &Path, mend: bool) -> Result<Recovered, Error> {
    let mut found = Recovered { next_number: 1, ..Recovered::default() };
    let mut done = Vec::new();
    let own = files(dir, SUFFIX)?;
    let newest = own.keys().map(|id| id.number).max().unwrap_or_default();
    for (id, path) in own {
        found.next_number = found.next_number.max(id.number + 1);
        // What lies in part of a segment has its reason there, not the table.
        let table = if id.part == 0 { &mut found.table } else { &mut Table::new() };
        let file = match File::options().read(true).write(mend).open(&path) {
            Ok(file) => file,
            // The process that owns the folder goes on meanwhile.
            Err(error) if error.kind() == std::io::ErrorKind::NotFound && !mend => continue,
            Err(source) => return Err(Error::Io { tried: "open the segment", path, source }),
        };
        let Some((mut segment, size)) = open(id, &path, file, table, &mut done)? else {
            if mend {
                error!(path = %path.display(), "a segment of the spool is damaged from its beginning, it is kept aside");
                parked::move_aside(dir, &path)?;
            }
            continue;
        };
        if mend && segment.len < size {
            mend_end(dir, &segment, size, id.number == newest && id.part == 0)?;
        }
        segment.batches.iter_mut().for_each(|batch| batch.closed = true);
        found.segments.insert(id, segment);
    }
    // A number that is parked comes back. And its segment may not know yet that the batch lies elsewhere.
    let aside = [parked::folder(dir), parked::again(dir)].map(|folder| files(&folder, SUFFIX));
    let aside: Vec<_> = aside.into_iter().collect::<Result<_, _>>()?;
    let aside: Vec<SegmentId> = aside.into_iter().flat_map(BTreeMap::into_keys).collect();
    let above = aside.iter().map(|id| id.number + 1).max().unwrap_or_default();
    found.next_number = found.next_number.max(above);
    done.extend(aside.iter().chain(found.segments.keys()).filter_map(|id| parked::original(*id)));
    for id in done {
        let segment = found.segments.get_mut(&id.segment);
        if let Some(batch) = segment.and_then(|segment| segment.batches.get_mut(id.index as usize)) {
            batch.done = true;
        }
    }
    Ok(found)
}

/// Deals with bytes that are no frame, at the end of a file of `size`.
fn mend_end(dir: &Path, segment: &Segment, size: u64, is_newest: bool) -> Result<(), Error> {
    let (path, from) = (&segment.path, segment.len);
    if is_newest {
        info!(path = %path.display(), bytes = size - from, "cutting off an append that was not finished");
        let cut = segment.file.set_len(from).and_then(|()| segment.file.sync_all());
        return cut.map_err(Error::io("cut the segment", path));
    }
    error!(path = %path.display(), from, to = size, "bytes of the spool are damaged, a copy is kept aside");
    parked::link_aside(dir, path)
}

/// Files of `dir` that end with `suffix`, by id; none where there is no such folder.
///
/// # Errors
/// [`Error::Io`].
pub(crate) fn files(dir: &Path, suffix: &str) -> Result<BTreeMap<SegmentId, PathBuf>, Error> {
    let mut files = BTreeMap::new();
    let entries = match std::fs::read_dir(dir) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(files),
        Err(source) => return Err(Error::Io { tried: "list", path: dir.to_owned(), source }),
    };
    for entry in entries {
        let path = entry.map_err(Error::io("list", dir))?.path();
        let id = path.file_stem().and_then(|stem| SegmentId::parse(stem.to_str()?));
        if let Some(id) = id.filter(|_| path.extension().is_some_and(|own| own == suffix)) {
            files.insert(id, path);
        }
    }
    Ok(files)
}

/// Opens a segment that lies by itself, with its own table.
///
/// # Errors
/// [`Error::Io`]; [`Error::Damaged`] where not all of it can be read.
pub(crate) fn open_alone(id: SegmentId, path: &Path) -> Result<(Segment, Table), Error> {
    let file = File::open(path).map_err(Error::io("open the segment", path))?;
    let mut table = Table::new();
    match open(id, path, file, &mut table, &mut Vec::new())? {
        Some((mut segment, size)) if segment.len == size => {
            segment.batches.iter_mut().for_each(|batch| batch.closed = true);
            Ok((segment, table))
        }
        found => {
            let at = found.map_or(0, |(segment, _)| segment.len);
            Err(Error::Damaged { path: path.to_owned(), at })
        }
    }
}

/// The segment as far as it can be read, and the size of its file; `None` where nothing of it can be.
fn open(
    id: SegmentId,
    path: &Path,
    file: File,
    table: &mut Table,
    done: &mut Vec<BatchId>,
) -> Result<Option<(Segment, u64)>, Error> {
    let fail = || Error::io("read the segment", path);
    let size = file.metadata().map_err(fail())?.len();
    let mut own = [0; HEADER];
    if size < HEADER as u64 {
        return Ok(None);
    }
    file.read_exact_at(&mut own, 0).map_err(fail())?;
    if own != header(id.number) {
        return Ok(None);
    }
    let len = HEADER as u64;
    let (file, path) = (Arc::new(file), path.to_owned());
    let mut segment = Segment { id, path, file: file.clone(), len, table_len: len, batches: Vec::new() };
    let mut walk = Walk { file: &file, number: id.number, at: len, end: size };
    while let Step::Frame(frame) = walk.step().map_err(fail())? {
        let mut blocks = Vec::new();
        for (entry, at) in frame.blocks() {
            let mut block = vec![0; entry.len as usize];
            file.read_exact_at(&mut block, at).map_err(fail())?;
            if block_hash(&block, id.number) != entry.hash {
                return Ok(Some((segment, size)));
            }
            // Lines are only checked here.
            blocks.push(if matches!(entry.kind, Kind::Lines(_)) { Vec::new() } else { block });
        }
        if !add(&mut segment, &frame.entries, frame.at, frame.end) {
            return Ok(Some((segment, size)));
        }
        let is_first = frame.at == HEADER as u64;
        for (entry, block) in frame.entries.iter().zip(&blocks) {
            match entry.kind {
                Kind::Table => {
                    if is_first {
                        table.clear();
                    }
                    apply(table, block);
                }
                Kind::Done => done.extend(block.chunks_exact(DONE).filter_map(decode_done)),
                Kind::Lines(_) => {}
            }
        }
        segment.len = frame.end;
        if is_first {
            segment.table_len = frame.end;
        }
    }
    Ok(Some((segment, size)))
}

/// Adds the lines of one frame to the segment's batches; `false` where they do not follow from those before.
fn add(segment: &mut Segment, entries: &[Entry], from: u64, to: u64) -> bool {
    for entry in entries {
        let Kind::Lines(index) = entry.kind else { continue };
        if let Some(title) = &entry.name {
            let Some(batch) = Batch::of_title(title, from) else { return false };
            if index as usize != segment.batches.len() {
                return false;
            }
            segment.batches.push(batch);
        }
        let Some(batch) = segment.batches.get_mut(index as usize) else { return false };
        batch.n_records += u64::from(entry.n_records);
        batch.bytes += u64::from(entry.len);
        batch.to = to;
    }
    true
}

pub(crate) fn encode_done(ids: impl Iterator<Item = BatchId>) -> Vec<u8> {
    let mut bytes = Vec::new();
    for BatchId { segment, index } in ids {
        bytes.extend_from_slice(&segment.number.to_le_bytes());
        bytes.extend_from_slice(&segment.part.to_le_bytes());
        bytes.extend_from_slice(&index.to_le_bytes());
    }
    bytes
}

fn decode_done(bytes: &[u8]) -> Option<BatchId> {
    let (number, rest) = bytes.split_first_chunk()?;
    let (part, rest) = rest.split_first_chunk()?;
    let segment = SegmentId { number: u64::from_le_bytes(*number), part: u32::from_le_bytes(*part) };
    Some(BatchId { segment, index: u32::from_le_bytes(*rest.first_chunk()?) })
}
