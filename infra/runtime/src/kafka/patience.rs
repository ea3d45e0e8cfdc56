//! Calls to a broker that may be away for a while: one that restarts is waited for, in one way everywhere.

use std::time::{Duration, Instant};

use rdkafka::error::{KafkaError, KafkaResult, RDKafkaErrorCode};

use super::heard::no_connection;
use super::{Error, Kafka};

/// How long a broker may be away before a call gives up.
const AWAY: Duration = Duration::from_secs(60);
/// Time between two warnings of one call.
const QUIET: Duration = Duration::from_secs(5);

/// Makes `call` until it is answered. `action` completes "could not …".
///
/// # Errors
/// *Exit*: `Refused` at once where waiting cannot help, `Unreachable` after a minute.
pub(super) fn patiently<T>(
    kafka: &Kafka,
    action: &str,
    mut call: impl FnMut() -> KafkaResult<T>,
) -> Result<T, Error> {
    let start = Instant::now();
    let mut said: Option<Instant> = None;
    loop {
        match call() {
            Ok(answer) => return Ok(answer),
            Err(source) if is_denied(&source) => {
                return Err(Error::Refused { action: action.to_owned(), source });
            }
            Err(source) if start.elapsed() > AWAY => {
                return Err(unreachable(kafka, action, &source.to_string()));
            }
            Err(source) => {
                if said.is_none_or(|at| at.elapsed() >= QUIET) {
                    tracing::warn!(action, %source, "broker did not answer, trying again");
                    said = Some(Instant::now());
                }
                std::thread::sleep(Duration::from_millis(200));
            }
        }
    }
}

/// No waiting changes these: the broker says no, or our own client is being closed.
fn is_denied(error: &KafkaError) -> bool {
    matches!(
        error.rdkafka_error_code(),
        Some(
            RDKafkaErrorCode::Authentication
                | RDKafkaErrorCode::SaslAuthenticationFailed
                | RDKafkaErrorCode::ClusterAuthorizationFailed
                | RDKafkaErrorCode::GroupAuthorizationFailed
                | RDKafkaErrorCode::TopicAuthorizationFailed
                | RDKafkaErrorCode::UnsupportedSASLMechanism
                | RDKafkaErrorCode::BrokerDestroy
        )
    )
}

pub(super) fn unreachable(kafka: &Kafka, action: &str, reason: &str) -> Error {
    let reason = match no_connection() {
        Some(cause) => format!("{reason}: {cause}"),
        None => reason.to_owned(),
    };
    Error::Unreachable { action: action.to_owned(), brokers: kafka.brokers.clone(), reason }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_that_is_being_closed_is_not_waited_for() {
        let closed = KafkaError::MetadataFetch(RDKafkaErrorCode::BrokerDestroy);
        assert!(is_denied(&closed));
        assert!(!is_denied(&KafkaError::MetadataFetch(RDKafkaErrorCode::BrokerTransportFailure)));
    }
}
