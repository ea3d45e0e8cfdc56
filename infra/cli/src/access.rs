//! `millrace tenant` and `millrace key`: who may do what, as records of `millrace.control`.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::Path;
use std::time::{Duration, SystemTime};

use anyhow::Context;

use millrace_runtime::kafka::read_to_mark;
use millrace_runtime::keys::NewKey;
use millrace_runtime::service::Service;
use millrace_runtime::sink::now_micros;
use millrace_schemas::access::{KeyEntry, Role, TenantEntry};
use millrace_schemas::control::ControlRecord;
use millrace_schemas::id::valid_id;
use millrace_schemas::quota::Quota;
use millrace_schemas::topics;
use serde_json::{Value, json};

use crate::args::{Format, KeyCreate, KeyLs, KeyRevoke, TenantCreate, TenantLs};
use crate::control::Control;
use crate::output::{Answer, minute, print_rows};
use crate::place;

/// The tenant that there is without being made.
const DEFAULT: &str = "default";

/// What `millrace.control` says of tenants and keys.
#[derive(Default)]
pub(crate) struct Known {
    tenants: BTreeMap<String, TenantEntry>,
    keys: BTreeMap<String, KeyEntry>,
    pub(crate) quotas: BTreeMap<String, Quota>,
}

impl Known {
    pub(crate) fn read(service: &Service) -> anyhow::Result<Known> {
        let mut known = Known::default();
        read_to_mark(&service.config.kafka, topics::CONTROL, &[0], |_, _, key, value| {
            let record = value.and_then(|value| service.codecs.control().decode::<ControlRecord>(value).ok());
            if let Some(record) = record {
                if let Some(tenant) = record.as_tenant() {
                    known.tenants.insert(record.id.clone(), tenant);
                }
                if let Some(quota) = record.as_quota() {
                    known.quotas.insert(record.id.clone(), quota);
                }
                if let Some(key) = record.as_api_key() {
                    known.keys.insert(record.id, key);
                }
            } else if let Some(id) = std::str::from_utf8(key).ok().and_then(|key| key.strip_prefix("quota/"))
            {
                known.quotas.remove(id);
            }
            Ok(())
        })?;
        Ok(known)
    }

    pub(crate) fn has_tenant(&self, id: &str) -> bool {
        id == DEFAULT || self.tenants.contains_key(id)
    }
}

/// Writes one record.
pub(crate) fn write(service: &Service, record: &ControlRecord) -> anyhow::Result<()> {
    Control::open(service)?.write(service, &[(record.key(), Some(record.clone()))])
}

pub(crate) fn create_tenant(args: &TenantCreate) -> anyhow::Result<Answer> {
    if !valid_id(&args.id) {
        anyhow::bail!("{:?} is no tenant id: 1 to 64 of a-z, 0-9 and '-'", args.id);
    }
    let service = place::service(&args.place)?;
    if Known::read(&service)?.has_tenant(&args.id) {
        println!("there is a tenant {} already", args.id);
        return Ok(Answer::No);
    }
    write(&service, &ControlRecord::tenant(&args.id, &TenantEntry { created: now_micros() }))?;
    println!(
        "tenant {} is made; `millrace key create --tenant {} --role ingest` makes a key for it",
        args.id, args.id
    );
    Ok(Answer::Yes)
}

pub(crate) fn ls_tenants(args: &TenantLs) -> anyhow::Result<Answer> {
    let known = Known::read(&place::service(&args.place)?)?;
    let n_keys =
        |id: &str| known.keys.values().filter(|key| key.tenant == id && key.is_valid(now_micros())).count();
    let mut rows = vec![json!({"id": DEFAULT, "created": null, "keys": n_keys(DEFAULT)})];
    for (id, tenant) in known.tenants.iter().filter(|(id, _)| *id != DEFAULT) {
        rows.push(json!({"id": id, "created": minute(tenant.created), "keys": n_keys(id)}));
    }
    print_rows(args.format, &["id", "created"], &["keys"], &rows)?;
    Ok(Answer::Yes)
}

