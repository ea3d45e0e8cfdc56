//! Sources, and streams that are bound to one, as `millrace.control` says now, over those of the configuration's files, for
//! the loops of the parse job.
//!
//! A thread follows the topic. A loop asks before it plans a batch, and waits where its state was read by newer sources than
//! are known here. While Kafka is away what was known last counts. A record that cannot be compiled, of a later version of this
//! program perhaps, leaves the source as it is.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use millrace_admin::sources::compile;
use millrace_jobs::Table;
use millrace_jobs::parse::{Bound, Format, Parse, Source, least_sources};
use millrace_runner::{Class, Error};
use millrace_runtime::follow::follow_by;
use millrace_runtime::kafka::{self, Tailer};
use millrace_runtime::service::{Service, ServiceError};
use millrace_schemas::control::ControlRecord;
use millrace_schemas::source::SourceEntry;
use millrace_schemas::topics;

/// Longest wait of a loop for what another process has read by already.
const PATIENCE: Duration = Duration::from_secs(60);

/// The sources there are.
#[derive(Debug, Clone)]
pub(crate) struct Live(Arc<Mutex<Known>>);

#[derive(Debug, Default)]
struct Known {
    /// Those of the files.
    seeds: Vec<Arc<Source>>,
    set: BTreeMap<String, Arc<Source>>,
    /// Streams that are bound.
    bound: Bound,
    /// Place up to which the topic is read, and that of the last change.
    read: i64,
    changed: i64,
}

/// The newest record of each source and stream; `None`: it was removed.
type Changes = BTreeMap<Item, Option<ControlRecord>>;

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Item {
    Source(String),
    Stream(String, String),
}

impl Item {
    /// What the record with this key is about.
    fn of(key: &[u8]) -> Option<Item> {
        let source = ControlRecord::source_name(key).map(|name| Item::Source(name.to_owned()));
        source.or_else(|| {
            let (tenant, stream) = ControlRecord::stream_name(key)?;
            Some(Item::Stream(tenant.to_owned(), stream.to_owned()))
        })
    }
}

fn read(
    service: &Service,
    tailer: &mut Tailer,
    wait: Duration,
    changes: &mut Changes,
) -> Result<(), kafka::Error> {
    tailer.poll(wait, &mut |_, _, key, value| {
        if let Some(item) = Item::of(key) {
            let record =
                value.map(|value| service.codecs.control().decode::<ControlRecord>(value)).transpose();
            let record = record.map_err(|error| kafka::Error::Broken(format!("{item:?}: {error}")))?;
            changes.insert(item, record);
        }
        Ok(())
    })?;
    Ok(())
}

/// Whether a source of a file reads its streams, given the version of that name which is set: the higher one counts.
pub(super) fn counts(seed: &Source, set: Option<i32>) -> bool {
    set.is_none_or(|set| seed.version() > set)
}

/// Those that read lines, of the files and of what is set; of two that name a stream the later one reads it.
pub(crate) fn counting(seeds: Vec<Arc<Source>>, set: &BTreeMap<String, SourceEntry>) -> Vec<Arc<Source>> {
    let set = set.iter().filter_map(|(name, entry)| Some((name.clone(), Arc::new(compile(entry).ok()?))));
    Known { seeds, set: set.collect(), ..Known::default() }.sources()
}

impl Known {
    fn sources(&self) -> Vec<Arc<Source>> {
        let seeds = self
            .seeds
            .iter()
            .filter(|seed| self.set.get(seed.name()).is_none_or(|own| counts(seed, Some(own.version()))));
        let set = self.set.values().filter(|own| {
            self.seeds.iter().all(|seed| seed.name() != own.name() || !counts(seed, Some(own.version())))
        });
        // What is set comes later: it reads the streams that both name.
        seeds.chain(set).cloned().collect()
    }

    fn change(&mut self, changes: Changes, place: i64) {
        self.read = self.read.max(place);
        if !changes.is_empty() {
            self.changed = self.changed.max(place);
            changes.into_iter().for_each(|(item, record)| self.take(item, record));
            for ((tenant, stream), name) in self.bound.iter().filter(|(_, name)| !self.is_there(name)) {
                tracing::error!(tenant, stream, name, "a stream is bound to a source that is not there");
            }
        }
    }

