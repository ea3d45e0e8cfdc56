//! What only a relay needs: keys of its own, and that it fits what it sends to. `gateway.output = "http"`.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::time::UNIX_EPOCH;

use millrace_schemas::access::{KeyEntry, Role, Streams};
use millrace_schemas::id::valid_id;

use super::{GatewayConfig, Output, UpstreamConfig, raw};

/// Longest host that a batch may bear.
const MAX_HOST: usize = 255;
/// Bodies of the largest size that the spool must hold: a request becomes several times its size.
const BODIES: u64 = 8;
/// Largest body: what becomes of it is one append.
const MAX_BODY: usize = 128 << 20;

/// The keys, by their ids. `fault` takes a path and what is wrong with it.
pub(super) fn keys(
    raw: BTreeMap<String, raw::Key>,
    fault: &mut dyn FnMut(&str, String),
) -> BTreeMap<String, KeyEntry> {
    let mut keys = BTreeMap::new();
    for (id, raw) in raw {
        let path = |name: &str| format!("gateway.keys.{id}{name}");
        if !KeyEntry::is_id(&id) {
            fault(&path(""), "is no id of a key: the 16 digits between its underscores".to_owned());
        }
        if !valid_id(&raw.tenant) {
            fault(&path(".tenant"), format!("{:?} is not a tenant id, [a-z0-9-]{{1,64}}", raw.tenant));
        }
        if !KeyEntry::is_hash(&raw.hash) {
            let reason = "is no hash of a key; `millrace key create --relay FILE` writes it".to_owned();
            fault(&path(".hash"), reason);
        }
        let named = raw.roles.unwrap_or_else(|| vec![Role::Ingest.name().to_owned()]);
        let roles: Vec<Role> = named.iter().filter_map(|name| Role::named(name)).collect();
        if roles.is_empty() || roles.len() < named.len() {
            fault(&path(".roles"), format!("{named:?} are not of \"ingest\", \"read\" and \"admin\""));
        }
        let expires = raw.expires.map(|text| {
            let time =
                humantime::parse_rfc3339_weak(&text).ok().and_then(|at| at.duration_since(UNIX_EPOCH).ok());
            let reason = || format!("{text:?} is no time like \"2027-01-31T00:00:00Z\"");
            time.map(|time| time.as_micros() as i64).unwrap_or_else(|| {
                fault(&path(".expires"), reason());
                0
            })
        });
        let entry = KeyEntry {
            tenant: raw.tenant,
            roles,
            hash: raw.hash,
            created: 0,
            expires,
            revoked: None,
            note: None,
            // There are no records of streams to go by.
            streams: Streams::Any,
        };
        keys.insert(id, entry);
    }
    keys
}

/// Whether a relay can send as it is told to; of another gateway, that it has nothing of a relay's.
pub(super) fn check(
    gateway: &GatewayConfig,
    upstream: &UpstreamConfig,
    host: &str,
    fault: &mut dyn FnMut(&str, String),
) {
    if gateway.output == Output::Kafka {
        if !gateway.keys.is_empty() {
            let reason = "are a relay's; `millrace key create` makes those of a gateway that writes to Kafka";
            fault("gateway.keys", reason.to_owned());
        }
        return;
    }
    if is_own(&upstream.url, &gateway.listen) {
        let reason = format!("{:?} is this gateway itself; name the one that it sends to", upstream.url);
        fault("upstream.url", reason);
    }
    if upstream.spool_bytes < BODIES * gateway.max_body_bytes as u64 {
        let least = (BODIES * gateway.max_body_bytes as u64) >> 20;
        fault("upstream.spool_mib", format!("is less than {least}, {BODIES} times gateway.max_body_mib"));
    }
    if gateway.max_body_bytes > MAX_BODY {
        fault("gateway.max_body_mib", format!("is not in 1..={}, which a relay takes", MAX_BODY >> 20));
    }
    if host.len() > MAX_HOST || host.contains(char::is_control) {
        let reason = format!("{host:?} is longer than {MAX_HOST} bytes or has control characters");
        fault("forward.host", reason);
    }
}

