//! Real children: they answer, last over a restart, and never outlive their parent.

#![allow(clippy::expect_used)]

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use millrace_kafka_local::{
    Broker, BrokerOptions, Error, FetchOptions, Jars, Registry, RegistryOptions, free_port,
};

fn jars() -> Jars {
    Jars::fetch(&mut |line| eprintln!("{line}")).expect("jars")
}

fn broker_options(dir: &Path) -> BrokerOptions {
    BrokerOptions::new(dir.join("kafka"), dir.join("log"))
}

fn registry_options(dir: &Path) -> RegistryOptions {
    RegistryOptions::new(dir.join("registry"), dir.join("log"))
}

fn wait_until(what: &str, mut holds: impl FnMut() -> bool) {
    let start = Instant::now();
    while !holds() {
        assert!(start.elapsed() < Duration::from_secs(20), "still not: {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Gone, or dead and waiting to be reaped by whoever inherited it.
fn is_dead(pid: u32) -> bool {
    match fs::read_to_string(format!("/proc/{pid}/stat")) {
        Ok(stat) => stat.rsplit(") ").next().is_some_and(|fields| fields.starts_with('Z')),
        Err(_) => true,
    }
}

/// Registers a schema and returns the answer's body, an object with its id.
fn register(registry: &Registry, subject: &str) -> String {
    let body = format!(r#"{{"schema":"{{\"type\":\"fixed\",\"size\":4,\"name\":\"{subject}\"}}"}}"#);
    let mut stream = TcpStream::connect(("127.0.0.1", registry.port())).expect("connect");
    write!(
        stream,
        "POST /apis/ccompat/v7/subjects/{subject}/versions HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\
         Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )
    .expect("send");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("read");
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    answer.split("\r\n\r\n").nth(1).expect("a body").to_owned()
}

#[test]
fn broker_keeps_cluster_and_ports_over_stop_and_kill() {
    let dir = tempfile::tempdir().expect("dir");
    let start = Instant::now();
    let mut broker = Broker::start(&jars(), broker_options(dir.path())).expect("first start");
    println!("first start with formatting: {:.2?}", start.elapsed());
    let (cluster, address, pid) = (broker.cluster_id().to_owned(), broker.address(), broker.pid());
    assert_eq!(cluster.len(), 22);
    TcpStream::connect(&address).expect("clients connect");
    TcpStream::connect(broker.direct_address()).expect("direct clients connect");

    broker.stop();
    assert!(is_dead(pid));
    assert!(broker.check().is_err(), "a stopped child does not run");
    TcpStream::connect(&address).expect_err("nobody listens after a stop");

    let start = Instant::now();
    broker.restart().expect("restart after a stop");
    println!("restart: {:.2?}", start.elapsed());
    broker.check().expect("runs");
    broker.kill();
    broker.restart().expect("restart after a kill");
    assert_eq!((broker.cluster_id(), broker.address()), (cluster.as_str(), address));
    drop(broker);

    let stored = fs::read_to_string(dir.path().join("kafka/controller.port")).expect("stored port");
    let _taken = TcpListener::bind(format!("127.0.0.1:{stored}")).expect("take the controller's port");
    let again = Broker::start(&jars(), broker_options(dir.path())).expect("another start on the same folder");
    assert_eq!(again.cluster_id(), cluster);
}

#[test]
fn advertised_port_is_what_clients_are_told() {
    let dir = tempfile::tempdir().expect("dir");
    let proxy = free_port().expect("port");
    let mut options = broker_options(dir.path());
    options.advertised_port = Some(proxy);
    let broker = Broker::start(&jars(), options).expect("start");
    assert_eq!(broker.address(), format!("127.0.0.1:{proxy}"));
    assert_ne!(broker.listen_address(), broker.address());
    TcpStream::connect(broker.address()).expect_err("the proxy's port is left to the proxy");
    TcpStream::connect(broker.listen_address()).expect("the broker listens");
}

#[test]
fn registry_ids_last_over_a_kill() {
    let dir = tempfile::tempdir().expect("dir");
    let start = Instant::now();
    let mut registry = Registry::start(&jars(), registry_options(dir.path())).expect("start");
    println!("registry start: {:.2?}", start.elapsed());
    let url = registry.url();
    let first = register(&registry, "first");
    let second = register(&registry, "second");
    registry.kill();
    registry.restart().expect("restart");
    assert_eq!(registry.url(), url);
    assert_eq!(register(&registry, "second"), second);
    assert_eq!(register(&registry, "first"), first);
    assert_ne!(register(&registry, "third"), second);
}

#[test]
fn no_child_outlives_a_killed_parent() {
    let dir = tempfile::tempdir().expect("dir");
    jars();
    let test = std::env::current_exe().expect("path of this test");
    let helper = test.ancestors().nth(2).expect("target folder").join("examples/run");
    let mut parent = Command::new(helper)
        .arg(dir.path())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("helper");
    let lines = BufReader::new(parent.stdout.take().expect("output")).lines().map_while(Result::ok);
    let pids: Vec<u32> = lines
        .take(2)
        .map(|line| line.split(' ').nth(3).and_then(|pid| pid.parse().ok()).expect("`… process PID …`"))
        .collect();
    assert_eq!(pids.len(), 2);
    assert!(pids.iter().all(|pid| !is_dead(*pid)));

    parent.kill().expect("SIGKILL");
    parent.wait().expect("gone");
    wait_until("every child is dead", || pids.iter().all(|pid| is_dead(*pid)));
}

#[test]
fn taken_port_is_named_with_its_owner() {
    let dir = tempfile::tempdir().expect("dir");
    let listener = TcpListener::bind("127.0.0.1:0").expect("listen");
    let port = listener.local_addr().expect("address").port();
    let me = format!("process {}", std::process::id());

    let mut options = broker_options(dir.path());
    options.port = Some(port);
    let of_broker = Broker::start(&jars(), options).expect_err("port is taken").to_string();
    let mut options = registry_options(dir.path());
    options.port = Some(port);
    let of_registry = Registry::start(&jars(), options).expect_err("port is taken").to_string();
    for text in [of_broker, of_registry] {
        assert!(text.contains(&format!("127.0.0.1:{port}")) && text.contains(&me), "{text}");
    }
}

#[test]
fn early_exit_shows_the_log() {
    let dir = tempfile::tempdir().expect("dir");
    let mut broker = Broker::start(&jars(), broker_options(dir.path())).expect("start");
    broker.stop();
    let mut options = broker_options(dir.path());
    options.properties.push(("log.cleaner.threads".to_owned(), "many".to_owned()));
    let start = Instant::now();
    let error = Broker::start(&jars(), options).expect_err("not a number");
    assert!(start.elapsed() < Duration::from_secs(30), "the exit is seen before the deadline");
    let text = error.to_string();
    assert!(matches!(error, Error::Exited { .. }), "{text}");
    assert!(text.contains("log.cleaner.threads") && text.contains("kafka.log"), "{text}");
}

#[test]
fn missing_programs_are_named_with_what_to_install() {
    let dir = tempfile::tempdir().expect("dir");
    let fetch = |search_path: &Path| {
        let options = FetchOptions {
            cache_dir: dir.path().join("cache"),
            search_path: search_path.into(),
            java_home: None,
        };
        Jars::fetch_with(&options, &mut |_| ()).expect_err("nothing to run").to_string()
    };
    let empty = dir.path().join("empty");
    fs::create_dir(&empty).expect("folder");
    let text = fetch(&empty);
    for part in ["`java`", "empty", "openjdk-17-jre-headless", "running broker"] {
        assert!(text.contains(part), "{part} is missing in: {text}");
    }

    let only_java = dir.path().join("only-java");
    fs::create_dir(&only_java).expect("folder");
    std::os::unix::fs::symlink(jars().java(), only_java.join("java")).expect("link");
    let text = fetch(&only_java);
    for part in ["`mvn`", "only-java", "apt-get install maven"] {
        assert!(text.contains(part), "{part} is missing in: {text}");
    }
}

#[test]
fn the_first_child_that_is_stopped_leaves_its_classes_to_the_next() {
    let dir = tempfile::tempdir().expect("dir");
    let cached = jars().dir().to_owned();
    let own = dir.path().join("cache/kafka-local").join(cached.file_name().expect("name"));
    fs::create_dir_all(&own).expect("folder");
    for entry in fs::read_dir(&cached).expect("jars").map(|entry| entry.expect("entry")) {
        if entry.path().is_dir() {
            std::os::unix::fs::symlink(entry.path(), own.join(entry.file_name())).expect("link");
        }
    }
    let options =
        FetchOptions { cache_dir: dir.path().join("cache"), ..FetchOptions::from_env().expect("cache") };
    let jars = Jars::fetch_with(&options, &mut |_| ()).expect("jars");
    let arguments = |registry: &Registry| {
        let bytes = fs::read(format!("/proc/{}/cmdline", registry.pid())).expect("runs");
        String::from_utf8_lossy(&bytes).into_owned()
    };
    let mut killed = Registry::start(&jars, registry_options(dir.path())).expect("start");
    killed.kill();
    let mut first = Registry::start(&jars, registry_options(dir.path())).expect("start without");
    assert!(arguments(&first).contains("ArchiveClassesAtExit"));
    first.stop();
    let second = Registry::start(&jars, registry_options(dir.path())).expect("start with");
    assert!(arguments(&second).contains("SharedArchiveFile"));
    drop(second);
    let partial = fs::read_dir(&own).expect("jars").flatten().map(|entry| entry.path());
    let partial: Vec<_> =
        partial.filter(|path| path.extension().is_some_and(|own| own == "partial")).collect();
    assert!(partial.is_empty(), "{partial:?}");
}
