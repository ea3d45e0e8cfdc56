//! API keys: how they are made, and which are valid, as `millrace.control` says now; and the quotas and streams that it has
//! of tenants.
//!
//! The first key of an installation lies in its data folder, in `admin.key`, and opens everything. Any other key is `mk_ID_SECRET`. The id finds its record; of the secret only the hash is kept anywhere. The topic is followed, so
//! that a revocation holds within a second.

use std::collections::{HashMap, HashSet};
use std::path::Path;
use std::sync::{Arc, PoisonError, RwLock, RwLockWriteGuard};

use millrace_schemas::access::{KeyEntry, Role, Streams};
use millrace_schemas::control::ControlRecord;
use millrace_schemas::quota::Quota;
use millrace_schemas::topics;
use ring::digest::{SHA256, digest};
use ring::rand::{SecureRandom, SystemRandom};

use crate::follow::follow;
use crate::service::{Service, ServiceError};

const PREFIX: &str = "mk_";

/// A key that was just made: its text is shown once.
pub struct NewKey {
    /// The part that is no secret.
    pub id: String,
    /// The whole key.
    pub text: String,
    /// What is kept of it.
    pub hash: String,
}

impl NewKey {
    /// Makes one.
    ///
    /// # Errors
    /// The system has no randomness to give.
    pub fn make() -> Result<NewKey, ServiceError> {
        let mut bytes = [0; 40];
        SystemRandom::new().fill(&mut bytes).map_err(|_| {
            ServiceError::Other("could not make a key: the system gives no random bytes".to_owned())
        })?;
        let (id, secret) = (hex(&bytes[..8]), hex(&bytes[8..]));
        Ok(NewKey { text: format!("{PREFIX}{id}_{secret}"), hash: hash(&secret), id })
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn hash(secret: &str) -> String {
    hex(digest(&SHA256, secret.as_bytes()).as_ref())
}

/// The first key of the installation, if it is in the data folder `folder`.
pub fn admin_key(folder: &Path) -> Option<String> {
    let key = std::fs::read_to_string(folder.join("admin.key")).ok()?;
    Some(key.trim().to_owned()).filter(|key| !key.is_empty())
}

/// Compares without telling by time where they differ.
fn same(a: &str, b: &str) -> bool {
    let differing = a.bytes().zip(b.bytes()).fold(0, |sum, (a, b)| sum | (a ^ b));
    a.len() == b.len() && differing == 0
}

/// Whose key was sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Holder {
    /// Of the first key: it may do everything, in the name of any tenant.
    Installation,
    /// Of a tenant's key.
    Tenant(Grant),
}

/// What a tenant's key opens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grant {
    /// The part of the key that is no secret.
    pub id: String,
    /// Tenant.
    pub tenant: String,
    /// Which streams it may write to.
    pub streams: Streams,
    roles: Vec<Role>,
}

impl Grant {
    /// Whether it allows what `role` does.
    pub fn allows(&self, role: Role) -> bool {
        self.roles.iter().any(|own| *own == role || *own == Role::Admin)
    }
}

/// The keys there are, the quotas, and the streams.
#[derive(Debug, Clone, Default)]
pub struct Keyring(Arc<RwLock<Held>>);

#[derive(Debug, Default)]
struct Held {
    first: Option<String>,
    keys: HashMap<String, KeyEntry>,
    quotas: HashMap<String, Quota>,
    /// Names by tenant.
    streams: HashMap<String, HashSet<String>>,
}

impl Keyring {
    /// Reads the keys, the first one from the data folder, and follows them until the process is told to stop.
    ///
    /// # Errors
    /// *Exit*.
    pub fn follow(service: &Service) -> Result<Keyring, ServiceError> {
        let keys = Keyring::of(admin_key(&service.config.data_dir), []);
        let (own, codecs) = (keys.clone(), service.codecs.clone());
        follow(service, topics::CONTROL, "keys", move |key, value| {
            match value.and_then(|value| codecs.control().decode::<ControlRecord>(value).ok()) {
                Some(record) => own.note(key, &record),
                None => own.forget(key),
            }
        })?;
        Ok(keys)
    }

    /// The first key and these, no others, no quotas and no streams.
    pub fn of(first: Option<String>, keys: impl IntoIterator<Item = (String, KeyEntry)>) -> Keyring {
        let held = Held { first, keys: keys.into_iter().collect(), ..Held::default() };
        Keyring(Arc::new(RwLock::new(held)))
    }

    /// Of tenants' keys these are valid from now on, and no others.
    pub fn replace(&self, keys: impl IntoIterator<Item = (String, KeyEntry)>) {
        self.held().keys = keys.into_iter().collect();
    }

    fn held(&self) -> RwLockWriteGuard<'_, Held> {
        self.0.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes up what the record `key` says now.
    pub fn note(&self, key: &[u8], record: &ControlRecord) {
        if let Some(entry) = record.as_api_key() {
            self.put(&record.id, entry);
        } else if let Some(quota) = record.as_quota() {
            self.held().quotas.insert(record.id.clone(), quota);
        } else if let Some((tenant, name)) = ControlRecord::stream_name(key) {
            self.held().streams.entry(tenant.to_owned()).or_default().insert(name.to_owned());
        } else {
            self.forget(key);
        }
    }

    fn put(&self, id: &str, entry: KeyEntry) {
        self.held().keys.insert(id.to_owned(), entry);
    }

