//! All that one transaction will do, as a value.

use std::collections::BTreeMap;
use std::ops::Range;

use millrace_schemas::dead::{AGAIN, DeadLetter, RECEIVED, undecodable};
use millrace_schemas::ledger::{Delta, edge};
use millrace_schemas::{Origin, TraceContext, trace};

use crate::account::Accounts;
use crate::batch::{Batch, Record, append};
use crate::effects::{Effects, Outgoing};
use crate::job::Job;
use crate::table::{Change, State, Table, Writes};

/// Outputs, dead letters, state writes, ledger and next offsets of one batch; they commit together (I2).
#[derive(Debug, Clone, Default)]
pub struct Plan {
    stage: &'static str,
    version: i32,
    n_records: usize,
    outgoing: Outgoing,
    dead_bytes: Vec<u8>,
    dead: Vec<DeadSlot>,
    writes: Writes,
    accounts: Accounts,
    next: BTreeMap<(usize, i32), i64>,
    cells: Vec<Change>,
    /// Of the outputs that have one, by their number.
    traces: Vec<(usize, TraceContext)>,
}

/// A record to be written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Output<'p> {
    /// Position of the topic in [`Job::outputs`].
    pub target: usize,
    /// Partition; `None`: the one that the key gives.
    pub partition: Option<i32>,
    /// Key.
    pub key: &'p [u8],
    /// Value.
    pub value: &'p [u8],
    /// The trace that the input belongs to.
    pub trace: Option<TraceContext>,
}

/// A record for `logs.dead`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dead<'p> {
    /// Partition: the number of the input's.
    pub partition: i32,
    /// Original key.
    pub key: &'p [u8],
    /// Original value.
    pub value: &'p [u8],
    /// Where it comes from and why it was refused.
    pub letter: &'p DeadLetter,
    /// When the line was received, µs; for an undecodable record when the broker appended it. Travels in the header
    /// [`millrace_schemas::dead::RECEIVED`], so that who stores an undecodable record counts it in the same minute.
    pub received: i64,
    /// Of a line that was sent again: the offset it was read from. Travels in the header
    /// [`millrace_schemas::dead::AGAIN`].
    pub again: Option<i64>,
    /// The trace that the input belongs to.
    pub trace: Option<TraceContext>,
}

#[derive(Debug, Clone)]
struct DeadSlot {
    partition: i32,
    key: Range<usize>,
    value: Range<usize>,
    letter: DeadLetter,
    received: i64,
    again: Option<i64>,
    trace: Option<TraceContext>,
}

impl Dead<'_> {
    /// All headers of the record.
    pub fn headers(&self) -> impl Iterator<Item = (&'static str, String)> {
        let again = self.again.map(|offset| (AGAIN, offset.to_string()));
        let trace = self.trace.map(|own| (trace::HEADER, own.to_string()));
        self.letter
            .headers()
            .into_iter()
            .chain([(RECEIVED, self.received.to_string())])
            .chain(again)
            .chain(trace)
    }
}

/// What `job` answers to `batch`, given the committed state and the writes of a batch whose commit is still in flight.
pub fn plan<J: Job>(job: &J, batch: &Batch, table: &Table, in_flight: Option<&Writes>) -> Plan {
    let mut step = Plan::default();
    step.fill(job, batch, table, in_flight);
    step
}

impl Plan {
    /// Same as [`plan`], in memory that is used again.
    pub fn fill<J: Job>(&mut self, job: &J, batch: &Batch, table: &Table, in_flight: Option<&Writes>) {
        self.clear();
        (self.stage, self.version) = (J::NAME, job.version());
        let inputs = job.inputs();
        for (record, trace) in batch.traced() {
            let n_outputs = self.outgoing.outputs.len();
            self.step(job, &inputs, &record, trace, table, in_flight);
            if let Some(trace) = trace {
                self.traces.extend((n_outputs..self.outgoing.outputs.len()).map(|output| (output, trace)));
            }
        }
        self.next.extend(batch.passed().iter().map(|(place, next)| (*place, *next)));
        for record in batch.records() {
            let next = self.next.entry((record.input, record.partition)).or_default();
            *next = (*next).max(record.offset + 1);
        }
        let mut partitions: Vec<i32> = self.next.keys().map(|(_, partition)| *partition).collect();
        partitions.sort_unstable();
        partitions.dedup();
        for partition in partitions {
            let mut tidied = Writes::default();
            let state = State::new(partition, &self.writes, in_flight, table);
            job.advance(&state, partition, &mut tidied);
            self.writes.absorb(tidied);
        }
    }

