//! What lies beside the spool: batches that the gateway refused (`parked/`), those that are to be sent again (`again/`), and
//! copies of damaged files. Moves are renames, so a command may do them while the owner of the spool runs.

use std::path::{Path, PathBuf};

use crate::frame::{Kind, Maker};
use crate::recover::{files, load, open_alone};
use crate::segment::{Batch, SUFFIX, Segment, sync_folder, write_frame};
use crate::{BatchId, Error, Name, SegmentId};

/// Ends the name of a file with damage.
const DAMAGED: &str = "damaged";
/// Why a batch was parked, in its file's table.
const REASON: &[u8] = b"reason";
/// Longest reason that is kept.
const MAX_REASON: usize = 4 << 10;

/// Folder of what was refused.
pub(crate) fn folder(dir: &Path) -> PathBuf {
    dir.join("parked")
}

/// Folder of what is to be sent again.
pub(crate) fn again(dir: &Path) -> PathBuf {
    dir.join("again")
}

/// What a spool holds, as a command shows it.
#[derive(Debug, Clone, Default)]
pub struct Overview {
    /// Batches that wait to be sent, oldest first.
    pub waiting: Vec<Shown>,
    /// Batches that were refused.
    pub parked: Vec<Shown>,
    /// Damaged files, and their sizes.
    pub damaged: Vec<(PathBuf, u64)>,
}

/// A batch, as a command shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shown {
    /// What commands call it by.
    pub id: String,
    /// Whose lines.
    pub name: Name,
    /// Minutes since the epoch.
    pub minute: i64,
    /// Lines.
    pub n_records: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Why it was parked.
    pub reason: Option<String>,
}

/// Looks into the spool `dir`, changes nothing, and needs no lock.
///
/// # Errors
/// [`Error::Io`].
pub fn look(dir: &Path) -> Result<Overview, Error> {
    let mut overview = Overview::default();
    for (id, segment) in load(dir, false)?.segments {
        let waits = segment.batches.iter().enumerate().filter(|(_, batch)| !batch.done);
        overview.waiting.extend(waits.map(|(at, batch)| shown(file_id(id, at as u32), batch, None)));
    }
    for (id, path) in files(&folder(dir), SUFFIX)? {
        let Ok((segment, table)) = open_alone(id, &path) else {
            overview.damaged.push((path.clone(), size(&path)));
            continue;
        };
        let reason = table.get(REASON).map(|text| String::from_utf8_lossy(text).into_owned());
        overview.parked.extend(segment.batches.iter().map(|batch| shown(id, batch, reason.clone())));
    }
    let damaged = files(&folder(dir), DAMAGED)?.into_values();
    overview.damaged.extend(damaged.map(|path| (path.clone(), size(&path))));
    Ok(overview)
}

fn shown(id: SegmentId, batch: &Batch, reason: Option<String>) -> Shown {
    let Batch { name, minute, n_records, bytes, .. } = batch.clone();
    Shown { id: id.to_string(), name, minute, n_records, bytes, reason }
}

/// Lets a parked batch be sent again.
///
/// # Errors
/// [`Error::Unknown`], [`Error::Io`].
pub fn retry_parked(dir: &Path, id: &str) -> Result<(), Error> {
    let from = find(dir, id, &[SUFFIX])?;
    let to = again(dir);
    std::fs::create_dir_all(&to).map_err(Error::io("make the folder", &to))?;
    let to = to.join(from.file_name().unwrap_or_default());
    std::fs::rename(&from, &to).map_err(Error::io("move", &from))
}

/// Deletes a parked batch, or a damaged file.
///
/// # Errors
/// [`Error::Unknown`], [`Error::Io`].
pub fn drop_parked(dir: &Path, id: &str) -> Result<(), Error> {
    let path = find(dir, id, &[SUFFIX, DAMAGED])?;
    std::fs::remove_file(&path).map_err(Error::io("delete", &path))
}

fn find(dir: &Path, id: &str, suffixes: &[&str]) -> Result<PathBuf, Error> {
    let unknown = || Error::Unknown { id: id.to_owned(), dir: folder(dir) };
    let known = SegmentId::parse(id).ok_or_else(unknown)?;
    let mut paths = suffixes.iter().map(|suffix| folder(dir).join(format!("{known}.{suffix}")));
    paths.find(|path| path.exists()).ok_or_else(unknown)
}

