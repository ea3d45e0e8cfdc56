//! Back-pressure across Kafka: marks in `millrace.control` that tell producers to wait, as producers read them.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use millrace_schemas::control::ControlRecord;
use millrace_schemas::topics;

use crate::kafka::{Error, Tailer};
use crate::service::{Service, ServiceError};

/// Which topics' producers wait.
pub struct Gate {
    service: Service,
    /// None after it has failed: it gives nothing any more.
    tailer: Option<Tailer>,
    waiting: BTreeMap<String, bool>,
    looked: Instant,
}

impl Gate {
    /// Reads the marks that there are.
    ///
    /// # Errors
    /// *Exit*.
    pub fn open(service: &Service) -> Result<Gate, ServiceError> {
        let mut gate =
            Gate { service: service.clone(), tailer: None, waiting: BTreeMap::new(), looked: Instant::now() };
        gate.read()?;
        Ok(gate)
    }

    /// Reads all marks anew.
    fn read(&mut self) -> Result<(), ServiceError> {
        self.waiting.clear();
        self.tailer = Some(Tailer::open(&self.service.config.kafka, topics::CONTROL, &[0])?);
        while self.tailer.as_ref().is_some_and(|tailer| !tailer.caught_up()) {
            self.look(Duration::from_millis(50))?;
        }
        Ok(())
    }

    /// Whether to write: no topic is over its bound. Looks for new marks at most every 200 ms.
    ///
    /// # Errors
    /// The marks cannot be read; the next call begins anew.
    pub fn may_write(&mut self) -> Result<bool, ServiceError> {
        if self.tailer.is_none() {
            self.read()?;
        } else if self.looked.elapsed() >= Duration::from_millis(200) {
            self.looked = Instant::now();
            self.look(Duration::ZERO)?;
        }
        Ok(!self.waiting.values().any(|wait| *wait))
    }

    fn look(&mut self, wait: Duration) -> Result<(), ServiceError> {
        let (codecs, waiting) = (&self.service.codecs, &mut self.waiting);
        let Some(mut tailer) = self.tailer.take() else { return Ok(()) };
        tailer.poll(wait, &mut |_, _, _, value| -> Result<(), Error> {
            let record = value.and_then(|value| codecs.control().decode::<ControlRecord>(value).ok());
            if let Some((record, mark)) = record.as_ref().and_then(|record| Some((record, record.as_flow()?)))
                && waiting.insert(record.id.clone(), mark.wait) != Some(mark.wait)
                && mark.wait
            {
                let (bytes, bound) = (mark.bytes, mark.bound);
                tracing::warn!(topic = record.id, bytes, bound, "topic is over its bound, producers wait");
            }
            Ok(())
        })?;
        self.tailer = Some(tailer);
        Ok(())
    }
}
