//! A client of the gateway that costs next to nothing itself: one connection, kept.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use anyhow::Context;

/// One connection of one sender.
pub(super) struct Client {
    stream: TcpStream,
    head: String,
}

/// What a request was answered.
pub(super) struct Answer {
    pub(super) status: u16,
    /// After how long to come again, where it says so.
    pub(super) retry: Option<Duration>,
}

impl Client {
    /// Of whoever needs no key.
    pub(super) fn open(address: &str) -> anyhow::Result<Client> {
        Client::with(address, "/v1/logs/bench", "")
    }

    /// Of `tenant`, by a key that may name it.
    pub(super) fn of(address: &str, tenant: &str, key: &str) -> anyhow::Result<Client> {
        let authorization = format!("Authorization: Bearer {key}\r\n");
        Client::with(address, &format!("/v1/logs/bench?tenant={tenant}"), &authorization)
    }

    fn with(address: &str, target: &str, headers: &str) -> anyhow::Result<Client> {
        let stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        let head = format!(
            "POST {target} HTTP/1.1\r\nHost: bench\r\nContent-Type: application/x-ndjson\r\n{headers}Content-Length: "
        );
        Ok(Client { stream, head })
    }

    /// Sends lines, which must be taken.
    pub(super) fn post(&mut self, body: &str) -> anyhow::Result<()> {
        self.send(body)?;
        self.taken()
    }

    /// Sends lines and says what was answered.
    pub(super) fn ask(&mut self, body: &str) -> anyhow::Result<Answer> {
        self.send(body)?;
        Ok(self.answer()?.0)
    }

    pub(super) fn send(&mut self, body: &str) -> anyhow::Result<()> {
        let head = format!("{}{}\r\n\r\n", self.head, body.len());
        self.stream.write_all(head.as_bytes())?;
        Ok(self.stream.write_all(body.as_bytes())?)
    }

    pub(super) fn taken(&mut self) -> anyhow::Result<()> {
        let (answer, text) = self.answer()?;
        anyhow::ensure!(answer.status == 200, "the gateway answered {text:?}");
        Ok(())
    }

    /// An answer is short and comes in one piece.
    fn answer(&mut self) -> anyhow::Result<(Answer, String)> {
        let mut answer = [0; 4096];
        let len = self.stream.read(&mut answer)?;
        let text = String::from_utf8_lossy(&answer[..len]).into_owned();
        let status = text.split(' ').nth(1).and_then(|code| code.parse().ok());
        let status = status.with_context(|| format!("the gateway answered {text:?}"))?;
        let retry = text.lines().find_map(|line| line.strip_prefix("retry-after: ")?.trim().parse().ok());
        Ok((Answer { status, retry: retry.map(Duration::from_secs) }, text))
    }
}

/// How long each request took, ms, where each of `n_clients` sends one each `pause`. A request that cannot be sent since
/// the last ones are late counts from when it should have been.
pub(super) fn paced(
    (n_clients, pause, span): (u32, Duration, Duration),
    body: &str,
    open: impl Fn() -> anyhow::Result<Client> + Sync,
) -> anyhow::Result<Vec<f64>> {
    let open = &open;
    std::thread::scope(|scope| {
        let clients: Vec<_> = (0..n_clients)
            .map(|number| {
                scope.spawn(move || {
                    let (mut client, mut took) = (open()?, Vec::new());
                    let mut due = Instant::now() + pause * number / n_clients;
                    let end = due + span;
                    while due < end {
                        std::thread::sleep(due.saturating_duration_since(Instant::now()));
                        client.post(body)?;
                        took.push(due.elapsed().as_secs_f64() * 1e3);
                        due += pause;
                    }
                    anyhow::Ok(took)
                })
            })
            .collect();
        let panicked = |_| Err(anyhow::anyhow!("a client panicked"));
        let all = clients.into_iter().map(|client| client.join().unwrap_or_else(panicked));
        anyhow::Ok(all.collect::<anyhow::Result<Vec<_>>>()?.concat())
    })
}
