use std::collections::BTreeSet;

use millrace_runtime::keys::NewKey;
use millrace_schemas::access::{Role, Streams};

use super::*;

const FILE: &str = r#"
sources = ["shop.toml"]

[[source]]
name = "own"
steps = ["logfmt"]

[tenants.default.streams.app]

[tenants.acme.quota]
events_per_second = 10
max_streams = 3

[tenants.acme.streams.web]
source = "shop"
note = "the shop"

[tenants.acme.streams."api.v1"]
source = "json"

[tenants.acme.keys.1f0c6a2b9d3e4f58]
hash = "0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f"
roles = ["ingest"]
streams = "existing"
expires = "2030-01-31T00:00:00Z"
"#;
const SHOP: &str = "[[source]]\nname = \"shop\"\nstreams = [\"orders\"]\nsteps = [\"json\"] # a comment\n";

fn read(file: &str) -> Result<Seed, Vec<String>> {
    let sources = |name: &str| match name {
        "shop.toml" => sources::drafts(SHOP, 5, |_| Ok(vec![])),
        other => Err(format!("could not read {other}")),
    };
    Seed::read(file, 5, sources, |folder| Err(format!("could not read {folder}")))
}

fn apply(known: &mut Known, changes: &[Change]) {
    changes.iter().for_each(|(key, record)| known.take(key.as_bytes(), record.as_ref()));
}

fn planned(known: &Known, file: &str, overwrite: bool) -> (Vec<Change>, Vec<Entry>) {
    read(file).unwrap().plan(known, overwrite, 9).unwrap()
}

fn seeded() -> Known {
    let mut known = Known::default();
    let (changes, _) = planned(&known, FILE, false);
    apply(&mut known, &changes);
    known
}

/// Kind and id of the entries with this deed.
fn with(entries: &[Entry], deed: Deed) -> Vec<String> {
    entries.iter().filter(|own| own.deed == deed).map(|own| format!("{} {}", own.kind, own.id)).collect()
}

#[test]
fn what_is_not_there_is_made_and_then_nothing() {
    let (changes, entries) = planned(&Known::default(), FILE, false);
    let made = [
        "tenant acme",
        "source shop",
        "source own",
        "quota acme",
        "stream acme/api.v1",
        "stream acme/web",
        "key 1f0c6a2b9d3e4f58",
        "stream default/app",
    ];
    let mut sorted = with(&entries, Deed::Make);
    sorted.sort_unstable();
    let mut wanted = made.map(str::to_owned);
    wanted.sort_unstable();
    assert_eq!((sorted, changes.len()), (wanted.to_vec(), made.len()));
    assert_eq!(with(&entries, Deed::Same), ["tenant default"]);

    let known = seeded();
    let key = &known.keys["1f0c6a2b9d3e4f58"];
    assert_eq!((key.tenant.as_str(), key.streams, key.created), ("acme", Streams::Existing, 9));
    for overwrite in [false, true] {
        let (changes, entries) = planned(&known, FILE, overwrite);
        assert!(changes.is_empty() && entries.iter().all(|own| own.deed == Deed::Same), "{entries:?}");
    }
}

#[test]
fn what_differs_stays_until_it_is_to_be_overwritten() {
    let mut known = seeded();
    let own = [
        access::set_quota(&known, "acme", &Quota { max_streams: Some(7), ..Quota::default() }).unwrap().0,
        done(streams::set(&known, ("acme", "web"), &StreamWish::default(), Expected::Any, 20)).unwrap(),
    ];
    own.iter().for_each(|changes| apply(&mut known, changes));
    let (changes, entries) = planned(&known, FILE, false);
    assert!(changes.is_empty(), "{changes:?}");
    assert_eq!(with(&entries, Deed::Leave), ["quota acme", "stream acme/web"]);
    let said: BTreeSet<&str> = entries.iter().flat_map(|own| &own.differences).map(String::as_str).collect();
    let wanted = [
        "events_per_second is nothing, the file says 10",
        "max_streams is 7, the file says 3",
        r#"note is nothing, the file says "the shop""#,
        r#"source is nothing, the file says "shop""#,
    ];
    assert_eq!(said, BTreeSet::from(wanted));
    let (changes, entries) = planned(&known, FILE, true);
    assert_eq!(with(&entries, Deed::Change), ["quota acme", "stream acme/web"]);
    apply(&mut known, &changes);
    assert!(planned(&known, FILE, true).0.is_empty());

    // Of a source another version is needed, whoever overwrites.
    let other = FILE.replace("steps = [\"logfmt\"]", "steps = [\"json\"]");
    assert_eq!(with(&planned(&known, &other, false).1, Deed::Leave), ["source own"]);
    let refusal = read(&other).unwrap().plan(&known, true, 9).unwrap_err();
    assert!(refusal.reasons[0].contains("own: version 1 is not above 1"), "{refusal}");
    let newer = other.replace("name = \"own\"", "name = \"own\"\nversion = 2");
    assert_eq!(with(&planned(&known, &newer, true).1, Deed::Change), ["source own"]);
}

