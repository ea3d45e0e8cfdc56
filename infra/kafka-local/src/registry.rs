//! Apicurio Registry as a child, with the Confluent-compatible API.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::archive::Archive;
use crate::child::Child;
use crate::{Error, Jars, ports, probe};

const WHAT: &str = "the schema registry";
const API: &str = "/apis/ccompat/v7";
const STOP_DEADLINE: Duration = Duration::from_secs(30);

/// How to run a registry.
#[derive(Debug, Clone)]
pub struct RegistryOptions {
    /// The database file: schemas and their ids last as long as it does.
    pub data_dir: PathBuf,
    /// `registry.log` (bounded, rolled) and `registry.out` (what the JVM prints).
    pub log_dir: PathBuf,
    /// `None` takes a free loopback port.
    pub port: Option<u16>,
    /// The JVM's largest heap.
    pub heap_mb: u32,
    /// How long the first answer may take.
    pub start_deadline: Duration,
    /// More settings, given as Java system properties; they win over the built-in ones.
    pub properties: Vec<(String, String)>,
}

impl RegistryOptions {
    /// A free port, 256 MB of heap, 60 s to start.
    pub fn new(data_dir: impl Into<PathBuf>, log_dir: impl Into<PathBuf>) -> Self {
        Self {
            data_dir: data_dir.into(),
            log_dir: log_dir.into(),
            port: None,
            heap_mb: 256,
            start_deadline: Duration::from_secs(60),
            properties: Vec::new(),
        }
    }
}

/// A schema registry that answers. Dropping it stops it.
#[derive(Debug)]
pub struct Registry {
    jars: Jars,
    options: RegistryOptions,
    port: u16,
    child: Child,
}

impl Registry {
    /// Starts the registry and returns when it has listed its subjects.
    ///
    /// # Errors
    /// When the port is taken, the child exits, or the deadline passes.
    pub fn start(jars: &Jars, mut options: RegistryOptions) -> Result<Self, Error> {
        for dir in [&mut options.data_dir, &mut options.log_dir] {
            *dir = std::path::absolute(&*dir).map_err(Error::io("resolve", dir))?;
            fs::create_dir_all(&*dir).map_err(Error::io("create", dir))?;
        }
        let port = match options.port {
            Some(port) => port,
            None => ports::free_port()?,
        };
        let child = launch(jars, &options, port)?;
        Ok(Self { jars: jars.clone(), options, port, child })
    }

    /// The base of the Confluent-compatible API, without a slash at the end.
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}{API}", self.port)
    }

    /// The port it listens on.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The JVM's process id; that of the last one when it has ended.
    pub fn pid(&self) -> u32 {
        self.child.pid()
    }

    /// The registry's own log file.
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

    /// Lets it shut down in order, kills it when that takes more than 30 s. Does nothing when it has ended.
    pub fn stop(&mut self) {
        self.child.stop(STOP_DEADLINE);
    }

    /// SIGKILL, as a crash would.
    pub fn kill(&mut self) {
        self.child.kill();
    }

    /// Starts it again on the same folder and port; stops it first if it runs.
    ///
    /// # Errors
    /// As for [`Registry::start`].
    pub fn restart(&mut self) -> Result<(), Error> {
        self.stop();
        self.child = launch(&self.jars, &self.options, self.port)?;
        Ok(())
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        self.stop();
    }
}

fn launch(jars: &Jars, options: &RegistryOptions, port: u16) -> Result<Child, Error> {
    ports::check(WHAT, port)?;
    let log = log_path(&options.log_dir);
    let mut command = jars.command(options.heap_mb, &options.log_dir)?;
    // A handful of requests per process start: the quick compiler is the better one here (3 s instead of 8).
    command.args(["-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC"]);
    let archive = Archive::Registry.read_or_write(jars, &mut command);
    for (key, value) in settings(options, port, &log) {
        command.arg(format!("-D{key}={value}"));
    }
    command.arg("-jar").arg(jars.registry_jar()?);
    let mut child = Child::start(WHAT, command, &log, &options.log_dir.join("registry.out"), archive)?;
    let address = format!("http://127.0.0.1:{port}{API}/subjects");
    child.wait_ready(&address, options.start_deadline, || probe::http(port, &format!("{API}/subjects")))?;
    Ok(child)
}

fn settings(options: &RegistryOptions, port: u16, log: &Path) -> Vec<(String, String)> {
    let database = options.data_dir.join("registry");
    let built_in = [
        ("quarkus.http.host", "127.0.0.1".to_owned()),
        ("quarkus.http.port", port.to_string()),
        // Without the last part the database writes up to half a second after it has answered, and a kill in between
        // would give an id that is already in records to another schema.
        ("quarkus.datasource.jdbc.url", format!("jdbc:h2:file:{};WRITE_DELAY=0", database.display())),
        ("quarkus.log.console.enable", "false".to_owned()),
        ("quarkus.banner.enabled", "false".to_owned()),
        ("quarkus.log.file.enable", "true".to_owned()),
        ("quarkus.log.file.path", log.display().to_string()),
        ("quarkus.log.file.rotation.max-file-size", "16M".to_owned()),
        ("quarkus.log.file.rotation.max-backup-index", "3".to_owned()),
    ];
    let built_in = built_in.into_iter().map(|(key, value)| (key.to_owned(), value));
    built_in.chain(options.properties.iter().cloned()).collect()
}

fn log_path(log_dir: &Path) -> PathBuf {
    log_dir.join("registry.log")
}
