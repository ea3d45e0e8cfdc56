//! An installation of a test's own: cluster, configuration, processes, folders.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Output;
use std::time::Duration;

use millrace_kafka_local::{BrokerOptions, free_port};
use toml::{Table, Value};

use super::cluster::Cluster;
use super::log::Log;
use super::process::run;
use super::proxy::Proxy;
use super::{Service, scratch, until};

/// Everything that is stopped, and on failure shown, when the test ends.
pub(crate) struct World {
    pub(crate) dir: PathBuf,
    pub(crate) prefix: String,
    pub(crate) query_port: u16,
    pub(crate) services: Vec<Service>,
    /// Where the objects are.
    pub(crate) objects: PathBuf,
    /// Nothing is deleted from `logs.raw` in this test.
    pub(crate) raw_is_kept: bool,
    settings: Table,
    // Last: outlives the services.
    pub(crate) cluster: Cluster,
}

impl World {
    /// A cluster from whichever provider there is.
    pub(crate) fn new(test: &str) -> World {
        let dir = scratch::folder(test);
        World::on(test, dir, Cluster::start())
    }

    /// A broker of our own, that can be killed.
    pub(crate) fn with_own_broker(test: &str) -> World {
        let dir = scratch::folder(test);
        let cluster = Cluster::start_own(&dir, |_| {});
        World::on(test, dir, cluster)
    }

    /// A broker of our own whose clients come through a proxy.
    pub(crate) fn behind_proxy(test: &str) -> (World, Proxy) {
        let dir = scratch::folder(test);
        let proxy = Proxy::listen();
        let mut cluster = Cluster::start_own(&dir, |options| options.advertised_port = Some(proxy.port()));
        proxy.lead_to(&cluster.broker().listen_address());
        (World::on(test, dir, cluster), proxy)
    }

    /// A broker of our own with other settings.
    pub(crate) fn with_broker(test: &str, change: impl FnOnce(&mut BrokerOptions)) -> World {
        let dir = scratch::folder(test);
        let cluster = Cluster::start_own(&dir, change);
        World::on(test, dir, cluster)
    }

    fn on(test: &str, dir: PathBuf, cluster: Cluster) -> World {
        let query_port = free_port().unwrap();
        let prefix = format!("{test}-{}", std::process::id());
        fs::create_dir_all(dir.join("log")).unwrap();
        let text = format!(
            "data_dir = \"{dir}/data\"\n\
             [kafka]\nbrokers = \"{}\"\nprefix = \"{prefix}\"\n\
             [registry]\nurl = \"{}\"\n\
             [store]\nurl = \"{dir}/objects\"\ndeadline_seconds = 5\n\
             [log]\nlevel = \"info\"\n\
             [index]\ncommit_interval_ms = 500\ndelete_after_seconds = 5\n\
             [archive]\ncommit_interval_ms = 1000\ndelete_after_seconds = 5\n\
             [query]\nlisten = \"127.0.0.1:{query_port}\"\nanonymous = \"default\"\n",
            cluster.brokers,
            cluster.registry,
            dir = dir.display(),
        );
        let settings = text.parse().unwrap();
        let objects = dir.join("objects");
        let world = World {
            dir,
            prefix,
            query_port,
            services: Vec::new(),
            objects,
            raw_is_kept: true,
            settings,
            cluster,
        };
        world.write_config();
        world
    }

    /// Sets `section.key`; processes see it from their next start on.
    pub(crate) fn set(&mut self, section: &str, key: &str, value: impl Into<Value>) {
        let table = self.settings.entry(section).or_insert_with(|| Value::Table(Table::new()));
        table.as_table_mut().unwrap().insert(key.to_owned(), value.into());
        self.write_config();
    }

    /// Puts the objects elsewhere.
    pub(crate) fn set_store(&mut self, folder: &Path) {
        self.objects = folder.to_owned();
        self.set("store", "url", folder.display().to_string());
    }

    /// The configuration of everything but forwarders.
    pub(crate) fn config(&self) -> PathBuf {
        self.dir.join("millrace.toml")
    }

    fn write_config(&self) {
        fs::write(self.config(), toml::to_string(&self.settings).unwrap()).unwrap();
    }

    /// Runs a command of the binary with this world's configuration.
    pub(crate) fn cli(&self, args: &[&str]) -> Output {
        let config = self.config();
        let mut all = args.to_vec();
        all.extend(["--config", config.to_str().unwrap()]);
        run(&all, &[])
    }

