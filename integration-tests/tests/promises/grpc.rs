//! OTLP over gRPC, by gRPC's own client: every call ends as gRPC says, and what was taken is there once, of its tenant.

use std::collections::BTreeMap;
use std::fs;
use std::io::Read;
use std::net::TcpStream;
use std::time::Duration;

use millrace_kafka_local::free_port;
use serde_json::{Value, json};

use crate::harness::tls::Authority;
use crate::harness::tools::{python, script};
use crate::harness::{World, until};

/// Makes calls, one after the other on one connection, and says how each ended.
const CALLS: &str = r#"
import json, sys, threading
import grpc
from google.rpc import error_details_pb2, status_pb2
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest, ExportLogsServiceResponse

target, calls, files = sys.argv[1], json.loads(sys.argv[2]), sys.argv[3:]
read = lambda path: open(path, "rb").read()
if files:
    ca, certificate, key = (list(map(read, files)) + [None, None])[:3]
    channel = grpc.secure_channel(target, grpc.ssl_channel_credentials(ca, key, certificate))
else:
    channel = grpc.insecure_channel(target)
LOGS = "/opentelemetry.proto.collector.logs.v1.LogsService/Export"

def request(call):
    if "raw" in call:
        return call["raw"].encode()
    export = ExportLogsServiceRequest()
    records = export.resource_logs.add().scope_logs.add().log_records
    for text in call["texts"]:
        records.add().body.string_value = text * call.get("repeat", 1)
    if call.get("bad_id"):
        records.add().trace_id = b"ab"
    return export.SerializeToString()

def said(error):
    for name, value in error.trailing_metadata() or ():
        if name == "grpc-status-details-bin":
            status = status_pb2.Status.FromString(value)
            assert (status.code, status.message) == (error.code().value[0], error.details()), status
            for detail in status.details:
                info = error_details_pb2.RetryInfo()
                assert detail.Unpack(info), detail
                return info.retry_delay.seconds
    return None

def made(call):
    path, metadata = call.get("path", LOGS), [tuple(pair) for pair in call.get("metadata", [])]
    compression = getattr(grpc.Compression, call.get("compression", "NoCompression"))
    if call.get("n_messages", 1) == 1:
        method = channel.unary_unary(path)
        return method(request(call), timeout=120, metadata=metadata, compression=compression)
    def messages():
        yield from [request(call)] * call["n_messages"]
        if call["n_messages"] == 0 and call.get("waits"):
            threading.Event().wait(90)
    return channel.stream_unary(path)(messages(), timeout=120, metadata=metadata)

ends = []
for call in calls:
    try:
        partial = ExportLogsServiceResponse.FromString(made(call)).partial_success
        ends.append({"code": "OK", "rejected": partial.rejected_log_records, "text": partial.error_message})
    except grpc.RpcError as error:
        ends.append({"code": error.code().name, "text": error.details(), "retry": said(error)})
print(json.dumps(ends), flush=True)
# A generator that waits would keep it.
import os
os._exit(0)
"#;

struct Gateway {
    world: World,
    port: u16,
    python: std::path::PathBuf,
}

impl Gateway {
    fn start(mut world: World) -> Gateway {
        let (http, port) = (free_port().unwrap(), free_port().unwrap());
        world.set("gateway", "listen", format!("127.0.0.1:{http}"));
        world.set("gateway", "otlp_listen", format!("127.0.0.1:{port}"));
        world.set("gateway", "anonymous", "default");
        world.start("gateway", 0).wait_ready();
        Gateway { world, port, python: python() }
    }

    /// How each of `calls` ended; `files` are authority, certificate and key.
    fn call(&self, calls: &Value, files: &[&str]) -> Vec<Value> {
        let (target, calls) = (format!("localhost:{}", self.port), calls.to_string());
        let args = [&[target.as_str(), calls.as_str()][..], files].concat();
        script(&self.python, &self.world.dir, CALLS, &args).as_array().unwrap().clone()
    }

    /// How the call for one line ended.
    fn send(&self, text: &str) -> Value {
        self.call(&json!([{ "texts": [text] }]), &[]).remove(0)
    }

    /// Tenants by the messages in `logs.raw`, each of which must be there once.
    fn taken(&self) -> BTreeMap<String, String> {
        let mut taken = BTreeMap::new();
        for line in self.world.log().raw() {
            let document: Value = serde_json::from_slice(&line.body).unwrap();
            let tenant = String::from_utf8(line.key).unwrap().split('/').next().unwrap().to_owned();
            let text = document["message"].as_str().unwrap_or("none").to_owned();
            assert!(taken.insert(text, tenant).is_none(), "twice: {document}");
        }
        taken
    }
}

