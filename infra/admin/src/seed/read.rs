//! The file of a seed, read with all its faults at once, each with its path.

use std::time::UNIX_EPOCH;

use millrace_schemas::access::{KeyEntry, Role, Streams};
use millrace_schemas::id::{id_fault, valid_id};
use millrace_schemas::quota::Quota;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use toml::{Table, Value};

use super::{Seed, Tenant};
use crate::sources::{Draft, drafts};
use crate::streams::StreamWish;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct StreamTable {
    source: Option<String>,
    note: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct KeyTable {
    hash: String,
    roles: Vec<Role>,
    #[serde(default)]
    streams: Streams,
    expires: Option<String>,
    note: Option<String>,
}

/// A key as an entry of a seed's file.
pub fn key_text(id: &str, entry: &KeyEntry) -> String {
    let roles: Vec<&str> = entry.roles.iter().map(|role| role.name()).collect();
    let mut text =
        format!("[tenants.{}.keys.{id}]\nhash = \"{}\"\nroles = {roles:?}\n", entry.tenant, entry.hash);
    if entry.streams != Streams::Any {
        text += &format!("streams = \"{}\"\n", entry.streams.name());
    }
    if let Some(expires) = entry.expires {
        let at = UNIX_EPOCH + std::time::Duration::from_micros(expires.max(0) as u64);
        text += &format!("expires = \"{}\"\n", humantime::format_rfc3339_micros(at));
    }
    if let Some(note) = &entry.note {
        text += &format!("note = {}\n", Value::String(note.clone()));
    }
    text
}

impl Seed {
    /// Reads a file. `sources` gives those of a file that it names, `patterns` the texts of a folder that a `patterns_dir`
    /// names.
    ///
    /// # Errors
    /// Everything that is wrong, each with its path.
    pub fn read(
        text: &str,
        now: i64,
        sources: impl Fn(&str) -> Result<Vec<Draft>, String>,
        patterns: impl Fn(&str) -> Result<Vec<String>, String>,
    ) -> Result<Seed, Vec<String>> {
        let mut table: Table = text.parse().map_err(|error: toml::de::Error| vec![error.to_string()])?;
        let (mut seed, mut faults) = (Seed::default(), Faults::default());
        let mut take = |key: &str| table.remove(key);
        let (files, inline, tenants) = (take("sources"), take("source"), take("tenants"));
        for (at, file) in faults.list("sources", files).iter().enumerate() {
            let path = format!("sources[{at}]");
            let own = file.as_str().ok_or_else(|| format!("{file} is no name of a file")).and_then(&sources);
            seed.add(&path, own, &mut faults);
        }
        if let Some(value) = inline {
            let text = toml::to_string(&Table::from_iter([("source".to_owned(), value)]));
            let own = text.map_err(|error| error.to_string()).and_then(|text| drafts(&text, now, &patterns));
            seed.add("source", own, &mut faults);
        }
        match tenants {
            None => {}
            Some(Value::Table(tenants)) => {
                let read = |(id, value): (String, Value)| {
                    let own = tenant(&id, value, &mut faults);
                    (id, own)
                };
                seed.tenants = tenants.into_iter().map(read).collect();
            }
            Some(_) => faults.add("tenants", "is no table"),
        }
        for key in table.keys() {
            faults.add(key, "is not known here: sources = [\"FILE\"], [[source]] and [tenants.ID] are");
        }
        if faults.0.is_empty() { Ok(seed) } else { Err(faults.0) }
    }

    fn add(&mut self, path: &str, read: Result<Vec<Draft>, String>, faults: &mut Faults) {
        for draft in faults.keep(path, read).into_iter().flatten() {
            let name = draft.name();
            if self.sources.iter().any(|own| own.name() == name) {
                faults.add(path, format!("there is another source {name}"));
            }
            for stream in draft.source.streams() {
                if let Some(other) = self.sources.iter().find(|own| own.source.streams().contains(stream)) {
                    faults.add(path, format!("{name}: its stream {stream} is read by {}, too", other.name()));
                }
            }
            self.sources.push(draft);
        }
    }
}

#[derive(Default)]
struct Faults(Vec<String>);

impl Faults {
    fn add(&mut self, path: &str, what: impl std::fmt::Display) {
        self.0.push(format!("{path}: {what}"));
    }

    fn keep<T>(&mut self, path: &str, read: Result<T, String>) -> Option<T> {
        read.map_err(|what| self.add(path, what)).ok()
    }

    fn list(&mut self, path: &str, value: Option<Value>) -> Vec<Value> {
        match value {
            None => Vec::new(),
            Some(Value::Array(all)) => all,
            Some(_) => {
                self.add(path, "is no list");
                Vec::new()
            }
        }
    }

    /// The entries of a table of tables.
    fn entries<T: DeserializeOwned>(&mut self, path: &str, value: Value) -> Vec<(String, String, T)> {
        let Value::Table(table) = value else {
            self.add(path, "is no table");
            return Vec::new();
        };
        let read = |(id, value): (String, Value)| {
            let path = format!("{path}.{id}");
            let own = value.try_into::<T>().map_err(|error| error.message().to_owned());
            Some((path.clone(), id, self.keep(&path, own)?))
        };
        table.into_iter().filter_map(read).collect()
    }
}

fn tenant(id: &str, value: Value, faults: &mut Faults) -> Tenant {
    let (path, mut tenant) = (format!("tenants.{id}"), Tenant::default());
    if !valid_id(id) {
        faults.add(&path, id_fault(id));
    }
    let Value::Table(table) = value else {
        faults.add(&path, "is no table");
        return tenant;
    };
    for (name, value) in table {
        let path = format!("{path}.{name}");
        match name.as_str() {
            "quota" => tenant.quota = quota(&path, value, faults),
            "streams" => {
                for (_, stream, StreamTable { source, note }) in faults.entries(&path, value) {
                    tenant.streams.insert(stream, StreamWish { source, note });
                }
            }
            "keys" => {
                for (path, key_id, table) in faults.entries(&path, value) {
                    let entry = key(&path, (&key_id, id), table, faults);
                    tenant.keys.insert(key_id, entry);
                }
            }
            _ => faults.add(&path, "is not known here: quota, streams and keys are"),
        }
    }
    tenant
}

fn quota(path: &str, value: Value, faults: &mut Faults) -> Option<Quota> {
    let bounds = Quota::default().bounds().map(|(name, _)| name);
    for name in
        value.as_table().into_iter().flat_map(Table::keys).filter(|name| !bounds.contains(&name.as_str()))
    {
        faults.add(path, format!("there is no bound {name:?}; there are: {}", bounds.join(", ")));
    }
    let quota: Quota =
        faults.keep(path, value.try_into().map_err(|error: toml::de::Error| error.message().to_owned()))?;
    quota.faults().iter().for_each(|(name, why)| faults.add(&format!("{path}.{name}"), why));
    Some(quota)
}

fn key(path: &str, (id, tenant): (&str, &str), table: KeyTable, faults: &mut Faults) -> KeyEntry {
    let KeyTable { hash, roles, streams, expires, note } = table;
    let says = "`millrace key create --print-seed` writes it";
    if !KeyEntry::is_id(id) {
        faults.add(path, format!("is no id of a key; {says}"));
    }
    if !KeyEntry::is_hash(&hash) {
        faults.add(&format!("{path}.hash"), format!("is no hash of a key; {says}"));
    }
    if roles.is_empty() {
        faults.add(&format!("{path}.roles"), "is empty: name at least one of ingest, read, admin");
    }
    let expires = expires.and_then(|text| {
        let time =
            humantime::parse_rfc3339_weak(&text).ok().and_then(|at| at.duration_since(UNIX_EPOCH).ok());
        let time = time.ok_or_else(|| format!("{text:?} is no time like \"2027-01-31T00:00:00Z\""));
        Some(faults.keep(&format!("{path}.expires"), time)?.as_micros() as i64)
    });
    let roles = Role::ALL.into_iter().filter(|role| roles.contains(role)).collect();
    KeyEntry { tenant: tenant.to_owned(), roles, hash, created: 0, expires, revoked: None, note, streams }
}
