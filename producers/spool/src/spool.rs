//! The spool: one writer, any number of readers.

use std::collections::HashMap;
use std::fs::File;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::frame::{Kind, MAX_NAME, Maker};
use crate::group::{Group, apply, whole};
use crate::recover::{encode_done, recover};
use crate::segment::{Batch, Segment, write_frame};
use crate::state::{Due, State, Status};
use crate::{BatchId, Error, Name, Options, SegmentId, lock, parked, reserve};

/// Share of the bound that one segment takes before the next one begins: what is sent must be deleted before all is full.
const SEGMENTS: u64 = 8;
/// A batch so many minutes ahead was opened before the clock was set back: it is not left open until the clock is there again.
const AHEAD: i64 = 10;
/// Lines that a segment has for each byte of its table before it ends with a minute.
const LINES_PER_TABLE: u64 = 8;

/// A spool that this process owns.
#[derive(Debug)]
pub struct Spool {
    options: Options,
    id: String,
    /// Taken before `state`, where both are.
    writer: Mutex<Writer>,
    state: Mutex<State>,
    _lock: File,
}

#[derive(Debug, Default)]
struct Writer {
    /// Numbers of the batches that grow.
    numbers: HashMap<Name, u32>,
    minute: i64,
    /// The last append found no room.
    full: bool,
    /// What could not be taken back after an append that failed.
    broken: Option<String>,
}

/// Where the next frame goes.
struct Target {
    id: SegmentId,
    file: Arc<File>,
    at: u64,
    /// Number of the next batch of the segment.
    next: u32,
    /// What is done, and not noted on disk yet.
    marks: Vec<BatchId>,
}

impl Spool {
    /// Opens the spool, or makes it, and mends what a kill left.
    ///
    /// # Errors
    /// [`Error::Locked`], [`Error::Io`].
    pub fn open(options: Options) -> Result<Spool, Error> {
        let dir = &options.dir;
        std::fs::create_dir_all(dir).map_err(Error::io("make the folder", dir))?;
        let (lock, id) = lock::lock(dir)?;
        let found = recover(dir)?;
        let mut state = State {
            segments: found.segments,
            table: found.table,
            next_number: found.next_number,
            ..State::default()
        };
        state.sweep();
        let spool = Spool {
            options,
            id,
            writer: Mutex::new(Writer::default()),
            state: Mutex::new(state),
            _lock: lock,
        };
        spool.refresh()?;
        Ok(spool)
    }

    /// Names the content of a batch for ever, whoever asks, and nobody else's.
    pub fn source(&self, id: BatchId) -> String {
        let SegmentId { number, part } = parked::file_id(id.segment, id.index);
        format!("{}.{number}.{part}", self.id)
    }

    pub(crate) fn options(&self) -> &Options {
        &self.options
    }

    pub(crate) fn dir(&self) -> &Path {
        &self.options.dir
    }

    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Writes `group` at `minute` (minutes since the epoch) and flushes it to disk.
    ///
    /// # Errors
    /// [`Error::Full`] and [`Error::Io`], after which nothing of it is there; [`Error::Broken`].
    pub fn append(&self, group: &Group, minute: i64) -> Result<(), Error> {
        let mut writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
        let written = self.write(&mut writer, group, minute).map_err(|error| self.told(error));
        writer.full = matches!(written, Err(Error::Full { .. }));
        if writer.full {
            // What is ended now is sent now, and makes room.
            self.close_all(&mut writer);
        }
        written
    }

