//! The cache of jars: what the embedded pom pins, fetched once by Maven.

use std::env;
use std::ffi::OsString;
use std::fs::{self, File, TryLockError};
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use xxhash_rust::xxh3::xxh3_64;

use crate::child::{last_lines, mortal, spawn, tail};
use crate::{Error, programs};

/// Embedded, so that an installed binary needs no checkout.
const POM: &str = include_str!("../pom.xml");

/// The jars on disk, and the Java to run them with.
#[derive(Debug, Clone)]
pub struct Jars {
    dir: PathBuf,
    java: PathBuf,
    java_version: String,
}

/// Where to keep the jars and where to look for programs.
#[derive(Debug, Clone)]
pub struct FetchOptions {
    /// The jars go to `kafka-local/<hash of the pom>` in here.
    pub cache_dir: PathBuf,
    /// Where `java` and `mvn` are looked for, in the form of PATH.
    pub search_path: OsString,
    /// If it has a `bin/java`, that one is used.
    pub java_home: Option<PathBuf>,
}

impl FetchOptions {
    /// Reads MILLRACE_CACHE, XDG_CACHE_HOME, HOME, PATH and JAVA_HOME.
    ///
    /// # Errors
    /// When nothing says where a cache may be.
    pub fn from_env() -> Result<Self, Error> {
        let set = |name: &str| env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
        let cache_dir = set("MILLRACE_CACHE")
            .or_else(|| set("XDG_CACHE_HOME").map(|dir| dir.join("millrace")))
            .or_else(|| env::home_dir().map(|dir| dir.join(".cache/millrace")))
            .ok_or(Error::NoCacheFolder)?;
        let search_path = env::var_os("PATH").unwrap_or_default();
        Ok(Self { cache_dir, search_path, java_home: set("JAVA_HOME") })
    }
}

impl Jars {
    /// Fetches the jars into the cache named by the environment, or finds them there.
    ///
    /// `progress` gets a line now and then while something slow happens, and none when all is cached.
    ///
    /// # Errors
    /// When Java or Maven is missing, Maven fails, or the cache cannot be written.
    pub fn fetch(progress: &mut dyn FnMut(&str)) -> Result<Self, Error> {
        Self::fetch_with(&FetchOptions::from_env()?, progress)
    }

    /// The same with explicit folders and search path.
    ///
    /// # Errors
    /// As for [`Jars::fetch`].
    pub fn fetch_with(options: &FetchOptions, progress: &mut dyn FnMut(&str)) -> Result<Self, Error> {
        let (java, java_version) = programs::java(options.java_home.as_deref(), &options.search_path)?;
        let parent = options.cache_dir.join("kafka-local");
        let parent = std::path::absolute(&parent).map_err(Error::io("resolve", &parent))?;
        let hash = format!("{:016x}", xxh3_64(POM.as_bytes()));
        let jars = Self { dir: parent.join(&hash), java, java_version };
        if jars.dir.is_dir() {
            return Ok(jars);
        }
        fs::create_dir_all(&parent).map_err(Error::io("create", &parent))?;
        let _lock = lock(&parent.join(format!("{hash}.lock")), progress)?;
        if !jars.dir.is_dir() {
            let partial = parent.join(format!("{hash}.partial"));
            download(options, &partial, progress)?;
            // Only a whole folder ever has the final name.
            fs::rename(&partial, &jars.dir).map_err(Error::io("rename", &partial))?;
        }
        Ok(jars)
    }

    /// The folder that holds them.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// The Java that runs them.
    pub fn java(&self) -> &Path {
        &self.java
    }

    pub(crate) fn java_version(&self) -> &str {
        &self.java_version
    }

