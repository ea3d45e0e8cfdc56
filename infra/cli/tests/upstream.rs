//! `millrace forward` with output `http`, the real binary over real HTTP: killed, restarted, on a full disk; and
//! `millrace spool`.
#![allow(clippy::unwrap_used)]

// Of the modules that follow.
use {axum as _, futures as _};

#[path = "../../../producers/uplink/tests/common/mod.rs"]
mod common;
#[path = "../../../integration-tests/tests/promises/harness/tmpfs.rs"]
mod tmpfs;

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

use common::{Gateway, until};
use millrace_schemas::{Codec, RawEvent, Subject};
use rustix::process::{Pid, Signal, kill_process};

struct Host {
    dir: PathBuf,
    data: PathBuf,
    config: PathBuf,
    child: Option<Child>,
}

impl Host {
    fn new(dir: &Path, data: &Path, gateway: &Gateway) -> Host {
        fs::create_dir_all(dir.join("logs")).unwrap();
        let text = format!(
            "data_dir = \"{}\"\n[ops]\nlisten = \"off\"\n[forward]\noutput = \"http\"\nhost = \"h\"\n\
             [[forward.input]]\nglobs = [\"{}/logs/*.log*\"]\ntenant = \"t\"\nstream = \"web\"\n\
             [upstream]\nurl = \"{}\"\nspool_mib = 64\n",
            data.display(),
            dir.display(),
            gateway.url()
        );
        let config = dir.join("forward.toml");
        fs::write(&config, text).unwrap();
        Host { dir: dir.to_owned(), data: data.to_owned(), config, child: None }
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_millrace"));
        command.args(args).arg("--config").arg(&self.config).stdin(Stdio::null());
        command
    }

    fn run(&self, args: &[&str]) -> Output {
        self.command(args).output().unwrap()
    }

    fn start(&mut self) {
        let log = OpenOptions::new().create(true).append(true).open(self.dir.join("forward.err")).unwrap();
        let mut command = self.command(&["forward"]);
        self.child = Some(command.stdout(Stdio::null()).stderr(log).spawn().unwrap());
    }

    fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            assert!(child.try_wait().unwrap().is_none(), "it ended by itself:\n{}", self.said());
            child.kill().unwrap();
            child.wait().unwrap();
        }
    }

    fn stop(&mut self) {
        let mut child = self.child.take().unwrap();
        kill_process(Pid::from_child(&child), Signal::TERM).unwrap();
        assert!(child.wait().unwrap().success(), "{}", self.said());
    }

    fn said(&self) -> String {
        fs::read_to_string(self.dir.join("forward.err")).unwrap_or_default()
    }

    fn write(&self, name: &str, text: &str) {
        let path = self.dir.join("logs").join(name);
        OpenOptions::new().create(true).append(true).open(path).unwrap().write_all(text.as_bytes()).unwrap();
    }

    /// The files' bytes, sorted.
    fn files(&self) -> Vec<Vec<u8>> {
        let entries = fs::read_dir(self.dir.join("logs")).unwrap();
        let mut files: Vec<Vec<u8>> = entries.map(|entry| fs::read(entry.unwrap().path()).unwrap()).collect();
        files.sort();
        files
    }

    /// Most memory that the process has had, bytes.
    fn peak_memory(&self) -> u64 {
        let pid = self.child.as_ref().unwrap().id();
        let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
        let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
        peak.trim().trim_end_matches(" kB").parse::<u64>().unwrap() << 10
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            drop(child.kill());
            drop(child.wait());
        }
    }
}

/// What the gateway has, as files, sorted. Panics where a line is double.
fn rebuilt(gateway: &Gateway) -> Vec<Vec<u8>> {
    let codec = Codec::new("logs.raw-value", 1, Subject::Raw.versions()[0]).unwrap();
    let mut files: BTreeMap<String, BTreeMap<i64, Vec<u8>>> = BTreeMap::new();
    for (batch, lines) in &gateway.store().lines {
        assert!(batch.starts_with("t/"), "{batch}");
        for line in lines {
            let event: RawEvent<'_> = codec.decode(line).unwrap();
            assert_eq!((event.tenant, event.host), ("t", "h"));
            let file = files.entry(event.file_id.unwrap().to_owned()).or_default();
            let bytes = [event.body, event.line_end.bytes()].concat();
            let twice = file.insert(event.position.unwrap().byte, bytes);
            assert!(twice.is_none(), "a line came twice");
        }
    }
    let mut files: Vec<Vec<u8>> =
        files.values().map(|lines| lines.values().flatten().copied().collect()).collect();
    files.sort();
    files
}

