//! How far each batch is committed, by any gateway of this installation: what `millrace.batches` says.
//!
//! Bounded: beyond `gateway.batches_kept` the batch that was heard of longest ago is forgotten, with a tombstone unless it
//! replaced another. Owns: nothing but memory; each refresh reads what came since the last one.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use millrace_runtime::batches;
use millrace_runtime::kafka::{Error, Tailer};
use millrace_runtime::service::Service;
use millrace_schemas::attempt::{BatchAttempt, BatchState};
use millrace_schemas::topics;

use crate::waiting::Waiting;

/// What is committed of a batch.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Known {
    /// An attempt whose end has not come.
    pub(crate) open: Option<BatchAttempt>,
    /// The last attempt that came whole.
    pub(crate) ended: Option<BatchAttempt>,
}

/// What some records do to their batch: committed with them, if nobody else has gone on from the same place.
#[derive(Debug, Clone)]
pub(crate) struct Step {
    pub(crate) key: Arc<str>,
    pub(crate) from: Known,
    pub(crate) to: BatchState,
}

impl Known {
    pub(crate) fn of(state: &BatchState) -> Known {
        Known { open: state.open, ended: state.ended }
    }

    /// What two tell of one batch, in whichever order: the newest attempt that came whole, and one that grows after it.
    pub(crate) fn merged(self, other: Known) -> Known {
        let newest = |a: Option<BatchAttempt>, b: Option<BatchAttempt>| {
            [a, b].into_iter().flatten().max_by_key(|own| (own.number, own.count))
        };
        let ended = newest(self.ended, other.ended);
        let last = ended.map_or(0, |own| own.number);
        Known { open: newest(self.open, other.open).filter(|own| own.number > last), ended }
    }

    /// Readers have to know of it for as long as its lines are kept.
    fn replaces(&self) -> bool {
        self.ended.is_some_and(|own| own.number > 1)
    }
}

/// What is known, shared by requests and the committing thread.
#[derive(Debug, Clone)]
pub(crate) struct Batches {
    known: Arc<Mutex<Table>>,
    /// Number of the last refresh that began; one at a time.
    refresh: Arc<tokio::sync::Mutex<u64>>,
    asked: Arc<std::sync::atomic::AtomicU64>,
}

impl Batches {
    /// Nothing yet.
    pub(crate) fn new(most: usize) -> Batches {
        let table = Table { most, ..Table::default() };
        Batches { known: Arc::new(Mutex::new(table)), refresh: Arc::default(), asked: Arc::default() }
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What is known of a batch.
    pub(crate) fn known(&self, key: &str) -> Known {
        self.table().known(key)
    }

    /// Whether anything is known of a batch.
    pub(crate) fn knows(&self, key: &str) -> bool {
        self.table().by_key.contains_key(key)
    }

    /// Notes that `step` was committed at `offset`.
    pub(crate) fn note(&self, step: &Step, offset: i64) {
        self.table().note(step.key.clone(), Some(Known::of(&step.to)), offset);
    }

    /// Keys whose records are to be deleted for those of `steps` that are new.
    pub(crate) fn too_old(&self, steps: &[Step]) -> Vec<Arc<str>> {
        self.forgotten(steps).into_iter().filter(|key| !self.known(key).replaces()).collect()
    }

    /// Keys that are forgotten when those of `steps` are noted.
    pub(crate) fn forgotten(&self, steps: &[Step]) -> Vec<Arc<str>> {
        let table = self.table();
        table.oldest(steps.iter().filter(|step| !table.by_key.contains_key(&step.key)).count())
    }

    /// What `group` does to batches: its own steps, and what relays tell of theirs.
    pub(crate) fn steps(&self, group: &[Waiting]) -> Vec<Step> {
        let mut steps: Vec<Step> = group.iter().filter_map(|waiting| waiting.prepared.step.clone()).collect();
        for told in group.iter().flat_map(|waiting| &waiting.prepared.told) {
            let key: Arc<str> = told.key().into();
            let at = steps.iter().position(|own| own.key == key);
            let from = at.map_or_else(|| self.known(&key), |at| Known::of(&steps[at].to));
            let merged = from.merged(Known::of(told));
            let to = BatchState { open: merged.open, ended: merged.ended, ..told.clone() };
            match at {
                Some(at) => steps[at].to = to,
                None if merged == from => {}
                None => steps.push(Step { key, from, to }),
            }
        }
        steps
    }

    /// Learns all that was committed, or being committed, at the call. Many calls at once make one or two refreshes.
    ///
    /// # Errors
    /// Kafka does not answer.
    pub(crate) async fn refreshed(&self, service: &Service) -> Result<(), Error> {
        use std::sync::atomic::Ordering::SeqCst;
        let own = self.asked.fetch_add(1, SeqCst) + 1;
        let mut covered = self.refresh.lock().await;
        if *covered >= own {
            return Ok(());
        }
        let covers = self.asked.load(SeqCst);
        let (batches, service) = (self.clone(), service.clone());
        match tokio::task::spawn_blocking(move || batches.refresh_now(&service)).await {
            Ok(result) => result?,
            Err(_) => return Err(Error::Broken("the process is stopping".to_owned())),
        }
        *covered = covers;
        Ok(())
    }

    /// The same, on this thread.
    ///
    /// # Errors
    /// Kafka does not answer, or a record cannot be read.
    pub(crate) fn refresh_now(&self, service: &Service) -> Result<(), Error> {
        let from = self.table().read_to;
        let kafka = &service.config.kafka;
        let mut tailer = Tailer::open_at(kafka, topics::BATCHES, &BTreeMap::from([(0, from)]))?;
        while !tailer.caught_up() {
            tailer.poll(Duration::from_millis(100), &mut |_, offset, key, value| {
                let key = std::str::from_utf8(key).map_err(|error| batches::unreadable(offset, &error))?;
                let state = batches::state(service, offset, value)?;
                let mut table = self.table();
                table.note(key.into(), state.as_ref().map(Known::of), offset);
                table.read_to = offset + 1;
                Ok(())
            })?;
        }
        Ok(())
    }
}

/// Last record of each batch.
#[derive(Debug, Default)]
struct Table {
    most: usize,
    by_key: HashMap<Arc<str>, (i64, Known)>,
    /// Keys by the offset of their record.
    by_offset: BTreeMap<i64, Arc<str>>,
    /// Below this offset all has been read.
    read_to: i64,
}

impl Table {
    fn known(&self, key: &str) -> Known {
        self.by_key.get(key).map(|(_, known)| *known).unwrap_or_default()
    }

