//! The loop's one step: scan, read, commit. Owns the outlet; blocks only in it; fails only by its *Exit*.

#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::io;
use std::time::Duration;

use millrace_schemas::position::FilePosition;
use tracing::{debug, info, warn};

use crate::batch::Batch;
use crate::catalog::Catalog;
use crate::disk::{Sight, open};
use crate::follow::{Follow, Mark};
use crate::identity::Inode;
use crate::options::Options;
use crate::outlet::{Outlet, OutletError};
use crate::reader::{Reader, Task, Visit, has_room};
use crate::rules::Rules;
use crate::{Error, Now, Progress, Step};

/// First and longest pause before an outlet is asked again.
const PAUSE_FIRST: Duration = Duration::from_millis(100);
const PAUSE_LONGEST: Duration = Duration::from_secs(5);
/// Where the open files are as many as may be, those quiet for so long give way.
const QUIET: Duration = Duration::from_secs(10);
/// A file that was moved to where nothing is looked for is finished when it was quiet for so long.
const MOVED: Duration = Duration::from_secs(300);

/// Follows files and hands batches to an outlet; [`crate::run`] drives it.
#[derive(Debug)]
pub struct Forwarder<O> {
    options: Options,
    outlet: O,
    catalog: Catalog,
    reader: Reader,
    /// By input.
    rules: Vec<Rules>,
    batch: Batch,
    batch_since: Option<Duration>,
    /// The batch is complete and waits for the outlet; marks of its positions before it, by file id.
    sealed: Option<HashMap<String, Option<Mark>>>,
    restored: bool,
    attempts: u32,
    retry_at: Duration,
    next_scan: Duration,
    next_poll: Duration,
    progress: Progress,
}

impl<O: Outlet> Forwarder<O> {
    /// Checks the options; touches neither files nor the outlet yet.
    ///
    /// # Errors
    /// [`Error::Options`].
    pub fn new(options: Options, outlet: O) -> Result<Forwarder<O>, Error> {
        options.check()?;
        let compile = |input| Rules::compile(input, "input", &mut Vec::new());
        let rules: Vec<Rules> = options.inputs.iter().map(compile).collect();
        Ok(Forwarder {
            catalog: Catalog::default(),
            reader: Reader::new(&options.limits, &rules),
            rules,
            batch: Batch::new(&options),
            batch_since: None,
            sealed: None,
            restored: false,
            attempts: 0,
            retry_at: Duration::ZERO,
            next_scan: Duration::ZERO,
            next_poll: Duration::ZERO,
            progress: Progress::default(),
            options,
            outlet,
        })
    }

    /// Does what is due: at most one read of a batch and one attempt to commit it.
    ///
    /// # Errors
    /// [`Error::Outlet`] where the outlet said *Exit*.
    pub fn step(&mut self, now: Now) -> Result<Step, Error> {
        self.progress.waiting = true;
        if !self.restored && !self.restore(now)? {
            return Ok(Step::Waiting);
        }
        // Also while the outlet is away: an open file is not lost when it is deleted.
        if now.monotonic >= self.next_scan {
            self.catalog.scan(&self.options, &self.rules, now);
            self.next_scan = now.monotonic + self.options.limits.scan_interval;
        }
        if self.sealed.is_some() {
            return self.commit(now);
        }
        if !self.outlet.may_write() {
            return Ok(Step::Waiting);
        }
        self.progress.waiting = false;
        if now.monotonic >= self.next_poll {
            self.poll(now);
            self.next_poll = now.monotonic + self.options.limits.poll_interval;
        }
        let full = self.fill(now);
        if self.batch_since.is_none() && self.has_news() {
            self.batch_since = Some(now.monotonic);
        }
        let linger = if self.options.once { Duration::ZERO } else { self.options.limits.linger };
        let due = self.batch_since.is_some_and(|since| now.monotonic >= since + linger);
        if full || due {
            self.seal();
            return self.commit(now);
        }
        Ok(if self.catalog.queue.is_empty() { Step::Idle } else { Step::Busy })
    }

