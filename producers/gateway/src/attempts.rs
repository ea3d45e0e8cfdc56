//! Wrong keys, by the address that they come from: each answer waits longer than the one before. Told the time.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How long the answer to the first wrong key waits; to each further one twice as long, up to the longest.
pub(crate) const FIRST: Duration = Duration::from_millis(250);
pub(crate) const LONGEST: Duration = Duration::from_secs(8);
/// An address is forgotten when it has tried none for so long.
const FORGOTTEN: Duration = Duration::from_secs(600);
/// Answers of one address that wait; further ones are told at once to come later, so that none holds many connections.
const WAITING: u32 = 8;
/// Addresses of each of two generations.
const GENERATION: usize = 8_192;

#[derive(Debug, Default)]
pub(crate) struct Attempts(Mutex<Known>);

#[derive(Debug, Default)]
struct Known {
    young: HashMap<IpAddr, Tried>,
    old: HashMap<IpAddr, Tried>,
}

#[derive(Debug, Clone, Copy)]
struct Tried {
    n_tries: u32,
    last: Instant,
    n_waiting: u32,
}

/// A wrong key's answer.
#[derive(Debug)]
pub(crate) struct Wait<'a> {
    attempts: &'a Attempts,
    address: IpAddr,
    /// For how long it waits.
    pub(crate) pause: Duration,
}

impl Drop for Wait<'_> {
    fn drop(&mut self) {
        let mut known = self.attempts.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(tried) = known.young.get_mut(&self.address) {
            tried.n_waiting = tried.n_waiting.saturating_sub(1);
        }
    }
}

impl Attempts {
    /// Counts a wrong key from `address`; `None` where too many of its answers wait.
    pub(crate) fn wrong(&self, address: IpAddr, now: Instant) -> Option<Wait<'_>> {
        let address = network(address);
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let fresh = Tried { n_tries: 0, last: now, n_waiting: 0 };
        // Those that wait are counted in the young generation alone.
        let old = || known.old.get(&address).map(|own| Tried { n_waiting: 0, ..*own });
        let mut tried = known.young.get(&address).copied().or_else(old).unwrap_or(fresh);
        if now.saturating_duration_since(tried.last) >= FORGOTTEN {
            tried.n_tries = 0;
        }
        let pause = FIRST.saturating_mul(1 << tried.n_tries.min(16)).min(LONGEST);
        let is_patient = tried.n_waiting < WAITING;
        tried.n_tries = tried.n_tries.saturating_add(1);
        tried.n_waiting += u32::from(is_patient);
        tried.last = now;
        if known.young.len() >= GENERATION && !known.young.contains_key(&address) {
            known.old = std::mem::take(&mut known.young);
        }
        known.young.insert(address, tried);
        // Lazily: a wait that is dropped asks for the lock.
        is_patient.then(|| Wait { attempts: self, address, pause })
    }
}

/// Whoever has one address of IPv6 has 2⁶⁴ of them.
pub(crate) fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => {
            let [a, b, c, d, ..] = address.segments();
            IpAddr::from([a, b, c, d, 0, 0, 0, 0])
        }
        address => address,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn each_answer_waits_longer_until_the_address_was_quiet() {
        let (attempts, now) = (Attempts::default(), Instant::now());
        let pause = |address: &str, now| attempts.wrong(ip(address), now).unwrap().pause.as_millis();
        let pauses: Vec<_> = (0..7).map(|_| pause("10.0.0.1", now)).collect();
        assert_eq!(pauses, [250, 500, 1_000, 2_000, 4_000, 8_000, 8_000]);
        assert_eq!(pause("10.0.0.2", now), 250, "another address");
        assert_eq!((pause("2001:db8::1", now), pause("2001:db8::ffff:2", now)), (250, 500), "one network");
        assert_eq!((pause("::ffff:10.0.0.2", now), pause("10.0.0.2", now)), (500, 1_000), "one address");
        assert_eq!(pause("10.0.0.1", now + FORGOTTEN - FIRST), 8_000);
        assert_eq!(pause("10.0.0.1", now + 2 * FORGOTTEN), 250);
    }

    #[test]
    fn few_answers_of_an_address_wait_at_once() {
        let (attempts, now) = (Attempts::default(), Instant::now());
        let mut waits: Vec<_> = (0..WAITING).map(|_| attempts.wrong(ip("10.0.0.1"), now).unwrap()).collect();
        assert!(attempts.wrong(ip("10.0.0.1"), now).is_none());
        assert!(attempts.wrong(ip("10.0.0.2"), now).is_some());
        waits.pop();
        assert!(attempts.wrong(ip("10.0.0.1"), now).is_some());
    }

    #[test]
    fn memory_is_bounded() {
        let (attempts, now) = (Attempts::default(), Instant::now());
        for at in 0..3 * GENERATION as u32 {
            drop(attempts.wrong(IpAddr::from(at.to_be_bytes()), now));
        }
        let known = attempts.0.lock().unwrap();
        assert!(known.young.len() <= GENERATION && known.old.len() <= GENERATION);
    }
}
