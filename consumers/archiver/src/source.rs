//! The bytes of a part, read from the store as they are needed.

use std::ops::Range;

use bytes::Bytes;
use millrace_formats::table::{Ranges, TableError};
use millrace_runtime::store::{Store, StoreError};
use millrace_schemas::manifest::LivePart;

/// A part of this size is read in one call, as a whole.
const SMALL_BYTES: u64 = 1 << 20;

/// A part in the store.
#[derive(Debug, Clone)]
pub struct PartSource {
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
    /// The store does not give it.
    pub fn open(store: &Store, live: &LivePart) -> Result<PartSource, StoreError> {
        let from = u64::try_from(live.part.from).unwrap_or(0);
        let len = u64::try_from(live.part.len()).unwrap_or(0);
        let object = live.record.object.clone();
        let whole = (len <= SMALL_BYTES)
            .then(|| store.read_range(&object, from..from + len))
            .transpose()?;
        Ok(PartSource {
            store: store.clone(),
            object,
            from,
            len,
            whole,
        })
    }

    /// Its size, bytes.
    pub fn size(&self) -> u64 {
        self.len
    }
}

impl Ranges for PartSource {
    fn read(&self, range: Range<u64>) -> Result<Bytes, TableError> {
        match &self.whole {
            Some(whole) => whole.read(range),
            None => {
                let at = self.from + range.start..self.from + range.end;
                self.store
                    .read_range(&self.object, at)
                    .map_err(|error| TableError::Source(Box::new(error)))
            }
        }
    }
}
