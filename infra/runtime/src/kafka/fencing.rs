//! Whether being fenced tells of another process that runs under the same name.
//!
//! A member fences itself, too: one that the broker has given up, since neither heard of the other for a session, joins anew
//! under its own instance id, and what it was before is fenced. Such a member has lost its partitions first. One that is
//! fenced, joins anew, and is fenced again although nothing was taken from it meanwhile has a rival.

use std::time::{Duration, Instant};

/// Fencings further apart have nothing to do with each other.
const TOGETHER: Duration = Duration::from_secs(60);

/// What one member has seen.
#[derive(Debug, Default)]
pub(super) struct Fencings {
    last: Option<Instant>,
    lost: bool,
}

impl Fencings {
    /// The member's partitions were taken away.
    pub(super) fn lost(&mut self) {
        self.lost = true;
    }

    /// The member was fenced at `now`; whether another process runs under its name.
    pub(super) fn is_rival(&mut self, now: Instant) -> bool {
        let lost = std::mem::take(&mut self.lost);
        let last = self.last.replace(now);
        !lost && last.is_some_and(|last| now.duration_since(last) < TOGETHER)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `f` is fenced, `l` loses its partitions, each a second later; `.` is a minute. `F` is fenced by a rival.
    fn check(script: &str) {
        let (mut fencings, mut now, mut found) = (Fencings::default(), Instant::now(), String::new());
        for step in script.chars() {
            now += Duration::from_secs(if step == '.' { 60 } else { 1 });
            let said = match step {
                'f' | 'F' if fencings.is_rival(now) => 'F',
                'f' | 'F' => 'f',
                other => {
                    (other == 'l').then(|| fencings.lost());
                    other
                }
            };
            found.push(said);
        }
        assert_eq!(found, script);
    }

    #[test]
    fn a_rival_fences_again_and_again() {
        check("fF");
        check("lfF");
    }

    #[test]
    fn a_broker_that_falls_silent_twice_is_no_rival() {
        check("lflflf");
        check("flf");
    }

    #[test]
    fn a_rival_shows_after_the_broker_was_silent() {
        check("lflfF");
    }

    #[test]
    fn fencings_far_apart_are_not_counted_together() {
        check("f.f.fF");
    }
}
