//! Syslog listeners: TCP, TLS and UDP. Neither protocol has an answer: a message counts as taken when it is committed, and what
//! a kill finds in the sockets and in this process is lost to us (docs/ingest.md says so). TCP stops reading while Kafka
//! does not take, or the tenant's quota has no room; UDP drops, and counts it.

use std::future::poll_fn;
use std::net::SocketAddr;
use std::sync::Arc;
use std::task::Poll;
use std::time::{Duration, Instant};

use millrace_runtime::metrics;
use millrace_schemas::Piece;
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::net::{TcpListener, TcpStream, UdpSocket};
use tokio::sync::{mpsc, watch};

use crate::budget::Share;
use crate::item::Item;
use crate::places::Places;
use crate::protocol::syslog::{Frame, Framer, item};
use crate::quota::Account;
use crate::shared::Shared;
use crate::tls::{Client, Speech, Tls};
use crate::waiting::Outcome;

/// Bytes read of a connection before they are handed over, and at least at once.
const CHUNK: usize = 1 << 20;
const READ: usize = 64 << 10;
const WAITING: usize = 4 << 10;
/// Datagrams that wait to be committed.
const DATAGRAMS: usize = 4_096;
/// Datagrams of one request.
const TOGETHER: usize = 1_024;
/// A connection that says nothing for so long is closed.
const IDLE: Duration = Duration::from_secs(600);
/// Longest wait for room for the rest of a message.
const ROOM: Duration = Duration::from_secs(30);
/// Between two tries to hand over what Kafka did not take.
const PAUSE: Duration = Duration::from_millis(500);

/// Takes connections until `stopped`.
pub(crate) async fn tcp(
    listener: TcpListener,
    tls: Option<Arc<Tls>>,
    shared: Arc<Shared>,
    mut stopped: watch::Receiver<bool>,
) {
    let places = Places::new(shared.config.max_connections);
    loop {
        let Some(place) = places.next().await else { return };
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            _ = stopped.changed() => return,
        };
        match accepted {
            Ok((stream, peer)) => {
                let Some(place) = places.give(place, peer.ip()) else { continue };
                let (tls, shared, stopped) = (tls.clone(), shared.clone(), stopped.clone());
                tokio::spawn(async move {
                    let (tenant, _) = &shared.config.syslog;
                    match tls {
                        None => connection(stream, peer, tenant, &shared, stopped).await,
                        Some(tls) => secured(&tls, stream, peer, &shared, stopped).await,
                    }
                    drop(place);
                });
            }
            Err(error) => {
                tracing::warn!(%error, "could not accept a syslog connection");
                tokio::time::sleep(PAUSE).await;
            }
        }
    }
}

/// Over TLS, the tenant is the certificate's; that of the configuration for clients that need none.
async fn secured(
    tls: &Tls,
    stream: TcpStream,
    peer: SocketAddr,
    shared: &Shared,
    stopped: watch::Receiver<bool>,
) {
    let Some((stream, client)) = tls.accept(stream, &peer, Speech::Syslog).await else { return };
    let (own, _) = &shared.config.syslog;
    match client {
        Client::Tenant(tenant) => connection(stream, peer, &tenant, shared, stopped).await,
        Client::Unknown => connection(stream, peer, own, shared, stopped).await,
        Client::Stranger => tracing::warn!(
            %peer,
            "syslog connection closed: its certificate belongs to no tenant; name it in gateway.tls.tenants"
        ),
    }
}

async fn connection(
    mut stream: impl AsyncRead + Unpin,
    peer: SocketAddr,
    tenant: &str,
    shared: &Shared,
    mut stopped: watch::Receiver<bool>,
) {
    let mut framer = Framer::default();
    // What has been read of a message that is not whole yet.
    let mut partial = shared.budget.share();
    loop {
        let (chunk, ended) = tokio::select! {
            read = tokio::time::timeout(IDLE, read(&mut stream)) => read.unwrap_or((Vec::new(), true)),
            _ = stopped.changed() => (Vec::new(), true),
        };
        framer.push(&chunk);
        drop(chunk);
        let mut frames: Vec<Frame> = std::iter::from_fn(|| framer.take()).collect();
        if ended {
            frames.extend(std::iter::from_fn(|| framer.take_last()));
        }
        let (_, stream_name) = &shared.config.syslog;
        let account = shared.quotas.account(tenant);
        let items: Vec<Item<'_>> = frames
            .iter()
            .filter(|frame| fits(account.as_deref(), frame.body.len()))
            .map(|frame| {
                let mut item = item(stream_name, &frame.body);
                item.line_end = frame.end;
                item.piece = frame.piece.map(|(index, last)| Piece { index, last });
                item
            })
            .collect();
        if !afford(account.as_deref(), &items, &stopped).await {
            return;
        }
        let share = shared.budget.share();
        if !hand_over(shared, tenant, peer, &items, share, &stopped).await || ended {
            return;
        }
        if !hold(&mut partial, framer.held(), &stopped).await {
            tracing::warn!(%peer, "syslog connection closed: no room for a message that does not end");
            return;
        }
    }
}

