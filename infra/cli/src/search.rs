//! `millrace search`: asks the query service.

use std::time::{Duration, SystemTime};

use anyhow::Context;
use millrace_runtime::http;
use serde_json::Value;

use crate::args::{Format, Search};
use crate::output::{Answer, grouped};
use crate::place;

pub(crate) fn run(args: &Search) -> anyhow::Result<Answer> {
    let config = place::config(&args.place)?;
    let base = args.url.clone().unwrap_or_else(|| format!("http://{}", config.query.listen));
    let mut parameters = vec![("q", args.query.clone()), ("limit", args.limit.to_string())];
    if let Some(since) = &args.since {
        let from = SystemTime::now() - place::duration(since)?;
        parameters.push(("from", humantime::format_rfc3339_micros(from).to_string()));
    }
    for (name, value) in [("from", &args.from), ("to", &args.to), ("tenant", &args.tenant)] {
        parameters.extend(value.clone().map(|value| (name, value)));
    }
    if args.partial {
        parameters.push(("partial", "true".to_owned()));
    }
    let key = match &args.tenant {
        Some(_) => millrace_runtime::keys::admin_key(&config.data_dir),
        None => None,
    };
    let found = Asker::new(&base)?.ask(&parameters, key.as_deref())?;
    match args.format {
        Format::Json => println!("{}", serde_json::to_string_pretty(&found)?),
        Format::Text => show(&found),
    }
    Ok(match (found["total"] == 0, found["missing"].is_array()) {
        (false, _) => Answer::Yes,
        (true, false) => Answer::No,
        (true, true) => Answer::Unknown,
    })
}

/// Asks one query service; made once, since a client of its own reads the machine's certificates anew.
pub(crate) struct Asker {
    url: String,
    runtime: tokio::runtime::Runtime,
    client: reqwest::Client,
}

impl Asker {
    /// A client of the service at `base`; connects at the first search.
    pub(crate) fn new(base: &str) -> anyhow::Result<Asker> {
        Ok(Asker {
            url: format!("{}/api/v1/search", base.trim_end_matches('/')),
            runtime: tokio::runtime::Builder::new_current_thread().enable_all().build()?,
            client: http::builder().timeout(Duration::from_secs(60)).build()?,
        })
    }

    /// One search; the answer as JSON.
    pub(crate) fn ask(&self, parameters: &[(&str, String)], key: Option<&str>) -> anyhow::Result<Value> {
        let url = &self.url;
        self.runtime.block_on(async {
            let mut request = self.client.get(url).query(parameters);
            if let Some(key) = key {
                request = request.bearer_auth(key.trim());
            }
            let response = request.send().await.with_context(|| {
                format!("could not ask {url}; is the query service running (`millrace status`)?")
            })?;
            let status = response.status();
            let body: Value =
                response.json().await.with_context(|| format!("{url} answered {status} without JSON"))?;
            if !status.is_success() {
                anyhow::bail!(
                    "{url} answered {status}: {}",
                    body["error"].as_str().unwrap_or("no reason given")
                );
            }
            Ok(body)
        })
    }
}

/// A line per hit, newest first, and what was looked at.
pub(crate) fn show(found: &Value) {
    let hits = found["hits"].as_array().map(Vec::as_slice).unwrap_or_default();
    for hit in hits {
        let text = |name: &str| hit[name].as_str().unwrap_or_default();
        let dead = if text("table") == "dead" {
            format!(" [not parsed: {}]", text("reason"))
        } else {
            String::new()
        };
        let body = harmless(text("body"));
        println!("{} {} {}{dead}  {body}", text("time"), harmless(text("host")), text("stream"));
    }
    let total = found["total"].as_i64().unwrap_or_default();
    let (searched, pruned) = (&found["splits_searched"], &found["splits_pruned"]);
    let millis = &found["elapsed_ms"];
    eprintln!(
        "{} of {} hits, {millis} ms, {searched} splits searched, {pruned} left aside",
        hits.len(),
        grouped(total)
    );
    for own in found["missing"].as_array().into_iter().flatten() {
        let text = |name: &str| own[name].as_str().unwrap_or_default();
        let (rows, from, to) = (&own["rows"], text("from"), text("to"));
        eprintln!("not searched: {rows} lines of {from} to {to} in {}: {}", text("object"), text("reason"));
    }
}

/// Control characters of a line must not reach the terminal.
fn harmless(text: &str) -> String {
    text.chars().map(|own| if own.is_control() && own != '\t' { '·' } else { own }).collect()
}

#[cfg(test)]
mod tests {
    use super::harmless;

    #[test]
    fn escape_sequences_do_not_reach_the_terminal() {
        assert_eq!(harmless("a\u{1b}[2Jb\tc"), "a·[2Jb\tc");
    }
}