    /// How far it is.
    pub fn progress(&self) -> Progress {
        Progress {
            files: self.catalog.files.len(),
            open_files: self.catalog.n_open,
            troubled_files: self.catalog.troubles.len(),
            behind_bytes: self.catalog.files.values().map(Follow::unread).sum(),
            lost_bytes: self.catalog.lost,
            ..self.progress
        }
    }

    /// Gives the outlet back; what is not committed is forgotten, to be read again from the files.
    pub fn into_outlet(self) -> O {
        self.outlet
    }

    /// Whether the batch has anything to carry.
    fn has_news(&self) -> bool {
        let Catalog { ended, forgotten, dirty, .. } = &self.catalog;
        !self.batch.is_empty() || !ended.is_empty() || !forgotten.is_empty() || !dirty.is_empty()
    }

    /// Asks every open file whether it grew, and whether those that are gone are read.
    fn poll(&mut self, now: Now) {
        let patience = self.patience();
        let crowded = self.catalog.n_open >= self.options.limits.max_open_files;
        let (mut queue, mut done, mut broken, mut quiet) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        for (inode, follow) in &self.catalog.files {
            let Some(file) = &follow.file else {
                if follow.must_flush(now.monotonic, self.rules[follow.input].patience(patience)) {
                    queue.push(*inode);
                }
                continue;
            };
            match Sight::of(file) {
                Ok(sight)
                    if follow.needs_visit(&sight)
                        || follow.must_flush(now.monotonic, self.rules[follow.input].patience(patience)) =>
                {
                    queue.push(*inode);
                }
                Ok(sight) if follow.gone => {
                    // One that was moved out of sight is still written to by those who have it open.
                    let moved = sight.is_named && !crowded && !self.options.once;
                    let wait = if moved { patience.max(MOVED) } else { patience };
                    if now.monotonic >= follow.quiet_since + wait {
                        done.push(*inode);
                    }
                }
                Ok(_) if crowded && now.monotonic >= follow.quiet_since + QUIET => quiet.push(*inode),
                Ok(_) => {}
                Err(error) => broken.push((*inode, error)),
            }
        }
        queue.into_iter().for_each(|inode| self.catalog.enqueue(inode));
        for inode in done {
            let lost = self.catalog.files.get(&inode).map_or(0, |own| self.rules[own.input].no_text(own));
            self.catalog.end(inode, lost, now);
        }
        for (inode, error) in broken {
            self.set_aside(inode, &error);
        }
        for inode in quiet {
            if let Some(follow) = self.catalog.files.get_mut(&inode).filter(|f| !f.gone && !f.queued) {
                follow.file = None;
                self.catalog.n_open -= 1;
            }
        }
    }

    fn patience(&self) -> Duration {
        if self.options.once { Duration::ZERO } else { self.options.limits.partial_line_timeout }
    }

    /// Reads from the files in turn until the batch is full; answers whether it is.
    fn fill(&mut self, now: Now) -> bool {
        // Each file once: those that wait for another one come to the end of the queue.
        let mut rounds = self.catalog.queue.len();
        while let Some(inode) = self.catalog.queue.pop_front() {
            let Some(follow) = self.catalog.files.get_mut(&inode) else {
                continue;
            };
            let before = follow.after.filter(|before| *before != inode);
            let blocked = before.and_then(|b| self.catalog.files.get(&b)).is_some_and(|b| b.queued);
            if blocked && rounds > 0 {
                rounds -= 1;
                self.catalog.queue.push_back(inode);
                continue;
            }
            match self.visit(inode, now) {
                Ok(Visit::End) => rounds = self.catalog.queue.len(),
                Ok(Visit::More) => {
                    self.catalog.enqueue(inode);
                    rounds = self.catalog.queue.len();
                }
                Ok(Visit::Full) => {
                    self.catalog.enqueue(inode);
                    return true;
                }
                Ok(Visit::Truncated { lost }) => {
                    if let Err(error) = self.catalog.truncate(&self.options, inode, lost, now) {
                        self.set_aside(inode, &error);
                    }
                }
                Err(error) => self.set_aside(inode, &error),
            }
        }
        !has_room(&self.batch, &self.options.limits, 1, 0)
    }