/// Waits for something to come, and takes all that has, up to a bound; and whether nothing more will.
async fn read(stream: &mut (impl AsyncRead + Unpin)) -> (Vec<u8>, bool) {
    let mut chunk = Vec::new();
    while chunk.len() < CHUNK {
        let is_first = chunk.is_empty();
        // A connection that waits holds little.
        chunk.reserve(if is_first { WAITING } else { READ });
        let mut reading = std::pin::pin!(stream.read_buf(&mut chunk));
        let read = if is_first {
            reading.await
        } else {
            match poll_fn(|cx| Poll::Ready(reading.as_mut().poll(cx))).await {
                Poll::Ready(read) => read,
                Poll::Pending => break,
            }
        };
        match read {
            Ok(0) => return (chunk, true),
            Ok(_) => {}
            Err(error) => {
                tracing::debug!(%error, "syslog connection broke");
                return (chunk, true);
            }
        }
    }
    (chunk, false)
}

/// Whether a message is not longer than its tenant's quota says. There is no answer that could say so: it is counted.
fn fits(account: Option<&Account>, n_bytes: usize) -> bool {
    let over = account.and_then(|account| account.line(n_bytes).err());
    if let Some(over) = &over {
        tracing::debug!(reason = over.reason, "syslog message dropped");
        metrics::syslog_dropped(over.bound.name(), 1);
    }
    over.is_none()
}