#[test]
fn a_revoked_key_stays_revoked() {
    let mut known = seeded();
    let (changes, _) = access::revoke_key(&known, "1f0c6a2b9d3e4f58", None, 7).unwrap();
    apply(&mut known, &changes);
    for overwrite in [false, true] {
        let (changes, entries) = planned(&known, FILE, overwrite);
        assert_eq!(
            (changes.len(), with(&entries, Deed::Leave)),
            (0, vec!["key 1f0c6a2b9d3e4f58".to_owned()])
        );
    }
}

#[test]
fn what_cannot_be_is_said_at_once_and_nothing_is_planned() {
    let file = "[tenants.acme.streams.web]\nsource = \"gone\"\n[tenants.acme.streams.\"A B\"]\n[tenants.acme.quota]\n\
                max_streams = 1\n[[source]]\nname = \"json\"\nsteps = [\"json\"]\n";
    let refusal = read(file).unwrap().plan(&Known::default(), false, 9).unwrap_err();
    let begin: Vec<&str> = refusal.reasons.iter().filter_map(|own| Some(own.split_once(": ")?.0)).collect();
    assert_eq!(begin, ["sources", "stream acme/A B", "stream acme/web"], "{refusal}");
}

#[test]
fn all_faults_of_a_file_are_named_with_their_paths() {
    let file = r#"
sources = ["shop.toml", "gone.toml", 7]
tenant = 1
[[source]]
name = "shop"
streams = ["orders"]
steps = ["json"]
[tenants.A]
colour = "red"
[tenants.acme.quota]
max_stream = 1
max_streams = 0
[tenants.acme.streams.web]
sources = "shop"
[tenants.acme.keys.xyz]
hash = "1"
roles = []
expires = "soon"
[tenants.acme.keys.1f0c6a2b9d3e4f58]
hash = "1"
roles = ["root"]
"#;
    let faults = read(file).unwrap_err();
    let mut paths: Vec<&str> = faults.iter().filter_map(|own| Some(own.split_once(": ")?.0)).collect();
    paths.sort_unstable();
    let wanted = [
        "source",
        "source",
        "sources[1]",
        "sources[2]",
        "tenant",
        "tenants.A",
        "tenants.A.colour",
        "tenants.acme.keys.1f0c6a2b9d3e4f58",
        "tenants.acme.keys.xyz",
        "tenants.acme.keys.xyz.expires",
        "tenants.acme.keys.xyz.hash",
        "tenants.acme.keys.xyz.roles",
        "tenants.acme.quota",
        "tenants.acme.quota.max_streams",
        "tenants.acme.streams.web",
    ];
    assert_eq!(paths, wanted, "{faults:#?}");
    assert_eq!(read("tenants = ").unwrap_err().len(), 1);
}

#[test]
fn a_key_is_written_as_it_is_read() {
    let new = NewKey::make().unwrap();
    let entry = KeyEntry {
        tenant: "acme".into(),
        roles: vec![Role::Ingest, Role::Read],
        hash: new.hash.clone(),
        created: 0,
        expires: Some(1_900_000_000_123_456),
        revoked: None,
        note: Some("it's \"quoted\"\n".into()),
        streams: Streams::Existing,
    };
    let plain = KeyEntry { expires: None, note: None, streams: Streams::Any, ..entry.clone() };
    for entry in [entry, plain] {
        let seed = read(&key_text(&new.id, &entry)).unwrap();
        assert_eq!(seed.tenants["acme"].keys[&new.id], entry);
    }
}

#[test]
fn the_example_that_lies_beside_the_compose_file_is_a_seed() {
    let file = include_str!("../../../seed/seed.toml");
    assert!(planned(&Known::default(), file, false).0.is_empty(), "as it lies there it says nothing");
    let is_entry = |rest: &str| rest.starts_with(|char: char| char.is_ascii_lowercase() || char == '[');
    let active =
        file.lines().map(|line| line.strip_prefix('#').filter(|rest| is_entry(rest)).unwrap_or(line));
    let active = active.collect::<Vec<_>>().join("\n");
    assert_eq!(planned(&Known::default(), &active, false).0.len(), 6);
}
