//! The schema registry: registers what we write, gives codecs that read every version.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use millrace_schemas::{Codec, CodecError, Subject};
use schema_registry_converter::async_impl::schema_registry::{SrSettings, get_schema_by_id, post_schema};
use schema_registry_converter::schema_registry_common::{SchemaType, SuppliedSchema};

use crate::http;

/// The registry does not answer, or refuses a schema.
#[derive(Debug, thiserror::Error)]
pub enum RegistryError {
    /// No answer within the deadline.
    #[error(
        "could not {action} at registry {url}: {reason}; check registry.url and that the registry runs (`millrace doctor`)"
    )]
    Away {
        /// Call.
        action: String,
        /// Address.
        url: String,
        /// What was last heard.
        reason: String,
    },
    /// A schema that does not parse, or an id that is no schema of ours.
    #[error(transparent)]
    Codec(#[from] CodecError),
}

/// Where the registry is.
#[derive(Debug, Clone)]
pub struct Registry {
    url: String,
    deadline: Duration,
    denied: Arc<Denied>,
}

/// Longest wait for one answer: a registry that is slow is waited for, one that is silent is asked again.
const CALL: Duration = Duration::from_secs(20);

/// Ids that the registry denied, and when. Somebody may register them later, so they are asked for again after a while.
#[derive(Debug, Default)]
struct Denied(Mutex<HashMap<u32, Instant>>);

impl Denied {
    const AGAIN_AFTER: Duration = Duration::from_secs(30);
    /// Damaged records may name any id.
    const MOST: usize = 10_000;

    fn is_known(&self, id: u32) -> bool {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.get(&id).is_some_and(|when| when.elapsed() < Denied::AGAIN_AFTER)
    }

    fn remember(&self, id: u32) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= Denied::MOST {
            known.clear();
        }
        known.insert(id, Instant::now());
    }
}

/// Codecs of all subjects, by registry ids of this installation.
#[derive(Debug, Clone)]
pub struct Codecs {
    all: Vec<Codec>,
    parsed_ids: Vec<u32>,
}

impl Codecs {
    fn of(&self, subject: Subject) -> &Codec {
        let at = Subject::ALL.iter().position(|own| *own == subject).unwrap_or_default();
        &self.all[at]
    }

    /// Makes events that a newer build wrote under `id` readable.
    ///
    /// # Errors
    /// A schema that does not parse.
    pub fn learn_parsed(&mut self, id: u32, schema: &str) -> Result<(), CodecError> {
        self.learn(Subject::Parsed, id, schema)
    }

    /// Makes lines that a newer build wrote under `id` readable.
    ///
    /// # Errors
    /// A schema that does not parse.
    pub fn learn_raw(&mut self, id: u32, schema: &str) -> Result<(), CodecError> {
        self.learn(Subject::Raw, id, schema)
    }

    fn learn(&mut self, subject: Subject, id: u32, schema: &str) -> Result<(), CodecError> {
        let at = Subject::ALL.iter().position(|own| *own == subject).unwrap_or_default();
        self.all[at].learn(id, schema)
    }

    /// `RawEvent`.
    pub fn raw(&self) -> &Codec {
        self.of(Subject::Raw)
    }

    /// `Event`.
    pub fn parsed(&self) -> &Codec {
        self.of(Subject::Parsed)
    }

    /// `Delta`.
    pub fn ledger(&self) -> &Codec {
        self.of(Subject::Ledger)
    }

    /// `FilePosition`.
    pub fn position(&self) -> &Codec {
        self.of(Subject::Position)
    }

    /// `ManifestRecord`.
    pub fn manifest(&self) -> &Codec {
        self.of(Subject::Manifest)
    }

    /// Registry ids of the versions of `Event`, oldest first.
    pub fn parsed_ids(&self) -> &[u32] {
        &self.parsed_ids
    }

