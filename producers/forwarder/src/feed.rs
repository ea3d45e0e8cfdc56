//! Lines that come from no file: standard input, the journal. A thread reads them, the loop here hands them on in batches;
//! the position names the last entry, so that after a transaction in doubt it is known whether it was committed.
//!
//! Blocks: in the outlet. Fails: by the outlet's *Exit*, or where the source cannot be read.

pub mod journal;
pub mod stdin;
#[cfg(test)]
mod tests;

use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use millrace_schemas::position::FilePosition;
use millrace_schemas::{LineEnd, Piece, Position};
use tracing::{info, warn};

use crate::batch::{Batch, Line, LineSource};
use crate::encoding::Encoding;
use crate::outlet::{Outlet, OutletError};
use crate::reader::has_room;
use crate::{Error, Input, Limits, Options, Progress};

/// Lines that wait between the reading thread and the loop.
const QUEUE: usize = 1_024;
/// First and longest pause before an outlet is asked again.
const PAUSE_FIRST: Duration = Duration::from_millis(100);
const PAUSE_LONGEST: Duration = Duration::from_secs(5);

/// What a feed is told.
#[derive(Debug, Clone)]
pub struct FeedOptions {
    /// Name of this host, as it appears in every line.
    pub host: String,
    /// Id that no other process uses.
    pub forwarder_id: String,
    /// Registry id under which raw events are written.
    pub schema_id: u32,
    /// Tenant id.
    pub tenant: String,
    /// Stream the lines go to.
    pub stream: String,
    /// What lines name as their file.
    pub name: String,
    /// Names this flow of lines: the same where it goes on, a new one where it begins anew.
    pub id: String,
    /// The position is of no use once the source has ended.
    pub forget: bool,
    /// Bounds.
    pub limits: Limits,
}

/// One line, or one piece of an over-long one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Item {
    /// Without its line end.
    pub body: Vec<u8>,
    /// Line end.
    pub end: LineEnd,
    /// Of an over-long line.
    pub piece: Option<Piece>,
    /// Where to go on after it, where the source has such places.
    pub cursor: Option<String>,
}

/// What the reading thread gives: lines, at last why it ended, if that was not the end.
pub type Given = Result<Item, String>;

/// Starts the thread that reads a source; the queue is bounded, so a slow outlet makes the source wait.
///
/// # Errors
/// [`Error::Read`] where no thread can be had.
pub fn start(read: impl FnOnce(&SyncSender<Given>) + Send + 'static) -> Result<Receiver<Given>, Error> {
    let (sender, receiver) = sync_channel(QUEUE);
    let spawned = std::thread::Builder::new().name("feed".to_owned()).spawn(move || read(&sender));
    let path = "a feed".to_owned();
    spawned.map(|_| receiver).map_err(|error| Error::Read { path, reason: error.to_string() })
}

/// Hands on what `open` gives, which is told where the last run stopped, until it ends or `stop` says so.
///
/// # Errors
/// [`Error::Outlet`] when the outlet said *Exit*, [`Error::Read`] when the source could not be read.
pub fn run<O: Outlet>(
    options: FeedOptions,
    outlet: O,
    open: impl FnOnce(Option<&str>) -> Result<Receiver<Given>, Error>,
    stop: impl Fn() -> bool,
    mut on_progress: impl FnMut(&Progress),
) -> Result<Progress, Error> {
    let FeedOptions { host, forwarder_id, schema_id, tenant, stream, .. } = &options;
    let line_options = Options {
        host: host.clone(),
        forwarder_id: forwarder_id.clone(),
        schema_id: *schema_id,
        inputs: vec![Input::new(tenant, stream, Vec::new())],
        scratch: std::path::PathBuf::new(),
        limits: options.limits.clone(),
        once: false,
    };
    let batch = Batch::new(&line_options);
    let position = position(&options);
    let source = LineSource::new(&line_options, 0, &position, Encoding::Utf8);
    let mut feed = Feed { options, outlet, batch, position, source, progress: Progress::default() };
    if !feed.restore(&stop)? {
        return Ok(feed.progress);
    }
    let given = open(feed.position.cursor.as_deref())?;
    let mut ended = None;
    while ended.is_none() && !stop() {
        ended = feed.gather(&given, &stop);
        if feed.batch.records().is_empty() {
            continue;
        }
        if !feed.commit(&stop)? {
            return Ok(feed.progress);
        }
        on_progress(&feed.progress);
    }
    if feed.options.forget && feed.progress.batches > 0 {
        feed.batch.forgotten.push(feed.position.clone());
        feed.commit(&stop)?;
    }
    match ended.flatten() {
        Some(reason) => Err(Error::Read { path: feed.options.name, reason }),
        None => Ok(feed.progress),
    }
}

struct Feed<O> {
    options: FeedOptions,
    outlet: O,
    batch: Batch,
    /// Of what is in the batch.
    position: FilePosition,
    source: LineSource,
    progress: Progress,
}

