//! A child process that cannot outlive this one.

use std::env;
use std::fs::{self, File};
use std::io::{self, Read, Seek, SeekFrom};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{self, Command, ExitStatus, Stdio};
use std::sync::OnceLock;
use std::sync::mpsc::{Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use crate::archive::Written;
use crate::{Error, programs};

/// How often a waiting loop looks.
pub(crate) const TICK: Duration = Duration::from_millis(10);
const TAIL_LINES: usize = 25;
const TAIL_BYTES: u64 = 64 << 10;

/// Builds a command whose process gets SIGKILL when this process dies.
///
/// The signal is asked for after the fork, so the shell then looks whether the parent is still there: without that, a
/// parent that dies in between would leave an orphan. All of it execs, so the process id stays that of `program`.
///
/// # Errors
/// There is no setpriv.
pub fn mortal(program: &Path) -> Result<Command, Error> {
    let search_path = env::var_os("PATH").unwrap_or_default();
    let mut command = Command::new(programs::setpriv(&search_path)?);
    command
        .args(["--pdeathsig", "KILL", "sh", "-c", r#"test "$PPID" = "$0" && exec "$@""#])
        .arg(process::id().to_string())
        .arg(program)
        .stdin(Stdio::null())
        .process_group(0);
    Ok(command)
}

/// Spawns from a thread that lives as long as the process: the death signal follows the thread that forked.
///
/// # Errors
/// The process cannot be started.
pub fn spawn(command: Command) -> io::Result<process::Child> {
    type Request = (Command, Sender<io::Result<process::Child>>);
    static SPAWNER: OnceLock<Sender<Request>> = OnceLock::new();
    let spawner = SPAWNER.get_or_init(|| {
        let (requests, incoming) = channel::<Request>();
        let spawning = move || {
            for (mut command, answer) in incoming {
                // Whoever asked is waiting below, so this cannot fail; if it did, the child would be an orphan.
                if answer.send(command.spawn()).is_err() {
                    tracing::error!("a child was spawned for nobody");
                }
            }
        };
        if let Err(error) = thread::Builder::new().name("child-spawner".to_owned()).spawn(spawning) {
            tracing::error!(%error, "could not start the thread that spawns children");
        }
        requests
    });
    let (answer, answered) = channel();
    spawner.send((command, answer)).map_err(|_| io::Error::other("the spawning thread has gone"))?;
    answered.recv().map_err(|_| io::Error::other("the spawning thread has gone"))?
}

/// A running (or ended) child with its logs.
#[derive(Debug)]
pub(crate) struct Child {
    what: &'static str,
    process: process::Child,
    status: Option<ExitStatus>,
    /// What the program logs by itself.
    log: PathBuf,
    /// What it prints, for instance when the JVM cannot even start.
    out: PathBuf,
    /// What it writes when it ends in order.
    archive: Option<Written>,
}

impl Child {
    /// Starts `command`, which writes `archive` at its end; its output goes to `out`, which begins anew.
    pub(crate) fn start(
        what: &'static str,
        mut command: Command,
        log: &Path,
        out: &Path,
        archive: Option<Written>,
    ) -> Result<Self, Error> {
        let file = File::create(out).map_err(Error::io("create", out))?;
        let twin = file.try_clone().map_err(Error::io("open", out))?;
        command.stdout(file).stderr(twin);
        let program = PathBuf::from(command.get_program());
        let process = spawn(command).map_err(Error::io("run", &program))?;
        Ok(Self { what, process, status: None, log: log.to_owned(), out: out.to_owned(), archive })
    }

    pub(crate) fn pid(&self) -> u32 {
        self.process.id()
    }

    /// The exit status, if it has ended.
    pub(crate) fn status(&mut self) -> Option<ExitStatus> {
        if self.status.is_none() {
            self.status = self.process.try_wait().unwrap_or_else(|error| {
                tracing::warn!(what = self.what, %error, "could not ask whether a child runs");
                None
            });
        }
        self.status
    }

    /// Errors if it has ended.
    pub(crate) fn check(&mut self) -> Result<(), Error> {
        let Some(status) = self.status() else {
            return Ok(());
        };
        let (what, pid, log) = (self.what, self.pid(), self.log.clone());
        Err(Error::Exited { what, pid, status, log, tail: self.tail() })
    }

    /// Asks `probe` until it answers, the child exits or `deadline` passes; in the last case the child is killed.
    pub(crate) fn wait_ready<T>(
        &mut self,
        address: &str,
        deadline: Duration,
        mut probe: impl FnMut() -> io::Result<T>,
    ) -> Result<T, Error> {
        let start = Instant::now();
        loop {
            self.check()?;
            match probe() {
                Ok(answer) => {
                    // Not answered by someone else on the same port while our own child was failing.
                    self.check()?;
                    return Ok(answer);
                }
                Err(error) if start.elapsed() >= deadline => {
                    self.kill();
                    return Err(Error::NotReady {
                        what: self.what,
                        address: address.to_owned(),
                        seconds: deadline.as_secs(),
                        last: error.to_string(),
                        log: self.log.clone(),
                        tail: self.tail(),
                    });
                }
                Err(_) => thread::sleep(TICK),
            }
        }
    }

    /// SIGTERM, and SIGKILL when it has not ended by the deadline, or twice that where it writes an archive. Returns once it
    /// has gone.
    pub(crate) fn stop(&mut self, deadline: Duration) {
        if self.status().is_some() {
            return;
        }
        self.signal(Signal::TERM);
        let deadline = deadline * if self.archive.is_some() { 2 } else { 1 };
        let start = Instant::now();
        while start.elapsed() < deadline {
            if self.status().is_some() {
                if let Some(archive) = self.archive.take() {
                    archive.keep();
                }
                return;
            }
            thread::sleep(TICK);
        }
        tracing::warn!(
            what = self.what,
            pid = self.pid(),
            ?deadline,
            "a child did not end when asked, killing it"
        );
        self.kill();
    }

    /// SIGKILL. Returns once it has gone.
    pub(crate) fn kill(&mut self) {
        if self.status().is_some() {
            return;
        }
        self.signal(Signal::KILL);
        match self.process.wait() {
            Ok(status) => self.status = Some(status),
            Err(error) => tracing::warn!(what = self.what, %error, "could not wait for a killed child"),
        }
    }

    fn signal(&self, signal: Signal) {
        let pid = i32::try_from(self.pid()).ok().and_then(Pid::from_raw);
        if let Some(pid) = pid
            && let Err(error) = kill_process(pid, signal)
        {
            tracing::warn!(what = self.what, %error, "could not signal a child");
        }
    }

    fn tail(&self) -> String {
        let printed = tail(&self.out);
        let logged = tail(&self.log);
        [printed, logged].into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join("\n")
    }
}

/// The last lines of a file, empty when there is none.
pub(crate) fn tail(path: &Path) -> String {
    let read = || -> io::Result<Vec<u8>> {
        let mut file = File::open(path)?;
        let length = fs::metadata(path)?.len();
        file.seek(SeekFrom::Start(length.saturating_sub(TAIL_BYTES)))?;
        let mut end = Vec::new();
        file.read_to_end(&mut end)?;
        Ok(end)
    };
    last_lines(&String::from_utf8_lossy(&read().unwrap_or_default()))
}

pub(crate) fn last_lines(text: &str) -> String {
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(TAIL_LINES)..].join("\n")
}
