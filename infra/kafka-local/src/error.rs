//! What can go wrong with the local children, each with what to do about it.

use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitStatus;

/// Why jars, broker or registry are not there.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A program that is needed is nowhere in the search path.
    #[error(
        "could not {purpose}: found no program `{program}` in {searched}; install it ({install}), or give the address \
         of a running broker and registry instead"
    )]
    MissingProgram {
        /// Its name.
        program: &'static str,
        /// What it was wanted for.
        purpose: &'static str,
        /// Where it was looked for.
        searched: String,
        /// How to get it.
        install: &'static str,
    },
    /// The Java that was found cannot run Kafka.
    #[error("could not use {} for kafka: it says `{found}`, but kafka needs java 17 or later; install it ({install}) or let JAVA_HOME name it", java.display())]
    UnfitJava {
        /// The program that was asked.
        java: PathBuf,
        /// The first line it answered.
        found: String,
        /// How to get one that fits.
        install: &'static str,
    },
    /// No folder to keep the jars in.
    #[error(
        "could not choose a cache folder: none of MILLRACE_CACHE, XDG_CACHE_HOME and HOME is set; set MILLRACE_CACHE"
    )]
    NoCacheFolder,
    /// Maven ran and failed.
    #[error(
        "could not fetch the jars of kafka and the registry: `{command}` ended with {status}; check the network and \
         maven's settings (a proxy or mirror belongs into ~/.m2/settings.xml); its last lines:\n{tail}"
    )]
    Fetch {
        /// The command line.
        command: String,
        /// How it ended.
        status: ExitStatus,
        /// The last lines of its output.
        tail: String,
    },
    /// A file operation failed.
    #[error("could not {action} {}", path.display())]
    Io {
        /// A verb.
        action: &'static str,
        /// On what.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Someone else listens where a child should.
    #[error(
        "could not start {what} on 127.0.0.1:{port}: the port is in use by {owner}; stop that process or choose another port"
    )]
    PortInUse {
        /// Kafka or the registry.
        what: &'static str,
        /// The port.
        port: u16,
        /// As far as /proc tells.
        owner: String,
    },
    /// The port cannot be listened on for another reason.
    #[error("could not listen on 127.0.0.1:{port} for {what}; choose another port")]
    Port {
        /// Kafka or the registry.
        what: &'static str,
        /// The port.
        port: u16,
        /// Why.
        source: io::Error,
    },
    /// The child ended by itself.
    #[error("{what} (process {pid}) ended with {status} by itself; its log is {}, the last lines:\n{tail}", log.display())]
    Exited {
        /// Kafka or the registry.
        what: &'static str,
        /// The process id it had.
        pid: u32,
        /// How it ended.
        status: ExitStatus,
        /// The whole log.
        log: PathBuf,
        /// Its end.
        tail: String,
    },
    /// The child runs but does not answer.
    #[error(
        "{what} did not answer on {address} within {seconds} s ({last}) and was stopped; its log is {}, the last lines:\n{tail}",
        log.display()
    )]
    NotReady {
        /// Kafka or the registry.
        what: &'static str,
        /// Where it was asked.
        address: String,
        /// How long it was waited for.
        seconds: u64,
        /// What the last attempt gave.
        last: String,
        /// The whole log.
        log: PathBuf,
        /// Its end.
        tail: String,
    },
    /// The storage tool refused.
    #[error("could not format kafka's storage in {}: the storage tool ended with {status}; it said:\n{tail}", dir.display())]
    Format {
        /// The folder.
        dir: PathBuf,
        /// How the tool ended.
        status: ExitStatus,
        /// The end of its output.
        tail: String,
    },
}

impl Error {
    /// For `map_err` around a file operation.
    pub(crate) fn io(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Io { action, path, source }
    }
}
