//! All incarnations that are known: followed ones, restored ones whose file was not met yet, finished ones.

use std::collections::hash_map::Entry;
use std::collections::{HashMap, HashSet, VecDeque};
use std::fs::File;
use std::path::PathBuf;
use std::time::Duration;

use millrace_schemas::position::FilePosition;
use tracing::warn;

use crate::Now;
use crate::copied::Waiting;
use crate::disk::{Sight, data_end, look};
use crate::follow::{Follow, Mark, is_of_note};
use crate::identity::{Inode, PRINT, Verdict, birth_of, file_id, judge, print, same_birth};
use crate::options::{Options, Start};
use crate::packed::Packed;
use crate::trouble::Troubles;

/// A finished incarnation, and since when this process knows that it is.
#[derive(Debug)]
pub(crate) struct Past {
    pub(crate) since: Duration,
    pub(crate) position: FilePosition,
}

/// A position that the next batch must carry though its file is no longer followed.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) position: FilePosition,
    pub(crate) committed: Option<Mark>,
}

/// All known incarnations.
#[derive(Debug, Default)]
pub(crate) struct Catalog {
    pub(crate) files: HashMap<Inode, Follow>,
    /// Restored, unfinished, and not met yet; by inode number, for device numbers may change when a host starts anew.
    pub(crate) waiting: HashMap<u64, Vec<FilePosition>>,
    pub(crate) past: HashMap<u64, Vec<Past>>,
    pub(crate) ended: Vec<Ended>,
    pub(crate) forgotten: Vec<FilePosition>,
    pub(crate) dirty: Vec<Inode>,
    /// Files with bytes to read, in turn.
    pub(crate) queue: VecDeque<Inode>,
    pub(crate) troubles: Troubles,
    pub(crate) n_open: usize,
    pub(crate) scan_number: u64,
    /// Inputs that had positions when the process began: their new files are read from the beginning.
    begun: HashSet<usize>,
    /// The last file met at each path.
    pub(crate) places: HashMap<PathBuf, Inode>,
    pub(crate) lost: u64,
    /// Packed files that were met.
    pub(crate) packed: HashMap<Inode, Packed>,
    /// Copies of followed files that were met before the truncation.
    pub(crate) copies: HashMap<Inode, Waiting>,
    /// Folders in which packed files are that were not looked into yet.
    pub(crate) unsettled: HashSet<PathBuf>,
}

impl Catalog {
    /// Begins with restored positions.
    pub(crate) fn restored(positions: Vec<FilePosition>, options: &Options, now: Now) -> Catalog {
        let mut catalog = Catalog::default();
        for position in positions {
            let same =
                |input: &crate::Input| input.tenant == position.tenant && input.stream == position.stream;
            if let Some(input) = options.inputs.iter().position(same) {
                catalog.begun.insert(input);
            }
            let number = position.inode as u64;
            if position.finished {
                catalog.past.entry(number).or_default().push(Past { since: now.monotonic, position });
            } else {
                catalog.waiting.entry(number).or_default().push(position);
            }
        }
        catalog
    }

    /// Takes up an open file that is not followed yet.
    pub(crate) fn meet(
        &mut self,
        options: &Options,
        input: usize,
        place: PathBuf,
        (file, sight): (File, Sight),
        now: Now,
    ) -> std::io::Result<()> {
        let known = self.recall(options, input, sight);
        if known.is_none() && !options.once && self.waits_for_original(&place, (&file, sight)) {
            return Ok(());
        }
        let mut copy = None;
        let (position, committed) = match known {
            Some((position, committed)) => {
                let look = look(&file, &position)?;
                match judge(&position, position.byte as u64, look) {
                    Verdict::Same | Verdict::Cut { .. } => {
                        self.remove_known(&position);
                        (FilePosition { finished: false, ..position }, committed)
                    }
                    Verdict::Truncated { lost } => {
                        self.remove_known(&position);
                        let truncations = position.truncations + 1;
                        copy = self.end_truncated(input, &place, position, committed, lost, now);
                        let made = self.make(options, input, &place, (&file, sight), truncations, now)?;
                        (made, None)
                    }
                }
            }
            None => (self.make(options, input, &place, (&file, sight), 0, now)?, None),
        };
        let inode = sight.inode;
        // A file rotated while nobody looked is met later in the same scan.
        let former =
            || self.waiting.values().flatten().find(|other| place.as_os_str() == other.path.as_str());
        let after = copy.or_else(|| self.places.get(&place).copied()).or_else(|| {
            let number = if committed.is_none() {
                former()?.inode as u64
            } else {
                return None;
            };
            Some(Inode { number, ..inode })
        });
        self.places.insert(place.clone(), inode);
        let mut follow = Follow {
            after,
            seen_in: self.scan_number,
            ..Follow::new(input, place, (file, sight), position, committed, now)
        };
        if committed.is_none() && self.begins_at_end(options, input, sight) {
            let unit = options.inputs.get(input).map_or(1, |input| input.encoding.widest() as u64);
            start_at_end(&mut follow, unit)?;
        }
        // So that it is found again should it be renamed before its first line is complete.
        follow.dirty |= committed.is_none() && follow.size > 0;
        self.n_open += 1;
        if follow.dirty {
            self.dirty.push(inode);
        }
        let waits = follow.size != follow.position.byte as u64;
        self.files.insert(inode, follow);
        if waits {
            self.enqueue(inode);
        }
        self.close_surplus(options, inode);
        Ok(())
    }

