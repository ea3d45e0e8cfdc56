//! Counts the records of one transaction.

use super::{Delta, Line, Ranges, Sum, minute_of};

/// Deltas of one transaction in the making. A transaction touches few (stream, minute, edge) cells, so they are a list.
#[derive(Debug, Clone, Default)]
pub struct Tally {
    cells: Vec<Cell>,
}

#[derive(Debug, Clone)]
struct Cell {
    tenant: String,
    stream: String,
    minute: i64,
    edge: &'static str,
    count: i64,
    bytes: i64,
    hash: Sum,
    ranges: Ranges,
}

impl Tally {
    /// Counts one record at raw offset `offset` of `partition` on `edge`.
    pub fn count(&mut self, edge: &'static str, line: &impl Line, partition: i32, offset: i64) {
        self.count_hashed(edge, line, line.sum(), partition, offset);
    }

    /// Same, for a record whose hash is known already.
    pub fn count_hashed(
        &mut self,
        edge: &'static str,
        line: &impl Line,
        hash: Sum,
        partition: i32,
        offset: i64,
    ) {
        let (tenant, stream, received, bytes) = line.account();
        self.add(edge, (tenant, stream, received), (1, bytes as i64, hash), partition, offset..offset + 1);
    }

    /// Adds `(count, bytes, hash)` of records of `(tenant, stream, received)` that cover `offsets` of `partition`.
    pub fn add(
        &mut self,
        edge: &'static str,
        (tenant, stream, received): (&str, &str, i64),
        (count, bytes, hash): (i64, i64, Sum),
        partition: i32,
        offsets: std::ops::Range<i64>,
    ) {
        let minute = minute_of(received);
        let same = |cell: &Cell| {
            cell.minute == minute && cell.edge == edge && cell.stream == stream && cell.tenant == tenant
        };
        let at = self.cells.iter().rposition(same).unwrap_or_else(|| {
            let (tenant, stream) = (tenant.to_owned(), stream.to_owned());
            let ranges = Ranges::default();
            self.cells.push(Cell { tenant, stream, minute, edge, count: 0, bytes: 0, hash: Sum(0), ranges });
            self.cells.len() - 1
        });
        let cell = &mut self.cells[at];
        cell.count += count;
        cell.bytes += bytes;
        cell.hash += hash;
        cell.ranges.cover_range(partition, offsets.start, offsets.end);
    }

    /// The deltas of `stage` for `generation`.
    pub fn into_deltas(self, stage: &str, generation: i32) -> Vec<Delta> {
        let delta = |cell: Cell| Delta {
            generation,
            tenant: cell.tenant,
            stream: cell.stream,
            minute: cell.minute,
            stage: stage.to_owned(),
            edge: cell.edge.to_owned(),
            count: cell.count,
            bytes: cell.bytes,
            hash: cell.hash,
            ranges: cell.ranges.to_vec(),
        };
        self.cells.into_iter().map(delta).collect()
    }

    /// Whether nothing was counted.
    pub fn is_empty(&self) -> bool {
        self.cells.is_empty()
    }
}
