//! Bytes of requests held at once (I10): taken as they come, given back when nothing holds them any more, whether or not
//! the client still waits.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// How much may still be held.
#[derive(Debug, Clone)]
pub(crate) struct Budget(Arc<AtomicUsize>);

/// What one request holds.
#[derive(Debug)]
pub(crate) struct Share {
    budget: Budget,
    held: usize,
}

impl Budget {
    pub(crate) fn new(bytes: usize) -> Budget {
        Budget(Arc::new(AtomicUsize::new(bytes)))
    }

    pub(crate) fn share(&self) -> Share {
        Share { budget: self.clone(), held: 0 }
    }
}

impl Share {
    /// Takes or gives back, so as to hold `bytes`; `false`, and nothing changed, where they are not to be had.
    pub(crate) fn hold(&mut self, bytes: usize) -> bool {
        if bytes > self.held {
            return self.take(bytes - self.held);
        }
        self.budget.0.fetch_add(self.held - bytes, Ordering::Relaxed);
        self.held = bytes;
        true
    }

    /// Takes `bytes` more; `false` where there are none to be had.
    pub(crate) fn take(&mut self, bytes: usize) -> bool {
        let taken =
            self.budget.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(bytes));
        if taken.is_ok() {
            self.held += bytes;
        }
        taken.is_ok()
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.budget.0.fetch_add(self.held, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_taken_comes_back() {
        let budget = Budget::new(10);
        let (mut first, mut second) = (budget.share(), budget.share());
        assert!(first.take(6) && !second.take(5) && second.take(4));
        drop(first);
        assert!(second.take(6) && !second.take(1));
        assert!(second.hold(3) && !second.hold(11) && second.hold(10) && !second.take(1));
    }
}
