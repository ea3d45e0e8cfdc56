//! A broker and a registry for one measurement.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use millrace_kafka_local::{Broker, BrokerOptions, Jars, Registry, RegistryOptions};
use millrace_runtime::config::Config;
use millrace_runtime::kafka::admin::Admin;
use millrace_runtime::service::{Service, topic_specs};
use millrace_runtime::stop::Stop;

use super::Scratch;

/// A broker and a registry with the topics, gone afterwards.
pub(super) struct Site {
    pub(super) broker: Broker,
    registry: Registry,
    jars: Jars,
    pub(super) scratch: Scratch,
}

impl Site {
    pub(super) fn start(name: &str) -> anyhow::Result<Site> {
        let scratch = Scratch::new(name)?;
        let jars = Jars::fetch(&mut |text| eprintln!("{text}"))?;
        let broker =
            Broker::start(&jars, BrokerOptions::new(scratch.0.join("kafka"), scratch.0.join("kafka-logs")))?;
        let registry = Registry::start(
            &jars,
            RegistryOptions::new(scratch.0.join("registry"), scratch.0.join("registry-logs")),
        )?;
        let site = Site { broker, registry, jars, scratch };
        let config = site.config(Path::new("/nowhere"))?;
        Admin::open(&config.kafka)?.apply(&topic_specs(config.kafka.partitions)?)?;
        Ok(site)
    }

    /// A folder of this measurement for a service of its own.
    pub(super) fn folder(&self, name: &str) -> anyhow::Result<PathBuf> {
        let folder = self.scratch.0.join(name);
        std::fs::create_dir_all(&folder)?;
        Ok(folder)
    }

    pub(super) fn registry_url(&self) -> String {
        self.registry.url()
    }

    /// The configuration of a service here; the forwarder reads `file` to its end.
    pub(super) fn config(&self, file: &Path) -> anyhow::Result<Config> {
        let text = format!(
            "data_dir = {:?}\n[kafka]\nbrokers = {:?}\n[registry]\nurl = {:?}\n[ops]\nlisten = \"off\"\n\
             [forward]\nonce = true\n[[forward.input]]\nglobs = [{:?}]\nstream = \"web\"\n",
            self.scratch.0,
            self.broker.address(),
            self.registry_url(),
            file
        );
        let tree: toml::Table = text.parse()?;
        Ok(Config::load_with(None, std::iter::empty(), |own| own.extend(tree))?)
    }

    pub(super) fn service(&self, file: &Path) -> anyhow::Result<Service> {
        Ok(Service::open(&self.config(file)?, &Stop::default())?)
    }

    /// Runs one of Kafka's own tools.
    pub(super) fn tool(&self, class: &str, args: &[&str]) -> anyhow::Result<Output> {
        let jars = format!("{}/*", self.jars.dir().join("kafka").display());
        Ok(Command::new(self.jars.java()).args(["-cp", &jars, class]).args(args).output()?)
    }
}
