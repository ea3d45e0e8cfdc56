use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use tokio::io::DuplexStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream as ClientStream;
use tokio_rustls::rustls::ClientConfig;

use super::*;

/// An authority, and what it vouches for.
struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Authority {
    fn new() -> Authority {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        Authority(CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap())
    }

    /// A certificate and its key, PEM.
    fn sign(&self, name: &str) -> (String, String) {
        let mut params = CertificateParams::new(["localhost".to_owned()]).unwrap();
        params.distinguished_name.push(DnType::CommonName, name);
        let key = KeyPair::generate().unwrap();
        (params.signed_by(&key, &self.0).unwrap().pem(), key.serialize_pem())
    }
}

struct Setup {
    folder: tempfile::TempDir,
    authority: Authority,
    config: TlsConfig,
}

impl Setup {
    fn new() -> Setup {
        let (folder, authority) = (tempfile::tempdir().unwrap(), Authority::new());
        let path = |name: &str| folder.path().join(name);
        let config = TlsConfig {
            certificate: path("server.pem"),
            key: path("server.key"),
            client_ca: None,
            client_required: true,
            tenants: [("web".to_owned(), "acme".to_owned())].into(),
        };
        let setup = Setup { folder, authority, config };
        setup.install("first");
        setup
    }

    fn install(&self, name: &str) {
        let (certificate, key) = self.authority.sign(name);
        std::fs::write(&self.config.key, key).unwrap();
        std::fs::write(&self.config.certificate, certificate).unwrap();
    }

    /// A client, with a certificate and key of its own or without.
    fn client(&self, own: Option<&(String, String)>) -> TlsConnector {
        let mut roots = RootCertStore::empty();
        roots.add(self.authority.0.der().clone()).unwrap();
        let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()));
        let builder = builder.with_safe_default_protocol_versions().unwrap().with_root_certificates(roots);
        let config = match own {
            None => builder.with_no_client_auth(),
            Some((certificate, key)) => {
                let chain = vec![CertificateDer::from_pem_slice(certificate.as_bytes()).unwrap()];
                let key = PrivateKeyDer::from_pem_slice(key.as_bytes()).unwrap();
                builder.with_client_auth_cert(chain, key).unwrap()
            }
        };
        TlsConnector::from(Arc::new(config))
    }
}

type Shaken = (Option<(TlsStream<DuplexStream>, Client)>, Option<ClientStream<DuplexStream>>);

/// A handshake of a client with `tls`, as both see it.
async fn shake(tls: &Tls, client: &TlsConnector) -> Shaken {
    let (near, far) = tokio::io::duplex(64 << 10);
    let name = "localhost".try_into().unwrap();
    let (server, client) = tokio::join!(tls.accept(far, &"client", Speech::Http), client.connect(name, near));
    (server, client.ok())
}

/// Who the server says it is.
fn shown(client: &ClientStream<DuplexStream>) -> String {
    name::names(&client.get_ref().1.peer_certificates().unwrap()[0]).remove(0)
}

fn run(test: impl Future<Output = ()>) {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(test);
}

#[test]
fn a_new_certificate_is_for_new_connections_and_a_broken_one_for_none() {
    run(async {
        let setup = Setup::new();
        let (tls, client) = (Tls::open(&setup.config).unwrap(), setup.client(None));
        let (_, first) = shake(&tls, &client).await;
        assert_eq!(shown(&first.unwrap()), "first");
        let before = tls.stamp();
        setup.install("second");
        assert_ne!(tls.stamp(), before);
        tls.reload();
        let (_, second) = shake(&tls, &client).await;
        assert_eq!(shown(&second.unwrap()), "second");
        // A key that is not the certificate's, as between the writing of the two.
        std::fs::write(&setup.config.key, setup.authority.sign("third").1).unwrap();
        tls.reload();
        std::fs::remove_file(&setup.config.certificate).unwrap();
        tls.reload();
        let (_, third) = shake(&tls, &client).await;
        assert_eq!(shown(&third.unwrap()), "second");
    });
}

#[test]
fn a_client_is_known_by_a_certificate_of_our_authority() {
    run(async {
        let mut setup = Setup::new();
        let path = setup.folder.path().join("clients.pem");
        let clients = Authority::new();
        std::fs::write(&path, clients.0.pem()).unwrap();
        setup.config.client_ca = Some(path);
        let (web, other) = (clients.sign("web"), clients.sign("other"));
        let forged = Authority::new().sign("web");
        for (required, own, wanted) in [
            (true, Some(&web), Some(Client::Tenant("acme".to_owned()))),
            (true, Some(&other), Some(Client::Stranger)),
            (true, None, None),
            (true, Some(&forged), None),
            (false, Some(&web), Some(Client::Tenant("acme".to_owned()))),
            (false, None, Some(Client::Unknown)),
            (false, Some(&forged), None),
        ] {
            setup.config.client_required = required;
            let tls = Tls::open(&setup.config).unwrap();
            let (server, _) = shake(&tls, &setup.client(own)).await;
            assert_eq!(server.map(|(_, client)| client), wanted, "required: {required}");
        }
    });
}

#[test]
fn a_client_that_names_protocols_must_name_ours() {
    run(async {
        let setup = Setup::new();
        let tls = Tls::open(&setup.config).unwrap();
        for (speech, own, taken) in [
            (Speech::Http, &["h2", "http/1.1"][..], Some("http/1.1")),
            (Speech::Grpc, &["h2", "http/1.1"], Some("h2")),
            (Speech::Grpc, &["http/1.1"], None),
            (Speech::Grpc, &[], Some("")),
            (Speech::Syslog, &["anything"], Some("")),
        ] {
            let mut client = ClientConfig::clone(setup.client(None).config());
            client.alpn_protocols = own.iter().map(|name| name.as_bytes().to_vec()).collect();
            let (near, far) = tokio::io::duplex(64 << 10);
            let connecting = TlsConnector::from(Arc::new(client));
            let connecting = connecting.connect("localhost".try_into().unwrap(), near);
            let (server, _) = tokio::join!(tls.accept(far, &"client", speech), connecting);
            let agreed =
                server.map(|(stream, _)| stream.get_ref().1.alpn_protocol().unwrap_or_default().to_vec());
            assert_eq!(agreed, taken.map(|name| name.as_bytes().to_vec()), "{speech:?} {own:?}");
        }
    });
}

#[test]
fn files_that_cannot_be_used_are_named() {
    let setup = Setup::new();
    for (name, text) in [("server.pem", ""), ("server.pem", "junk"), ("server.key", "junk")] {
        let path = setup.folder.path().join(name);
        let good = std::fs::read(&path).unwrap();
        std::fs::write(&path, text).unwrap();
        let reason = Tls::open(&setup.config).err().unwrap();
        assert!(reason.starts_with("gateway.tls.") && reason.contains(name), "{reason}");
        std::fs::write(&path, good).unwrap();
    }
    assert!(Tls::open(&setup.config).is_ok());
}