fn key(world: &World, tenant: &str, role: &str) -> [String; 2] {
    let said = world.cli_ok(&["key", "create", "--tenant", tenant, "--role", role, "--format", "json"]);
    let said: Value = serde_json::from_slice(&said).unwrap();
    ["authorization".to_owned(), format!("Bearer {}", said["key"].as_str().unwrap())]
}

#[test]
fn every_call_ends_as_grpc_says() {
    let mut world = World::with_own_broker("grpc");
    world.apply_topics();
    for tenant in ["acme", "small"] {
        world.cli_ok(&["tenant", "create", tenant]);
    }
    let (ingest, read) = (key(&world, "acme", "ingest"), key(&world, "acme", "read"));
    let small = key(&world, "small", "ingest");
    let quotas = "small = { bytes_per_second = 1, burst_bytes = 1000 }".parse::<toml::Table>().unwrap();
    world.set("gateway", "quotas", quotas);
    world.set("gateway", "max_body_mib", 1);
    world.set("gateway", "client_timeout_seconds", 5);
    let mut gateway = Gateway::start(world);
    let by_key = [&ingest[1]["Bearer ".len()..]].map(|key| ["x-api-key", key]);
    let org = |own: &[String; 2], tenant: &str| json!([own, ["x-scope-orgid", tenant]]);
    let cases = [
        (json!({"texts": ["plain"]}), "OK"),
        (json!({"texts": ["gzip"], "repeat": 9_000, "compression": "Gzip"}), "OK"),
        (json!({"texts": ["deflate"], "repeat": 9_000, "compression": "Deflate"}), "OK"),
        (json!({"texts": []}), "OK"),
        (json!({"texts": ["key"], "metadata": [ingest]}), "OK"),
        (json!({"texts": ["x-api-key"], "metadata": by_key}), "OK"),
        (json!({"texts": ["org"], "metadata": org(&ingest, "acme")}), "OK"),
        (json!({"texts": ["partial"], "bad_id": true}), "OK"),
        (json!({"texts": ["no"], "metadata": org(&ingest, "other")}), "PERMISSION_DENIED"),
        (json!({"texts": ["no"], "metadata": [read]}), "PERMISSION_DENIED"),
        (json!({"texts": ["no"], "metadata": [["authorization", "Bearer wrong"]]}), "UNAUTHENTICATED"),
        (json!({"texts": ["no"], "metadata": [["x-scope-orgid", "NO"]]}), "INVALID_ARGUMENT"),
        (json!({"raw": "junk"}), "INVALID_ARGUMENT"),
        (json!({"texts": ["no"], "n_messages": 2}), "INVALID_ARGUMENT"),
        (json!({"texts": ["no"], "n_messages": 0}), "INVALID_ARGUMENT"),
        (json!({"texts": ["no"], "n_messages": 0, "waits": true}), "DEADLINE_EXCEEDED"),
        (json!({"texts": ["no"], "repeat": 1 << 20}), "RESOURCE_EXHAUSTED"),
        (json!({"texts": ["no"], "repeat": 1 << 20, "compression": "Gzip"}), "RESOURCE_EXHAUSTED"),
        (json!({"texts": ["s".repeat(900)], "metadata": [small]}), "OK"),
        (json!({"texts": ["t".repeat(900)], "metadata": [small]}), "RESOURCE_EXHAUSTED"),
        (
            json!({"raw": "", "path": "/opentelemetry.proto.collector.trace.v1.TraceService/Export"}),
            "UNIMPLEMENTED",
        ),
        (
            json!({"raw": "", "path": "/opentelemetry.proto.collector.logs.v1.LogsService/Import"}),
            "UNIMPLEMENTED",
        ),
        (json!({"texts": ["last"]}), "OK"),
    ];
    let calls: Vec<&Value> = cases.iter().map(|(call, _)| call).collect();
    let ends = gateway.call(&json!(calls), &[]);
    for ((call, code), end) in cases.iter().zip(&ends) {
        let call: String = call.to_string().chars().take(200).collect();
        assert_eq!(end["code"], *code, "{call}: {end}");
    }
    let end = |code: &str, text: &str| {
        let found =
            ends.iter().find(|end| end["code"] == code && end["text"].as_str().unwrap().contains(text));
        found.unwrap_or_else(|| panic!("none ended with {code} {text:?}: {ends:?}"))
    };
    assert_eq!(end("OK", "traceId")["rejected"], 1);
    assert_eq!(end("RESOURCE_EXHAUSTED", "smaller requests")["retry"], Value::Null, "it never passes");
    let wait = end("RESOURCE_EXHAUSTED", "the quota of this tenant")["retry"].as_u64().unwrap();
    assert!((2..=900).contains(&wait), "after {wait} s");

    // While Kafka is away calls are told to come again, and nothing of them is taken.
    gateway.world.cluster.broker().kill();
    until("the gateway refuses", Duration::from_secs(120), || {
        let end = gateway.send("away");
        if end["code"] == "UNAVAILABLE" && end["retry"].is_u64() { Ok(()) } else { Err(end) }
    });
    gateway.world.cluster.broker().restart().unwrap();
    let mut n_asked = 0;
    until("the gateway takes lines again", Duration::from_secs(120), || {
        n_asked += 1;
        let end = gateway.send(&format!("after {n_asked}"));
        if end["code"] == "OK" { Ok(()) } else { Err(end) }
    });
    let taken = gateway.taken();
    let of = |text: &str| taken.get(text).map(String::as_str);
    for (text, tenant) in [
        ("plain", "default"),
        ("partial", "default"),
        ("last", "default"),
        ("key", "acme"),
        ("x-api-key", "acme"),
        ("org", "acme"),
    ] {
        assert_eq!(of(text), Some(tenant), "{text}");
    }
    assert_eq!(of(&"s".repeat(900)), Some("small"));
    assert_eq!([of(&"gzip".repeat(9_000)), of(&"deflate".repeat(9_000))], [Some("default"); 2]);
    assert_eq!(of(&format!("after {n_asked}")), Some("default"));
    assert!(!taken.keys().any(|text| text.starts_with("no") || text == "away" || text.starts_with('t')));

    // A connection that says nothing is closed.
    let mut silent = TcpStream::connect(("127.0.0.1", gateway.port)).unwrap();
    silent.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    let mut said = Vec::new();
    silent.read_to_end(&mut said).unwrap();
    gateway.world.stop();
}

