//! Whose lines a request brings (I9): the key's tenant; without a key the certificate's, else the listener's own. And which
//! streams they may be of.

use std::borrow::Cow;

use base64::Engine;
use millrace_runtime::keys::{Holder, Keyring};
use millrace_schemas::access::{Role, Streams};

use crate::api::{Dialect, Request};
use crate::proxy::Proxy;
use crate::quota::{Bound, Excess};
use crate::tls::Client;

/// What this gateway knows of keys.
#[derive(Debug, Clone)]
pub(crate) struct Access {
    /// Tenant of requests without a key.
    pub(crate) anonymous: Option<String>,
    /// The first key, which may name a tenant, and those of tenants.
    pub(crate) keys: Keyring,
}

/// In whose name a request comes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Caller {
    pub(crate) tenant: String,
    /// Which streams its key may write to.
    pub(crate) streams: Streams,
}

impl Caller {
    /// Without a key that says less.
    fn of(tenant: String) -> Caller {
        Caller { tenant, streams: Streams::Any }
    }
}

/// The streams of a tenant that have a record: what a key that makes none may write to.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Existing<'a> {
    keys: &'a Keyring,
    tenant: &'a str,
}

impl Existing<'_> {
    /// Why nothing may be written to `stream`, where that is so.
    pub(crate) fn refuse(self, stream: &str) -> Option<Excess> {
        if self.keys.has_stream(self.tenant, stream) {
            return None;
        }
        let (tenant, shown) = (self.tenant, stream.chars().take(128).collect::<String>());
        let reason = format!(
            "there is no stream {shown:?}, and this key may not make one: `millrace stream create {shown} --tenant {tenant}` does"
        );
        Some(Excess { bound: Bound::NewStream, reason, after: None })
    }
}

/// Status, and why.
pub(crate) type Denied = (u16, &'static str);

impl Access {
    /// Those that `caller` may write to; `None`: any.
    pub(crate) fn existing<'a>(&'a self, caller: &'a Caller) -> Option<Existing<'a>> {
        let Caller { tenant, streams } = caller;
        (*streams == Streams::Existing).then_some(Existing { keys: &self.keys, tenant })
    }

    /// In whose name a request of `client` comes at `now`, µs.
    pub(crate) fn caller(&self, request: &Request<'_>, client: &Client, now: i64) -> Result<Caller, Denied> {
        let named = request.parameter("tenant").or_else(|| org_id(request));
        if named.as_deref().is_some_and(|tenant| !millrace_schemas::id::valid_id(tenant)) {
            return Err((400, "tenant is not [a-z0-9-]{1,64}"));
        }
        let own = match client {
            Client::Tenant(own) => Some(own),
            Client::Unknown => self.anonymous.as_ref(),
            Client::Stranger => None,
        };
        let sent = match secret(request) {
            Some(key) => Some(self.keys.holder(&key, now).ok_or((401, "the key is missing or wrong"))?),
            None => None,
        };
        match (sent, own) {
            (Some(Holder::Installation), _) => {
                Ok(Caller::of(named.map_or_else(|| "default".to_owned(), Into::into)))
            }
            (Some(Holder::Tenant(grant)), _) => {
                if named.is_some_and(|named| named != grant.tenant) {
                    return Err((403, "the key is another tenant's"));
                }
                if matches!(client, Client::Tenant(own) if *own != grant.tenant) {
                    return Err((403, "the key is another tenant's than the certificate"));
                }
                match needed(request) {
                    Some(Role::Read) if !grant.allows(Role::Read) => {
                        Err((403, "the key does not have the role \"read\""))
                    }
                    Some(Role::Ingest) if !grant.allows(Role::Ingest) => {
                        Err((403, "the key does not have the role \"ingest\""))
                    }
                    Some(Role::Admin) if !grant.allows(Role::Admin) => {
                        Err((403, "the key does not have the role \"admin\""))
                    }
                    _ => Ok(Caller { tenant: grant.tenant, streams: grant.streams }),
                }
            }
            // Neither listener nor certificate stands for this role.
            (None, _) if needed(request) == Some(Role::Admin) => Err((401, "the key is missing or wrong")),
            (None, Some(own)) if named.as_deref().is_none_or(|named| named == own) => {
                Ok(Caller::of(own.clone()))
            }
            (None, Some(_)) => Err((403, "this listener or certificate is another tenant's")),
            (None, None) if *client == Client::Stranger => Err((403, "the certificate belongs to no tenant")),
            (None, None) => Err((401, "the key is missing or wrong")),
        }
    }
}

/// The tenant that senders of Loki and OTLP name; like `?tenant=` it opens nothing that the key does not.
fn org_id<'a>(request: &Request<'a>) -> Option<Cow<'a, str>> {
    let named = request.header("x-scope-orgid");
    let is_known = matches!(Dialect::of(request.path), Dialect::Loki | Dialect::Otlp);
    (is_known && !named.is_empty()).then_some(Cow::Borrowed(named))
}

