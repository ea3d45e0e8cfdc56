//! The gateway as a service: listeners on a small runtime of their own, and the thread that commits: to Kafka, or as a
//! relay to a spool.

use std::net::SocketAddr;
use std::sync::atomic::AtomicI64;
use std::sync::mpsc::Sender;
use std::sync::{Arc, mpsc};
use std::time::Duration;

use millrace_runtime::config::{Config, GatewayConfig};
use millrace_runtime::keys::{Keyring, admin_key};
use millrace_runtime::ops::Health;
use millrace_runtime::service::{Service, ServiceError};
use millrace_runtime::stop::Stop;
use millrace_schemas::ledger::stage;
use millrace_schemas::{Codec, Subject};
use millrace_spool::Spool;
use tokio::net::{TcpListener, UdpSocket};
use tokio::runtime::Runtime;
use tokio::sync::{Semaphore, watch};

use crate::access::Access;
use crate::attempts::Attempts;
use crate::batch::{Batches, codec};
use crate::budget::Budget;
use crate::commit::Committer;
use crate::proxy::Proxy;
use crate::quota::Quotas;
use crate::shared::{Behind, Shared};
use crate::spooled::{Spooler, batches_kept};
use crate::tls::{Speech, Tls};
use crate::waiting::{State, Waiting};
use crate::{server, syslog};

/// Threads that read requests.
const THREADS: usize = 2;

/// Serves until told to stop. Says on which address through `listening`, once requests are taken.
///
/// # Errors
/// An address is taken, or Kafka is of class *Exit*.
pub fn run(service: &Service, listening: impl FnOnce(SocketAddr)) -> Result<(), ServiceError> {
    let config = &service.config.gateway;
    let listeners = Listeners::bind(config)?;
    let slot = service.slot(stage::GATEWAY)?;
    let (queue, waiting) = mpsc::channel();
    let (state, batches) = (State::default(), Batches::new(config.batches_kept));
    let committer = Committer::open(service, slot.number(), waiting, state.clone(), batches.clone())?;
    let admin_key = admin_key(&service.config.data_dir);
    let keys = Keyring::follow(service)?;
    let shared = shared(
        &service.config,
        (service.codecs.raw().clone(), service.stop.clone()),
        (Behind::Kafka(Box::new(service.clone())), Some(Proxy::new(&config.query, admin_key))),
        keys,
        (state, batches, queue),
    );
    let ended = listeners.serve(shared, listening, move || committer.run());
    drop(slot);
    ended
}

/// A gateway that passes on what it takes: whoever starts it sends what the spool holds.
pub struct Relay {
    /// Checked configuration.
    pub config: Config,
    /// Told to stop?
    pub stop: Stop,
    /// Live? Ready?
    pub health: Health,
    /// Where lines wait.
    pub spool: Arc<Spool>,
    /// Which keys there are.
    pub keys: Keyring,
}

/// The same as [`run`], for a relay: a request is answered when its lines are on disk.
///
/// # Errors
/// An address is taken, or the spool is of class *Exit*.
pub fn relay(relay: Relay, listening: impl FnOnce(SocketAddr)) -> Result<(), ServiceError> {
    let Relay { config, stop, health, spool, keys } = relay;
    let listeners = Listeners::bind(&config.gateway)?;
    let (queue, waiting) = mpsc::channel();
    let kept = batches_kept(&config.gateway, config.upstream.spool_bytes);
    let (state, batches) = (State::default(), Batches::new(kept));
    let own = (spool, config.forward.host.clone());
    let spooler = Spooler::open(own, &config.gateway, health, waiting, state.clone(), batches.clone())?;
    let shared =
        shared(&config, (codec(Subject::Raw)?, stop), (Behind::Spool, None), keys, (state, batches, queue));
    listeners.serve(shared, listening, move || spooler.run())
}

fn shared(
    config: &Config,
    (codec, stop): (Codec, Stop),
    (behind, query): (Behind, Option<Proxy>),
    keys: Keyring,
    (state, batches, queue): (State, Batches, Sender<Waiting>),
) -> Arc<Shared> {
    let config = config.gateway.clone();
    Arc::new(Shared {
        codec,
        stop,
        behind,
        query,
        access: Access { anonymous: config.anonymous.clone(), keys: keys.clone() },
        attempts: Attempts::default(),
        quotas: Quotas::new(config.quotas.clone(), keys),
        batches,
        budget: Budget::new(config.max_memory_bytes),
        state,
        received: AtomicI64::new(0),
        queue,
        large: Semaphore::new(THREADS),
        config,
    })
}

/// Sockets that are bound and not served yet.
struct Listeners {
    runtime: Runtime,
    tls: Option<Arc<Tls>>,
    http: TcpListener,
    address: SocketAddr,
    otlp: Option<TcpListener>,
    syslog_tls: Option<TcpListener>,
    syslogs: Option<(TcpListener, UdpSocket)>,
}

impl Listeners {
    fn bind(config: &GatewayConfig) -> Result<Listeners, ServiceError> {
        let taken = |key: &'static str, address: &str| {
            let address = address.to_owned();
            move |error: std::io::Error| {
                other(format!(
                    "could not listen on {address} for lines: {error}; choose another gateway.{key}"
                ))
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
            TcpListener::from_std(listener).map_err(taken(key, address))
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
                let socket = UdpSocket::from_std(socket).map_err(taken("syslog_listen", address))?;
                Some((bind("syslog_listen", address)?, socket))
            }
        };
        drop(entered);
        Ok(Listeners { runtime, tls, http, address, otlp, syslog_tls, syslogs })
    }

    /// Serves until told to stop, while `commit` runs on a thread of its own; it must end when nobody waits any more.
    fn serve(
        self,
        shared: Arc<Shared>,
        listening: impl FnOnce(SocketAddr),
        commit: impl FnOnce() -> Result<(), ServiceError> + Send,
    ) -> Result<(), ServiceError> {
        let Listeners { runtime, tls, http, address, otlp, syslog_tls, syslogs } = self;
        let stop = shared.stop.clone();
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

        std::thread::scope(|scope| {
            let asked = stop.clone();
            let spawn = std::thread::Builder::new().name("gateway-commit".to_owned());
            let committing = spawn.spawn_scoped(scope, move || {
                let ended = commit();
                if ended.is_err() {
                    asked.request();
                }
                ended
            });
            let committing =
                committing.map_err(|error| other(format!("could not start a thread: {error}")))?;
            runtime.block_on(async {
                while !stop.requested() {
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
        })
    }
}

fn other(text: String) -> ServiceError {
    ServiceError::Other(text)
}