/// Whether `url` leads to `listen`, as far as can be told without asking.
fn is_own(url: &str, listen: &str) -> bool {
    let (Ok(url), Ok(listen)) = (url::Url::parse(url), listen.parse::<SocketAddr>()) else { return false };
    let ip = match url.host() {
        Some(url::Host::Ipv4(ip)) => IpAddr::V4(ip),
        Some(url::Host::Ipv6(ip)) => IpAddr::V6(ip),
        Some(url::Host::Domain("localhost")) => IpAddr::from([127, 0, 0, 1]),
        _ => return false,
    };
    let everywhere = listen.ip().is_unspecified() && ip.is_loopback();
    url.port_or_known_default() == Some(listen.port()) && (ip == listen.ip() || everywhere)
}

#[cfg(test)]
mod tests {
    use super::super::Config;
    use super::*;

    fn load(text: &str) -> Result<Config, Vec<String>> {
        let tree: toml::Table = text.parse().unwrap();
        Config::load_with(None, std::iter::empty(), |own| *own = tree).map_err(|error| error.faults)
    }

    fn paths(text: &str) -> Vec<String> {
        let faults = load(text).unwrap_err();
        faults.iter().filter_map(|fault| Some(fault.split_once(": ")?.0.to_owned())).collect()
    }

    #[test]
    fn all_faults_of_a_relay_are_named_at_once() {
        let text = "[upstream]\nurl = \"http://localhost:8080\"\nspool_mib = 64\n[gateway]\noutput = \"http\"\n\
                    [gateway.keys.xyz]\ntenant = \"A\"\nroles = [\"write\"]\nexpires = \"soon\"\n";
        let wanted =
            ["", ".tenant", ".hash", ".roles", ".expires"].map(|name| format!("gateway.keys.xyz{name}"));
        let wanted = wanted.into_iter().chain(["upstream.url".to_owned(), "upstream.spool_mib".to_owned()]);
        assert_eq!(paths(text), wanted.collect::<Vec<_>>());
        assert_eq!(paths("[gateway]\noutput = \"udp\"\n"), ["gateway.output"]);
    }

    #[test]
    fn keys_are_a_relays_alone() {
        let key =
            format!("[gateway.keys.1f0c6a2b9d3e4f58]\ntenant = \"acme\"\nhash = \"{}\"\n", "0f".repeat(32));
        assert_eq!(paths(&key), ["gateway.keys"]);
        let relay = format!("[upstream]\nurl = \"http://centre:8080\"\n[gateway]\noutput = \"http\"\n{key}");
        let config = load(&format!("{relay}expires = \"1970-01-01T00:00:01Z\"\n")).unwrap().gateway;
        let own = &config.keys["1f0c6a2b9d3e4f58"];
        assert_eq!(
            (own.tenant.as_str(), own.roles.as_slice(), own.expires),
            ("acme", &[Role::Ingest][..], Some(1_000_000))
        );
        assert_eq!(config.output, Output::Http);
    }

    #[test]
    fn a_relay_does_not_send_to_itself() {
        for (url, listen, own) in [
            ("http://127.0.0.1:8080", "127.0.0.1:8080", true),
            ("http://127.0.0.1:8080/x", "0.0.0.0:8080", true),
            ("http://127.0.0.1", "127.0.0.1:80", true),
            ("https://[::1]:8080", "[::]:8080", true),
            ("http://127.0.0.1:8081", "127.0.0.1:8080", false),
            ("http://10.0.0.1:8080", "0.0.0.0:8080", false),
            ("http://logs.example.org:8080", "0.0.0.0:8080", false),
        ] {
            assert_eq!(is_own(url, listen), own, "{url} {listen}");
        }
    }
}
