//! Streams of tenants: which there are beside those that lines make, and what reads them. Free of I/O.

use std::collections::BTreeMap;

use millrace_jobs::parse::Format;
use millrace_schemas::control::ControlRecord;
use millrace_schemas::id::{stream_fault, valid_stream};
use millrace_schemas::stream::StreamEntry;
use serde_json::{Value, json};

use crate::access::note_fault;
use crate::sources::compile;
use crate::{Decision, Expected, Kind, Known, Refusal, minute};

/// Streams of one tenant that have a record: more are refused.
const MOST_STREAMS: usize = 10_000;

/// What a stream is to be.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct StreamWish {
    /// The source or format that reads it.
    pub source: Option<String>,
    /// What it is for.
    pub note: Option<String>,
}

impl Known {
    /// The stream `name` of `tenant`.
    ///
    /// # Errors
    /// There is no such tenant, or no such stream of it.
    pub fn stream(&self, tenant: &str, name: &str) -> Result<&StreamEntry, Refusal> {
        self.tenant(tenant)?;
        let missing = || {
            let reason =
                format!("tenant {tenant} has no stream {name:?} that was made; list those that it has");
            Refusal::new(Kind::Missing, reason)
        };
        self.streams.get(&(tenant.to_owned(), name.to_owned())).ok_or_else(missing)
    }

    /// Tenant and name of the streams that are bound to `source`.
    pub(crate) fn bound_to<'k>(&'k self, source: &'k str) -> impl Iterator<Item = (&'k str, &'k str)> {
        let is_bound = move |entry: &&StreamEntry| entry.source.as_deref() == Some(source);
        let bound = self.streams.iter().filter(move |(_, entry)| is_bound(entry));
        bound.map(|((tenant, name), _)| (tenant.as_str(), name.as_str()))
    }

    fn n_streams(&self, tenant: &str) -> usize {
        self.streams.keys().filter(|(own, _)| own == tenant).count()
    }

    /// Streams, of one tenant or of all, for people and programs.
    pub fn stream_rows(&self, tenant: Option<&str>) -> Vec<Value> {
        let mut named = BTreeMap::new();
        for (source, entry) in &self.sources {
            let streams = compile(entry).map(|own| own.streams().to_vec()).unwrap_or_default();
            named.extend(streams.into_iter().map(|stream| (stream, source)));
        }
        let wanted = self.streams.iter().filter(|((own, _), _)| tenant.is_none_or(|tenant| tenant == own));
        let rows = wanted.map(|((tenant, name), entry)| {
            let mut row = row(tenant, name, entry);
            row["read_by"] = json!(entry.source.as_ref().or_else(|| named.get(name).copied()));
            row
        });
        rows.collect()
    }
}

fn row(tenant: &str, name: &str, entry: &StreamEntry) -> Value {
    json!({"tenant": tenant, "name": name, "source": entry.source, "note": entry.note, "set": minute(entry.set)})
}

/// What is set, what there is now, and whether it is new.
#[derive(Debug, Clone, PartialEq)]
pub struct Set {
    /// Its record.
    pub entry: StreamEntry,
    /// For people and programs.
    pub row: Value,
    /// Whether there was none.
    pub is_new: bool,
}

/// Makes the stream `name` of `tenant`.
///
/// # Errors
/// It is there, or what forbids it.
pub fn create(known: &Known, (tenant, name): (&str, &str), wish: &StreamWish, now: i64) -> Decision<Set> {
    if known.stream(tenant, name).is_ok() {
        let reason = format!("tenant {tenant} has a stream {name} already; `millrace stream set` changes it");
        return Err(Refusal::new(Kind::Taken, reason));
    }
    set(known, (tenant, name), wish, Expected::Nothing, now)
}

/// Makes the stream `name` of `tenant`, or has it be this and nothing else; one that is so already stays.
///
/// # Errors
/// What forbids it; of `expected`, where another version is set.
pub fn set(
    known: &Known,
    (tenant, name): (&str, &str),
    wish: &StreamWish,
    expected: Expected,
    now: i64,
) -> Decision<Set> {
    known.tenant(tenant)?;
    let own = known.streams.get(&(tenant.to_owned(), name.to_owned()));
    let StreamWish { source, note } = wish.clone();
    if let Some(own) = own.filter(|own| own.source == source && own.note == note) {
        let set = Set { row: row(tenant, name, own), entry: own.clone(), is_new: false };
        return Ok((Vec::new(), set));
    }
    expected.hold(&format!("stream {name}"), own.map(|own| own.set))?;
    let reasons = faults(known, tenant, name, wish);
    if !reasons.is_empty() {
        return Err(Refusal { kind: Kind::Wrong, reasons });
    }
    // A version is never used twice, even where the clock went back.
    let entry = StreamEntry { source, note, set: now.max(own.map_or(0, |own| own.set + 1)) };
    let record = ControlRecord::stream(tenant, name, &entry);
    let set = Set { row: row(tenant, name, &entry), entry, is_new: own.is_none() };
    Ok((vec![(record.key(), Some(record))], set))
}

