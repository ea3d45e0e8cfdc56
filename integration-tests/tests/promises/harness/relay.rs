//! A TCP relay that can fall silent, or lose answers to requests that took effect.

use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;

use millrace_kafka_local::free_port;

/// What happens to what passes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Mode {
    /// It passes.
    Pass,
    /// Nothing moves in either direction; connections stay.
    Silent,
    /// Requests pass; when the answer comes, the connection is cut instead.
    LoseAnswers,
}

/// Runs as long as the process.
pub(crate) struct Relay {
    port: u16,
    mode: Arc<AtomicU8>,
}

impl Relay {
    /// Listens on a free port and leads to `target`.
    pub(crate) fn to(target: u16) -> Relay {
        let listener = TcpListener::bind(("127.0.0.1", free_port().unwrap())).unwrap();
        let port = listener.local_addr().unwrap().port();
        let mode = Arc::new(AtomicU8::new(Mode::Pass as u8));
        let own = mode.clone();
        std::thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let Ok(server) = TcpStream::connect(("127.0.0.1", target)) else { continue };
                let pairs = [(client.try_clone(), server.try_clone(), false), (Ok(server), Ok(client), true)];
                for (from, to, answers) in pairs {
                    let (Ok(from), Ok(to), mode) = (from, to, own.clone()) else { continue };
                    std::thread::spawn(move || {
                        drop(copy(&from, &to, &mode, answers));
                        drop((from.shutdown(Shutdown::Both), to.shutdown(Shutdown::Both)));
                    });
                }
            }
        });
        Relay { port, mode }
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    pub(crate) fn set(&self, mode: Mode) {
        self.mode.store(mode as u8, Ordering::SeqCst);
    }
}

fn copy(mut from: &TcpStream, mut to: &TcpStream, mode: &AtomicU8, answers: bool) -> io::Result<()> {
    let mut buffer = vec![0; 1 << 16];
    loop {
        let n = from.read(&mut buffer)?;
        if n == 0 {
            return Ok(());
        }
        while mode.load(Ordering::SeqCst) == Mode::Silent as u8 {
            std::thread::sleep(Duration::from_millis(20));
        }
        if answers && mode.load(Ordering::SeqCst) == Mode::LoseAnswers as u8 {
            return Ok(());
        }
        to.write_all(&buffer[..n])?;
    }
}