    /// Whether a file that was never seen is begun at its end.
    pub(crate) fn begins_at_end(&self, options: &Options, input: usize, sight: Sight) -> bool {
        let from_end = options.inputs.get(input).is_some_and(|input| match input.start {
            Start::Beginning => false,
            Start::End => true,
            Start::Since(time) => sight.modified < i128::from(time) * 1_000,
        });
        from_end && !self.begun.contains(&input) && self.scan_number == 1
    }

    /// The newest known incarnation that a file can be, with what the outlet holds of it.
    fn recall(&self, options: &Options, input: usize, sight: Sight) -> Option<(FilePosition, Option<Mark>)> {
        let input = options.inputs.get(input)?;
        let fits = |position: &FilePosition| {
            position.tenant == input.tenant
                && position.stream == input.stream
                && same_birth(position, sight.birth)
                // Another device number is believed only where the birth and some bytes are equal.
                && (position.device == sight.inode.device as i64
                    || (sight.birth > 0 && birth_of(position).is_some() && position.tail_len > 0))
        };
        let waiting = self.waiting.get(&sight.inode.number).into_iter().flatten();
        if let Some(position) =
            waiting.filter(|position| fits(position)).max_by_key(|p| (p.first_seen, p.truncations))
        {
            return Some((position.clone(), Some(Mark::of(position))));
        }
        // A finished one comes back where its file was moved away and back; without a birth that cannot be told from
        // an inode that is used again.
        let past = self.past.get(&sight.inode.number).into_iter().flatten().map(|past| &past.position);
        let found =
            past.filter(|p| fits(p) && sight.birth > 0).max_by_key(|p| (p.first_seen, p.truncations))?;
        let pending = self.ended.iter().find(|ended| ended.position.file_id == found.file_id);
        let committed = pending.map_or(Some(Mark::of(found)), |ended| ended.committed);
        Some((found.clone(), committed))
    }

    pub(crate) fn remove_known(&mut self, position: &FilePosition) {
        let number = position.inode as u64;
        if let Entry::Occupied(mut list) = self.waiting.entry(number) {
            list.get_mut().retain(|other| other.file_id != position.file_id);
            if list.get().is_empty() {
                list.remove();
            }
        }
        if let Entry::Occupied(mut list) = self.past.entry(number) {
            list.get_mut().retain(|other| other.position.file_id != position.file_id);
            if list.get().is_empty() {
                list.remove();
            }
        }
        self.ended.retain(|other| other.position.file_id != position.file_id);
    }

    /// A new incarnation, read from its beginning.
    pub(crate) fn make(
        &self,
        options: &Options,
        input: usize,
        place: &std::path::Path,
        (file, sight): (&File, Sight),
        truncations: i32,
        now: Now,
    ) -> std::io::Result<FilePosition> {
        let mut prefix = [0; PRINT];
        let n_read = crate::disk::read_at(file, &mut prefix, 0)?;
        // What is only set aside is yet to be written.
        let prefix_len = prefix[..n_read].iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
        let prefix_hash = print(&prefix[..prefix_len]);
        let inode = sight.inode;
        // Counted up until it is new: within one tick of the file system's clock a birth may repeat.
        let fresh = |truncations: &i32| {
            let id = file_id(inode, prefix_len as i32, prefix_hash, *truncations, sight.birth);
            !self.knows(inode, &id)
        };
        let truncations = (truncations..).find(fresh).unwrap_or(truncations);
        let (tenant, stream) =
            options.inputs.get(input).map(|i| (i.tenant.clone(), i.stream.clone())).unwrap_or_default();
        Ok(FilePosition {
            tenant,
            forwarder: options.forwarder_id.clone(),
            file_id: file_id(inode, prefix_len as i32, prefix_hash, truncations, sight.birth),
            stream,
            path: place.to_string_lossy().into_owned(),
            device: inode.device as i64,
            inode: inode.number as i64,
            prefix_len: prefix_len as i32,
            prefix_hash,
            tail_len: 0,
            tail_hash: print(&[]),
            truncations,
            byte: 0,
            line: 0,
            piece: 0,
            first_seen: now.wall,
            lost: 0,
            finished: false,
            text: None,
            cursor: None,
        })
    }

