//! Errors by what happens next.

use std::time::Duration;

use rdkafka::error::{KafkaError, RDKafkaErrorCode};

use super::TRANSACTION;

/// What happens next after an error (design: *Reject* is no error, *Retry* has been done by the runtime already).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Class {
    /// The transaction is void, the process well: abort, rewind.
    Abort,
    /// A doubtful transaction, or someone else owns the work: new producer, drop state, join anew.
    Rejoin,
    /// Bug, wrong configuration, broken invariant: one clear line, non-zero exit.
    Exit,
}

/// A call to Kafka that did not do what was asked.
#[derive(Debug, Clone, thiserror::Error)]
pub enum Error {
    /// A transactional call got no answer in time; whether it took effect is not known.
    #[error("{action} got no answer in time: {source}")]
    TimedOut {
        /// Call.
        action: &'static str,
        /// What rdkafka said.
        source: KafkaError,
    },
    /// The transaction cannot commit.
    #[error("could not {action}: {source}")]
    Void {
        /// Call.
        action: &'static str,
        /// What rdkafka said.
        source: KafkaError,
    },
    /// Someone else holds our transactional id or group instance id, or the client is broken beyond use.
    #[error("could not {action}: replaced by another process or given up by the broker: {source}")]
    Fenced {
        /// Call.
        action: &'static str,
        /// What rdkafka said.
        source: KafkaError,
    },
    /// The broker ended a transaction that stood open for too long, and fenced its producer.
    #[error("could not {action}: the broker had ended the transaction, which stood open for {} s: {source}", .open.as_secs())]
    Overran {
        /// Call.
        action: &'static str,
        /// For how long.
        open: Duration,
        /// What rdkafka said.
        source: KafkaError,
    },
    /// Another live process uses the same instance id.
    #[error("another process runs as {instance}; stop it, or start this one with another --instance")]
    Taken {
        /// Instance id.
        instance: String,
    },
    /// Any other refusal.
    #[error("could not {action}: {source}")]
    Refused {
        /// Call, and on what.
        action: String,
        /// What rdkafka said.
        source: KafkaError,
    },
    /// The broker is not there or does not answer.
    #[error(
        "could not {action} at {brokers}: {reason}; check kafka.brokers and that the broker runs (`millrace doctor`)"
    )]
    Unreachable {
        /// Call.
        action: String,
        /// Addresses.
        brokers: String,
        /// What was last heard.
        reason: String,
    },
    /// Data that should be there is not, or does not decode.
    #[error("{0}")]
    Broken(String),
}

impl Error {
    /// What happens next.
    pub fn class(&self) -> Class {
        match self {
            // A broker that is away is waited for by joining anew; only the start gives up after a while.
            Error::TimedOut { .. }
            | Error::Fenced { .. }
            | Error::Overran { .. }
            | Error::Unreachable { .. } => Class::Rejoin,
            Error::Void { .. } => Class::Abort,
            Error::Taken { .. } | Error::Refused { .. } | Error::Broken(_) => Class::Exit,
        }
    }

    /// Whether a read failed since the records at its offset were deleted meanwhile.
    pub fn records_gone(&self) -> bool {
        let Error::Refused { source, .. } = self else { return false };
        let code = source.rdkafka_error_code();
        matches!(code, Some(RDKafkaErrorCode::OffsetOutOfRange | RDKafkaErrorCode::AutoOffsetReset))
    }

    /// Whether the broker refused a record for what it is: the same one will be refused again, others will not.
    pub fn refuses_record(&self) -> bool {
        let (Error::Refused { source, .. } | Error::Void { source, .. }) = self else { return false };
        matches!(
            source.rdkafka_error_code(),
            Some(
                RDKafkaErrorCode::MessageSizeTooLarge
                    | RDKafkaErrorCode::InvalidMessage
                    | RDKafkaErrorCode::InvalidRecord
            )
        )
    }

    /// Nobody else need have fenced a producer whose transaction stood `open` for longer than the broker lets one.
    pub(crate) fn after(self, open: Duration) -> Error {
        match self {
            Error::Fenced { action, source } if open >= TRANSACTION => {
                Error::Overran { action, open, source }
            }
            other => other,
        }
    }

