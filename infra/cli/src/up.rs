//! `millrace up`: a local Kafka and registry, and every service, in one process.

use std::path::{Path, PathBuf};
use std::thread::JoinHandle;

use anyhow::Context;
use millrace_kafka_local::{Broker, BrokerOptions, Jars, Registry, RegistryOptions, free_port};
use millrace_runtime::config::{Config, ConfigError};
use millrace_runtime::kafka::admin::Admin;
use millrace_runtime::service::{Service, ServiceError, topic_specs};
use millrace_runtime::stop::Stop;
use millrace_runtime::{log, ops};

use crate::args::{Ports, Up};
use crate::inputs;
use crate::output::{Answer, chain};
use crate::parse;
use crate::place::{Addresses, set};
use crate::seed;
use crate::services::{self, Kind};

const KAFKA_PORT: u16 = 19092;
const REGISTRY_PORT: u16 = 18081;
const QUERY_PORT: u16 = 8090;
const GATEWAY_PORT: u16 = 8080;
const SYSLOG_PORT: u16 = 5514;
const OTLP_PORT: u16 = 4317;
const OPS_PORT: u16 = 9464;

pub(crate) fn run(args: &Up) -> anyhow::Result<Answer> {
    let data = data_dir(args.data.as_deref(), args.config.as_deref())?;
    if args.check {
        let config = config(&data, args.config.as_deref(), &fixed())?;
        println!("{}", config.describe());
        return Ok(Answer::Yes);
    }
    let stop = Stop::on_signals()?;
    let mut platform =
        Platform::start(&data, args.config.as_deref(), args.ports, &stop, |text| eprintln!("{text}"))?;
    eprintln!("{}", platform.addresses_text());
    platform.wait();
    platform.finish().map(|()| Answer::Yes)
}

/// The one folder in which everything lies: `--data`, else what the configuration says. Where both name one and they are
/// not the same, half of an installation would lie in each.
fn data_dir(data: Option<&Path>, file: Option<&Path>) -> Result<PathBuf, ConfigError> {
    let mut named = false;
    let config = Config::load_with(file, std::env::vars(), |tree| named = tree.contains_key("data_dir"))?;
    let Some(data) = data else { return Ok(config.data_dir) };
    let whole = |path: &Path| path.canonicalize().or_else(|_| std::path::absolute(path)).ok();
    if !named || whole(data) == whole(&config.data_dir) {
        return Ok(data.to_owned());
    }
    let (data, own) = (data.display(), config.data_dir.display());
    Err(ConfigError {
        file: file.map_or("the environment".to_owned(), |file| file.display().to_string()),
        faults: vec![format!(
            "data_dir: is {own}, and --data is {data}: everything lies in one folder, so give one of them alone"
        )],
    })
}

fn fixed() -> Addresses {
    Addresses {
        kafka: format!("127.0.0.1:{KAFKA_PORT}"),
        registry: format!("http://127.0.0.1:{REGISTRY_PORT}/apis/ccompat/v7"),
        query: format!("127.0.0.1:{QUERY_PORT}"),
        gateway: format!("127.0.0.1:{GATEWAY_PORT}"),
        syslog: format!("127.0.0.1:{SYSLOG_PORT}"),
        otlp: format!("127.0.0.1:{OTLP_PORT}"),
        ops: format!("127.0.0.1:{OPS_PORT}"),
        store: String::new(),
        pid: std::process::id(),
    }
}

/// The configuration of `up`: the file's, and for what it leaves out the local broker, registry and folders.
fn config(data: &Path, file: Option<&Path>, addresses: &Addresses) -> anyhow::Result<Config> {
    let config = Config::load_with(file, std::env::vars(), |tree| {
        tree.entry("data_dir").or_insert_with(|| data.display().to_string().into());
        set(tree, "kafka", "brokers", &addresses.kafka);
        set(tree, "registry", "url", &addresses.registry);
        set(tree, "query", "listen", &addresses.query);
        set(tree, "query", "anonymous", "default");
        set(tree, "gateway", "listen", &addresses.gateway);
        set(tree, "gateway", "anonymous", "default");
        set(tree, "gateway", "syslog_listen", &addresses.syslog);
        set(tree, "gateway", "otlp_listen", &addresses.otlp);
        set(tree, "ops", "listen", &addresses.ops);
        let forward = tree.entry("forward").or_insert_with(|| toml::Value::Table(toml::Table::new()));
        if let Some(forward) = forward.as_table_mut().filter(|forward| !forward.contains_key("input")) {
            let glob = data.join(millrace_runtime::config::FORWARD_DEFAULT_GLOBS).display().to_string();
            let input = toml::Table::from_iter([("globs".to_owned(), toml::Value::Array(vec![glob.into()]))]);
            forward.insert("input".to_owned(), toml::Value::Array(vec![input.into()]));
        }
    })?;
    inputs::check(&config.forward, file)?;
    drop(parse::load(&config.parse, file)?);
    if let Some(seed) = &config.control_seed {
        drop(seed::read(seed)?);
    }
    Ok(config)
}

