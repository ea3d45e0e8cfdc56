//! Compares what upstream wrote with what downstream read.

use std::collections::BTreeMap;

use super::{Delta, Sum, edge, stage};
use crate::dead::SENT_AGAIN;
use crate::topics::GENERATION;

/// One side of a check: the stages and edges whose sums count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Side {
    /// Stages.
    pub stages: &'static [&'static str],
    /// Edges.
    pub edges: &'static [&'static str],
}

/// `upstream = downstream`, for everything below the downstream's frontier.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Check {
    /// What people see.
    pub name: &'static str,
    /// What should have arrived.
    pub upstream: Side,
    /// What did.
    pub downstream: Side,
}

/// The chain of a line through the stages that run today.
pub const CHAIN: [Check; 8] = [
    Check {
        name: "producer.out = parse.in",
        upstream: Side { stages: &[stage::FORWARD, stage::GATEWAY, stage::REDRIVE], edges: &[edge::OUT] },
        downstream: Side { stages: &[stage::PARSE], edges: &[edge::IN] },
    },
    Check {
        name: "parse.in = parse.out + dead + filtered + duplicate",
        upstream: Side { stages: &[stage::PARSE], edges: &[edge::IN] },
        downstream: Side {
            stages: &[stage::PARSE],
            edges: &[edge::OUT, edge::DEAD, edge::FILTERED, edge::DUPLICATE, edge::SUPERSEDED],
        },
    },
    Check {
        name: "parse.out = index.in",
        upstream: Side { stages: &[stage::PARSE], edges: &[edge::OUT] },
        downstream: Side { stages: &[stage::INDEX], edges: &[edge::IN] },
    },
    Check {
        name: "parse.dead = index.dead",
        upstream: Side { stages: &[stage::PARSE], edges: &[edge::DEAD] },
        downstream: Side { stages: &[stage::INDEX], edges: &[edge::DEAD] },
    },
    Check {
        name: "parse.out = archive.in",
        upstream: Side { stages: &[stage::PARSE], edges: &[edge::OUT] },
        downstream: Side { stages: &[stage::ARCHIVE], edges: &[edge::IN] },
    },
    Check {
        name: "parse.dead = archive.dead",
        upstream: Side { stages: &[stage::PARSE], edges: &[edge::DEAD] },
        downstream: Side { stages: &[stage::ARCHIVE], edges: &[edge::DEAD] },
    },
    Check {
        name: "archive.foreign = index.letter",
        upstream: Side { stages: &[stage::ARCHIVE], edges: &[edge::FOREIGN] },
        downstream: Side { stages: &[stage::INDEX], edges: &[edge::LETTER] },
    },
    Check {
        name: "archive.foreign = archive.letter",
        upstream: Side { stages: &[stage::ARCHIVE], edges: &[edge::FOREIGN] },
        downstream: Side { stages: &[stage::ARCHIVE], edges: &[edge::LETTER] },
    },
];

/// Per check, by position in [`CHAIN`]: per generation and partition, the offset below which the downstream has read all.
/// Offsets are those of `logs.raw`; of foreign records (generations below 0) those of the topic they lay in.
/// Taken *before* the ledger is read. A partition that is missing has frontier 0.
#[derive(Debug, Clone, Default)]
pub struct Frontiers(pub Vec<BTreeMap<(i32, i32), i64>>);

type CellKey = (i32, String, String, i64);

/// Sums of one edge of one cell.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Total {
    /// Records.
    pub count: i64,
    /// Sum of body lengths.
    pub bytes: i64,
    /// Sum of hashes.
    pub hash: Sum,
    /// One past the highest raw offset covered, by partition.
    ends: BTreeMap<i32, i64>,
}

/// All deltas read, summed by cell and edge. Bounded by the number of minutes asked for, not of transactions.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Book {
    cells: BTreeMap<CellKey, BTreeMap<(String, String), Total>>,
}

