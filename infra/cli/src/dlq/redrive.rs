//! `millrace dlq redrive`: letters into `logs.redrive`, in transactions with the ledger's counts.
//!
//! A letter goes as it is: key, bytes and headers. What makes it exactly once is the parser, which knows what is owed: what
//! is sent twice, by two calls or after a kill, is a duplicate there. So this side remembers nothing.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use anyhow::Context;
use millrace_jobs::Job;
use millrace_jobs::parse::{Parse, is_owed};
use millrace_runtime::flow::Gate;
use millrace_runtime::kafka::admin::Admin;
use millrace_runtime::kafka::{Guard, OutRecord, TxnProducer};
use millrace_runtime::service::Service;
use millrace_runtime::sink::send_deltas;
use millrace_schemas::dead::{RECEIVED, SENT_AGAIN, undecodable};
use millrace_schemas::ledger::{Line, Sum, Tally, edge, stage};
use millrace_schemas::{CodecError, RawEvent, topics, trace};
use serde_json::json;

use super::args::Redrive;
use super::choice::Choice;
use super::letters::{Letter, Letters, State, parser_state};
use crate::args::Format;
use crate::output::{Answer, grouped};
use crate::place;

/// A transaction holds no more.
const MOST_LETTERS: usize = 5_000;
const MOST_BYTES: usize = 8 << 20;

pub(super) fn run(args: &Redrive) -> anyhow::Result<Answer> {
    let choice = Choice::read(&args.letters.conditions)?;
    let wait = super::span(args.wait.as_deref())?;
    let service = place::service(&args.letters.place)?;
    let letters = Letters::open(&service)?;
    let mut sender = if args.dry_run { None } else { Some(Sender::open(&service)?) };
    let (mut n_sent, mut n_foreign) = (0, 0);
    letters.each(&service, |letter| {
        if !choice.fits(&letter.letter) {
            return Ok(());
        }
        match letter.state {
            State::Owed => {
                n_sent += 1;
                sender.as_mut().map_or(Ok(()), |sender| sender.send(&letter))
            }
            State::Foreign => {
                n_foreign += 1;
                Ok(())
            }
            State::Settled | State::Replaced => Ok(()),
        }
    })?;
    let Some(mut sender) = sender else {
        say(args.letters.format, json!({"would_send": n_sent, "foreign": n_foreign}), || {
            format!("{} dead letters would be sent again{}", grouped(n_sent), foreign(n_foreign))
        });
        return Ok(Answer::Yes);
    };
    sender.commit()?;
    let outcome = match wait {
        Some(wait) => sender.wait(wait)?,
        None => Outcome::NotAwaited,
    };
    let (repaired, failed, answer) = match outcome {
        Outcome::NotAwaited => (None, None, Answer::Yes),
        Outcome::TooLate => (None, None, Answer::Unknown),
        Outcome::Judged { n_failed } => {
            (Some(n_sent - n_failed), Some(n_failed), if n_failed == 0 { Answer::Yes } else { Answer::No })
        }
    };
    let shown = json!({"sent": n_sent, "foreign": n_foreign, "repaired": repaired, "failed_again": failed});
    say(args.letters.format, shown, || {
        let sent = format!("{} dead letters sent again{}", grouped(n_sent), foreign(n_foreign));
        match (repaired, failed) {
            (Some(repaired), Some(failed)) => {
                format!("{sent}: {} repaired, {} failed again", grouped(repaired), grouped(failed))
            }
            _ if answer == Answer::Unknown => format!("{sent}; the parser has not read all of them yet"),
            _ => format!("{sent}; `millrace dlq count` tells what stays dead"),
        }
    });
    Ok(answer)
}

fn say(format: Format, json: serde_json::Value, text: impl FnOnce() -> String) {
    match format {
        Format::Json => println!("{json}"),
        Format::Text => println!("{}", text()),
    }
}

fn foreign(count: i64) -> String {
    match count {
        0 => String::new(),
        _ => format!(" ({} of reason foreign left: no parser ever read those)", grouped(count)),
    }
}

enum Outcome {
    NotAwaited,
    TooLate,
    Judged { n_failed: i64 },
}

/// What the ledger is told of a letter once it is known where it lies.
struct Pending {
    tenant: String,
    stream: String,
    received: i64,
    bytes: i64,
    hash: Sum,
}

struct Sender {
    service: Service,
    producer: TxnProducer,
    gate: Gate,
    pending: Vec<Pending>,
    n_bytes: usize,
    /// Next offset behind what was sent, by partition of `logs.redrive`.
    ends: BTreeMap<i32, i64>,
    /// Partition and raw offset of what was sent.
    sent: Vec<(i32, i64)>,
}