    /// Records are told of in any order, by who wrote them and by who reads them: the later one counts.
    fn note(&mut self, key: Arc<str>, known: Option<Known>, offset: i64) {
        if let Some((last, _)) = self.by_key.get(&key) {
            if *last >= offset {
                return;
            }
            self.by_offset.remove(last);
        }
        match known {
            Some(known) => {
                self.by_offset.insert(offset, key.clone());
                self.by_key.insert(key, (offset, known));
            }
            None => drop(self.by_key.remove(&key)),
        }
        while self.by_key.len() > self.most
            && let Some((_, key)) = self.by_offset.pop_first()
        {
            self.by_key.remove(&key);
        }
    }

    /// Those that are forgotten when so many new ones come.
    fn oldest(&self, n_new: usize) -> Vec<Arc<str>> {
        let n_over = (self.by_key.len() + n_new).saturating_sub(self.most);
        self.by_offset.values().take(n_over).cloned().collect()
    }
}

#[cfg(test)]
mod tests {
    use millrace_schemas::ledger::Sum;

    use super::*;

    fn ended(number: i64) -> Option<Known> {
        let attempt = BatchAttempt { number, count: 1, hash: Sum(0) };
        Some(Known { open: None, ended: Some(attempt) })
    }

    #[test]
    fn the_later_record_counts_whoever_tells_of_it_first() {
        let mut table = Table { most: 9, ..Table::default() };
        table.note("a".into(), ended(2), 5);
        table.note("a".into(), ended(1), 3);
        assert_eq!(Some(table.known("a")), ended(2));
        table.note("a".into(), None, 7);
        assert_eq!(table.known("a"), Known::default());
        assert!(table.by_offset.is_empty());
    }

    #[test]
    fn told_in_any_order_the_last_attempt_counts() {
        let at = |number, count| BatchAttempt { number, count, hash: Sum(0) };
        let known = |open: Option<BatchAttempt>, ended: Option<BatchAttempt>| Known { open, ended };
        let told = [
            known(Some(at(1, 3)), None),
            known(None, Some(at(1, 5))),
            known(Some(at(2, 0)), Some(at(1, 5))),
            known(Some(at(2, 4)), Some(at(1, 5))),
            known(None, Some(at(2, 6))),
        ];
        for (first, then) in
            told.iter().enumerate().flat_map(|own| told.iter().enumerate().map(move |other| (own, other)))
        {
            let wanted = if first.0 > then.0 { first.1 } else { then.1 };
            assert_eq!(first.1.merged(*then.1), *wanted, "{first:?} {then:?}");
        }
    }

    #[test]
    fn what_was_heard_of_longest_ago_is_forgotten() {
        let batches = Batches::new(3);
        for (offset, key) in ["a", "b", "c", "a"].into_iter().enumerate() {
            batches.table().note(key.into(), ended(if key == "c" { 2 } else { 1 }), offset as i64);
        }
        let step = |host: &str| {
            let [tenant, stream, host] = ["t", "s", host].map(str::to_owned);
            let to = BatchState { tenant, stream, host, minute: 7, source: None, open: None, ended: None };
            Step { key: to.key().into(), from: Known::default(), to }
        };
        let steps = [step("x"), step("y")];
        let shown = |keys: Vec<Arc<str>>| keys.iter().map(ToString::to_string).collect::<Vec<_>>();
        let old = |n_new: usize| shown(batches.too_old(&steps[..n_new]));
        assert_eq!((old(0), old(1)), (vec![], vec!["b".to_owned()]));
        assert_eq!(old(2), ["b"], "c replaced another: its record stays");
        assert_eq!(shown(batches.forgotten(&steps)), ["b", "c"]);
        let mut table = batches.table();
        table.note("d".into(), ended(1), 9);
        assert_eq!((table.by_key.len(), table.known("b")), (3, Known::default()));
    }
}
