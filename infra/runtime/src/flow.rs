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
    tailer: Tailer,
    waiting: BTreeMap<String, bool>,
    looked: Instant,
}

impl Gate {
    /// Reads the marks that there are.
    ///
    /// # Errors
    /// *Exit*.
    pub fn open(service: &Service) -> Result<Gate, ServiceError> {
        let tailer = Tailer::open(&service.config.kafka, topics::CONTROL, &[0])?;
        let mut gate =
            Gate { service: service.clone(), tailer, waiting: BTreeMap::new(), looked: Instant::now() };
        while !gate.tailer.caught_up() {
            gate.look(Duration::from_millis(50))?;
        }
        Ok(gate)
    }

    /// Whether to write: no topic is over its bound. Looks for new marks at most every 200 ms.
    ///
    /// # Errors
    /// *Exit*.
    pub fn may_write(&mut self) -> Result<bool, ServiceError> {
        if self.looked.elapsed() >= Duration::from_millis(200) {
            self.looked = Instant::now();
            self.look(Duration::ZERO)?;
        }
        Ok(!self.waiting.values().any(|wait| *wait))
    }

    fn look(&mut self, wait: Duration) -> Result<(), ServiceError> {
        let (codecs, waiting) = (&self.service.codecs, &mut self.waiting);
        self.tailer.poll(wait, &mut |_, _, _, value| -> Result<(), Error> {
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
        Ok(())
    }
}
