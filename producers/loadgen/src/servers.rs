//! Access logs of several web servers that share their users: what regrouping by user is tried on.

use crate::rng::mix;
use crate::{Kind, Lines, Options};

/// Files of access logs: each server writes one line a second, in UTC, and goes on in its next file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Servers {
    /// The same seed gives the same bytes.
    pub seed: u64,
    /// Time of each server's first line, µs since the epoch.
    pub start: i64,
    /// Lines of one file.
    pub lines_per_file: u64,
    /// Users, the same on every server.
    pub users: u32,
}

/// The lines of one file.
#[derive(Debug, Clone)]
pub struct FileLines {
    lines: Lines,
    left: u64,
}

impl Servers {
    /// How many servers there are.
    pub const COUNT: u32 = 3;
    const SECOND: i64 = 1_000_000;

    /// Path of a server's file below the output folder; files count from 1.
    pub fn path(&self, server: u32, file: u32) -> String {
        format!("server{server}/access-{file:04}.log")
    }

    /// Time of the first line of a server's file, µs since the epoch.
    pub fn first_time(&self, file: u32) -> i64 {
        let before = u64::from(file.saturating_sub(1)).saturating_mul(self.lines_per_file);
        self.start.saturating_add((before as i64).saturating_mul(Servers::SECOND))
    }

    /// The lines of a server's file.
    pub fn file(&self, server: u32, file: u32) -> FileLines {
        let own = mix(self.seed ^ mix(u64::from(server) << 32 | u64::from(file)));
        let options = Options {
            users: self.users,
            step: 0,
            user_cookie: true,
            ..Options::one(Kind::Apache, own, self.first_time(file))
        };
        FileLines { lines: Lines::new(options), left: self.lines_per_file }
    }
}

impl FileLines {
    /// Appends the next line with its line end to `out`; answers whether there was one.
    pub fn next_into(&mut self, out: &mut Vec<u8>) -> bool {
        let Some(left) = self.left.checked_sub(1) else { return false };
        self.left = left;
        self.lines.next_into(out);
        out.push(b'\n');
        self.lines.set_time(self.lines.time().saturating_add(Servers::SECOND));
        true
    }
}

impl Iterator for FileLines {
    type Item = Vec<u8>;

    /// The next line without its line end.
    fn next(&mut self) -> Option<Vec<u8>> {
        let mut line = Vec::with_capacity(256);
        self.next_into(&mut line).then(|| {
            line.pop();
            line
        })
    }
}
