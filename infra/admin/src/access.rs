//! Tenants, their keys and their quotas. Free of I/O.

use std::time::Duration;

use millrace_runtime::keys::NewKey;
use millrace_schemas::access::{KeyEntry, Role, Streams, TenantEntry};
use millrace_schemas::control::ControlRecord;
use millrace_schemas::id::{id_fault, valid_id};
use millrace_schemas::quota::Quota;
use serde_json::{Value, json};

use crate::control::Change;
use crate::{Decision, Kind, Known, Refusal, minute};

/// The tenant that there is without being made.
pub const DEFAULT: &str = "default";

/// Valid keys of one tenant: more are refused.
const MOST_KEYS: usize = 1_000;
/// Bytes of a note.
const MOST_NOTE: usize = 1_000;

/// A key to be made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyWish {
    /// Whose it is.
    pub tenant: String,
    /// What it allows.
    pub roles: Vec<Role>,
    /// Which streams it may write to.
    pub streams: Streams,
    /// How long it is valid; `None`: until it is revoked.
    pub expires: Option<Duration>,
    /// What it is for.
    pub note: Option<String>,
}

/// Why this is no note.
pub(crate) fn note_fault(note: Option<&String>) -> Option<String> {
    let is_long = note.is_some_and(|note| note.len() > MOST_NOTE);
    is_long.then(|| format!("the note is longer than {MOST_NOTE} bytes"))
}

fn set(record: ControlRecord) -> Vec<Change> {
    vec![(record.key(), Some(record))]
}

impl Known {
    /// Refuses where there is no tenant `id`.
    ///
    /// # Errors
    /// There is none.
    pub fn tenant(&self, id: &str) -> Result<(), Refusal> {
        if id == DEFAULT || self.tenants.contains_key(id) {
            return Ok(());
        }
        Err(Refusal::new(Kind::Missing, format!("there is no tenant {id:?}; make it first")))
    }

    fn n_keys(&self, tenant: &str, now: i64) -> usize {
        self.keys.values().filter(|key| key.tenant == tenant && key.is_valid(now)).count()
    }

    /// Tenants for people and programs.
    pub fn tenant_rows(&self, now: i64) -> Vec<Value> {
        let row = |id: &str, created: Option<i64>| json!({"id": id, "created": created.map(minute), "keys": self.n_keys(id, now)});
        let made = self.tenants.iter().filter(|(id, _)| *id != DEFAULT);
        let rows = made.map(|(id, tenant)| row(id, Some(tenant.created)));
        std::iter::once(row(DEFAULT, None)).chain(rows).collect()
    }

    /// Keys, of one tenant or of all, without their secrets.
    pub fn key_rows(&self, tenant: Option<&str>, now: i64) -> Vec<Value> {
        let wanted = self.keys.iter().filter(|(_, key)| tenant.is_none_or(|own| own == key.tenant));
        wanted.map(|(id, key)| key_row(id, key, now)).collect()
    }
}

fn key_row(id: &str, key: &KeyEntry, now: i64) -> Value {
    let state = match key.revoked {
        Some(_) => "revoked",
        None if key.is_valid(now) => "valid",
        None => "expired",
    };
    let roles: Vec<&str> = key.roles.iter().map(|role| role.name()).collect();
    json!({"id": id, "tenant": key.tenant, "roles": roles.join(","), "streams": key.streams.name(), "state": state,
           "created": minute(key.created), "expires": key.expires.map(minute), "note": key.note})
}

/// Makes the tenant `id`.
///
/// # Errors
/// It is there, or `id` is none.
pub fn create_tenant(known: &Known, id: &str, now: i64) -> Decision<Value> {
    if !valid_id(id) {
        return Err(Refusal::new(Kind::Wrong, id_fault(id)));
    }
    if known.tenant(id).is_ok() {
        return Err(Refusal::new(Kind::Taken, format!("there is a tenant {id} already")));
    }
    let record = ControlRecord::tenant(id, &TenantEntry { created: now });
    Ok((set(record), json!({"id": id, "created": minute(now), "keys": 0})))
}

