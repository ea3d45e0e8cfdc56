//! Relays and who sends to them: a gateway before Kafka, gateways before that one, senders that know what was taken.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use millrace_kafka_local::free_port;
use millrace_schemas::RawEvent;
use rdkafka::message::Message;
use toml::Table;

use crate::harness::http::{post, put};
use crate::harness::{World, until};

pub(crate) const WAIT: Duration = Duration::from_secs(120);

/// The gateway that writes to Kafka.
pub(crate) fn centre(world: &mut World) -> u16 {
    let port = free_port().unwrap();
    world.set("gateway", "listen", format!("127.0.0.1:{port}"));
    world.set("gateway", "anonymous", "default");
    world.start("gateway", 0).wait_ready();
    port
}

/// A relay before `centre`, with a change to its configuration, which names neither broker nor registry.
pub(crate) fn relay(world: &mut World, centre: u16, change: impl FnOnce(&mut Table)) -> u16 {
    relay_as("relay", world, centre, change)
}

/// The same, one of several.
pub(crate) fn relay_as(name: &str, world: &mut World, centre: u16, change: impl FnOnce(&mut Table)) -> u16 {
    let port = free_port().unwrap();
    let data = world.dir.join(format!("data-{name}"));
    let text = format!(
        "data_dir = \"{}\"\n[kafka]\nbrokers = \"127.0.0.1:1\"\n[forward]\nhost = \"site-1\"\n\
         [gateway]\noutput = \"http\"\nlisten = \"127.0.0.1:{port}\"\nanonymous = \"default\"\n\
         [upstream]\nurl = \"http://127.0.0.1:{centre}\"\n",
        data.display()
    );
    let mut config = text.parse().unwrap();
    change(&mut config);
    world.start_alone(name, "gateway", &config).wait_ready();
    port
}

/// Sets `section.key`.
pub(crate) fn set(config: &mut Table, section: &str, key: &str, value: impl Into<toml::Value>) {
    config[section].as_table_mut().unwrap().insert(key.to_owned(), value.into());
}

/// What a thread sends again and again until each is taken; gives the lines that were.
pub(crate) struct Sender {
    done: Arc<AtomicBool>,
    taken: Arc<Mutex<Vec<String>>>,
    thread: Option<JoinHandle<()>>,
}

impl Sender {
    /// `send` sends the lines of request `number`, and answers with the status.
    fn start(
        name: String,
        send: impl Fn(usize, &[String]) -> std::io::Result<u16> + Send + 'static,
    ) -> Sender {
        let (done, taken) = (Arc::new(AtomicBool::new(false)), Arc::new(Mutex::new(Vec::new())));
        let (stop, own) = (done.clone(), taken.clone());
        let thread = std::thread::spawn(move || {
            for number in 0.. {
                let lines: Vec<String> =
                    (0..20).map(|line| format!("{{\"id\":\"{name}-{number}-{line}\"}}")).collect();
                // Also when it is over: what may be there is there once.
                loop {
                    match send(number, &lines) {
                        Ok(200) => break,
                        Ok(503) | Err(_) => std::thread::sleep(Duration::from_millis(50)),
                        Ok(status) => panic!("{name} got {status}"),
                    }
                }
                own.lock().unwrap().extend(lines);
                if stop.load(Ordering::Relaxed) {
                    return;
                }
            }
        });
        Sender { done, taken, thread: Some(thread) }
    }

    pub(crate) fn n_taken(&self) -> usize {
        self.taken.lock().unwrap().len()
    }

    pub(crate) fn finish(&mut self) -> Vec<String> {
        self.done.store(true, Ordering::Relaxed);
        self.thread.take().unwrap().join().unwrap();
        std::mem::take(&mut self.taken.lock().unwrap())
    }
}

pub(crate) fn post_with_key(port: u16, client: usize) -> Sender {
    Sender::start(format!("post{client}"), move |number, lines| {
        let key = format!("{client}-{number}");
        let headers = [("content-type", "application/x-ndjson"), ("idempotency-key", key.as_str())];
        let target = "/v1/logs/posted?host=own-host";
        post(port, target, &headers, lines.join("\n").as_bytes()).map(|own| own.0)
    })
}

pub(crate) fn put_batches(port: u16) -> Sender {
    Sender::start("put".to_owned(), move |number, lines| {
        let path = format!("/v1/batches/batches/put-host/2026-01-31T23:59Z?source={number}");
        let text: Vec<String> = lines.iter().map(|line| format!("{line}\n")).collect();
        let chunks: Vec<&[u8]> = text.iter().map(|line| line.as_bytes()).collect();
        put(port, &path, &chunks).map(|own| own.0)
    })
}

/// Waits until some more requests of each sender are taken.
pub(crate) fn wait_for_more(world: &mut World, senders: &[Sender], what: &str) {
    for sender in senders {
        let before = sender.n_taken();
        until(what, WAIT, || {
            world.check();
            if sender.n_taken() > before + 200 { Ok(()) } else { Err("few yet") }
        });
    }
}

/// By stream and host: how often each body is there.
type Bodies = BTreeMap<(String, String), BTreeMap<String, u32>>;

/// What is in `logs.raw`.
pub(crate) fn bodies(world: &World) -> Bodies {
    let (log, mut found) = (world.log(), Bodies::new());
    log.read("logs.raw", "read_committed", |message| {
        let raw: RawEvent<'_> = log.codecs().raw().decode(message.payload().unwrap()).unwrap();
        let own = found.entry((raw.stream.to_owned(), raw.host.to_owned())).or_default();
        *own.entry(String::from_utf8_lossy(raw.body).into_owned()).or_default() += 1;
    });
    found
}

/// Holds `raw` against what the senders know to be taken. Lines of batches are there once; requests with a key may be there
/// again, over a kill of the relay, and are dropped by `parse`.
pub(crate) fn assert_arrived(raw: &Bodies, taken: &[Vec<String>]) {
    let of = |stream: &str, host: &str| &raw[&(stream.to_owned(), host.to_owned())];
    let (posted, batches) = (of("posted", "own-host"), of("batches", "put-host"));
    assert_eq!(raw.len(), 2, "lines of other hosts or streams: {:?}", raw.keys());
    let is_lost = |line: &&String| !posted.contains_key(*line) && !batches.contains_key(*line);
    let lost: Vec<&String> = taken.iter().flatten().filter(is_lost).collect();
    assert!(lost.is_empty(), "{} acknowledged lines are lost: {lost:?}", lost.len());
    let twice: BTreeMap<_, _> = batches.iter().filter(|(_, n)| **n != 1).collect();
    assert!(twice.is_empty(), "lines of batches more than once: {twice:?}");
}

/// Every line is parsed or dead, and once.
pub(crate) fn assert_each_once(world: &World, n_lines: u64) {
    let lines = [world.log().parsed(), world.log().dead()].concat();
    let kept: BTreeSet<_> = lines.iter().map(|line| (&line.host, &line.body)).collect();
    assert_eq!(
        (lines.len() as u64, kept.len() as u64),
        (n_lines, n_lines),
        "lines that are parsed or dead, and once"
    );
}
