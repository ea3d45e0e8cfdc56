//! Lines straight into `logs.raw`, counted in the ledger as a forwarder's: one transaction a batch.

use millrace_runtime::flow::Gate;
use millrace_runtime::kafka::slot::Slot;
use millrace_runtime::kafka::{Class, Guard, OutRecord, TxnProducer};
use millrace_runtime::service::{Service, ServiceError};
use millrace_runtime::sink::{GENERATION, now_micros, send_deltas};
use millrace_schemas::ledger::{Tally, edge, line_hash, line_seed, stage};
use millrace_schemas::{Attributes, LineEnd, RawTemplate, topics};

use super::args::Load;
use super::target::{Entries, Refused};
use crate::place;

/// What all agents share.
pub(crate) struct KafkaTarget {
    service: Service,
    slot: Slot,
    tenant: String,
    stream: String,
}

/// One agent's producer, under a host name of its own: its lines keep their order.
pub(crate) struct KafkaSender {
    service: Service,
    producer: TxnProducer,
    gate: Gate,
    template: RawTemplate,
    seed: u64,
    key: String,
    tenant: String,
    stream: String,
    values: Vec<u8>,
    scratch: Vec<u8>,
}

impl KafkaTarget {
    pub(crate) fn open(args: &Load) -> anyhow::Result<KafkaTarget> {
        for (name, id) in [("--tenant", &args.tenant), ("--stream", &args.stream)] {
            anyhow::ensure!(millrace_schemas::id::valid_id(id), "{name} {id:?} is not [a-z0-9-]{{1,64}}");
        }
        let service = place::service(&args.place)?;
        let slot = service.slot("loadgen")?;
        Ok(KafkaTarget { service, slot, tenant: args.tenant.clone(), stream: args.stream.clone() })
    }

    pub(crate) fn sender(&self, number: u32) -> Result<KafkaSender, Refused> {
        let (service, tenant, stream) = (self.service.clone(), self.tenant.clone(), self.stream.clone());
        let kafka = &service.config.kafka;
        let id = format!("{}-loadgen-{}-{number}", kafka.prefix, self.slot.number());
        let producer = TxnProducer::open(kafka, &id, true, Guard::default());
        let producer = producer.map_err(|error| Refused::passing("connect", &error))?;
        let gate = Gate::open(&service).map_err(|error| Refused::passing("connect", &error))?;
        let host = format!("loadgen-{number}");
        let schema = service.codecs.raw().id();
        Ok(KafkaSender {
            template: RawTemplate::new(schema, &tenant, &stream, &host, None, &Attributes::default()),
            seed: line_seed(&tenant, &stream, &host, None),
            key: format!("{tenant}/{host}"),
            service,
            producer,
            gate,
            tenant,
            stream,
            values: Vec::new(),
            scratch: Vec::new(),
        })
    }
}

impl KafkaSender {
    pub(crate) fn send(&mut self, entries: &Entries) -> Result<(), Refused> {
        match self.gate.may_write() {
            Ok(true) => {}
            Ok(false) => return Err(Refused::passing("send", &"a topic is over its bound")),
            Err(error) => return Err(Refused::passing("send", &error)),
        }
        self.transact(entries).map_err(|error| Refused {
            again: error.class() != Class::Exit,
            ..Refused::passing("commit", &error)
        })
    }

    fn transact(&mut self, entries: &Entries) -> Result<(), ServiceError> {
        self.producer.begin()?;
        let received = now_micros();
        for (tag, body) in entries.iter().enumerate() {
            self.values.clear();
            self.template.encode(&mut self.values, received, None, LineEnd::Lf, None, body);
            self.producer.send(OutRecord {
                topic: topics::RAW,
                partition: None,
                key: self.key.as_bytes(),
                value: Some(&self.values),
                headers: &[],
                tag,
            })?;
        }
        let deliveries = self.producer.flush()?;
        let mut tally = Tally::default();
        for (body, delivery) in entries.iter().zip(&deliveries) {
            let hash = line_hash(self.seed, None, None, body, &mut self.scratch);
            let (account, offset) = ((1, body.len() as i64, hash), delivery.offset);
            let place = (self.tenant.as_str(), self.stream.as_str(), received);
            tally.add(edge::OUT, place, account, delivery.partition, offset..offset + 1);
        }
        let deltas = tally.into_deltas(stage::FORWARD, GENERATION);
        send_deltas(&mut self.producer, &self.service, &deltas, &mut self.values)?;
        Ok(self.producer.commit(None)?)
    }
}
