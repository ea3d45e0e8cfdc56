//! The way to Kafka: lines and positions in one transaction.

use std::path::Path;

use millrace_forwarder::kafka::KafkaOutlet;
use millrace_runtime::kafka::Guard;
use millrace_runtime::service::{Service, ServiceError};

use super::Way;

pub(super) struct Kafka<'a>(pub(super) &'a Service);

impl Way for Kafka<'_> {
    type Outlet = KafkaOutlet;

    fn schema_id(&self) -> u32 {
        self.0.codecs.raw().id()
    }

    fn open(&self, id: &str, _folder: &Path) -> Result<KafkaOutlet, ServiceError> {
        KafkaOutlet::open(self.0, id, Guard::default())
    }
}
