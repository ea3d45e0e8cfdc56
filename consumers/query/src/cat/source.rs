//! The bytes of a part of the archive, read from the store as they are needed.

use std::ops::Range;

use bytes::Bytes;
use millrace_formats::table::{Ranges, TableError};
use millrace_runtime::store::Store;
use millrace_schemas::manifest::LivePart;

/// A part of this size is read in one call, as a whole.
const SMALL_BYTES: u64 = 1 << 20;

/// A part in the store.
#[derive(Debug, Clone)]
pub(super) struct PartSource {
    store: Store,
    object: String,
    from: u64,
    len: u64,
    whole: Option<Bytes>,
}

impl PartSource {
    /// Finds `live` in `store`; reads it if it is small.
    ///
    /// # Errors
    /// [`TableError::Source`]: the store does not give it.
    pub(super) fn open(store: &Store, live: &LivePart) -> Result<PartSource, TableError> {
        let from = u64::try_from(live.part.from).unwrap_or(0);
        let len = u64::try_from(live.part.len()).unwrap_or(0);
        let object = live.record.object.clone();
        let mut part = PartSource { store: store.clone(), object, from, len, whole: None };
        if len <= SMALL_BYTES {
            part.whole = Some(part.read(0..len)?);
        }
        Ok(part)
    }

    /// Its size, bytes.
    pub(super) fn size(&self) -> u64 {
        self.len
    }
}

impl Ranges for PartSource {
    fn read(&self, range: Range<u64>) -> Result<Bytes, TableError> {
        match &self.whole {
            Some(whole) => whole.read(range),
            None => {
                let at = self.from + range.start..self.from + range.end;
                self.store.read_range(&self.object, at).map_err(|error| TableError::Source(Box::new(error)))
            }
        }
    }
}