fn faults(known: &Known, tenant: &str, name: &str, wish: &StreamWish) -> Vec<String> {
    let mut faults = Vec::new();
    if !valid_stream(name) {
        faults.push(stream_fault(name));
    }
    let is_new = !known.streams.contains_key(&(tenant.to_owned(), name.to_owned()));
    if is_new && known.n_streams(tenant) >= MOST_STREAMS {
        faults.push(format!("tenant {tenant} has {MOST_STREAMS} streams that were made; remove some first"));
    }
    let is_there = |name: &String| Format::named(name).is_some() || known.sources.contains_key(name);
    if let Some(source) = wish.source.as_ref().filter(|source| !is_there(source)) {
        faults
            .push(format!("no source {source:?} is set, and no format has this name; set the source first"));
    }
    faults.extend(note_fault(wish.note.as_ref()));
    faults
}

/// Forgets the stream `name` of `tenant`; its lines stay.
///
/// # Errors
/// There is none, or not the one expected.
pub fn remove(known: &Known, (tenant, name): (&str, &str), expected: Expected) -> Decision<()> {
    let entry = known.stream(tenant, name)?;
    expected.hold(&format!("stream {name}"), Some(entry.set))?;
    Ok((vec![(ControlRecord::stream_key(tenant, name), None)], ()))
}

#[cfg(test)]
mod tests {
    use millrace_schemas::access::TenantEntry;

    use super::*;
    use crate::sources::{self, drafts};

    const WEB: (&str, &str) = ("acme", "web");

    fn apply<T>(known: &mut Known, (changes, answer): (Vec<crate::control::Change>, T)) -> T {
        changes.iter().for_each(|(key, record)| known.take(key.as_bytes(), record.as_ref()));
        answer
    }

    fn known() -> Known {
        let mut known = Known::default();
        known.tenants.insert("acme".into(), TenantEntry { created: 0 });
        let file = "[[source]]\nname = \"shop\"\nstreams = [\"app\"]\nsteps = [\"logfmt\"]";
        let drafts = drafts(file, 0, |_| Ok(vec![])).unwrap();
        let set = sources::set(&known, &drafts, Expected::Any).unwrap();
        apply(&mut known, set);
        known
    }

    fn wish(source: &str) -> StreamWish {
        StreamWish { source: Some(source.to_owned()), note: None }
    }

    #[test]
    fn a_stream_is_bound_to_what_there_is() {
        let mut known = known();
        let refused =
            |known: &Known, id, wish: &StreamWish| set(known, id, wish, Expected::Any, 5).unwrap_err();
        assert_eq!(refused(&known, ("nobody", "web"), &wish("shop")).kind, Kind::Missing);
        let long = StreamWish { source: Some("gone".into()), note: Some("x".repeat(1_001)) };
        let refusal = refused(&known, ("acme", "A B"), &long);
        assert_eq!((refusal.kind, refusal.reasons.len()), (Kind::Wrong, 3), "{refusal}");
        for (name, source) in [("web", "shop"), ("app", "json")] {
            let made = create(&known, ("acme", name), &wish(source), 5).unwrap();
            assert!(apply(&mut known, made).is_new);
        }
        assert_eq!(create(&known, WEB, &wish("shop"), 5).unwrap_err().kind, Kind::Taken);
        let made = set(&known, ("default", "app"), &StreamWish::default(), Expected::Any, 5).unwrap();
        apply(&mut known, made);
        let read_by = |tenant| {
            let rows = known.stream_rows(tenant);
            rows.iter().map(|row| format!("{} {}", row["name"], row["read_by"])).collect::<Vec<_>>()
        };
        assert_eq!(read_by(Some("acme")), [r#""app" "json""#, r#""web" "shop""#]);
        assert_eq!(read_by(Some("default")), [r#""app" "shop""#], "by its name");
        assert_eq!(read_by(None).len(), 3);
    }

    #[test]
    fn a_change_is_meant_for_a_version_and_made_once() {
        let mut known = known();
        let made = set(&known, WEB, &wish("shop"), Expected::Nothing, 5).unwrap();
        assert_eq!(apply(&mut known, made).entry.set, 5);
        let again = set(&known, WEB, &wish("shop"), Expected::Nothing, 9).unwrap();
        assert!(again.0.is_empty() && !again.1.is_new && again.1.entry.set == 5, "{again:?}");
        for expected in [Expected::Nothing, Expected::Version(4)] {
            assert_eq!(set(&known, WEB, &wish("json"), expected, 9).unwrap_err().kind, Kind::Stale);
        }
        // The clock went back.
        let changed = set(&known, WEB, &wish("json"), Expected::Version(5), 3).unwrap();
        assert_eq!(apply(&mut known, changed).entry.set, 6);
        assert_eq!(remove(&known, WEB, Expected::Version(5)).unwrap_err().kind, Kind::Stale);
        assert_eq!(remove(&known, ("acme", "app"), Expected::Any).unwrap_err().kind, Kind::Missing);
        let removed = remove(&known, WEB, Expected::Version(6)).unwrap();
        apply(&mut known, removed);
        assert!(known.streams.is_empty());
    }

    #[test]
    fn a_tenant_has_so_many_streams_and_no_more() {
        let mut known = known();
        let entry = StreamEntry { source: None, note: None, set: 0 };
        let many = (0..MOST_STREAMS).map(|number| (("acme".to_owned(), number.to_string()), entry.clone()));
        known.streams.extend(many);
        let make = |tenant| set(&known, (tenant, "one-more"), &StreamWish::default(), Expected::Any, 1);
        assert_eq!((make("acme").unwrap_err().kind, make("default").is_ok()), (Kind::Wrong, true));
        assert!(set(&known, ("acme", "7"), &wish("json"), Expected::Any, 1).is_ok(), "it is there");
    }
}