    /// `ControlRecord`.
    pub fn control(&self) -> &Codec {
        self.of(Subject::Control)
    }

    /// `BatchState`.
    pub fn batches(&self) -> &Codec {
        self.of(Subject::Batches)
    }

    /// `Progress`.
    pub fn progress(&self) -> &Codec {
        self.of(Subject::Progress)
    }

    /// Codecs with made-up ids, for tests and benches that need no registry.
    ///
    /// # Errors
    /// A schema that does not parse.
    pub fn local() -> Result<Codecs, CodecError> {
        let codec =
            |(at, subject): (usize, &Subject)| Codec::new(subject.folder(), at as u32 + 1, subject.schema());
        let all = Subject::ALL.iter().enumerate().map(codec).collect::<Result<Vec<_>, _>>()?;
        let parsed_ids = vec![all[1].id()];
        Ok(Codecs { all, parsed_ids })
    }
}

impl Registry {
    /// A registry with the Confluent API at `url`; calls are tried again for up to `deadline`.
    pub fn new(url: &str, deadline: Duration) -> Registry {
        Registry { url: url.trim_end_matches('/').to_owned(), deadline, denied: Arc::default() }
    }

    /// Registers every version of every schema under `<topic>-value` with compatibility `BACKWARD_TRANSITIVE`; what is
    /// there already stays. Gives codecs.
    ///
    /// # Errors
    /// [`RegistryError`].
    pub fn register(&self) -> Result<Codecs, RegistryError> {
        let runtime = self.runtime()?;
        let settings = self.settings();
        let mut all = Vec::new();
        let mut parsed_ids = Vec::new();
        for subject in Subject::ALL {
            let mut ids: Vec<(u32, &'static str)> = Vec::new();
            for name in subject.registered() {
                for text in subject.versions() {
                    let supplied = SuppliedSchema::new(None, SchemaType::Avro, (*text).to_owned());
                    let action = format!("register {name}");
                    let registered = self.retrying(&runtime, &action, || {
                        post_schema(&settings, (*name).to_owned(), supplied.clone())
                    })?;
                    if subject == Subject::Parsed {
                        parsed_ids.push(registered.id);
                    }
                    ids.push((registered.id, *text));
                }
                self.set_compatibility(&runtime, name)?;
            }
            all.push(codec(subject, &ids)?);
        }
        Ok(Codecs { all, parsed_ids })
    }

    /// The text of schema `id`, for records that a newer build wrote. A denial is remembered for a while.
    ///
    /// # Errors
    /// [`RegistryError::Away`] where it does not answer; [`RegistryError::Codec`] where it has no such schema.
    pub fn schema(&self, id: u32) -> Result<String, RegistryError> {
        let denied = || RegistryError::Codec(CodecError::UnknownSchema { id });
        if self.denied.is_known(id) {
            return Err(denied());
        }
        let runtime = self.runtime()?;
        let settings = self.settings();
        let found = self.retrying(&runtime, &format!("read schema {id}"), || async {
            match get_schema_by_id(id, &settings).await {
                Ok(found) => Ok(Some(found.schema)),
                // The library tells of an HTTP status in its text alone.
                Err(error) if error.error.contains("status 404") => Ok(None),
                Err(error) => Err(error),
            }
        })?;
        found.ok_or_else(|| {
            self.denied.remember(id);
            denied()
        })
    }

    /// One question without retries: how many subjects it holds.
    ///
    /// # Errors
    /// [`RegistryError::Away`].
    pub fn ping(&self) -> Result<usize, RegistryError> {
        let runtime = self.runtime()?;
        let url = format!("{}/subjects", self.url);
        let answer = runtime.block_on(async {
            let get = http::client().get(&url).timeout(Duration::from_secs(3));
            let answer = get.send().await?;
            answer.error_for_status()?.json::<Vec<String>>().await
        });
        answer.map(|subjects| subjects.len()).map_err(|error| self.away("list subjects", &error.to_string()))
    }

    fn set_compatibility(&self, runtime: &tokio::runtime::Runtime, name: &str) -> Result<(), RegistryError> {
        let url = format!("{}/config/{name}", self.url);
        self.retrying(runtime, &format!("set the compatibility of {name}"), || async {
            let body = serde_json::json!({ "compatibility": "BACKWARD_TRANSITIVE" });
            let put = http::client().put(&url);
            put.json(&body).send().await?.error_for_status().map(drop)
        })
    }

    fn settings(&self) -> SrSettings {
        http::with_cryptography();
        SrSettings::new(self.url.clone())
    }

    fn runtime(&self) -> Result<tokio::runtime::Runtime, RegistryError> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        runtime.map_err(|error| self.away("start a client", &error.to_string()))
    }

