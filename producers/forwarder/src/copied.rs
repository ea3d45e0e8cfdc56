//! Copies that are made of a file before it is truncated (logrotate's copytruncate): what was not read of the file is read
//! from the copy, as if the file had been renamed to it.

use std::fs::File;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use millrace_schemas::position::FilePosition;
use tracing::{info, warn};

use crate::Now;
use crate::catalog::Catalog;
use crate::disk::{Sight, look, open, read_at};
use crate::follow::{Follow, Mark};
use crate::identity::{Inode, PRINT};

/// So many known bytes at least have to be equal.
const EVIDENCE: i32 = 64;
/// Scans for which a copy that grows no longer waits until its original is truncated.
const PATIENCE: u64 = 5;

/// A file that may be the copy of a followed one.
#[derive(Debug)]
pub(crate) struct Waiting {
    size: u64,
    /// The scan that found it so long first.
    since: u64,
}

impl Catalog {
    /// Goes on with the copy of an incarnation that was truncated, and answers its inode, where there is one. `unread`
    /// bytes of the file were seen and not read.
    pub(crate) fn go_on_in_copy(
        &mut self,
        input: usize,
        place: &Path,
        position: &FilePosition,
        committed: Option<Mark>,
        unread: u64,
        now: Now,
    ) -> Option<Inode> {
        let (path, file, sight) = self.find_copy(place, position)?;
        let (from, to) = (position.byte as u64, sight.size);
        let lost = (from + unread).saturating_sub(to);
        let (place, copy) = (place.display(), path.display());
        info!(%place, %copy, from, to, "a file was truncated; the rest of it is read from its copy");
        if lost > 0 {
            warn!(%place, from = to, to = to + lost, "bytes were written to a file between its copy and its truncation, and are lost");
        }
        let position = FilePosition { lost: position.lost + lost as i64, ..position.clone() };
        self.lost += lost;
        let inode = sight.inode;
        self.places.insert(path.clone(), inode);
        let follow = Follow {
            dirty: true,
            seen_in: self.scan_number,
            ..Follow::new(input, path, (file, sight), position, committed, now)
        };
        self.n_open += 1;
        self.dirty.push(inode);
        self.files.insert(inode, follow);
        self.enqueue(inode);
        Some(inode)
    }

    /// The longest copy beside `place` that holds all that was read of it.
    fn find_copy(&self, place: &Path, position: &FilePosition) -> Option<(PathBuf, File, Sight)> {
        if position.finished || !is_told(position) {
            return None;
        }
        let (folder, name) = (place.parent()?, place.file_name()?.as_bytes());
        let names = std::fs::read_dir(folder).ok()?.flatten().map(|entry| entry.file_name());
        let copies = names.filter(|own| goes_on(own.as_bytes(), name)).filter_map(|own| {
            let path = folder.join(own);
            let sight = Sight::at(&path).ok()?;
            let is_young = is_after(&sight, position);
            if !sight.is_file || !is_young || self.files.contains_key(&sight.inode) {
                return None;
            }
            let file = open(&path).ok()?;
            let look = look(&file, position).ok()?;
            let is_whole = look.size >= position.byte as u64;
            (is_whole && look.prefix_same && look.tail_same).then_some((path, file, sight))
        });
        copies.max_by_key(|(_, _, sight)| sight.size)
    }

    /// Whether a file that was never seen may be a copy of a followed one that is about to be truncated.
    pub(crate) fn waits_for_original(&mut self, path: &Path, (file, sight): (&File, Sight)) -> bool {
        let Ok(Some(original)) = self.original_of(path, file, sight) else { return false };
        let scan = self.scan_number;
        let begun = Waiting { size: sight.size, since: scan };
        let known = self.copies.remove(&sight.inode).filter(|known| known.size == sight.size);
        let waiting = known.unwrap_or(begun);
        let since = waiting.since;
        self.copies.insert(sight.inode, waiting);
        // So that a truncation is noticed as soon as may be.
        self.enqueue(original);
        scan < since + PATIENCE
    }

    /// Forgets copies that wait no longer.
    pub(crate) fn prune_copies(&mut self) {
        let scan = self.scan_number;
        self.copies.retain(|_, copy| scan < copy.since + 2 * PATIENCE);
    }

    fn original_of(&self, path: &Path, file: &File, sight: Sight) -> io::Result<Option<Inode>> {
        let Some((folder, name)) = path.parent().zip(path.file_name()) else { return Ok(None) };
        let name = name.as_bytes();
        for len in (1..name.len()).filter(|len| goes_on(name, &name[..*len])) {
            let place = folder.join(std::ffi::OsStr::from_bytes(&name[..len]));
            let followed = self.places.get(&place).and_then(|inode| self.files.get_key_value(inode));
            let Some((inode, Follow { position, .. })) = followed else { continue };
            if is_after(&sight, position) {
                let is_copy = if sight.size < position.byte as u64 {
                    begins_alike(file, &open(&place)?)?
                } else {
                    let look = look(file, position)?;
                    is_told(position) && look.prefix_same && look.tail_same
                };
                if is_copy {
                    return Ok(Some(*inode));
                }
            }
        }
        Ok(None)
    }
}

/// Whether enough is known of an incarnation to tell a copy of it.
fn is_told(position: &FilePosition) -> bool {
    position.prefix_len.max(position.tail_len) >= EVIDENCE
}

/// Whether the first bytes of `copy` are those of `original`.
fn begins_alike(copy: &File, original: &File) -> io::Result<bool> {
    let (mut copied, mut first) = ([0; PRINT], [0; PRINT]);
    let n_copied = read_at(copy, &mut copied, 0)?;
    let n_first = read_at(original, &mut first, 0)?;
    Ok(first[..n_first].starts_with(&copied[..n_copied]))
}

/// Whether `name` is `original` with a suffix, as copies have it: `app.log.1`, `app.log-20260131`.
fn goes_on(name: &[u8], original: &[u8]) -> bool {
    let rest = name.strip_prefix(original).unwrap_or_default();
    rest.first().is_some_and(|first| matches!(first, b'.' | b'-' | b'_' | b'~'))
}

/// Whether a file was made while the incarnation of `position` was there.
fn is_after(sight: &Sight, position: &FilePosition) -> bool {
    let made = if sight.birth > 0 { i128::from(sight.birth) } else { sight.modified };
    made >= i128::from(position.first_seen) * 1_000
}
