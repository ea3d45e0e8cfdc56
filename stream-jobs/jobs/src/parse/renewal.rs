//! Sources, and streams that are bound to them, that change while the job runs.
//!
//! They come from outside the records, so they are taken up between two batches only, and in the transaction of the first
//! batch that is read by them the state says so (I3): cell `sources` of each partition, the place in `millrace.control` that
//! they are of. Who reads the partition later waits until it knows at least that place, so what a partition is read by never
//! grows older. A batch that did not commit may be read by newer sources when it is read again; each event and each letter
//! bears name and version of the one that read it.

use crate::table::{State, Table, Writes};

const KEY: &[u8] = b"sources";

/// The newest place by which a partition of `table` was read; 0: none ever changed.
pub fn least(table: &Table) -> i64 {
    table.partitions().filter_map(|partition| table.get(partition, KEY)).map(read).max().unwrap_or(0)
}

/// Notes that `partition` is read by what stands up to `place`.
pub(super) fn note(state: &State<'_>, partition: i32, place: i64, writes: &mut Writes) {
    if state.get(KEY).map_or(0, read) < place {
        writes.set(partition, KEY.to_vec(), Some(place.to_be_bytes().to_vec()));
    }
}

fn read(cell: &[u8]) -> i64 {
    cell.try_into().map_or(0, i64::from_be_bytes)
}
