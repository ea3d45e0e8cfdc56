//! Programs of others that tests use, installed once beside the build from their package registries.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use millrace_kafka_local::free_port;

use super::spawn::{mortal, spawn};
use super::{http, until};

/// Versions that are known to work together; pinned so that a release elsewhere does not break the build here.
const PYTHON_PACKAGES: [&str; 6] = [
    "confluent-kafka[avro,schemaregistry]==2.12.1",
    "duckdb==1.4.1",
    "elasticsearch==9.5.1",
    "opentelemetry-sdk==1.45.2",
    "opentelemetry-exporter-otlp-proto-http==1.45.2",
    "opentelemetry-exporter-otlp-proto-grpc==1.45.2",
];
const S3_SERVER: &str = "github.com/versity/versitygw/cmd/versitygw@v1.8.0";

/// A Python with an Avro consumer, DuckDB, and clients of Elasticsearch and OpenTelemetry.
pub(crate) fn python() -> PathBuf {
    install("python", &PYTHON_PACKAGES.join("\n"), |dir| {
        run(Command::new("python3").args(["-m", "venv", "--clear"]).arg(dir), "python3-venv");
        let mut pip = Command::new(dir.join("bin/python"));
        pip.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check"]).args(PYTHON_PACKAGES);
        run(&mut pip, "python3-venv");
    })
    .join("bin/python")
}

/// An S3 server with a bucket `millrace` in a folder.
pub(crate) struct S3 {
    pub(crate) port: u16,
    child: Child,
}

impl S3 {
    pub(crate) const KEY: &str = "millrace";
    pub(crate) const SECRET: &str = "millrace-secret";

    /// Starts it on the objects below `dir`.
    pub(crate) fn start(dir: &Path) -> S3 {
        let program = install("versitygw", S3_SERVER, |dir| {
            run(Command::new("go").args(["install", S3_SERVER]).env("GOBIN", dir), "go 1.24 or later");
        })
        .join("versitygw");
        fs::create_dir_all(dir.join("buckets/millrace")).unwrap();
        let port = free_port().unwrap();
        let log = fs::File::create(dir.join("s3.log")).unwrap();
        let mut command = mortal(&program);
        command.args(["--access", S3::KEY, "--secret", S3::SECRET, "--port", &format!("127.0.0.1:{port}")]);
        command.args(["--health", "/health", "--quiet", "posix"]).arg(dir.join("buckets"));
        command.stdin(Stdio::null()).stdout(log.try_clone().unwrap()).stderr(log);
        let child = spawn(command);
        until("the S3 server answers", Duration::from_secs(30), || match http::get(port, "/health") {
            Ok((200, _)) => Ok(()),
            Ok((status, body)) => Err(format!("{status}: {body}")),
            Err(error) => Err(error.to_string()),
        });
        S3 { port, child }
    }
}

impl Drop for S3 {
    fn drop(&mut self) {
        drop((self.child.kill(), self.child.wait()));
    }
}

/// The folder of a tool; `make` fills it where it is missing or of another version.
fn install(name: &str, version: &str, make: impl FnOnce(&Path)) -> PathBuf {
    static TURN: Mutex<()> = Mutex::new(());
    let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    let dir = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    let stamp = dir.join("version");
    if fs::read_to_string(&stamp).is_ok_and(|found| found == version) {
        return dir;
    }
    fs::create_dir_all(&dir).unwrap();
    make(&dir);
    fs::write(&stamp, version).unwrap();
    dir
}

fn run(command: &mut Command, needs: &str) {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}; install {needs}"));
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success(),
        "{command:?} ended with {}; it takes {needs} and a network:\n{said}",
        output.status
    );
}

/// Runs a script; what it prints is JSON.
pub(crate) fn script(python: &Path, dir: &Path, text: &str, args: &[&str]) -> serde_json::Value {
    let path = dir.join("script.py");
    std::fs::write(&path, text).unwrap();
    let output = Command::new(python).arg(&path).args(args).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{} ended with {}:\n{said}", python.display(), output.status);
    serde_json::from_slice(&output.stdout).unwrap()
}