    /// A key without a record, or with one that cannot be read, opens nothing; such a quota is none.
    fn forget(&self, key: &[u8]) {
        match std::str::from_utf8(key).ok().and_then(|key| key.split_once('/')) {
            Some(("key", id)) => {
                self.held().keys.remove(id);
            }
            Some(("quota", id)) => {
                self.held().quotas.remove(id);
            }
            Some(("stream", id)) => {
                let mut held = self.held();
                let Some((tenant, name)) = id.split_once('/') else { return };
                let Some(own) = held.streams.get_mut(tenant) else { return };
                if own.remove(name) && own.is_empty() {
                    held.streams.remove(tenant);
                }
            }
            _ => {}
        }
    }

    /// The quota that `millrace.control` has for `tenant`.
    pub fn quota(&self, tenant: &str) -> Option<Quota> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).quotas.get(tenant).copied()
    }

    /// Whether `tenant` has a stream `name` with a record.
    pub fn has_stream(&self, tenant: &str, name: &str) -> bool {
        let held = self.0.read().unwrap_or_else(PoisonError::into_inner);
        held.streams.get(tenant).is_some_and(|own| own.contains(name))
    }

    /// Whose `key` is at `now`, µs. Takes as long for an id that there is not as for a wrong secret.
    pub fn holder(&self, key: &str, now: i64) -> Option<Holder> {
        let held = self.0.read().unwrap_or_else(PoisonError::into_inner);
        if held.first.as_ref().is_some_and(|first| same(first, key)) {
            return Some(Holder::Installation);
        }
        let (id, secret) = key.strip_prefix(PREFIX)?.split_once('_')?;
        let hash = hash(secret);
        let entry = held.keys.get(id);
        let is_same = same(entry.map_or(&"0".repeat(hash.len()), |entry| &entry.hash), &hash);
        let entry = entry.filter(|entry| is_same && entry.is_valid(now))?;
        let KeyEntry { tenant, roles, streams, .. } = entry.clone();
        Some(Holder::Tenant(Grant { id: id.to_owned(), tenant, streams, roles }))
    }
}

#[cfg(test)]
mod tests {
    use millrace_schemas::stream::StreamEntry;

    use super::*;

    #[test]
    fn only_the_whole_key_opens_and_only_while_it_is_valid() {
        let keys = Keyring::of(Some("first".to_owned()), []);
        let (key, other) = (NewKey::make().unwrap(), NewKey::make().unwrap());
        assert_eq!(keys.holder("first", 99), Some(Holder::Installation));
        assert!(!key.hash.contains(&key.text[20..]) && key.text != other.text);
        let entry = KeyEntry {
            tenant: "acme".into(),
            roles: vec![Role::Read],
            hash: key.hash.clone(),
            created: 0,
            expires: Some(100),
            revoked: None,
            note: None,
            streams: Streams::Existing,
        };
        keys.put(&key.id, entry.clone());
        let Some(Holder::Tenant(grant)) = keys.holder(&key.text, 99) else { panic!("it opens nothing") };
        assert!(
            grant.tenant == "acme"
                && grant.streams == Streams::Existing
                && grant.allows(Role::Read)
                && !grant.allows(Role::Ingest)
        );
        let swapped = format!("mk_{}_{}", key.id, other.text.rsplit('_').next().unwrap());
        for wrong in
            [&other.text, &swapped, &key.hash, "", "mk_", "mk__", "firs", &key.text[..key.text.len() - 1]]
        {
            assert_eq!(keys.holder(wrong, 99), None, "{wrong}");
        }
        assert_eq!(keys.holder(&key.text, 100), None);
        keys.put(&key.id, KeyEntry { revoked: Some(50), ..entry.clone() });
        assert_eq!(keys.holder(&key.text, 60), None);
        keys.forget(format!("key/{}", key.id).as_bytes());
        assert_eq!(keys.holder(&key.text, 60), None);
        keys.replace([(key.id.clone(), entry)]);
        assert!(keys.holder(&key.text, 60).is_some());
        keys.replace([]);
        assert_eq!(
            (keys.holder(&key.text, 60), keys.holder("first", 60)),
            (None, Some(Holder::Installation))
        );
    }

    #[test]
    fn a_stream_is_there_until_its_record_is_gone() {
        let keys = Keyring::default();
        let entry = StreamEntry { source: None, note: None, set: 0 };
        for name in ["web", "app"] {
            let record = ControlRecord::stream("acme", name, &entry);
            keys.note(record.key().as_bytes(), &record);
        }
        let has = |tenant: &str, name: &str| keys.has_stream(tenant, name);
        assert!(has("acme", "web") && has("acme", "app") && !has("acme", "db") && !has("other", "web"));
        keys.forget(b"stream/acme/web");
        assert!(!has("acme", "web") && has("acme", "app"));
        keys.forget(b"stream/acme/app");
        assert!(keys.held().streams.is_empty());
    }

    #[test]
    fn a_quota_holds_until_its_record_is_gone() {
        let (keys, quota) = (Keyring::default(), Quota { max_streams: Some(3), ..Quota::default() });
        let record = ControlRecord::quota("acme", &quota);
        keys.note(record.key().as_bytes(), &record);
        assert_eq!((keys.quota("acme"), keys.quota("other")), (Some(quota), None));
        keys.note(b"quota/acme", &ControlRecord { json: "?".into(), ..record });
        assert_eq!(keys.quota("acme"), None);
    }
}
