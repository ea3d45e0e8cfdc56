//! Real-looking log lines, the same for the same seed: for demos, tests and benchmarks.
//!
//! Pure. Values repeat as they do in real logs (few paths, hosts and agents, users by Zipf's law), so that the lines
//! compress like real ones.
#![warn(missing_docs)]

mod entries;
mod kinds;
mod rng;
mod servers;
mod time;

#[cfg(test)]
mod tests;

use rng::Rng;
use time::Stamp;

pub use servers::{FileLines, Servers};

/// What lines to make.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    /// The same seed gives the same bytes, for ever.
    pub seed: u64,
    /// Kinds of lines, each with its weight.
    pub kinds: Vec<(Kind, u32)>,
    /// Time of the first line, µs since the epoch.
    pub start: i64,
    /// Mean time between two lines, µs.
    pub step: i64,
    /// Number of users.
    pub users: u32,
    /// Whether Apache lines end with a `"userid=<UUID>"` column.
    pub user_cookie: bool,
    /// Lines in 10,000 that no parser reads.
    pub garbage_per_10k: u32,
}

impl Options {
    /// A mix of all kinds that begins at `start` (µs since the epoch), with a thousand lines a second.
    pub fn mixed(seed: u64, start: i64) -> Options {
        let kinds = vec![(Kind::Apache, 5), (Kind::Json, 3), (Kind::Rfc5424, 1), (Kind::Rfc3164, 1)];
        Options { kinds, ..Options::one(Kind::Apache, seed, start) }
    }

    /// Lines of one kind that begin at `start` (µs since the epoch), with a thousand lines a second.
    pub fn one(kind: Kind, seed: u64, start: i64) -> Options {
        let kinds = vec![(kind, 1)];
        Options { seed, kinds, start, step: 1_000, users: 1_000, user_cookie: true, garbage_per_10k: 0 }
    }
}

/// A kind of line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Apache's combined format.
    Apache,
    /// A service's JSON object with time, severity, message, user, duration and status.
    Json,
    /// Syslog as in RFC 5424, with structured data.
    Rfc5424,
    /// Syslog as in RFC 3164.
    Rfc3164,
    /// A Java service's log; one entry in four is an error whose stack trace follows in lines of its own.
    Java,
    /// Containers' lines as CRI runtimes write them, some of them in parts.
    Kubernetes,
}

impl Kind {
    /// Every kind.
    pub const ALL: [Kind; 6] =
        [Kind::Apache, Kind::Json, Kind::Rfc5424, Kind::Rfc3164, Kind::Java, Kind::Kubernetes];

    /// Name on the command line.
    pub fn id(self) -> &'static str {
        match self {
            Kind::Apache => "apache",
            Kind::Json => "json",
            Kind::Rfc5424 => "rfc5424",
            Kind::Rfc3164 => "rfc3164",
            Kind::Java => "java",
            Kind::Kubernetes => "kubernetes",
        }
    }
}

/// The lines, without an end.
#[derive(Debug, Clone)]
pub struct Lines {
    options: Options,
    rng: Rng,
    time: i64,
    stamp: Stamp,
    /// Zipf's law: the bound below which a draw means the user of that rank.
    ranks: Vec<u32>,
    total_weight: u32,
}

impl Lines {
    /// The lines of `options`.
    pub fn new(options: Options) -> Lines {
        let total_weight = options.kinds.iter().map(|(_, weight)| weight).sum();
        let (rng, time) = (Rng::new(options.seed), options.start);
        Lines { rng, time, stamp: Stamp::default(), ranks: zipf(options.users.max(1)), total_weight, options }
    }

    /// Time of the next line, µs since the epoch.
    pub fn time(&self) -> i64 {
        self.time
    }

    /// Sets the time of the next line, µs since the epoch.
    pub fn set_time(&mut self, time: i64) {
        self.time = time;
    }

    /// Appends the next line, without a line end, to `out`; answers its kind, `None` for garbage. Java and Kubernetes make
    /// entries of several lines, with LF between them.
    pub fn next_into(&mut self, out: &mut Vec<u8>) -> Option<Kind> {
        self.stamp.set(self.time);
        let step = self.options.step.max(0) as u64;
        self.time += self.rng.below(2 * step + 1) as i64;
        if self.options.garbage_per_10k > 0
            && self.rng.below(10_000) < u64::from(self.options.garbage_per_10k)
        {
            kinds::garbage(&mut self.rng, out);
            return None;
        }
        let kind = self.kind();
        let user = self.user();
        let (rng, stamp) = (&mut self.rng, &self.stamp);
        match kind {
            Kind::Apache => kinds::apache(rng, stamp, user, self.options.user_cookie, out),
            Kind::Json => kinds::json(rng, stamp, user, out),
            Kind::Rfc5424 => kinds::rfc5424(rng, stamp, user, out),
            Kind::Rfc3164 => kinds::rfc3164(rng, stamp, user, out),
            Kind::Java => entries::java(rng, stamp, user, out),
            Kind::Kubernetes => entries::kubernetes(rng, stamp, user, out),
        }
        Some(kind)
    }

    fn kind(&mut self) -> Kind {
        let mut draw = self.rng.below(u64::from(self.total_weight.max(1))) as u32;
        for (kind, weight) in &self.options.kinds {
            match draw.checked_sub(*weight) {
                Some(rest) => draw = rest,
                None => return *kind,
            }
        }
        Kind::Apache
    }

    fn user(&mut self) -> u32 {
        let draw = self.rng.next() as u32;
        self.ranks.partition_point(|bound| *bound < draw) as u32
    }
}

impl Iterator for Lines {
    type Item = Vec<u8>;

    /// The next line; [`Lines::next_into`] saves the allocation.
    fn next(&mut self) -> Option<Vec<u8>> {
        let mut line = Vec::with_capacity(256);
        self.next_into(&mut line);
        Some(line)
    }
}

/// Upper bounds of the ranks in 0..2³². In whole numbers, so that they are the same on every machine.
fn zipf(n: u32) -> Vec<u32> {
    const UNIT: u64 = 1 << 32;
    let weights = (1..=u64::from(n)).map(|rank| UNIT / rank);
    let total: u128 = weights.clone().map(u128::from).sum();
    let mut sum = 0_u128;
    let bound = |weight: u64| {
        sum += u128::from(weight);
        (sum * u128::from(u32::MAX) / total) as u32
    };
    weights.map(bound).collect()
}
