//! What a tenant has used of its quota. Told the time.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use millrace_schemas::quota::Quota;

use super::bucket::Bucket;
use super::{Bound, Excess};

/// A stream counts for so long after it was last written to.
const STREAM: Duration = Duration::from_secs(86_400);
/// When to try again what no rate decides.
const SOON: Duration = Duration::from_secs(1);
const LATER: Duration = Duration::from_secs(60);

#[derive(Debug)]
pub(crate) struct Account(Mutex<State>);

#[derive(Debug)]
struct State {
    quota: Quota,
    bytes: Option<Bucket>,
    events: Option<Bucket>,
    /// Streams, and when each was last written to: not more than the quota allows.
    streams: HashMap<String, Instant>,
    n_running: u64,
    over: Option<Over>,
}

/// A request that was over a rate.
#[derive(Debug, Clone, Copy)]
struct Over {
    /// Bytes of its body, as they were sent.
    length: u64,
    /// When it would pass.
    until: Instant,
    bound: Bound,
}

/// A request that is being taken.
#[derive(Debug)]
pub(crate) struct Place(Arc<Account>);

impl Drop for Place {
    fn drop(&mut self) {
        self.0.state().n_running -= 1;
    }
}

impl Account {
    pub(crate) fn new(quota: Quota, now: Instant) -> Account {
        let (bytes, events) = buckets(&quota, now);
        Account(Mutex::new(State { quota, bytes, events, streams: HashMap::new(), n_running: 0, over: None }))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Goes by another quota from now on.
    pub(crate) fn adopt(&self, quota: Quota, now: Instant) {
        let mut state = self.state();
        if state.quota != quota {
            (state.bytes, state.events) = buckets(&quota, now);
            state.quota = quota;
            state.over = None;
        }
    }

    pub(crate) fn quota(&self) -> Quota {
        self.state().quota
    }

    /// Begins a request with a body of `length` bytes. One that could not bring a single line is refused before its body
    /// is read; so is one that is as long as another that was over a rate, until that one would pass.
    pub(crate) fn enter(self: &Arc<Account>, length: u64, now: Instant) -> Result<Place, Excess> {
        let mut state = self.state();
        if let Some(most) = state.quota.concurrent_requests.filter(|most| state.n_running >= *most) {
            let reason = format!("{most} requests of this tenant are being taken, its quota");
            return Err(Excess { bound: Bound::Requests, reason, after: Some(SOON) });
        }
        state.afford(1, 1, now)?;
        if let Some(over) = state.over.filter(|over| length >= over.length && now < over.until) {
            return Err(state.excess(over.bound, over.until - now));
        }
        state.n_running += 1;
        drop(state);
        Ok(Place(self.clone()))
    }

    /// Notes that a body of `length` bytes was over a rate, by so many bytes and lines: reading bodies that are refused
    /// afterwards would cost the others their time.
    pub(crate) fn over(&self, length: u64, n_bytes: u64, n_events: u64, now: Instant) {
        let mut state = self.state();
        if state.over.is_some_and(|over| over.length <= length && now < over.until) {
            return;
        }
        let wait =
            |bucket: &mut Option<Bucket>, amount| bucket.as_mut().and_then(|own| own.wait(amount, now));
        let bytes = wait(&mut state.bytes, n_bytes).map(|wait| (wait, Bound::Bytes));
        let events = wait(&mut state.events, n_events).map(|wait| (wait, Bound::Events));
        let longest = bytes.into_iter().chain(events).max_by_key(|(wait, _)| *wait);
        state.over = longest.map(|(wait, bound)| Over { length, until: now + wait, bound });
    }

    /// Whether a line of so many bytes can be taken at all.
    pub(crate) fn line(&self, n_bytes: usize) -> Result<(), Excess> {
        let Some(most) = self.quota().max_line_bytes.filter(|most| n_bytes as u64 > *most) else {
            return Ok(());
        };
        let reason = format!("a line has {n_bytes} bytes, the quota of this tenant is {most}");
        Err(Excess { bound: Bound::Line, reason, after: None })
    }

    /// Takes lines together or not at all.
    pub(crate) fn take<'s>(
        &self,
        streams: impl Iterator<Item = &'s str>,
        n_bytes: u64,
        n_events: u64,
        now: Instant,
    ) -> Result<(), Excess> {
        let mut state = self.state();
        let streams = state.streams(streams, now)?;
        state.afford(n_bytes, n_events, now)?;
        if let Some(bytes) = &mut state.bytes {
            bytes.spend(n_bytes);
        }
        if let Some(events) = &mut state.events {
            events.spend(n_events);
        }
        state.streams.extend(streams.into_iter().map(|stream| (stream.to_owned(), now)));
        Ok(())
    }
}

fn buckets(quota: &Quota, now: Instant) -> (Option<Bucket>, Option<Bucket>) {
    (quota.bytes().map(|own| Bucket::new(own, now)), quota.events().map(|own| Bucket::new(own, now)))
}

impl State {
    fn afford(&mut self, n_bytes: u64, n_events: u64, now: Instant) -> Result<(), Excess> {
        if let Some(after) = self.bytes.as_mut().and_then(|own| own.wait(n_bytes, now)) {
            return Err(self.excess(Bound::Bytes, after));
        }
        if let Some(after) = self.events.as_mut().and_then(|own| own.wait(n_events, now)) {
            return Err(self.excess(Bound::Events, after));
        }
        Ok(())
    }

    /// Over a rate.
    fn excess(&self, bound: Bound, after: Duration) -> Excess {
        let (rate, unit) = match bound {
            Bound::Events => (self.quota.events_per_second, "lines"),
            _ => (self.quota.bytes_per_second, "bytes"),
        };
        let reason = format!("the quota of this tenant is {} {unit} a second", rate.unwrap_or_default());
        Excess { bound, reason, after: Some(after) }
    }