    fn is_there(&self, name: &str) -> bool {
        let is_set = self.set.contains_key(name) || self.seeds.iter().any(|seed| seed.name() == name);
        is_set || Format::named(name).is_some()
    }

    fn take(&mut self, item: Item, record: Option<ControlRecord>) {
        let source = |record: ControlRecord| {
            record.as_source().ok_or("is no source".to_owned()).and_then(|own| compile(&own))
        };
        match (item, record) {
            (Item::Source(name), None) => drop(self.set.remove(&name)),
            (Item::Source(name), Some(record)) => match source(record) {
                Ok(source) => drop(self.set.insert(name, Arc::new(source))),
                Err(what) => {
                    tracing::error!(
                        name,
                        what,
                        "a source that was set cannot be read, the one before it counts"
                    );
                }
            },
            (Item::Stream(tenant, stream), record) => {
                match record.and_then(|record| record.as_stream()?.source) {
                    Some(name) => drop(self.bound.insert((tenant, stream), name)),
                    None => drop(self.bound.remove(&(tenant, stream))),
                }
            }
        }
    }
}

impl Live {
    /// Reads what is set, and follows it until the process is told to stop.
    pub(crate) fn follow(service: &Service, seeds: Vec<Arc<Source>>) -> Result<Live, ServiceError> {
        let known = Known { seeds, ..Known::default() };
        let live = Live(Arc::new(Mutex::new(known)));
        let (opening, looking) = ((live.clone(), service.clone()), (live.clone(), service.clone()));
        let open = move || opening.0.open(&opening.1);
        let look = move |tailer: &mut Tailer| looking.0.look(&looking.1, tailer);
        follow_by(service, topics::CONTROL, "sources", open, look)?;
        Ok(live)
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes up all that is set, in one step: on the way to the end of the topic lie older versions.
    fn open(&self, service: &Service) -> Result<Tailer, kafka::Error> {
        let mut tailer = Tailer::open(&service.config.kafka, topics::CONTROL, &[0])?;
        let mut changes = Changes::new();
        while !tailer.caught_up() {
            read(service, &mut tailer, Duration::from_millis(50), &mut changes)?;
        }
        let mut known = self.known();
        known.set.retain(|name, _| changes.contains_key(&Item::Source(name.clone())));
        known.bound.retain(|(tenant, stream), _| {
            changes.contains_key(&Item::Stream(tenant.clone(), stream.clone()))
        });
        known.change(changes, tailer.passed(0));
        drop(known);
        Ok(tailer)
    }

    fn look(&self, service: &Service, tailer: &mut Tailer) -> Result<(), kafka::Error> {
        let mut changes = Changes::new();
        read(service, tailer, Duration::from_millis(200), &mut changes)?;
        self.known().change(changes, tailer.passed(0));
        Ok(())
    }

    /// Gives `job` the sources of now, if others than it has. Waits until they are as new as those by which the partitions of
    /// `table` were read.
    ///
    /// # Errors
    /// *Exit*: they do not come.
    pub(crate) fn renew(
        &self,
        job: &mut Parse,
        table: &Table,
        stopped: impl Fn() -> bool,
    ) -> Result<(), Error> {
        let (least, start) = (least_sources(table), Instant::now());
        loop {
            let known = self.known();
            if known.read >= least || stopped() {
                if known.changed != job.place() {
                    tracing::info!(
                        place = known.changed,
                        n_sources = known.sources().len(),
                        n_bound = known.bound.len(),
                        "sources taken up"
                    );
                    job.renew(known.sources(), &known.bound, known.changed);
                }
                return Ok(());
            }
            let read = known.read;
            drop(known);
            if start.elapsed() > PATIENCE {
                let what = format!(
                    "lines were read by sources of offset {least} of {}, which has come to {read} only: it was made anew, or \
                     the broker does not answer",
                    topics::CONTROL
                );
                return Err(Error::new(Class::Exit, "take up the sources", what));
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

#[cfg(test)]
mod tests {
    use millrace_jobs::changelog_key;
    use millrace_jobs::parse::ParseConfig;
    use millrace_schemas::stream::StreamEntry;
    use millrace_schemas::{Codec, Subject};

    use super::*;

    fn source(name: &str, version: i32) -> SourceEntry {
        let toml = format!("[[source]]\nname = \"{name}\"\nversion = {version}\nsteps = [\"json\"]");
        SourceEntry { version, toml, patterns: vec![], set: 0 }
    }

    fn names(known: &Known) -> Vec<String> {
        known.sources().iter().map(|own| format!("{}/{}", own.name(), own.version())).collect()
    }

    #[test]
    fn the_higher_version_of_a_name_counts() {
        let seed = |name: &str, version| Arc::new(compile(&source(name, version)).unwrap());
        let seeds = vec![seed("a", 2), seed("b", 1)];
        let mut known = Known { seeds, ..Known::default() };
        let item = |name: &str| Item::Source(name.to_owned());
        let set = |known: &mut Known, name: &str, version| {
            known.take(item(name), Some(ControlRecord::source(name, &source(name, version))));
        };
        assert_eq!(names(&known), ["a/2", "b/1"]);
        set(&mut known, "a", 1);
        set(&mut known, "c", 7);
        assert_eq!(names(&known), ["a/2", "b/1", "c/7"]);
        set(&mut known, "a", 2);
        assert_eq!(names(&known), ["b/1", "a/2", "c/7"]);
        known.take(
            item("c"),
            Some(ControlRecord { kind: "source".into(), id: "c".into(), json: "{}".into() }),
        );
        assert_eq!(names(&known), ["b/1", "a/2", "c/7"], "what cannot be read changes nothing");
        known.take(item("c"), None);
        known.take(item("a"), None);
        assert_eq!(names(&known), ["a/2", "b/1"]);
    }

    #[test]
    fn a_stream_is_bound_until_its_record_says_otherwise() {
        let mut known = Known::default();
        let mut place = 0;
        let mut change = |source: Option<&str>, there: bool| {
            let entry = StreamEntry { source: source.map(str::to_owned), note: None, set: 0 };
            let record = there.then(|| ControlRecord::stream("acme", "web.1", &entry));
            place += 1;
            let item = Item::of(ControlRecord::stream_key("acme", "web.1").as_bytes()).unwrap();
            known.change(Changes::from([(item, record)]), place);
            assert_eq!((known.read, known.changed), (place, place));
            known.bound.get(&("acme".to_owned(), "web.1".to_owned())).cloned()
        };
        assert_eq!(change(Some("json"), true), Some("json".to_owned()));
        assert_eq!(change(Some("gone"), true), Some("gone".to_owned()));
        assert_eq!(change(None, true), None);
        assert_eq!(change(Some("json"), true), Some("json".to_owned()));
        assert_eq!(change(None, false), None);
        assert_eq!(Item::of(b"key/acme"), None);
    }

    #[test]
    fn a_loop_that_knows_less_than_its_state_waits() {
        let known = Known { read: 7, changed: 3, ..Known::default() };
        let live = Live(Arc::new(Mutex::new(known)));
        let mut table = Table::default();
        let codec = |subject: Subject| Codec::new("test", 1, subject.schema()).unwrap();
        let config = ParseConfig { default_format: Format::Auto, by_stream: BTreeMap::new() };
        let mut job = Parse::new(config, codec(Subject::Raw), codec(Subject::Parsed));
        live.renew(&mut job, &table, || false).unwrap();
        assert_eq!(job.place(), 3);
        table.restore(0, &changelog_key(b"sources"), Some(&8_i64.to_be_bytes()));
        let other = live.clone();
        let later = std::thread::spawn(move || {
            let mut known = other.known();
            (known.read, known.changed) = (8, 8);
        });
        live.renew(&mut job, &table, || false).unwrap();
        assert_eq!(job.place(), 8);
        later.join().unwrap();
    }
}
