//! What a batch is called.

use std::borrow::Cow;

use millrace_schemas::attempt::BatchState;
use millrace_schemas::id::{stream_fault, valid_stream};

use crate::api::Request;
use crate::item::MAX_HOST;

/// Longest `source`.
const MAX_SOURCE: usize = 256;

/// Which batch a request brings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Name {
    pub(crate) stream: String,
    pub(crate) host: String,
    /// Minutes since the epoch.
    pub(crate) minute: i64,
    /// Tells several batches of one minute apart.
    pub(crate) source: Option<String>,
}

impl Name {
    /// The batch that a request names; `None` where its path is another.
    ///
    /// # Errors
    /// What is wrong with it.
    pub(crate) fn of(request: &Request<'_>) -> Option<Result<Name, String>> {
        if request.method != "PUT" || !request.path.starts_with("/v1/batches/") {
            return None;
        }
        let Some(parts) = request.parts() else { return Some(Err("the path is not UTF-8".to_owned())) };
        let parts: Vec<&str> = parts.iter().map(AsRef::as_ref).collect();
        let ["v1", "batches", stream, host, minute] = parts.as_slice() else {
            return Some(Err("the path of a batch is /v1/batches/{stream}/{host}/{minute}".to_owned()));
        };
        Some(Name::new(stream, host, minute, request.parameter("source")))
    }

    fn new(stream: &str, host: &str, minute: &str, source: Option<Cow<'_, str>>) -> Result<Name, String> {
        if !valid_stream(stream) {
            return Err(stream_fault(stream));
        }
        if let Some((what, most)) = wrong(host, source.as_deref()) {
            return Err(format!("{what} is a name of 1 to {most} bytes without control characters"));
        }
        let at = chrono::NaiveDateTime::parse_from_str(minute, "%Y-%m-%dT%H:%MZ");
        let at = at.map_err(|_| format!("{minute:?} is no minute like 2026-01-31T23:59Z"))?;
        let minute = at.and_utc().timestamp() / 60;
        let (stream, host) = (stream.to_owned(), host.to_owned());
        Ok(Name { stream, host, minute, source: source.map(Cow::into_owned) })
    }

    /// Whether host and source are such as a name may have.
    pub(super) fn is_good(host: &str, source: Option<&str>) -> bool {
        wrong(host, source).is_none()
    }

    /// Of which nothing is known, as a batch of `tenant`.
    pub(crate) fn state(&self, tenant: &str) -> BatchState {
        let Name { stream, host, minute, source } = self.clone();
        BatchState { tenant: tenant.to_owned(), stream, host, minute, source, open: None, ended: None }
    }

    /// The minute, as it stands in the path.
    pub(crate) fn shown_minute(&self) -> String {
        let at = chrono::DateTime::from_timestamp(self.minute * 60, 0).unwrap_or_default();
        at.format("%Y-%m-%dT%H:%MZ").to_string()
    }
}

/// Which of them is no name, and how long it may be.
fn wrong(host: &str, source: Option<&str>) -> Option<(&'static str, usize)> {
    let all = [("the host", Some(host), MAX_HOST), ("source", source, MAX_SOURCE)];
    let wrong = |text: &str, most| text.is_empty() || text.len() > most || text.contains(char::is_control);
    let (what, _, most) =
        all.into_iter().find(|(_, text, most)| text.is_some_and(|text| wrong(text, *most)))?;
    Some((what, most))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(path: &str, query: &str) -> Option<Result<Name, String>> {
        Name::of(&Request { method: "PUT", path, query, headers: &[], nonce: "n" })
    }

    #[test]
    fn a_batch_is_named_by_its_path() {
        let name = of("/v1/batches/web/a%2Fb/2023-12-03T10:40Z", "tenant=t&source=s-1.7.1").unwrap().unwrap();
        assert_eq!(
            (name.host.as_str(), name.minute, name.source.as_deref()),
            ("a/b", 28_360_000, Some("s-1.7.1"))
        );
        assert_eq!(name.shown_minute(), "2023-12-03T10:40Z");
        assert_eq!(name.state("t").key(), "t/web/28360000\na/b\ns-1.7.1");
        assert_eq!(name.state("t").scope(), "batch/28360000\na/b\ns-1.7.1");
        assert!(of("/v1/batches/web/h/2023-12-03T10:40Z", "").unwrap().unwrap().source.is_none());
        assert!(of("/v1/logs/web", "").is_none());
        for bad in [
            "web/h",
            "Web/h/2023-12-03T10:40Z",
            "web/h/10:40",
            "web/a%0Ab/2023-12-03T10:40Z",
            "web/h/2023-12-03T10:40Z/x",
        ] {
            assert!(of(&format!("/v1/batches/{bad}"), "").unwrap().is_err(), "{bad}");
        }
        assert!(of("/v1/batches/web/h/2023-12-03T10:40Z", "source=").unwrap().is_err());
    }
}
