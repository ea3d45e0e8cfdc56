//! Lines by HTTP, in the forms in which people send them to a gateway.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::Context;
use millrace_runtime::http;
use serde_json::{Value, json};

use super::args::Load;
use super::target::{Entries, Refused};

const TIMEOUT: Duration = Duration::from_secs(30);

/// Form of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Protocol {
    /// Plain lines to `/v1/logs/STREAM`.
    Native,
    /// Elasticsearch's `_bulk`, the stream as index.
    Bulk,
    /// Loki's push API, the stream as label `stream`.
    Loki,
    /// Splunk's event collector, the stream as index.
    Hec,
}

impl Protocol {
    /// What stands before `http://` on the command line.
    pub(crate) const PREFIXES: [(&'static str, Protocol); 4] = [
        ("", Protocol::Native),
        ("bulk+", Protocol::Bulk),
        ("loki+", Protocol::Loki),
        ("hec+", Protocol::Hec),
    ];

    pub(crate) fn prefix(self) -> &'static str {
        Protocol::PREFIXES.iter().find(|(_, own)| *own == self).map_or("", |(prefix, _)| prefix)
    }

    fn path(self, stream: &str) -> String {
        match self {
            Protocol::Native => format!("/v1/logs/{stream}"),
            Protocol::Bulk => "/_bulk".to_owned(),
            Protocol::Loki => "/loki/api/v1/push".to_owned(),
            Protocol::Hec => "/services/collector/event".to_owned(),
        }
    }

    fn content_type(self) -> &'static str {
        match self {
            Protocol::Native => "text/plain; charset=utf-8",
            Protocol::Bulk => "application/x-ndjson",
            Protocol::Loki | Protocol::Hec => "application/json",
        }
    }

    fn body(self, entries: &Entries, stream: &str) -> Vec<u8> {
        let text = String::from_utf8_lossy;
        let time = || SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        match self {
            // As they would stand in a file.
            Protocol::Native => entries.bytes().to_vec(),
            Protocol::Bulk => {
                let item = |entry| {
                    let (action, line) =
                        (json!({"create": {"_index": stream}}), json!({"message": text(entry)}));
                    format!("{action}\n{line}\n")
                };
                entries.iter().map(item).collect::<String>().into_bytes()
            }
            Protocol::Loki => {
                let now = time().as_nanos().to_string();
                let values: Vec<Value> = entries.iter().map(|entry| json!([now, text(entry)])).collect();
                json!({"streams": [{"stream": {"stream": stream}, "values": values}]})
                    .to_string()
                    .into_bytes()
            }
            Protocol::Hec => {
                let now = time().as_secs_f64();
                let item =
                    |entry| json!({"event": text(entry), "index": stream, "time": now}).to_string() + "\n";
                entries.iter().map(item).collect::<String>().into_bytes()
            }
        }
    }
}

/// What all agents share of an HTTP target.
pub(crate) struct Http {
    protocol: Protocol,
    url: String,
    stream: String,
    /// Value of the header `Authorization`.
    key: Option<String>,
    client: reqwest::Client,
    runtime: tokio::runtime::Runtime,
}

impl Http {
    pub(crate) fn new(protocol: Protocol, base: &str, args: &Load) -> anyhow::Result<Http> {
        let scheme = if protocol == Protocol::Hec { "Splunk" } else { "Bearer" };
        Ok(Http {
            protocol,
            url: format!("{base}{}", protocol.path(&args.stream)),
            stream: args.stream.clone(),
            key: args.key.as_deref().map(|key| format!("{scheme} {}", key.trim())),
            client: http::builder().timeout(TIMEOUT).build()?,
            runtime: tokio::runtime::Builder::new_multi_thread()
                .worker_threads(1)
                .enable_all()
                .build()
                .context("could not start the HTTP client")?,
        })
    }

    pub(crate) fn send(&self, entries: &Entries) -> Result<(), Refused> {
        let mut request = self.client.post(&self.url).body(self.protocol.body(entries, &self.stream));
        request = request.header("content-type", self.protocol.content_type());
        if let Some(key) = &self.key {
            request = request.header("authorization", key);
        }
        let answered = self.runtime.block_on(async {
            let response = request.send().await?;
            let status = response.status();
            let after = response.headers().get("retry-after");
            let after = after.and_then(|value| value.to_str().ok()?.parse().ok());
            Ok::<_, reqwest::Error>((status, after, response.text().await?))
        });
        let (status, after, body) = answered.map_err(|error| Refused::passing("send", &chain(&error)))?;
        let shown = || body.chars().take(300).collect::<String>();
        // A bulk request succeeds as a whole also where none of its items did.
        let failed_items = self.protocol == Protocol::Bulk
            && serde_json::from_str::<Value>(&body).is_ok_and(|answer| answer["errors"] == true);
        if status.is_success() && failed_items {
            let (kind, text) = ("bulk items".to_owned(), format!("{} refused items: {}", self.url, shown()));
            // Again would double the items that were taken.
            return Err(Refused { kind, text, again: false, after: None });
        }
        if status.is_success() {
            return Ok(());
        }
        let code = status.as_u16();
        Err(Refused {
            kind: format!("HTTP {code}"),
            text: format!("{} answered {status}: {}", self.url, shown()),
            again: matches!(code, 408 | 429 | 500..),
            after: after.map(Duration::from_secs),
        })
    }
}

/// An error with its causes: what reqwest says by itself names only the address.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form_holds_every_entry() {
        let mut entries = Entries::default();
        for text in ["one \"1\"", "two\n\tat x"] {
            entries.push(|out| out.extend_from_slice(text.as_bytes()));
        }
        let body = |protocol: Protocol| String::from_utf8(protocol.body(&entries, "web")).unwrap();
        assert_eq!(body(Protocol::Native), "one \"1\"\ntwo\n\tat x\n");
        let bulk: Vec<Value> =
            body(Protocol::Bulk).lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!((bulk.len(), &bulk[0]["create"]["_index"]), (4, &json!("web")));
        assert_eq!((&bulk[1]["message"], &bulk[3]["message"]), (&json!("one \"1\""), &json!("two\n\tat x")));
        let loki: Value = serde_json::from_str(&body(Protocol::Loki)).unwrap();
        assert_eq!(loki["streams"][0]["stream"]["stream"], "web");
        assert_eq!(loki["streams"][0]["values"][1][1], "two\n\tat x");
        let hec: Vec<Value> =
            body(Protocol::Hec).lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!(
            (hec.len(), &hec[1]["event"], &hec[0]["index"]),
            (2, &json!("two\n\tat x"), &json!("web"))
        );
    }
}
