//! What the reader of a request asks before it takes lines: whether their tenant may send them now, and their key to these
//! streams.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use super::{Account, Bound, Excess};
use crate::access::Existing;
use crate::item::{Item, Taken};

/// The quota of one request's tenant, and the streams of its key.
#[derive(Debug)]
pub struct Meter<'a> {
    account: Option<&'a Account>,
    existing: Option<Existing<'a>>,
    max_line: Option<u64>,
    now: Instant,
    refused: [AtomicU64; Bound::ALL.len()],
    /// Bytes and lines that were over a rate.
    over: [AtomicU64; 2],
}

impl<'a> Meter<'a> {
    /// Of a tenant with or without a quota, at `now`; of a key that may write to any stream, or to `existing` ones.
    pub(crate) fn new(
        account: Option<&'a Account>,
        existing: Option<Existing<'a>>,
        now: Instant,
    ) -> Meter<'a> {
        let max_line = account.and_then(|account| account.quota().max_line_bytes);
        Meter { account, existing, max_line, now, refused: Default::default(), over: Default::default() }
    }

    /// Of a tenant without a quota, and a key that may write to any stream.
    pub fn open() -> Meter<'static> {
        Meter::new(None, None, Instant::now())
    }

    /// Takes items together or not at all.
    ///
    /// # Errors
    /// The quota that they are over.
    pub fn take(&self, items: &[Item<'_>]) -> Result<(), Excess> {
        if self.account.is_none() && self.existing.is_none() {
            return Ok(());
        }
        let fault = items.iter().find_map(|item| self.fault(item));
        let n_bytes: usize = items.iter().map(Item::size).sum();
        let streams = items.iter().map(|item| &*item.stream);
        let taken = match (fault, self.account) {
            (Some(excess), _) => Err(excess),
            (None, Some(account)) => account.take(streams, n_bytes as u64, items.len() as u64, self.now),
            (None, None) => Ok(()),
        };
        taken.inspect_err(|excess| {
            self.note(excess);
            if matches!(excess.bound, Bound::Bytes | Bound::Events) {
                self.over[0].fetch_add(n_bytes as u64, Ordering::Relaxed);
                self.over[1].fetch_add(items.len() as u64, Ordering::Relaxed);
            }
        })
    }

    /// Says how long the body was, as it was sent: bodies that are as long need not be read while this one is over a rate.
    pub(crate) fn settle(&self, length: usize) {
        let [n_bytes, n_events] = [0, 1].map(|at: usize| self.over[at].load(Ordering::Relaxed));
        if let Some(account) = self.account.filter(|_| n_events > 0) {
            account.over(length as u64, n_bytes, n_events, self.now);
        }
    }

    /// Refuses the items that are too long, or of a stream that the key may not make, each by itself. Where the latter are
    /// all of them, that is left to [`Meter::take`]: then it is the request that is not allowed.
    pub fn sift(&self, taken: &mut Taken<'_>) {
        let nowhere = |item: &Item<'_>| self.new_stream(item).is_some();
        if self.max_line.is_none() && self.existing.is_none() || taken.items.iter().all(nowhere) {
            return;
        }
        let mut refused: Vec<usize> = taken.refused.iter().map(|own| own.at).collect();
        refused.sort_unstable();
        // Every number that was not refused is an item's.
        let mut numbers = (0..).filter(|at| refused.binary_search(at).is_err());
        let mut faults = Vec::new();
        taken.items.retain(|item| {
            let at = numbers.next();
            let excess = self.fault(item);
            faults.extend(at.zip(excess.as_ref().map(|excess| excess.reason.clone())));
            excess.inspect(|excess| self.note(excess)).is_none()
        });
        faults.into_iter().for_each(|(at, reason)| taken.refuse(at, reason));
    }

    fn fault(&self, item: &Item<'_>) -> Option<Excess> {
        self.new_stream(item).or_else(|| self.too_long(item))
    }

    fn new_stream(&self, item: &Item<'_>) -> Option<Excess> {
        self.existing?.refuse(&item.stream)
    }

    fn too_long(&self, item: &Item<'_>) -> Option<Excess> {
        self.max_line.filter(|most| item.body.len() as u64 > *most)?;
        self.account?.line(item.body.len()).err()
    }

    fn note(&self, excess: &Excess) {
        self.refused[excess.bound as usize].fetch_add(1, Ordering::Relaxed);
    }

    /// How often it said no, by the quota that was over.
    pub(crate) fn refused(&self) -> impl Iterator<Item = (Bound, u64)> {
        let counts = Bound::ALL
            .into_iter()
            .zip(&self.refused)
            .map(|(bound, count)| (bound, count.load(Ordering::Relaxed)));
        counts.filter(|(_, count)| *count > 0)
    }
}

#[cfg(test)]
mod tests {
    use millrace_schemas::quota::Quota;

    use super::*;

    #[test]
    fn lines_that_are_too_long_are_refused_by_their_numbers() {
        let account = Account::new(Quota { max_line_bytes: Some(2), ..Quota::default() }, Instant::now());
        let meter = Meter::new(Some(&account), None, Instant::now());
        let mut taken = Taken::default();
        for (at, body) in ["ab", "abc", "", "abcd", "b"].into_iter().enumerate() {
            match at {
                2 => taken.refuse(at, "another reason"),
                _ => taken.push(at, Item::new("web", body.as_bytes())),
            }
        }
        meter.sift(&mut taken);
        let refused: Vec<usize> = taken.refused.iter().map(|own| own.at).collect();
        assert_eq!((taken.items.len(), refused), (2, vec![2, 1, 3]));
        assert_eq!(meter.refused().collect::<Vec<_>>(), [(Bound::Line, 2)]);
        assert!(meter.take(&taken.items).is_ok());
        let excess = meter.take(&[Item::new("web", b"abc".as_slice())]).unwrap_err();
        assert_eq!((excess.status(), excess.retry()), (413, None));
    }

    #[test]
    fn what_was_over_a_rate_is_told_to_the_account() {
        let quota = Quota { events_per_second: Some(1), burst_events: Some(2), ..Quota::default() };
        let now = Instant::now();
        let account = std::sync::Arc::new(Account::new(quota, now));
        let meter = Meter::new(Some(&account), None, now);
        let line = || Item::new("web", b"a".as_slice());
        meter.take(&[line()]).unwrap();
        meter.settle(100);
        assert!(account.enter(100, now).is_ok());
        // One by one, as `_bulk` asks: the first fits, two do not.
        let fits: Vec<bool> = (0..3).map(|_| meter.take(&[line()]).is_ok()).collect();
        assert_eq!(fits, [true, false, false]);
        meter.settle(100);
        let later = now + std::time::Duration::from_secs(1);
        assert!(account.enter(99, later).is_ok());
        assert_eq!(account.enter(100, later).unwrap_err().bound, Bound::Events);
    }
}
