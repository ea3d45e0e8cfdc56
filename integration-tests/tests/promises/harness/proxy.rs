//! A TCP proxy that understands the frames of Kafka's protocol: requests can be delayed, held back, or cut off, answers
//! be kept, by what they are.

use std::collections::HashMap;
use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use millrace_kafka_local::free_port;

/// Ends or aborts a transaction.
pub(crate) const END_TXN: i16 = 26;
/// Records.
pub(crate) const PRODUCE: i16 = 0;

/// A request on its way from a client to the broker.
#[derive(Debug, Clone)]
pub(crate) struct Request {
    /// What is asked.
    pub(crate) api: i16,
    correlation: i32,
    /// All of it but its length.
    pub(crate) frame: Vec<u8>,
}

impl Request {
    /// Whether `text`, a transactional id for instance, is part of it.
    pub(crate) fn names(&self, text: &str) -> bool {
        self.frame.windows(text.len()).any(|window| window == text.as_bytes())
    }
}

/// What happens to a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// It goes on.
    Pass,
    /// It goes on after a while, as do those behind it on its connection.
    Delay(Duration),
    /// It stays here, and so does its connection; the script has kept what it needs.
    Hold,
    /// It stays here and its connection is cut.
    Cut,
    /// It goes on; its answer, and those behind it on the connection, come so much later.
    AnswerLater(Duration),
}

type Script = dyn FnMut(&Request) -> Verdict + Send;

/// Runs until it is dropped.
pub(crate) struct Proxy {
    port: u16,
    shared: Arc<Shared>,
}

struct Shared {
    upstream: Mutex<Option<SocketAddr>>,
    script: Mutex<Box<Script>>,
    stop: AtomicBool,
}

impl Proxy {
    /// Listens on a free port; connections are refused until [`Proxy::lead_to`] has said where they lead.
    pub(crate) fn listen() -> Proxy {
        let listener = TcpListener::bind(("127.0.0.1", free_port().unwrap())).unwrap();
        let port = listener.local_addr().unwrap().port();
        let pass: Box<Script> = Box::new(|_| Verdict::Pass);
        let shared = Arc::new(Shared {
            upstream: Mutex::new(None),
            script: Mutex::new(pass),
            stop: AtomicBool::new(false),
        });
        let own = shared.clone();
        std::thread::spawn(move || {
            for client in listener.incoming() {
                if own.stop.load(Ordering::SeqCst) {
                    return;
                }
                let Ok(client) = client else { continue };
                let upstream = *own.upstream.lock().unwrap();
                // The broker may be down: the client sees the same as without us.
                let Some(broker) = upstream.and_then(|address| TcpStream::connect(address).ok()) else {
                    continue;
                };
                let shared = own.clone();
                std::thread::spawn(move || shared.carry(client, broker));
            }
        });
        Proxy { port, shared }
    }

    /// Where it listens.
    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// Connections lead to `address` from now on.
    pub(crate) fn lead_to(&self, address: &str) {
        *self.shared.upstream.lock().unwrap() = Some(address.parse().unwrap());
    }

    /// Every request is shown to `script` from now on.
    pub(crate) fn script(&self, script: impl FnMut(&Request) -> Verdict + Send + 'static) {
        *self.shared.script.lock().unwrap() = Box::new(script);
    }

    /// Everything passes from now on.
    pub(crate) fn pass(&self) {
        self.script(|_| Verdict::Pass);
    }

    /// Sends a request that was held to the broker, on a connection of its own; gives the error code of the answer,
    /// which must be one to EndTxn up to version 2.
    pub(crate) fn deliver_end_txn(&self, request: &Request) -> io::Result<i16> {
        let upstream = self.shared.upstream.lock().unwrap().unwrap();
        let mut broker = TcpStream::connect(upstream)?;
        broker.set_read_timeout(Some(Duration::from_secs(20)))?;
        send(&mut broker, &request.frame)?;
        let answer = receive(&mut broker)?;
        // Correlation id and throttle time come first.
        answer
            .get(8..10)
            .map(|code| i16::from_be_bytes([code[0], code[1]]))
            .ok_or(io::ErrorKind::InvalidData.into())
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::SeqCst);
        drop(TcpStream::connect(("127.0.0.1", self.port)));
    }
}

impl Shared {
    fn carry(self: Arc<Shared>, client: TcpStream, broker: TcpStream) {
        drop((client.set_nodelay(true), broker.set_nodelay(true)));
        let late: Arc<Mutex<HashMap<i32, Duration>>> = Arc::default();
        let (mut from_broker, mut to_client, own_late) =
            (broker.try_clone().unwrap(), client.try_clone().unwrap(), late.clone());
        std::thread::spawn(move || {
            drop(answers(&mut from_broker, &mut to_client, &own_late));
            drop((from_broker.shutdown(Shutdown::Both), to_client.shutdown(Shutdown::Both)));
        });
        let (mut from_client, mut to_broker) = (client, broker);
        drop(self.requests(&mut from_client, &mut to_broker, &late));
        drop((from_client.shutdown(Shutdown::Both), to_broker.shutdown(Shutdown::Both)));
    }

    fn requests(
        &self,
        client: &mut TcpStream,
        broker: &mut TcpStream,
        late: &Mutex<HashMap<i32, Duration>>,
    ) -> io::Result<()> {
        loop {
            let frame = receive(client)?;
            let (Some(api), Some(id)) = (frame.get(0..2), frame.get(4..8)) else {
                return Err(io::ErrorKind::InvalidData.into());
            };
            let api = i16::from_be_bytes([api[0], api[1]]);
            let correlation = i32::from_be_bytes([id[0], id[1], id[2], id[3]]);
            let request = Request { api, correlation, frame };
            let verdict = (self.script.lock().unwrap())(&request);
            match verdict {
                Verdict::Pass => {}
                Verdict::Delay(time) => std::thread::sleep(time),
                Verdict::Hold => continue,
                Verdict::Cut => return Ok(()),
                Verdict::AnswerLater(time) => drop(late.lock().unwrap().insert(request.correlation, time)),
            }
            send(broker, &request.frame)?;
        }
    }
}

fn answers(
    broker: &mut TcpStream,
    client: &mut TcpStream,
    late: &Mutex<HashMap<i32, Duration>>,
) -> io::Result<()> {
    loop {
        let frame = receive(broker)?;
        let correlation = frame.get(0..4).map(|id| i32::from_be_bytes([id[0], id[1], id[2], id[3]]));
        let wait = correlation.and_then(|id| late.lock().unwrap().remove(&id));
        if let Some(wait) = wait {
            std::thread::sleep(wait);
        }
        send(client, &frame)?;
    }
}

pub(crate) fn receive(stream: &mut TcpStream) -> io::Result<Vec<u8>> {
    let mut size = [0; 4];
    stream.read_exact(&mut size)?;
    let size = usize::try_from(i32::from_be_bytes(size)).map_err(|_| io::ErrorKind::InvalidData)?;
    let mut frame = vec![0; size];
    stream.read_exact(&mut frame)?;
    Ok(frame)
}

pub(crate) fn send(stream: &mut TcpStream, frame: &[u8]) -> io::Result<()> {
    let mut whole = Vec::with_capacity(frame.len() + 4);
    whole.extend((frame.len() as i32).to_be_bytes());
    whole.extend_from_slice(frame);
    stream.write_all(&whole)
}