/// Waits for the tenant's quota, while nothing is read: the sender waits, too. `false` when told to stop before that. The
/// stream is the operator's choice: the quota of streams does not hold it up.
async fn afford(account: Option<&Account>, items: &[Item<'_>], stopped: &watch::Receiver<bool>) -> bool {
    let Some(account) = account.filter(|_| !items.is_empty()) else { return true };
    let n_bytes = items.iter().map(|item| item.size() as u64).sum();
    while let Err(over) = account.take([].into_iter(), n_bytes, items.len() as u64, Instant::now()) {
        if *stopped.borrow() {
            return false;
        }
        tokio::time::sleep(over.after.unwrap_or(PAUSE).min(PAUSE)).await;
    }
    true
}

/// Holds `bytes` of the budget, waiting for them for a while: others that wait, too, may hold what is missing.
async fn hold(share: &mut Share, bytes: usize, stopped: &watch::Receiver<bool>) -> bool {
    let until = Instant::now() + ROOM;
    while !share.hold(bytes) {
        if *stopped.borrow() || Instant::now() > until {
            return false;
        }
        tokio::time::sleep(PAUSE).await;
    }
    true
}

/// Commits, however long it takes; nothing is read meanwhile. `false` when told to stop before that. `share` is given
/// back once Kafka has the records.
async fn hand_over(
    shared: &Shared,
    tenant: &str,
    peer: SocketAddr,
    items: &[Item<'_>],
    mut share: Share,
    stopped: &watch::Receiver<bool>,
) -> bool {
    if items.is_empty() {
        return true;
    }
    let address = peer.ip().to_canonical().to_string();
    loop {
        if shared.state.closed().is_none() {
            let prepared = match shared.prepare(tenant, &address, items) {
                Ok(prepared) => prepared,
                Err(error) => {
                    tracing::error!(%error, %peer, n_messages = items.len(), "syslog messages lost");
                    return false;
                }
            };
            if share.hold(prepared.size()) {
                match shared.commit(prepared, share).await {
                    Outcome::Committed { .. } => return true,
                    Outcome::Never(reason) => {
                        tracing::error!(reason, %peer, n_messages = items.len(), "syslog messages lost");
                        return false;
                    }
                    // Not committed, or the process ends.
                    Outcome::Later | Outcome::Unknown | Outcome::Overtaken => share = shared.budget.share(),
                }
            }
        }
        if *stopped.borrow() {
            return false;
        }
        tokio::time::sleep(PAUSE).await;
    }
}

/// Takes datagrams until `stopped`.
pub(crate) async fn udp(socket: UdpSocket, shared: Arc<Shared>, mut stopped: watch::Receiver<bool>) {
    let (queue, waiting) = mpsc::channel(DATAGRAMS);
    let port = socket.local_addr().map(|address| address.port()).unwrap_or_default();
    tokio::spawn(commit_datagrams(waiting, shared.clone(), stopped.clone()));
    let mut datagram = vec![0; 64 << 10];
    let mut look = tokio::time::interval(Duration::from_secs(5));
    let mut kernel = 0;
    loop {
        tokio::select! {
            read = socket.recv_from(&mut datagram) => match read {
                Ok((n_bytes, peer)) => {
                    let account = shared.quotas.account(&shared.config.syslog.0);
                    let over = account.and_then(|account| {
                        let take = || account.take([].into_iter(), n_bytes as u64, 1, Instant::now());
                        account.line(n_bytes).and_then(|()| take()).err()
                    });
                    let mut share = shared.budget.share();
                    let place = if share.take(n_bytes) { queue.try_reserve().ok() } else { None };
                    match (over, place) {
                        (Some(over), _) => metrics::syslog_dropped(over.bound.name(), 1),
                        (None, None) => metrics::syslog_dropped("full", 1),
                        (None, Some(place)) => place.send((peer, datagram[..n_bytes].to_vec(), share)),
                    }
                }
                Err(error) => tracing::debug!(%error, "syslog datagram not read"),
            },
            _ = look.tick() => {
                let now = kernel_drops(port);
                metrics::syslog_dropped("kernel", now.saturating_sub(kernel));
                kernel = now;
            }
            _ = stopped.changed() => return,
        }
    }
}

async fn commit_datagrams(
    mut waiting: mpsc::Receiver<(SocketAddr, Vec<u8>, Share)>,
    shared: Arc<Shared>,
    stopped: watch::Receiver<bool>,
) {
    let mut datagrams = Vec::with_capacity(TOGETHER);
    while waiting.recv_many(&mut datagrams, TOGETHER).await > 0 {
        let (tenant, stream_name) = &shared.config.syslog;
        // Each host's together: the sender's address is the host of messages that name none.
        datagrams.sort_by_key(|(peer, ..)| peer.ip());
        for same in datagrams.chunk_by(|(a, ..), (b, ..)| a.ip() == b.ip()) {
            let items: Vec<Item<'_>> =
                same.iter().map(|(_, bytes, _)| datagram(stream_name, bytes)).collect();
            hand_over(&shared, tenant, same[0].0, &items, shared.budget.share(), &stopped).await;
        }
        datagrams.clear();
    }
}

/// A datagram is one message; a line end behind it is its end, not its text.
fn datagram<'a>(stream: &'a str, bytes: &'a [u8]) -> Item<'a> {
    let (line, end) = match bytes.strip_suffix(b"\n") {
        Some(line) => match line.strip_suffix(b"\r") {
            Some(line) => (line, millrace_schemas::LineEnd::CrLf),
            None => (line, millrace_schemas::LineEnd::Lf),
        },
        None => (bytes.strip_suffix(b"\0").unwrap_or(bytes), millrace_schemas::LineEnd::None),
    };
    let mut item = item(stream, line);
    item.line_end = end;
    item
}

/// What the kernel dropped on our port since the sockets were opened, as `/proc/net/udp` has it.
fn kernel_drops(port: u16) -> u64 {
    let tables =
        ["/proc/net/udp", "/proc/net/udp6"].map(|path| std::fs::read_to_string(path).unwrap_or_default());
    tables.iter().map(|table| drops(table, port)).sum()
}

fn drops(table: &str, port: u16) -> u64 {
    let own = format!(":{port:04X}");
    let lines = table.lines().skip(1).map(|line| line.split_ascii_whitespace().collect::<Vec<_>>());
    let ours = lines.filter(|words| words.get(1).is_some_and(|address| address.ends_with(&own)));
    ours.filter_map(|words| words.last()?.parse::<u64>().ok()).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernels_drops_are_those_of_our_port() {
        let table = "   sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode ref pointer drops\n\
                     1: 0100007F:158A 00000000:0000 07 00000000:00000000 00:00000000 00000000 0 0 1 2 0 17\n\
                     2: 0100007F:0035 00000000:0000 07 00000000:00000000 00:00000000 00000000 0 0 1 2 0 5\n";
        assert_eq!((drops(table, 5514), drops(table, 1)), (17, 0));
    }

    #[test]
    fn the_end_of_a_datagram_is_not_its_text() {
        for (bytes, body) in
            [(b"a\n".as_slice(), b"a".as_slice()), (b"a\r\n", b"a"), (b"a\0", b"a"), (b"a\nb", b"a\nb")]
        {
            assert_eq!(*datagram("syslog", bytes).body, *body);
        }
    }
}
