//! Class archives (class data sharing): the JVM maps the classes of an earlier run instead of loading them again.
//!
//! Made once per Java and pom by a run of each child on a throw-away folder. Starts then take about half the time.
//! They are an optimization only: when one cannot be made, children start without.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use xxhash_rust::xxh3::xxh3_64;

use crate::{Broker, BrokerOptions, Error, Jars, Registry, RegistryOptions};

/// Which child an archive is for.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Archive {
    Kafka,
    Registry,
}

/// How a child treats its archive.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Use {
    /// Start from it, if it is there.
    Read,
    /// Write it at exit.
    Write,
}

impl Archive {
    /// Named by the exact Java: another one ignores the file.
    pub(crate) fn path(self, jars: &Jars) -> PathBuf {
        let name = match self {
            Self::Kafka => "kafka",
            Self::Registry => "registry",
        };
        jars.dir().join(format!("{name}-{:016x}.jsa", xxh3_64(jars.java_version().as_bytes())))
    }

    pub(crate) fn apply(self, how: Use, jars: &Jars, command: &mut Command) {
        let path = self.path(jars);
        match how {
            Use::Read if path.is_file() => {
                command.arg(format!("-XX:SharedArchiveFile={}", path.display()));
            }
            Use::Read => {}
            Use::Write => {
                command.arg(format!("-XX:ArchiveClassesAtExit={}", written(&path).display()));
            }
        }
    }
}

/// Whether every archive is there, or a marker says that this Java cannot make one.
pub(crate) fn complete(jars: &Jars) -> bool {
    [Archive::Kafka, Archive::Registry].iter().all(|archive| archive.path(jars).exists())
}

/// Makes what is missing. The caller holds the cache's lock.
pub(crate) fn make(jars: &Jars, progress: &mut dyn FnMut(&str)) {
    if complete(jars) {
        return;
    }
    progress("preparing class archives of kafka and the registry, for faster starts (once)");
    let scratch = jars.dir().join("scratch");
    for (archive, run) in [(Archive::Kafka, run_kafka as Run), (Archive::Registry, run_registry)] {
        let path = archive.path(jars);
        let made = clear(&scratch)
            .and_then(|()| run(jars, &scratch))
            .and_then(|()| fs::rename(written(&path), &path).map_err(Error::io("rename", &written(&path))));
        if let Err(error) = made {
            tracing::warn!(%error, "could not prepare a class archive, starts will be slower");
            // A folder is no archive to a start, and says that it was tried: not again at every start.
            if let Err(error) = fs::create_dir_all(&path) {
                tracing::debug!(%error, "could not leave a marker");
            }
        }
    }
    if let Err(error) = clear(&scratch) {
        tracing::debug!(%error, "could not clear the scratch folder");
    }
}

type Run = fn(&Jars, &Path) -> Result<(), Error>;

fn run_kafka(jars: &Jars, scratch: &Path) -> Result<(), Error> {
    let options = BrokerOptions::new(scratch.join("data"), scratch.join("log"));
    Broker::start_with(jars, options, Use::Write).map(|mut broker| broker.stop())
}

fn run_registry(jars: &Jars, scratch: &Path) -> Result<(), Error> {
    let options = RegistryOptions::new(scratch.join("data"), scratch.join("log"));
    Registry::start_with(jars, options, Use::Write).map(|mut registry| registry.stop())
}

fn clear(scratch: &Path) -> Result<(), Error> {
    if scratch.exists() {
        fs::remove_dir_all(scratch).map_err(Error::io("remove", scratch))?;
    }
    Ok(())
}

fn written(path: &Path) -> PathBuf {
    path.with_extension("partial")
}
