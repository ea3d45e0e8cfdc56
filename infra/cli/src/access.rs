//! `millrace tenant` and `millrace key`: who may do what, as records of `millrace.control`.

use millrace_admin::access::{self, KeyWish};
use millrace_admin::control;
use millrace_runtime::keys::NewKey;
use millrace_runtime::sink::now_micros;
use millrace_schemas::access::Role;
use serde_json::json;

use crate::args::{Format, KeyCreate, KeyLs, KeyRevoke, TenantCreate, TenantLs};
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
        expires: args.expires.as_deref().map(place::duration).transpose()?,
        note: args.note.clone(),
    };
    let service = place::service(&args.place)?;
    let key = NewKey::make()?;
    let made = control::change(&service, false, |known| access::create_key(known, &wish, &key, now_micros()));
    answered(made, |()| {
        match args.format {
            Format::Json => println!("{}", json!({"id": key.id, "key": key.text})),
            Format::Text => {
                println!("{}", key.text);
                eprintln!("this is the only time that key {} is shown; it holds within a second", key.id);
            }
        }
        Ok(())
    })
}

pub(crate) fn ls_keys(args: &KeyLs) -> anyhow::Result<Answer> {
    let known = control::read(&place::service(&args.place)?)?;
    let rows = known.key_rows(args.tenant.as_deref(), now_micros());
    print_rows(args.format, &["id", "tenant", "roles", "state", "created", "expires", "note"], &[], &rows)?;
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
