//! The order in which gathered rows are written.

use arrow_array::cast::AsArray;
use arrow_array::types::Int32Type;
use arrow_array::{Array, ArrayRef, UInt32Array};

use super::TableError;
use super::place::Place;

/// Index of `host`, `file` and `file_id` in both tables' columns.
const NAMES: [usize; 3] = [2, 3, 4];

/// Remembers each row's place; the names come from the finished columns.
#[derive(Default)]
pub(super) struct Sorter {
    places: Vec<Place>,
}

impl Sorter {
    pub(super) fn push(&mut self, place: Place) {
        self.places.push(place);
    }

    pub(super) fn len(&self) -> usize {
        self.places.len()
    }

    /// Row numbers in the order of [`Key`](super::Key).
    pub(super) fn order(self, columns: &[ArrayRef]) -> Result<UInt32Array, TableError> {
        let mut names = Vec::with_capacity(NAMES.len());
        for column in NAMES {
            names.push(ranks(columns.get(column).ok_or(TableError::Order)?)?);
        }
        let key = |row: u32| {
            let at = row as usize;
            (names[0][at], names[1][at], names[2][at], self.places[at])
        };
        let n_rows = u32::try_from(self.places.len()).map_err(|_| TableError::Order)?;
        let mut order: Vec<u32> = (0..n_rows).collect();
        if !order.is_sorted_by_key(|row| key(*row)) {
            order.sort_unstable_by_key(|row| key(*row));
        }
        Ok(order.into())
    }
}

/// The rank of each row's value among the distinct values; null comes first.
fn ranks(column: &ArrayRef) -> Result<Vec<u32>, TableError> {
    let dictionary = column.as_dictionary_opt::<Int32Type>().ok_or(TableError::Order)?;
    let values = dictionary.values().as_string_opt::<i32>().ok_or(TableError::Order)?;
    let mut by_value: Vec<usize> = (0..values.len()).collect();
    by_value.sort_unstable_by_key(|value| values.value(*value));
    let mut rank_of = vec![0; values.len()];
    for (rank, value) in by_value.into_iter().enumerate() {
        rank_of[value] = rank as u32 + 1;
    }
    let keys = dictionary.keys();
    Ok(keys.iter().map(|key| key.map_or(0, |key| rank_of[key as usize])).collect())
}