    fn retrying<T, E, F>(
        &self,
        runtime: &tokio::runtime::Runtime,
        action: &str,
        mut call: impl FnMut() -> F,
    ) -> Result<T, RegistryError>
    where
        E: std::fmt::Display,
        F: Future<Output = Result<T, E>>,
    {
        let start = Instant::now();
        loop {
            // The library's client waits for ever for a registry that takes the connection and says nothing.
            let left = self.deadline.saturating_sub(start.elapsed()).clamp(Duration::from_millis(100), CALL);
            let reason = match runtime.block_on(async { tokio::time::timeout(left, call()).await }) {
                Ok(Ok(value)) => return Ok(value),
                Ok(Err(error)) => error.to_string(),
                Err(_) => format!("no answer within {} ms", left.as_millis()),
            };
            if start.elapsed() >= self.deadline {
                return Err(self.away(action, &reason));
            }
            tracing::warn!(action, reason, "registry did not do as asked, trying again");
            std::thread::sleep(Duration::from_millis(500));
        }
    }

    fn away(&self, action: &str, reason: &str) -> RegistryError {
        RegistryError::Away { action: action.to_owned(), url: self.url.clone(), reason: reason.to_owned() }
    }
}

/// Writes the newest version under the first name, reads all: `ids` has the versions, oldest first, name by name.
fn codec(subject: Subject, ids: &[(u32, &'static str)]) -> Result<Codec, CodecError> {
    let newest = ids.iter().find(|(_, text)| *text == subject.schema()).map_or(0, |(id, _)| *id);
    let mut codec = Codec::new(subject.folder(), newest, subject.schema())?;
    for (id, text) in ids {
        codec.learn(*id, text)?;
    }
    Ok(codec)
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use millrace_schemas::position::FilePosition;

    use super::*;

    #[test]
    fn a_registry_that_takes_connections_and_says_nothing_is_away_when_the_deadline_has_passed() {
        let silent = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let url = format!("http://{}", silent.local_addr().unwrap());
        let registry = Registry::new(&url, Duration::from_secs(1));
        let (said, says) = std::sync::mpsc::channel();
        std::thread::spawn(move || drop(said.send((registry.register(), registry.schema(1)))));
        let Ok((registered, schema)) = says.recv_timeout(Duration::from_secs(20)) else {
            panic!("the registry is still being waited for")
        };
        assert!(matches!(registered, Err(RegistryError::Away { .. })), "{registered:?}");
        assert!(matches!(schema, Err(RegistryError::Away { .. })), "{schema:?}");
    }

    #[test]
    fn the_newest_version_is_written_and_every_version_is_read() {
        let [old, new] = Subject::Position.versions() else { panic!("two versions") };
        let codec = codec(Subject::Position, &[(11, old), (12, new)]).unwrap();
        assert_eq!(codec.id(), 12);
        assert!(codec.knows(11));
        // What was written before the second version: all zeros and no text.
        let datum = [&[0, 0, 0, 0, 11][..], &[0; 18]].concat();
        assert_eq!(codec.decode::<FilePosition>(&datum).unwrap().text, None);
    }
}