    fn knows(&self, inode: Inode, id: &str) -> bool {
        let number = inode.number;
        let past = self.past.get(&number).into_iter().flatten().any(|past| past.position.file_id == id);
        let waiting = self.waiting.get(&number).into_iter().flatten().any(|position| position.file_id == id);
        past || waiting || self.files.get(&inode).is_some_and(|follow| follow.position.file_id == id)
    }

    /// Ends the incarnation that is followed under `inode`; `lost` bytes of it were never read.
    pub(crate) fn end(&mut self, inode: Inode, lost: u64, now: Now) -> Option<Follow> {
        let follow = self.release(inode)?;
        if follow.is_of_note() || lost > 0 {
            self.end_position(follow.position.clone(), follow.committed, lost, now);
        }
        Some(follow)
    }

    fn release(&mut self, inode: Inode) -> Option<Follow> {
        let follow = self.files.remove(&inode)?;
        if follow.file.is_some() {
            self.n_open -= 1;
        }
        Some(follow)
    }

    /// Ends an incarnation that was truncated, or goes on with its copy, whose inode it answers then.
    fn end_truncated(
        &mut self,
        input: usize,
        place: &std::path::Path,
        position: FilePosition,
        committed: Option<Mark>,
        lost: u64,
        now: Now,
    ) -> Option<Inode> {
        let copy = self.go_on_in_copy(input, place, &position, committed, lost, now);
        if copy.is_none() {
            warn_truncated(place, position.byte as u64, lost);
            if is_of_note(&position, committed) || lost > 0 {
                self.end_position(position, committed, lost, now);
            }
        }
        copy
    }

    /// Ends an incarnation; its last position goes into the next batch.
    pub(crate) fn end_position(
        &mut self,
        mut position: FilePosition,
        committed: Option<Mark>,
        lost: u64,
        now: Now,
    ) {
        position.finished = true;
        position.lost += lost as i64;
        self.lost += lost;
        let past = Past { since: now.monotonic, position: position.clone() };
        self.past.entry(position.inode as u64).or_default().push(past);
        self.ended.push(Ended { position, committed });
    }

    /// Ends a truncated incarnation and begins the next one of the same file.
    pub(crate) fn truncate(
        &mut self,
        options: &Options,
        inode: Inode,
        lost: u64,
        now: Now,
    ) -> std::io::Result<()> {
        let Some(follow) = self.release(inode) else {
            return Ok(());
        };
        let Follow { input, position, committed, .. } = &follow;
        let after = self.end_truncated(*input, &follow.place, position.clone(), *committed, lost, now);
        let Some(file) = follow.file else { return Ok(()) };
        let sight = Sight::of(&file)?;
        let truncations = follow.position.truncations + 1;
        let position = self.make(options, follow.input, &follow.place, (&file, sight), truncations, now)?;
        let next = Follow {
            position,
            committed: None,
            file: Some(file),
            size: sight.size,
            modified: sight.modified,
            held: None,
            room: None,
            queued: false,
            dirty: sight.size > 0,
            after,
            ..follow
        };
        self.n_open += 1;
        self.files.insert(inode, next);
        if sight.size > 0 {
            self.dirty.push(inode);
            self.enqueue(inode);
        }
        Ok(())
    }

    pub(crate) fn enqueue(&mut self, inode: Inode) {
        if let Some(follow) = self.files.get_mut(&inode).filter(|follow| !follow.queued) {
            follow.queued = true;
            self.queue.push_back(inode);
        }
    }

    /// Closes `inode`'s file where more are open than there may be; it is opened again when it has grown.
    pub(crate) fn close_surplus(&mut self, options: &Options, inode: Inode) {
        if self.n_open <= options.limits.max_open_files {
            return;
        }
        if let Some(follow) = self.files.get_mut(&inode).filter(|follow| !follow.gone)
            && follow.file.take().is_some()
        {
            self.n_open -= 1;
        }
    }
}

/// Passes over what is there, to a multiple of `unit` bytes.
pub(crate) fn start_at_end(follow: &mut Follow, unit: u64) -> std::io::Result<()> {
    let Some(file) = &follow.file else { return Ok(()) };
    let mut tail = [0; PRINT];
    let size = if unit == 1 { data_end(file, follow.size)? } else { follow.size };
    let end = size - size % unit;
    let len = end.min(PRINT as u64);
    let n_read = crate::disk::read_at(file, &mut tail[..len as usize], end - len)?;
    follow.position.byte = (end - len) as i64 + n_read as i64;
    follow.position.tail_len = n_read as i32;
    follow.position.tail_hash = print(&tail[..n_read]);
    follow.dirty = true;
    Ok(())
}

fn warn_truncated(path: &std::path::Path, read: u64, lost: u64) {
    let path = path.display();
    if lost == 0 {
        tracing::info!(%path, read, "a file was truncated; it is read again from its beginning");
    } else {
        let (from, to) = (read, read + lost);
        warn!(%path, from, to, "a file was truncated before all of it could be read; these bytes are lost");
    }
}