#[test]
fn lines_arrive_once_though_both_sides_are_killed() {
    let dir = tempfile::tempdir().unwrap();
    let mut gateway = Gateway::started();
    let mut host = Host::new(dir.path(), &dir.path().join("data"), &gateway);
    host.start();
    let mut n = 0;
    for round in 0..12_u64 {
        for _ in 0..20 {
            for _ in 0..50 {
                n += 1;
                host.write(["a.log", "b.log"][n % 2], &format!("line {n} {}\n", "x".repeat(n % 100)));
            }
            std::thread::sleep(Duration::from_millis(5 + round * round * 7 % 23));
        }
        match round % 4 {
            0 => {
                host.kill();
                host.start();
            }
            1 => {
                gateway.kill();
                gateway.start();
            }
            2 => {
                let logs = dir.path().join("logs");
                fs::rename(logs.join("a.log"), logs.join(format!("a.log.{round}"))).unwrap();
            }
            _ => {
                gateway.kill();
                host.kill();
                gateway.start();
                host.start();
            }
        }
    }
    let files = host.files();
    until("every file is there", || rebuilt(&gateway) == files);
    host.stop();
    // Of a batch that was ended as the gateway died the host has no answer: it sends it again.
    assert!(host.run(&["forward", "--once"]).status.success());
    assert_eq!(rebuilt(&gateway), files);
    assert_eq!(gateway.store().ended.values().sum::<u64>(), n as u64, "every batch was ended");
    let listed = host.run(&["spool", "ls"]);
    assert_eq!(String::from_utf8_lossy(&listed.stdout).trim(), "nothing waits, nothing is parked");
    assert_eq!(listed.status.code(), Some(0));
}

#[test]
fn once_ends_when_the_gateway_has_all_of_it() {
    let dir = tempfile::tempdir().unwrap();
    let gateway = Gateway::started();
    let host = Host::new(dir.path(), &dir.path().join("data"), &gateway);
    host.write("a.log", "one\ntwo\n");
    for _ in 0..2 {
        let output = host.run(&["forward", "--once"]);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        assert_eq!(rebuilt(&gateway), [b"one\ntwo\n"]);
    }
    let mut command = host.command(&["forward", "--stdin", "--stream", "app", "--tenant", "t"]);
    let mut child = command.stdin(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(b"three\nfour").unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(rebuilt(&gateway), [b"one\ntwo\n".as_slice(), b"three\nfour"]);
}

#[test]
fn what_the_gateway_refuses_is_listed_and_sent_again_on_demand() {
    let dir = tempfile::tempdir().unwrap();
    let gateway = Gateway::started();
    gateway.store().refused = vec!["web"];
    let host = Host::new(dir.path(), &dir.path().join("data"), &gateway);
    host.write("a.log", "one\n");
    assert_eq!(host.run(&["forward", "--once"]).status.code(), Some(1));
    let listed = host.run(&["spool", "ls", "--format", "json"]);
    assert_eq!(listed.status.code(), Some(1));
    let rows: serde_json::Value = serde_json::from_slice(&listed.stdout).unwrap();
    let row = &rows[0];
    assert_eq!((&row["state"], &row["stream"], &row["lines"]), (&"parked".into(), &"web".into(), &1.into()));
    assert_eq!(row["reason"], "the gateway answered 400: no such stream");
    let id = row["id"].as_str().unwrap();
    let text = String::from_utf8(host.run(&["spool", "ls"]).stdout).unwrap();
    assert!(text.contains(id) && text.contains("no such stream"), "{text}");
    assert_eq!(host.run(&["spool", "retry", "7-7"]).status.code(), Some(2));

    gateway.store().refused.clear();
    assert_eq!(host.run(&["spool", "retry", id]).status.code(), Some(0));
    assert!(host.run(&["forward", "--once"]).status.success());
    assert_eq!(rebuilt(&gateway), [b"one\n"]);

    gateway.store().refused = vec!["web"];
    host.write("a.log", "two\n");
    assert_eq!(host.run(&["forward", "--once"]).status.code(), Some(1));
    assert_eq!(host.run(&["spool", "drop", "--all"]).status.code(), Some(0));
    assert_eq!(host.run(&["spool", "drop", "--all"]).status.code(), Some(1), "there is nothing left");
    assert_eq!(host.run(&["spool", "ls"]).status.code(), Some(0));
}

#[test]
fn a_full_disk_under_the_spool_loses_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let disk = tmpfs::Tmpfs::mount(&dir.path().join("disk"), 8);
    let mut gateway = Gateway::new();
    let mut host = Host::new(dir.path(), &disk.path.join("data"), &gateway);
    let line = |n: usize| format!("line {n:06} {}\n", "x".repeat(n % 300));
    let text: String = (0..120_000).map(line).collect();
    assert!(text.len() > 2 * (8 << 20));
    host.write("a.log", &text);
    host.start();
    until("the disk is full", || host.said().contains("the outlet takes nothing"));
    // Killed while it is full, and once more without a byte to spare.
    host.kill();
    let filler = disk.fill();
    host.start();
    std::thread::sleep(Duration::from_secs(2));
    host.kill();
    host.start();
    gateway.start();
    until("all of it has arrived", || gateway.store().lines.values().map(Vec::len).sum::<usize>() == 120_000);
    assert!(host.peak_memory() < 150 << 20, "{} MiB", host.peak_memory() >> 20);
    fs::remove_file(filler).unwrap();
    host.stop();
    assert_eq!(rebuilt(&gateway), [text.as_bytes()]);
    assert!(File::open(host.data.join("spool/lock")).is_ok());
}
