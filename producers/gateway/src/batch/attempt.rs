//! Which lines of a batch are new: those behind what is committed of the same batch, or all of one that differs. Pure.

use millrace_schemas::attempt::BatchAttempt;
use millrace_schemas::batch::Digest;
use millrace_schemas::ledger::Sum;

use super::Known;

/// What one request does to its batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Attempt {
    pub(crate) number: i64,
    /// What the request is compared with, until it has come to its end.
    base: Option<Base>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Base {
    attempt: BatchAttempt,
    ended: bool,
}

/// What becomes of the next line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Next {
    /// It is committed already.
    Skip,
    /// It is new.
    Write,
    /// The whole batch is committed: there must be none.
    End,
    /// What came is not what is committed.
    Differs,
}

impl Attempt {
    /// The newest attempt that is `known` goes on, if the request turns out to be the same.
    pub(crate) fn of(known: &Known) -> Attempt {
        let base = match (known.open, known.ended) {
            (Some(attempt), _) => Some(Base { attempt, ended: false }),
            (None, Some(attempt)) => Some(Base { attempt, ended: true }),
            (None, None) => None,
        };
        Attempt { number: base.map_or(1, |base| base.attempt.number), base }
    }

    /// A new attempt instead.
    pub(crate) fn instead(self) -> Attempt {
        Attempt { number: self.number + 1, base: None }
    }

    /// Whether it may still turn out to differ.
    pub(crate) fn may_differ(&self) -> bool {
        self.base.is_some()
    }

    /// What becomes of the line after those in `digest`.
    pub(crate) fn next(&mut self, digest: &Digest) -> Next {
        let Some(base) = self.base else { return Next::Write };
        let count = base.attempt.count as u64;
        if digest.n_records() < count {
            Next::Skip
        } else if digest.n_records() > count || Sum(digest.hash()) != base.attempt.hash {
            Next::Differs
        } else if base.ended {
            Next::End
        } else {
            self.base = None;
            Next::Write
        }
    }

    /// Where it is after the lines in `digest`.
    pub(crate) fn at(&self, digest: &Digest) -> BatchAttempt {
        BatchAttempt { number: self.number, count: digest.n_records() as i64, hash: Sum(digest.hash()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn digest(text: &str) -> Digest {
        let mut digest = Digest::default();
        text.bytes().for_each(|byte| digest.add(1, &[byte]));
        digest
    }

    fn at(number: i64, text: &str) -> BatchAttempt {
        Attempt { number, base: None }.at(&digest(text))
    }

    /// What becomes of each line of `text`, and of its end; `+` skipped, `w` written, `=` the same, `!` differs.
    fn run(known: &Known, text: &str) -> (i64, String) {
        let mut attempt = Attempt::of(known);
        let mut shown = String::new();
        for len in 0..=text.len() {
            let next = attempt.next(&digest(&text[..len]));
            shown.push(match next {
                Next::Skip => '+',
                Next::Write => 'w',
                Next::End => '=',
                Next::Differs => '!',
            });
            if next == Next::Differs || (next == Next::End && len < text.len()) {
                return (attempt.instead().number, shown);
            }
        }
        (attempt.number, shown)
    }

    #[test]
    fn only_what_is_new_is_written() {
        let none = Known::default();
        assert_eq!(run(&none, "abc"), (1, "wwww".to_owned()));
        let open = Known { open: Some(at(1, "ab")), ended: None };
        assert_eq!(run(&open, "abc"), (1, "++ww".to_owned()));
        assert_eq!(run(&open, "ab"), (1, "++w".to_owned()));
        assert_eq!(run(&open, "axc"), (2, "++!".to_owned()));
        // Shorter than what is committed: `+` at its end.
        assert_eq!(run(&open, "a"), (1, "++".to_owned()));
        let ended = Known { open: None, ended: Some(at(1, "ab")) };
        assert_eq!(run(&ended, "ab"), (1, "++=".to_owned()));
        assert_eq!(run(&ended, "abc"), (2, "++=".to_owned()));
        assert_eq!(run(&ended, "xb"), (2, "++!".to_owned()));
        let again = Known { open: Some(at(2, "x")), ended: Some(at(1, "ab")) };
        assert_eq!(run(&again, "xy"), (2, "+ww".to_owned()));
        assert_eq!(run(&again, "ab"), (3, "+!".to_owned()));
        let empty = Known { open: None, ended: Some(at(1, "")) };
        assert_eq!((run(&empty, ""), run(&empty, "a")), ((1, "=".to_owned()), (2, "=".to_owned())));
    }
}
