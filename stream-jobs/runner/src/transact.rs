//! The loop: one thread, one transaction per batch.

use std::time::Instant;

use millrace_jobs::{Batch, Job, Plan, Table};
use millrace_schemas::codec::unframe;
use tracing::{debug, info, warn};

use crate::error::{Class, Error};
use crate::session::Session;

/// Runs `job` on `session` until `stop` says so, or until an error of class *Exit*.
///
/// At most one batch is planned and not committed at any time, so to stop is to finish it and close. Memory is bounded by
/// what the session lets into a batch, the outputs of that, and the state (I10).
///
/// # Errors
/// Only class *Exit*, or what closing said.
pub fn transact<J: Job>(
    job: &mut J,
    session: &mut impl Session,
    stop: impl Fn() -> bool,
) -> Result<(), Error> {
    let mut work = Work::default();
    while !stop() {
        let Err(error) = turn(job, session, &mut work) else {
            continue;
        };
        recover::<J>(session, &mut work.table, error, &stop)?;
    }
    session.close()
}

#[derive(Default)]
struct Work {
    table: Table,
    batch: Batch,
    step: Plan,
}

/// Reads, plans and commits one batch.
fn turn<J: Job>(job: &mut J, session: &mut impl Session, work: &mut Work) -> Result<(), Error> {
    work.batch.clear();
    let start = Instant::now();
    session.poll(&mut work.table, &mut work.batch)?;
    if work.batch.is_empty() {
        return Ok(());
    }
    let polled = start.elapsed();
    acquaint(job, session, &work.batch)?;
    work.step.fill(job, &work.batch, &work.table, None);
    let planned = start.elapsed();
    session.commit(&work.step)?;
    let (n_records, n_outputs, n_dead) =
        (work.step.n_records(), work.step.outputs().len(), work.step.dead().len());
    let committed = start.elapsed();
    debug!(job = J::NAME, n_records, n_outputs, n_dead, ?polled, ?planned, ?committed, "batch committed");
    work.table.merge(work.step.take_writes());
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
