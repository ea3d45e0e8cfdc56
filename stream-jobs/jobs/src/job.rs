//! The port: what a stream job is.

use std::borrow::Cow;

use millrace_schemas::ledger::edge;

use crate::batch::Record;
use crate::effects::Effects;
use crate::table::{Change, State, Writes};

/// A stream job: one pure function from a record and the state of its partition to effects.
pub trait Job {
    /// Names the consumer group, the changelog, the stage of the ledger and the metric label. Renaming it abandons the
    /// job's state.
    const NAME: &'static str;

    /// Topics it reads, co-partitioned. [`Record::input`] counts them.
    fn inputs(&self) -> Vec<String>;

    /// Topics it writes. [`Effects::emit`] counts them.
    fn outputs(&self) -> Vec<String>;

    /// Answers one record with effects. `Err` dead-letters this record, which then changes nothing.
    ///
    /// # Errors
    /// [`Reject`]: this record can never succeed.
    fn process(
        &self,
        record: &Record<'_>,
        state: &State<'_>,
        out: &mut Effects<'_>,
    ) -> Result<Verdict, Reject>;

    /// Tidies the state of a partition, once after each batch that touched it. Must not alter any later answer, since
    /// how records are cut into batches may not change outputs (I3).
    fn advance(&self, _state: &State<'_>, _partition: i32, _writes: &mut Writes) {}

    /// What the state keeps of a record that was rejected: all else it may have done counts no more.
    fn buried(&self, _record: &Record<'_>, _state: &State<'_>) -> Vec<Change> {
        Vec::new()
    }

    /// Generation that records of input `input` are counted under whose origin cannot be read.
    fn generation(&self, _input: usize) -> i32 {
        1
    }

    /// Version of the job's configuration, written beside its next offsets.
    fn version(&self) -> i32 {
        1
    }

    /// Whether values with this registry id can be decoded. The runner asks before planning.
    fn knows(&self, _schema_id: u32) -> bool {
        true
    }

    /// Makes values with this registry id readable. A text that makes no sense leaves them undecodable.
    fn learn(&mut self, _schema_id: u32, _schema: &str) {}
}

/// How a record ended that was not rejected (I1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It gave its outputs.
    Out,
    /// A rule drops it.
    Filtered,
    /// It was seen before.
    Duplicate,
    /// A later attempt takes its place.
    Superseded,
}

impl Verdict {
    /// Edge of the ledger that it is counted on.
    pub fn edge(self) -> &'static str {
        match self {
            Verdict::Out => edge::OUT,
            Verdict::Filtered => edge::FILTERED,
            Verdict::Duplicate => edge::DUPLICATE,
            Verdict::Superseded => edge::SUPERSEDED,
        }
    }
}

/// Reason codes of dead letters.
pub mod reason {
    /// The value is not what the topic carries.
    pub const UNDECODABLE: &str = millrace_schemas::dead::UNDECODABLE;
    /// The line does not have the format of its stream.
    pub const NO_MATCH: &str = "no_match";
    /// A pattern takes too many steps on the line.
    pub const TOO_COMPLEX: &str = "too_complex";
    /// An output or a state cell would be larger than its topic takes.
    pub const TOO_LARGE: &str = "too_large";
}

/// Why a record can never succeed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reject {
    /// Reason code, see [`reason`].
    pub code: &'static str,
    /// What exactly did not fit, for people; at most [`Reject::MAX_DETAIL`] bytes.
    pub detail: String,
    /// Parser that refused it; empty where none came so far.
    pub parser: Cow<'static, str>,
    /// Version of the parser.
    pub parser_version: i32,
}

impl Reject {
    /// Longer details are cut.
    pub const MAX_DETAIL: usize = 512;

    /// A rejection by no parser in particular.
    pub fn new(code: &'static str, detail: impl Into<String>) -> Reject {
        let mut detail = detail.into();
        detail.truncate(detail.floor_char_boundary(Reject::MAX_DETAIL));
        Reject { code, detail, parser: Cow::Borrowed(""), parser_version: 0 }
    }

    /// Names the parser.
    #[must_use]
    pub fn by(mut self, parser: impl Into<Cow<'static, str>>, version: i32) -> Reject {
        self.parser = parser.into();
        self.parser_version = version;
        self
    }
}
