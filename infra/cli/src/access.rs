//! `millrace tenant` and `millrace key`: who may do what, as records of `millrace.control`.

use std::io::Write;
use std::path::Path;
use std::time::{Duration, SystemTime};

use anyhow::Context;
use millrace_admin::access::{self, KeyWish};
use millrace_admin::{control, seed};
use millrace_runtime::keys::NewKey;
use millrace_runtime::sink::now_micros;
use millrace_schemas::access::{KeyEntry, Role, Streams};
use millrace_schemas::id::{id_fault, valid_id};
use serde_json::json;

use crate::args::{Format, KeyCreate, KeyRevoke, OfTenant, TenantCreate, TenantLs};
use crate::output::{Answer, answered, print_rows};
use crate::place;

pub(crate) fn create_tenant(args: &TenantCreate) -> anyhow::Result<Answer> {
    let service = place::service(&args.place)?;
    let made = control::change(&service, false, |known| access::create_tenant(known, &args.id, now_micros()));
    answered(made, |_| {
        println!(
            "tenant {} is made; `millrace key create --tenant {} --role ingest` makes a key for it",
            args.id, args.id
        );
        Ok(())
    })
}

pub(crate) fn ls_tenants(args: &TenantLs) -> anyhow::Result<Answer> {
    let rows = control::read(&place::service(&args.place)?)?.tenant_rows(now_micros());
    print_rows(args.format, &["id", "created"], &["keys"], &rows)?;
    Ok(Answer::Yes)
}

pub(crate) fn create_key(args: &KeyCreate) -> anyhow::Result<Answer> {
    let wish = KeyWish {
        tenant: args.tenant.clone(),
        roles: args.roles.iter().filter_map(|name| Role::named(name)).collect(),
        streams: Streams::named(&args.streams).unwrap_or_default(),
        expires: args.expires.as_deref().map(place::duration).transpose()?,
        note: args.note.clone(),
    };
    if let Some(file) = &args.relay {
        return create_at_relay(args, wish.expires, file);
    }
    let key = NewKey::make()?;
    if args.print_seed {
        anyhow::ensure!(valid_id(&wish.tenant), "{}", id_fault(&wish.tenant));
        return print_seed(args.format, &key, &access::entry(&wish, &key, now_micros()));
    }
    let service = place::service(&args.place)?;
    let made = control::change(&service, false, |known| access::create_key(known, &wish, &key, now_micros()));
    answered(made, |()| {
        show(args.format, &key, "it holds within a second");
        Ok(())
    })
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

fn print_seed(format: Format, key: &NewKey, entry: &KeyEntry) -> anyhow::Result<Answer> {
    let text = seed::key_text(&key.id, entry);
    match format {
        Format::Json => println!("{}", json!({"id": key.id, "key": key.text, "seed": text})),
        Format::Text => {
            print!("{text}");
            eprintln!(
                "{}\nthis is the only time that key {} is shown; it holds once it is seeded",
                key.text, key.id
            );
        }
    }
    Ok(Answer::Yes)
}

/// Adds a key to the configuration of a relay, which has no `millrace.control`.
fn create_at_relay(args: &KeyCreate, expires: Option<Duration>, file: &Path) -> anyhow::Result<Answer> {
    anyhow::ensure!(
        args.streams == Streams::Any.name(),
        "a relay has no records of streams: leave out --streams, and give the key that it sends with at its centre"
    );
    anyhow::ensure!(valid_id(&args.tenant), "{}", id_fault(&args.tenant));
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

pub(crate) fn ls_keys(args: &OfTenant) -> anyhow::Result<Answer> {
    let known = control::read(&place::service(&args.place)?)?;
    let rows = known.key_rows(args.tenant.as_deref(), now_micros());
    print_rows(
        args.format,
        &["id", "tenant", "roles", "streams", "state", "created", "expires", "note"],
        &[],
        &rows,
    )?;
    Ok(Answer::Yes)
}

pub(crate) fn revoke_key(args: &KeyRevoke) -> anyhow::Result<Answer> {
    let service = place::service(&args.place)?;
    let revoked =
        control::change(&service, false, |known| access::revoke_key(known, &args.id, None, now_micros()));
    answered(revoked, |_| {
        println!("key {} is revoked: within a second it opens nothing", args.id);
        Ok(())
    })
}
