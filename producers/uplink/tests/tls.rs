//! HTTPS with an authority of one's own; and not without it.
#![allow(clippy::unwrap_used)]

mod common;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use common::{Gateway, options, spool, until, write};
use millrace_uplink::Uplink;
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::server::TlsStream;

struct Tls {
    listener: TcpListener,
    acceptor: TlsAcceptor,
}

impl axum::serve::Listener for Tls {
    type Io = TlsStream<TcpStream>;
    type Addr = std::net::SocketAddr;

    async fn accept(&mut self) -> (Self::Io, Self::Addr) {
        loop {
            let (stream, peer) = self.listener.accept().await.unwrap();
            // Whoever does not trust the certificate hangs up.
            if let Ok(stream) = self.acceptor.accept(stream).await {
                return (stream, peer);
            }
        }
    }

    fn local_addr(&self) -> std::io::Result<Self::Addr> {
        self.listener.local_addr()
    }
}

#[test]
fn batches_travel_by_tls_to_whom_the_authority_vouches_for() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/tls");
    let certificates = CertificateDer::pem_file_iter(folder.join("server.pem")).unwrap();
    let key = PrivateKeyDer::from_pem_file(folder.join("server.key")).unwrap();
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(certificates.map(Result::unwrap).collect(), key)
        .unwrap();
    let gateway = Gateway::new();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
    let url = format!("https://localhost:{}", listener.local_addr().unwrap().port());
    let tls = Tls { listener, acceptor: TlsAcceptor::from(Arc::new(config)) };
    let router = common::router(gateway.store.clone());
    runtime.spawn(async move { axum::serve(tls, router).await.unwrap() });

    let dir = tempfile::tempdir().unwrap();
    let spool = spool(dir.path());
    write(&spool, "web", 1, &["1", "2"]);
    spool.seal();
    let stranger = Uplink::start(spool.clone(), &options(url.clone())).unwrap();
    until("the certificate is not trusted", || {
        stranger.progress().trouble.is_some_and(|text| text.contains("certificate"))
    });
    drop(stranger);
    assert!(gateway.store().all().is_empty());

    let known = millrace_uplink::Options { ca_file: Some(folder.join("ca.pem")), ..options(url) };
    let uplink = Uplink::start(spool.clone(), &known).unwrap();
    until("the batch is sent", || spool.status().waiting == 0);
    assert_eq!(gateway.store().all(), ["1", "2"]);
    uplink.finish(Duration::from_secs(5));
    runtime.shutdown_timeout(Duration::from_secs(1));
}