    /// Classes an error of a transactional call. A time-out comes first: nothing is known then.
    pub(crate) fn transactional(action: &'static str, source: KafkaError) -> Error {
        let code = source.rdkafka_error_code();
        if matches!(code, Some(RDKafkaErrorCode::OperationTimedOut | RDKafkaErrorCode::RequestTimedOut)) {
            return Error::TimedOut { action, source };
        }
        if let KafkaError::Transaction(error) = &source {
            if error.is_fatal() {
                return Error::Fenced { action, source };
            }
            if error.txn_requires_abort() {
                return Error::Void { action, source };
            }
            if error.is_retriable() {
                // A conflict with an operation of ours that is still running: the same doubt as a time-out.
                return Error::TimedOut { action, source };
            }
        }
        match code {
            Some(code) if fenced(code) => Error::Fenced { action, source },
            Some(
                RDKafkaErrorCode::IllegalGeneration
                | RDKafkaErrorCode::UnknownMemberId
                | RDKafkaErrorCode::RebalanceInProgress
                | RDKafkaErrorCode::PurgeQueue
                | RDKafkaErrorCode::PurgeInflight
                | RDKafkaErrorCode::MessageTimedOut
                | RDKafkaErrorCode::NotEnoughReplicas
                | RDKafkaErrorCode::NotEnoughReplicasAfterAppend,
            ) => Error::Void { action, source },
            // State: a call that does not fit after an earlier failure; a new producer ends the confusion.
            Some(RDKafkaErrorCode::State) => Error::Fenced { action, source },
            Some(_) | None => Error::Refused { action: action.to_owned(), source },
        }
    }

    /// Classes an error of the consumer's poll.
    pub(crate) fn polling(instance: &str, source: KafkaError) -> Option<Error> {
        let code = source.rdkafka_error_code()?;
        match code {
            // Also by itself: a join that the broker took before it died comes again, and fences the first. Whether it is
            // another process shows when it happens again.
            RDKafkaErrorCode::FencedInstanceId | RDKafkaErrorCode::Fatal | RDKafkaErrorCode::PollExceeded => {
                Some(Error::Fenced { action: "poll", source })
            }
            RDKafkaErrorCode::UnknownTopicOrPartition
            | RDKafkaErrorCode::UnknownTopic
            | RDKafkaErrorCode::TopicAuthorizationFailed
            | RDKafkaErrorCode::GroupAuthorizationFailed => {
                Some(Error::Refused { action: format!("read as {instance}"), source })
            }
            RDKafkaErrorCode::OffsetOutOfRange | RDKafkaErrorCode::AutoOffsetReset => {
                let action = format!(
                    "go on as {instance}: the records that are next are gone, since a topic was made anew or records were deleted by hand; the next start names the topic"
                );
                Some(Error::Refused { action, source })
            }
            // Everything else librdkafka mends itself: brokers that come and go, time-outs, leader changes.
            _ => None,
        }
    }
}

fn fenced(code: RDKafkaErrorCode) -> bool {
    matches!(
        code,
        RDKafkaErrorCode::Fenced
            | RDKafkaErrorCode::ProducerFenced
            | RDKafkaErrorCode::InvalidProducerEpoch
            | RDKafkaErrorCode::InvalidProducerIdMapping
            | RDKafkaErrorCode::UnknownProducerId
            | RDKafkaErrorCode::FencedInstanceId
            | RDKafkaErrorCode::Fatal
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_producer_that_was_fenced_since_it_was_too_slow_has_no_rival() {
        let fenced = || {
            let source = KafkaError::MessageProduction(RDKafkaErrorCode::InvalidProducerEpoch);
            Error::transactional("deliver", source)
        };
        assert!(matches!(fenced().after(Duration::from_secs(9)), Error::Fenced { .. }));
        let overran = fenced().after(Duration::from_secs(12));
        assert!(matches!(overran, Error::Overran { .. }), "{overran}");
        assert_eq!(overran.class(), Class::Rejoin);
    }
}
