//! Parking: batches that the gateway refused, and their way back.

use tracing::{debug, error};

use crate::recover::{files, open_alone};
use crate::segment::SUFFIX;
use crate::{BatchId, Cursor, Error, Part, Spool, parked, reserve};

impl Spool {
    /// Keeps a closed batch aside that the gateway refused, so that it stands in no other's way.
    ///
    /// # Errors
    /// [`Error::Full`], [`Error::Io`]: it stays where it was.
    pub fn park(&self, id: BatchId, reason: &str) -> Result<(), Error> {
        let found = self.state().batch(id).map(|(segment, batch)| (segment.path.clone(), batch.clone()));
        let unknown = || Error::Unknown { id: id.segment.to_string(), dir: self.dir().to_owned() };
        let (path, batch) = found.filter(|(_, batch)| batch.closed).ok_or_else(unknown)?;
        let mut cursor = Cursor::default();
        let next = || match self.read(id, &mut cursor)? {
            Part::Lines { n_records, bytes } => Ok(Some((n_records, bytes))),
            Part::Waiting | Part::End => Ok(None),
        };
        match parked::park(self.dir(), id, &batch, reason, next) {
            Ok(()) => {}
            Err(damage @ Error::Damaged { .. }) => {
                error!(error = %damage, batch = %batch.name, n_records = batch.n_records, "a batch of the spool is damaged, a copy is kept aside");
                parked::link_aside(self.dir(), &path)?;
            }
            Err(error) => return Err(self.told(error)),
        }
        let mut state = self.state();
        state.finish(id);
        state.counts.parked_since_start += 1;
        drop(state);
        self.bound_parked()
    }

    /// Drops the oldest of what is parked until the rest is within its bound; the newest stays.
    fn bound_parked(&self) -> Result<(), Error> {
        let all = parked::parked_files(self.dir())?;
        let mut held: u64 = all.iter().map(|(_, bytes)| bytes).sum();
        for (path, bytes) in all.iter().take(all.len().saturating_sub(1)) {
            if held <= self.options().max_parked_bytes {
                break;
            }
            std::fs::remove_file(path).map_err(Error::io("delete", path))?;
            held -= bytes;
            error!(path = %path.display(), bytes, "parked batches are over their bound, the oldest was dropped");
            self.state().counts.dropped_since_start += 1;
        }
        self.refresh()
    }

    /// Takes back what a command wants sent again, counts what is parked, keeps space back. Called now and then.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn refresh(&self) -> Result<(), Error> {
        for (id, from) in files(&parked::again(self.dir()), SUFFIX)? {
            if self.state().segments.contains_key(&id) {
                continue;
            }
            let to = self.dir().join(from.file_name().unwrap_or_default());
            std::fs::rename(&from, &to).map_err(Error::io("move", &from))?;
            match open_alone(id, &to) {
                Ok((segment, _)) => drop(self.state().segments.insert(id, segment)),
                Err(damage) => {
                    error!(error = %damage, "a batch that was to be sent again is damaged, it is kept aside");
                    parked::move_aside(self.dir(), &to)?;
                }
            }
        }
        let table_len = self.state().segments.values().map(|segment| segment.table_len).max();
        if let Err(error) = reserve::keep(self.dir(), table_len.unwrap_or_default()) {
            debug!(%error, "no space could be kept back");
        }
        let (bytes, n_files) = parked::total(self.dir())?;
        let mut state = self.state();
        (state.counts.parked_bytes, state.counts.parked) = (bytes, n_files);
        Ok(())
    }
}
