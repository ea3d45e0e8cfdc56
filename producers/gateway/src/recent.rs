//! What this gateway has committed lately under an identity: a request that is sent again is answered without writing its
//! lines a second time. Bounded; what has been forgotten is written again, with its identity.

use std::collections::HashMap;

/// Identities of each of two generations: about 12 MB in all.
const GENERATION: usize = 1 << 17;

/// The last content by identity. Sending A, then B, then A again under one identity changes it each time.
#[derive(Debug, Default)]
pub(crate) struct Recent {
    young: HashMap<u128, u64>,
    old: HashMap<u128, u64>,
}

impl Recent {
    /// Whether `content` is the last that was committed under `identity`.
    pub(crate) fn knows(&self, identity: u128, content: u64) -> bool {
        let last = self.young.get(&identity).or_else(|| self.old.get(&identity));
        last == Some(&content)
    }

    /// Notes what was committed.
    pub(crate) fn note(&mut self, identity: u128, content: u64) {
        if self.young.len() >= GENERATION && !self.young.contains_key(&identity) {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert(identity, content);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_last_content_is_known() {
        let mut recent = Recent::default();
        recent.note(1, 10);
        assert!(recent.knows(1, 10) && !recent.knows(1, 11) && !recent.knows(2, 10));
        recent.note(1, 11);
        assert!(recent.knows(1, 11) && !recent.knows(1, 10));
    }

    #[test]
    fn memory_is_bounded() {
        let mut recent = Recent::default();
        (0..5 * GENERATION as u128).for_each(|identity| recent.note(identity, 1));
        assert!(recent.young.len() <= GENERATION && recent.old.len() <= GENERATION);
        assert!(!recent.knows(0, 1) && recent.knows(5 * GENERATION as u128 - 1, 1));
    }
}
