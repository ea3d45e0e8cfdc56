//! TLS of the listeners: certificate and key from files, read again when they change; clients known by certificates of an
//! authority of the operator's.
//!
//! Connections that are open keep what they began with: nothing is dropped for a new certificate. Fails: files that cannot
//! be read at the start end the process; later ones are said, and what was read last goes on.

mod name;

use std::fmt::Display;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use millrace_runtime::config::TlsConfig;
use millrace_runtime::metrics;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::watch;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::crypto::{CryptoProvider, ring};
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::server::WebPkiClientVerifier;
use tokio_rustls::rustls::{RootCertStore, ServerConfig};
use tokio_rustls::server::TlsStream;

/// Between looks at the files.
const LOOK: Duration = Duration::from_secs(1);
/// Time for a handshake.
const HANDSHAKE: Duration = Duration::from_secs(15);

pub(crate) struct Tls {
    config: TlsConfig,
    current: RwLock<[Arc<ServerConfig>; 3]>,
}

/// What is spoken within. A client that names protocols must name this one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Speech {
    /// HTTP of version 1.
    Http,
    /// HTTP of version 2, as gRPC uses it.
    Grpc,
    /// No name is registered for it.
    Syslog,
}

impl Speech {
    fn names(self) -> Vec<Vec<u8>> {
        match self {
            Speech::Http => vec![b"http/1.1".to_vec()],
            Speech::Grpc => vec![b"h2".to_vec()],
            Speech::Syslog => Vec::new(),
        }
    }
}

/// Whose a connection is, as its certificate says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Client {
    /// It has shown none.
    Unknown,
    /// A tenant's.
    Tenant(String),
    /// It has shown one that belongs to no tenant.
    Stranger,
}

/// What tells one state of a file from another.
type Stamp = Vec<Option<(u64, u64, i64, i64)>>;

impl Tls {
    /// Reads the files.
    ///
    /// # Errors
    /// Which file, and what is wrong with it.
    pub(crate) fn open(config: &TlsConfig) -> Result<Tls, String> {
        let current = RwLock::new(read(config)?);
        Ok(Tls { config: config.clone(), current })
    }

    /// Reads the files anew when they change, until `stopped`.
    pub(crate) async fn follow(self: Arc<Tls>, mut stopped: watch::Receiver<bool>) {
        let (mut seen, mut look) = (self.stamp(), tokio::time::interval(LOOK));
        loop {
            tokio::select! {
                _ = look.tick() => {}
                _ = stopped.changed() => return,
            }
            let now = self.stamp();
            if now != seen {
                seen = now;
                self.reload();
            }
        }
    }

    /// Certificate and key may be written one after the other: what does not fit is read again at the next change.
    fn reload(&self) {
        match read(&self.config) {
            Ok(config) => {
                *self.current.write().unwrap_or_else(PoisonError::into_inner) = config;
                metrics::gateway_certificate("read");
                tracing::info!(file = %self.config.certificate.display(), "certificate read");
            }
            Err(reason) => {
                metrics::gateway_certificate("wrong");
                tracing::error!(reason, "certificate not read, the former one stays; mend the files");
            }
        }
    }

    fn files(&self) -> impl Iterator<Item = &PathBuf> {
        [&self.config.certificate, &self.config.key].into_iter().chain(&self.config.client_ca)
    }

    fn stamp(&self) -> Stamp {
        let stamp = |path: &PathBuf| {
            let meta = std::fs::metadata(path).ok()?;
            Some((meta.ino(), meta.len(), meta.mtime(), meta.mtime_nsec()))
        };
        self.files().map(stamp).collect()
    }

    /// Shakes hands; `None`, and said, where nothing comes of it.
    pub(crate) async fn accept<S>(
        &self,
        stream: S,
        peer: &impl Display,
        speech: Speech,
    ) -> Option<(TlsStream<S>, Client)>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let current = self.current.read().unwrap_or_else(PoisonError::into_inner)[speech as usize].clone();
        let shaken = tokio::time::timeout(HANDSHAKE, TlsAcceptor::from(current).accept(stream)).await;
        let result = match &shaken {
            Ok(Ok(_)) => "ok",
            Ok(Err(error)) => {
                tracing::debug!(%error, %peer, "no handshake");
                "refused"
            }
            Err(_) => "time",
        };
        metrics::gateway_handshake(result);
        let stream = shaken.ok()?.ok()?;
        let client = self.client(stream.get_ref().1.peer_certificates());
        Some((stream, client))
    }

    fn client(&self, certificates: Option<&[CertificateDer<'_>]>) -> Client {
        let Some(certificate) = certificates.and_then(<[_]>::first) else { return Client::Unknown };
        let names = name::names(certificate);
        let tenant = names.iter().find_map(|name| self.config.tenants.get(name));
        tenant.map_or(Client::Stranger, |tenant| Client::Tenant(tenant.clone()))
    }
}

/// One for each [`Speech`].
fn read(config: &TlsConfig) -> Result<[Arc<ServerConfig>; 3], String> {
    let chain = certificates("certificate", &config.certificate)?;
    let key = PrivateKeyDer::from_pem_file(&config.key).map_err(fault("key", &config.key))?;
    let provider = Arc::new(ring::default_provider());
    let builder = ServerConfig::builder_with_provider(provider.clone());
    let builder = builder.with_safe_default_protocol_versions().map_err(|error| error.to_string())?;
    let builder = match &config.client_ca {
        None => builder.with_no_client_auth(),
        Some(path) => builder.with_client_cert_verifier(verifier(config, path, provider)?),
    };
    let server = builder.with_single_cert(chain, key).map_err(fault("certificate", &config.certificate))?;
    Ok([Speech::Http, Speech::Grpc, Speech::Syslog].map(|speech| {
        let mut server = server.clone();
        server.alpn_protocols = speech.names();
        Arc::new(server)
    }))
}

fn verifier(
    config: &TlsConfig,
    path: &Path,
    provider: Arc<CryptoProvider>,
) -> Result<Arc<dyn tokio_rustls::rustls::server::danger::ClientCertVerifier>, String> {
    let mut roots = RootCertStore::empty();
    for authority in certificates("client_ca", path)? {
        roots.add(authority).map_err(fault("client_ca", path))?;
    }
    let builder = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
    let builder = if config.client_required { builder } else { builder.allow_unauthenticated() };
    builder.build().map_err(fault("client_ca", path))
}

fn certificates(name: &'static str, path: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
    let found: Result<Vec<_>, _> = CertificateDer::pem_file_iter(path).and_then(Iterator::collect);
    let found = found.map_err(fault(name, path))?;
    if found.is_empty() { Err(fault(name, path)("it holds no certificate in PEM")) } else { Ok(found) }
}

fn fault<E: Display>(name: &'static str, path: &Path) -> impl Fn(E) -> String {
    move |error| format!("gateway.tls.{name}: {} cannot be used: {error}", path.display())
}

#[cfg(test)]
mod tests;
