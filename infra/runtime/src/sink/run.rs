//! The loop of a sink: read and gather; meanwhile put the object of what was gathered before; then commit its manifest
//! records, ledger deltas and offsets in one transaction (I2, I5).

use std::sync::Arc;
use std::time::Duration;

use millrace_schemas::manifest::{Fold, ManifestRecord};
use millrace_schemas::topics;

use super::gather::Open;
use super::seal::{Sealing, Stored};
use super::send::{send_deltas, send_manifest};
use super::{BuildError, BundleBuilder, foreign};
use crate::kafka::admin::Admin;
use crate::kafka::{Batch, Class, Error, Guard, Member, MemberOptions, Polled, Resolve, read_to_mark};
use crate::metrics;
use crate::service::{Service, ServiceError};

/// What every sink reads.
pub(super) const TOPICS: [&str; 2] = [topics::PARSED, topics::DEAD];

/// Longest wait for records, and while a bundle is on its way into the store: it is committed when it is there.
const WAIT: Duration = Duration::from_millis(100);
const WAIT_SEALING: Duration = Duration::from_millis(5);

/// What a sink is.
#[derive(Debug, Clone)]
pub struct SinkOptions {
    /// Stage and consumer group: `index`, `archive`.
    pub stage: &'static str,
    /// Manifest topic.
    pub manifest: &'static str,
    /// A bundle is committed at least this often when there is data.
    pub commit_interval: Duration,
    /// Memory of what is gathered and of what is being sealed, together: each may take half of it.
    pub max_buffer_bytes: usize,
    /// Whether records that no stage of ours wrote become letters of this sink: so it is for one sink alone, since every
    /// sink reads all of them. The others pass over them, and store the letters.
    pub writes_letters: bool,
    /// When a transaction is in doubt.
    pub guard: Guard,
}

/// Runs until told to stop; what is gathered is committed before. `make` gives an empty builder.
///
/// # Errors
/// Of class *Exit*.
pub fn run<B: BundleBuilder + Send + 'static>(
    service: &Service,
    options: &SinkOptions,
    slot: u32,
    make: impl Fn() -> Result<B, BuildError>,
) -> Result<(), ServiceError> {
    let kafka = &service.config.kafka;
    let n_manifest_partitions = Admin::open(kafka)?.partitions(options.manifest)?;
    let member = Member::join(
        kafka,
        MemberOptions {
            service: options.stage.to_owned(),
            slot,
            loop_number: 0,
            topics: TOPICS.map(str::to_owned).to_vec(),
            with_headers: vec![topics::DEAD.to_owned()],
            resolve: resolve_from_manifest(service, options.manifest, n_manifest_partitions),
            guard: options.guard,
        },
    )?;
    let mut sink = Sink {
        service: service.clone(),
        options: options.clone(),
        member,
        n_manifest_partitions,
        open: Open::new(make()?),
        sealing: None,
        emptied: None,
        make,
    };
    let mut ready = false;
    let mut batch = Batch::default();
    loop {
        let waits_for_store = sink.sealing.as_ref().is_some_and(Sealing::waits_for_store);
        service.health.turned(options.stage, ready && !waits_for_store);
        match sink.step(&mut batch, service.stop.requested()) {
            Ok(Step::Moved(held)) => {
                ready = held;
                sink.drop_gathered()?;
            }
            Ok(Step::Gathered) => {}
            Err(error) => {
                sink.drop_gathered()?;
                match (error.class(), error) {
                    (Class::Abort, error) => {
                        tracing::warn!(stage = options.stage, %error, "transaction aborted, reading again");
                        if let Err(error) = sink.member.rewind() {
                            sink.member.rejoin(&error, &service.stop)?;
                        }
                    }
                    (Class::Rejoin, ServiceError::Kafka(error)) => {
                        sink.member.rejoin(&error, &service.stop)?
                    }
                    (Class::Exit, ServiceError::Store(error)) if service.stop.requested() => {
                        tracing::warn!(stage = options.stage, %error, "stopped while the store was away");
                        return Ok(());
                    }
                    (Class::Rejoin | Class::Exit, error) => return Err(error),
                }
            }
        }
        if service.stop.requested() && sink.open.is_empty() && sink.sealing.is_none() {
            return Ok(());
        }
    }
}

enum Step {
    /// Partitions have come, or gone: whether any are held.
    Moved(bool),
    Gathered,
}

