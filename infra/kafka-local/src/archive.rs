//! Class archives (class data sharing, JEP 350): a JVM writes the classes that it loaded when it ends, and later ones map
//! them instead of loading them again, which halves the time of a start.
//!
//! Written once per Java and pom, by the first child that is stopped in order. They are an optimization only: a JVM that
//! cannot write or read one goes without.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{self, Command};
use std::sync::atomic::{AtomicU32, Ordering};

use xxhash_rust::xxh3::xxh3_64;

use crate::Jars;

/// Which child an archive is for.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Archive {
    Kafka,
    Registry,
}

/// An archive that a child writes when it ends.
#[derive(Debug)]
pub(crate) struct Written {
    /// Where it is written: to a name of its own, for several may be.
    partial: PathBuf,
    path: PathBuf,
}

impl Archive {
    /// Named by the exact Java: another one ignores the file.
    fn path(self, jars: &Jars) -> PathBuf {
        let name = match self {
            Self::Kafka => "kafka",
            Self::Registry => "registry",
        };
        jars.dir().join(format!("{name}-{:016x}.jsa", xxh3_64(jars.java_version().as_bytes())))
    }

    /// Lets `command` start from the archive; whether there is one.
    pub(crate) fn read(self, jars: &Jars, command: &mut Command) -> bool {
        let path = self.path(jars);
        let is_there = path.is_file();
        if is_there {
            command.arg(format!("-XX:SharedArchiveFile={}", path.display()));
        }
        is_there
    }

    /// The same; lets it write one where there is none.
    pub(crate) fn read_or_write(self, jars: &Jars, command: &mut Command) -> Option<Written> {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        if self.read(jars, command) {
            return None;
        }
        let path = self.path(jars);
        let own = format!("{}-{}.partial", process::id(), NUMBER.fetch_add(1, Ordering::Relaxed));
        let partial = path.with_extension(own);
        command.arg(format!("-XX:ArchiveClassesAtExit={}", partial.display()));
        Some(Written { partial, path })
    }
}

impl Written {
    /// Takes it up, now that the child has ended by itself.
    pub(crate) fn keep(self) {
        if let Err(error) = fs::rename(&self.partial, &self.path) {
            let path = Path::display(&self.partial);
            tracing::debug!(%error, %path, "there is no class archive, starts are slower");
        }
    }
}