/// The key, in any of the places where senders put it. A header of a kind that is not known counts as a wrong key.
pub(crate) fn secret(request: &Request<'_>) -> Option<String> {
    let own = request.header("x-api-key");
    if !own.is_empty() {
        return Some(own.to_owned());
    }
    let header = request.header("authorization");
    if header.is_empty() {
        return None;
    }
    let (scheme, rest) = header.split_once(' ').unwrap_or((header, ""));
    let rest = rest.trim();
    // Basic holds user:password, Elasticsearch's ApiKey id:key; a key that is not packed so is taken as it is.
    let packed = || {
        let bytes = base64::engine::general_purpose::STANDARD.decode(rest).ok()?;
        let text = String::from_utf8(bytes).ok()?;
        Some(text.split_once(':')?.1.to_owned())
    };
    Some(match scheme.to_ascii_lowercase().as_str() {
        "bearer" | "splunk" => rest.to_owned(),
        "basic" => packed().unwrap_or_default(),
        "apikey" => packed().unwrap_or_else(|| rest.to_owned()),
        _ => String::new(),
    })
}

/// What a key must allow for a request; `None` where any will do: what senders ask before they send.
fn needed(request: &Request<'_>) -> Option<Role> {
    if Proxy::is_admin(request) {
        return Some(Role::Admin);
    }
    if Proxy::serves(request) {
        return Some(Role::Read);
    }
    matches!(request.method, "POST" | "PUT").then_some(Role::Ingest)
}

#[cfg(test)]
mod tests {
    use millrace_runtime::keys::NewKey;
    use millrace_schemas::access::KeyEntry;
    use millrace_schemas::control::ControlRecord;

    use super::*;

    fn access(anonymous: Option<&str>) -> Access {
        let keys = Keyring::of(Some("geheim".to_owned()), []);
        Access { anonymous: anonymous.map(str::to_owned), keys }
    }

    fn ask(anonymous: Option<&str>, query: &str, headers: &[(&str, &str)]) -> Result<String, u16> {
        let access = access(anonymous);
        let request = Request { method: "POST", path: "/v1/logs/web", query, headers, nonce: "n" };
        access.caller(&request, &Client::Unknown, 0).map(|own| own.tenant).map_err(|(status, _)| status)
    }

    #[test]
    fn the_admin_api_asks_for_a_key_that_may() {
        let access = access(Some("own"));
        let make = |role: Role| {
            let new = NewKey::make().unwrap();
            let (tenant, hash) = ("acme".to_owned(), new.hash.clone());
            let roles = vec![role];
            let (expires, revoked, note, streams) = (None, None, None, Streams::Any);
            let entry = KeyEntry { tenant, roles, hash, created: 0, expires, revoked, note, streams };
            let record = ControlRecord::api_key(&new.id, &entry);
            access.keys.note(record.key().as_bytes(), &record);
            new.text
        };
        let ask = |client: &Client, key: &str, query: &str| {
            let headers = if key.is_empty() { vec![] } else { vec![("x-api-key", key)] };
            let path = "/api/v1/admin/keys";
            let request = Request { method: "GET", path, query, headers: &headers, nonce: "n" };
            access.caller(&request, client, 0).map(|own| own.tenant).map_err(|(status, _)| status)
        };
        let certified = Client::Tenant("acme".to_owned());
        assert_eq!(ask(&Client::Unknown, "", ""), Err(401), "anonymous");
        assert_eq!(ask(&certified, "", ""), Err(401), "a certificate alone");
        assert_eq!(ask(&Client::Unknown, "geheil", ""), Err(401));
        assert_eq!(ask(&Client::Unknown, "geheim", ""), Ok("default".to_owned()));
        for role in [Role::Ingest, Role::Read] {
            assert_eq!(ask(&Client::Unknown, &make(role), ""), Err(403));
        }
        let admin = make(Role::Admin);
        assert_eq!(ask(&certified, &admin, ""), Ok("acme".to_owned()));
        assert_eq!(ask(&Client::Unknown, &admin, "tenant=other"), Err(403));
    }

