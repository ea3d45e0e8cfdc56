//! Stands between the transaction coordinator and the log: splits WriteTxnMarkers so that the offsets of a group are
//! committed while the other partitions of the same transaction are not yet.
//!
//! The broker sends the markers to itself over its inter-broker listener, which is made to advertise this port.

use std::collections::BTreeMap;
use std::io;
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use millrace_kafka_local::free_port;

use super::proxy::{receive, send};

const WRITE_TXN_MARKERS: i16 = 27;
const OFFSETS: &str = "__consumer_offsets";

/// What the gate does next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Pass,
    /// The next transaction that has offsets and a partition of the named topic is torn in two.
    Armed,
    /// Offsets are committed, the rest waits.
    Torn,
}

/// Runs as long as the process.
#[derive(Clone)]
pub(crate) struct Markers {
    port: u16,
    shared: Arc<Shared>,
}

struct Shared {
    upstream: Mutex<Option<SocketAddr>>,
    topic: String,
    state: Mutex<State>,
    changed: Condvar,
}

impl Markers {
    /// Listens; transactions that wrote to `topic` can be torn.
    pub(crate) fn listen(topic: &str) -> Markers {
        let listener = TcpListener::bind(("127.0.0.1", free_port().unwrap())).unwrap();
        let port = listener.local_addr().unwrap().port();
        let shared = Arc::new(Shared {
            upstream: Mutex::new(None),
            topic: topic.to_owned(),
            state: Mutex::new(State::Pass),
            changed: Condvar::new(),
        });
        let own = shared.clone();
        std::thread::spawn(move || {
            for broker in listener.incoming().flatten() {
                let shared = own.clone();
                std::thread::spawn(move || {
                    drop(shared.serve(&broker));
                    drop(broker.shutdown(Shutdown::Both));
                });
            }
        });
        Markers { port, shared }
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    pub(crate) fn lead_to(&self, address: &str) {
        *self.shared.upstream.lock().unwrap() = Some(address.parse().unwrap());
    }

    /// Tears the next transaction that fits, and waits until it is torn; false if none came.
    pub(crate) fn tear(&self, deadline: Duration) -> bool {
        let mut state = self.shared.state.lock().unwrap();
        *state = State::Armed;
        let (state, _) =
            self.shared.changed.wait_timeout_while(state, deadline, |own| *own == State::Armed).unwrap();
        *state == State::Torn
    }

    /// Lets the rest through.
    pub(crate) fn release(&self) {
        *self.shared.state.lock().unwrap() = State::Pass;
        self.shared.changed.notify_all();
    }
}

impl Shared {
    fn serve(&self, coordinator: &TcpStream) -> io::Result<()> {
        let upstream = self.upstream.lock().unwrap().ok_or(io::ErrorKind::NotConnected)?;
        let mut broker = TcpStream::connect(upstream)?;
        let mut coordinator = coordinator.try_clone()?;
        loop {
            let request = receive(&mut coordinator)?;
            let answer = match self.split(&request) {
                Some((first, second)) => {
                    let first = ask(&mut broker, &first)?;
                    let mut state = self.state.lock().unwrap();
                    *state = State::Torn;
                    self.changed.notify_all();
                    drop(self.changed.wait_while(state, |own| *own == State::Torn).unwrap());
                    merge(&first, &ask(&mut broker, &second)?)
                }
                None => ask(&mut broker, &request)?,
            };
            send(&mut coordinator, &answer)?;
        }
    }

