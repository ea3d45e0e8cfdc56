//! What every service needs to start: checked topics, codecs, store, health.

use std::sync::LazyLock;

use millrace_schemas::topics::{self, TopicSpec};

use crate::config::Config;
use crate::kafka::admin::Admin;
use crate::kafka::slot::{Slot, SlotError};
use crate::kafka::{self, Class};
use crate::ops::{Health, OpsError};
use crate::registry::{Codecs, Registry, RegistryError};
use crate::stop::Stop;
use crate::store::{Store, StoreError};

/// The topics as shipped: `infra/topics.toml`.
pub const TOPICS_TOML: &str = include_str!("../../topics.toml");

/// Why a service ended or did not start: one clear line each.
#[derive(Debug, thiserror::Error)]
pub enum ServiceError {
    /// Kafka.
    #[error(transparent)]
    Kafka(#[from] kafka::Error),
    /// Registry.
    #[error(transparent)]
    Registry(#[from] RegistryError),
    /// Store.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Slot.
    #[error(transparent)]
    Slot(#[from] SlotError),
    /// Metrics server.
    #[error(transparent)]
    Ops(#[from] OpsError),
    /// A bundle could not be built or a part not be merged.
    #[error(transparent)]
    Build(#[from] crate::sink::BuildError),
    /// Encoding, or a schema.
    #[error(transparent)]
    Codec(#[from] millrace_schemas::CodecError),
    /// Topics are missing or differ.
    #[error("{}\nrun `millrace topics apply --config FILE` to mend what can be mended", .0.join("\n"))]
    Topics(Vec<String>),
    /// A part of the process of its own kind of error.
    #[error("{0}")]
    Other(String),
}

impl ServiceError {
    /// What a loop does next: only Kafka's errors can be anything but the end.
    pub fn class(&self) -> Class {
        match self {
            ServiceError::Kafka(error) => error.class(),
            ServiceError::Registry(_)
            | ServiceError::Store(_)
            | ServiceError::Slot(_)
            | ServiceError::Ops(_)
            | ServiceError::Build(_)
            | ServiceError::Codec(_)
            | ServiceError::Topics(_)
            | ServiceError::Other(_) => Class::Exit,
        }
    }
}

/// Everything that the loops of a process share.
#[derive(Clone)]
pub struct Service {
    /// Checked configuration.
    pub config: Config,
    /// Codecs by registry id.
    pub codecs: Codecs,
    /// The registry, for ids of newer builds.
    pub registry: Registry,
    /// The object store.
    pub store: Store,
    /// Told to stop?
    pub stop: Stop,
    /// Live? Ready?
    pub health: Health,
}

/// What `infra/topics.toml` wants, with the installation's own number of `partitions` where topics scale.
///
/// # Errors
/// It does not parse; a bug, since it is part of the build.
pub fn topic_specs(partitions: Option<i32>) -> Result<Vec<TopicSpec>, ServiceError> {
    // Asked for in every transaction of a sink.
    static SHIPPED: LazyLock<Result<Vec<TopicSpec>, String>> = LazyLock::new(|| topics::parse(TOPICS_TOML));
    let specs =
        SHIPPED.as_ref().map_err(|error| ServiceError::Other(format!("infra/topics.toml: {error}")))?;
    Ok(specs.iter().map(|spec| spec.clone().scaled(partitions)).collect())
}

impl Service {
    /// Connects: registers the schemas, compares the topics, opens the store. Waits for a registry or broker that is away.
    ///
    /// # Errors
    /// All of class *Exit*.
    pub fn open(config: &Config, stop: &Stop) -> Result<Service, ServiceError> {
        let admin = Admin::open(&config.kafka)?;
        wait_for_broker(&admin, stop)?;
        let differences = admin.check(&topic_specs(config.kafka.partitions)?)?;
        if !differences.is_empty() {
            return Err(ServiceError::Topics(differences.iter().map(ToString::to_string).collect()));
        }
        let registry = Registry::new(&config.registry_url, std::time::Duration::from_secs(60));
        Ok(Service {
            config: config.clone(),
            codecs: registry.register()?,
            registry,
            store: Store::open(&config.store)?,
            stop: stop.clone(),
            health: Health::default(),
        })
    }

    /// Takes a slot of `service`.
    ///
    /// # Errors
    /// All slots are held.
    pub fn slot(&self, service: &str) -> Result<Slot, ServiceError> {
        Ok(Slot::take(&self.config.data_dir, service, self.config.instance)?)
    }
}

fn wait_for_broker(admin: &Admin, stop: &Stop) -> Result<(), ServiceError> {
    let start = std::time::Instant::now();
    loop {
        match admin.ping(std::time::Duration::from_secs(5)) {
            Ok(_) => return Ok(()),
            Err(error) if stop.requested() || start.elapsed().as_secs() > 60 => return Err(error.into()),
            Err(error) => tracing::warn!(%error, "waiting for the broker"),
        }
    }
}