#[test]
fn a_certificate_is_a_key_of_grpc_too() {
    let mut world = World::new("grpc-tls");
    world.apply_topics();
    let (authority, clients) = (Authority::new(), Authority::new());
    let file = |name: &str, text: &str| {
        let path = world.dir.join(name);
        fs::write(&path, text).unwrap();
        path.display().to_string()
    };
    let both = |name: &str, own: crate::harness::tls::Identity| {
        [file(&format!("{name}.pem"), &own.certificate), file(&format!("{name}.key"), &own.key)]
    };
    let [certificate, key] = both("gateway", authority.sign("gateway"));
    let (ca, client_ca) = (file("ca.pem", &authority.pem()), file("clients.pem", &clients.pem()));
    let (web, stranger) = (both("web", clients.sign("web")), both("other", clients.sign("other")));
    let forged = both("forged", Authority::new().sign("web"));
    let other_ca = file("other-ca.pem", &Authority::new().pem());
    let tls = format!(
        "certificate = {certificate:?}\nkey = {key:?}\nclient_ca = {client_ca:?}\nclient_required = false\ntenants = {{ web = \"acme\" }}\n"
    );
    world.set("gateway", "syslog_tls_listen", "off");
    world.set("gateway", "tls", tls.parse::<toml::Table>().unwrap());
    let mut gateway = Gateway::start(world);
    for (text, own, code) in [
        ("by certificate", &[&ca, &web[0], &web[1]][..], "OK"),
        ("by nobody", &[&ca], "OK"),
        ("by a stranger", &[&ca, &stranger[0], &stranger[1]], "PERMISSION_DENIED"),
        ("forged", &[&ca, &forged[0], &forged[1]], "UNAVAILABLE"),
        ("untrusting", &[&other_ca], "UNAVAILABLE"),
        ("plain", &[], "UNAVAILABLE"),
    ] {
        let files: Vec<&str> = own.iter().map(|file| file.as_str()).collect();
        let end = gateway.call(&json!([{ "texts": [text] }]), &files).remove(0);
        assert_eq!(end["code"], code, "{text}: {end}");
    }
    let wanted = [("by certificate", "acme"), ("by nobody", "default")];
    assert_eq!(gateway.taken(), wanted.map(|(text, tenant)| (text.to_owned(), tenant.to_owned())).into());
    gateway.world.stop();
}
