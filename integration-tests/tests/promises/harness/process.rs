//! One service as a process of its own: started, killed, stopped, looked at.

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output};
use std::time::{Duration, Instant};

use millrace_kafka_local::free_port;
use rustix::process::{Pid, Signal, kill_process};

use super::spawn::{mortal, spawn};
use super::{http, until};

/// Time that a service may take to stop by itself: its own deadline, and a little.
const STOP: Duration = Duration::from_secs(30);

/// The binary under test.
pub(crate) fn binary() -> PathBuf {
    let path = std::env::var_os("MILLRACE_BIN").map_or_else(
        || std::env::current_exe().unwrap().ancestors().nth(2).unwrap().join("millrace"),
        PathBuf::from,
    );
    assert!(
        path.is_file(),
        "{} is not there: run `cargo build -p millrace-cli` first, or set MILLRACE_BIN",
        path.display()
    );
    path
}

/// Runs a command of the binary to its end.
pub(crate) fn run(args: &[&str], env: &[(&str, &str)]) -> Output {
    let mut command = mortal(&binary());
    command.args(args).envs(env.iter().copied());
    command
        .stdin(std::process::Stdio::null())
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped());
    spawn(command).wait_with_output().unwrap()
}

/// A service that may be killed and started again.
#[derive(Debug)]
pub(crate) struct Service {
    /// For people and for finding it: `parse-0`.
    pub(crate) name: String,
    args: Vec<String>,
    log: PathBuf,
    ops_port: u16,
    child: Option<Child>,
    /// Starts so far.
    pub(crate) starts: u32,
}

impl Service {
    /// A service that does not run yet.
    pub(crate) fn new(name: &str, args: &[&str], log_dir: &Path) -> Service {
        Service {
            name: name.to_owned(),
            args: args.iter().map(|arg| (*arg).to_owned()).collect(),
            log: log_dir.join(format!("{name}.log")),
            ops_port: free_port().unwrap(),
            child: None,
            starts: 0,
        }
    }

    /// Starts it, if it does not run.
    pub(crate) fn start(&mut self) {
        if self.child.is_some() {
            return;
        }
        self.starts += 1;
        let mut log = File::options().create(true).append(true).open(&self.log).unwrap();
        writeln!(log, "--- start {} of {}", self.starts, self.name).unwrap();
        let mut command: Command = mortal(&binary());
        command.args(&self.args);
        command.env("MILLRACE__OPS__LISTEN", format!("127.0.0.1:{}", self.ops_port));
        command.stdin(std::process::Stdio::null()).stdout(log.try_clone().unwrap()).stderr(log);
        self.child = Some(spawn(command));
    }

    /// Its process, while it runs.
    pub(crate) fn pid(&self) -> Option<u32> {
        self.child.as_ref().map(Child::id)
    }

    /// SIGKILL, as a crash would.
    pub(crate) fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.kill().unwrap();
            child.wait().unwrap();
        }
    }

    /// SIGTERM; it must end by itself with exit code 0.
    pub(crate) fn stop(&mut self) {
        let Some(mut child) = self.child.take() else { return };
        kill_process(Pid::from_child(&child), Signal::TERM).unwrap();
        let start = Instant::now();
        let status = loop {
            if let Some(status) = child.try_wait().unwrap() {
                break status;
            }
            if start.elapsed() > STOP {
                child.kill().unwrap();
                child.wait().unwrap();
                panic!("{} did not stop within {STOP:?} after SIGTERM:\n{}", self.name, self.tail(40));
            }
            std::thread::sleep(Duration::from_millis(10));
        };
        assert!(status.success(), "{} ended with {status} after SIGTERM:\n{}", self.name, self.tail(40));
    }

    /// Panics if it ended by itself.
    pub(crate) fn check(&mut self) {
        let Some(child) = &mut self.child else { return };
        if let Some(status) = child.try_wait().unwrap() {
            self.child = None;
            panic!("{} ended by itself with {status}:\n{}", self.name, self.tail(60));
        }
    }

    /// Waits until `/ready` says yes.
    pub(crate) fn wait_ready(&mut self) {
        let name = self.name.clone();
        until(&format!("{name} is ready"), Duration::from_secs(60), || {
            self.check();
            match http::get(self.ops_port, "/ready") {
                Ok((200, _)) => Ok(()),
                Ok((_, body)) => Err(body),
                Err(error) => Err(error.to_string()),
            }
        });
    }

    /// Sum of a metric over its labels, as far as they contain `label`; 0 where there is none.
    pub(crate) fn metric(&self, name: &str, label: &str) -> f64 {
        let Ok((200, body)) = http::get(self.ops_port, "/metrics") else { return 0.0 };
        let own = |line: &&str| {
            let rest = line.strip_prefix(name);
            rest.is_some_and(|rest| rest.starts_with(['{', ' ']) && rest.contains(label))
        };
        body.lines().filter(own).filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok()).sum()
    }

    /// All that it ever logged.
    pub(crate) fn log(&self) -> String {
        fs::read(&self.log).map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default()
    }

    /// The end of its log, with the path.
    pub(crate) fn tail(&self, n_lines: usize) -> String {
        let log = self.log();
        let lines: Vec<&str> = log.lines().collect();
        let tail = lines[lines.len().saturating_sub(n_lines)..].join("\n  ");
        format!("{}:\n  {tail}", self.log.display())
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        self.kill();
    }
}