    #[test]
    fn a_certificate_stands_for_a_key() {
        let ask = |client: &Client, query: &str, headers: &[(&str, &str)]| {
            let access = access(Some("own"));
            let request = Request { method: "POST", path: "/v1/logs/web", query, headers, nonce: "n" };
            access.caller(&request, client, 0).map(|own| own.tenant).map_err(|(status, _)| status)
        };
        let acme = Client::Tenant("acme".to_owned());
        assert_eq!(ask(&acme, "", &[]), Ok("acme".to_owned()));
        assert_eq!(ask(&acme, "tenant=own", &[]), Err(403));
        assert_eq!(ask(&acme, "", &[("x-api-key", "geheil")]), Err(401), "a wrong key is wrong");
        assert_eq!(ask(&Client::Stranger, "", &[]), Err(403));
        assert_eq!(ask(&Client::Stranger, "", &[("x-api-key", "geheim")]), Ok("default".to_owned()));
        assert_eq!(ask(&Client::Unknown, "", &[]), Ok("own".to_owned()));
    }

    #[test]
    fn a_key_is_found_wherever_senders_put_it() {
        let headers = |key: &str| {
            let packed = base64::engine::general_purpose::STANDARD.encode(format!("user:{key}"));
            let header = |scheme: &str, rest: &str| ("authorization", format!("{scheme} {rest}"));
            [
                header("Bearer", key),
                header("Splunk", key),
                header("ApiKey", key),
                header("ApiKey", &packed),
                header("Basic", &packed),
                ("x-api-key", key.to_owned()),
            ]
        };
        for (name, value) in headers("geheim") {
            assert_eq!(ask(None, "tenant=other", &[(name, &value)]), Ok("other".to_owned()), "{value}");
        }
        for (name, value) in headers("geheil") {
            assert_eq!(ask(Some("own"), "", &[(name, &value)]), Err(401), "{value}");
        }
    }

    #[test]
    fn an_org_id_names_a_tenant_to_keys_that_may() {
        let ask = |path: &str, headers: &[(&str, &str)]| {
            let access = access(Some("own"));
            let request = Request { method: "POST", path, query: "", headers, nonce: "n" };
            access.caller(&request, &Client::Unknown, 0).map(|own| own.tenant).map_err(|(status, _)| status)
        };
        let (push, id) = ("/loki/api/v1/push", ("x-scope-orgid", "acme"));
        assert_eq!(ask(push, &[id, ("x-api-key", "geheim")]), Ok("acme".to_owned()));
        assert_eq!(ask(push, &[id]), Err(403), "the listener serves another tenant");
        assert_eq!(ask(push, &[("x-scope-orgid", "own")]), Ok("own".to_owned()));
        assert_eq!(ask(push, &[("x-scope-orgid", "A B")]), Err(400));
        assert_eq!(ask("/v1/logs", &[id, ("x-api-key", "geheim")]), Ok("acme".to_owned()));
        assert_eq!(ask("/v1/logs/web", &[id]), Ok("own".to_owned()), "it means nothing elsewhere");
    }

    #[test]
    fn without_a_key_the_listener_decides() {
        assert_eq!(ask(Some("own"), "", &[]), Ok("own".to_owned()));
        assert_eq!(ask(Some("own"), "tenant=own", &[]), Ok("own".to_owned()));
        assert_eq!(ask(Some("own"), "tenant=other", &[]), Err(403));
        assert_eq!(ask(Some("own"), "tenant=A", &[]), Err(400));
        assert_eq!(ask(None, "", &[]), Err(401));
        assert_eq!(ask(Some("own"), "", &[("authorization", "Digest x")]), Err(401));
        assert_eq!(ask(Some("own"), "", &[("authorization", "Bearer ")]), Err(401));
    }
}
