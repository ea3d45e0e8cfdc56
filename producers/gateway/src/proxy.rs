//! `GET /api/v1/…`, `GET /store/log` and the admin API are passed on to the query service, so that a client has one address.
//!
//! Whose data is asked for is decided here, by the gateway's own keys, and told to the query service (I9): what that
//! service would let a neighbour do without a key is no concern of a client of ours. The admin API gets the client's own key.

use std::time::Duration;

use millrace_runtime::http;

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

/// Where the admin API lies.
const ADMIN: &str = "/api/v1/admin/";
/// Headers of requests to it that are passed on, and of answers.
const TOLD: [&str; 4] = ["content-type", "content-encoding", "if-match", "if-none-match"];
const ANSWERED: [&str; 2] = ["etag", "retry-after"];

/// The query service, as the gateway reaches it.
pub(crate) struct Proxy {
    client: reqwest::Client,
    address: String,
    key: Option<String>,
}

impl Proxy {
    /// To the query service at `address`; `key` is the one that may name a tenant.
    pub(crate) fn new(address: &str, key: Option<String>) -> Proxy {
        Proxy { client: http::client(), address: address.to_owned(), key }
    }

    /// Whether a request is one to pass on.
    pub(crate) fn serves(request: &Request<'_>) -> bool {
        let reads = request.path.starts_with("/api/v1/") || request.path == "/store/log";
        Proxy::is_admin(request) || reads && matches!(request.method, "GET" | "HEAD")
    }

    /// Whether it is for the admin API.
    pub(crate) fn is_admin(request: &Request<'_>) -> bool {
        request.path.starts_with(ADMIN)
    }

    /// The query service's answer to `request` of `tenant` with `body`.
    pub(crate) async fn ask(
        &self,
        request: &Request<'_>,
        tenant: &str,
        body: Vec<u8>,
        share: &mut Share,
    ) -> Answer {
        let refuse = |status, reason, retry| Dialect::Plain.refuse(request, status, reason, retry);
        let Some((url, method)) = self.target(request, tenant) else {
            return refuse(404, "no such path", None);
        };
        let mut asking = self.client.request(method, url).timeout(PATIENCE).body(body);
        let key = if Proxy::is_admin(request) {
            let told = TOLD.into_iter().filter(|name| !request.header(name).is_empty());
            asking = told.fold(asking, |asking, name| asking.header(name, request.header(name)));
            secret(request)
        } else {
            self.key_for(request)
        };
        if let Some(key) = key {
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
    /// Where a request goes. Dots and what is escaped in a path may lead elsewhere than it seems: our key opens more than
    /// what is passed on.
    fn target(&self, request: &Request<'_>, tenant: &str) -> Option<(reqwest::Url, reqwest::Method)> {
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"/-_.".contains(&byte);
        if !request.path.bytes().all(is_plain) || request.path.contains("//") {
            return None;
        }
        let query = match Proxy::is_admin(request) {
            true => request.query.to_owned(),
            false => of_tenant(request.query, tenant),
        };
        let url = format!("http://{}{}?{query}", self.address, request.path);
        let url = reqwest::Url::parse(&url).ok().filter(|url| url.path() == request.path)?;
        Some((url, reqwest::Method::from_bytes(request.method.as_bytes()).ok()?))
    }

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
    let header = |name: &'static str| Some((name, response.headers().get(name)?.to_str().ok()?.to_owned()));
    let mut headers: Vec<_> = ANSWERED.into_iter().filter_map(header).collect();
    if status == 503 && headers.iter().all(|(name, _)| *name != "retry-after") {
        headers.push(("retry-after", "2".to_owned()));
    }
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
    Ok(Some(Answer { status, media_type, headers, body }))
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
    fn a_path_leads_where_it_seems_to() {
        let proxy = Proxy::new("127.0.0.1:1", Some("geheim".to_owned()));
        let target = |method: &str, path: &str| {
            let request = Request { method, path, query: "tenant=b", headers: &[], nonce: "" };
            let target = Proxy::serves(&request).then(|| proxy.target(&request, "own")).flatten();
            target.map(|(url, _)| format!("{}?{}", url.path(), url.query().unwrap_or_default()))
        };
        assert_eq!(target("GET", "/api/v1/search").as_deref(), Some("/api/v1/search?tenant=own"));
        assert_eq!(
            target("PUT", "/api/v1/admin/sources/a").as_deref(),
            Some("/api/v1/admin/sources/a?tenant=b")
        );
        for path in [
            "/api/v1/%61dmin/keys",
            "/api/v1/x/../admin/keys",
            "/api/v1//admin/keys",
            "/api/v1/admin/..",
            "/api/v2",
        ] {
            assert_eq!(target("GET", path), None, "{path}");
        }
        assert_eq!(target("PUT", "/api/v1/search"), None);
    }

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
