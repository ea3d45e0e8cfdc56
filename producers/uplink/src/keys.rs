//! The keys that a gateway asks for. A file is read for each batch, so a new key is used as soon as it is there.

use std::collections::BTreeMap;
use std::path::PathBuf;

/// Where a key is.
#[derive(Clone)]
pub enum Key {
    /// It is this.
    Text(String),
    /// In this file, with or without a line end.
    File(PathBuf),
}

impl std::fmt::Debug for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Key::Text(_) => f.write_str("***"),
            Key::File(path) => write!(f, "{}", path.display()),
        }
    }
}

/// Keys by tenant.
#[derive(Debug, Clone, Default)]
pub struct Keys {
    /// Of tenants that have none of their own; without one nothing is said.
    pub usual: Option<Key>,
    /// Of one tenant.
    pub of: BTreeMap<String, Key>,
}

impl Keys {
    /// The key of `tenant`.
    pub(crate) fn key(&self, tenant: &str) -> Result<Option<String>, String> {
        match self.of.get(tenant).or(self.usual.as_ref()) {
            None => Ok(None),
            Some(Key::Text(text)) => Ok(Some(text.trim().to_owned())),
            Some(Key::File(path)) => {
                let text = std::fs::read_to_string(path).map_err(|error| {
                    format!("could not read the key of tenant {tenant} from {}: {error}", path.display())
                })?;
                Ok(Some(text.trim().to_owned()))
            }
        }
    }
}
