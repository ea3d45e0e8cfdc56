//! Tenants, keys, quotas, sources and streams: what `millrace.control` says of them, and what may be changed. The command line and the
//! admin API do the same by it.
//!
//! What becomes of a change is a function of what there is; only [`control`] talks to Kafka.
#![warn(missing_docs)]

pub mod access;
pub mod control;
mod known;
pub mod parse;
pub mod seed;
pub mod sources;
pub mod streams;

use std::time::Duration;

pub use known::Known;

/// Records to write, or to delete, by their keys; and what to answer once that is done.
pub type Decision<T> = Result<(Vec<control::Change>, T), Refusal>;

/// Why something is not done. Nothing was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// What kind of thing stands against it.
    pub kind: Kind,
    /// Why, and what to do.
    pub reasons: Vec<String>,
}

/// What stands against a change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// What is asked for is wrong in itself.
    Wrong,
    /// What it is about is not there.
    Missing,
    /// It is there already.
    Taken,
    /// What is there is another than the one that was meant.
    Stale,
}

/// What must be set so that a change is meant for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expected {
    /// Anything, or nothing.
    Any,
    /// Nothing.
    Nothing,
    /// This version.
    Version(i64),
}

impl Expected {
    /// Refuses where `what` is set in another version.
    fn hold(self, what: &str, set: Option<i64>) -> Result<(), Refusal> {
        let is = match (self, set) {
            (Expected::Any, _) | (Expected::Nothing, None) => return Ok(()),
            (Expected::Version(wanted), Some(set)) if wanted == set => return Ok(()),
            (_, Some(set)) => format!("version {set} of the {what} is set"),
            (_, None) => format!("no {what} is set"),
        };
        let reason = format!("{is}, which is not what was expected; look at what is set, and decide again");
        Err(Refusal::new(Kind::Stale, reason))
    }
}

impl Refusal {
    /// For one reason.
    pub fn new(kind: Kind, reason: impl Into<String>) -> Refusal {
        Refusal { kind, reasons: vec![reason.into()] }
    }
}

impl std::fmt::Display for Refusal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.reasons.join("\n"))
    }
}

/// µs since the epoch as RFC 3339, to the minute.
pub fn minute(micros: i64) -> String {
    let system = std::time::UNIX_EPOCH + Duration::from_micros(micros.max(0) as u64);
    let text = humantime::format_rfc3339_seconds(system).to_string();
    format!("{}Z", &text[..16])
}

/// `30m`, `1h`, `7d`.
///
/// # Errors
/// It is no time span.
pub fn span(text: &str) -> Result<Duration, String> {
    humantime::parse_duration(text).map_err(|_| format!("{text:?} is not a time span such as 30m, 1h or 7d"))
}