    /// Answers one record: it ends as outputs, a counted drop or a dead letter (I1).
    fn step<J: Job>(
        &mut self,
        job: &J,
        inputs: &[String],
        record: &Record<'_>,
        trace: Option<TraceContext>,
        table: &Table,
        in_flight: Option<&Writes>,
    ) {
        self.n_records += 1;
        let (n_bytes, n_outputs) = (self.outgoing.bytes.len(), self.outgoing.outputs.len());
        let state = State::new(record.partition, &self.writes, in_flight, table);
        let mut effects =
            Effects::new(record.partition, &mut self.accounts, &mut self.outgoing, &mut self.cells);
        let answer = job.process(record, &state, &mut effects);
        let (entry, n_kept) = (effects.entry, effects.n_kept);
        let end = match &answer {
            Ok(verdict) => verdict.edge(),
            Err(_) => {
                self.outgoing.bytes.truncate(n_bytes);
                self.outgoing.outputs.truncate(n_outputs);
                self.cells.truncate(n_kept);
                for (key, value) in job.buried(record, &state) {
                    self.writes.set(record.partition, key, value);
                }
                edge::DEAD
            }
        };
        for (key, value) in self.cells.drain(..) {
            self.writes.set(record.partition, key, value);
        }
        let entry = entry.unwrap_or_else(|| {
            let Record { input, partition, offset, .. } = *record;
            let received = record.first.map_or(record.appended, |first| first.received);
            let stand_in = undecodable(record.key, record.value.unwrap_or_default(), received);
            let generation = job.generation(input);
            self.accounts.open(&(&stand_in).into(), Origin { generation, partition, offset })
        });
        self.accounts.close(entry, end);
        if let Err(reject) = answer {
            let (tenant, stream) = self.accounts.names(entry);
            // Identity stays that of the original.
            let (input, offset) =
                record.first.map_or((record.input, record.offset), |first| (0, first.offset));
            let letter = DeadLetter {
                topic: inputs.get(input).cloned().unwrap_or_default(),
                partition: record.partition,
                offset,
                tenant: tenant.to_owned(),
                stream: stream.to_owned(),
                stage: J::NAME.to_owned(),
                reason: reject.code.to_owned(),
                detail: reject.detail,
                parser: reject.parser.into_owned(),
                parser_version: reject.parser_version,
            };
            self.dead.push(DeadSlot {
                partition: record.partition,
                key: append(&mut self.dead_bytes, record.key),
                value: append(&mut self.dead_bytes, record.value.unwrap_or_default()),
                letter,
                received: entry.received,
                again: record.first.map(|_| record.offset),
                trace,
            });
        }
    }

    /// Records to be written, in order of their inputs (I4).
    pub fn outputs(&self) -> impl ExactSizeIterator<Item = Output<'_>> {
        let mut traces = self.traces.iter().peekable();
        self.outgoing.outputs.iter().enumerate().map(move |(number, slot)| Output {
            target: slot.target,
            partition: slot.partition,
            key: &self.outgoing.bytes[slot.key.clone()],
            value: &self.outgoing.bytes[slot.value.clone()],
            trace: traces.next_if(|(own, _)| *own == number).map(|(_, trace)| *trace),
        })
    }

    /// Records for `logs.dead`, in order of their inputs.
    pub fn dead(&self) -> impl ExactSizeIterator<Item = Dead<'_>> {
        self.dead.iter().map(|slot| Dead {
            partition: slot.partition,
            key: &self.dead_bytes[slot.key.clone()],
            value: &self.dead_bytes[slot.value.clone()],
            letter: &slot.letter,
            received: slot.received,
            again: slot.again,
            trace: slot.trace,
        })
    }

    /// State writes: records for the changelog (keys by [`crate::changelog_key`]), and for [`Table::merge`].
    pub fn writes(&self) -> &Writes {
        &self.writes
    }

    /// Takes the state writes out, once they are committed.
    pub fn take_writes(&mut self) -> Writes {
        std::mem::take(&mut self.writes)
    }

    /// Ledger deltas, in order of generation, tenant, stream, minute and edge.
    pub fn deltas(&self) -> Vec<Delta> {
        self.accounts.deltas(self.stage)
    }

    /// Next offsets to read, by (input, partition).
    pub fn next(&self) -> &BTreeMap<(usize, i32), i64> {
        &self.next
    }

    /// Name of the job.
    pub fn stage(&self) -> &'static str {
        self.stage
    }

    /// Version of the job's configuration.
    pub fn version(&self) -> i32 {
        self.version
    }

    /// Input records.
    pub fn n_records(&self) -> usize {
        self.n_records
    }

    /// Whether there is nothing to commit.
    pub fn is_empty(&self) -> bool {
        self.n_records == 0
    }

    /// Bytes of the outputs and dead letters (I10).
    pub fn n_bytes(&self) -> usize {
        self.outgoing.bytes.len() + self.dead_bytes.len()
    }

    fn clear(&mut self) {
        self.n_records = 0;
        self.outgoing.bytes.clear();
        self.outgoing.outputs.clear();
        self.dead_bytes.clear();
        self.dead.clear();
        self.writes = Writes::default();
        self.accounts.clear();
        self.next.clear();
        self.cells.clear();
        self.traces.clear();
    }
}
