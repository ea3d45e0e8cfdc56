//! Randomness that can be repeated.

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

/// A seed, printed when it is made.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Seed(u64);

impl Seed {
    /// `SEED`, else a new one.
    pub(crate) fn take(test: &str) -> Seed {
        let given = std::env::var("SEED").ok().filter(|text| !text.is_empty());
        let seed = given.map_or_else(
            || rand::rng().random_range(1..1_000_000),
            |text| text.parse().unwrap_or_else(|_| panic!("SEED={text} is not a whole number")),
        );
        println!("{test}: SEED={seed} repeats this run");
        Seed(seed)
    }

    /// A generator for one purpose: another one's draws do not change it.
    pub(crate) fn rng(self, purpose: u64) -> StdRng {
        StdRng::seed_from_u64(self.0.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ purpose)
    }
}

/// `MINUTES` of the soak, if this is one.
pub(crate) fn soak_minutes() -> Option<u64> {
    std::env::var("MINUTES").ok().and_then(|text| text.parse().ok())
}

/// `n` rounds, or so many a minute of the soak.
pub(crate) fn rounds(n: usize) -> usize {
    n * soak_minutes().map_or(1, |minutes| minutes as usize)
}