/// A cell that does not add up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// Name of the check.
    pub check: &'static str,
    /// Raw topic generation.
    pub generation: i32,
    /// Tenant.
    pub tenant: String,
    /// Stream.
    pub stream: String,
    /// Start of the minute, µs.
    pub minute: i64,
    /// Records upstream.
    pub upstream: i64,
    /// Records downstream.
    pub downstream: i64,
}

/// Answer to "is this all of it?".
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Report {
    /// (cell, check) pairs that were compared and are equal in count, bytes and hash.
    pub balanced: usize,
    /// (cell, check) pairs of which something has not been read yet.
    pub in_flight: usize,
    /// Records on their way, over all pairs.
    pub in_flight_records: i64,
    /// What does not add up.
    pub faults: Vec<Fault>,
}

impl Book {
    /// Takes over a folded cell, in the place of what was there: the compacted topic may hold older values of it.
    pub fn set(&mut self, cell: &Delta) {
        *self.total_mut(cell) = Total::default();
        self.add(cell);
    }

    fn total_mut(&mut self, delta: &Delta) -> &mut Total {
        let key = (delta.generation, delta.tenant.clone(), delta.stream.clone(), delta.minute);
        let edges = self.cells.entry(key).or_default();
        edges.entry((delta.stage.clone(), delta.edge.clone())).or_default()
    }

    /// Adds one delta.
    pub fn add(&mut self, delta: &Delta) {
        let total = self.total_mut(delta);
        total.count += delta.count;
        total.bytes += delta.bytes;
        total.hash += delta.hash;
        for range in &delta.ranges {
            let end = total.ends.entry(range.partition).or_insert(range.to);
            *end = (*end).max(range.to);
        }
    }

    /// Sums of (stage, edge) over everything: (records, bytes).
    pub fn total(&self, stage: &str, edge: &str) -> (i64, i64) {
        let key = (stage.to_owned(), edge.to_owned());
        let totals = self.cells.values().filter_map(|edges| edges.get(&key));
        totals.fold((0, 0), |sum, total| (sum.0 + total.count, sum.1 + total.bytes))
    }

    /// Lines that are dead and were not repaired: those that died, less those that gave an event when they were sent again.
    /// What failed again is one debt still.
    pub fn debt(&self) -> i64 {
        let of = |generation: i32, edge: &str| -> i64 {
            let key = (stage::PARSE.to_owned(), edge.to_owned());
            let cells = self.cells.iter().filter(|((own, ..), _)| *own == generation);
            cells.filter_map(|(_, edges)| edges.get(&key)).map(|total| total.count).sum()
        };
        of(GENERATION, edge::DEAD) - of(SENT_AGAIN, edge::OUT)
    }

    /// Cells in order: generation, tenant, stream, minute, and the sums by stage and edge.
    pub fn cells(&self) -> impl Iterator<Item = (&CellKey, &BTreeMap<(String, String), Total>)> {
        self.cells.iter()
    }

    /// Holds the chain against the sums. A cell whose upstream reaches beyond the downstream's frontier is in flight as a
    /// whole, unless the downstream already has more.
    pub fn report(&self, frontiers: &Frontiers) -> Report {
        let mut report = Report::default();
        let nothing = BTreeMap::new();
        for (at, check) in CHAIN.iter().enumerate() {
            let inner = check.upstream.edges == [edge::IN];
            let frontier = frontiers.0.get(at).unwrap_or(&nothing);
            for ((generation, tenant, stream, minute), edges) in &self.cells {
                let (up, down) = (sum(edges, &check.upstream), sum(edges, &check.downstream));
                if up == Total::default() && down == Total::default() {
                    continue;
                }
                let read = |(partition, end): (&i32, &i64)| {
                    *end <= frontier.get(&(*generation, *partition)).copied().unwrap_or(0)
                };
                let equal = (up.count, up.bytes, up.hash) == (down.count, down.bytes, down.hash);
                if equal {
                    report.balanced += 1;
                } else if !inner && down.count < up.count && !up.ends.iter().all(read) {
                    report.in_flight += 1;
                    report.in_flight_records += up.count - down.count;
                } else {
                    report.faults.push(Fault {
                        check: check.name,
                        generation: *generation,
                        tenant: tenant.clone(),
                        stream: stream.clone(),
                        minute: *minute,
                        upstream: up.count,
                        downstream: down.count,
                    });
                }
            }
        }
        report
    }
}