    fn visit(&mut self, inode: Inode, now: Now) -> io::Result<Visit> {
        let patience = self.patience();
        let Some(follow) = self.catalog.files.get_mut(&inode) else {
            return Ok(Visit::End);
        };
        follow.queued = false;
        follow.after = None;
        if follow.file.is_none() {
            let file = open(&follow.place)?;
            let sight = Sight::of(&file)?;
            if sight.inode != inode || (sight.birth != 0 && follow.birth != 0 && sight.birth != follow.birth)
            {
                // Renamed or replaced since the last scan; the next one finds out.
                self.next_scan = now.monotonic;
                return Ok(Visit::End);
            }
            follow.file = Some(file);
            self.catalog.n_open += 1;
        }
        if let Some(file) = &follow.file {
            // Before the read: a change during it is seen at the next poll.
            follow.modified = Sight::of(file)?.modified;
        }
        follow.broken = false;
        let was_dirty = follow.dirty;
        let lost = follow.position.lost;
        let task = Task { options: &self.options, rules: &self.rules[follow.input], now, patience };
        let visit = self.reader.visit(follow, &mut self.batch, &task)?;
        self.catalog.lost += (follow.position.lost - lost) as u64;
        if follow.dirty && !was_dirty {
            self.catalog.dirty.push(inode);
        }
        if !matches!(visit, Visit::Truncated { .. }) {
            self.catalog.close_surplus(&self.options, inode);
        }
        Ok(visit)
    }

    /// A file that cannot be read now: said once, closed, and tried again when a scan meets it.
    fn set_aside(&mut self, inode: Inode, error: &io::Error) {
        let Some(follow) = self.catalog.files.get_mut(&inode) else {
            return;
        };
        follow.queued = false;
        follow.broken = true;
        if follow.file.take().is_some() {
            self.catalog.n_open -= 1;
        }
        let scan = self.catalog.scan_number;
        if follow.unpacked {
            // The copy is gone; the scan makes another one.
            let place = follow.place.clone();
            if let Some(follow) = self.catalog.files.remove(&inode) {
                self.catalog.waiting.entry(inode.number).or_default().push(follow.position);
            }
            self.catalog.packed.remove(&inode);
            self.catalog.troubles.report(&place, error.to_string(), scan);
            return;
        }
        if error.kind() == io::ErrorKind::NotFound {
            // Renamed or deleted since the last scan; the next one finds out.
            follow.broken = false;
        } else {
            self.catalog.troubles.report(&follow.place.clone(), error.to_string(), scan);
        }
    }

    /// Completes the batch with the positions that changed.
    fn seal(&mut self) {
        let mut marks = HashMap::new();
        let Catalog { ended, forgotten, dirty, files, .. } = &mut self.catalog;
        for ended in ended.drain(..) {
            marks.insert(ended.position.file_id.clone(), ended.committed);
            self.batch.positions.push(ended.position);
        }
        for inode in dirty.drain(..) {
            if let Some(follow) = files.get_mut(&inode).filter(|follow| follow.dirty) {
                follow.dirty = false;
                marks.insert(follow.position.file_id.clone(), follow.committed);
                self.batch.positions.push(follow.position.clone());
            }
        }
        self.batch.forgotten.append(forgotten);
        self.sealed = Some(marks);
        self.retry_at = Duration::ZERO;
        self.attempts = 0;
    }

    /// Hands the sealed batch over, if it is time to.
    fn commit(&mut self, now: Now) -> Result<Step, Error> {
        if now.monotonic < self.retry_at {
            return Ok(Step::Waiting);
        }
        if !self.batch.is_empty() {
            match self.outlet.commit(&self.batch) {
                Ok(()) => {}
                Err(error @ (OutletError::Retry { .. } | OutletError::Abort { .. })) => {
                    self.pause(&error, now);
                    return Ok(Step::Waiting);
                }
                Err(error @ OutletError::Rejoin { .. }) => {
                    info!(%error, "restoring positions");
                    self.restored = false;
                    self.pause(&error, now);
                    return Ok(Step::Waiting);
                }
                Err(error @ OutletError::Exit { .. }) => return Err(error.into()),
            }
        }
        self.settle();
        Ok(Step::Busy)
    }

