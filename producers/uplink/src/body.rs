//! A batch as the body of a request: what is on disk of it at once, then what comes, at last count and hash.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures::Stream;
use millrace_schemas::batch::Digest;
use millrace_spool::{BatchId, Cursor, Error, Part, Spool};

/// How often a batch is asked whether it grew.
const LOOK: Duration = Duration::from_millis(50);

/// What a request's body tells those who wait for the answer.
#[derive(Debug)]
pub(crate) struct Told(Mutex<Inner>);

#[derive(Debug)]
struct Inner {
    /// Since when the gateway has to do something: to take what was given, or to answer. `None` while we have to.
    theirs: Option<Instant>,
    /// Records of the batch, once all was given.
    n_records: Option<u64>,
    fault: Option<Error>,
}

impl Told {
    pub(crate) fn new() -> Arc<Told> {
        let inner = Inner { theirs: Some(Instant::now()), n_records: None, fault: None };
        Arc::new(Told(Mutex::new(inner)))
    }

    fn tell<T>(&self, change: impl FnOnce(&mut Inner) -> T) -> T {
        change(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Comes back when the gateway has kept us waiting for longer than `patience`.
    pub(crate) async fn out_of_patience(&self, patience: Duration) {
        while self.tell(|inner| inner.theirs).is_none_or(|since| since.elapsed() <= patience) {
            tokio::time::sleep(patience.min(Duration::from_secs(1))).await;
        }
    }

    /// Records of the batch, once all was given.
    pub(crate) fn n_records(&self) -> Option<u64> {
        self.tell(|inner| inner.n_records)
    }

    /// Why the body broke off, where it was us.
    pub(crate) fn fault(&self) -> Option<Error> {
        self.tell(|inner| inner.fault.take())
    }
}

struct Reading {
    spool: Arc<Spool>,
    id: BatchId,
    cursor: Cursor,
    digest: Digest,
    told: Arc<Told>,
}

/// The body. It breaks off where the batch cannot be read.
pub(crate) fn body(
    spool: Arc<Spool>,
    id: BatchId,
    told: Arc<Told>,
) -> impl Stream<Item = Result<Bytes, std::io::Error>> + Send {
    let reading = Reading { spool, id, cursor: Cursor::default(), digest: Digest::default(), told };
    futures::stream::unfold(Some(reading), |reading| async {
        let mut reading = reading?;
        reading.told.tell(|inner| inner.theirs = None);
        let part = loop {
            match reading.read().await {
                Ok(Part::Waiting) => tokio::time::sleep(LOOK).await,
                other => break other,
            }
        };
        let told = reading.told.clone();
        told.tell(|inner| inner.theirs = Some(Instant::now()));
        match part {
            Ok(Part::Lines { n_records, bytes }) => {
                reading.digest.add(n_records, &bytes);
                Some((Ok(Bytes::from(bytes)), Some(reading)))
            }
            Ok(Part::Waiting | Part::End) => {
                told.tell(|inner| inner.n_records = Some(reading.digest.n_records()));
                Some((Ok(Bytes::from(reading.digest.end())), None))
            }
            Err(error) => {
                let text = std::io::Error::other(error.to_string());
                told.tell(|inner| inner.fault = Some(error));
                Some((Err(text), None))
            }
        }
    })
}

impl Reading {
    /// Reads on, beside the runtime's own thread: the disk may take its time.
    async fn read(&mut self) -> Result<Part, Error> {
        let (spool, id, mut cursor) = (self.spool.clone(), self.id, self.cursor);
        let read = tokio::task::spawn_blocking(move || (spool.read(id, &mut cursor), cursor));
        match read.await {
            Ok((part, cursor)) => {
                self.cursor = cursor;
                part
            }
            // Only when the runtime ends.
            Err(_) => Ok(Part::Waiting),
        }
    }
}
