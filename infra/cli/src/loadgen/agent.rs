//! One sender: makes lines, keeps its rate, sends a batch again until it is taken.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use millrace_loadgen::Lines;
use millrace_runtime::stop::Stop;

use super::live::Stats;
use super::target::{Entries, Opener, Sender};

/// With a rate, what is due is sent at least this often.
const TICK: Duration = Duration::from_millis(50);
/// Between two looks at what is due.
const NAP: Duration = Duration::from_millis(2);
/// First and longest pause after a batch was refused.
const PAUSE_FIRST: Duration = Duration::from_millis(100);
const PAUSE_LONGEST: Duration = Duration::from_secs(5);

/// What one sender is told.
pub(super) struct Agent {
    pub(super) number: u32,
    pub(super) lines: Lines,
    /// Lines bear the time at which they are made.
    pub(super) live_time: bool,
    pub(super) quota: Option<u64>,
    pub(super) rate: Option<f64>,
    pub(super) batch: u64,
    /// Time from the start of all until this one begins.
    pub(super) delay: Duration,
    pub(super) end: Option<Instant>,
}

impl Agent {
    /// Sends until the quota is used up, time is over or it is told to stop; answers the lines made and not taken.
    pub(super) fn run(
        mut self,
        opener: &Opener,
        stats: &Stats,
        running: &AtomicU32,
        start: Instant,
        stop: &Stop,
    ) -> u64 {
        let begin = start + self.delay;
        while Instant::now() < begin {
            if self.over(stop) {
                return 0;
            }
            std::thread::sleep(begin.saturating_duration_since(Instant::now()).min(TICK));
        }
        running.fetch_add(1, Ordering::Relaxed);
        let mut sender = None;
        let mut entries = Entries::default();
        let mut sent = 0;
        let mut n_unsent = 0;
        while !self.over(stop) && self.quota.is_none_or(|quota| sent < quota) {
            let Some((n, due)) = self.due(begin, sent) else {
                std::thread::sleep(NAP);
                continue;
            };
            entries.clear();
            self.make(n, &mut entries);
            if !self.send(opener, &mut sender, &entries, stats, due, stop) {
                n_unsent = n;
                break;
            }
            sent += n;
        }
        running.fetch_sub(1, Ordering::Relaxed);
        n_unsent
    }

    fn over(&self, stop: &Stop) -> bool {
        stop.requested() || self.end.is_some_and(|end| Instant::now() >= end)
    }

    /// How many lines to send now, and since when they are due; waiting for a slow target counts as latency.
    fn due(&self, begin: Instant, sent: u64) -> Option<(u64, Instant)> {
        let most = self.quota.map_or(self.batch, |quota| (quota - sent).min(self.batch));
        let Some(rate) = self.rate else { return Some((most, Instant::now())) };
        let owed = (begin.elapsed().as_secs_f64() * rate) as u64;
        let n = owed.saturating_sub(sent).min(most);
        // Not line by line where the rate is high: a batch or a tick's worth.
        let enough = n == most || n as f64 >= rate * TICK.as_secs_f64();
        let due = begin + Duration::from_secs_f64((sent + n) as f64 / rate);
        (n > 0 && enough).then(|| (n, due.min(Instant::now())))
    }

    fn make(&mut self, n: u64, entries: &mut Entries) {
        if self.live_time {
            let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
            self.lines.set_time(since.as_micros() as i64);
        }
        for _ in 0..n {
            entries.push(|out| {
                self.lines.next_into(out);
            });
        }
    }

    /// Sends until it is taken; answers whether it was.
    fn send(
        &self,
        opener: &Opener,
        sender: &mut Option<Sender>,
        entries: &Entries,
        stats: &Stats,
        due: Instant,
        stop: &Stop,
    ) -> bool {
        let mut pause = PAUSE_FIRST;
        loop {
            let sending = match sender.take() {
                Some(open) => Ok(open),
                None => opener.open(self.number),
            };
            let error = match sending.and_then(|mut own| own.send(entries).map(|()| own)) {
                Ok(own) => {
                    *sender = Some(own);
                    stats.sent(entries, due.elapsed());
                    return true;
                }
                Err(error) => error,
            };
            stats.refused(&error);
            // A retry of what was refused for good would never end.
            if !error.again || self.over(stop) {
                return false;
            }
            let wait = error.after.unwrap_or(pause).min(PAUSE_LONGEST);
            std::thread::sleep(
                self.end.map_or(wait, |end| wait.min(end.saturating_duration_since(Instant::now()))),
            );
            pause = (pause * 2).min(PAUSE_LONGEST);
        }
    }
}
