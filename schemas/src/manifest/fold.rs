//! What a manifest says once all its records are applied in order.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use super::{ManifestRecord, Part};

/// The live parts of every tenant. Fed with the records of a manifest partition in order; any number of partitions may be
/// fed into one fold, since a tenant lies in one partition.
#[derive(Debug, Clone, Default)]
pub struct Fold {
    live: BTreeMap<String, BTreeMap<String, LivePart>>,
    objects: HashMap<String, Object>,
}

/// A part that readers must see.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LivePart {
    /// The part.
    pub part: Part,
    /// The record that brought it.
    pub record: Arc<ManifestRecord>,
}

/// An object none of whose parts is live any more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RetiredObject {
    /// Path in the object store.
    pub object: String,
    /// Keys of the manifest records that name it.
    pub keys: Vec<String>,
    /// When the last of its parts was replaced, µs.
    pub since: i64,
}

#[derive(Debug, Clone, Default)]
struct Object {
    live_parts: usize,
    keys: Vec<String>,
    retired_at: i64,
}

impl Fold {
    /// Applies one record; `None` is a tombstone.
    pub fn apply(&mut self, key: &str, record: Option<ManifestRecord>) {
        let Some(record) = record else {
            self.bury(key);
            return;
        };
        if self.objects.get(&record.object).is_some_and(|object| object.keys.iter().any(|own| own == key)) {
            return; // the same record again
        }
        let tenant = self.live.entry(record.tenant.clone()).or_default();
        for id in &record.replaces {
            if let Some(old) = tenant.remove(id) {
                retire(&mut self.objects, &old.record.object, record.created);
            }
        }
        let object = self.objects.entry(record.object.clone()).or_default();
        object.live_parts += record.parts.len();
        object.keys.push(key.to_owned());
        object.retired_at = record.created;
        let record = Arc::new(record);
        for part in &record.parts {
            tenant.insert(part.id.clone(), LivePart { part: part.clone(), record: record.clone() });
        }
    }

    fn bury(&mut self, key: &str) {
        let Some((tenant, id)) = key.split_once('/') else { return };
        if let Some(parts) = self.live.get_mut(tenant) {
            let buried: Vec<String> =
                parts.iter().filter(|(_, live)| live.record.id == id).map(|(part, _)| part.clone()).collect();
            for part in buried {
                if let Some(live) = parts.remove(&part) {
                    retire(&mut self.objects, &live.record.object, live.record.created);
                }
            }
        }
        self.objects.retain(|_, object| {
            object.keys.retain(|own| own != key);
            !object.keys.is_empty()
        });
    }

    /// Live parts of one tenant, by part id.
    pub fn tenant(&self, tenant: &str) -> impl Iterator<Item = &LivePart> {
        self.live.get(tenant).into_iter().flat_map(BTreeMap::values)
    }

    /// Live parts of all tenants.
    pub fn parts(&self) -> impl Iterator<Item = &LivePart> {
        self.live.values().flat_map(BTreeMap::values)
    }

    /// Tenants that have had a part.
    pub fn tenants(&self) -> impl Iterator<Item = &str> {
        self.live.keys().map(String::as_str)
    }

    /// Whether any record, live or replaced, names `object`.
    pub fn names(&self, object: &str) -> bool {
        self.objects.contains_key(object)
    }

    /// Objects that are named but have no live part, by path.
    pub fn retired(&self) -> Vec<RetiredObject> {
        let gone = self.objects.iter().filter(|(_, object)| object.live_parts == 0);
        let mut retired: Vec<_> = gone
            .map(|(path, object)| RetiredObject {
                object: path.clone(),
                keys: object.keys.clone(),
                since: object.retired_at,
            })
            .collect();
        retired.sort_by(|a, b| (a.since, &a.object).cmp(&(b.since, &b.object)));
        retired
    }

    /// Next offset to read of (topic, partition) as far as the records tell: one past the highest source offset.
    pub fn next_offset(&self, topic: &str, partition: i32) -> Option<i64> {
        let sources = self.parts().flat_map(|live| &live.record.sources);
        sources
            .filter(|source| source.topic == topic && source.partition == partition)
            .map(|source| source.to)
            .max()
    }
}

fn retire(objects: &mut HashMap<String, Object>, path: &str, at: i64) {
    if let Some(object) = objects.get_mut(path) {
        object.live_parts = object.live_parts.saturating_sub(1);
        object.retired_at = object.retired_at.max(at);
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::manifest::{SourceRange, TableName};

    pub(crate) fn record(id: &str, n_parts: usize, replaces: &[&str]) -> ManifestRecord {
        let part = |n: usize| Part {
            id: format!("{id}.{n}"),
            table: TableName::Events,
            stream: None,
            bucket: 0,
            time_from: 0,
            time_to: 9,
            from: 0,
            to: 100,
            rows: 10,
            bytes: 1000,
            level: 0,
            hosts: vec![],
            raw: vec![],
        };
        ManifestRecord {
            id: id.into(),
            tenant: "default".into(),
            object: format!("bundles/{id}"),
            size: 100,
            checksum: String::new(),
            created: 5,
            group: "millrace.index".into(),
            sources: vec![SourceRange { topic: "logs.parsed".into(), partition: 0, from: 0, to: 10 }],
            parts: (0..n_parts).map(part).collect(),
            replaces: replaces.iter().map(|id| (*id).to_owned()).collect(),
        }
    }

    fn live(fold: &Fold) -> Vec<&str> {
        fold.tenant("default").map(|live| live.part.id.as_str()).collect()
    }

    #[test]
    fn a_merge_replaces_its_parts_in_one_step() {
        let mut fold = Fold::default();
        fold.apply("default/a", Some(record("a", 2, &[])));
        fold.apply("default/b", Some(record("b", 1, &[])));
        fold.apply("default/m", Some(record("m", 1, &["a.0", "b.0"])));
        assert_eq!(live(&fold), ["a.1", "m.0"]);
        assert_eq!(fold.retired().iter().map(|gone| gone.object.as_str()).collect::<Vec<_>>(), ["bundles/b"]);
        assert!(fold.names("bundles/a") && fold.names("bundles/b"));
    }

    #[test]
    fn a_tombstone_forgets_the_object() {
        let mut fold = Fold::default();
        fold.apply("default/a", Some(record("a", 1, &[])));
        fold.apply("default/m", Some(record("m", 1, &["a.0"])));
        fold.apply("default/a", None);
        assert!(!fold.names("bundles/a"));
        assert_eq!(live(&fold), ["m.0"]);
    }

    #[test]
    fn a_record_applied_twice_counts_once() {
        let mut fold = Fold::default();
        fold.apply("default/a", Some(record("a", 1, &[])));
        fold.apply("default/a", Some(record("a", 1, &[])));
        fold.apply("default/m", Some(record("m", 1, &["a.0"])));
        assert_eq!(fold.retired().len(), 1);
    }
}
