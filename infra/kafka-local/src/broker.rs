//! Kafka as a child: one KRaft node that is broker and controller.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::archive::Archive;
use crate::child::Child;
use crate::storage::Storage;
use crate::{Error, Jars, ports, probe};

const WHAT: &str = "kafka";
/// Flushing and closing a few hundred partitions takes seconds at worst.
const STOP_DEADLINE: Duration = Duration::from_secs(30);

/// Settings that do not depend on the start. The first group is what services rely on, the second keeps one small
/// node small: Kafka's own defaults are for three machines with many gigabytes.
pub const SETTINGS: &[(&str, &str)] = &[
    ("process.roles", "broker,controller"),
    ("node.id", "1"),
    ("listener.security.protocol.map", "CLIENT:PLAINTEXT,INTERNAL:PLAINTEXT,CONTROLLER:PLAINTEXT"),
    ("inter.broker.listener.name", "INTERNAL"),
    ("controller.listener.names", "CONTROLLER"),
    ("auto.create.topics.enable", "false"),
    ("group.initial.rebalance.delay.ms", "0"),
    ("transaction.abort.timed.out.transaction.cleanup.interval.ms", "1000"),
    ("offsets.retention.minutes", "2147483647"),
    ("offsets.topic.replication.factor", "1"),
    ("transaction.state.log.replication.factor", "1"),
    ("transaction.state.log.min.isr", "1"),
    ("share.coordinator.state.topic.replication.factor", "1"),
    ("share.coordinator.state.topic.min.isr", "1"),
    ("min.insync.replicas", "1"),
    ("offsets.topic.num.partitions", "8"),
    ("transaction.state.log.num.partitions", "8"),
    ("share.coordinator.state.topic.num.partitions", "4"),
    ("log.cleaner.threads", "1"),
    // Allocated at start; 16 MiB hold 600,000 keys a pass.
    ("log.cleaner.dedupe.buffer.size", "16777216"),
];

/// How to run a broker.
#[derive(Debug, Clone)]
pub struct BrokerOptions {
    /// Settings, records and the controller's port. Formatted when it is new, used again when it is not.
    pub data_dir: PathBuf,
    /// `kafka.log` (bounded, rolled) and `kafka.out` (what the JVM prints).
    pub log_dir: PathBuf,
    /// Where clients connect; `None` takes a free loopback port.
    pub port: Option<u16>,
    /// What the broker tells clients to connect to, when that is not `port`: a proxy in between, say.
    pub advertised_port: Option<u16>,
    /// The JVM's largest heap.
    pub heap_mb: u32,
    /// How long the first answer may take.
    pub start_deadline: Duration,
    /// More settings of `server.properties`; they win over the built-in ones.
    pub properties: Vec<(String, String)>,
    /// More flags of the JVM; they win over the built-in ones.
    pub java_flags: Vec<String>,
}

impl BrokerOptions {
    /// A free port, 512 MB of heap, 60 s to start.
    pub fn new(data_dir: impl Into<PathBuf>, log_dir: impl Into<PathBuf>) -> Self {
        Self {
            data_dir: data_dir.into(),
            log_dir: log_dir.into(),
            port: None,
            advertised_port: None,
            heap_mb: 512,
            start_deadline: Duration::from_secs(60),
            properties: Vec::new(),
            java_flags: Vec::new(),
        }
    }
}

/// A Kafka that answers. Dropping it stops it.
#[derive(Debug)]
pub struct Broker {
    jars: Jars,
    options: BrokerOptions,
    storage: Storage,
    ports: Ports,
    child: Child,
    cluster_id: String,
}

/// The three listeners. The broker talks to itself on `internal`, so that transaction markers do not pass through a
/// proxy that stands between the clients and `client`.
#[derive(Debug, Clone, Copy)]
struct Ports {
    client: u16,
    advertised: u16,
    internal: u16,
    controller: u16,
}

impl Broker {
    /// Starts Kafka and returns when it has answered ApiVersions and Metadata.
    ///
    /// # Errors
    /// When a port is taken, storage cannot be formatted, the child exits, or the deadline passes.
    pub fn start(jars: &Jars, mut options: BrokerOptions) -> Result<Self, Error> {
        options.log_dir =
            std::path::absolute(&options.log_dir).map_err(Error::io("resolve", &options.log_dir))?;
        fs::create_dir_all(&options.log_dir).map_err(Error::io("create", &options.log_dir))?;
        let storage = Storage::open(&options.data_dir)?;
        let client = match options.port {
            Some(port) => port,
            None => ports::free_port()?,
        };
        let ports = Ports {
            client,
            advertised: options.advertised_port.unwrap_or(client),
            internal: ports::free_port()?,
            controller: storage.controller_port()?,
        };
        let (child, cluster_id) = launch(jars, &options, &storage, ports)?;
        Ok(Self { jars: jars.clone(), options, storage, ports, child, cluster_id })
    }

