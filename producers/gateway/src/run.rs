//! The gateway as a service: listeners on a small runtime of their own, and the thread that commits.

use std::net::SocketAddr;
use std::sync::atomic::AtomicI64;
use std::sync::{Arc, mpsc};
use std::time::Duration;

use millrace_runtime::keys::Keyring;
use millrace_runtime::service::{Service, ServiceError};
use millrace_schemas::ledger::stage;
use tokio::sync::{Semaphore, watch};

use crate::access::Access;
use crate::attempts::Attempts;
use crate::batch::Batches;
use crate::budget::Budget;
use crate::commit::Committer;
use crate::proxy::Proxy;
use crate::quota::Quotas;
use crate::shared::Shared;
use crate::tls::{Speech, Tls};
use crate::waiting::State;
use crate::{server, syslog};

/// Threads that read requests.
const THREADS: usize = 2;

/// Serves until told to stop. Says on which address through `listening`, once requests are taken.
///
/// # Errors
/// An address is taken, or Kafka is of class *Exit*.
pub fn run(service: &Service, listening: impl FnOnce(SocketAddr)) -> Result<(), ServiceError> {
    let config = &service.config.gateway;
    let other = |text: String| ServiceError::Other(text);
    let taken = |key: &'static str, address: &str| {
        let address = address.to_owned();
        move |error: std::io::Error| {
            other(format!("could not listen on {address} for lines: {error}; choose another gateway.{key}"))
        }
    };
    let tls = config.tls.as_ref().map(Tls::open).transpose().map_err(other)?.map(Arc::new);
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(THREADS)
        .thread_name(stage::GATEWAY)
        .enable_all()
        .build()
        .map_err(|error| other(error.to_string()))?;
    // Sockets register with the runtime they are made in.
    let entered = runtime.enter();
    let bind = |key, address: &str| {
        let listener = std::net::TcpListener::bind(address).map_err(taken(key, address))?;
        listener.set_nonblocking(true).map_err(taken(key, address))?;
        tokio::net::TcpListener::from_std(listener).map_err(taken(key, address))
    };
    let http = bind("listen", &config.listen)?;
    let address = http.local_addr().map_err(taken("listen", &config.listen))?;
    let otlp = config.otlp_listen.as_deref().map(|address| bind("otlp_listen", address)).transpose()?;
    let syslog_tls = config.syslog_tls_listen.as_deref();
    let syslog_tls = syslog_tls.map(|address| bind("syslog_tls_listen", address)).transpose()?;
    let syslogs = match &config.syslog_listen {
        None => None,
        Some(address) => {
            let socket = std::net::UdpSocket::bind(address).map_err(taken("syslog_listen", address))?;
            socket.set_nonblocking(true).map_err(taken("syslog_listen", address))?;
            let socket = tokio::net::UdpSocket::from_std(socket).map_err(taken("syslog_listen", address))?;
            Some((bind("syslog_listen", address)?, socket))
        }
    };

    drop(entered);

    let slot = service.slot(stage::GATEWAY)?;
    let (queue, waiting) = mpsc::channel();
    let state = State::default();
    let batches = Batches::new(config.batches_kept);
    let committer = Committer::open(service, slot.number(), waiting, state.clone(), batches.clone())?;
    let admin_key = std::fs::read_to_string(service.config.data_dir.join("admin.key")).ok();
    let admin_key = admin_key.map(|key| key.trim().to_owned()).filter(|key| !key.is_empty());
    let keys = Keyring::follow(service)?;
    let shared = Arc::new(Shared {
        service: service.clone(),
        query: Proxy::new(&config.query, admin_key.as_deref()),
        access: Access { anonymous: config.anonymous.clone(), admin_key, keys: keys.clone() },
        attempts: Attempts::default(),
        quotas: Quotas::new(config.quotas.clone(), keys),
        batches,
        budget: Budget::new(config.max_memory_bytes),
        state,
        received: AtomicI64::new(0),
        queue,
        large: Semaphore::new(THREADS),
    });
    let (stopping, stopped) = watch::channel(false);
    if let Some((tcp, udp)) = syslogs {
        runtime.spawn(syslog::tcp(tcp, None, shared.clone(), stopped.clone()));
        runtime.spawn(syslog::udp(udp, shared.clone(), stopped.clone()));
    }
    if let Some(tcp) = syslog_tls {
        runtime.spawn(syslog::tcp(tcp, tls.clone(), shared.clone(), stopped.clone()));
    }
    if let Some(tls) = &tls {
        runtime.spawn(tls.clone().follow(stopped.clone()));
    }
    let listeners = [Some((http, Speech::Http)), otlp.map(|otlp| (otlp, Speech::Grpc))];
    let serve =
        |listener| runtime.spawn(server::serve(listener, tls.clone(), shared.clone(), stopped.clone()));
    let serving: Vec<_> = listeners.into_iter().flatten().map(serve).collect();
    // The last of what is shared goes with those who serve: then the committing thread ends.
    drop((shared, stopped));
    listening(address);

    let ended = std::thread::scope(|scope| {
        let committing =
            std::thread::Builder::new().name("gateway-commit".to_owned()).spawn_scoped(scope, || {
                let ended = committer.run();
                if ended.is_err() {
                    service.stop.request();
                }
                ended
            });
        let committing = committing.map_err(|error| other(format!("could not start a thread: {error}")))?;
        runtime.block_on(async {
            while !service.stop.requested() {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
            stopping.send_replace(true);
            // Requests that are being answered still need the committing thread.
            for serving in serving {
                drop(serving.await);
            }
        });
        // Ends every task that is left, and with the last of them the queue: then the committing thread ends.
        runtime.shutdown_timeout(Duration::from_secs(5));
        committing.join().unwrap_or_else(|_| Err(other("the committing thread panicked".to_owned())))
    });
    drop(slot);
    ended
}
