//! TLS: a certificate is changed under load and no request notices; clients are known by theirs; forwarders and syslog come
//! by TLS, too.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use millrace_kafka_local::free_port;

use crate::harness::tls::{Authority, Connection};
use crate::harness::{World, until};

struct Gateway {
    port: u16,
    syslog: u16,
    authority: Authority,
    certificate: PathBuf,
    key: PathBuf,
}

/// Starts a gateway whose certificate is `name`'s; clients' are vouched for by `clients`.
fn gateway(world: &mut World, name: &str, clients: &Authority) -> Gateway {
    let authority = Authority::new();
    let path = |name: &str| world.dir.join(name);
    let (certificate, key, ca) = (path("gateway.pem"), path("gateway.key"), path("clients.pem"));
    authority.sign(name).install(&certificate, &key);
    fs::write(&ca, clients.pem()).unwrap();
    let text = format!(
        "certificate = {certificate:?}\nkey = {key:?}\nclient_ca = {ca:?}\nclient_required = false\ntenants = {{ web = \"acme\" }}\n"
    );
    let (port, syslog) = (free_port().unwrap(), free_port().unwrap());
    world.set("gateway", "listen", format!("127.0.0.1:{port}"));
    world.set("gateway", "anonymous", "default");
    world.set("gateway", "syslog_tls_listen", format!("127.0.0.1:{syslog}"));
    world.set("gateway", "tls", text.parse::<toml::Table>().unwrap());
    world.start("gateway", 0).wait_ready();
    Gateway { port, syslog, authority, certificate, key }
}

/// How often each line is in `logs.raw`, by tenant.
fn counted(world: &World) -> BTreeMap<(String, String), usize> {
    let mut counts = BTreeMap::new();
    for line in world.log().raw() {
        let key = String::from_utf8(line.key).unwrap();
        let tenant = key.split('/').next().unwrap().to_owned();
        *counts.entry((tenant, String::from_utf8(line.body).unwrap())).or_default() += 1;
    }
    counts
}

struct Ending<'a>(&'a AtomicBool);

impl Drop for Ending<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

#[test]
fn a_certificate_is_changed_under_load_and_no_request_notices() {
    const CLIENTS: usize = 3;
    let mut world = World::new("tls-change");
    world.apply_topics();
    let gateway = gateway(&mut world, "first", &Authority::new());
    let second = gateway.authority.sign("second");
    let (done, sent) = (AtomicBool::new(false), [const { AtomicUsize::new(0) }; CLIENTS + 1]);
    let all_sent = |n: usize| {
        until("every client goes on", Duration::from_secs(120), || {
            match sent.iter().map(|own| own.load(Ordering::Relaxed)).min() {
                Some(least) if least >= n => Ok(()),
                least => Err(format!("{least:?}")),
            }
        });
    };
    let open = || Connection::open(gateway.port, &gateway.authority, None).unwrap();
    std::thread::scope(|scope| {
        let (done, open) = (&done, &open);
        // However this ends, the clients do, too.
        let _ending = Ending(done);
        for (client, sent) in sent.iter().enumerate() {
            scope.spawn(move || {
                // One connection for all, but for the last client: that one opens one for each.
                let mut kept = open();
                while !done.load(Ordering::Relaxed) {
                    let line = format!("{client}-{}", sent.load(Ordering::Relaxed));
                    let mut fresh = (client == CLIENTS).then(open);
                    let connection = fresh.as_mut().unwrap_or(&mut kept);
                    assert_eq!(connection.post("/v1/logs/web?host=h", &line).unwrap(), 200, "{line}");
                    sent.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
        all_sent(10);
        second.install(&gateway.certificate, &gateway.key);
        until("new connections see the new certificate", Duration::from_secs(60), || {
            if open().server() == second.der() { Ok(()) } else { Err("the former one") }
        });
        let so_far = sent.iter().map(|own| own.load(Ordering::Relaxed)).max().unwrap();
        all_sent(so_far + 10);
    });
    let mut wanted = BTreeMap::new();
    for (client, sent) in sent.iter().enumerate() {
        let lines = (0..sent.load(Ordering::Relaxed)).map(|number| format!("{client}-{number}"));
        wanted.extend(lines.map(|line| (("default".to_owned(), line), 1)));
    }
    assert_eq!(counted(&world), wanted);
    world.stop();
}

#[test]
fn clients_are_known_by_their_certificates() {
    let mut world = World::new("tls-clients");
    world.apply_topics();
    let clients = Authority::new();
    let gateway = gateway(&mut world, "gateway", &clients);
    let (web, stranger, forged) = (clients.sign("web"), clients.sign("other"), Authority::new().sign("web"));
    let post = |own, target: &str, line: &str| {
        Connection::open(gateway.port, &gateway.authority, own)?.post(target, line)
    };
    let target = "/v1/logs/web?host=h";
    assert_eq!(post(Some(&web), target, "by certificate").unwrap(), 200);
    assert_eq!(post(Some(&web), "/v1/logs/web?tenant=default", "x").unwrap(), 403);
    assert_eq!(post(Some(&stranger), target, "x").unwrap(), 403);
    assert_eq!(post(None, target, "by nobody").unwrap(), 200);
    assert!(post(Some(&forged), target, "x").is_err(), "a certificate of another authority was taken");
    let untrusting = Connection::open(gateway.port, &Authority::new(), None);
    assert!(untrusting.is_err(), "a client trusts whom its authority does not know");

    let syslog = |own, text: &str| {
        let mut connection = Connection::open(gateway.syslog, &gateway.authority, own)?;
        connection.send(text.as_bytes())?;
        connection.end()
    };
    syslog(Some(&web), "<13>h app: syslog of acme\n").unwrap();
    syslog(None, "28 <13>h app: syslog of default").unwrap();
    // The first learns too late that it is refused to be told; what it sent is not taken.
    drop(syslog(Some(&forged), "<13>h app: forged\n"));
    drop(syslog(Some(&stranger), "<13>h app: stranger\n"));

    let ca = world.dir.join("authority.pem");
    fs::write(&ca, gateway.authority.pem()).unwrap();
    world.set("upstream", "url", format!("https://localhost:{}", gateway.port));
    world.set("upstream", "ca_file", ca.display().to_string());
    let logs = world.forward_with("web1", |forward| {
        forward.insert("output".to_owned(), "http".into());
    });
    fs::write(logs.join("a.log"), "by a forwarder\n").unwrap();

    let wanted = [
        ("acme", "<13>h app: syslog of acme"),
        ("acme", "by certificate"),
        ("default", "<13>h app: syslog of default"),
        ("default", "by a forwarder"),
        ("default", "by nobody"),
    ];
    let wanted: BTreeMap<_, _> =
        wanted.map(|(tenant, line)| ((tenant.to_owned(), line.to_owned()), 1)).into();
    until("all that may come has come", Duration::from_secs(120), || match counted(&world) {
        counts if counts.len() >= wanted.len() => Ok(()),
        counts => Err(format!("{counts:?}")),
    });
    assert_eq!(counted(&world), wanted);
    world.stop();
}
