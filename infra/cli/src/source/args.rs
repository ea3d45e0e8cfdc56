//! Options of `millrace source`.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use crate::args::{Format, Place};

/// What to do with sources.
#[derive(Debug, Subcommand)]
pub(crate) enum Sources {
    /// List the sources that are set, and those of the configuration's files
    Ls(Ls),
    /// Show a source as it was set
    Show(Show),
    /// Set the sources of a file, once their own examples hold; the parse job takes them up without a restart
    Set(Set),
    /// Remove a source that was set; one of the same name in the configuration's files reads again
    Rm(Rm),
}

#[derive(Debug, Args)]
pub(crate) struct Ls {
    #[arg(long, value_enum, default_value = "text")]
    pub(crate) format: Format,
    #[command(flatten)]
    pub(crate) place: Place,
}

#[derive(Debug, Args)]
pub(crate) struct Show {
    /// Its name
    pub(crate) name: String,
    #[arg(long, value_enum, default_value = "text")]
    pub(crate) format: Format,
    #[command(flatten)]
    pub(crate) place: Place,
}

#[derive(Debug, Args)]
pub(crate) struct Set {
    /// File of sources
    #[arg(value_name = "FILE")]
    pub(crate) file: PathBuf,
    /// Only check
    #[arg(long)]
    pub(crate) dry_run: bool,
    #[command(flatten)]
    pub(crate) place: Place,
}

#[derive(Debug, Args)]
pub(crate) struct Rm {
    /// Its name
    pub(crate) name: String,
    #[command(flatten)]
    pub(crate) place: Place,
}
