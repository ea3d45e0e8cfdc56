//! The raw offsets of a partition that are dead and not repaired: what a line that is sent again is judged by.
//!
//! State: cell `dead/<page>` for each 4,096 offsets that has any. A page goes when its last offset is repaired, or when its
//! newest line died longer ago than letters are kept, told by the append times of lines that die later (I3, I10).

use crate::table::{Change, State, Table};

/// Offsets of a page.
const PAGE: i64 = 4_096;
/// More offsets than this are kept as a bitmap.
const MOST_LISTED: usize = 255;
const PREFIX: &[u8] = b"dead/";

/// Whether `offset` of `partition` is owed by the state in `table`.
pub fn is_owed(table: &Table, partition: i32, offset: i64) -> bool {
    table.get(partition, &key(offset)).is_some_and(|cell| Page::read(cell).holds(offset))
}

pub(super) fn holds(state: &State<'_>, offset: i64) -> bool {
    state.get(&key(offset)).is_some_and(|cell| Page::read(cell).holds(offset))
}

/// Notes that the line at `offset`, which was appended at `appended` µs, is dead. Lets go of what died more than `keep` µs
/// before it: a page or two for each line that dies keeps up with any rate.
pub(super) fn bury(state: &State<'_>, offset: i64, appended: i64, keep: i64) -> Vec<Change> {
    let own = key(offset);
    let mut page = state.get(&own).map_or_else(Page::default, Page::read);
    page.set(offset, true);
    page.newest = page.newest.max(appended);
    let mut changes = Vec::with_capacity(1);
    let mut from = PREFIX.to_vec();
    while let Some((key, cell)) = state.range(&from).next().filter(|(key, _)| key.starts_with(PREFIX)) {
        if key == own || Page::read(cell).newest.saturating_add(keep) >= appended || changes.len() == 2 {
            break;
        }
        changes.push((key.to_vec(), None));
        from = [key, b"\0"].concat();
    }
    changes.push((own, Some(page.write())));
    changes
}

/// Notes that the line at `offset` is repaired.
pub(super) fn repair(state: &State<'_>, offset: i64) -> Change {
    let own = key(offset);
    let mut page = state.get(&own).map_or_else(Page::default, Page::read);
    page.set(offset, false);
    let cell = (page.count() > 0).then(|| page.write());
    (own, cell)
}

fn key(offset: i64) -> Vec<u8> {
    [PREFIX, &offset.div_euclid(PAGE).to_be_bytes()].concat()
}

/// One page: when the newest of its lines died, then the offsets within it, as a list or a bitmap.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Page {
    newest: i64,
    bits: [u64; PAGE as usize / 64],
}

impl Default for Page {
    fn default() -> Page {
        Page { newest: i64::MIN, bits: [0; PAGE as usize / 64] }
    }
}

impl Page {
    fn holds(&self, offset: i64) -> bool {
        let at = offset.rem_euclid(PAGE) as usize;
        self.bits[at / 64] & 1 << (at % 64) != 0
    }

    fn set(&mut self, offset: i64, dead: bool) {
        let at = offset.rem_euclid(PAGE) as usize;
        let bit = 1 << (at % 64);
        if dead {
            self.bits[at / 64] |= bit;
        } else {
            self.bits[at / 64] &= !bit;
        }
    }

    fn count(&self) -> usize {
        self.bits.iter().map(|word| word.count_ones() as usize).sum()
    }

    fn write(&self) -> Vec<u8> {
        let mut cell = self.newest.to_be_bytes().to_vec();
        if self.count() > MOST_LISTED {
            self.bits.iter().for_each(|word| cell.extend_from_slice(&word.to_be_bytes()));
        } else {
            let listed = (0..PAGE).filter(|offset| self.holds(*offset));
            listed.for_each(|offset| cell.extend_from_slice(&(offset as u16).to_be_bytes()));
        }
        cell
    }

    /// A list is always shorter than a bitmap, so its length tells which it is.
    fn read(cell: &[u8]) -> Page {
        let mut page = Page::default();
        let Some((newest, offsets)) = cell.split_first_chunk::<8>() else { return page };
        page.newest = i64::from_be_bytes(*newest);
        if offsets.len() == size_of_val(&page.bits) {
            let words = offsets.as_chunks::<8>().0;
            page.bits.iter_mut().zip(words).for_each(|(own, word)| *own = u64::from_be_bytes(*word));
        } else {
            let listed = offsets.as_chunks::<2>().0;
            listed.iter().for_each(|offset| page.set(u16::from_be_bytes(*offset).into(), true));
        }
        page
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::table::Writes;

    /// Time that letters are kept in these tests, µs.
    const KEEP: i64 = 1_000;

    fn after(mut table: Table, change: impl FnOnce(&State<'_>) -> Vec<Change>) -> Table {
        let none = Writes::default();
        let changes = change(&State::new(0, &none, None, &table));
        let mut writes = Writes::default();
        changes.into_iter().for_each(|(key, value)| writes.set(0, key, value));
        table.merge(writes);
        table
    }

    fn owed(table: &Table, offsets: std::ops::Range<i64>) -> Vec<i64> {
        offsets.filter(|offset| is_owed(table, 0, *offset)).collect()
    }

    #[test]
    fn what_died_is_owed_until_it_is_repaired() {
        let died: Vec<i64> =
            (0..20_000).filter(|offset| offset % 7 == 0 || (5_000..6_000).contains(offset)).collect();
        let mut table = Table::default();
        for offset in &died {
            table = after(table, |state| bury(state, *offset, 5, KEEP));
        }
        assert_eq!(owed(&table, 0..20_000), died);
        assert!(!is_owed(&table, 1, 0), "another partition's");
        for offset in &died[1..] {
            table = after(table, |state| vec![repair(state, *offset)]);
        }
        assert_eq!(owed(&table, 0..20_000), [0]);
        table = after(table, |state| vec![repair(state, 0)]);
        assert_eq!(table.n_cells(), 0, "pages of nothing go");
    }

    #[test]
    fn dying_twice_is_one_debt() {
        let mut table = Table::default();
        for time in [5, 6] {
            table = after(table, |state| bury(state, 9, time, KEEP));
        }
        table = after(table, |state| vec![repair(state, 9)]);
        assert!(owed(&table, 0..10).is_empty());
    }

    #[test]
    fn pages_go_when_their_letters_have_gone() {
        let mut table = Table::default();
        for (offset, time) in [(0, 10), (4_096, 20), (8_192, 500)] {
            table = after(table, |state| bury(state, offset, time, KEEP));
        }
        table = after(table, |state| bury(state, 12_288, 1_020, KEEP));
        assert_eq!(owed(&table, 0..20_000), [4_096, 8_192, 12_288], "1,020 is not beyond 20 + 1,000");
        table = after(table, |state| bury(state, 12_289, 9_999, KEEP));
        assert_eq!(owed(&table, 0..20_000), [12_288, 12_289], "its own page stays");
    }
}
