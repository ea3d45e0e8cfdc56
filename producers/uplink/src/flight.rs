//! One attempt to send one batch.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use millrace_schemas::batch::MEDIA_TYPE;
use millrace_spool::{Due, Spool};
use reqwest::header::{CONTENT_TYPE, RETRY_AFTER};
use reqwest::{Certificate, Client, Response, Url};

use crate::answer::{Verdict, judge};
use crate::body::{Told, body};
use crate::keys::Keys;
use crate::{Error, Options};

const CONNECT: Duration = Duration::from_secs(10);
/// A connection whose other end is gone is found out within this time, and a little.
const KEEPALIVE: Duration = Duration::from_secs(15);
/// Longest answer that is read.
const MAX_ANSWER: usize = 64 << 10;

/// Where batches go.
#[derive(Debug)]
pub(crate) struct Target {
    client: Client,
    url: Url,
    keys: Keys,
    patience: Duration,
}

impl Target {
    /// Checks the options.
    pub(crate) fn new(options: &Options) -> Result<Target, Error> {
        let wrong = |reason: String| Error::Url { url: options.url.clone(), reason };
        let url = Url::parse(&options.url).map_err(|error| wrong(error.to_string()))?;
        if !matches!(url.scheme(), "http" | "https") || url.host_str().is_none() {
            return Err(wrong("it does not begin with http:// or https:// and a host".to_owned()));
        }
        // One that was said before stays.
        drop(rustls::crypto::ring::default_provider().install_default());
        #[expect(clippy::disallowed_methods, reason = "this crate does without the runtime's clients")]
        let mut client = Client::builder()
            .connect_timeout(CONNECT)
            .tcp_keepalive(KEEPALIVE)
            .tcp_keepalive_interval(KEEPALIVE)
            .tcp_keepalive_retries(2)
            .redirect(reqwest::redirect::Policy::none())
            .user_agent(concat!("millrace/", env!("CARGO_PKG_VERSION")));
        if let Some(path) = &options.ca_file {
            let file = |source| Error::File { path: path.clone(), source };
            let pem = std::fs::read(path).map_err(file)?;
            let certificates = Certificate::from_pem_bundle(&pem)
                .map_err(|error| Error::Setup { reason: format!("{}: {}", path.display(), chain(&error)) })?;
            client = client.tls_certs_merge(certificates);
        }
        let client = client.build().map_err(|error| Error::Setup { reason: chain(&error) })?;
        Ok(Target { client, url, keys: options.keys.clone(), patience: options.patience })
    }

    fn address(&self, due: &Due, source: &str) -> Option<Url> {
        let mut url = self.url.clone();
        let minute = chrono::DateTime::from_timestamp(due.minute.checked_mul(60)?, 0)?;
        let minute = minute.format("%Y-%m-%dT%H:%MZ").to_string();
        let (stream, host) = (&due.name.stream, &due.name.host);
        url.path_segments_mut().ok()?.pop_if_empty().extend(["v1", "batches", stream, host, &minute]);
        url.query_pairs_mut().append_pair("tenant", &due.name.tenant).append_pair("source", source);
        Some(url)
    }

    /// Sends one batch, to its end, however long its minute still runs.
    pub(crate) async fn put(&self, spool: Arc<Spool>, due: &Due) -> Verdict {
        let Some(url) = self.address(due, &spool.source(due.id)) else {
            return Verdict::Refused { reason: "its minute or name makes no address".to_owned() };
        };
        let mut request = self.client.put(url).header(CONTENT_TYPE, MEDIA_TYPE);
        match self.keys.key(&due.name.tenant) {
            Ok(Some(key)) => request = request.bearer_auth(key),
            Ok(None) => {}
            Err(reason) => return Verdict::Wrong { reason },
        }
        let told = Told::new();
        let stream = body(spool, due.id, told.clone());
        let request = request.body(reqwest::Body::wrap_stream(stream));
        let answer = async {
            let response = request.send().await?;
            let status = response.status().as_u16();
            let retry_after = response.headers().get(RETRY_AFTER);
            let retry_after = retry_after.and_then(|text| text.to_str().ok()).map(str::to_owned);
            Ok::<_, reqwest::Error>((status, retry_after, read(response).await?))
        };
        let ended = tokio::select! {
            ended = answer => ended.map_err(|error| chain(&error.without_url())),
            () = told.out_of_patience(self.patience) => {
                Err(format!("the gateway neither took nor answered anything for {} s", self.patience.as_secs()))
            }
        };
        match (ended, told.fault()) {
            (_, Some(fault @ millrace_spool::Error::Damaged { .. })) => {
                Verdict::Refused { reason: fault.to_string() }
            }
            (_, Some(fault)) => Verdict::Later { reason: fault.to_string(), after: None },
            (Err(reason), None) => Verdict::Later { reason, after: None },
            (Ok((status, retry_after, text)), None) => {
                // Answered before all was given: whatever it is, it is no yes to the whole.
                let n_records = told.n_records().unwrap_or(u64::MAX);
                judge(status, retry_after.as_deref(), &text, n_records, SystemTime::now())
            }
        }
    }
}

async fn read(mut response: Response) -> Result<Vec<u8>, reqwest::Error> {
    let mut bytes = Vec::new();
    while let Some(chunk) = response.chunk().await? {
        bytes.extend_from_slice(&chunk);
        if bytes.len() > MAX_ANSWER {
            break;
        }
    }
    Ok(bytes)
}

/// An error with its causes, each said once.
fn chain(error: &reqwest::Error) -> String {
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause {
        let own = error.to_string();
        if !text.contains(&own) {
            text = format!("{text}: {own}");
        }
        cause = error.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use millrace_spool::{BatchId, Name, SegmentId};

    use super::*;

    fn target(url: &str) -> Result<Target, Error> {
        let (keys, patience) = (Keys::default(), Duration::from_secs(1));
        Target::new(&Options { url: url.to_owned(), keys, parallel: 1, ca_file: None, patience })
    }

    #[test]
    fn names_of_any_form_make_an_address() {
        let name = Name { tenant: "t".into(), stream: "web".into(), host: "a/b é?".into() };
        let id = BatchId { segment: SegmentId { number: 7, part: 0 }, index: 0 };
        let due = Due { id, name, minute: 28_360_000, closed: true };
        for base in ["https://logs.example/site/", "https://logs.example/site"] {
            let url = target(base).unwrap().address(&due, "s-1.7.1").unwrap();
            assert_eq!(
                url.as_str(),
                "https://logs.example/site/v1/batches/web/a%2Fb%20%C3%A9%3F/2023-12-03T10:40Z?tenant=t&source=s-1.7.1"
            );
        }
        let due = Due { minute: i64::MAX, ..due };
        assert!(target("http://h").unwrap().address(&due, "s").is_none());
    }

    #[test]
    fn what_is_no_address_is_told() {
        for wrong in ["", "logs.example:8080", "ftp://logs.example"] {
            assert!(matches!(target(wrong), Err(Error::Url { .. })), "{wrong}");
        }
    }
}