    /// Notes that the batch is committed.
    fn settle(&mut self) {
        self.progress.waiting = false;
        self.progress.lines += self.batch.records().len() as u64;
        self.progress.bytes += self.batch.bytes();
        self.progress.batches += 1;
        debug!(
            n_records = self.batch.records().len(),
            n_positions = self.batch.positions().len(),
            "committed"
        );
        for position in self.batch.positions.drain(..) {
            let number = Inode { device: position.device as u64, number: position.inode as u64 };
            let follow =
                self.catalog.files.get_mut(&number).filter(|f| f.position.file_id == position.file_id);
            if let Some(follow) = follow {
                follow.committed = Some(Mark::of(&position));
            }
            let pending = self.catalog.ended.iter_mut().find(|e| e.position.file_id == position.file_id);
            if let Some(pending) = pending {
                pending.committed = Some(Mark::of(&position));
            }
        }
        self.batch.clear();
        self.batch_since = None;
        self.sealed = None;
        self.attempts = 0;
    }

    /// Reads the committed positions; answers whether they are known now.
    fn restore(&mut self, now: Now) -> Result<bool, Error> {
        if now.monotonic < self.retry_at {
            return Ok(false);
        }
        let positions = match self.outlet.restore() {
            Ok(positions) => positions,
            Err(error @ OutletError::Exit { .. }) => return Err(error.into()),
            Err(error) => {
                self.pause(&error, now);
                return Ok(false);
            }
        };
        self.restored = true;
        self.attempts = 0;
        self.retry_at = Duration::ZERO;
        match self.sealed.as_ref().map(|marks| fate(&self.batch, marks, &positions)) {
            Some(Fate::Committed) => self.settle(),
            // The same batch comes again, byte for byte.
            Some(Fate::Absent) => {}
            Some(Fate::Foreign) | None => self.begin(positions, now),
        }
        Ok(true)
    }

    /// Drops what is in memory and begins with `positions`.
    fn begin(&mut self, positions: Vec<FilePosition>, now: Now) {
        if self.sealed.take().is_some() {
            warn!("another process has written positions of this forwarder; going on from those");
        }
        let lost = self.catalog.lost;
        self.catalog = Catalog::restored(positions, &self.options, now);
        self.catalog.lost = lost;
        self.batch.clear();
        self.batch_since = None;
        self.next_scan = Duration::ZERO;
        self.next_poll = Duration::ZERO;
    }

    fn pause(&mut self, error: &OutletError, now: Now) {
        let pause = PAUSE_FIRST.saturating_mul(1 << self.attempts.min(10)).min(PAUSE_LONGEST);
        // Spread by the forwarder's id, so that a thousand hosts do not come back at once.
        let spread =
            xxhash_rust::xxh3::xxh3_64_with_seed(self.options.forwarder_id.as_bytes(), self.attempts.into());
        self.retry_at = now.monotonic + pause.mul_f64(0.75 + (spread % 512) as f64 / 1024.0);
        self.attempts += 1;
        if self.attempts.is_power_of_two() {
            warn!(%error, attempts = self.attempts, "the outlet takes nothing; trying again");
        }
    }
}

/// What became of a batch in doubt.
#[derive(Debug, PartialEq, Eq)]
enum Fate {
    Committed,
    Absent,
    Foreign,
}

/// Reads the fate of `batch` from the committed positions: it changed all of its own or none.
fn fate(batch: &Batch, before: &HashMap<String, Option<Mark>>, positions: &[FilePosition]) -> Fate {
    let now: HashMap<&str, Mark> = positions.iter().map(|p| (p.file_id.as_str(), Mark::of(p))).collect();
    let mark = |position: &FilePosition| now.get(position.file_id.as_str()).copied();
    let changed = batch.positions();
    if changed.iter().all(|p| mark(p) == Some(Mark::of(p))) && !changed.is_empty() {
        return Fate::Committed;
    }
    if changed.iter().all(|p| mark(p) == before.get(&p.file_id).copied().flatten()) {
        return Fate::Absent;
    }
    Fate::Foreign
}
