//! The loop: reads and plans a batch while the one before commits; one transaction per batch, one at a time.

use std::sync::Arc;
use std::time::Instant;

use millrace_jobs::{Batch, Job, Plan, Table};
use millrace_schemas::codec::unframe;
use tracing::{debug, info, warn};

use crate::error::{Class, Error};
use crate::session::{Session, Turn};

/// Runs `job` on `session` until `stop` says so, or until an error of class *Exit*.
///
/// At most one batch is in flight and one planned behind it, which sees the writes of the former. If that one's commit fails,
/// both are dropped and read again. Memory is bounded by what the session lets into two batches, their outputs, and the
/// state (I10).
///
/// # Errors
/// Only class *Exit*, or what closing said.
pub fn transact<J: Job>(
    job: &mut J,
    session: &mut impl Session,
    stop: impl Fn() -> bool,
) -> Result<(), Error> {
    transact_renewed(job, session, |_, _| Ok(()), stop)
}

/// Same, for a job whose configuration changes: `renew` may change it, before a batch is planned. It gets the state, in which
/// the job has said by what its partitions were read before (I3).
///
/// # Errors
/// As [`transact`].
pub fn transact_renewed<J: Job>(
    job: &mut J,
    session: &mut impl Session,
    mut renew: impl FnMut(&mut J, &Table) -> Result<(), Error>,
    stop: impl Fn() -> bool,
) -> Result<(), Error> {
    let mut work = Work::default();
    while !stop() {
        let Err(error) = turn(job, session, &mut renew, &mut work) else {
            continue;
        };
        // Whatever went wrong, what is in flight is decided first: a commit that succeeds is not read again.
        let error = match work.settle(session) {
            Err(other) if other.class() > error.class() => other,
            _ => error,
        };
        recover::<J>(session, &mut work.table, error, &stop)?;
    }
    match work.settle(session) {
        Err(error) if error.class() == Class::Exit => return Err(error),
        Err(error) => warn!(
            job = J::NAME,
            error = &error as &dyn std::error::Error,
            "last batch not committed, the next start reads it again"
        ),
        Ok(()) => {}
    }
    session.close()
}

#[derive(Default)]
struct Work {
    table: Table,
    batch: Batch,
    /// What the session commits.
    flying: Option<Arc<Plan>>,
    /// Memory for the next plan.
    spare: Plan,
}

impl Work {
    /// Waits for the commit in flight and adds its writes to the state.
    fn settle(&mut self, session: &mut impl Session) -> Result<(), Error> {
        let flying = self.flying.take();
        session.settle()?;
        if let Some(mut plan) = flying.and_then(Arc::into_inner) {
            self.table.merge(plan.take_writes());
            self.spare = plan;
        }
        Ok(())
    }
}

/// Reads and plans one batch, and hands it over when the one before is committed.
fn turn<J: Job>(
    job: &mut J,
    session: &mut impl Session,
    renew: &mut impl FnMut(&mut J, &Table) -> Result<(), Error>,
    work: &mut Work,
) -> Result<(), Error> {
    work.batch.clear();
    let start = Instant::now();
    if session.poll(&mut work.batch)? == Turn::Moved {
        work.settle(session)?;
        return session.restore(&mut work.table);
    }
    if work.batch.is_empty() {
        return work.settle(session);
    }
    let polled = start.elapsed();
    acquaint(job, session, &work.batch)?;
    renew(job, &work.table)?;
    let mut plan = std::mem::take(&mut work.spare);
    plan.fill(job, &work.batch, &work.table, work.flying.as_ref().map(|flying| flying.writes()));
    let planned = start.elapsed();
    work.settle(session)?;
    let settled = start.elapsed();
    let (n_records, n_outputs, n_dead) = (plan.n_records(), plan.outputs().len(), plan.dead().len());
    debug!(job = J::NAME, n_records, n_outputs, n_dead, ?polled, ?planned, ?settled, "batch planned");
    let plan = Arc::new(plan);
    session.submit(plan.clone())?;
    work.flying = Some(plan);
    Ok(())
}

/// Gets the schemas that the batch is written in, so that planning needs nobody. What the registry denies stays unknown
/// and makes its records undecodable.
fn acquaint<J: Job>(job: &mut J, session: &mut impl Session, batch: &Batch) -> Result<(), Error> {
    let mut last = None;
    for record in batch.records() {
        let Some((id, _)) = record.value.and_then(|value| unframe(value).ok()) else {
            continue;
        };
        if last.replace(id) == Some(id) || job.knows(id) {
            continue;
        }
        if let Some(schema) = session.schema(id)? {
            job.learn(id, &schema);
        }
    }
    Ok(())
}

/// Does what the class of `error` asks, until the session stands again.
fn recover<J: Job>(
    session: &mut impl Session,
    table: &mut Table,
    mut error: Error,
    stop: &impl Fn() -> bool,
) -> Result<(), Error> {
    let mut class = error.class();
    loop {
        let result = match class {
            Class::Abort => {
                warn!(
                    job = J::NAME,
                    error = &error as &dyn std::error::Error,
                    "batch aborted, reading it again"
                );
                session.rewind(&error)
            }
            Class::Rejoin => {
                info!(job = J::NAME, error = &error as &dyn std::error::Error, "joining anew");
                table.clear();
                session.rejoin(&error)
            }
            Class::Exit => return Err(error),
        };
        let Err(next) = result else { return Ok(()) };
        if stop() {
            return Ok(());
        }
        // What cannot be rewound has to be taken up anew.
        class = match next.class() {
            Class::Abort | Class::Rejoin => Class::Rejoin,
            Class::Exit => Class::Exit,
        };
        error = next;
    }
}
