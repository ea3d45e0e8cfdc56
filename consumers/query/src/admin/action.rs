//! What a request to the admin API asks for, and whether who asks may. No I/O.

use std::collections::BTreeMap;

use axum::extract::Query;
use axum::http::request::Parts;
use millrace_admin::Expected;
use millrace_admin::access::KeyWish;
use millrace_admin::parse::MOST_LINES;
use millrace_admin::streams::StreamWish;
use millrace_schemas::access::{Role, Streams};
use millrace_schemas::quota::Quota;
use serde::Deserialize;
use serde::de::{DeserializeOwned, IgnoredAny};

use super::reply::Reply;
use super::{ROOT, Who};

/// A request.
pub(super) struct Asked<'a> {
    pub(super) method: &'a str,
    /// Behind [`ROOT`].
    pub(super) path: &'a str,
    pub(super) query: BTreeMap<String, String>,
    pub(super) is_json: bool,
    /// Headers of these names.
    pub(super) if_match: Option<&'a str>,
    pub(super) if_none_match: Option<&'a str>,
    pub(super) body: &'a [u8],
}

impl<'a> Asked<'a> {
    pub(super) fn of(head: &'a Parts, body: &'a [u8]) -> Result<Asked<'a>, Reply> {
        let header = |name: &str| head.headers.get(name).and_then(|value| value.to_str().ok());
        let query = Query::<BTreeMap<String, String>>::try_from_uri(&head.uri);
        let Query(query) = query.map_err(|error| wrong(&error.body_text()))?;
        Ok(Asked {
            method: if head.method == "HEAD" { "GET" } else { head.method.as_str() },
            path: head.uri.path().strip_prefix(ROOT).unwrap_or_default(),
            query,
            is_json: header("content-type").is_some_and(|own| own.starts_with("application/json")),
            if_match: header("if-match"),
            if_none_match: header("if-none-match"),
            body,
        })
    }
}

/// What is wanted, and whether it is only to be said what would come of it.
#[derive(Debug, PartialEq)]
pub(super) struct Wanted {
    pub(super) action: Action,
    pub(super) dry_run: bool,
}

#[derive(Debug, PartialEq)]
pub(super) enum Action {
    Tenants,
    CreateTenant {
        id: String,
    },
    Quota {
        tenant: String,
    },
    SetQuota {
        tenant: String,
        quota: Quota,
    },
    ClearQuota {
        tenant: String,
    },
    Keys {
        tenant: Option<String>,
    },
    /// Without a tenant it is of that of who asks.
    CreateKey {
        tenant: Option<String>,
        wish: KeyWish,
    },
    RevokeKey {
        id: String,
    },
    Sources,
    Source {
        name: String,
    },
    SetSource {
        name: String,
        file: SourceFile,
        expected: Expected,
    },
    RemoveSource {
        name: String,
        expected: Expected,
    },
    Streams {
        tenant: String,
    },
    Stream {
        tenant: String,
        name: String,
    },
    SetStream {
        tenant: String,
        name: String,
        wish: StreamWish,
        expected: Expected,
    },
    RemoveStream {
        tenant: String,
        name: String,
        expected: Expected,
    },
    Try {
        source: Tried,
        lines: Vec<String>,
    },
    Test {
        file: SourceFile,
    },
    Suggest {
        lines: Vec<String>,
    },
}

/// By what lines are tried.
#[derive(Debug, PartialEq)]
pub(super) enum Tried {
    /// A format, or a source that is set.
    Named(String),
    /// What came along; of several sources the one of this name.
    Sent(SourceFile, Option<String>),
}