struct Sink<B, M> {
    service: Service,
    options: SinkOptions,
    member: Member,
    n_manifest_partitions: i32,
    open: Open<B>,
    /// What was gathered before, on its way into the store.
    sealing: Option<Sealing<B>>,
    /// The builder of the bundle before that, with the buffers that it has.
    emptied: Option<B>,
    make: M,
}

impl<B: BundleBuilder + Send + 'static, M: Fn() -> Result<B, BuildError>> Sink<B, M> {
    fn step(&mut self, batch: &mut Batch, stopping: bool) -> Result<Step, ServiceError> {
        let wanted = !self.open.is_empty() && (stopping || self.is_ripe());
        if let Some(sealing) = self.sealing.take_if(|sealing| wanted || stopping || sealing.is_finished()) {
            let stored = sealing.finish()?;
            self.commit(stored)?;
        }
        if wanted {
            let builder = self.emptied.take().map_or_else(&self.make, Ok)?;
            let gathered = std::mem::replace(&mut self.open, Open::new(builder));
            self.sealing = Some(Sealing::start(&self.service, self.options.stage, gathered)?);
        }
        if stopping {
            return Ok(Step::Gathered);
        }
        let wait = if self.sealing.is_some() { WAIT_SEALING } else { WAIT };
        let left = self.open.since.map(|since| self.options.commit_interval.saturating_sub(since.elapsed()));
        match self.member.poll(batch, 20_000, 8 << 20, wait.min(left.unwrap_or(wait)), Duration::ZERO)? {
            Polled::Assigned(_) => return Ok(Step::Moved(true)),
            Polled::Revoked => return Ok(Step::Moved(false)),
            Polled::Records => {}
        }
        for record in &batch.records {
            self.open.gather(&mut self.service, &self.options, batch, record)?;
        }
        Ok(Step::Gathered)
    }

    fn is_ripe(&self) -> bool {
        self.open.since.is_some_and(|since| since.elapsed() >= self.options.commit_interval)
            || self.open.buffered() >= self.options.max_buffer_bytes / 2
    }

    /// What is not committed comes again, to whoever holds its partitions.
    fn drop_gathered(&mut self) -> Result<(), ServiceError> {
        self.sealing = None;
        self.open = Open::new((self.make)()?);
        Ok(())
    }

    fn commit(&mut self, stored: Stored<B>) -> Result<(), ServiceError> {
        let Stored { mut open, records, size } = stored;
        let deltas = open.take_deltas(self.options.stage);
        self.member.producer().begin()?;
        let mut value = Vec::new();
        foreign::send(&open.foreign, &mut self.member.producer())?;
        for record in &records {
            send_manifest(
                &mut self.member.producer(),
                &self.service,
                self.options.manifest,
                self.n_manifest_partitions,
                record,
                &mut value,
            )?;
        }
        send_deltas(&mut self.member.producer(), &self.service, &deltas, &mut value)?;
        self.member.commit(&open.next())?;
        let n_foreign = open.foreign.len();
        if n_foreign > 0 {
            tracing::error!(
                stage = self.options.stage,
                n_foreign,
                "records that no stage of ours wrote became dead letters, see reason:foreign"
            );
        }
        metrics::records(self.options.stage, "stored", open.n_records, open.bytes);
        metrics::object_put(self.options.stage, "bundle", size as u64);
        self.emptied = Some(open.builder);
        Ok(())
    }
}

/// Where a group without offsets goes on: what its manifest holds is stored already.
fn resolve_from_manifest(service: &Service, manifest: &'static str, n_partitions: i32) -> Resolve {
    let service = service.clone();
    Arc::new(move |missing| {
        let mut fold = Fold::default();
        let partitions: Vec<i32> = (0..n_partitions).collect();
        read_to_mark(&service.config.kafka, manifest, &partitions, |_, _, key, value| {
            apply(&service, &mut fold, key, value)
        })?;
        Ok(missing.iter().map(|(topic, partition)| fold.next_offset(topic, *partition)).collect())
    })
}

/// Applies a record of a manifest topic to a fold.
///
/// # Errors
/// *Exit*: it does not decode.
pub fn apply(service: &Service, fold: &mut Fold, key: &[u8], value: Option<&[u8]>) -> Result<(), Error> {
    let key = String::from_utf8_lossy(key);
    let record = match value {
        Some(value) => Some(service.codecs.manifest().decode::<ManifestRecord>(value).map_err(|error| {
            Error::Broken(format!(
                "could not read manifest record {key}: {error}; is the registry the one it was written with?"
            ))
        })?),
        None => None,
    };
    fold.apply(&key, record);
    Ok(())
}
