//! Senders of others, as they stand: what each sends is in the topic once. One gateway takes them all, by HTTPS, gRPC over TLS,
//! syslog over TLS, TCP and UDP.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use millrace_kafka_local::free_port;

use crate::harness::spawn::{mortal, spawn};
use crate::harness::tls::Authority;
use crate::harness::tools::python;
use crate::harness::{World, until};

/// Lines of each sender; fewer where nothing says that one was lost.
const LINES: usize = 500;
const DATAGRAMS: usize = 20;

/// The SDK by the exporter that is named last.
const OPENTELEMETRY: &str = r#"
import sys
from opentelemetry._logs import SeverityNumber
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import BatchLogRecordProcessor
from opentelemetry.sdk.resources import Resource

def by_http(url, ca):
    from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter
    return OTLPLogExporter(endpoint=f"{url}/v1/logs", certificate_file=ca, timeout=120)

def by_grpc(url, ca):
    import grpc
    from opentelemetry.exporter.otlp.proto.grpc._log_exporter import OTLPLogExporter
    trusted = grpc.ssl_channel_credentials(open(ca, "rb").read())
    return OTLPLogExporter(endpoint=url, credentials=trusted, compression=grpc.Compression.Gzip, timeout=120)

url, ca, n, mark = sys.argv[1], sys.argv[2], int(sys.argv[3]), sys.argv[4]
exporter = {"otel": by_http, "grpc": by_grpc}[mark](url, ca)
provider = LoggerProvider(resource=Resource.create({"service.name": "otel", "host.name": "python"}))
provider.add_log_record_processor(BatchLogRecordProcessor(exporter, max_export_batch_size=200))
logger = provider.get_logger("senders")
for i in range(n):
    logger.emit(severity_number=SeverityNumber.INFO, severity_text="INFO", body=f"mark-{mark}-{i}-end")
assert provider.force_flush(120_000), "not all was exported"
provider.shutdown()
"#;

const ELASTICSEARCH: &str = r#"
import sys
from elasticsearch import Elasticsearch, helpers

url, ca, n, mark = sys.argv[1], sys.argv[2], int(sys.argv[3]), sys.argv[4]
client = Elasticsearch(url, ca_certs=ca, request_timeout=120, max_retries=0)
documents = ({"_op_type": "create", "_index": "client", "message": f"mark-{mark}-{i}-end"} for i in range(n))
done, errors = helpers.bulk(client, documents, chunk_size=200)
assert (done, errors) == (n, []), (done, errors)
"#;

/// Follows three files: one goes by TCP, one by TLS, one to `_bulk`.
const RSYSLOG: &str = r#"
global(workDirectory="DIR" defaultNetstreamDriverCAFile="CA" net.enableDNS="off")
module(load="imfile" mode="polling" pollingInterval="1")
module(load="omelasticsearch")
template(name="document" type="list" option.jsonf="on") {
  property(outname="message" name="msg" format="jsonf")
  property(outname="host" name="hostname" format="jsonf")
}
ruleset(name="tcp") {
  action(type="omfwd" target="127.0.0.1" port="TCP_PORT" protocol="tcp" TCP_Framing="octet-counted"
         template="RSYSLOG_SyslogProtocol23Format" action.resumeRetryCount="-1")
}
ruleset(name="tls") {
  action(type="omfwd" target="localhost" port="TLS_PORT" protocol="tcp" template="RSYSLOG_SyslogProtocol23Format"
         StreamDriver="gtls" StreamDriverMode="1" StreamDriverAuthMode="x509/name" StreamDriverPermittedPeers="localhost"
         action.resumeRetryCount="-1")
}
ruleset(name="bulk") {
  action(type="omelasticsearch" server="localhost" serverport="HTTP_PORT" usehttps="on" tls.cacert="CA"
         searchIndex="rsyslog" searchType="" bulkmode="on" template="document" errorfile="DIR/bulk.err"
         action.resumeRetryCount="-1")
}
input(type="imfile" File="DIR/tcp.log" Tag="app" ruleset="tcp")
input(type="imfile" File="DIR/tls.log" Tag="app" ruleset="tls")
input(type="imfile" File="DIR/bulk.log" Tag="app" ruleset="bulk")
"#;

fn mark(sender: &str, number: usize) -> String {
    format!("mark-{sender}-{number}-end")
}

fn marks(sender: &str, n: usize) -> String {
    (0..n).map(|number| mark(sender, number) + "\n").collect()
}

/// How often each mark is in `logs.raw`, whatever surrounds it.
fn counted(world: &World) -> BTreeMap<String, usize> {
    let mut counts = BTreeMap::new();
    for line in world.log().raw() {
        let body = String::from_utf8_lossy(&line.body).into_owned();
        let found =
            body.find("mark-").and_then(|from| body[from..].find("-end").map(|to| (from, from + to + 4)));
        let (from, to) = found.unwrap_or_else(|| panic!("a line that nobody sent: {body}"));
        *counts.entry(body[from..to].to_owned()).or_default() += 1;
    }
    counts
}

/// Runs a program to its end, which must be a good one.
fn sent(program: &Path, args: &[&str], package: &str) {
    let mut command = Command::new(program);
    // What the machine trusts by these comes before the authority that a sender is given.
    command.env_remove("REQUESTS_CA_BUNDLE").env_remove("CURL_CA_BUNDLE");
    let output = command.args(args).output();
    let output = output.unwrap_or_else(|error| panic!("{}: {error}; install {package}", program.display()));
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{} {args:?} ended with {}:\n{said}", program.display(), output.status);
}

