//! What gateways know of a batch (`PUT /v1/batches/…`): the attempt that grows, and the one that counts. Kept in
//! `millrace.batches`, written in the transaction of the lines it tells of.

use serde::{Deserialize, Serialize};

use crate::ledger::Sum;

/// Attempts of one batch that are taken: readers go through the numbers.
pub const MAX_ATTEMPTS: i64 = 100;

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
    /// Number of the newest attempt, 0 where there is none.
    pub fn last(&self) -> i64 {
        [self.open, self.ended].into_iter().flatten().map(|own| own.number).max().unwrap_or(0)
    }

    /// Key of its record.
    pub fn key(&self) -> String {
        format!("{}/{}", self.tenant, scope(&self.stream, self.minute, &self.host, self.source.as_deref()))
    }

    /// Dedup scope of its lines.
    pub fn scope(&self) -> String {
        scope("batch", self.minute, &self.host, self.source.as_deref())
    }

    /// The attempt whose lines count: the last that came whole, before the first has, the one that grows.
    pub fn counts(&self) -> Option<BatchAttempt> {
        self.ended.or(self.open)
    }

    /// [`attempt_id`] of each attempt whose lines are superseded: readers leave them out.
    pub fn superseded(&self) -> Vec<String> {
        let counts = self.counts().map(|own| own.number);
        let others = (1..=self.last()).filter(|number| counts != Some(*number));
        others.map(|number| attempt_id(&self.stream, &self.scope(), number)).collect()
    }
}

/// What the lines of one attempt have in common within a tenant.
pub fn attempt_id(stream: &str, scope: &str, attempt: i64) -> String {
    format!("{attempt}/{stream}/{scope}")
}

fn scope(first: &str, minute: i64, host: &str, source: Option<&str>) -> String {
    // Neither host nor source holds a line feed.
    match source {
        Some(source) => format!("{first}/{minute}\n{host}\n{source}"),
        None => format!("{first}/{minute}\n{host}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_attempt_counts_and_all_others_are_superseded() {
        let at = |number| Some(BatchAttempt { number, count: 1, hash: Sum(0) });
        let superseded = |open: Option<i64>, ended: Option<i64>| {
            let [tenant, stream, host] = ["t", "web", "h"].map(str::to_owned);
            let (open, ended) = (open.and_then(at), ended.and_then(at));
            BatchState { tenant, stream, host, minute: 7, source: None, open, ended }.superseded()
        };
        assert_eq!(superseded(None, None), [""; 0]);
        assert_eq!(superseded(Some(1), None), [""; 0]);
        assert_eq!(superseded(None, Some(1)), [""; 0]);
        assert_eq!(superseded(None, Some(2)), ["1/web/batch/7\nh"]);
        assert_eq!(superseded(Some(2), None), ["1/web/batch/7\nh"], "neither came whole: the newer one");
        // Until the third has come whole, the second counts.
        assert_eq!(superseded(Some(3), Some(2)), ["1/web/batch/7\nh", "3/web/batch/7\nh"]);
    }
}