/// Everything that `up` runs.
pub(crate) struct Platform {
    /// What the services share.
    pub(crate) service: Service,
    /// What it listens on.
    pub(crate) addresses: Addresses,
    stop: Stop,
    threads: Vec<(Kind, JoinHandle<Result<(), ServiceError>>)>,
    _lock: std::fs::File,
    registry: Option<Registry>,
    broker: Option<Broker>,
}

impl Platform {
    /// Starts what the configuration does not name, applies the topics, starts the services. `say` gets a line for each
    /// step that takes time.
    pub(crate) fn start(
        data: &Path,
        file: Option<&Path>,
        ports: Ports,
        stop: &Stop,
        mut say: impl FnMut(&str),
    ) -> anyhow::Result<Platform> {
        std::fs::create_dir_all(data.join("logs"))
            .with_context(|| format!("could not make {}", data.display()))?;
        let data = data.canonicalize()?;
        let lock = lock(&data)?;
        write_admin_key(&data)?;
        let mut addresses = fixed();
        if ports == Ports::Auto {
            addresses.query = format!("127.0.0.1:{}", free_port()?);
            addresses.gateway = format!("127.0.0.1:{}", free_port()?);
            addresses.syslog = format!("127.0.0.1:{}", free_port()?);
            addresses.otlp = format!("127.0.0.1:{}", free_port()?);
            addresses.ops = format!("127.0.0.1:{}", free_port()?);
        }
        let given = config(&data, file, &addresses)?;
        log::start(given.log.0, &given.log.1);
        let own_broker = given.kafka.brokers == addresses.kafka;
        let own_registry = given.registry_url == addresses.registry;
        let (mut broker, mut registry) = (None, None);
        if own_broker || own_registry {
            crate::limits::open_files().map_err(anyhow::Error::msg)?;
            let jars = Jars::fetch(&mut say)?;
            let wanted = |port| (ports == Ports::Fixed).then_some(port);
            let starting_broker = own_broker.then(|| {
                say("starting Kafka");
                let mut options = BrokerOptions::new(data.join("kafka"), data.join("kafka-logs"));
                options.port = wanted(KAFKA_PORT);
                let jars = jars.clone();
                std::thread::spawn(move || Broker::start(&jars, options))
            });
            if own_registry {
                say("starting the schema registry");
                let mut options = RegistryOptions::new(data.join("registry"), data.join("registry-logs"));
                options.port = wanted(REGISTRY_PORT);
                let started = Registry::start(&jars, options)?;
                addresses.registry = started.url();
                registry = Some(started);
            }
            if let Some(starting) = starting_broker {
                let started = starting.join().map_err(|_| anyhow::anyhow!("starting Kafka panicked"))??;
                addresses.kafka = started.address();
                broker = Some(started);
            }
        }
        let config = config(&data, file, &addresses)?;
        addresses.kafka.clone_from(&config.kafka.brokers);
        addresses.registry.clone_from(&config.registry_url);
        addresses.query.clone_from(&config.query.listen);
        addresses.gateway.clone_from(&config.gateway.listen);
        let or_off = |address: &Option<String>| address.clone().unwrap_or_else(|| "off".to_owned());
        addresses.syslog = or_off(&config.gateway.syslog_listen);
        addresses.otlp = or_off(&config.gateway.otlp_listen);
        let admin = Admin::open(&config.kafka)?;
        admin.ping(std::time::Duration::from_secs(30))?;
        admin.apply(&topic_specs(config.kafka.partitions)?)?;
        let service = Service::open(&config, stop)?;
        if let Some(file) = &config.control_seed {
            seed::apply(&service, file)?;
        }
        for kind in Kind::ALL {
            service.health.turned(kind.name(), false);
        }
        if let Some(address) = &config.ops_listen {
            addresses.ops = ops::serve(address, service.health.clone(), stop.clone())?.to_string();
        }
        addresses.store = match &config.store.url {
            url if url.contains("://") => url.clone(),
            folder => std::path::absolute(folder)?.display().to_string(),
        };
        std::fs::write(Addresses::path(&data), serde_json::to_vec_pretty(&addresses)?)?;
        say("starting the services");
        let mut threads = Vec::new();
        for kind in Kind::ALL {
            let service = service.clone();
            let thread = std::thread::Builder::new().name(kind.name().to_owned()).spawn(move || {
                let result = services::serve(kind, &service);
                if result.is_err() {
                    service.stop.request();
                }
                result
            })?;
            threads.push((kind, thread));
        }
        Ok(Platform { service, addresses, stop: stop.clone(), threads, _lock: lock, registry, broker })
    }

