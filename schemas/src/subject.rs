//! The registered schemas: one subject for each kind of value.

/// A kind of value that is registered under a name of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Subject {
    /// [`crate::RawEvent`]
    Raw,
    /// [`crate::Event`]
    Parsed,
    /// [`crate::ledger::Delta`]
    Ledger,
    /// [`crate::position::FilePosition`]
    Position,
    /// [`crate::manifest::ManifestRecord`]
    Manifest,
    /// [`crate::progress::Progress`]
    Progress,
    /// [`crate::control::ControlRecord`]
    Control,
    /// [`crate::attempt::BatchState`]
    Batches,
}

impl Subject {
    /// All of them.
    pub const ALL: [Subject; 8] = [
        Subject::Raw,
        Subject::Parsed,
        Subject::Ledger,
        Subject::Position,
        Subject::Manifest,
        Subject::Progress,
        Subject::Control,
        Subject::Batches,
    ];

    /// Folder under `schemas/avro`.
    pub fn folder(self) -> &'static str {
        match self {
            Subject::Raw => "logs.raw-value",
            Subject::Parsed => "logs.parsed-value",
            Subject::Ledger => "millrace.ledger-value",
            Subject::Position => "millrace.positions-value",
            Subject::Manifest => "millrace.manifest-value",
            Subject::Progress => "millrace.progress-value",
            Subject::Control => "millrace.control-value",
            Subject::Batches => "millrace.batches-value",
        }
    }

    /// Subjects in the registry: `<topic>-value` for each topic that carries such values.
    pub fn registered(self) -> &'static [&'static str] {
        match self {
            Subject::Raw => &["logs.raw-value", "logs.dead-value"],
            Subject::Parsed => &["logs.parsed-value"],
            Subject::Ledger => &["millrace.ledger-value", "millrace.ledger.folded-value"],
            Subject::Position => &["millrace.positions-value"],
            Subject::Manifest => &["millrace.splits-value", "millrace.files-value"],
            Subject::Progress => &["millrace.parse.state-value", "millrace.gateway.state-value"],
            Subject::Control => &["millrace.control-value"],
            Subject::Batches => &["millrace.batches-value"],
        }
    }

    /// Every version of the schema, oldest first.
    pub fn versions(self) -> &'static [&'static str] {
        match self {
            Subject::Raw => &[include_str!("../avro/logs.raw-value/v1.avsc")],
            Subject::Parsed => &[include_str!("../avro/logs.parsed-value/v1.avsc")],
            Subject::Ledger => &[include_str!("../avro/millrace.ledger-value/v1.avsc")],
            Subject::Position => &[
                include_str!("../avro/millrace.positions-value/v1.avsc"),
                include_str!("../avro/millrace.positions-value/v2.avsc"),
            ],
            Subject::Manifest => &[include_str!("../avro/millrace.manifest-value/v1.avsc")],
            Subject::Progress => &[include_str!("../avro/millrace.progress-value/v1.avsc")],
            Subject::Control => &[include_str!("../avro/millrace.control-value/v1.avsc")],
            Subject::Batches => &[include_str!("../avro/millrace.batches-value/v1.avsc")],
        }
    }

    /// The newest version.
    pub fn schema(self) -> &'static str {
        self.versions().last().copied().unwrap_or_default()
    }
}
