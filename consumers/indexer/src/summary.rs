//! What a manifest says of a split, gathered row by row or from the splits that it takes the place of.

use std::collections::{BTreeMap, BTreeSet};

use millrace_schemas::Origin;
use millrace_schemas::ledger::OffsetRange;
use millrace_schemas::manifest::{Part, TableName};

/// Rows, bytes, times, hosts and origins of a split.
#[derive(Debug, Clone)]
pub(crate) struct Summary {
    time_from: i64,
    time_to: i64,
    rows: i64,
    bytes: i64,
    level: i32,
    /// `None` once they are too many to be listed.
    hosts: Option<BTreeSet<String>>,
    raw: BTreeMap<i32, (i64, i64)>,
}

impl Default for Summary {
    fn default() -> Summary {
        Summary {
            time_from: i64::MAX,
            time_to: i64::MIN,
            rows: 0,
            bytes: 0,
            level: 0,
            hosts: Some(BTreeSet::new()),
            raw: BTreeMap::new(),
        }
    }
}

impl Summary {
    pub(crate) fn add_row(&mut self, time: i64, host: &str, body_len: usize, origin: Origin) {
        self.rows += 1;
        self.bytes += body_len as i64;
        self.add_times(time, time);
        self.add_host(host);
        // Letters of other topics (generation below 0) have no offset in `logs.raw`.
        if origin.generation >= 0 {
            self.add_raw(origin.partition, origin.offset, origin.offset + 1);
        }
    }

    pub(crate) fn add_part(&mut self, part: &Part) {
        self.rows += part.rows;
        self.bytes += part.bytes;
        self.level = self.level.max(part.level + 1);
        self.add_times(part.time_from, part.time_to);
        if part.hosts.is_empty() {
            self.hosts = None;
        }
        for host in &part.hosts {
            self.add_host(host);
        }
        for range in &part.raw {
            self.add_raw(range.partition, range.from, range.to);
        }
    }

    pub(crate) fn rows(&self) -> i64 {
        self.rows
    }

    /// The part of bytes `from..to` of its object.
    pub(crate) fn part(self, id: String, table: TableName, bucket: i64, from: usize, to: usize) -> Part {
        let raw = self.raw.into_iter().map(|(partition, (from, to))| OffsetRange { partition, from, to });
        Part {
            id,
            table,
            stream: None,
            bucket,
            time_from: self.time_from,
            time_to: self.time_to,
            from: from as i64,
            to: to as i64,
            rows: self.rows,
            bytes: self.bytes,
            level: self.level,
            hosts: self.hosts.unwrap_or_default().into_iter().collect(),
            raw: raw.collect(),
        }
    }

    fn add_times(&mut self, from: i64, to: i64) {
        self.time_from = self.time_from.min(from);
        self.time_to = self.time_to.max(to);
    }

    fn add_host(&mut self, host: &str) {
        if let Some(hosts) = &mut self.hosts
            && !hosts.contains(host)
        {
            hosts.insert(host.to_owned());
            if hosts.len() > Part::MAX_HOSTS {
                self.hosts = None;
            }
        }
    }

    fn add_raw(&mut self, partition: i32, from: i64, to: i64) {
        let range = self.raw.entry(partition).or_insert((from, to));
        range.0 = range.0.min(from);
        range.1 = range.1.max(to);
    }
}
