//! Where the installation is: a configuration file, or the data folder of a running `up`.

use std::path::{Path, PathBuf};

use anyhow::Context;
use millrace_runtime::config::Config;
use millrace_runtime::service::Service;
use millrace_runtime::stop::Stop;
use serde::{Deserialize, Serialize};

use crate::args::Place;

/// Data folder when none is named.
pub(crate) const DATA_DIR: &str = "millrace-data";

/// What `up` listens on: `DIR/addresses.json`.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Addresses {
    pub(crate) kafka: String,
    pub(crate) registry: String,
    pub(crate) query: String,
    pub(crate) gateway: String,
    pub(crate) syslog: String,
    #[serde(default)]
    pub(crate) otlp: String,
    pub(crate) ops: String,
    /// Where its objects are: a folder, or an address.
    #[serde(default)]
    pub(crate) store: String,
    pub(crate) pid: u32,
}

impl Addresses {
    pub(crate) fn path(data: &Path) -> PathBuf {
        data.join("addresses.json")
    }

    pub(crate) fn read(data: &Path) -> Option<Addresses> {
        serde_json::from_slice(&std::fs::read(Addresses::path(data)).ok()?).ok()
    }
}

/// The configuration that a tool works with. Logging goes on at warnings only: a tool's own output is the answer.
pub(crate) fn config(place: &Place) -> anyhow::Result<Config> {
    let data = place.data.clone().unwrap_or_else(|| PathBuf::from(DATA_DIR));
    let wanted = place.config.is_none() || place.data.is_some();
    let addresses = if wanted { Addresses::read(&data) } else { None };
    if place.data.is_some() && addresses.is_none() {
        let path = Addresses::path(&data);
        anyhow::bail!(
            "could not read {}: is `millrace up --data {}` running?",
            path.display(),
            data.display()
        );
    }
    let config = Config::load_with(place.config.as_deref(), std::env::vars(), |tree| {
        if wanted {
            tree.entry("data_dir").or_insert_with(|| data.display().to_string().into());
        }
        if let Some(addresses) = &addresses {
            set(tree, "kafka", "brokers", &addresses.kafka);
            set(tree, "registry", "url", &addresses.registry);
            set(tree, "query", "listen", &addresses.query);
            set(tree, "gateway", "listen", &addresses.gateway);
            if !addresses.store.is_empty() {
                set(tree, "store", "url", &addresses.store);
            }
        }
    })?;
    millrace_runtime::log::start(config.log.0, "warn");
    Ok(config)
}

/// Sets a key that nobody has set.
pub(crate) fn set(tree: &mut toml::Table, section: &str, key: &str, value: &str) {
    let table = tree.entry(section.to_owned()).or_insert_with(|| toml::Value::Table(toml::Table::new()));
    if let Some(table) = table.as_table_mut() {
        table.entry(key.to_owned()).or_insert_with(|| value.into());
    }
}

/// Connects a tool.
pub(crate) fn service(place: &Place) -> anyhow::Result<Service> {
    let config = config(place)?;
    Service::open(&config, &Stop::default()).context("could not connect")
}

/// `30m`, `1h`, `7d`.
pub(crate) fn duration(text: &str) -> anyhow::Result<std::time::Duration> {
    millrace_admin::span(text).map_err(anyhow::Error::msg)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tools_look_for_objects_where_the_platform_has_them() {
        let data = tempfile::tempdir().unwrap();
        let mut addresses = serde_json::json!({
            "kafka": "127.0.0.1:1", "registry": "http://127.0.0.1:2", "query": "127.0.0.1:3", "gateway": "127.0.0.1:4",
            "syslog": "127.0.0.1:5", "ops": "127.0.0.1:6", "store": "/mnt/objects", "pid": 7,
        });
        let place = Place { data: Some(data.path().to_owned()), config: None };
        let url = |addresses: &serde_json::Value| {
            std::fs::write(Addresses::path(data.path()), addresses.to_string()).unwrap();
            config(&place).unwrap().store.url
        };
        assert_eq!(url(&addresses), "/mnt/objects");
        // One that an earlier version wrote.
        addresses.as_object_mut().unwrap().remove("store");
        assert_eq!(url(&addresses), data.path().join("objects").display().to_string());
    }
}
