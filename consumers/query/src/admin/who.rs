//! Who asks. Always someone with a key of role `admin`: no listener answers without.

use axum::http::HeaderMap;
use axum::http::header::AUTHORIZATION;
use millrace_runtime::keys::{Keyring, same};
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
pub(super) fn of(
    headers: &HeaderMap,
    admin_key: Option<&str>,
    keys: &Keyring,
    now: i64,
) -> Result<Who, Reply> {
    let key = headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok()?.strip_prefix("Bearer "));
    let unauthorized = || Reply::refused(401, "the key is missing or wrong: send Authorization: Bearer KEY");
    let key = key.ok_or_else(unauthorized)?;
    if admin_key.is_some_and(|admin| same(admin, key)) {
        return Ok(Who::Installation);
    }
    let grant = keys.grant(key, now).ok_or_else(unauthorized)?;
    if !grant.allows(Role::Admin) {
        return Err(Reply::refused(403, "the key does not have the role \"admin\""));
    }
    Ok(Who::Tenant { tenant: grant.tenant, key: grant.id })
}