/// Debian keeps it where only root looks.
fn rsyslogd() -> PathBuf {
    let path = PathBuf::from("/usr/sbin/rsyslogd");
    if path.exists() { path } else { PathBuf::from("rsyslogd") }
}

struct Rsyslog(Child);

impl Drop for Rsyslog {
    fn drop(&mut self) {
        drop((self.0.kill(), self.0.wait()));
    }
}

/// Starts it in the foreground on `dir`, as whoever runs the test.
fn rsyslog(dir: &Path, config: &str) -> Rsyslog {
    let path = dir.join("rsyslog.conf");
    fs::write(&path, config).unwrap();
    // Says which module is missing.
    let packages = "rsyslog, rsyslog-gnutls and rsyslog-elasticsearch";
    sent(&rsyslogd(), &["-N1", "-f", path.to_str().unwrap()], packages);
    let log = fs::File::create(dir.join("rsyslog.log")).unwrap();
    let mut command = mortal(&rsyslogd());
    command.args(["-n", "-iNONE", "-f", path.to_str().unwrap()]);
    command.stdin(Stdio::null()).stdout(log.try_clone().unwrap()).stderr(log);
    Rsyslog(spawn(command))
}

#[test]
fn every_line_of_the_senders_that_people_run_is_there_once() {
    let python = python();
    let mut world = World::new("senders");
    world.apply_topics();
    let dir = world.dir.join("senders");
    fs::create_dir_all(&dir).unwrap();
    let file = |name: &str, text: &str| {
        let path = dir.join(name);
        fs::write(&path, text).unwrap();
        path.display().to_string()
    };
    let authority = Authority::new();
    let ca = file("ca.pem", &authority.pem());
    let own = authority.sign("localhost");
    let (certificate, key) = (file("gateway.pem", &own.certificate), file("gateway.key", &own.key));
    let [http, otlp, syslog, syslog_tls] = [(); 4].map(|()| free_port().unwrap());
    world.set("gateway", "listen", format!("127.0.0.1:{http}"));
    world.set("gateway", "anonymous", "default");
    world.set("gateway", "otlp_listen", format!("127.0.0.1:{otlp}"));
    world.set("gateway", "syslog_listen", format!("127.0.0.1:{syslog}"));
    world.set("gateway", "syslog_tls_listen", format!("127.0.0.1:{syslog_tls}"));
    let tls = format!("certificate = {certificate:?}\nkey = {key:?}\n");
    world.set("gateway", "tls", tls.parse::<toml::Table>().unwrap());
    world.start("gateway", 0).wait_ready();

    for name in ["tcp", "tls", "bulk"] {
        file(&format!("{name}.log"), &marks(&format!("rsyslog-{name}"), LINES));
    }
    let config = RSYSLOG.replace("DIR", dir.to_str().unwrap()).replace("CA\"", &format!("{ca}\""));
    let config = config.replace("TCP_PORT", &syslog.to_string()).replace("TLS_PORT", &syslog_tls.to_string());
    let rsyslog = rsyslog(&dir, &config.replace("HTTP_PORT", &http.to_string()));

    let url = format!("https://localhost:{http}");
    let lines = format!("@{}", file("curl.log", &marks("curl", LINES)));
    let target = format!("{url}/v1/logs/curl");
    let curl = ["--fail-with-body", "-sS", "--cacert", &ca, "--data-binary", &lines, &target];
    sent(Path::new("curl"), &curl, "curl");
    for (name, transport, n) in [("logger-tcp", "--tcp", LINES), ("logger-udp", "--udp", DATAGRAMS)] {
        let lines = file(name, &marks(name, n));
        let port = syslog.to_string();
        let args = ["--server", "127.0.0.1", "--port", &port, transport, "--rfc5424", "--file", &lines];
        sent(Path::new("logger"), &args, "bsdutils");
    }
    let grpc = format!("https://localhost:{otlp}");
    for (name, script, url, mark) in [
        ("sdk.py", OPENTELEMETRY, &url, "otel"),
        ("sdk.py", OPENTELEMETRY, &grpc, "grpc"),
        ("client.py", ELASTICSEARCH, &url, "helpers"),
    ] {
        sent(&python, &[&file(name, script), url, &ca, &LINES.to_string(), mark], "python3-venv");
    }

    let senders =
        ["rsyslog-tcp", "rsyslog-tls", "rsyslog-bulk", "curl", "logger-tcp", "otel", "grpc", "helpers"]
            .map(|own| (own, LINES));
    let senders = senders.into_iter().chain([("logger-udp", DATAGRAMS)]);
    let wanted: BTreeMap<String, usize> =
        senders.flat_map(|(sender, n)| (0..n).map(move |number| (mark(sender, number), 1))).collect();
    until("every line is there", Duration::from_secs(180), || {
        let counts = counted(&world);
        match wanted.keys().find(|mark| !counts.contains_key(*mark)) {
            None => Ok(()),
            Some(mark) => {
                let said = fs::read_to_string(dir.join("rsyslog.log")).unwrap_or_default();
                Err(format!("{} of {}: {mark} is missing; rsyslog: {said}", counts.len(), wanted.len()))
            }
        }
    });
    drop(rsyslog);
    world.stop();
    assert_eq!(counted(&world), wanted, "a line is there twice");
}
