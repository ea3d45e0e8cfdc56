//! Which lines were seen before: those with an identity (`dedup`) that come again are dropped, whoever sent them twice.
//!
//! Remembered are, per tenant, stream and scope, pages of 4,096 indexes with the hash of what came last under each. What
//! was seen longest ago is forgotten first: after the window of the topic's append time, or earlier where the bound on
//! memory asks for it. Everything goes by the records alone, never by where a batch ends (I3).
//!
//! Cells, numbers big endian:
//! ```text
//! seen/ scope (16) page (8)          date (8), then index in the page (2) and hash (8) of each line, by index
//! age/  date (8) scope (16) page (8) nothing: the order of forgetting
//! held                               bytes (8), when one was last forgotten early (8), first key of age/ that may be there
//! ```

use millrace_schemas::{Dedup, RawEvent};
use xxhash_rust::xxh3::{Xxh3, xxh3_64_with_seed};

use crate::effects::Effects;
use crate::job::Reject;
use crate::table::State;

const SEEN: &[u8] = b"seen/";
const AGE: &[u8] = b"age/";
const HELD: &[u8] = b"held";

/// Indexes of a page.
const PAGE: i64 = 4_096;
/// Date of a page, before its lines: when it was last written to, µs, within a part of the window.
const HEAD: usize = 8;
/// Index and hash of a line.
const LINE: usize = 10;
/// Keys of a page and of its age, and what the table needs for both.
const PAGE_OVERHEAD: usize = 192;
/// A page that is younger than this part of the window keeps its date.
const PARTS: i64 = 16;
/// Pages forgotten for one line at most: more than one line can add.
const FORGET: usize = 8;

/// How much is remembered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Memory {
    /// µs of the topic's append time, at least 16.
    pub window: i64,
    /// Bytes of a partition.
    pub bytes: usize,
}

impl Default for Memory {
    /// A day, 32 MiB.
    fn default() -> Memory {
        Memory { window: 86_400_000_000, bytes: 32 << 20 }
    }
}

/// What is known of a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sight {
    /// First of its identity.
    New,
    /// The same came before.
    Repeat,
    /// Another came before under the same index; this one takes its place.
    Conflict,
    /// None is known, but some had to be forgotten early.
    Unchecked,
}

impl Sight {
    /// Flag of the event.
    pub(super) fn flag(self) -> Option<&'static str> {
        match self {
            Sight::New | Sight::Repeat => None,
            Sight::Conflict => Some("conflict"),
            Sight::Unchecked => Some("unchecked"),
        }
    }
}

impl Memory {
    /// Looks the line up, and notes it, also where it is refused afterwards. Pieces are not looked up: all have the
    /// index of their line.
    ///
    /// # Errors
    /// None that data can cause.
    pub(super) fn see(
        &self,
        raw: &RawEvent<'_>,
        appended: i64,
        state: &State<'_>,
        out: &mut Effects<'_>,
    ) -> Result<Sight, Reject> {
        let Some(dedup) = raw.dedup.filter(|_| raw.piece.is_none()) else { return Ok(Sight::New) };
        let place = place(raw, &dedup);
        let index = dedup.index.rem_euclid(PAGE) as u16;
        let hash = xxh3_64_with_seed(raw.body, dedup.attempt.unwrap_or(-1) as u64);
        let key = [SEEN, &place].concat();
        // Too old is as good as forgotten, whether or not it is so yet.
        let stored = state.get(&key);
        let old = stored.filter(|page| appended - date_of(page) <= self.window).unwrap_or_default();
        let at = find(old, index);
        let known = at.ok().map(|at| &old[at + 2..at + LINE]);
        if known == Some(hash.to_be_bytes().as_slice()) {
            return Ok(Sight::Repeat);
        }
        let dated = stored.map(date_of);
        let date = dated.filter(|date| appended - date <= self.window / PARTS).unwrap_or(appended);
        let mut page = Vec::with_capacity(old.len().max(HEAD) + LINE);
        page.extend_from_slice(&date.to_be_bytes());
        page.extend_from_slice(old.get(HEAD..).unwrap_or_default());
        match at {
            Ok(at) => page[at + 2..at + LINE].copy_from_slice(&hash.to_be_bytes()),
            Err(at) => {
                let line = [index.to_be_bytes().as_slice(), &hash.to_be_bytes()].concat();
                page.splice(at..at, line);
            }
        }
        let mut held = Held::read(state);
        held.bytes += page.len() + PAGE_OVERHEAD;
        if let Some(stored) = stored {
            held.bytes = held.bytes.saturating_sub(stored.len() + PAGE_OVERHEAD);
        }
        if dated != Some(date) {
            dated.into_iter().for_each(|dated| out.delete(age(dated, &place)));
            out.put(age(date, &place), [])?;
        }
        out.put(key, page)?;
        self.forget(&mut held, appended, &place, state, out);
        // Of all ages the only one that forgetting passes over and leaves.
        held.first = held.first.min(age(date, &place));
        let early = held.early.is_some_and(|early| appended - early <= self.window);
        out.put(HELD, held.write())?;
        out.keep();
        Ok(match known {
            // Another attempt writes everything anew, and that is no conflict.
            Some(_) if dedup.attempt.is_none() => Sight::Conflict,
            Some(_) => Sight::New,
            None if early => Sight::Unchecked,
            None => Sight::New,
        })
    }