    /// Two requests: the offsets, and everything else.
    fn split(&self, request: &[u8]) -> Option<(Vec<u8>, Vec<u8>)> {
        if i16::from_be_bytes([request[0], request[1]]) != WRITE_TXN_MARKERS
            || *self.state.lock().unwrap() != State::Armed
        {
            return None;
        }
        let (head, markers) = Reader(request).request();
        let fits = markers.iter().any(|marker| {
            let has = |name: &str| marker.topics.iter().any(|(topic, _)| topic == name);
            marker.committed && has(OFFSETS) && has(&self.topic)
        });
        let part = |offsets: bool| {
            let markers = markers.iter().map(|marker| {
                let topics = marker.topics.iter().filter(|(topic, _)| (topic == OFFSETS) == offsets).cloned();
                Marker { topics: topics.collect(), ..marker.clone() }
            });
            write_request(&head, &markers.filter(|marker| !marker.topics.is_empty()).collect::<Vec<_>>())
        };
        fits.then(|| (part(true), part(false)))
    }
}

fn ask(broker: &mut TcpStream, request: &[u8]) -> io::Result<Vec<u8>> {
    send(broker, request)?;
    receive(broker)
}

#[derive(Clone)]
struct Marker {
    producer: i64,
    epoch: i16,
    committed: bool,
    topics: Vec<(String, Vec<i32>)>,
    coordinator_epoch: i32,
}

/// Reads version 1 of the request and of its answer, which use Kafka's compact forms.
struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn take(&mut self, n: usize) -> &'a [u8] {
        let (taken, rest) = self.0.split_at(n);
        self.0 = rest;
        taken
    }

    fn number<const N: usize>(&mut self) -> [u8; N] {
        self.take(N).try_into().unwrap()
    }

    fn varint(&mut self) -> usize {
        let (mut value, mut shift) = (0, 0);
        loop {
            let byte = self.take(1)[0];
            value |= usize::from(byte & 0x7f) << shift;
            shift += 7;
            if byte < 0x80 {
                return value;
            }
        }
    }

    fn text(&mut self) -> String {
        let len = self.varint() - 1;
        String::from_utf8(self.take(len).to_vec()).unwrap()
    }

    fn no_tags(&mut self) {
        assert_eq!(self.varint(), 0, "tagged fields are not expected here");
    }

    fn request(mut self) -> (Vec<u8>, Vec<Marker>) {
        let whole = self.0;
        assert_eq!(i16::from_be_bytes([whole[2], whole[3]]), 1, "another version of WriteTxnMarkers");
        self.take(8);
        let client = i16::from_be_bytes(self.number());
        self.take(usize::try_from(client).unwrap_or(0));
        self.no_tags();
        let head = whole[..whole.len() - self.0.len()].to_vec();
        let mut markers = Vec::new();
        for _ in 1..self.varint() {
            let (producer, epoch) = (i64::from_be_bytes(self.number()), i16::from_be_bytes(self.number()));
            let committed = self.take(1)[0] != 0;
            let mut topics = Vec::new();
            for _ in 1..self.varint() {
                let name = self.text();
                let partitions = (1..self.varint()).map(|_| i32::from_be_bytes(self.number())).collect();
                self.no_tags();
                topics.push((name, partitions));
            }
            let coordinator_epoch = i32::from_be_bytes(self.number());
            self.no_tags();
            markers.push(Marker { producer, epoch, committed, topics, coordinator_epoch });
        }
        (head, markers)
    }

    /// Producer → topic → its partitions with their error codes.
    fn answer(mut self) -> (Vec<u8>, Answers) {
        let head = self.take(4).to_vec();
        self.no_tags();
        let mut producers = BTreeMap::new();
        for _ in 1..self.varint() {
            let producer = i64::from_be_bytes(self.number());
            let mut topics = Vec::new();
            for _ in 1..self.varint() {
                let name = self.text();
                let mut partitions = Vec::new();
                for _ in 1..self.varint() {
                    partitions.push((i32::from_be_bytes(self.number()), i16::from_be_bytes(self.number())));
                    self.no_tags();
                }
                self.no_tags();
                topics.push((name, partitions));
            }
            self.no_tags();
            producers.insert(producer, topics);
        }
        (head, producers)
    }
}

fn varint(out: &mut Vec<u8>, mut value: usize) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

fn text(out: &mut Vec<u8>, text: &str) {
    varint(out, text.len() + 1);
    out.extend(text.as_bytes());
}

fn write_request(head: &[u8], markers: &[Marker]) -> Vec<u8> {
    let mut out = head.to_vec();
    varint(&mut out, markers.len() + 1);
    for marker in markers {
        out.extend(marker.producer.to_be_bytes());
        out.extend(marker.epoch.to_be_bytes());
        out.push(u8::from(marker.committed));
        varint(&mut out, marker.topics.len() + 1);
        for (name, partitions) in &marker.topics {
            text(&mut out, name);
            varint(&mut out, partitions.len() + 1);
            partitions.iter().for_each(|partition| out.extend(partition.to_be_bytes()));
            out.push(0);
        }
        out.extend(marker.coordinator_epoch.to_be_bytes());
        out.push(0);
    }
    out.push(0);
    out
}

fn merge(first: &[u8], second: &[u8]) -> Vec<u8> {
    let (head, mut producers) = Reader(first).answer();
    for (producer, topics) in Reader(second).answer().1 {
        producers.entry(producer).or_default().extend(topics);
    }
    let mut out = head;
    out.push(0);
    varint(&mut out, producers.len() + 1);
    for (producer, topics) in producers {
        out.extend(producer.to_be_bytes());
        varint(&mut out, topics.len() + 1);
        for (name, partitions) in topics {
            text(&mut out, &name);
            varint(&mut out, partitions.len() + 1);
            for (partition, code) in partitions {
                out.extend(partition.to_be_bytes());
                out.extend(code.to_be_bytes());
                out.push(0);
            }
            out.push(0);
        }
        out.push(0);
    }
    out.push(0);
    out
}

/// Producer → topic → its partitions with their error codes.
type Answers = BTreeMap<i64, Vec<(String, Vec<(i32, i16)>)>>;