    fn write(&self, writer: &mut Writer, group: &Group, minute: i64) -> Result<(), Error> {
        if let Some(reason) = &writer.broken {
            return Err(Error::Broken { dir: self.dir().to_owned(), reason: reason.clone() });
        }
        if let Some(name) = group.names.iter().find(|name| Batch::title(minute, name).len() > MAX_NAME) {
            return Err(Error::Name { name: name.clone() });
        }
        let Target { id, file, at, mut next, marks } = self.target(writer, group, minute)?;
        if !group.blocks.is_empty() {
            self.check_room(group.len())?;
        }
        let mut maker = Maker::default();
        let mut blocks: Vec<&[u8]> = Vec::with_capacity(group.blocks.len() + 2);
        let mut numbers: Vec<Option<u32>> =
            group.names.iter().map(|name| writer.numbers.get(name).copied()).collect();
        for block in &group.blocks {
            let (name, number) = (&group.names[block.name], &mut numbers[block.name]);
            let title = number.is_none().then(|| Batch::title(minute, name));
            let index = *number.get_or_insert_with(|| {
                next += 1;
                next - 1
            });
            maker.block(id.number, Kind::Lines(index), title.as_deref(), block.n_records, &block.bytes);
            blocks.push(&block.bytes);
        }
        let done = encode_done(marks.iter().copied());
        for (kind, bytes) in [(Kind::Table, &group.table), (Kind::Done, &done)] {
            if !bytes.is_empty() {
                maker.block(id.number, kind, None, 0, bytes);
                blocks.push(bytes);
            }
        }
        if blocks.is_empty() {
            return Ok(());
        }
        let written = write_frame(&file, id.number, at, maker, &blocks);
        let end = written.and_then(|end| file.sync_data().map(|()| end)).map_err(|source| {
            if let Err(error) = file.set_len(at) {
                writer.broken = Some(error.to_string());
            }
            Error::Io { tried: "append to the segment", path: self.dir().join(id.to_string()), source }
        })?;

        let mut state = self.state();
        let state = &mut *state;
        apply(&mut state.table, &group.table);
        state.marks.retain(|mark| !marks.contains(mark));
        let Some(segment) = state.segments.get_mut(&id) else { return Ok(()) };
        segment.len = end;
        for block in &group.blocks {
            let Some(index) = numbers[block.name] else { continue };
            if index as usize == segment.batches.len() {
                let name = &group.names[block.name];
                segment.batches.push(Batch::new(minute, name.clone(), at));
                writer.numbers.insert(name.clone(), index);
            }
            if let Some(batch) = segment.batches.get_mut(index as usize) {
                batch.n_records += u64::from(block.n_records);
                batch.bytes += block.bytes.len() as u64;
                batch.to = end;
            }
        }
        Ok(())
    }

    /// Where to write, in a segment that has room.
    fn target(&self, writer: &mut Writer, group: &Group, minute: i64) -> Result<Target, Error> {
        let mut state = self.state();
        let over = minute != writer.minute;
        let wanted = state.current().is_none_or(|segment| {
            let lines = segment.len - segment.table_len;
            let full = lines >= self.options.max_bytes / SEGMENTS;
            let enough = over && !group.blocks.is_empty() && lines >= LINES_PER_TABLE * segment.table_len;
            // Its own lines are in the way of the next ones.
            full || enough || (writer.full && lines > 0 && segment.is_done())
        });
        if wanted {
            // Nobody else makes segments, and making one takes as long as the disk does.
            drop(state);
            self.begin_segment(writer)?;
            state = self.state();
        }
        if over && !group.blocks.is_empty() {
            state.close(Some(minute));
            writer.numbers.clear();
            writer.minute = minute;
        }
        let marks = state.marks.clone();
        match state.current() {
            Some(Segment { id, file, len, batches, .. }) => {
                Ok(Target { id: *id, file: file.clone(), at: *len, next: batches.len() as u32, marks })
            }
            None => Err(Error::Broken { dir: self.dir().to_owned(), reason: "no segment".to_owned() }),
        }
    }