impl Sender {
    fn open(service: &Service) -> anyhow::Result<Sender> {
        let id = format!("{}-{}", service.config.kafka.prefix, stage::REDRIVE);
        Ok(Sender {
            producer: TxnProducer::open(&service.config.kafka, &id, true, Guard::default())?,
            gate: Gate::open(service)?,
            service: service.clone(),
            pending: Vec::new(),
            n_bytes: 0,
            ends: BTreeMap::new(),
            sent: Vec::new(),
        })
    }

    fn send(&mut self, letter: &Letter<'_>) -> anyhow::Result<()> {
        if self.pending.is_empty() {
            while !self.gate.may_write()? {
                std::thread::sleep(Duration::from_millis(200));
            }
            self.producer.begin()?;
        }
        let pending = self.account(letter);
        let received = letter.received.to_string();
        let headers = letter.letter.headers();
        let mut headers: Vec<(&str, &[u8])> =
            headers.iter().map(|(name, text)| (*name, text.as_bytes())).collect();
        headers.push((RECEIVED, received.as_bytes()));
        headers.extend(letter.trace.as_ref().map(|own| (trace::HEADER, own.as_bytes())));
        self.producer.send(OutRecord {
            topic: topics::REDRIVE,
            partition: Some(letter.letter.partition),
            key: letter.key,
            value: Some(letter.value),
            headers: &headers,
            tag: self.pending.len(),
        })?;
        self.pending.push(pending);
        self.sent.push((letter.letter.partition, letter.letter.offset));
        self.n_bytes += letter.key.len() + letter.value.len();
        if self.pending.len() >= MOST_LETTERS || self.n_bytes >= MOST_BYTES {
            self.commit()?;
        }
        Ok(())
    }

    /// Counts a letter as the parser will (I8).
    fn account(&mut self, letter: &Letter<'_>) -> Pending {
        if let Err(CodecError::UnknownSchema { id }) =
            self.service.codecs.raw().decode::<RawEvent<'_>>(letter.value)
            && let Ok(text) = self.service.registry.schema(id)
        {
            // A text that is no schema leaves the bytes undecodable, here as in the parser.
            drop(self.service.codecs.learn_raw(id, &text));
        }
        let raw = self.service.codecs.raw().decode::<RawEvent<'_>>(letter.value);
        let raw = raw.unwrap_or_else(|_| undecodable(letter.key, letter.value, letter.received));
        Pending {
            tenant: raw.tenant.to_owned(),
            stream: raw.stream.to_owned(),
            received: raw.received,
            bytes: raw.body.len() as i64,
            hash: raw.sum(),
        }
    }

    fn commit(&mut self) -> anyhow::Result<()> {
        if self.pending.is_empty() {
            return Ok(());
        }
        self.write().context(
            "could not send all of them; run it again: what has been sent already is not repaired twice",
        )
    }

    fn write(&mut self) -> anyhow::Result<()> {
        let mut tally = Tally::default();
        for delivery in self.producer.flush()? {
            let Some(own) = self.pending.get(delivery.tag) else { continue };
            let line = (own.tenant.as_str(), own.stream.as_str(), own.received);
            let offsets = delivery.offset..delivery.offset + 1;
            tally.add(edge::OUT, line, (1, own.bytes, own.hash), delivery.partition, offsets);
            let end = self.ends.entry(delivery.partition).or_default();
            *end = (*end).max(delivery.offset + 1);
        }
        let deltas = tally.into_deltas(stage::REDRIVE, SENT_AGAIN);
        send_deltas(&mut self.producer, &self.service, &deltas, &mut Vec::new())?;
        self.producer.commit(None)?;
        self.pending.clear();
        self.n_bytes = 0;
        Ok(())
    }

    /// Waits until the parser has read all that was sent, then asks its state what is dead still.
    fn wait(&self, most: Duration) -> anyhow::Result<Outcome> {
        let start = Instant::now();
        let admin = Admin::open(&self.service.config.kafka)?;
        loop {
            let read = admin.committed(Parse::NAME, topics::REDRIVE)?;
            if self.ends.iter().all(|(partition, end)| read.get(partition).is_some_and(|next| next >= end)) {
                break;
            }
            if start.elapsed() >= most {
                return Ok(Outcome::TooLate);
            }
            std::thread::sleep(Duration::from_millis(100));
        }
        let table = parser_state(&self.service)?;
        let failed = self.sent.iter().filter(|(partition, offset)| is_owed(&table, *partition, *offset));
        Ok(Outcome::Judged { n_failed: failed.count() as i64 })
    }
}
