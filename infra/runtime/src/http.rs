//! Clients for HTTP.

use std::sync::Once;

/// A client that trusts whom the system trusts.
#[expect(clippy::disallowed_methods, reason = "this is the place for it")]
pub fn client() -> reqwest::Client {
    with_cryptography();
    reqwest::Client::new()
}

/// Same, to be told more.
#[expect(clippy::disallowed_methods, reason = "this is the place for it")]
pub fn builder() -> reqwest::ClientBuilder {
    with_cryptography();
    reqwest::Client::builder()
}

/// Says whose cryptography TLS has, for clients that libraries make.
pub(crate) fn with_cryptography() {
    static SAID: Once = Once::new();
    // One that was said before stays.
    SAID.call_once(|| drop(rustls::crypto::ring::default_provider().install_default()));
}