    /// A command that runs `java` mortally, with the flags that every child wants.
    pub(crate) fn command(&self, heap_mb: u32, log_dir: &Path) -> Result<Command, Error> {
        let mut command = mortal(&self.java)?;
        command.arg(format!("-Xmx{heap_mb}m")).args([
            "-XX:+ExitOnOutOfMemoryError",
            "-XX:-UsePerfData",
            "-Djava.awt.headless=true",
            "-Xshare:auto",
        ]);
        command.arg(format!("-XX:ErrorFile={}/hs_err_%p.log", log_dir.display()));
        Ok(command)
    }

    /// The broker's class path, in an order that never changes: the class archive is only valid for the same one.
    pub(crate) fn kafka_class_path(&self) -> Result<OsString, Error> {
        let dir = self.dir.join("kafka");
        let entries = fs::read_dir(&dir).map_err(Error::io("read", &dir))?;
        let mut jars: Vec<PathBuf> = entries
            .flatten()
            .map(|entry| entry.path())
            .filter(|path| path.extension().is_some_and(|e| e == "jar"))
            .collect();
        jars.sort();
        Ok(jars.iter().map(|jar| jar.as_os_str()).collect::<Vec<_>>().join(":".as_ref()))
    }

    /// The registry's runner jar, whose manifest names the others.
    pub(crate) fn registry_jar(&self) -> Result<PathBuf, Error> {
        let dir = self.dir.join("registry");
        let entries = fs::read_dir(&dir).map_err(Error::io("read", &dir))?;
        let runner = entries
            .flatten()
            .map(|entry| entry.path())
            .find(|path| path.to_string_lossy().ends_with("-runner.jar"));
        runner.ok_or_else(|| Error::io("find the runner jar in", &dir)(std::io::ErrorKind::NotFound.into()))
    }
}

fn lock(path: &Path, progress: &mut dyn FnMut(&str)) -> Result<File, Error> {
    let file = File::create(path).map_err(Error::io("create", path))?;
    match file.try_lock() {
        Ok(()) => return Ok(file),
        Err(TryLockError::WouldBlock) => progress("waiting for another process that fetches the same jars"),
        Err(TryLockError::Error(source)) => return Err(Error::io("lock", path)(source)),
    }
    file.lock().map_err(Error::io("lock", path))?;
    Ok(file)
}

fn download(options: &FetchOptions, partial: &Path, progress: &mut dyn FnMut(&str)) -> Result<(), Error> {
    let maven = programs::maven(&options.search_path)?;
    if partial.exists() {
        fs::remove_dir_all(partial).map_err(Error::io("remove", partial))?;
    }
    fs::create_dir_all(partial).map_err(Error::io("create", partial))?;
    let pom = partial.join("pom.xml");
    fs::write(&pom, POM).map_err(Error::io("write", &pom))?;

    progress("fetching the jars of kafka and the registry through maven (about 200 MB, once)");
    let stderr = partial.join("maven.err");
    let complaints = File::create(&stderr).map_err(Error::io("create", &stderr))?;
    let mut command = mortal(&maven)?;
    command.args(["-B", "-f"]).arg(&pom).arg("process-resources");
    command.arg(format!("-Djars.out={}", partial.display()));
    command.env("PATH", &options.search_path).stdout(Stdio::piped()).stderr(complaints);
    let mut child = spawn(command).map_err(Error::io("run", &maven))?;

    let mut said = String::new();
    let mut n_files = 0_usize;
    if let Some(stdout) = child.stdout.take() {
        for line in BufReader::new(stdout).lines().map_while(Result::ok) {
            if line.contains("Downloading from") {
                n_files += 1;
                let file = line.rsplit('/').next().unwrap_or_default();
                progress(&format!("fetching jars: file {n_files}, {file}"));
            } else if !line.contains("Downloaded from") {
                said.push_str(&line);
                said.push('\n');
            }
        }
    }
    let status = child.wait().map_err(Error::io("wait for", &maven))?;
    if status.success() {
        return Ok(());
    }
    let command = format!("{} -B -f {} process-resources", maven.display(), pom.display());
    let tail = format!("{}\n{}", last_lines(&said), tail(&stderr));
    Err(Error::Fetch { command, status, tail })
}
