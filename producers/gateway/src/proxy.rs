//! `GET /api/v1/…` and `GET /store/log` are passed on to the query service, so that a client has one address.
//!
//! Whose data is asked for is decided here, by the gateway's own keys, and told to the query service (I9): what that
//! service would let a neighbour do without a key is no concern of a client of ours.

use std::time::Duration;

use crate::access::secret;
use crate::api::{Answer, Dialect, Request};
use crate::budget::Share;

/// Longest wait for an answer.
const PATIENCE: Duration = Duration::from_secs(60);
/// Longest wait until lines are found, and how often a search is asked for them.
const REFRESH: Duration = Duration::from_secs(30);
const LOOK: Duration = Duration::from_millis(200);
/// Largest answer that is passed on.
const MOST: usize = 64 << 20;

/// The query service, as the gateway reaches it.
pub(crate) struct Proxy {
    client: reqwest::Client,
    address: String,
    key: Option<String>,
}

impl Proxy {
    /// To the query service at `address`; `key` is the one that may name a tenant.
    pub(crate) fn new(address: &str, key: Option<&str>) -> Proxy {
        Proxy { client: reqwest::Client::new(), address: address.to_owned(), key: key.map(str::to_owned) }
    }

    /// Whether a request is one to pass on.
    pub(crate) fn serves(request: &Request<'_>) -> bool {
        matches!(request.method, "GET" | "HEAD")
            && (request.path.starts_with("/api/v1/") || request.path == "/store/log")
    }

    /// The query service's answer to `request` of `tenant`.
    pub(crate) async fn ask(&self, request: &Request<'_>, tenant: &str, share: &mut Share) -> Answer {
        let refuse = |status, reason, retry| Dialect::Plain.refuse(request, status, reason, retry);
        let url = format!("http://{}{}?{}", self.address, request.path, of_tenant(request.query, tenant));
        // Dots in a path lead elsewhere: our key opens more than what is passed on here.
        let Some(url) = reqwest::Url::parse(&url).ok().filter(|url| url.path() == request.path) else {
            return refuse(404, "no such path", None);
        };
        let mut asking = self.client.get(url).timeout(PATIENCE);
        if let Some(key) = self.key_for(request) {
            asking = asking.bearer_auth(key);
        }
        match pass_on(asking, share).await {
            Ok(Some(answer)) => answer,
            Ok(None) => refuse(503, "too much is being passed on, try again later", Some(1)),
            Err(error) => {
                tracing::debug!(%error, address = self.address, "query service not asked");
                let reason = "the query service does not answer, try again later";
                refuse(503, reason, Some(2))
            }
        }
    }
}

impl Proxy {
    /// Waits until a search finds `n_rows` of `tenant` that were received at `stamp`; `false` where it takes too long, or
    /// the key of `request` may not search.
    pub(crate) async fn wait_for(
        &self,
        request: &Request<'_>,
        tenant: &str,
        stamp: i64,
        n_rows: usize,
    ) -> bool {
        let query = format!("q=received%3A%5B{stamp}%20TO%20{stamp}%5D&limit=0&tenant={tenant}");
        let url = format!("http://{}/api/v1/search?{query}", self.address);
        let found = async {
            loop {
                match self.total(request, &url).await {
                    Ok(Some(total)) if total >= n_rows as u64 => return true,
                    Ok(None) => return false,
                    Ok(Some(_)) | Err(_) => tokio::time::sleep(LOOK).await,
                }
            }
        };
        n_rows == 0 || tokio::time::timeout(REFRESH, found).await.unwrap_or(false)
    }

    /// How many rows a search finds; `None` where it is refused.
    async fn total(&self, request: &Request<'_>, url: &str) -> Result<Option<u64>, reqwest::Error> {
        let mut asking = self.client.get(url).timeout(REFRESH);
        if let Some(key) = self.key_for(request) {
            asking = asking.bearer_auth(key);
        }
        let response = asking.send().await?;
        if matches!(response.status().as_u16(), 401 | 403) {
            return Ok(None);
        }
        let found: serde_json::Value = serde_json::from_slice(&response.bytes().await?).unwrap_or_default();
        Ok(Some(found["total"].as_u64().unwrap_or_default()))
    }

    /// Without one that may name a tenant, the client's own: the query service knows it, too.
    fn key_for(&self, request: &Request<'_>) -> Option<String> {
        self.key.clone().or_else(|| secret(request))
    }
}

/// `None` where there is no room for the answer.
async fn pass_on(
    asking: reqwest::RequestBuilder,
    share: &mut Share,
) -> Result<Option<Answer>, reqwest::Error> {
    let mut response = asking.send().await?;
    let status = response.status().as_u16();
    let media_type = response.headers().get(reqwest::header::CONTENT_TYPE);
    let is_text = media_type.is_some_and(|own| own.as_bytes().starts_with(b"text/plain"));
    let media_type = if is_text { "text/plain; charset=utf-8" } else { "application/json" };
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await? {
        if !share.take(chunk.len()) {
            return Ok(None);
        }
        body.extend_from_slice(&chunk);
        if body.len() > MOST {
            let reason = "the answer is too large: ask for less, or ask the query service itself";
            return Ok(Some(Answer::refused(502, reason)));
        }
    }
    Ok(Some(Answer { status, media_type, headers: Vec::new(), body }))
}

/// `query` with this tenant, whichever it named.
fn of_tenant(query: &str, tenant: &str) -> String {
    let others = query.split('&').filter(|pair| !pair.is_empty() && !names_tenant(pair));
    others.map(str::to_owned).chain([format!("tenant={tenant}")]).collect::<Vec<_>>().join("&")
}

fn names_tenant(pair: &str) -> bool {
    let request = Request { method: "", path: "", query: pair, headers: &[], nonce: "" };
    request.parameter("tenant").is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tenant_is_ours_whatever_is_asked() {
        for (query, wanted) in [
            ("", "tenant=own"),
            ("q=a%26tenant", "q=a%26tenant&tenant=own"),
            ("tenant=other&q=a", "q=a&tenant=own"),
            ("q=a&%74enant=other&tenant", "q=a&tenant=own"),
        ] {
            assert_eq!(of_tenant(query, "own"), wanted, "{query}");
        }
    }
}
