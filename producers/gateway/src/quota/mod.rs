//! Quotas of tenants: what each may send, and what it has used of that at this gateway (I10).
//!
//! `bucket`, `account` and `meter` are told the time and wait for nothing. A tenant's quota is the one that
//! `millrace.control` has for it, else the configuration's for it, else the configuration's for everybody.

mod account;
mod bucket;
mod meter;

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use millrace_runtime::keys::Keyring;
use millrace_schemas::quota::{EVERYBODY, Quota};

pub(crate) use account::{Account, Place};
pub use meter::Meter;

/// What a quota bounds, or a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bound {
    /// Bytes a second.
    Bytes,
    /// Lines a second.
    Events,
    /// Requests at once.
    Requests,
    /// Streams within a day.
    Streams,
    /// A body.
    Body,
    /// A line.
    Line,
    /// A stream that the key may not make.
    NewStream,
}

impl Bound {
    /// All of them, in this order.
    pub const ALL: [Bound; 7] = [
        Bound::Bytes,
        Bound::Events,
        Bound::Requests,
        Bound::Streams,
        Bound::Body,
        Bound::Line,
        Bound::NewStream,
    ];

    /// The label of its metric.
    pub fn name(self) -> &'static str {
        match self {
            Bound::Bytes => "bytes",
            Bound::Events => "events",
            Bound::Requests => "requests",
            Bound::Streams => "streams",
            Bound::Body => "body",
            Bound::Line => "line",
            Bound::NewStream => "new_stream",
        }
    }
}

/// What is over a quota, or beyond a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Excess {
    /// Which.
    pub bound: Bound,
    /// Why, for the client.
    pub reason: String,
    /// When it may pass; `None`: never.
    pub after: Option<Duration>,
}

impl Excess {
    /// HTTP status.
    pub fn status(&self) -> u16 {
        match (self.bound, self.after) {
            (Bound::NewStream, _) => 403,
            (_, Some(_)) => 429,
            (_, None) => 413,
        }
    }

    /// Whole seconds after which to come again.
    pub fn retry(&self) -> Option<u32> {
        let seconds = self.after?.as_millis().div_ceil(1_000).max(1);
        Some(u32::try_from(seconds).unwrap_or(u32::MAX))
    }
}

/// Accounts that are held at most, unless more tenants send at once.
const ACCOUNTS: usize = 10_000;

/// The quotas there are, and what is used of them.
pub(crate) struct Quotas {
    configured: BTreeMap<String, Quota>,
    /// Has those of `millrace.control`.
    keys: Keyring,
    accounts: Mutex<HashMap<String, Arc<Account>>>,
}

impl Quotas {
    pub(crate) fn new(configured: BTreeMap<String, Quota>, keys: Keyring) -> Quotas {
        Quotas { configured, keys, accounts: Mutex::default() }
    }

    /// The account of `tenant`, where it has a quota.
    pub(crate) fn account(&self, tenant: &str) -> Option<Arc<Account>> {
        let configured = || self.configured.get(tenant).or_else(|| self.configured.get(EVERYBODY)).copied();
        let quota = self.keys.quota(tenant).or_else(configured).filter(|own| *own != Quota::default())?;
        let now = Instant::now();
        let mut accounts = self.accounts.lock().unwrap_or_else(PoisonError::into_inner);
        if accounts.len() >= ACCOUNTS && !accounts.contains_key(tenant) {
            accounts.retain(|_, account| Arc::strong_count(account) > 1);
        }
        let account = accounts.entry(tenant.to_owned()).or_insert_with(|| Arc::new(Account::new(quota, now)));
        account.adopt(quota, now);
        Some(account.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tenants_own_quota_comes_before_everybodys() {
        let of = |events| Quota { events_per_second: Some(events), ..Quota::default() };
        let configured = [("acme", of(5)), (EVERYBODY, of(1)), ("free", Quota::default())];
        let configured = configured.map(|(tenant, quota)| (tenant.to_owned(), quota));
        let quotas = Quotas::new(configured.into(), Keyring::default());
        let events = |tenant: &str| quotas.account(tenant).map(|own| own.quota().events_per_second);
        assert_eq!((events("acme"), events("other"), events("free")), (Some(Some(5)), Some(Some(1)), None));
        assert!(Arc::ptr_eq(&quotas.account("acme").unwrap(), &quotas.account("acme").unwrap()));
    }
}
