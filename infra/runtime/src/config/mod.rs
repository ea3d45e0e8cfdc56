//! Configuration: one TOML file, environment overrides, all faults reported at once.

mod check;
mod gateway;
mod inputs;
mod raw;
mod relay;
mod upstream;

use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::kafka::Kafka;
use crate::log::Format;
use crate::store::StoreOptions;

pub use gateway::{GatewayConfig, TlsConfig};
pub use inputs::{InputConfig, MultilineConfig, StartConfig};
pub use raw::FORWARD_DEFAULT_GLOBS;
pub use upstream::{Secret, UpstreamConfig};

/// What is wrong with a configuration: every fault with its path.
#[derive(Debug, thiserror::Error)]
#[error("{file}: {}", faults.join("\n  "))]
pub struct ConfigError {
    /// File, or `defaults`.
    pub file: String,
    /// `path: what is wrong and what is allowed`.
    pub faults: Vec<String>,
}

/// Checked configuration of every part; a process uses the sections it needs.
#[derive(Debug, Clone)]
pub struct Config {
    /// Folder of slots, ids, caches and, for `up`, of everything.
    pub data_dir: PathBuf,
    /// Slot to take, else the first free one.
    pub instance: Option<u32>,
    /// Kafka.
    pub kafka: Kafka,
    /// Bytes that topics may take before producers wait, in MiB by topic; the others have those of `infra/topics.toml`.
    pub bound_mib: Vec<(String, i64)>,
    /// Registry's address.
    pub registry_url: String,
    /// The seed that `up` applies.
    pub control_seed: Option<PathBuf>,
    /// Object store.
    pub store: StoreOptions,
    /// Log format and level.
    pub log: (Format, String),
    /// Address of `/metrics`, `/live`, `/ready`; `None` turns them off.
    pub ops_listen: Option<String>,
    /// The forwarder.
    pub forward: ForwardConfig,
    /// The gateway that takes what this process has, where it is not Kafka that does.
    pub upstream: UpstreamConfig,
    /// The parse job.
    pub parse: ParseConfig,
    /// The indexer.
    pub index: SinkConfig,
    /// The archiver.
    pub archive: SinkConfig,
    /// Ledger deltas of this age are folded into cells.
    pub ledger_fold_after: Duration,
    /// The query server.
    pub query: QueryConfig,
    /// The gateway.
    pub gateway: GatewayConfig,
}

/// The forwarder.
#[derive(Debug, Clone)]
pub struct ForwardConfig {
    /// Host name that lines carry.
    pub host: String,
    /// What to follow.
    pub inputs: Vec<InputConfig>,
    /// A line without newline is sent after this time.
    pub partial_line_timeout: Duration,
    /// Longer lines travel in pieces.
    pub max_line_bytes: usize,
    /// Read to the end and stop.
    pub once: bool,
    /// Where lines go.
    pub output: Output,
}

/// Where lines go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Output {
    /// Kafka.
    Kafka,
    /// A gateway, see [`UpstreamConfig`].
    Http,
}

/// The parse job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ParseConfig {
    /// Format of streams that are not named.
    pub default_format: String,
    /// Format by stream.
    pub streams: Vec<(String, String)>,
    /// Files of sources: steps for the streams that they name.
    pub sources: Vec<std::path::PathBuf>,
    /// How long a line with an identity is remembered, by the append time of `logs.raw`.
    pub dedup_window: Duration,
    /// Bytes of a partition for that.
    pub dedup_bytes: usize,
    /// Loops in this process.
    pub loops: u32,
}

/// A sink.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SinkConfig {
    /// A bundle is committed at least this often when there is data.
    pub commit_interval: Duration,
    /// And when what is gathered takes half of this; the other half is for what is being stored.
    pub max_buffer_bytes: usize,
    /// Replaced objects are deleted this long after: the longest query's lifetime.
    pub delete_after: Duration,
}

/// The query server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QueryConfig {
    /// Address.
    pub listen: String,
    /// Tenant of requests without a key.
    pub anonymous: Option<String>,
    /// Allows `anonymous` on an address that others can reach.
    pub insecure: bool,
    /// Bytes of downloaded splits to keep.
    pub cache_bytes: u64,
}

impl Config {
    /// Reads `file` (or only defaults), applies `MILLRACE__SECTION__KEY` variables, checks.
    ///
    /// # Errors
    /// All faults at once.
    pub fn load(file: Option<&Path>) -> Result<Config, ConfigError> {
        Config::load_with(file, std::env::vars(), |_| {})
    }

    /// Same, with the environment given and a last change to the TOML tree (what `up` fills in).
    ///
    /// # Errors
    /// All faults at once.
    pub fn load_with(
        file: Option<&Path>,
        env: impl Iterator<Item = (String, String)>,
        change: impl FnOnce(&mut toml::Table),
    ) -> Result<Config, ConfigError> {
        let name = file.map_or("defaults".to_owned(), |file| file.display().to_string());
        let fail = |fault: String| ConfigError { file: name.clone(), faults: vec![fault] };
        let mut tree = match file {
            Some(file) => {
                let text = std::fs::read_to_string(file)
                    .map_err(|error| fail(format!("could not read the file: {error}; check --config")))?;
                text.parse::<toml::Table>().map_err(|error| fail(error.to_string()))?
            }
            None => toml::Table::new(),
        };
        raw::apply_env(&mut tree, env).map_err(&fail)?;
        change(&mut tree);
        let raw = raw::read(tree).map_err(|faults| ConfigError { file: name.clone(), faults })?;
        check::check(raw).map_err(|faults| ConfigError { file: name, faults })
    }

    /// The effective configuration for people, secrets redacted.
    pub fn describe(&self) -> String {
        let mut shown = self.clone();
        for (key, value) in shown.kafka.client.iter_mut().chain(&mut shown.store.options) {
            if ["password", "secret", "token", "key"].iter().any(|word| key.contains(word)) {
                *value = "***".to_owned();
            }
        }
        format!("{shown:#?}")
    }
}