fn sum(edges: &BTreeMap<(String, String), Total>, side: &Side) -> Total {
    let mut all = Total::default();
    let names = side.stages.iter().flat_map(|stage| side.edges.iter().map(move |edge| (*stage, *edge)));
    for (stage, edge) in names {
        let Some(total) = edges.get(&(stage.to_owned(), edge.to_owned())) else { continue };
        all.count += total.count;
        all.bytes += total.bytes;
        all.hash += total.hash;
        for (&partition, &end) in &total.ends {
            let own = all.ends.entry(partition).or_insert(end);
            *own = (*own).max(end);
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ledger::OffsetRange;

    fn delta(stage: &str, edge: &str, count: i64, hash: u128, to: i64) -> Delta {
        Delta {
            generation: 1,
            tenant: "default".into(),
            stream: "web".into(),
            minute: 0,
            stage: stage.into(),
            edge: edge.into(),
            count,
            bytes: count * 10,
            hash: Sum(hash),
            ranges: vec![OffsetRange { partition: 0, from: 0, to }],
        }
    }

    fn report(deltas: &[Delta], frontier: i64) -> Report {
        let mut book = Book::default();
        deltas.iter().for_each(|delta| book.add(delta));
        book.report(&Frontiers(vec![BTreeMap::from([((1, 0), frontier)]); CHAIN.len()]))
    }

    #[test]
    fn equal_sums_balance() {
        let way = [
            delta("forward", "out", 3, 7, 3),
            delta("parse", "in", 3, 7, 3),
            delta("parse", "out", 2, 5, 3),
            delta("parse", "dead", 1, 2, 2),
            delta("index", "in", 2, 5, 3),
            delta("index", "dead", 1, 2, 2),
            delta("archive", "in", 2, 5, 3),
            delta("archive", "dead", 1, 2, 2),
        ];
        let report = report(&way, 3);
        assert_eq!((report.balanced, report.in_flight, report.faults), (6, 0, vec![]));
    }

    #[test]
    fn what_every_producer_sent_is_one_sum() {
        let way = [
            delta("forward", "out", 3, 7, 3),
            delta("gateway", "out", 2, 4, 5),
            delta("parse", "in", 5, 11, 5),
            delta("parse", "out", 5, 11, 5),
        ];
        assert_eq!(report(&way, 5).balanced, 2);
        let faults = report(&way[..1].iter().chain(&way[2..]).cloned().collect::<Vec<_>>(), 5).faults;
        assert_eq!(
            (faults[0].check, faults[0].upstream, faults[0].downstream),
            ("producer.out = parse.in", 3, 5)
        );
    }

    #[test]
    fn unread_records_are_in_flight() {
        let report = report(&[delta("forward", "out", 3, 7, 3)], 2);
        assert_eq!((report.balanced, report.in_flight, report.in_flight_records), (0, 1, 3));
        assert_eq!(report.faults, vec![]);
    }

    #[test]
    fn a_record_lost_behind_the_frontier_is_a_fault() {
        let report = report(
            &[
                delta("forward", "out", 3, 7, 3),
                delta("parse", "in", 2, 5, 2),
                delta("parse", "out", 2, 5, 2),
            ],
            3,
        );
        let faults: Vec<_> =
            report.faults.iter().map(|fault| (fault.check, fault.upstream, fault.downstream)).collect();
        assert_eq!(faults[0], ("producer.out = parse.in", 3, 2));
    }

    #[test]
    fn a_duplicate_is_a_fault_even_beyond_the_frontier() {
        let report = report(&[delta("forward", "out", 3, 7, 3), delta("parse", "in", 4, 9, 3)], 0);
        assert!(report.faults.iter().any(|fault| fault.downstream == 4));
    }

    /// A foreign record at offset 4 of `logs.parsed`; the archiver wrote its letter.
    #[test]
    fn a_letter_of_a_foreign_record_is_owed_by_both_sinks() {
        let foreign = |stage, edge| Delta { generation: -1, ..delta(stage, edge, 1, 9, 5) };
        let book = |all: &[Delta]| {
            let mut book = Book::default();
            all.iter().for_each(|delta| book.add(delta));
            book
        };
        let written = [foreign("archive", "foreign"), foreign("archive", "letter")];
        // Not yet read by the index: in flight, whatever it has read of raw.
        let mut frontiers = Frontiers(vec![BTreeMap::from([((1, 0), 100)]); CHAIN.len()]);
        let report = book(&written).report(&frontiers);
        assert_eq!((report.balanced, report.in_flight, report.faults), (1, 1, vec![]));
        // Passed by, without the letter: lost.
        frontiers.0[6].insert((-1, 0), 5);
        let report = book(&written).report(&frontiers);
        assert_eq!(report.faults[0].check, "archive.foreign = index.letter");
        // Both have it.
        let report = book(&[&written[..], &[foreign("index", "letter")]].concat()).report(&frontiers);
        assert_eq!((report.balanced, report.in_flight, report.faults), (2, 0, vec![]));
    }

    /// Three lines died; two were sent again, one of them twice: one was repaired, one failed again.
    #[test]
    fn what_is_sent_again_balances_by_itself_and_pays_the_debt() {
        let again =
            |stage, edge, count, hash| Delta { generation: SENT_AGAIN, ..delta(stage, edge, count, hash, 3) };
        let died = [
            delta("forward", "out", 3, 7, 3),
            delta("parse", "in", 3, 7, 3),
            delta("parse", "dead", 3, 7, 3),
            delta("index", "dead", 3, 7, 3),
            delta("archive", "dead", 3, 7, 3),
        ];
        let sent = [again("redrive", "out", 3, 5)];
        let judged = [
            again("parse", "in", 3, 5),
            again("parse", "out", 1, 1),
            again("parse", "dead", 1, 3),
            again("parse", "duplicate", 1, 1),
        ];
        let stored = [
            again("index", "in", 1, 1),
            again("index", "dead", 1, 3),
            again("archive", "in", 1, 1),
            again("archive", "dead", 1, 3),
        ];
        let look = |parts: &[&[Delta]], frontier: i64| {
            let mut book = Book::default();
            parts.iter().flat_map(|part| part.iter()).for_each(|delta| book.add(delta));
            let own = BTreeMap::from([((1, 0), 100), ((SENT_AGAIN, 0), frontier)]);
            (book.report(&Frontiers(vec![own; CHAIN.len()])), book.debt())
        };
        let (report, debt) = look(&[&died], 0);
        assert_eq!((report.faults, report.in_flight, debt), (vec![], 0, 3));
        // Nothing of it was read, whatever was read of `logs.raw`.
        let (report, debt) = look(&[&died, &sent], 0);
        assert_eq!((report.faults, report.in_flight, debt), (vec![], 1, 3));
        let (report, debt) = look(&[&died, &sent, &judged], 0);
        assert_eq!((report.faults, report.in_flight, debt), (vec![], 4, 2));
        let (report, debt) = look(&[&died, &sent, &judged, &stored], 3);
        assert_eq!((report.faults, report.in_flight, debt), (vec![], 0, 2));
        // Passed by and not stored.
        let (report, _) = look(&[&died, &sent, &judged, &stored[1..]], 3);
        assert_eq!(report.faults[0].check, "parse.out = index.in");
    }

    #[test]
    fn same_count_with_other_lines_is_a_fault() {
        let report = report(
            &[
                delta("forward", "out", 3, 7, 3),
                delta("parse", "in", 3, 8, 3),
                delta("parse", "out", 3, 8, 3),
            ],
            3,
        );
        assert_eq!(report.faults[0].check, "producer.out = parse.in");
    }
}