    /// Those of `streams` that are to be noted, where all may be written to.
    fn streams<'s>(
        &mut self,
        streams: impl Iterator<Item = &'s str>,
        now: Instant,
    ) -> Result<HashSet<&'s str>, Excess> {
        let mut noted = HashSet::new();
        let Some(most) = self.quota.max_streams else { return Ok(noted) };
        let (mut last, mut n_new) = ("", 0);
        for stream in streams {
            // Mostly lines of one stream follow each other.
            if stream == last || !noted.insert(stream) {
                continue;
            }
            last = stream;
            n_new += u64::from(!self.streams.contains_key(stream));
            if n_new > 0 && self.streams.len() as u64 + n_new > most {
                self.streams.retain(|_, written| now.saturating_duration_since(*written) < STREAM);
                n_new = noted.iter().filter(|own| !self.streams.contains_key(**own)).count() as u64;
            }
            if n_new > 0 && self.streams.len() as u64 + n_new > most {
                let reason = format!("this tenant writes to {most} streams within a day, its quota");
                return Err(Excess { bound: Bound::Streams, reason, after: Some(LATER) });
            }
        }
        Ok(noted)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bound(taken: Result<(), Excess>) -> Option<(&'static str, u16, Option<u32>)> {
        taken.err().map(|excess| (excess.bound.name(), excess.status(), excess.retry()))
    }

    #[test]
    fn lines_are_taken_by_both_rates_or_by_none() {
        let now = Instant::now();
        let quota = Quota {
            bytes_per_second: Some(100),
            burst_bytes: Some(100),
            events_per_second: Some(1),
            ..Quota::default()
        };
        let account = Account::new(quota, now);
        let take = |bytes, events, now| bound(account.take(["web"].into_iter(), bytes, events, now));
        assert_eq!(take(60, 4, now), None);
        assert_eq!(take(60, 1, now), Some(("bytes", 429, Some(1))));
        assert_eq!(take(10, 9, now), Some(("events", 429, Some(3))));
        // The refused ones took nothing.
        assert_eq!(take(40, 6, now), None);
        assert_eq!(take(1, 1, now + Duration::from_millis(10)), Some(("events", 429, Some(1))));
        // A rate that is raised holds at once, with its burst.
        account.adopt(Quota { events_per_second: Some(100), ..quota }, now);
        assert_eq!(take(100, 900, now), None);
    }

    #[test]
    fn requests_are_counted_while_they_are_taken() {
        let now = Instant::now();
        let quota = Quota {
            concurrent_requests: Some(2),
            events_per_second: Some(1),
            burst_events: Some(1),
            ..Quota::default()
        };
        let account = Arc::new(Account::new(quota, now));
        let (first, second) = (account.enter(9, now).unwrap(), account.enter(9, now).unwrap());
        assert_eq!(account.enter(9, now).unwrap_err().bound, Bound::Requests);
        drop(first);
        let third = account.enter(9, now).unwrap();
        drop((second, third));
        account.take([].into_iter(), 1, 1, now).unwrap();
        assert_eq!(account.enter(9, now).unwrap_err().bound, Bound::Events);
        assert!(account.enter(9, now + Duration::from_secs(1)).is_ok());
    }

    #[test]
    fn what_is_as_long_as_a_refused_request_is_not_read_until_that_would_pass() {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let quota = Quota { bytes_per_second: Some(10), burst_bytes: Some(100), ..Quota::default() };
        let account = Arc::new(Account::new(quota, start));
        let enter = |length, now| account.enter(length, now).map(drop).map_err(|over| over.after);
        account.take([].into_iter(), 90, 1, start).unwrap();
        account.over(500, 60, 1, start);
        assert_eq!(enter(500, start), Err(Some(Duration::from_secs(5))));
        assert_eq!((enter(499, start), enter(u64::MAX, at(4))), (Ok(()), Err(Some(Duration::from_secs(1)))));
        assert_eq!(enter(500, at(5)), Ok(()));
        // A shorter one counts from then on, a longer one has nothing to add.
        account.over(500, 100, 1, at(5));
        account.over(400, 70, 1, at(5));
        account.over(600, 100, 1, at(5));
        assert_eq!((enter(400, at(5)), enter(400, at(6))), (Err(Some(Duration::from_secs(1))), Ok(())));
        // What is larger than the burst waits for all of it, and for another quota for nothing.
        account.over(400, 1_000, 1, at(6));
        assert_eq!(enter(400, at(6)), Err(Some(Duration::from_secs(3))));
        account.adopt(Quota { bytes_per_second: Some(11), ..quota }, at(6));
        assert_eq!(enter(400, at(6)), Ok(()));
    }

    #[test]
    fn streams_are_counted_until_they_have_been_quiet_for_a_day() {
        let now = Instant::now();
        let account = Account::new(Quota { max_streams: Some(2), ..Quota::default() }, now);
        let take = |streams: &[&str], now| bound(account.take(streams.iter().copied(), 1, 1, now));
        let over = Some(("streams", 429, Some(60)));
        assert_eq!(take(&["a", "b", "c"], now), over);
        assert_eq!(take(&["a", "b", "a"], now), None);
        assert_eq!(take(&["b", "c"], now), over);
        let tomorrow = now + STREAM;
        assert_eq!(take(&["b"], tomorrow - SOON), None);
        assert_eq!(take(&["b", "c"], tomorrow), None, "a is forgotten");
        assert_eq!(take(&["a"], tomorrow), over);
        assert_eq!(account.state().streams.len(), 2);
    }
}