/// The record of a key of `new`, made at `now`. The key's text is no part of it.
pub fn entry(wish: &KeyWish, new: &NewKey, now: i64) -> KeyEntry {
    let span = |span: Duration| now.saturating_add(i64::try_from(span.as_micros()).unwrap_or(i64::MAX));
    KeyEntry {
        tenant: wish.tenant.clone(),
        roles: Role::ALL.into_iter().filter(|role| wish.roles.contains(role)).collect(),
        hash: new.hash.clone(),
        created: now,
        expires: wish.expires.map(span),
        revoked: None,
        note: wish.note.clone(),
        streams: wish.streams,
    }
}

/// Makes a key of `new`.
///
/// # Errors
/// There is no such tenant, it has too many keys, or the wish is wrong.
pub fn create_key(known: &Known, wish: &KeyWish, new: &NewKey, now: i64) -> Decision<()> {
    put_key(known, &new.id, entry(wish, new, now))
}

/// Makes the key `id`, or has it be this and nothing else.
///
/// # Errors
/// There is no such tenant, it has too many keys, or the entry is wrong.
pub fn put_key(known: &Known, id: &str, entry: KeyEntry) -> Decision<()> {
    known.tenant(&entry.tenant)?;
    let wrong = |reason: &str| Err(Refusal::new(Kind::Wrong, reason));
    if entry.roles.is_empty() {
        return wrong("a key without roles opens nothing: name at least one of ingest, read, admin");
    }
    if let Some(fault) = note_fault(entry.note.as_ref()) {
        return wrong(&fault);
    }
    if !known.keys.contains_key(id) && known.n_keys(&entry.tenant, entry.created) >= MOST_KEYS {
        return wrong("the tenant has 1000 valid keys; revoke some first");
    }
    Ok((set(ControlRecord::api_key(id, &entry)), ()))
}

/// Revokes the key `id`, of tenant `own` where that is named. One that is revoked stays as it is.
///
/// # Errors
/// There is none, or it is another tenant's: which of the two is not said (I9).
pub fn revoke_key(known: &Known, id: &str, own: Option<&str>, now: i64) -> Decision<Value> {
    let entry = known.keys.get(id).filter(|key| own.is_none_or(|own| own == key.tenant));
    let Some(entry) = entry else {
        return Err(Refusal::new(Kind::Missing, format!("there is no key {id:?}; list those there are")));
    };
    if entry.revoked.is_some() {
        return Ok((Vec::new(), key_row(id, entry, now)));
    }
    let entry = KeyEntry { revoked: Some(now), ..entry.clone() };
    Ok((set(ControlRecord::api_key(id, &entry)), key_row(id, &entry, now)))
}

/// Bounds what `tenant` may send: by this quota and no other.
///
/// # Errors
/// There is no such tenant, or a bound is wrong.
pub fn set_quota(known: &Known, tenant: &str, quota: &Quota) -> Decision<()> {
    known.tenant(tenant)?;
    let reasons: Vec<String> = quota.faults().iter().map(|(name, why)| format!("{name} {why}")).collect();
    if reasons.is_empty() {
        return Ok((set(ControlRecord::quota(tenant, quota)), ()));
    }
    Err(Refusal { kind: Kind::Wrong, reasons })
}

