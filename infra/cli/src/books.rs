//! The ledger as its readers see it: the folded cells, and the deltas beyond what is folded.
//!
//! Cells and mark are read first, as one committed view; then the deltas from the mark on, and none before it. What is
//! folded later was read as deltas. Where a folder has deleted deltas that were still to be read, all is read anew.

use std::collections::BTreeMap;
use std::time::Duration;

use millrace_runtime::folder::decode;
use millrace_runtime::kafka::admin::Admin;
use millrace_runtime::kafka::frontier::frontiers;
use millrace_runtime::kafka::{Error, Tailer, read_to_mark};
use millrace_runtime::service::Service;
use millrace_schemas::ledger::fold::{MARK_KEY, marked};
use millrace_schemas::ledger::{Book, Report};
use millrace_schemas::topics;

/// The ledger, read on and on.
pub(crate) struct Books {
    tailer: Tailer,
    since: i64,
    /// Everything read so far.
    pub(crate) book: Book,
}

impl Books {
    /// Reads all that there is of minutes from `since` on.
    pub(crate) fn open(service: &Service, since: i64) -> anyhow::Result<Books> {
        let mut books = Books::begin(service, since)?;
        while !books.tailer.caught_up() {
            books.read(service, Duration::from_millis(100))?;
        }
        Ok(books)
    }

    /// Reads the folded cells, and stands at the first delta that is not folded.
    fn begin(service: &Service, since: i64) -> anyhow::Result<Books> {
        let kafka = &service.config.kafka;
        let n_partitions = Admin::open(kafka)?.partitions(topics::LEDGER)?;
        let all: Vec<i32> = (0..n_partitions).collect();
        let mut before = None;
        loop {
            let mut book = Book::default();
            let mut next: BTreeMap<i32, i64> = all.iter().map(|partition| (*partition, 0)).collect();
            read_to_mark(kafka, topics::LEDGER_FOLDED, &all, |partition, offset, key, value| {
                let Some(value) = value else { return Ok(()) };
                let cell = decode(service, topics::LEDGER_FOLDED, partition, offset, value)?;
                if key == MARK_KEY.as_bytes() {
                    next.insert(partition, marked(&cell));
                } else if cell.minute >= since {
                    book.set(&cell);
                }
                Ok(())
            })?;
            let tailer = Tailer::open_at(kafka, topics::LEDGER, &next)?;
            // A start beyond the mark: more was folded, and deleted, meanwhile. Twice the same mark: nobody folded, the
            // deltas went another way, and what is left is all there is.
            if *tailer.positions() == next || before.as_ref() == Some(&next) {
                return Ok(Books { tailer, since, book });
            }
            before = Some(next);
        }
    }

    /// Reads what has come.
    pub(crate) fn read(&mut self, service: &Service, wait: Duration) -> anyhow::Result<usize> {
        let (book, since) = (&mut self.book, self.since);
        let read = self.tailer.poll(wait, &mut |partition, offset, _, value| -> Result<(), Error> {
            let Some(value) = value else { return Ok(()) };
            let delta = decode(service, topics::LEDGER, partition, offset, value)?;
            if delta.minute >= since {
                book.add(&delta);
            }
            Ok(())
        });
        match read {
            Ok(n_records) => Ok(n_records),
            Err(error) if error.records_gone() => {
                *self = Books::begin(service, self.since)?;
                Ok(1)
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Takes the frontiers, reads to the ledger's end, compares: in this order (I8).
    pub(crate) fn report(&mut self, service: &Service) -> anyhow::Result<Report> {
        let kafka = &service.config.kafka;
        let frontiers = frontiers(kafka, &Admin::open(kafka)?, &service.codecs)?;
        while self.read(service, Duration::from_millis(200))? > 0 || !self.tailer.caught_up() {}
        Ok(self.book.report(&frontiers))
    }
}