/// Sources as they are sent: TOML alone, or in JSON with the texts of the files in their `patterns_dir`.
#[derive(Debug, PartialEq, Deserialize)]
pub(super) struct SourceFile {
    pub(super) toml: String,
    pub(super) patterns: Option<Vec<String>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NewTenant {
    id: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NewKey {
    tenant: Option<String>,
    roles: Vec<Role>,
    #[serde(default)]
    streams: Streams,
    expires: Option<String>,
    note: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NewStream {
    source: Option<String>,
    note: Option<String>,
    /// What is shown can be sent back.
    #[serde(rename = "set")]
    _set: Option<IgnoredAny>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NewTry {
    lines: Vec<String>,
    source: Option<String>,
    toml: Option<String>,
    patterns: Option<Vec<String>>,
    name: Option<String>,
}

impl Wanted {
    pub(super) fn read(asked: &Asked<'_>) -> Result<Wanted, Reply> {
        let mut query = asked.query.clone();
        let action = action(asked, &mut query)?;
        let dry_run = match (action.writes().and_then(|_| query.remove("dry_run")), query.pop_first()) {
            (_, Some((name, _))) => return Err(wrong(&format!("{name:?} is no parameter of this request"))),
            (None, None) => false,
            (Some(text), None) => text.parse().map_err(|_| wrong("dry_run is neither true nor false"))?,
        };
        Ok(Wanted { action, dry_run })
    }
}

fn wrong(reason: &str) -> Reply {
    Reply::refused(400, reason)
}

fn action(asked: &Asked<'_>, query: &mut BTreeMap<String, String>) -> Result<Action, Reply> {
    let parts: Vec<&str> = asked.path.split('/').collect();
    let own = |text: &&str| (*text).to_owned();
    Ok(match (asked.method, &parts[..]) {
        ("GET", ["tenants"]) => Action::Tenants,
        ("POST", ["tenants"]) => Action::CreateTenant { id: json::<NewTenant>(asked)?.id },
        ("GET", ["tenants", id, "quota"]) => Action::Quota { tenant: own(id) },
        ("PUT", ["tenants", id, "quota"]) => Action::SetQuota { tenant: own(id), quota: quota(asked)? },
        ("DELETE", ["tenants", id, "quota"]) => Action::ClearQuota { tenant: own(id) },
        ("GET", ["keys"]) => Action::Keys { tenant: query.remove("tenant") },
        ("POST", ["keys"]) => key(json(asked)?)?,
        ("DELETE", ["keys", id]) => Action::RevokeKey { id: own(id) },
        ("GET", ["sources"]) => Action::Sources,
        ("GET", ["sources", name]) => Action::Source { name: own(name) },
        ("PUT", ["sources", name]) => {
            Action::SetSource { name: own(name), file: file(asked)?, expected: expected(asked)? }
        }
        ("DELETE", ["sources", name]) => Action::RemoveSource { name: own(name), expected: expected(asked)? },
        ("GET", ["tenants", id, "streams"]) => Action::Streams { tenant: own(id) },
        ("GET", ["tenants", id, "streams", name]) => Action::Stream { tenant: own(id), name: own(name) },
        ("PUT", ["tenants", id, "streams", name]) => {
            let NewStream { source, note, .. } = json(asked)?;
            let (wish, expected) = (StreamWish { source, note }, expected(asked)?);
            Action::SetStream { tenant: own(id), name: own(name), wish, expected }
        }
        ("DELETE", ["tenants", id, "streams", name]) => {
            Action::RemoveStream { tenant: own(id), name: own(name), expected: expected(asked)? }
        }
        ("POST", ["parse", "try"]) => tried(asked, query)?,
        ("POST", ["parse", "test"]) => Action::Test { file: file(asked)? },
        ("POST", ["parse", "suggest"]) => Action::Suggest { lines: lines(asked)? },
        (
            _,
            ["tenants" | "keys" | "sources"]
            | ["tenants", _, "quota" | "streams"]
            | ["tenants", _, "streams", _]
            | ["keys" | "sources", _]
            | ["parse", "try" | "test" | "suggest"],
        ) => {
            return Err(Reply::refused(405, "this path does not take that method; docs/admin.md lists them"));
        }
        _ => return Err(Reply::refused(404, "no such path; docs/admin.md lists those there are")),
    })
}

fn json<T: DeserializeOwned>(asked: &Asked<'_>) -> Result<T, Reply> {
    serde_json::from_slice(asked.body).map_err(|error| wrong(&format!("the body cannot be read: {error}")))
}

fn quota(asked: &Asked<'_>) -> Result<Quota, Reply> {
    // A bound that is misspelt would be none.
    let members: serde_json::Map<String, serde_json::Value> = json(asked)?;
    let bounds = Quota::default().bounds();
    let strange = members.keys().find(|name| bounds.iter().all(|(own, _)| own != name));
    match strange {
        Some(name) => Err(wrong(&format!(
            "there is no bound {name:?}; there are: {}",
            bounds.map(|own| own.0).join(", ")
        ))),
        None => json(asked),
    }
}

fn key(new: NewKey) -> Result<Action, Reply> {
    let span = |text: String| millrace_admin::span(&text).map_err(|what| wrong(&format!("expires: {what}")));
    let expires = new.expires.clone().map(span).transpose()?;
    let NewKey { tenant, roles, streams, note, .. } = new;
    let wish = KeyWish { tenant: String::new(), roles, streams, expires, note };
    Ok(Action::CreateKey { tenant, wish })
}

fn text(asked: &Asked<'_>) -> Result<String, Reply> {
    let text = std::str::from_utf8(asked.body).map_err(|_| wrong("the body is not UTF-8"))?;
    Ok(text.to_owned())
}

fn file(asked: &Asked<'_>) -> Result<SourceFile, Reply> {
    // What is shown of a source can be sent back as it is: its other members say what the TOML says.
    if asked.is_json { json(asked) } else { Ok(SourceFile { toml: text(asked)?, patterns: None }) }
}

/// `"3"`, as the answer to `GET` has it in `ETag`, or `3`.
fn expected(asked: &Asked<'_>) -> Result<Expected, Reply> {
    match (asked.if_match, asked.if_none_match) {
        (None, None) => Ok(Expected::Any),
        (None, Some("*")) => Ok(Expected::Nothing),
        (Some(version), None) => match version.trim_matches('"').parse() {
            Ok(version) => Ok(Expected::Version(version)),
            Err(_) => Err(wrong("If-Match is not a version, as ETag has it")),
        },
        _ => Err(wrong("If-None-Match takes * and goes without If-Match")),
    }
}

fn tried(asked: &Asked<'_>, query: &mut BTreeMap<String, String>) -> Result<Action, Reply> {
    // Lines may be JSON themselves.
    if let Some(source) = query.remove("source") {
        return Ok(Action::Try { source: Tried::Named(source), lines: lines(asked)? });
    }
    if !asked.is_json {
        return Err(wrong(
            "name a format or a source that is set by ?source=, or send JSON with \"toml\" and \"lines\"",
        ));
    }
    let new: NewTry = json(asked)?;
    let source = match (new.source, new.toml) {
        (Some(source), None) => Tried::Named(source),
        (None, Some(toml)) => Tried::Sent(SourceFile { toml, patterns: new.patterns }, new.name),
        _ => return Err(wrong("either \"source\" is needed, the name of one, or \"toml\", with one in it")),
    };
    Ok(Action::Try { source, lines: few(new.lines)? })
}

fn lines(asked: &Asked<'_>) -> Result<Vec<String>, Reply> {
    let text = String::from_utf8_lossy(asked.body);
    few(text.lines().map(str::to_owned).take(MOST_LINES + 1).collect())
}

fn few(lines: Vec<String>) -> Result<Vec<String>, Reply> {
    if lines.len() > MOST_LINES {
        return Err(Reply::refused(413, &format!("there are more than {MOST_LINES} lines; send fewer")));
    }
    Ok(lines)
}

impl Action {
    /// For metrics and the log.
    pub(super) fn name(&self) -> &'static str {
        match self {
            Action::Tenants => "list_tenants",
            Action::CreateTenant { .. } => "create_tenant",
            Action::Quota { .. } => "show_quota",
            Action::SetQuota { .. } => "set_quota",
            Action::ClearQuota { .. } => "clear_quota",
            Action::Keys { .. } => "list_keys",
            Action::CreateKey { .. } => "create_key",
            Action::RevokeKey { .. } => "revoke_key",
            Action::Sources => "list_sources",
            Action::Source { .. } => "show_source",
            Action::SetSource { .. } => "set_source",
            Action::RemoveSource { .. } => "remove_source",
            Action::Streams { .. } => "list_streams",
            Action::Stream { .. } => "show_stream",
            Action::SetStream { .. } => "set_stream",
            Action::RemoveStream { .. } => "remove_stream",
            Action::Try { .. } => "try_lines",
            Action::Test { .. } => "test_examples",
            Action::Suggest { .. } => "suggest_source",
        }
    }

    /// What it changes; `None` where it changes nothing.
    pub(super) fn writes(&self) -> Option<&str> {
        match self {
            Action::CreateTenant { id } | Action::RevokeKey { id } => Some(id),
            Action::SetQuota { tenant, .. } | Action::ClearQuota { tenant } => Some(tenant),
            Action::CreateKey { tenant, .. } => Some(tenant.as_deref().unwrap_or_default()),
            Action::SetSource { name, .. }
            | Action::RemoveSource { name, .. }
            | Action::SetStream { name, .. }
            | Action::RemoveStream { name, .. } => Some(name),
            Action::Tenants
            | Action::Quota { .. }
            | Action::Keys { .. }
            | Action::Sources
            | Action::Source { .. }
            | Action::Streams { .. }
            | Action::Stream { .. }
            | Action::Try { .. }
            | Action::Test { .. }
            | Action::Suggest { .. } => None,
        }
    }

    /// For errors: what was tried.
    pub(super) fn says(&self) -> String {
        let what = match self {
            Action::Quota { tenant } | Action::Streams { tenant } => tenant,
            Action::Source { name } | Action::Stream { name, .. } => name,
            other => other.writes().unwrap_or_default(),
        };
        format!("{} {what}", self.name().replace('_', " ")).trim_end().to_owned()
    }

    /// Whether `who` may. A tenant's key does what concerns that tenant alone (I9): what it may send is not for itself to
    /// say, and sources read the lines of all tenants.
    pub(super) fn allowed(&self, who: &Who) -> Result<(), Reply> {
        let Some(own) = who.tenant() else { return Ok(()) };
        let is_own = |tenant: &str| match tenant == own {
            true => Ok(()),
            false => Err(Reply::refused(403, "the key is another tenant's")),
        };
        match self {
            Action::Tenants | Action::RevokeKey { .. } | Action::Test { .. } | Action::Suggest { .. } => {
                Ok(())
            }
            Action::Quota { tenant }
            | Action::Streams { tenant }
            | Action::Stream { tenant, .. }
            | Action::SetStream { tenant, .. }
            | Action::RemoveStream { tenant, .. } => is_own(tenant),
            Action::Keys { tenant } | Action::CreateKey { tenant, .. } => {
                tenant.as_deref().map_or(Ok(()), is_own)
            }
            Action::Try { source: Tried::Sent(..), .. } => Ok(()),
            Action::Try { source: Tried::Named(name), .. }
                if millrace_admin::parse::of_format(name).is_some() =>
            {
                Ok(())
            }
            Action::CreateTenant { .. }
            | Action::SetQuota { .. }
            | Action::ClearQuota { .. }
            | Action::Sources
            | Action::Source { .. }
            | Action::SetSource { .. }
            | Action::RemoveSource { .. }
            | Action::Try { .. } => {
                let reason =
                    "it concerns other tenants, too: only the installation's first key (admin.key) may";
                Err(Reply::refused(403, &format!("could not {}: {reason}", self.says())))
            }
        }
    }
}
