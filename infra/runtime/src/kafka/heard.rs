//! What librdkafka says on its own account, at the level it deserves: it mends most of it itself.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use rdkafka::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::ConsumerContext;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};

/// Time between two warnings that no broker can be reached: every client of the process would give them, again and again.
const SAID_EVERY: Duration = Duration::from_secs(10);
/// A connection that failed longer ago is not why a call fails now.
const FRESH: Duration = Duration::from_secs(60);

/// A client that says no more than this.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Quiet;

impl ClientContext for Quiet {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        tell(level, facility, message);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        passing(&error, reason);
    }
}

impl ConsumerContext for Quiet {}

pub(crate) fn tell(level: RDKafkaLogLevel, facility: &str, message: &str) {
    if facility == "FAIL" {
        // `[thrd:…]: kafka-1:9092/bootstrap: Failed to resolve …`
        NO_CONNECTION.note(message.split_once("]: ").map_or(message, |(_, rest)| rest), Instant::now());
    }
    match level {
        RDKafkaLogLevel::Emerg | RDKafkaLogLevel::Alert | RDKafkaLogLevel::Critical => {
            tracing::error!(facility, message, "librdkafka reports");
        }
        RDKafkaLogLevel::Error
        | RDKafkaLogLevel::Warning
        | RDKafkaLogLevel::Notice
        | RDKafkaLogLevel::Info
        | RDKafkaLogLevel::Debug => tracing::debug!(facility, message, "librdkafka reports"),
    }
}

pub(crate) fn passing(error: &KafkaError, reason: &str) {
    match error.rdkafka_error_code() {
        // The end of a partition is no error, and comes with every poll of a reader.
        Some(RDKafkaErrorCode::PartitionEOF) => {}
        Some(RDKafkaErrorCode::AllBrokersDown) if NO_CONNECTION.is_due(Instant::now()) => {
            let reason = no_connection().unwrap_or_else(|| reason.to_owned());
            tracing::warn!(reason, "no broker can be reached, librdkafka keeps trying");
        }
        Some(RDKafkaErrorCode::AllBrokersDown) => {}
        _ => tracing::debug!(%error, reason, "librdkafka reports an error that it mends itself"),
    }
}

/// Why the last connection failed, if that was lately: what the call that waited for it does not say itself.
pub(super) fn no_connection() -> Option<String> {
    NO_CONNECTION.fresh(Instant::now())
}

static NO_CONNECTION: NoConnection = NoConnection { last: Mutex::new(None), said: Mutex::new(None) };

/// Of all clients of the process: they have the same brokers.
struct NoConnection {
    last: Mutex<Option<(String, Instant)>>,
    said: Mutex<Option<Instant>>,
}

impl NoConnection {
    fn note(&self, reason: &str, now: Instant) {
        *self.last.lock().unwrap_or_else(PoisonError::into_inner) = Some((reason.to_owned(), now));
    }

    fn fresh(&self, now: Instant) -> Option<String> {
        let last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        last.as_ref().filter(|(_, at)| now.duration_since(*at) <= FRESH).map(|(reason, _)| reason.clone())
    }

    fn is_due(&self, now: Instant) -> bool {
        let mut said = self.said.lock().unwrap_or_else(PoisonError::into_inner);
        let due = said.is_none_or(|said| now.duration_since(said) >= SAID_EVERY);
        if due {
            *said = Some(now);
        }
        due
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_reason_is_known_for_a_while_and_said_now_and_then() {
        let heard = NoConnection { last: Mutex::new(None), said: Mutex::new(None) };
        let start = Instant::now();
        assert_eq!(heard.fresh(start), None);
        heard.note("refused", start);
        heard.note("not resolved", start);
        assert_eq!(heard.fresh(start + FRESH).as_deref(), Some("not resolved"));
        assert_eq!(heard.fresh(start + FRESH + Duration::from_secs(1)), None);
        let due = [0, 9, 10, 19].map(|after| heard.is_due(start + Duration::from_secs(after)));
        assert_eq!(due, [true, false, true, false]);
    }
}