    /// Addresses for people.
    pub(crate) fn addresses_text(&self) -> String {
        let Addresses { kafka, registry, query, gateway, syslog, otlp, ops, .. } = &self.addresses;
        let data = self.service.config.data_dir.display();
        let scheme = if self.service.config.gateway.tls.is_some() { "https" } else { "http" };
        format!(
            "kafka     {kafka}\nregistry  {registry}\nsearch    http://{query}/api/v1/search?q=\n\
             lines to  {scheme}://{gateway}/v1/logs/STREAM, OTLP to {otlp}, and syslog to {syslog}\nmetrics   http://{ops}/metrics\nfollowing {}\n\
             try       millrace search '' --data {data}\nstop with Ctrl-C",
            self.globs()
        )
    }

    fn globs(&self) -> String {
        let inputs = self.service.config.forward.inputs.iter();
        inputs.flat_map(|input| &input.globs).cloned().collect::<Vec<_>>().join(", ")
    }

    /// Waits until it is told to stop, or a service or child has ended.
    pub(crate) fn wait(&mut self) {
        while !self.stop.requested() {
            self.stop.sleep(std::time::Duration::from_millis(500));
            if let Some(error) = self.ended_child() {
                tracing::error!(%error, "a child process has ended, stopping");
                self.stop.request();
            }
        }
    }

    /// Why a child process ended, if one did.
    fn ended_child(&mut self) -> Option<String> {
        let broker = self.broker.as_mut().and_then(|broker| broker.check().err());
        let registry = || self.registry.as_mut().and_then(|registry| registry.check().err());
        Some(broker.or_else(registry)?.to_string())
    }

    /// Stops the services, then registry and broker.
    pub(crate) fn finish(mut self) -> anyhow::Result<()> {
        self.stop.request();
        // What services say once their broker is gone is no news.
        let mut first = self.ended_child();
        if let Some(text) = first.clone() {
            std::thread::spawn(move || {
                std::thread::sleep(millrace_runtime::stop::DEADLINE);
                eprintln!("millrace: {text}");
                std::process::exit(2); // services wait for a broker longer than that
            });
        }
        for (kind, thread) in self.threads.drain(..) {
            let ended =
                thread.join().unwrap_or_else(|_| Err(ServiceError::Other("the service panicked".to_owned())));
            if let Err(error) = ended {
                let text = format!("{}: {}", kind.name(), chain(&error.into()));
                tracing::error!("{text}");
                first.get_or_insert(text);
            }
        }
        if let Some(registry) = &mut self.registry {
            registry.stop();
        }
        if let Some(broker) = &mut self.broker {
            broker.stop();
        }
        match first {
            Some(text) => Err(anyhow::anyhow!(text)),
            None => Ok(()),
        }
    }
}

/// One `up` per data folder.
fn lock(data: &Path) -> anyhow::Result<std::fs::File> {
    let path = data.join("up.lock");
    let file = std::fs::File::options().create(true).truncate(false).write(true).open(&path)?;
    file.try_lock().map_err(|_| {
        let owner =
            Addresses::read(data).map_or(String::new(), |addresses| format!(" (process {})", addresses.pid));
        anyhow::anyhow!(
            "{} is in use by another `millrace up`{owner}; stop it, or choose another --data",
            data.display()
        )
    })?;
    Ok(file)
}

/// The first key: made once, readable by its owner only.
fn write_admin_key(data: &Path) -> anyhow::Result<()> {
    use std::io::Write;
    use std::os::unix::fs::OpenOptionsExt;
    let path = data.join("admin.key");
    let opened = std::fs::File::options().create_new(true).write(true).mode(0o600).open(&path);
    match opened {
        Ok(mut file) => {
            let key = format!("{}{}", uuid::Uuid::new_v4().simple(), uuid::Uuid::new_v4().simple());
            writeln!(file, "{key}").with_context(|| format!("could not write {}", path.display()))
        }
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => Ok(()),
        Err(error) => Err(error).with_context(|| format!("could not make {}", path.display())),
    }
}
