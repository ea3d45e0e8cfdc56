//! What a tenant may send: as a configuration or `millrace.control` says.

use serde::{Deserialize, Serialize};

use crate::control::ControlRecord;

/// Bounds of one tenant at one gateway. What is not set has none.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Quota {
    /// Bytes of lines, with what stands beside them.
    pub bytes_per_second: Option<u64>,
    /// Bytes that may come at once after a pause; else those of [`BURST_SECONDS`].
    pub burst_bytes: Option<u64>,
    /// Lines.
    pub events_per_second: Option<u64>,
    /// Lines that may come at once after a pause; else those of [`BURST_SECONDS`].
    pub burst_events: Option<u64>,
    /// Requests that are taken at once.
    pub concurrent_requests: Option<u64>,
    /// Largest body, packed and unpacked.
    pub max_body_bytes: Option<u64>,
    /// Longest line.
    pub max_line_bytes: Option<u64>,
    /// Streams that are written to within a day.
    pub max_streams: Option<u64>,
}

/// What may come at once after a pause, where nothing else is said.
pub const BURST_SECONDS: u64 = 10;

/// The tenant id in whose place a configuration names all tenants that it does not name.
pub const EVERYBODY: &str = "*";

const QUOTA: &str = "quota";

impl Quota {
    /// Its bounds by name.
    pub fn bounds(&self) -> [(&'static str, Option<u64>); 8] {
        [
            ("bytes_per_second", self.bytes_per_second),
            ("burst_bytes", self.burst_bytes),
            ("events_per_second", self.events_per_second),
            ("burst_events", self.burst_events),
            ("concurrent_requests", self.concurrent_requests),
            ("max_body_bytes", self.max_body_bytes),
            ("max_line_bytes", self.max_line_bytes),
            ("max_streams", self.max_streams),
        ]
    }

    /// What is wrong with it: which bound, and why.
    pub fn faults(&self) -> Vec<(&'static str, String)> {
        let zero = self.bounds().into_iter().filter(|(_, bound)| *bound == Some(0));
        let mut faults: Vec<_> = zero.map(|(name, _)| (name, "is not 1 or more".to_owned())).collect();
        for (burst, name, rate) in [
            (self.burst_bytes, "burst_bytes", self.bytes_per_second),
            (self.burst_events, "burst_events", self.events_per_second),
        ] {
            if burst.is_some() && rate.is_none() {
                faults.push((name, "is of no use without the rate a second".to_owned()));
            }
        }
        faults
    }

    /// Bytes a second, and at once.
    pub fn bytes(&self) -> Option<(u64, u64)> {
        rate(self.bytes_per_second, self.burst_bytes)
    }

    /// Lines a second, and at once.
    pub fn events(&self) -> Option<(u64, u64)> {
        rate(self.events_per_second, self.burst_events)
    }
}

fn rate(rate: Option<u64>, burst: Option<u64>) -> Option<(u64, u64)> {
    let rate = rate?;
    Some((rate, burst.unwrap_or(rate.saturating_mul(BURST_SECONDS))))
}

impl ControlRecord {
    /// The quota of a tenant.
    pub fn quota(tenant: &str, quota: &Quota) -> ControlRecord {
        ControlRecord::of(QUOTA, tenant, quota)
    }

    /// The quota, where it is one.
    pub fn as_quota(&self) -> Option<Quota> {
        if self.kind == QUOTA { serde_json::from_str(&self.json).ok() } else { None }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_keeps_its_quota_and_says_what_is_wrong_with_it() {
        let quota = Quota { events_per_second: Some(5), max_streams: Some(2), ..Quota::default() };
        let record = ControlRecord::quota("acme", &quota);
        assert_eq!((record.key().as_str(), record.as_quota()), ("quota/acme", Some(quota)));
        assert!(record.as_api_key().is_none() && quota.faults().is_empty());
        assert_eq!((quota.bytes(), quota.events()), (None, Some((5, 50))));
        let wrong = Quota { burst_bytes: Some(1), max_streams: Some(0), ..Quota::default() };
        let names: Vec<_> = wrong.faults().into_iter().map(|(name, _)| name).collect();
        assert_eq!(names, ["max_streams", "burst_bytes"]);
    }
}
