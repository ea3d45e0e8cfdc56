//! Seeds: a file that says what tenants, quotas, streams, keys and sources there are to be. Free of I/O.
//!
//! What is not there is made; what is there and differs stays, unless it is to be overwritten; nothing is removed. A key that
//! was revoked stays so. All of it becomes one change.

mod read;

use std::collections::BTreeMap;

use millrace_schemas::access::KeyEntry;
use millrace_schemas::quota::Quota;
use millrace_schemas::source::SourceEntry;
use serde::Serialize;
use serde_json::{Value, json};

use crate::control::Change;
use crate::sources::Draft;
use crate::streams::StreamWish;
use crate::{Decision, Expected, Kind, Known, Refusal, access, sources, streams};

pub use read::key_text;

/// What a file says.
#[derive(Debug, Default)]
pub struct Seed {
    sources: Vec<Draft>,
    tenants: BTreeMap<String, Tenant>,
}

#[derive(Debug, Default)]
struct Tenant {
    quota: Option<Quota>,
    streams: BTreeMap<String, StreamWish>,
    keys: BTreeMap<String, KeyEntry>,
}

/// What becomes of an entry of the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Deed {
    /// It is made.
    Make,
    /// It is changed to what the file says.
    Change,
    /// It is there and differs, and stays.
    Leave,
    /// It is as the file says.
    Same,
}

/// An entry of the file, and what becomes of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Entry {
    /// `tenant`, `source`, `quota`, `stream` or `key`.
    pub kind: &'static str,
    /// Its id; of a stream with the tenant before it.
    pub id: String,
    /// What becomes of it.
    pub deed: Deed,
    /// Where what is there differs from the file.
    pub differences: Vec<String>,
}

impl Seed {
    /// What it makes of what is `known`, at `now`. Where an entry differs it is changed only to `overwrite` it.
    ///
    /// # Errors
    /// Everything that forbids it.
    pub fn plan(self, known: &Known, overwrite: bool, now: i64) -> Decision<Vec<Entry>> {
        let known = known.clone();
        let mut plan =
            Plan { known, overwrite, changes: Vec::new(), entries: Vec::new(), faults: Vec::new() };
        for id in self.tenants.keys() {
            let set = plan.known.tenant(id).is_ok().then(|| json!({}));
            plan.entry(("tenant", id), &json!({}), set, |known| done(access::create_tenant(known, id, now)));
        }
        plan.sources(self.sources);
        for (tenant, own) in self.tenants {
            if let Some(quota) = own.quota {
                let set = plan.known.quotas.get(&tenant).map(|quota| json!(quota));
                let write = |known: &Known| done(access::set_quota(known, &tenant, &quota));
                plan.entry(("quota", &tenant), &json!(quota), set, write);
            }
            for (name, wish) in own.streams {
                let id = (tenant.clone(), name);
                let shown =
                    |source: &Option<String>, note: &Option<String>| json!({"source": source, "note": note});
                let set = plan.known.streams.get(&id).map(|own| shown(&own.source, &own.note));
                let write =
                    |known: &Known| done(streams::set(known, (&id.0, &id.1), &wish, Expected::Any, now));
                let name = format!("{}/{}", id.0, id.1);
                plan.entry(("stream", &name), &shown(&wish.source, &wish.note), set, write);
            }
            for (id, key) in own.keys {
                let (set, shown) = (plan.known.keys.get(&id), |own: &KeyEntry| {
                    json!(KeyEntry { created: 0, ..own.clone() })
                });
                if set.is_some_and(|own| own.revoked.is_some()) {
                    // What was taken from somebody is not given back by a file.
                    let differences = vec!["it is revoked, and stays so".to_owned()];
                    plan.entries.push(Entry { kind: "key", id, deed: Deed::Leave, differences });
                    continue;
                }
                let set = set.map(shown);
                let entry = KeyEntry { created: now, ..key };
                let write = |known: &Known| done(access::put_key(known, &id, entry.clone()));
                plan.entry(("key", &id), &shown(&entry), set, write);
            }
        }
        match plan.faults.is_empty() {
            true => Ok((plan.changes, plan.entries)),
            false => Err(Refusal { kind: Kind::Wrong, reasons: plan.faults }),
        }
    }
}

fn done<T>(decision: Decision<T>) -> Result<Vec<Change>, Refusal> {
    decision.map(|(changes, _)| changes)
}

struct Plan {
    /// With the changes so far.
    known: Known,
    overwrite: bool,
    changes: Vec<Change>,
    entries: Vec<Entry>,
    faults: Vec<String>,
}

impl Plan {
    /// Plans an entry that is to be `wanted`, where `set` is there.
    fn entry(
        &mut self,
        (kind, id): (&'static str, &str),
        wanted: &Value,
        set: Option<Value>,
        write: impl FnOnce(&Known) -> Result<Vec<Change>, Refusal>,
    ) {
        if self.writes(kind, id, set.map(|set| differences(&set, wanted))) {
            self.apply(&format!("{kind} {id}"), write);
        }
    }

    /// Notes an entry, and says whether it is to be written. `differences` are those to what is there.
    fn writes(&mut self, kind: &'static str, id: &str, differences: Option<Vec<String>>) -> bool {
        let deed = match &differences {
            None => Deed::Make,
            Some(none) if none.is_empty() => Deed::Same,
            Some(_) if self.overwrite => Deed::Change,
            Some(_) => Deed::Leave,
        };
        let differences = differences.unwrap_or_default();
        self.entries.push(Entry { kind, id: id.to_owned(), deed, differences });
        matches!(deed, Deed::Make | Deed::Change)
    }

    fn apply(&mut self, what: &str, write: impl FnOnce(&Known) -> Result<Vec<Change>, Refusal>) {
        match write(&self.known) {
            Ok(changes) => {
                changes.iter().for_each(|(key, record)| self.known.take(key.as_bytes(), record.as_ref()));
                self.changes.extend(changes);
            }
            Err(refusal) => {
                self.faults.extend(refusal.reasons.into_iter().map(|reason| format!("{what}: {reason}")));
            }
        }
    }

    /// All that are to be written at once: they are held against each other.
    fn sources(&mut self, mut drafts: Vec<Draft>) {
        drafts.retain(|draft| {
            let set = self.known.sources.get(draft.name()).map(|own| source_differences(own, &draft.entry));
            self.writes("source", draft.name(), set)
        });
        if !drafts.is_empty() {
            self.apply("sources", |known| done(sources::set(known, &drafts, Expected::Any)));
        }
    }
}

/// The members that are not the same, for people.
fn differences(set: &Value, wanted: &Value) -> Vec<String> {
    let members = wanted.as_object().into_iter().flatten();
    let differing = members.filter(|(name, wanted)| set.get(*name) != Some(*wanted));
    let shown = |value: Option<&Value>| match value {
        None | Some(Value::Null) => "nothing".to_owned(),
        Some(value) => value.to_string(),
    };
    let all = differing.map(|(name, wanted)| {
        format!("{name} is {}, the file says {}", shown(set.get(name)), shown(Some(wanted)))
    });
    all.collect()
}

/// Comments and order are no difference.
fn source_differences(set: &SourceEntry, wanted: &SourceEntry) -> Vec<String> {
    let table = |entry: &SourceEntry| entry.toml.parse::<toml::Table>().ok();
    if set.version != wanted.version {
        return vec![format!("version is {}, the file says {}", set.version, wanted.version)];
    }
    match table(set) == table(wanted) && set.patterns == wanted.patterns {
        true => Vec::new(),
        false => vec![format!("version {} says something else in the file", set.version)],
    }
}

#[cfg(test)]
mod tests;
