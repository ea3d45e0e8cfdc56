//! What gateways know of a batch (`PUT /v1/batches/…`): the attempt that grows, and the one that counts. Kept in
//! `millrace.batches`, written in the transaction of the lines it tells of.

use serde::{Deserialize, Serialize};

use crate::ledger::Sum;

/// Value under [`BatchState::key`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BatchState {
    /// Tenant id.
    pub tenant: String,
    /// Stream.
    pub stream: String,
    /// Host.
    pub host: String,
    /// Minutes since the epoch.
    pub minute: i64,
    /// Tells several batches of one minute apart.
    pub source: Option<String>,
    /// An attempt whose end has not come.
    pub open: Option<BatchAttempt>,
    /// The last attempt that came whole: the one that counts.
    pub ended: Option<BatchAttempt>,
}

/// One attempt, up to where it is committed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct BatchAttempt {
    /// From 1; later ones replace earlier ones.
    pub number: i64,
    /// Lines.
    pub count: i64,
    /// Hash of the body up to there.
    pub hash: Sum,
}

impl BatchState {
    /// Key of its record.
    pub fn key(&self) -> String {
        format!("{}/{}", self.tenant, scope(&self.stream, self.minute, &self.host, self.source.as_deref()))
    }

    /// Dedup scope of its lines.
    pub fn scope(&self) -> String {
        scope("batch", self.minute, &self.host, self.source.as_deref())
    }
}

fn scope(first: &str, minute: i64, host: &str, source: Option<&str>) -> String {
    // Neither host nor source holds a line feed.
    match source {
        Some(source) => format!("{first}/{minute}\n{host}\n{source}"),
        None => format!("{first}/{minute}\n{host}"),
    }
}