pub(crate) fn create_key(args: &KeyCreate) -> anyhow::Result<Answer> {
    let expires = args.expires.as_deref().map(place::duration).transpose()?;
    if let Some(file) = &args.relay {
        return create_at_relay(args, expires, file);
    }
    let service = place::service(&args.place)?;
    if !Known::read(&service)?.has_tenant(&args.tenant) {
        println!("there is no tenant {}; `millrace tenant create {}` makes it", args.tenant, args.tenant);
        return Ok(Answer::No);
    }
    let (key, created) = (NewKey::make()?, now_micros());
    let entry = KeyEntry {
        tenant: args.tenant.clone(),
        roles: Role::ALL.into_iter().filter(|role| args.roles.contains(&role.name().to_owned())).collect(),
        hash: key.hash.clone(),
        created,
        expires: expires.map(|span| created.saturating_add(span.as_micros().min(i64::MAX as u128) as i64)),
        revoked: None,
        note: args.note.clone(),
    };
    write(&service, &ControlRecord::api_key(&key.id, &entry))?;
    show(args.format, &key, "it holds within a second");
    Ok(Answer::Yes)
}

fn show(format: Format, key: &NewKey, then: &str) {
    match format {
        Format::Json => println!("{}", json!({"id": key.id, "key": key.text})),
        Format::Text => {
            println!("{}", key.text);
            eprintln!("this is the only time that key {} is shown; {then}", key.id);
        }
    }
}

/// Adds a key to the configuration of a relay, which has no `millrace.control`.
fn create_at_relay(args: &KeyCreate, expires: Option<Duration>, file: &Path) -> anyhow::Result<Answer> {
    anyhow::ensure!(valid_id(&args.tenant), "{:?} is no tenant id: 1 to 64 of a-z, 0-9 and '-'", args.tenant);
    let key = NewKey::make()?;
    let mut text = format!("\n[gateway.keys.{}]", key.id);
    if let Some(note) = &args.note {
        let plain: String = note.chars().map(|char| if char.is_control() { ' ' } else { char }).collect();
        text += &format!("\n# {plain}");
    }
    text += &format!("\ntenant = \"{}\"\nhash = \"{}\"\nroles = {:?}\n", args.tenant, key.hash, args.roles);
    if let Some(at) = expires.and_then(|span| SystemTime::now().checked_add(span)) {
        text += &format!("expires = \"{}\"\n", humantime::format_rfc3339_seconds(at));
    }
    let written =
        std::fs::File::options().append(true).open(file).and_then(|mut own| own.write_all(text.as_bytes()));
    written.with_context(|| format!("could not add the key to {}", file.display()))?;
    show(args.format, &key, "it holds when the relay is started again");
    Ok(Answer::Yes)
}

pub(crate) fn ls_keys(args: &KeyLs) -> anyhow::Result<Answer> {
    let known = Known::read(&place::service(&args.place)?)?;
    let now = now_micros();
    let wanted =
        known.keys.iter().filter(|(_, key)| args.tenant.as_ref().is_none_or(|own| *own == key.tenant));
    let rows: Vec<Value> = wanted
        .map(|(id, key)| {
            let state = match key.revoked {
                Some(_) => "revoked",
                None if key.is_valid(now) => "valid",
                None => "expired",
            };
            let roles: Vec<&str> = key.roles.iter().map(|role| role.name()).collect();
            json!({"id": id, "tenant": key.tenant, "roles": roles.join(","), "state": state,
                   "created": minute(key.created), "expires": key.expires.map(minute), "note": key.note})
        })
        .collect();
    print_rows(args.format, &["id", "tenant", "roles", "state", "created", "expires", "note"], &[], &rows)?;
    Ok(Answer::Yes)
}

pub(crate) fn revoke_key(args: &KeyRevoke) -> anyhow::Result<Answer> {
    let service = place::service(&args.place)?;
    let mut known = Known::read(&service)?;
    let Some(entry) = known.keys.remove(&args.id) else {
        println!("there is no key {}; `millrace key ls` lists them", args.id);
        return Ok(Answer::No);
    };
    let revoked = entry.revoked.or(Some(now_micros()));
    write(&service, &ControlRecord::api_key(&args.id, &KeyEntry { revoked, ..entry }))?;
    println!("key {} is revoked: within a second it opens nothing", args.id);
    Ok(Answer::Yes)
}