    /// Forgets the oldest pages but that of `place`, for as long as they are too old or all are too large.
    fn forget(&self, held: &mut Held, now: i64, place: &[u8], state: &State<'_>, out: &mut Effects<'_>) {
        let start = held.first.clone();
        let ages = state.range(&start).take_while(|(key, _)| key.starts_with(AGE));
        let mut n_forgotten = 0;
        for (age, _) in ages {
            held.first = age.to_vec();
            let (own, own_place) = age[AGE.len()..].split_at(8);
            if own_place == place {
                continue; // of the page that was just written
            }
            let is_old = now - number(own) > self.window;
            if n_forgotten == FORGET || (!is_old && held.bytes <= self.bytes) {
                return;
            }
            if !is_old {
                held.early = Some(now);
            }
            let key = [SEEN, own_place].concat();
            let len = state.get(&key).map_or(0, <[u8]>::len);
            held.bytes = held.bytes.saturating_sub(len + PAGE_OVERHEAD);
            out.delete(key);
            out.delete(age);
            n_forgotten += 1;
        }
        held.first = AGE.to_vec();
    }
}

/// Sums over all pages of a partition.
struct Held {
    bytes: usize,
    /// When a page was last forgotten that was not too old.
    early: Option<i64>,
    /// No key of `age/` is before it.
    first: Vec<u8>,
}

impl Held {
    fn read(state: &State<'_>) -> Held {
        match state.get(HELD).and_then(|cell| Some((cell.get(..8)?, cell.get(8..16)?, cell.get(16..)?))) {
            Some((bytes, early, first)) => Held {
                bytes: number(bytes) as usize,
                early: Some(number(early)).filter(|early| *early != i64::MIN),
                first: first.to_vec(),
            },
            None => Held { bytes: 0, early: None, first: AGE.to_vec() },
        }
    }

    fn write(&self) -> Vec<u8> {
        let early = self.early.unwrap_or(i64::MIN);
        [&(self.bytes as i64).to_be_bytes(), &early.to_be_bytes(), self.first.as_slice()].concat()
    }
}

/// Scope and page of a line.
fn place(raw: &RawEvent<'_>, dedup: &Dedup<'_>) -> [u8; 24] {
    let mut hash = Xxh3::new();
    for part in [raw.tenant, raw.stream, dedup.scope] {
        hash.update(&(part.len() as u64).to_le_bytes());
        hash.update(part.as_bytes());
    }
    let mut place = [0; 24];
    place[..16].copy_from_slice(&hash.digest128().to_be_bytes());
    place[16..].copy_from_slice(&dedup.index.div_euclid(PAGE).to_be_bytes());
    place
}

fn age(date: i64, place: &[u8]) -> Vec<u8> {
    [AGE, &date.to_be_bytes(), place].concat()
}

fn date_of(page: &[u8]) -> i64 {
    page.get(..HEAD).map_or(0, number)
}

/// Where the line of that index stands in a page, or where it belongs.
fn find(page: &[u8], index: u16) -> Result<usize, usize> {
    let n_lines = page.len().saturating_sub(HEAD) / LINE;
    let of = |nth: usize| u16::from_be_bytes([page[HEAD + nth * LINE], page[HEAD + nth * LINE + 1]]);
    // Most lines come in order.
    if n_lines == 0 || of(n_lines - 1) < index {
        return Err(HEAD + n_lines * LINE);
    }
    let (mut low, mut high) = (0, n_lines);
    while low < high {
        let middle = (low + high) / 2;
        if of(middle) < index { low = middle + 1 } else { high = middle }
    }
    let at = HEAD + low * LINE;
    if of(low) == index { Ok(at) } else { Err(at) }
}

fn number(bytes: &[u8]) -> i64 {
    bytes.try_into().map_or(0, i64::from_be_bytes)
}