    /// Where clients connect, as `127.0.0.1:port`: the advertised port.
    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.ports.advertised)
    }

    /// Where the broker listens for clients; a proxy on the advertised port forwards to it.
    pub fn listen_address(&self) -> String {
        format!("127.0.0.1:{}", self.ports.client)
    }

    /// A second listener that advertises itself: a client that starts here never meets the proxy.
    pub fn direct_address(&self) -> String {
        format!("127.0.0.1:{}", self.ports.internal)
    }

    /// The cluster's id, which lasts as long as the data folder.
    pub fn cluster_id(&self) -> &str {
        &self.cluster_id
    }

    /// The JVM's process id; that of the last one when it has ended.
    pub fn pid(&self) -> u32 {
        self.child.pid()
    }

    /// Kafka's own log file.
    pub fn log_path(&self) -> PathBuf {
        log_path(&self.options.log_dir)
    }

    /// Says whether the child still runs.
    ///
    /// # Errors
    /// With status and last log lines, when it has ended.
    pub fn check(&mut self) -> Result<(), Error> {
        self.child.check()
    }

    /// Lets Kafka shut down in order, kills it when that takes more than 30 s. Does nothing when it has ended.
    pub fn stop(&mut self) {
        self.child.stop(STOP_DEADLINE);
    }

    /// SIGKILL, as a crash would.
    pub fn kill(&mut self) {
        self.child.kill();
    }

    /// Starts it again on the same folder and ports; stops it first if it runs.
    ///
    /// # Errors
    /// As for [`Broker::start`].
    pub fn restart(&mut self) -> Result<(), Error> {
        self.stop();
        let (child, cluster_id) = launch(&self.jars, &self.options, &self.storage, self.ports)?;
        self.child = child;
        self.cluster_id = cluster_id;
        Ok(())
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        self.stop();
    }
}

fn launch(
    jars: &Jars,
    options: &BrokerOptions,
    storage: &Storage,
    ports: Ports,
) -> Result<(Child, String), Error> {
    for port in [ports.client, ports.internal, ports.controller] {
        ports::check(WHAT, port)?;
    }
    let settings = settings(options, storage, ports);
    storage.format(jars, &settings)?;
    storage.write_settings(&settings)?;

    let log = log_path(&options.log_dir);
    let mut command = jars.command(options.heap_mb, &options.log_dir)?;
    // Against the serial collector, on two busy cores: the same start and CPU, 3 to 20 % more records/s, 100 MB more.
    command.arg("-XX:+UseG1GC").args(&options.java_flags);
    let archive = Archive::Kafka.read_or_write(jars, &mut command);
    command
        .arg(format!("-Dmillrace.log={}", log.display()))
        .arg(format!("-Dlog4j2.configurationFile={}", storage.log4j().display()))
        .arg("kafka.Kafka")
        .arg(storage.settings())
        .env("CLASSPATH", jars.kafka_class_path()?);
    let mut child = Child::start(WHAT, command, &log, &options.log_dir.join("kafka.out"), archive)?;
    let address = format!("127.0.0.1:{}", ports.client);
    let ready = child.wait_ready(&address, options.start_deadline, || probe::kafka(ports.client));
    ready.map(|cluster_id| (child, cluster_id))
}

fn settings(options: &BrokerOptions, storage: &Storage, ports: Ports) -> Vec<(String, String)> {
    let Ports { client, advertised, internal, controller } = ports;
    let of_this_start = [
        ("log.dirs", storage.records().display().to_string()),
        ("controller.quorum.bootstrap.servers", format!("127.0.0.1:{controller}")),
        (
            "listeners",
            format!(
                "CLIENT://127.0.0.1:{client},INTERNAL://127.0.0.1:{internal},CONTROLLER://127.0.0.1:{controller}"
            ),
        ),
        ("advertised.listeners", format!("CLIENT://127.0.0.1:{advertised},INTERNAL://127.0.0.1:{internal}")),
    ];
    let fixed = SETTINGS.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned()));
    let of_this_start = of_this_start.into_iter().map(|(key, value)| (key.to_owned(), value));
    // Java keeps the last of equal keys.
    fixed.chain(of_this_start).chain(options.properties.iter().cloned()).collect()
}

fn log_path(log_dir: &Path) -> PathBuf {
    log_dir.join("kafka.log")
}
