//! Records of `millrace.control`, as commands write them.

use millrace_runtime::kafka::{Guard, OutRecord, TxnProducer};
use millrace_runtime::service::Service;
use millrace_schemas::control::ControlRecord;
use millrace_schemas::topics;

/// The one who writes. Of two commands at once the later one fences the other, which says so: what was read after `open` and
/// before `write` still holds.
pub(crate) struct Control(TxnProducer);

impl Control {
    pub(crate) fn open(service: &Service) -> anyhow::Result<Control> {
        let kafka = &service.config.kafka;
        Ok(Control(TxnProducer::open(kafka, &format!("{}-access", kafka.prefix), false, Guard::default())?))
    }

    /// Writes records by their keys, or deletes them, in one transaction.
    pub(crate) fn write(
        mut self,
        service: &Service,
        changes: &[(String, Option<ControlRecord>)],
    ) -> anyhow::Result<()> {
        self.0.begin()?;
        for (key, record) in changes {
            let mut value = Vec::new();
            if let Some(record) = record {
                service.codecs.control().encode(record, &mut value)?;
            }
            self.0.send(OutRecord {
                topic: topics::CONTROL,
                partition: Some(0),
                key: key.as_bytes(),
                value: record.is_some().then_some(value.as_slice()),
                headers: &[],
                tag: usize::MAX,
            })?;
        }
        Ok(self.0.commit(None)?)
    }
}
