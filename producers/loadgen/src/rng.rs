//! SplitMix64. Own code, because the generators of libraries may change between versions and seeds must not.

#[derive(Debug, Clone)]
pub(crate) struct Rng(u64);

impl Rng {
    pub(crate) fn new(seed: u64) -> Rng {
        Rng(seed)
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        mix(self.0)
    }

    /// A number below `bound`; the bias of bounds far below 2³² does not matter here.
    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        ((self.next() >> 32) * bound) >> 32
    }

    /// One of `choices`, earlier ones far more often.
    pub(crate) fn skewed(&mut self, choices: &[&'static str]) -> &'static str {
        let n = choices.len() as u64;
        let (a, b) = (self.below(n), self.below(n));
        choices[(a * b / n) as usize]
    }
}

/// A well-mixed number made of `value` alone.
pub(crate) fn mix(value: u64) -> u64 {
    let value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    value ^ (value >> 31)
}