/// The id of the file that batch number `index` of `segment` is parked in.
pub(crate) fn file_id(segment: SegmentId, index: u32) -> SegmentId {
    SegmentId { part: if segment.part > 0 { segment.part } else { index + 1 }, ..segment }
}

/// The batch whose copy file `id` holds, where it is one.
pub(crate) fn original(id: SegmentId) -> Option<BatchId> {
    let index = id.part.checked_sub(1)?;
    Some(BatchId { segment: SegmentId { part: 0, ..id }, index })
}

/// Copies a batch into a file of its own. `next` gives its blocks one by one: records, bytes.
///
/// # Errors
/// [`Error::Io`], or what `next` said.
pub(crate) fn park(
    dir: &Path,
    id: BatchId,
    batch: &Batch,
    reason: &str,
    mut next: impl FnMut() -> Result<Option<(u64, Vec<u8>)>, Error>,
) -> Result<(), Error> {
    let folder = folder(dir);
    std::fs::create_dir_all(&folder).map_err(Error::io("make the folder", &folder))?;
    let file_id = file_id(id.segment, id.index);
    let number = file_id.number;
    let mut table = crate::group::Group::default();
    table.put(REASON, &reason.as_bytes()[..reason.len().min(MAX_REASON)]);
    let made = Segment::create(&folder, file_id, |file, at| {
        let fail = || Error::io("write the parked batch into", &folder);
        let mut maker = Maker::default();
        maker.block(number, Kind::Table, None, 0, &table.table);
        let mut at = write_frame(file, number, at, maker, &[&table.table]).map_err(fail())?;
        let mut title = Some(Batch::title(batch.minute, &batch.name));
        while let Some((n_records, bytes)) = next()? {
            let mut maker = Maker::default();
            maker.block(number, Kind::Lines(0), title.take().as_deref(), n_records as u32, &bytes);
            at = write_frame(file, number, at, maker, &[&bytes]).map_err(fail())?;
        }
        Ok(at)
    });
    made.map(drop)
}

/// Bytes of what is parked, and how many files it is.
pub(crate) fn total(dir: &Path) -> Result<(u64, u64), Error> {
    let all = parked_files(dir)?;
    Ok((all.iter().map(|(_, bytes)| bytes).sum(), all.len() as u64))
}

/// Files by age, the oldest first, with their sizes.
pub(crate) fn parked_files(dir: &Path) -> Result<Vec<(PathBuf, u64)>, Error> {
    let mut all: Vec<(SegmentId, PathBuf)> = Vec::new();
    for suffix in [SUFFIX, DAMAGED] {
        all.extend(files(&folder(dir), suffix)?);
    }
    all.sort();
    Ok(all.into_iter().map(|(_, path)| (path.clone(), size(&path))).collect())
}

fn size(path: &Path) -> u64 {
    std::fs::metadata(path).map_or(0, |metadata| metadata.len())
}

/// Takes a file that cannot be read out of the way.
pub(crate) fn move_aside(dir: &Path, path: &Path) -> Result<(), Error> {
    let to = aside(dir, path)?;
    std::fs::rename(path, &to).map_err(Error::io("move", path))?;
    sync_folder(dir).map_err(Error::io("flush", dir))
}

/// Keeps a file that can be read in part, whatever becomes of it.
pub(crate) fn link_aside(dir: &Path, path: &Path) -> Result<(), Error> {
    let to = aside(dir, path)?;
    match std::fs::hard_link(path, &to) {
        Err(error) if error.kind() != std::io::ErrorKind::AlreadyExists => {
            Err(Error::io("link", path)(error))
        }
        Ok(()) | Err(_) => Ok(()),
    }
}

fn aside(dir: &Path, path: &Path) -> Result<PathBuf, Error> {
    let folder = folder(dir);
    std::fs::create_dir_all(&folder).map_err(Error::io("make the folder", &folder))?;
    let name = path.file_stem().unwrap_or_default();
    Ok(folder.join(name).with_extension(DAMAGED))
}
