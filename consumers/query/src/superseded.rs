//! Lines of batches (`PUT /v1/batches/…`) that another attempt has replaced: readers leave them out, by what
//! `millrace.batches` says now.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

use millrace_runtime::batches;
use millrace_runtime::follow::follow;
use millrace_runtime::kafka::Error;
use millrace_runtime::service::{Service, ServiceError};
use millrace_schemas::attempt::{BatchState, attempt_id};
use millrace_schemas::topics;

/// The superseded attempts of every tenant. Grows with how many batches were replaced, about 200 bytes each; those that came
/// once take nothing.
#[derive(Debug, Clone, Default)]
pub struct Superseded(Arc<RwLock<HashMap<String, Attempts>>>);

/// Of one tenant: by the record's key, and all of them.
#[derive(Debug, Default)]
struct Attempts {
    by_batch: HashMap<String, Vec<String>>,
    all: Hidden,
}

/// Ids of attempts whose lines do not count, in order. Cheap to clone.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Hidden(Arc<Vec<String>>);

impl Hidden {
    /// Their ids.
    pub fn ids(&self) -> &[String] {
        &self.0
    }

    /// Whether a line of that stream, dedup scope and attempt does not count.
    pub fn has(&self, stream: &str, scope: &str, attempt: i64) -> bool {
        !self.0.is_empty() && self.0.binary_search(&attempt_id(stream, scope, attempt)).is_ok()
    }
}

impl Superseded {
    /// Reads what there is, and follows it until the process is told to stop.
    ///
    /// # Errors
    /// *Exit*.
    pub fn follow(service: &Service) -> Result<Superseded, ServiceError> {
        let superseded = Superseded::default();
        let (own, codecs) = (superseded.clone(), service.codecs.clone());
        follow(service, topics::BATCHES, "superseded", move |key, value| {
            let state = value.map(|value| codecs.batches().decode::<BatchState>(value));
            match state.transpose() {
                Ok(state) => own.note(key, state.as_ref()),
                Err(error) => tracing::error!(%error, "could not read a record of millrace.batches"),
            }
        })?;
        Ok(superseded)
    }

    /// What there is now.
    ///
    /// # Errors
    /// Kafka does not answer, or a record cannot be read.
    pub fn now(service: &Service) -> Result<Superseded, Error> {
        let superseded = Superseded::default();
        batches::read(service, |key, state| superseded.note(key, state.as_ref()))?;
        Ok(superseded)
    }

    /// What of `tenant` does not count.
    pub fn of(&self, tenant: &str) -> Hidden {
        let all = self.0.read().unwrap_or_else(PoisonError::into_inner);
        all.get(tenant).map(|own| own.all.clone()).unwrap_or_default()
    }

    fn note(&self, key: &[u8], state: Option<&BatchState>) {
        // The key begins with the tenant, in whose id there is no slash.
        let Some((tenant, batch)) = std::str::from_utf8(key).ok().and_then(|key| key.split_once('/')) else {
            return tracing::error!(?key, "a key of millrace.batches names no tenant");
        };
        let ids = state.map(BatchState::superseded).filter(|ids| !ids.is_empty());
        let mut all = self.0.write().unwrap_or_else(PoisonError::into_inner);
        let changed = match ids {
            Some(ids) => {
                let own = all.entry(tenant.to_owned()).or_default();
                own.by_batch.insert(batch.to_owned(), ids.clone()) != Some(ids)
            }
            None => all.get_mut(tenant).is_some_and(|own| own.by_batch.remove(batch).is_some()),
        };
        if let Some(own) = all.get_mut(tenant).filter(|_| changed) {
            own.all = Hidden::from_iter(own.by_batch.values().flatten().cloned());
        }
    }
}

impl FromIterator<String> for Hidden {
    fn from_iter<I: IntoIterator<Item = String>>(ids: I) -> Hidden {
        let mut ids: Vec<String> = ids.into_iter().collect();
        ids.sort_unstable();
        Hidden(Arc::new(ids))
    }
}

#[cfg(test)]
mod tests {
    use millrace_schemas::attempt::BatchAttempt;
    use millrace_schemas::ledger::Sum;

    use super::*;

    fn state(host: &str, ended: i64) -> BatchState {
        let [tenant, stream, host] = ["t", "web", host].map(str::to_owned);
        let ended = Some(BatchAttempt { number: ended, count: 1, hash: Sum(0) });
        BatchState { tenant, stream, host, minute: 7, source: None, open: None, ended }
    }

    #[test]
    fn only_attempts_that_were_replaced_are_hidden_and_only_from_their_tenant() {
        let superseded = Superseded::default();
        for (host, ended) in [("a", 1), ("b", 2), ("c", 3), ("c", 3)] {
            let state = state(host, ended);
            superseded.note(state.key().as_bytes(), Some(&state));
        }
        let hidden = superseded.of("t");
        assert_eq!(hidden.ids(), ["1/web/batch/7\nb", "1/web/batch/7\nc", "2/web/batch/7\nc"]);
        assert!(hidden.has("web", "batch/7\nc", 2) && !hidden.has("web", "batch/7\nc", 3));
        assert!(!hidden.has("web", "batch/7\na", 1) && !hidden.has("other", "batch/7\nb", 1));
        assert_eq!(superseded.of("u"), Hidden::default());
        superseded.note(state("c", 3).key().as_bytes(), None);
        assert_eq!(superseded.of("t").ids(), ["1/web/batch/7\nb"]);
    }
}
