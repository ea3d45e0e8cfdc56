//! Waiting is polling to a deadline.

use std::fmt::Display;
use std::time::{Duration, Instant};

/// Asks `ask` until it answers; panics with what it said last when `deadline` has passed.
pub(crate) fn until<T, E: Display>(
    what: &str,
    deadline: Duration,
    mut ask: impl FnMut() -> Result<T, E>,
) -> T {
    let start = Instant::now();
    loop {
        match ask() {
            Ok(answer) => return answer,
            Err(error) if start.elapsed() >= deadline => {
                panic!("still not after {} s: {what}; last: {error}", deadline.as_secs())
            }
            Err(_) => std::thread::sleep(Duration::from_millis(25)),
        }
    }
}
