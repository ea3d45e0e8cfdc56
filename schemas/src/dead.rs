//! Dead letters: the original bytes with typed headers.

use crate::id::valid_id;
use crate::ledger::edge;
use crate::raw::{Attributes, LineEnd, RawEvent};
use crate::topics;

/// Header beside those of [`DeadLetter`]: when the line was received, µs as decimal text. For a record that does not
/// decode it is when the broker appended it to the topic it was read from.
pub const RECEIVED: &str = "millrace-received";

/// Header of a letter whose line was sent again and failed again: where it lay in `logs.redrive`. Its line was stored with
/// its first letter.
pub const AGAIN: &str = "millrace-again";

/// Flag of an event that was a dead letter before, and reason code of what the index keeps in the letter's stead.
pub const REDRIVEN: &str = "redriven";

/// Reason code of a record that does not decode.
pub const UNDECODABLE: &str = "undecodable";

/// Reason code of a record that no stage of ours wrote: it lay in a topic that only our stages write.
pub const FOREIGN: &str = "foreign";

/// Generation of letters from `logs.parsed`: their offsets are not those of `logs.raw`, so the two must never meet in an
/// identity.
pub const FROM_PARSED: i32 = -1;
/// Generation of letters from `logs.dead`.
pub const FROM_DEAD: i32 = -2;
/// Generation of letters from anywhere else.
pub const FROM_ELSEWHERE: i32 = -3;
/// Generation under which the ledger counts what is sent again: its offsets are those of `logs.redrive`, and a line that was
/// dead and is parsed must not count twice in the raw topic's own generation.
pub const SENT_AGAIN: i32 = -4;

/// What stands for a record that does not decode, so that every stage counts it alike (I8): tenant as the key has it
/// (`-` if that is none), stream and host `-`, no position, and the whole value as body. `received` is the append time
/// of the record, which travels on as [`RECEIVED`].
pub fn undecodable<'a>(key: &'a [u8], value: &'a [u8], received: i64) -> RawEvent<'a> {
    let tenant = key.split(|byte| *byte == b'/').next().and_then(|part| std::str::from_utf8(part).ok());
    RawEvent {
        tenant: tenant.filter(|id| valid_id(id)).unwrap_or("-"),
        stream: "-",
        host: "-",
        file: None,
        file_id: None,
        attributes: Attributes::default(),
        received,
        position: None,
        line_end: LineEnd::None,
        piece: None,
        dedup: None,
        body: value,
    }
}

/// Why a record went to `logs.dead`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeadLetter {
    /// Topic it was read from.
    pub topic: String,
    /// Partition it was read from.
    pub partition: i32,
    /// Its offset there.
    pub offset: i64,
    /// Tenant, as far as it is known.
    pub tenant: String,
    /// Stream, as far as it is known.
    pub stream: String,
    /// Stage that refused it.
    pub stage: String,
    /// Reason code: `no_match`, `undecodable`, …
    pub reason: String,
    /// What exactly did not fit, for people.
    pub detail: String,
    /// Id of the parser.
    pub parser: String,
    /// Version of the parser.
    pub parser_version: i32,
}

/// A header is missing or not of its type.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("dead letter header {header} is missing or malformed")]
pub struct BadHeader {
    /// Name of the header.
    pub header: &'static str,
}

const PREFIX: &str = "millrace-";

impl DeadLetter {
    /// The letter for a record of `topic` that no stage of ours wrote; `detail` says how that was seen.
    pub fn foreign(
        topic: &str,
        (partition, offset): (i32, i64),
        tenant: &str,
        stage: &str,
        detail: String,
    ) -> Self {
        DeadLetter {
            topic: topic.to_owned(),
            partition,
            offset,
            tenant: tenant.to_owned(),
            stream: "-".to_owned(),
            stage: stage.to_owned(),
            reason: FOREIGN.to_owned(),
            detail,
            parser: "-".to_owned(),
            parser_version: 0,
        }
    }

    /// First part of its identity, before partition and offset: the raw topic's generation, and for letters from other
    /// topics a number below 0 for each.
    pub fn generation(&self) -> i32 {
        match self.topic.as_str() {
            topics::RAW => topics::GENERATION,
            topics::PARSED => FROM_PARSED,
            topics::DEAD => FROM_DEAD,
            _ => FROM_ELSEWHERE,
        }
    }

    /// The ledger's edge on which a sink that stores it counts it: lines of `logs.raw` are owed by `parse`, foreign records
    /// by the sink that wrote the letter. `None`: nobody counted it when it was written.
    pub fn stored_edge(&self) -> Option<&'static str> {
        match self.topic.as_str() {
            topics::RAW => Some(edge::DEAD),
            topics::PARSED | topics::DEAD if self.reason == FOREIGN => Some(edge::LETTER),
            _ => None,
        }
    }

    /// The headers, in a fixed order; numbers as decimal text, so that any tool shows them.
    pub fn headers(&self) -> [(&'static str, String); 10] {
        [
            ("millrace-topic", self.topic.clone()),
            ("millrace-partition", self.partition.to_string()),
            ("millrace-offset", self.offset.to_string()),
            ("millrace-tenant", self.tenant.clone()),
            ("millrace-stream", self.stream.clone()),
            ("millrace-stage", self.stage.clone()),
            ("millrace-reason", self.reason.clone()),
            ("millrace-detail", self.detail.clone()),
            ("millrace-parser", self.parser.clone()),
            ("millrace-parser-version", self.parser_version.to_string()),
        ]
    }

    /// Reads them back; `find` gives a header's value by name.
    ///
    /// # Errors
    /// [`BadHeader`] names the first header that is missing or malformed.
    pub fn from_headers<'h>(find: impl Fn(&str) -> Option<&'h [u8]>) -> Result<DeadLetter, BadHeader> {
        let text = |header: &'static str| {
            debug_assert!(header.starts_with(PREFIX));
            let bytes = find(header).ok_or(BadHeader { header })?;
            String::from_utf8(bytes.to_vec()).map_err(|_| BadHeader { header })
        };
        let number = |header: &'static str| text(header)?.parse::<i64>().map_err(|_| BadHeader { header });
        let int = |header: &'static str| i32::try_from(number(header)?).map_err(|_| BadHeader { header });
        Ok(DeadLetter {
            topic: text("millrace-topic")?,
            partition: int("millrace-partition")?,
            offset: number("millrace-offset")?,
            tenant: text("millrace-tenant")?,
            stream: text("millrace-stream")?,
            stage: text("millrace-stage")?,
            reason: text("millrace-reason")?,
            detail: text("millrace-detail")?,
            parser: text("millrace-parser")?,
            parser_version: int("millrace-parser-version")?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_survive_the_round_trip() {
        let letter = DeadLetter {
            topic: "logs.raw".into(),
            partition: 3,
            offset: 99,
            tenant: "default".into(),
            stream: "web".into(),
            stage: "parse".into(),
            reason: "no_match".into(),
            detail: "expected [ at byte 17".into(),
            parser: "apache".into(),
            parser_version: 2,
        };
        let headers = letter.headers();
        let find =
            |name: &str| headers.iter().find(|(own, _)| *own == name).map(|(_, value)| value.as_bytes());
        assert_eq!(DeadLetter::from_headers(find), Ok(letter.clone()));
        let without = |name: &str| if name == "millrace-offset" { None } else { find(name) };
        assert_eq!(DeadLetter::from_headers(without), Err(BadHeader { header: "millrace-offset" }));
    }
}
