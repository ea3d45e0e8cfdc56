//! The ways that are left, and what has failed before.

use super::{Choice, Exhausted, MAX_STATES, Machine};
use crate::pattern::instruction::Instruction;

impl Machine<'_> {
    /// Takes the newest way that is left and leads on.
    pub(super) fn back(&mut self, floor: usize) -> Result<Option<(usize, usize)>, Exhausted> {
        while self.choices.len() > floor {
            self.steps += 1;
            if self.steps > self.budget {
                return Err(Exhausted);
            }
            let Some(choice) = self.choices.pop() else { break };
            let (at, pos) = match choice {
                Choice::Branch { at, pos } => (at, pos),
                Choice::Entered => continue,
                Choice::Slot { slot, old } => {
                    self.slots[slot] = old;
                    continue;
                }
                Choice::Round { round, old } => {
                    self.rounds[round] = old;
                    continue;
                }
                Choice::Shorter { at, pos, least } => {
                    let Some(shorter) = self.shorter(at, pos, least) else { continue };
                    if shorter > least {
                        self.choices.push(Choice::Shorter { at, pos: shorter, least });
                    }
                    (at + 1, shorter)
                }
                Choice::Longer { at, pos, left } => {
                    let Instruction::Run { set, .. } = self.program.code[at] else { continue };
                    let Some((longer, n_more)) = self.longer(at, set, pos, left) else { continue };
                    if left > n_more {
                        self.choices.push(Choice::Longer { at, pos: longer, left: left - n_more });
                    }
                    (at + 1, longer)
                }
            };
            if !self.failed_before(at, pos) {
                return Ok(Some((at, pos)));
            }
        }
        Ok(None)
    }

    /// Whether this state was tried before, outside of look-arounds and atomic groups.
    fn failed_before(&mut self, at: usize, pos: usize) -> bool {
        if self.steps < self.forgetful || self.depth > 0 || !self.program.memorable[at] {
            return false;
        }
        let width = self.text.len() + 1;
        if self.failed.is_empty() {
            let Some(n_states) = self.program.code.len().checked_mul(width).filter(|n| *n <= MAX_STATES)
            else {
                return false;
            };
            self.failed = vec![0; n_states / 64 + 1];
        }
        let state = at * width + pos;
        let before = self.failed[state / 64] >> (state % 64) & 1 == 1;
        self.failed[state / 64] |= 1 << (state % 64);
        before
    }

    /// Drops the ways above `floor`; what undoes slots stays.
    pub(super) fn forget(&mut self, floor: usize) {
        self.steps += (self.choices.len() - floor) as u64 / 16;
        let mut kept = floor;
        for place in floor..self.choices.len() {
            if matches!(self.choices[place], Choice::Slot { .. } | Choice::Round { .. }) {
                self.choices.swap(kept, place);
                kept += 1;
            }
        }
        self.choices.truncate(kept);
    }
}
