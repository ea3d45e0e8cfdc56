//! Who asks. Always someone with a key of role `admin`: no listener answers without.

use axum::http::HeaderMap;
use axum::http::header::AUTHORIZATION;
use millrace_runtime::keys::{Holder, Keyring};
use millrace_schemas::access::Role;

use super::reply::Reply;

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Who {
    /// Whoever has the first key.
    Installation,
    /// Whoever has this key.
    Tenant { tenant: String, key: String },
}

impl Who {
    /// The tenant whose things these are; `None`: all.
    pub(super) fn tenant(&self) -> Option<&str> {
        match self {
            Who::Installation => None,
            Who::Tenant { tenant, .. } => Some(tenant),
        }
    }

    /// For the log.
    pub(super) fn key(&self) -> &str {
        match self {
            Who::Installation => "admin.key",
            Who::Tenant { key, .. } => key,
        }
    }
}

/// Who sends `headers` at `now`, µs.
pub(super) fn of(headers: &HeaderMap, keys: &Keyring, now: i64) -> Result<Who, Reply> {
    let key = headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok()?.strip_prefix("Bearer "));
    let unauthorized = || Reply::refused(401, "the key is missing or wrong: send Authorization: Bearer KEY");
    match key.and_then(|key| keys.holder(key, now)).ok_or_else(unauthorized)? {
        Holder::Installation => Ok(Who::Installation),
        Holder::Tenant(grant) if grant.allows(Role::Admin) => {
            Ok(Who::Tenant { tenant: grant.tenant, key: grant.id })
        }
        Holder::Tenant(_) => Err(Reply::refused(403, "the key does not have the role \"admin\"")),
    }
}
