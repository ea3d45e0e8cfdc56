//! Deletes what was replaced, and what no manifest names.

use std::collections::{BTreeMap, HashSet};
use std::time::{Duration, Instant};

use millrace_schemas::manifest::Fold;

use super::Owner;
use crate::kafka::admin::Admin;
use crate::kafka::read_to_mark;
use crate::metrics;
use crate::service::ServiceError;
use crate::sink::{apply, now_micros};

/// A replaced object's records are buried a day later at the earliest, so that no reader misses the replacement.
const TOMBSTONE_AFTER_MICROS: i64 = 24 * 3_600 * 1_000_000;

impl Owner {
    /// Deletes objects without a live part, buries their records later, and looks for orphans.
    pub(super) fn sweep(&mut self) -> Result<(), ServiceError> {
        if self.swept.elapsed() < Duration::from_secs(5) {
            return Ok(());
        }
        self.swept = Instant::now();
        let now = now_micros();
        let due = now - self.options.delete_after.as_micros() as i64;
        // Judge by all partitions: a bundle holds parts of many tenants.
        let all = match self.n_partitions as usize == self.folded.len() {
            true => None,
            false => Some(self.read_all()?),
        };
        let retired = all.as_ref().unwrap_or(&self.fold).retired();
        for gone in retired.iter().filter(|gone| gone.since <= due) {
            if !self.deleted.contains(&gone.object) {
                self.service.store.delete(&gone.object)?;
                metrics::object_deleted(self.options.stage, false);
                self.deleted.insert(gone.object.clone());
            }
        }
        let buried: Vec<&String> = retired
            .iter()
            .filter(|gone| gone.since <= now - TOMBSTONE_AFTER_MICROS)
            .flat_map(|gone| &gone.keys)
            .take(1_000)
            .collect();
        if !buried.is_empty() {
            self.member.producer().begin()?;
            for key in &buried {
                let tenant = key.split('/').next().unwrap_or_default();
                self.member.producer().send(crate::kafka::OutRecord {
                    topic: self.options.manifest,
                    partition: Some(millrace_schemas::key_partition(tenant.as_bytes(), self.n_partitions)),
                    key: key.as_bytes(),
                    value: None,
                    headers: &[],
                    tag: usize::MAX,
                })?;
            }
            self.commit()?;
            let named: HashSet<&String> = retired.iter().map(|gone| &gone.object).collect();
            self.deleted.retain(|object| named.contains(object));
        }
        if self.orphans_swept.is_none_or(|last| last.elapsed() >= self.options.orphan_interval) {
            self.orphans_swept = Some(Instant::now());
            self.collect_orphans()?;
        }
        Ok(())
    }

    fn read_all(&self) -> Result<Fold, ServiceError> {
        let mut fold = Fold::default();
        let partitions: Vec<i32> = (0..self.n_partitions).collect();
        read_to_mark(&self.service.config.kafka, self.options.manifest, &partitions, |_, _, key, value| {
            apply(&self.service, &mut fold, key, value)
        })?;
        Ok(fold)
    }

    /// Objects that no manifest names, whose range the group's committed offset has passed; the manifest is read after
    /// the offsets (I5).
    fn collect_orphans(&mut self) -> Result<(), ServiceError> {
        let mut listed = Vec::new();
        let bundles = format!("bundles/{}", self.options.stage);
        for folder in self.options.folders.iter().chain([&bundles]) {
            listed.extend(self.service.store.list(folder)?);
            // Nobody puts an object whose range has passed, so the same rule holds for what is half written.
            listed.extend(self.service.store.staged(folder));
        }
        if listed.iter().all(|object| self.fold.names(&object.path)) {
            return Ok(());
        }
        let admin = Admin::open(&self.service.config.kafka)?;
        let mut committed: BTreeMap<String, BTreeMap<i32, i64>> = BTreeMap::new();
        for topic in [millrace_schemas::topics::PARSED, millrace_schemas::topics::DEAD] {
            committed.insert(topic.to_owned(), admin.committed(self.options.stage, topic)?);
        }
        let owner = format!("{}-owner", self.options.stage);
        committed.insert(self.options.manifest.to_owned(), admin.committed(&owner, self.options.manifest)?);
        let fold = self.read_all()?;
        for object in listed.iter().filter(|object| !fold.names(&object.path)) {
            let Some((topic, partition, last)) = range_of(&object.path, self.options.manifest) else {
                continue;
            };
            let passed =
                committed.get(&topic).and_then(|own| own.get(&partition)).is_some_and(|next| *next > last);
            if passed {
                tracing::info!(object = object.path, bytes = object.size, "orphan deleted");
                if object.path.contains('#') {
                    self.service.store.delete_staged(&object.path)?;
                } else {
                    self.service.store.delete(&object.path)?;
                }
                metrics::object_deleted(self.options.stage, true);
            }
        }
        Ok(())
    }
}

/// What an object's name says of its range: topic, partition, last offset. Inverse of the names that sinks and owners give.
fn range_of(path: &str, manifest: &str) -> Option<(String, i32, i64)> {
    let name = path.rsplit('/').next()?;
    let name = name.split('.').collect::<Vec<_>>();
    // `m<partition>-<offset>-<attempt>[.ext]`
    if let Some(rest) = name.first()?.strip_prefix('m')
        && let [partition, offset, _] = rest.split('-').collect::<Vec<_>>().as_slice()
    {
        return Some((manifest.to_owned(), partition.parse().ok()?, offset.parse().ok()?));
    }
    // `<topic>-<partition>-<first>-<last>-<attempt>`
    let whole = path.rsplit('/').next()?;
    let mut fields = whole.rsplitn(5, '-');
    let (_, last, _, partition, topic) =
        (fields.next()?, fields.next()?, fields.next()?, fields.next()?, fields.next()?);
    Some((topic.to_owned(), partition.parse().ok()?, last.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::range_of;

    #[test]
    fn names_tell_their_range() {
        let range = |path| range_of(path, "millrace.splits");
        assert_eq!(range("bundles/index/logs.parsed-3-10-99-ab12"), Some(("logs.parsed".into(), 3, 99)));
        assert_eq!(
            range("index/tenant=a/day=2026-01-01/m1-42-ff.split"),
            Some(("millrace.splits".into(), 1, 42))
        );
        assert_eq!(range("bundles/index/logs.parsed-3-10-99-ab12#1"), Some(("logs.parsed".into(), 3, 99)));
        assert_eq!(range("bundles/index/readme"), None);
    }
}
