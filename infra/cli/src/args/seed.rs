//! Options of `millrace seed`.

use std::path::PathBuf;

use clap::Args;

use super::{Format, Place};

/// What is not there is made, all in one transaction; what is there and differs stays; nothing is removed. Exit code 1 when
/// something differs and stays.
#[derive(Debug, Args)]
pub(crate) struct Seed {
    /// The file
    #[arg(value_name = "FILE")]
    pub(crate) file: PathBuf,
    /// Change what differs to what the file says
    #[arg(long)]
    pub(crate) overwrite: bool,
    /// Only show what would become of each entry
    #[arg(long)]
    pub(crate) dry_run: bool,
    #[arg(long, value_enum, default_value = "text")]
    pub(crate) format: Format,
    #[command(flatten)]
    pub(crate) place: Place,
}