/// Forgets the quota of `tenant`.
///
/// # Errors
/// There is no such tenant.
pub fn clear_quota(known: &Known, tenant: &str) -> Decision<()> {
    known.tenant(tenant)?;
    let key = ControlRecord::quota(tenant, &Quota::default()).key();
    Ok((vec![(key, None)], ()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn apply<T>(known: &mut Known, decision: Decision<T>) -> T {
        let (changes, answer) = decision.unwrap();
        changes.iter().for_each(|(key, record)| known.take(key.as_bytes(), record.as_ref()));
        answer
    }

    #[track_caller]
    fn refused<T: std::fmt::Debug>(decision: Decision<T>, kind: Kind) {
        assert_eq!(decision.unwrap_err().kind, kind);
    }

    fn wish(tenant: &str) -> KeyWish {
        let expires = Some(Duration::from_micros(10));
        let (roles, streams) = (vec![Role::Admin, Role::Read], Streams::Existing);
        KeyWish { tenant: tenant.into(), roles, streams, expires, note: None }
    }

    #[test]
    fn a_key_is_of_a_tenant_that_there_is_and_revoked_by_its_own() {
        let (mut known, new) = (Known::default(), NewKey::make().unwrap());
        refused(create_key(&known, &wish("acme"), &new, 0), Kind::Missing);
        refused(create_tenant(&known, "A", 0), Kind::Wrong);
        refused(create_tenant(&known, DEFAULT, 0), Kind::Taken);
        let decided = create_tenant(&known, "acme", 0);
        apply(&mut known, decided);
        refused(create_tenant(&known, "acme", 0), Kind::Taken);
        refused(create_key(&known, &KeyWish { roles: vec![], ..wish("acme") }, &new, 0), Kind::Wrong);
        let decided = create_key(&known, &wish("acme"), &new, 5);
        let written = decided.as_ref().unwrap().0[0].1.clone().unwrap().json;
        assert!(!written.contains(new.text.rsplit('_').next().unwrap()), "{written}");
        apply(&mut known, decided);
        assert_eq!(
            (known.tenant_rows(5)[1]["keys"].clone(), known.key_rows(Some("other"), 5).len()),
            (1.into(), 0)
        );
        let row = &known.key_rows(None, 5)[0];
        assert_eq!((row["roles"].clone(), row["state"].clone()), ("read,admin".into(), "valid".into()));
        assert_eq!(row["streams"], "existing");
        assert_eq!(known.key_rows(Some("acme"), 15)[0]["state"], "expired");

        refused(revoke_key(&known, &new.id, Some("other"), 7), Kind::Missing);
        refused(revoke_key(&known, "none", None, 7), Kind::Missing);
        let decided = revoke_key(&known, &new.id, Some("acme"), 7);
        assert_eq!(apply(&mut known, decided)["state"], "revoked");
        let again = revoke_key(&known, &new.id, None, 9).unwrap();
        assert!(again.0.is_empty() && known.keys[&new.id].revoked == Some(7), "it was revoked then");
    }

    #[test]
    fn a_tenant_has_so_many_valid_keys_and_no_more() {
        let mut known = Known::default();
        for _ in 0..MOST_KEYS {
            let decided = create_key(&known, &wish(DEFAULT), &NewKey::make().unwrap(), 0);
            apply(&mut known, decided);
        }
        refused(create_key(&known, &wish(DEFAULT), &NewKey::make().unwrap(), 0), Kind::Wrong);
        assert!(create_key(&known, &wish(DEFAULT), &NewKey::make().unwrap(), 10).is_ok(), "those are over");
    }

    #[test]
    fn a_quota_is_set_whole_and_forgotten_whole() {
        let mut known = Known::default();
        let quota = Quota { max_streams: Some(2), ..Quota::default() };
        refused(set_quota(&known, "acme", &quota), Kind::Missing);
        refused(clear_quota(&known, "acme"), Kind::Missing);
        let wrong = Quota { max_streams: Some(0), burst_bytes: Some(1), ..Quota::default() };
        assert_eq!(set_quota(&known, DEFAULT, &wrong).unwrap_err().reasons.len(), 2);
        let decided = set_quota(&known, DEFAULT, &quota);
        apply(&mut known, decided);
        assert_eq!(known.quotas[DEFAULT], quota);
        let decided = clear_quota(&known, DEFAULT);
        apply(&mut known, decided);
        assert!(known.quotas.is_empty());
    }
}
