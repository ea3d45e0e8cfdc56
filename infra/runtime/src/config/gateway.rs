//! The gateway: `[gateway]`.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use millrace_schemas::access::KeyEntry;
use millrace_schemas::id::{valid_id, valid_stream};
use millrace_schemas::quota::{EVERYBODY, Quota};

use super::check::output;
use super::{Output, raw, relay};

/// Where syslog over TLS is taken, where nothing else is said.
const SYSLOG_TLS: &str = "127.0.0.1:6514";

/// The gateway.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GatewayConfig {
    /// Address of HTTP.
    pub listen: String,
    /// Where lines go: Kafka, or as a relay the gateway of [`super::UpstreamConfig`].
    pub output: Output,
    /// Tenant of requests without a key.
    pub anonymous: Option<String>,
    /// Allows `anonymous` on an address that others can reach.
    pub insecure: bool,
    /// Where the query service is reached.
    pub query: String,
    /// Address of syslog, TCP and UDP; `None` turns it off.
    pub syslog_listen: Option<String>,
    /// Address of syslog over TLS; `None` turns it off.
    pub syslog_tls_listen: Option<String>,
    /// Address of OTLP over gRPC; `None` turns it off.
    pub otlp_listen: Option<String>,
    /// TLS of `listen`, `otlp_listen` and `syslog_tls_listen`.
    pub tls: Option<TlsConfig>,
    /// Tenant and stream of syslog.
    pub syslog: (String, String),
    /// Requests that come within this time are committed together.
    pub group_wait: Duration,
    /// Largest body, packed and unpacked.
    pub max_body_bytes: usize,
    /// Bytes of all requests held at once.
    pub max_memory_bytes: usize,
    /// Connections held at once.
    pub max_connections: usize,
    /// Batches (`PUT /v1/batches/…`) that are remembered.
    pub batches_kept: usize,
    /// A client that takes longer to send a request is cut off.
    pub client_timeout: Duration,
    /// Quotas of tenants, where `millrace.control` has none for them; [`EVERYBODY`] is who is not named.
    pub quotas: BTreeMap<String, Quota>,
    /// Keys of a relay, by their ids: it has no `millrace.control` to ask.
    pub keys: BTreeMap<String, KeyEntry>,
}

/// TLS of listeners.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsConfig {
    /// Certificate, with those that lead to its authority, PEM.
    pub certificate: PathBuf,
    /// Its key, PEM.
    pub key: PathBuf,
    /// Authorities of clients' certificates, PEM.
    pub client_ca: Option<PathBuf>,
    /// Whether a client must have one.
    pub client_required: bool,
    /// Tenants by the common name or URI of clients' certificates.
    pub tenants: BTreeMap<String, String>,
}

/// `query` is where the query service listens; `fault` takes a path and what is wrong with it.
pub(super) fn check(raw: raw::Gateway, query: &str, fault: &mut dyn FnMut(&str, String)) -> GatewayConfig {
    let syslog_listen = raw.syslog_listen.unwrap_or_else(|| "off".to_owned());
    let tls = raw.tls.map(|raw| tls(raw, fault));
    let syslog_tls = raw.syslog_tls_listen;
    // With a certificate it is on, unless it is said to be off.
    let syslog_tls = syslog_tls.or_else(|| tls.is_some().then(|| SYSLOG_TLS.to_owned()));
    let quotas = raw.quotas.into_iter().map(|(tenant, raw)| {
        let quota = quota(&raw);
        let path = format!("gateway.quotas.{tenant}");
        if tenant != EVERYBODY && !valid_id(&tenant) {
            fault(&path, "is neither a tenant id, [a-z0-9-]{1,64}, nor \"*\"".to_owned());
        }
        for (name, reason) in quota.faults() {
            fault(&format!("{path}.{name}"), reason);
        }
        (tenant, quota)
    });
    let gateway = GatewayConfig {
        quotas: quotas.collect(),
        output: output("gateway.output", raw.output.as_deref(), fault),
        keys: relay::keys(raw.keys, fault),
        listen: raw.listen.unwrap_or_else(|| "127.0.0.1:8080".to_owned()),
        anonymous: raw.anonymous,
        insecure: raw.insecure.unwrap_or(false),
        query: raw.query.unwrap_or_else(|| query.to_owned()),
        syslog_listen: (syslog_listen != "off").then_some(syslog_listen),
        syslog_tls_listen: syslog_tls.filter(|address| address != "off"),
        otlp_listen: raw.otlp_listen.filter(|address| address != "off"),
        tls,
        syslog: (
            raw.syslog_tenant.unwrap_or_else(|| "default".to_owned()),
            raw.syslog_stream.unwrap_or_else(|| "syslog".to_owned()),
        ),
        group_wait: Duration::from_millis(raw.group_wait_ms.unwrap_or(10)),
        max_body_bytes: raw.max_body_mib.unwrap_or(32) << 20,
        max_memory_bytes: raw.max_memory_mib.unwrap_or(256) << 20,
        max_connections: raw.max_connections.unwrap_or(4_096),
        batches_kept: raw.batches_kept.unwrap_or(100_000),
        client_timeout: Duration::from_secs(raw.client_timeout_seconds.unwrap_or(30)),
    };
    addresses(&gateway, fault);
    bounds(&gateway, fault);
    gateway
}

