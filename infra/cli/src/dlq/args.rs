//! Options of `millrace dlq`.

use clap::{Args, Subcommand};

use crate::args::{Format, Place};

/// What to do with dead letters.
#[derive(Debug, Subcommand)]
pub(crate) enum Dlq {
    /// List lines that are dead and not repaired, the newest first
    Ls(Ls),
    /// Show what logs.dead has of one line: every letter with its bytes
    Show(Show),
    /// Count lines that are dead and not repaired
    Count(Count),
    /// Send them again, through the parser that runs now; each is repaired once, however often it is sent
    Redrive(Redrive),
}

/// Which letters, and where they are.
#[derive(Debug, Args)]
pub(crate) struct Letters {
    /// Only letters with FIELD=VALUE, several joined by commas: tenant, stream, stage, reason, source, parser
    #[arg(long = "where", value_name = "FIELD=VALUE,…")]
    pub(crate) conditions: Vec<String>,
    /// How answers look
    #[arg(long, value_enum, default_value = "text")]
    pub(crate) format: Format,
    #[command(flatten)]
    pub(crate) place: Place,
}

#[derive(Debug, Args)]
pub(crate) struct Ls {
    /// How many to list; all are counted
    #[arg(long, default_value_t = 50)]
    pub(crate) limit: usize,
    #[command(flatten)]
    pub(crate) letters: Letters,
}

#[derive(Debug, Args)]
pub(crate) struct Show {
    /// PARTITION/OFFSET of the record that died, as `ls` has it
    pub(crate) id: String,
    /// How answers look
    #[arg(long, value_enum, default_value = "text")]
    pub(crate) format: Format,
    #[command(flatten)]
    pub(crate) place: Place,
}

#[derive(Debug, Args)]
pub(crate) struct Count {
    /// By what, joined by commas: tenant, stream, stage, reason, source, parser
    #[arg(long, default_value = "reason", value_delimiter = ',')]
    pub(crate) by: Vec<String>,
    #[command(flatten)]
    pub(crate) letters: Letters,
}

#[derive(Debug, Args)]
pub(crate) struct Redrive {
    /// Only say what would be sent
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Wait this long for the parser; exit code 1 when lines failed again
    #[arg(long, value_name = "TIME")]
    pub(crate) wait: Option<String>,
    #[command(flatten)]
    pub(crate) letters: Letters,
}
