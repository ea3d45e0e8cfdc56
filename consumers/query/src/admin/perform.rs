//! Does what is asked. Blocks.

use std::sync::PoisonError;
use std::time::{Duration, Instant};

use axum::http::StatusCode;
use millrace_admin::access::{self, KeyWish};
use millrace_admin::control::{self, Error};
use millrace_admin::sources::{self, Draft};
use millrace_admin::{Decision, Expected, Kind, Known, Refusal, parse, streams};
use millrace_runtime::keys::NewKey;
use millrace_runtime::sink::now_micros;
use serde_json::json;

use super::action::{Action, SourceFile, Tried, Wanted};
use super::reply::Reply;
use super::{Desk, Who};

/// How long lines are tried; what is left then is left out.
const TRY: Duration = Duration::from_secs(10);
/// Examples of one request.
const MOST_EXAMPLES: usize = 1_000;
/// Bytes of sources that a tenant sends: compiled they take many times that.
const MOST_OF_TENANT: usize = 64 << 10;

pub(super) fn perform(desk: &Desk, who: &Who, wanted: &Wanted) -> Reply {
    let _turn = wanted.action.writes().map(|_| desk.writing.lock().unwrap_or_else(PoisonError::into_inner));
    match done(desk, who, wanted) {
        Ok(mut reply) if wanted.dry_run => {
            reply.status = StatusCode::OK;
            reply.body["dry_run"] = true.into();
            reply
        }
        Ok(reply) => reply,
        Err(error) => Reply::failed(&wanted.action.says(), &error),
    }
}

fn wrong(reason: impl Into<String>) -> Error {
    Refusal::new(Kind::Wrong, reason).into()
}

impl Desk {
    fn known(&self) -> Result<Known, Error> {
        control::read(&self.service)
    }

    fn change<T>(&self, dry_run: bool, decide: impl FnOnce(&Known) -> Decision<T>) -> Result<T, Error> {
        control::change(&self.service, dry_run, decide)
    }
}

fn done(desk: &Desk, who: &Who, Wanted { action, dry_run }: &Wanted) -> Result<Reply, Error> {
    let (dry_run, own, now) = (*dry_run, who.tenant(), now_micros());
    match action {
        Action::Tenants => {
            let mut rows = desk.known()?.tenant_rows(now);
            rows.retain(|row| own.is_none_or(|own| row["id"] == own));
            Ok(Reply::ok(rows.into()))
        }
        Action::CreateTenant { id } => {
            let made = desk.change(dry_run, |known| access::create_tenant(known, id, now))?;
            Ok(Reply::new(StatusCode::CREATED, made))
        }
        Action::Quota { tenant } => {
            let known = desk.known()?;
            known.tenant(tenant)?;
            Ok(Reply::ok(json!(known.quotas.get(tenant))))
        }
        Action::SetQuota { tenant, quota } => {
            desk.change(dry_run, |known| access::set_quota(known, tenant, quota))?;
            Ok(Reply::ok(json!(quota)))
        }
        Action::ClearQuota { tenant } => {
            desk.change(dry_run, |known| access::clear_quota(known, tenant))?;
            Ok(Reply::ok(json!({"id": tenant})))
        }
        Action::Keys { tenant } => {
            Ok(Reply::ok(desk.known()?.key_rows(own.or(tenant.as_deref()), now).into()))
        }
        Action::CreateKey { tenant, wish } => {
            let tenant =
                own.or(tenant.as_deref()).ok_or_else(|| wrong("\"tenant\" is missing: whose it is"))?;
            create_key(desk, dry_run, KeyWish { tenant: tenant.to_owned(), ..wish.clone() }, now)
        }
        Action::RevokeKey { id } => {
            desk.change(dry_run, |known| access::revoke_key(known, id, own, now)).map(Reply::ok)
        }
        Action::Sources => Ok(Reply::ok(desk.known()?.source_rows().into())),
        Action::Source { name } => {
            let known = desk.known()?;
            let entry = known.source(name)?;
            Ok(Reply { version: Some(entry.version.into()), ..Reply::ok(json!(entry)) })
        }
        Action::SetSource { name, file, expected } => set_source(desk, who, dry_run, name, file, *expected),
        Action::RemoveSource { name, expected } => {
            desk.change(dry_run, |known| sources::remove(known, name, *expected))?;
            Ok(Reply::ok(json!({"name": name})))
        }
        Action::Streams { tenant } => {
            let known = desk.known()?;
            known.tenant(tenant)?;
            Ok(Reply::ok(known.stream_rows(Some(tenant)).into()))
        }
        Action::Stream { tenant, name } => {
            let known = desk.known()?;
            let entry = known.stream(tenant, name)?;
            Ok(Reply { version: Some(entry.set), ..Reply::ok(json!(entry)) })
        }
        Action::SetStream { tenant, name, wish, expected } => {
            let set =
                desk.change(dry_run, |known| streams::set(known, (tenant, name), wish, *expected, now))?;
            let status = if set.is_new { StatusCode::CREATED } else { StatusCode::OK };
            Ok(Reply { version: Some(set.entry.set), ..Reply::new(status, set.row) })
        }
        Action::RemoveStream { tenant, name, expected } => {
            desk.change(dry_run, |known| streams::remove(known, (tenant, name), *expected))?;
            Ok(Reply::ok(json!({"tenant": tenant, "name": name})))
        }
        Action::Try { source, lines } => try_lines(desk, who, source, lines),
        Action::Test { file } => Ok(Reply::ok(parse::test(&drafts(who, file)?))),
        Action::Suggest { lines } => suggest(lines),
    }
}

