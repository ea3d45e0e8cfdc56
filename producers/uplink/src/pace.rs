//! When to send after something went wrong: pauses that grow, then one batch alone, and all again once it went well. Pure.

use std::time::Duration;

use xxhash_rust::xxh3::xxh3_64_with_seed;

/// First and longest pause.
const FIRST: Duration = Duration::from_millis(250);
const LONGEST: Duration = Duration::from_secs(60);
/// The longest that a gateway may ask for.
const PATIENCE: Duration = Duration::from_secs(3_600);

/// Pace of one tenant's batches. Times are since some fixed moment.
#[derive(Debug, Clone, Default)]
pub(crate) struct Pace {
    failures: u32,
    until: Duration,
}

/// How many batches may be sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Leave {
    Any,
    /// One, if none is on its way.
    One,
    None,
}

impl Pace {
    pub(crate) fn leave(&self, now: Duration) -> Leave {
        match self.failures {
            0 => Leave::Any,
            _ if now < self.until => Leave::None,
            _ => Leave::One,
        }
    }

    /// An attempt failed; the gateway may have said after how long to come again. `who` spreads pauses, so that a thousand
    /// hosts do not come back at once. Answers how often in a row it failed, as far as each failure was waited for.
    pub(crate) fn failed(&mut self, now: Duration, after: Option<Duration>, who: &str) -> u32 {
        // Those that were on their way together fail together: that is one failure.
        if now >= self.until {
            let pause = FIRST.saturating_mul(1 << self.failures.min(10)).min(LONGEST);
            let spread = xxh3_64_with_seed(who.as_bytes(), self.failures.into()) % 512;
            self.failures = self.failures.saturating_add(1);
            self.until = now + pause.mul_f64(0.75 + spread as f64 / 1024.0);
        }
        self.until = self.until.max(now + after.unwrap_or_default().min(PATIENCE));
        self.failures
    }

    /// How long it still pauses.
    pub(crate) fn pause(&self, now: Duration) -> Duration {
        self.until.saturating_sub(now)
    }

    /// An attempt went well, or goes well so far.
    pub(crate) fn went_well(&mut self) {
        *self = Pace::default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn at(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    #[test]
    fn pauses_grow_and_end() {
        let (mut pace, mut now, mut last) = (Pace::default(), at(0), at(0));
        assert_eq!(pace.leave(now), Leave::Any);
        for n in 1..20 {
            assert_eq!(pace.failed(now, None, "h"), n);
            assert_eq!(pace.leave(now), Leave::None);
            let pause = pace.pause(now);
            assert!(pause >= last.mul_f64(0.6) && pause <= LONGEST.mul_f64(1.25), "{pause:?} after {last:?}");
            last = pause;
            now = pace.until;
            assert_eq!(pace.leave(now), Leave::One);
        }
        assert!(last >= LONGEST.mul_f64(0.75));
        pace.went_well();
        assert_eq!(pace.leave(now), Leave::Any);
    }

    #[test]
    fn what_fails_together_is_one_failure() {
        let mut pace = Pace::default();
        let n: Vec<u32> = (0..8).map(|millis| pace.failed(at(millis), None, "h")).collect();
        assert_eq!(n, [1; 8]);
    }

    #[test]
    fn a_gateway_that_says_when_to_come_is_obeyed() {
        let mut pace = Pace::default();
        pace.failed(at(0), Some(Duration::from_secs(90)), "h");
        assert_eq!((pace.leave(at(89_999)), pace.leave(at(90_000))), (Leave::None, Leave::One));
        // Also by one that was on its way already.
        pace.failed(at(90_000), None, "h");
        pace.failed(at(90_001), Some(Duration::from_secs(5)), "h");
        assert_eq!((pace.leave(at(95_000)), pace.leave(at(95_001))), (Leave::None, Leave::One));
        pace.failed(at(95_001), Some(Duration::from_secs(1 << 40)), "h");
        assert_eq!(pace.leave(at(95_001) + PATIENCE), Leave::One);
    }
}
