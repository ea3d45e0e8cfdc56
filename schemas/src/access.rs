//! Who may do what: tenants and their keys, as `millrace.control` has them.

use serde::{Deserialize, Serialize};

use crate::control::ControlRecord;
use crate::id::is_hex;

/// What a key allows, within its tenant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// To send lines.
    Ingest,
    /// To search and read.
    Read,
    /// Everything.
    Admin,
}

impl Role {
    /// All of them.
    pub const ALL: [Role; 3] = [Role::Ingest, Role::Read, Role::Admin];

    /// By its name.
    pub fn named(name: &str) -> Option<Role> {
        Role::ALL.into_iter().find(|role| role.name() == name)
    }

    /// As it is written.
    pub fn name(self) -> &'static str {
        match self {
            Role::Ingest => "ingest",
            Role::Read => "read",
            Role::Admin => "admin",
        }
    }
}

/// Which streams a key may write to, of its tenant's.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Streams {
    /// Any: a line makes its stream.
    #[default]
    Any,
    /// Those that have a record.
    Existing,
}

impl Streams {
    /// By its name.
    pub fn named(name: &str) -> Option<Streams> {
        [Streams::Any, Streams::Existing].into_iter().find(|streams| streams.name() == name)
    }

    /// As it is written.
    pub fn name(self) -> &'static str {
        match self {
            Streams::Any => "any",
            Streams::Existing => "existing",
        }
    }
}

/// A tenant, kind `tenant`, id = its id.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TenantEntry {
    /// When it was made, µs since the epoch.
    pub created: i64,
}

/// A key, kind `key`, id = the part of it that is no secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyEntry {
    /// Whose it is.
    pub tenant: String,
    /// What it allows.
    pub roles: Vec<Role>,
    /// SHA-256 of the secret part, hexadecimal. The secret has 256 random bits: a slow hash would add nothing.
    pub hash: String,
    /// When it was made, µs since the epoch.
    pub created: i64,
    /// From when on it is no longer valid, µs.
    pub expires: Option<i64>,
    /// When it was revoked, µs.
    pub revoked: Option<i64>,
    /// What it is for.
    pub note: Option<String>,
    /// Which streams it may write to; keys of earlier versions: any.
    #[serde(default)]
    pub streams: Streams,
}

impl KeyEntry {
    /// Whether `text` can be the part of a key that is no secret.
    pub fn is_id(text: &str) -> bool {
        text.len() == 16 && is_hex(text.as_bytes())
    }

    /// Whether `text` can be the hash of the secret part.
    pub fn is_hash(text: &str) -> bool {
        text.len() == 64 && is_hex(text.as_bytes())
    }

    /// Whether it is valid at `now`, µs.
    pub fn is_valid(&self, now: i64) -> bool {
        self.revoked.is_none() && self.expires.is_none_or(|expires| now < expires)
    }

    /// Whether it allows what `role` does.
    pub fn allows(&self, role: Role) -> bool {
        self.roles.iter().any(|own| *own == role || *own == Role::Admin)
    }
}

const TENANT: &str = "tenant";
const KEY: &str = "key";

impl ControlRecord {
    /// The tenant `id`.
    pub fn tenant(id: &str, entry: &TenantEntry) -> ControlRecord {
        ControlRecord::of(TENANT, id, entry)
    }

    /// The key `id`.
    pub fn api_key(id: &str, entry: &KeyEntry) -> ControlRecord {
        ControlRecord::of(KEY, id, entry)
    }

    /// The tenant, where it is one.
    pub fn as_tenant(&self) -> Option<TenantEntry> {
        if self.kind == TENANT { serde_json::from_str(&self.json).ok() } else { None }
    }

    /// The key, where it is one.
    pub fn as_api_key(&self) -> Option<KeyEntry> {
        if self.kind == KEY { serde_json::from_str(&self.json).ok() } else { None }
    }

    pub(crate) fn of(kind: &str, id: &str, entry: &impl Serialize) -> ControlRecord {
        let json = serde_json::to_string(entry).unwrap_or_default();
        ControlRecord { kind: kind.to_owned(), id: id.to_owned(), json }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_allows_its_roles_until_it_ends() {
        let key = KeyEntry {
            tenant: "acme".into(),
            roles: vec![Role::Ingest],
            hash: "00".into(),
            created: 1,
            expires: Some(10),
            revoked: None,
            note: None,
            streams: Streams::Existing,
        };
        assert!(key.is_valid(9) && !key.is_valid(10));
        assert!(key.allows(Role::Ingest) && !key.allows(Role::Read) && !key.allows(Role::Admin));
        let record = ControlRecord::api_key("k1", &key);
        assert_eq!(
            (record.key().as_str(), record.as_api_key(), record.as_tenant()),
            ("key/k1", Some(key.clone()), None)
        );
        let earlier = record.json.replace(r#","streams":"existing""#, "");
        let earlier = ControlRecord { json: earlier, ..record }.as_api_key().unwrap();
        assert_eq!(earlier, KeyEntry { streams: Streams::Any, ..key.clone() });
        let admin = KeyEntry { roles: vec![Role::Admin], expires: None, ..key.clone() };
        assert!(Role::ALL.iter().all(|role| admin.allows(*role)) && admin.is_valid(i64::MAX));
        assert!(!KeyEntry { revoked: Some(5), ..key }.is_valid(1));
    }
}