fn create_key(desk: &Desk, dry_run: bool, wish: KeyWish, now: i64) -> Result<Reply, Error> {
    let key = NewKey::make().map_err(|error| wrong(error.to_string()))?;
    desk.change(dry_run, |known| access::create_key(known, &wish, &key, now))?;
    // Of a key that is not made nothing is shown.
    let body = if dry_run { json!({}) } else { json!({"id": key.id, "key": key.text}) };
    Ok(Reply::new(StatusCode::CREATED, body))
}

fn drafts(who: &Who, file: &SourceFile) -> Result<Vec<Draft>, Error> {
    let size = file.toml.len() + file.patterns.iter().flatten().map(String::len).sum::<usize>();
    if who.tenant().is_some() && size > MOST_OF_TENANT {
        return Err(wrong(format!(
            "the sources have {size} bytes, a tenant's key takes {MOST_OF_TENANT} at most"
        )));
    }
    let drafts = sources::sent(&file.toml, file.patterns.as_deref(), now_micros()).map_err(wrong)?;
    let n_examples: usize = drafts.iter().map(|draft| draft.source.examples().len()).sum();
    if n_examples > MOST_EXAMPLES {
        return Err(wrong(format!("there are more than {MOST_EXAMPLES} examples; send fewer at once")));
    }
    Ok(drafts)
}

fn set_source(
    desk: &Desk,
    who: &Who,
    dry_run: bool,
    name: &str,
    file: &SourceFile,
    expected: Expected,
) -> Result<Reply, Error> {
    let drafts = drafts(who, file)?;
    match &drafts[..] {
        [own] if own.name() == name => {}
        [own] => return Err(wrong(format!("the source that was sent is called {:?}", own.name()))),
        all => return Err(wrong(format!("{} sources were sent, not one", all.len()))),
    }
    let rows = desk.change(dry_run, |known| sources::set(known, &drafts, expected))?;
    let Some((row, new)) = rows.into_iter().next() else { return Err(wrong("no source was sent")) };
    let status = if new { StatusCode::CREATED } else { StatusCode::OK };
    let version = row["version"].as_i64();
    Ok(Reply { version, ..Reply::new(status, row) })
}

fn try_lines(desk: &Desk, who: &Who, source: &Tried, lines: &[String]) -> Result<Reply, Error> {
    let source = match source {
        Tried::Named(name) => match parse::of_format(name) {
            Some(source) => source,
            None => {
                let known = desk.known()?;
                sources::compile(known.source(name)?).map_err(wrong)?
            }
        },
        Tried::Sent(file, name) => {
            let sources = drafts(who, file)?.into_iter().map(|draft| draft.source).collect();
            parse::one_of(sources, name.as_deref()).map_err(wrong)?
        }
    };
    let (start, lines) = (Instant::now(), lines.iter().map(String::as_str).collect::<Vec<_>>());
    Ok(Reply::ok(parse::try_lines(&source, &lines, now_micros(), || start.elapsed() > TRY)))
}

fn suggest(lines: &[String]) -> Result<Reply, Error> {
    let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
    parse::propose(&lines).map(Reply::ok).ok_or_else(|| wrong("there are no lines to look at"))
}