fn tls(raw: raw::Tls, fault: &mut dyn FnMut(&str, String)) -> TlsConfig {
    for (name, path) in [("certificate", &raw.certificate), ("key", &raw.key)] {
        if path.is_empty() {
            fault(&format!("gateway.tls.{name}"), "is missing: the path of a file in PEM".to_owned());
        }
    }
    if raw.client_ca.is_none() && (raw.client_required.is_some() || !raw.tenants.is_empty()) {
        let reason = "is missing: without it no client's certificate is asked for".to_owned();
        fault("gateway.tls.client_ca", reason);
    }
    for (name, tenant) in raw.tenants.iter().filter(|(_, tenant)| !valid_id(tenant)) {
        let reason = format!("{tenant:?} is not a tenant id, [a-z0-9-]{{1,64}}");
        fault(&format!("gateway.tls.tenants.{name:?}"), reason);
    }
    TlsConfig {
        certificate: raw.certificate.into(),
        key: raw.key.into(),
        client_ca: raw.client_ca.map(PathBuf::from),
        client_required: raw.client_required.unwrap_or(true),
        tenants: raw.tenants,
    }
}

fn quota(raw: &raw::Quota) -> Quota {
    Quota {
        bytes_per_second: raw.bytes_per_second,
        burst_bytes: raw.burst_bytes,
        events_per_second: raw.events_per_second,
        burst_events: raw.burst_events,
        concurrent_requests: raw.concurrent_requests,
        max_body_bytes: raw.max_body_bytes,
        max_line_bytes: raw.max_line_bytes,
        max_streams: raw.max_streams,
    }
}

fn addresses(gateway: &GatewayConfig, fault: &mut dyn FnMut(&str, String)) {
    let address = |text: &str| text.parse::<SocketAddr>();
    let mut open = Vec::new();
    match address(&gateway.listen) {
        Err(_) => fault("gateway.listen", format!("{:?} is not address:port", gateway.listen)),
        Ok(address) => open.push(address),
    }
    match gateway.otlp_listen.as_deref().map(|text| (text, address(text))) {
        Some((text, Err(_))) => {
            fault("gateway.otlp_listen", format!("{text:?} is neither address:port nor \"off\""));
        }
        Some((_, Ok(address))) => open.push(address),
        None => {}
    }
    let reached = open.into_iter().find(|address| !address.ip().is_loopback());
    if let (Some(address), Some(_), false) = (reached, &gateway.anonymous, gateway.insecure) {
        let text =
            format!("{address} can be reached by others; remove anonymous, or set gateway.insecure = true");
        fault("gateway.anonymous", text);
    }
    if gateway.query.rsplit_once(':').and_then(|(_, port)| port.parse::<u16>().ok()).is_none() {
        fault("gateway.query", format!("{:?} is not host:port", gateway.query));
    }
    if gateway.syslog_listen.as_deref().is_some_and(|text| address(text).is_err()) {
        let text = gateway.syslog_listen.as_deref().unwrap_or_default();
        fault("gateway.syslog_listen", format!("{text:?} is neither address:port nor \"off\""));
    }
    match gateway.syslog_tls_listen.as_deref() {
        Some(text) if address(text).is_err() => {
            fault("gateway.syslog_tls_listen", format!("{text:?} is neither address:port nor \"off\""));
        }
        Some(_) if gateway.tls.is_none() => {
            fault("gateway.syslog_tls_listen", "needs gateway.tls: a certificate and a key".to_owned());
        }
        _ => {}
    }
    let (tenant, stream) = &gateway.syslog;
    for (path, tenant) in [("anonymous", gateway.anonymous.as_ref()), ("syslog_tenant", Some(tenant))] {
        if let Some(tenant) = tenant.filter(|tenant| !valid_id(tenant)) {
            fault(&format!("gateway.{path}"), format!("{tenant:?} is not a tenant id, [a-z0-9-]{{1,64}}"));
        }
    }
    if !valid_stream(stream) {
        fault("gateway.syslog_stream", format!("{stream:?} is no name of a stream"));
    }
}

fn bounds(gateway: &GatewayConfig, fault: &mut dyn FnMut(&str, String)) {
    let within = |is: usize, least: usize, most: usize| (least..=most).contains(&is);
    let wait = gateway.group_wait.as_millis() as usize;
    let timeout = gateway.client_timeout.as_secs() as usize;
    for (path, good, bounds) in [
        ("group_wait_ms", within(wait, 0, 1_000), "0..=1000"),
        ("max_body_mib", within(gateway.max_body_bytes >> 20, 1, 1_024), "1..=1024"),
        (
            "max_memory_mib",
            gateway.max_memory_bytes >= 2 * gateway.max_body_bytes,
            "at least twice max_body_mib",
        ),
        ("max_connections", within(gateway.max_connections, 1, 65_536), "1..=65536"),
        ("batches_kept", within(gateway.batches_kept, 1_000, 10_000_000), "1000..=10000000"),
        ("client_timeout_seconds", within(timeout, 1, 3_600), "1..=3600"),
    ] {
        if !good {
            fault(&format!("gateway.{path}"), format!("is not in {bounds}"));
        }
    }
}
