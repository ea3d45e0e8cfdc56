//! How many rows of a split a query finds, remembered while the split is open: neither ever changes.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Queries remembered of one split; then all are forgotten.
const MOST: usize = 64;

/// By the query as it was read.
#[derive(Debug, Default)]
pub(super) struct Counts(Mutex<HashMap<Arc<str>, u64>>);

impl Counts {
    pub(super) fn of(&self, query: &str) -> Option<u64> {
        self.lock().get(query).copied()
    }

    pub(super) fn note(&self, query: &Arc<str>, count: u64) {
        let mut known = self.lock();
        if known.len() >= MOST && !known.contains_key(query) {
            known.clear();
        }
        known.insert(query.clone(), count);
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Arc<str>, u64>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn so_many_are_remembered_and_no_more() {
        let counts = Counts::default();
        for n in 0..MOST as u64 {
            counts.note(&n.to_string().into(), n);
        }
        assert_eq!((counts.of("0"), counts.of("63"), counts.of("64")), (Some(0), Some(63), None));
        counts.note(&"63".into(), 7);
        assert_eq!((counts.of("0"), counts.of("63")), (Some(0), Some(7)));
        counts.note(&"64".into(), 64);
        assert_eq!(counts.of("64"), Some(64));
        assert_eq!(counts.lock().len(), 1);
    }
}