impl<O: Outlet> Feed<O> {
    /// Fills the batch until it is full or has lingered; `Some` is the end of the source, with a reason if it broke off.
    fn gather(&mut self, given: &Receiver<Given>, stop: &impl Fn() -> bool) -> Option<Option<String>> {
        while !self.outlet.may_write() {
            if stop() {
                return None;
            }
            std::thread::sleep(self.options.limits.poll_interval);
        }
        let limits = self.options.limits.clone();
        let mut until = None;
        while has_room(&self.batch, &limits, 1, limits.max_line_bytes) {
            let wait = until.map_or(limits.poll_interval, |until: Instant| {
                until.saturating_duration_since(Instant::now())
            });
            match given.recv_timeout(wait) {
                Ok(Ok(item)) => self.push(item),
                Ok(Err(reason)) => return Some(Some(reason)),
                Err(RecvTimeoutError::Disconnected) => return Some(None),
                Err(RecvTimeoutError::Timeout) => break,
            }
            until.get_or_insert_with(|| Instant::now() + limits.linger);
        }
        None
    }

    fn push(&mut self, item: Item) {
        let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let place = Position { byte: self.position.byte, line: self.position.line };
        let (end, piece, body) = (item.end, item.piece, item.body.as_slice());
        let read = body.len() + end.bytes().len();
        let line = Line { position: place, end, piece, body, read };
        self.batch.push(&self.source, since_epoch.as_micros() as i64, &line);
        self.position.byte += read as i64;
        self.position.line += i64::from(end != LineEnd::None);
        if item.cursor.is_some() {
            self.position.cursor = item.cursor;
        }
    }

    /// Hands the batch over, however long it takes; answers whether it was taken before `stop`.
    fn commit(&mut self, stop: &impl Fn() -> bool) -> Result<bool, Error> {
        if self.batch.forgotten.is_empty() {
            self.batch.positions.push(self.position.clone());
        }
        let mut pause = PAUSE_FIRST;
        loop {
            match self.outlet.commit(&self.batch) {
                Ok(()) => break,
                Err(error @ OutletError::Exit { .. }) => return Err(error.into()),
                Err(error) => {
                    warn!(%error, "the outlet takes nothing; trying again");
                    if !wait(&mut pause, stop) {
                        return Ok(false);
                    }
                    if matches!(error, OutletError::Rejoin { .. }) {
                        let Some(known) = self.ask(stop)? else { return Ok(false) };
                        let committed = match self.batch.forgotten.is_empty() {
                            true => known.is_some_and(|known| known.byte == self.position.byte),
                            false => known.is_none(),
                        };
                        if committed {
                            break;
                        }
                    }
                }
            }
        }
        self.progress.lines += self.batch.records().len() as u64;
        self.progress.bytes += self.batch.bytes();
        self.progress.batches += 1;
        self.batch.clear();
        Ok(true)
    }

    /// Goes on from the committed position; answers whether it is known before `stop`.
    fn restore(&mut self, stop: &impl Fn() -> bool) -> Result<bool, Error> {
        let Some(known) = self.ask(stop)? else { return Ok(false) };
        if let Some(known) = known {
            info!(line = known.line, "going on where the last run stopped");
            self.position = known;
        }
        Ok(true)
    }

    /// What is committed; `None`: told to stop before it was known.
    fn ask(&mut self, stop: &impl Fn() -> bool) -> Result<Option<Option<FilePosition>>, Error> {
        let mut pause = PAUSE_FIRST;
        loop {
            match self.outlet.restore() {
                Ok(positions) => {
                    return Ok(Some(positions.into_iter().find(|own| own.file_id == self.options.id)));
                }
                Err(error @ OutletError::Exit { .. }) => return Err(error.into()),
                Err(error) => warn!(%error, "the outlet does not answer; trying again"),
            }
            if !wait(&mut pause, stop) {
                return Ok(None);
            }
        }
    }
}

fn wait(pause: &mut Duration, stop: &impl Fn() -> bool) -> bool {
    let until = Instant::now() + *pause;
    *pause = (*pause * 2).min(PAUSE_LONGEST);
    while Instant::now() < until {
        if stop() {
            return false;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    !stop()
}

fn position(options: &FeedOptions) -> FilePosition {
    let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    FilePosition {
        tenant: options.tenant.clone(),
        forwarder: options.forwarder_id.clone(),
        file_id: options.id.clone(),
        stream: options.stream.clone(),
        path: options.name.clone(),
        device: 0,
        inode: 0,
        prefix_len: 0,
        prefix_hash: 0,
        tail_len: 0,
        tail_hash: 0,
        truncations: 0,
        byte: 0,
        line: 0,
        piece: 0,
        first_seen: since_epoch.as_micros() as i64,
        lost: 0,
        // For a forwarder of files: there is nothing to follow.
        finished: true,
        text: None,
        cursor: None,
    }
}