    /// Runs a command that must succeed; gives what it printed.
    pub(crate) fn cli_ok(&self, args: &[&str]) -> Vec<u8> {
        let output = self.cli(args);
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "millrace {} ended with {}:\n{said}", args.join(" "), output.status);
        output.stdout
    }

    /// Makes the topics.
    pub(crate) fn apply_topics(&self) {
        self.cli_ok(&["topics", "apply"]);
        until("the topics are there", Duration::from_secs(20), || {
            let output = self.cli(&["topics", "check"]);
            if output.status.success() {
                Ok(())
            } else {
                Err(String::from_utf8_lossy(&output.stdout).into_owned())
            }
        });
    }

    /// Starts instance `number` of `parse`, `index`, `archive` or `query`.
    pub(crate) fn start(&mut self, service: &str, number: u32) -> &mut Service {
        let name = format!("{service}-{number}");
        let (config, number) = (self.config(), number.to_string());
        let mut args = if service == "parse" { vec!["job", "parse"] } else { vec![service] };
        args.extend(["--config", config.to_str().unwrap()]);
        if service != "query" {
            args.extend(["--instance", &number]);
        }
        self.launch(&name, &args)
    }

    /// Starts one of each but forwarders.
    pub(crate) fn start_all(&mut self) {
        for service in ["parse", "index", "archive", "query"] {
            self.start(service, 0);
        }
    }

    /// Starts a forwarder with a host name, data folder and log folder of its own; gives the latter.
    pub(crate) fn forward(&mut self, host: &str) -> PathBuf {
        self.forward_with(host, |_| {})
    }

    /// The same, with a change to its section of the configuration.
    pub(crate) fn forward_with(&mut self, host: &str, change: impl FnOnce(&mut Table)) -> PathBuf {
        let logs = self.dir.join("logs").join(host);
        fs::create_dir_all(&logs).unwrap();
        let mut own = self.settings.clone();
        own.insert("data_dir".to_owned(), self.dir.join(format!("data-{host}")).display().to_string().into());
        let mut input = Table::new();
        input.insert("globs".to_owned(), vec![format!("{}/*.log", logs.display())].into());
        input.insert("stream".to_owned(), "web".into());
        let mut section = Table::new();
        section.insert("host".to_owned(), host.into());
        section.insert("input".to_owned(), vec![Value::Table(input)].into());
        change(&mut section);
        own.insert("forward".to_owned(), section.into());
        let config = self.dir.join(format!("forward-{host}.toml"));
        fs::write(&config, toml::to_string(&own).unwrap()).unwrap();
        self.launch(&format!("forward-{host}"), &["forward", "--config", config.to_str().unwrap()]);
        logs
    }

    /// Starts `service` as `name`, with a configuration that has nothing of this world's.
    pub(crate) fn start_alone(&mut self, name: &str, service: &str, config: &Table) -> &mut Service {
        let path = self.dir.join(format!("{name}.toml"));
        fs::write(&path, toml::to_string(config).unwrap()).unwrap();
        self.launch(name, &[service, "--config", path.to_str().unwrap()])
    }

    fn launch(&mut self, name: &str, args: &[&str]) -> &mut Service {
        if !self.services.iter().any(|own| own.name == name) {
            self.services.push(Service::new(name, args, &self.dir.join("log")));
        }
        let service = self.service(name);
        service.start();
        service
    }

    /// A service by name: `parse-0`, `forward-web1`.
    pub(crate) fn service(&mut self, name: &str) -> &mut Service {
        self.services
            .iter_mut()
            .find(|own| own.name == name)
            .unwrap_or_else(|| panic!("{name} was never started"))
    }

    /// Panics if a service ended by itself.
    pub(crate) fn check(&mut self) {
        self.services.iter_mut().for_each(Service::check);
    }

    /// Waits until each of `services` has committed some transactions.
    pub(crate) fn wait_committed(&mut self, services: &[&str]) {
        for service in services {
            until(&format!("{service} commits"), Duration::from_secs(60), || {
                self.check();
                let n = self.service(service).metric("millrace_transactions_total", "committed");
                if n > 2.0 { Ok(()) } else { Err(format!("{n} transactions")) }
            });
        }
    }

    /// Reads the topics, past any proxy.
    pub(crate) fn log(&self) -> Log {
        Log::open(&self.cluster.direct(), &self.cluster.registry)
    }

    /// Stops every service in order; each must end with exit code 0.
    pub(crate) fn stop(&mut self) {
        self.services.iter_mut().for_each(Service::stop);
    }
}

impl Drop for World {
    fn drop(&mut self) {
        self.services.iter_mut().for_each(Service::kill);
        if !std::thread::panicking() {
            drop(fs::remove_dir_all(&self.dir));
            return;
        }
        scratch::keep();
        println!("\nfolders of this test are kept: {}", self.dir.display());
        for service in &self.services {
            println!("{}\n", service.tail(15));
        }
    }
}

/// All files below `dir`.
pub(crate) fn files_below(dir: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            found.extend(files_below(&entry.path()));
        } else {
            found.push(entry.path());
        }
    }
    found
}
