//! A bucket that fills at a rate up to its burst. Told the time.

use std::time::{Duration, Instant};

/// Tokens are counted in millionths: what a rate of one a second gives in a microsecond.
const PARTS: i128 = 1_000_000;

#[derive(Debug)]
pub(crate) struct Bucket {
    /// Tokens a second.
    rate: u64,
    /// Most tokens.
    burst: u64,
    /// Below 0 after something that is larger than the burst.
    level: i128,
    at: Instant,
}

impl Bucket {
    /// A full one.
    pub(crate) fn new((rate, burst): (u64, u64), now: Instant) -> Bucket {
        let (rate, burst) = (rate.max(1), burst.max(1));
        Bucket { rate, burst, level: i128::from(burst) * PARTS, at: now }
    }

    /// How long until `amount` can be had; `None` where it can be now. What is larger than the burst can be had when the
    /// bucket is full: it would never pass else.
    pub(crate) fn wait(&mut self, amount: u64, now: Instant) -> Option<Duration> {
        self.fill(now);
        let missing = i128::from(amount.min(self.burst)) * PARTS - self.level;
        let micros = (missing.max(0) as u128).div_ceil(u128::from(self.rate));
        (missing > 0).then(|| Duration::from_micros(u64::try_from(micros).unwrap_or(u64::MAX)))
    }

    /// Takes `amount`, however much there is.
    pub(crate) fn spend(&mut self, amount: u64) {
        self.level -= i128::from(amount) * PARTS;
    }

    fn fill(&mut self, now: Instant) {
        let micros = now.saturating_duration_since(self.at).as_micros();
        let filled = self.level.saturating_add((micros as i128).saturating_mul(i128::from(self.rate)));
        self.level = filled.min(i128::from(self.burst) * PARTS);
        self.at += Duration::from_micros(u64::try_from(micros).unwrap_or(u64::MAX));
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_is_larger_than_the_burst_passes_when_the_bucket_is_full() {
        let start = Instant::now();
        let mut bucket = Bucket::new((10, 20), start);
        assert_eq!(bucket.wait(50, start), None);
        bucket.spend(50);
        // In debt: nothing passes until it is paid.
        assert_eq!(bucket.wait(1, start), Some(Duration::from_millis(3_100)));
        assert_eq!(bucket.wait(50, start), Some(Duration::from_secs(5)));
        assert_eq!(bucket.wait(50, start + Duration::from_secs(5)), None);
        assert_eq!(bucket.wait(20, start + Duration::from_secs(500)), None);
        assert_eq!(bucket.wait(0, start), None, "time that goes back changes nothing");
    }

    proptest! {
        #[test]
        fn no_more_passes_than_rate_and_burst_allow(
            rate in 1..1_000_000_u64,
            burst in 1..1_000_000_u64,
            asks in prop::collection::vec((0..2_000_000_u64, 0..3_000_000_u64), 1..60),
        ) {
            let start = Instant::now();
            let (mut bucket, mut now, mut taken) = (Bucket::new((rate, burst), start), start, 0_u128);
            for (amount, pause) in asks {
                now += Duration::from_micros(pause);
                let amount = amount % burst + 1;
                if bucket.wait(amount, now).is_none() {
                    bucket.spend(amount);
                    taken += u128::from(amount);
                }
                let micros = (now - start).as_micros();
                prop_assert!(taken * 1_000_000 <= u128::from(burst) * 1_000_000 + micros * u128::from(rate));
            }
        }

        #[test]
        fn after_the_wait_that_was_told_it_passes_and_not_before(
            rate in 1..1_000_000_u64,
            burst in 1..1_000_000_u64,
            amounts in prop::collection::vec(1..3_000_000_u64, 1..40),
        ) {
            let mut now = Instant::now();
            let mut bucket = Bucket::new((rate, burst), now);
            for amount in amounts {
                if let Some(wait) = bucket.wait(amount, now) {
                    let before = now + wait - Duration::from_micros(1);
                    prop_assert!(bucket.wait(amount, before).is_some());
                    now += wait;
                    prop_assert_eq!(bucket.wait(amount, now), None);
                }
                bucket.spend(amount);
            }
        }
    }
}
