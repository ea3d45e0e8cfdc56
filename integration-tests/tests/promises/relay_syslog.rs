//! Syslog at a relay: what it has on disk outlives it, for the tenant of the listener or of the certificate.

use std::collections::BTreeMap;
use std::net::UdpSocket;

use millrace_kafka_local::free_port;
use toml::Table;

use crate::harness::tls::{Authority, Connection};
use crate::harness::{World, until};
use crate::relay_site::{WAIT, centre, relay, set};

#[test]
fn syslog_by_udp_and_tls_survives_a_relay_that_is_killed() {
    const N: usize = 30;
    let mut world = World::new("relay-syslog");
    world.apply_topics();
    let centre = centre(&mut world);
    world.cli_ok(&["tenant", "create", "acme"]);
    let own = ["key", "create", "--format", "json", "--tenant", "acme", "--role", "ingest"];
    let made: serde_json::Value = serde_json::from_slice(&world.cli_ok(&own)).unwrap();
    let path = |name: &str| world.dir.join(name);
    std::fs::write(path("acme.key"), made["key"].as_str().unwrap()).unwrap();
    let (authority, clients) = (Authority::new(), Authority::new());
    let (certificate, key, ca) = (path("relay.pem"), path("relay-key.pem"), path("clients.pem"));
    authority.sign("relay").install(&certificate, &key);
    std::fs::write(&ca, clients.pem()).unwrap();
    let tls = format!(
        "certificate = {certificate:?}\nkey = {key:?}\nclient_ca = {ca:?}\ntenants = {{ web = \"acme\" }}\n"
    );
    let key_files = format!("acme = {:?}", path("acme.key"));
    let [plain, secured] = [(); 2].map(|()| free_port().unwrap());
    relay(&mut world, centre, |config| {
        set(config, "gateway", "syslog_listen", format!("127.0.0.1:{plain}"));
        set(config, "gateway", "syslog_tls_listen", format!("127.0.0.1:{secured}"));
        set(config, "gateway", "tls", tls.parse::<Table>().unwrap());
        set(config, "upstream", "key_files", key_files.parse::<Table>().unwrap());
    });
    world.service("gateway-0").kill();

    let message = |by: &str, n: usize| format!("<13>1 2026-01-31T23:59:00Z {by} app - - - {by} {n}");
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    for n in 0..N {
        socket.send_to(message("udp", n).as_bytes(), ("127.0.0.1", plain)).unwrap();
    }
    let mut connection = Connection::open(secured, &authority, Some(&clients.sign("web"))).unwrap();
    for n in 0..N {
        // Counted and ended by a line feed by turns.
        let text = message("tls", n);
        let framed = if n % 2 == 0 { format!("{} {text}", text.len()) } else { format!("{text}\n") };
        connection.send(framed.as_bytes()).unwrap();
    }
    let forged = Authority::new().sign("web");
    let refused = Connection::open(secured, &authority, Some(&forged)).and_then(|mut own| {
        own.send(b"<13>forged\n")?;
        own.end()
    });
    drop(refused);
    until("all is on the relay's disk", WAIT, || {
        world.check();
        match world.service("relay").metric("millrace_records_total", "stage=\"gateway\"") as usize {
            n if n == 2 * N => Ok(()),
            n => Err(format!("{n} messages")),
        }
    });
    world.service("relay").kill();
    drop(connection);
    world.service("gateway-0").start();
    world.service("relay").start();

    let counted = || {
        let mut counts = BTreeMap::new();
        for line in world.log().raw() {
            let [key, body] = [line.key, line.body].map(|bytes| String::from_utf8(bytes).unwrap());
            *counts.entry((key, body)).or_default() += 1;
        }
        counts
    };
    let keys = [("default/udp", "udp"), ("acme/tls", "tls")];
    let wanted: BTreeMap<(String, String), usize> =
        keys.iter().flat_map(|(key, by)| (0..N).map(|n| (((*key).to_owned(), message(by, n)), 1))).collect();
    until("every message is at the centre", WAIT, || match counted() {
        found if found.len() >= wanted.len() => Ok(()),
        found => Err(format!("{} of {}", found.len(), wanted.len())),
    });
    assert_eq!(counted(), wanted);
    world.stop();
}
