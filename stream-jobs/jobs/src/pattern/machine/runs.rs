//! Runs of characters, as long or as short as possible at first.

use super::{Choice, Machine};
use crate::pattern::text::{run_end, step};
use crate::pattern::tree::Kind;

impl Machine<'_> {
    pub(super) fn enter_run(
        &mut self,
        at: usize,
        pos: usize,
        set: usize,
        (min, max): (u32, u32),
        kind: Kind,
    ) -> Option<(usize, usize)> {
        let program = self.program;
        let set = &program.sets[set];
        let mut end = pos;
        for _ in 0..min {
            let Some(next) = step(set, self.text, end) else {
                self.stopped_at(end, at);
                return None;
            };
            end = next;
        }
        let left = max - min;
        match kind {
            Kind::Lazy => {
                if left > 0 {
                    self.choices.push(Choice::Longer { at, pos: end, left });
                }
                Some((at + 1, end))
            }
            Kind::Greedy => {
                let least = end;
                end = run_end(set, self.text, end, left);
                self.steps += (end - least) as u64 / 16;
                // Where a literal must follow that does not stand here, the run is shorter at once.
                let after = program.after[at];
                if let Some(next) = after.byte
                    && self.byte(end) != Some(next)
                {
                    self.stopped_at(end, at + 1);
                    if after.alone {
                        return None;
                    }
                    end = self.shorter(at, end, least)?;
                }
                if end > least && !after.alone {
                    self.choices.push(Choice::Shorter { at, pos: end, least });
                }
                Some((at + 1, end))
            }
        }
    }

    /// Where a run of characters may end before `pos`, given what must follow it.
    pub(super) fn shorter(&mut self, at: usize, pos: usize, least: usize) -> Option<usize> {
        let bytes = self.text.as_bytes();
        if let Some(next) = self.program.after[at].byte {
            // `pos` itself was tried.
            let window = &bytes[least..pos];
            let found = memchr::memrchr(next, window);
            self.steps += (window.len() - found.unwrap_or(0)) as u64 / 16;
            return found.map(|found| least + found);
        }
        let mut end = pos - 1;
        while !self.text.is_char_boundary(end) {
            end -= 1;
        }
        (end >= least).then_some(end)
    }

    /// Where a run may end after `pos`, given what must follow it, and how many characters more that are.
    pub(super) fn longer(&mut self, at: usize, set: usize, pos: usize, left: u32) -> Option<(usize, u32)> {
        let program = self.program;
        let set = &program.sets[set];
        let one = step(set, self.text, pos)?;
        let Some(next) = program.after[at].byte.filter(|_| left > u32::MAX / 2) else {
            return Some((one, 1));
        };
        let end = one + memchr::memchr(next, &self.text.as_bytes()[one..])?;
        self.steps += (end - pos) as u64 / 16;
        // Each character was one of many: the count has no end.
        (run_end(set, &self.text[..end], one, u32::MAX) == end).then_some((end, 0))
    }
}
