//! Options of `millrace stream`.

use clap::{Args, Subcommand};

use super::{Format, OfTenant, Place};

/// Lines need no record of their stream: it says what reads those of one tenant, and that keys which make no streams may write.
#[derive(Debug, Subcommand)]
pub(crate) enum Streams {
    /// Make a stream
    Create(StreamMake),
    /// List the streams that were made, and what reads each
    Ls(OfTenant),
    /// Show a stream
    Show(StreamShow),
    /// Change a stream: what is not named stays
    Set(StreamSet),
    /// Forget a stream; its lines stay, and what comes is read as if it had not been made
    Rm(StreamRm),
}

/// Which stream.
#[derive(Debug, Args)]
pub(crate) struct StreamOf {
    /// Its name
    pub(crate) name: String,
    /// Whose it is
    #[arg(long, value_name = "ID", default_value = "default")]
    pub(crate) tenant: String,
}

impl StreamOf {
    pub(crate) fn id(&self) -> (&str, &str) {
        (&self.tenant, &self.name)
    }
}

#[derive(Debug, Args)]
pub(crate) struct StreamMake {
    #[command(flatten)]
    pub(crate) stream: StreamOf,
    /// Source or format that reads it, whatever else reads streams of its name
    #[arg(long, value_name = "NAME")]
    pub(crate) source: Option<String>,
    /// What it is for
    #[arg(long, value_name = "TEXT")]
    pub(crate) note: Option<String>,
    /// Only check
    #[arg(long)]
    pub(crate) dry_run: bool,
    #[command(flatten)]
    pub(crate) place: Place,
}

#[derive(Debug, Args)]
pub(crate) struct StreamSet {
    #[command(flatten)]
    pub(crate) stream: StreamOf,
    /// Source or format that reads it from now on
    #[arg(long, value_name = "NAME")]
    pub(crate) source: Option<String>,
    /// It is read as all streams of its name are
    #[arg(long, conflicts_with = "source")]
    pub(crate) no_source: bool,
    /// What it is for; "" for nothing
    #[arg(long, value_name = "TEXT")]
    pub(crate) note: Option<String>,
    /// Only check
    #[arg(long)]
    pub(crate) dry_run: bool,
    #[command(flatten)]
    pub(crate) place: Place,
}

#[derive(Debug, Args)]
pub(crate) struct StreamShow {
    #[command(flatten)]
    pub(crate) stream: StreamOf,
    #[arg(long, value_enum, default_value = "text")]
    pub(crate) format: Format,
    #[command(flatten)]
    pub(crate) place: Place,
}

#[derive(Debug, Args)]
pub(crate) struct StreamRm {
    #[command(flatten)]
    pub(crate) stream: StreamOf,
    #[command(flatten)]
    pub(crate) place: Place,
}