    /// Begins the next segment, with the whole table.
    fn begin_segment(&self, writer: &mut Writer) -> Result<(), Error> {
        let (number, table, done, marks) = {
            let state = self.state();
            let all = state.segments.values().flat_map(|segment| {
                let done = segment.batches.iter().enumerate().filter(|(_, batch)| batch.done);
                done.map(|(at, _)| BatchId { segment: segment.id, index: at as u32 })
            });
            (state.next_number, whole(&state.table), encode_done(all), state.marks.clone())
        };
        let id = SegmentId { number, part: 0 };
        let make = || {
            Segment::create(self.dir(), id, |file, at| {
                let mut maker = Maker::default();
                maker.block(number, Kind::Table, None, 0, &table);
                maker.block(number, Kind::Done, None, 0, &done);
                let written = write_frame(file, number, at, maker, &[&table, &done]);
                written.map_err(Error::io("begin a segment in", self.dir()))
            })
        };
        let segment = match make().map_err(|error| self.told(error)) {
            Err(Error::Full { .. }) if reserve::give_up(self.dir()) => make()?,
            made => made?,
        };
        let mut state = self.state();
        state.close(None);
        state.current = Some(id);
        state.next_number += 1;
        state.marks.retain(|mark| !marks.contains(mark));
        state.segments.insert(id, segment);
        state.sweep();
        writer.numbers.clear();
        Ok(())
    }

    /// Closes batches whose minute is over or far ahead, and notes on disk which are done. Called now and then.
    ///
    /// # Errors
    /// As [`Spool::append`]; nothing is lost by them.
    pub fn tick(&self, minute: i64) -> Result<(), Error> {
        let mut writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
        if writer.minute < minute || writer.minute > minute + AHEAD {
            self.close_all(&mut writer);
        }
        let marks = {
            let state = self.state();
            !state.marks.is_empty() && state.current.is_some()
        };
        if !marks {
            return Ok(());
        }
        self.write(&mut writer, &Group::default(), minute).map_err(|error| self.told(error))
    }

    /// Closes every batch: what is added from now on belongs to others.
    pub fn seal(&self) {
        let mut writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
        self.close_all(&mut writer);
    }

    /// The same where nothing more is written for want of room; what is done in the newest segment goes, too.
    ///
    /// # Errors
    /// As [`Spool::append`]; nothing is lost by them.
    pub fn make_room(&self) -> Result<(), Error> {
        let mut writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
        self.close_all(&mut writer);
        let is_in_the_way =
            self.state().current().is_some_and(|own| !own.batches.is_empty() && own.is_done());
        if is_in_the_way { self.begin_segment(&mut writer) } else { Ok(()) }
    }

    fn close_all(&self, writer: &mut Writer) {
        self.state().close(None);
        writer.numbers.clear();
    }

    /// Whether `bytes` more fit the bound.
    pub fn has_room(&self, bytes: u64) -> bool {
        self.check_room(bytes).is_ok()
    }

    fn check_room(&self, bytes: u64) -> Result<(), Error> {
        let (held, most) = (self.state().bytes(), self.options.max_bytes);
        if held + bytes <= most {
            return Ok(());
        }
        let reason = format!("it has {held} of {most} bytes, and {bytes} more are to be written");
        Err(Error::Full { dir: self.dir().to_owned(), reason })
    }

    /// A disk that is full is told apart from one that is broken.
    pub(crate) fn told(&self, error: Error) -> Error {
        use std::io::ErrorKind::{QuotaExceeded, StorageFull};
        match error {
            Error::Io { path, source, .. } if matches!(source.kind(), StorageFull | QuotaExceeded) => {
                Error::Full { dir: self.dir().to_owned(), reason: format!("{}: {source}", path.display()) }
            }
            other => other,
        }
    }

    /// The table's entries.
    pub fn table(&self) -> Vec<(Vec<u8>, Vec<u8>)> {
        self.state().table.iter().map(|(key, value)| (key.clone(), value.clone())).collect()
    }

    /// Up to `most` batches that are not done, the oldest first, of those that are `wanted`.
    pub fn due(&self, most: usize, wanted: impl FnMut(&Due) -> bool) -> Vec<Due> {
        self.state().due(most, wanted)
    }

    /// How full it is.
    pub fn status(&self) -> Status {
        self.state().status()
    }

    /// The gateway has the batch, which is closed.
    pub fn done(&self, id: BatchId) {
        let mut state = self.state();
        let n_records = state.finish(id);
        state.counts.done_since_start += u64::from(n_records > 0);
        state.counts.done_records_since_start += n_records;
    }
}
