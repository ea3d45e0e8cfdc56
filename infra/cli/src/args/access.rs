//! Tenants, their quotas, and keys.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::{Format, OfTenant, Place};

#[derive(Debug, Subcommand)]
pub(crate) enum Tenant {
    /// Make a tenant
    Create(TenantCreate),
    /// List tenants
    Ls(TenantLs),
    /// Show or set what a tenant may send
    Quota(TenantQuota),
}

#[derive(Debug, Args)]
pub(crate) struct TenantCreate {
    /// Its id: 1 to 64 of a-z, 0-9 and '-'
    pub(crate) id: String,
    #[command(flatten)]
    pub(crate) place: Place,
}

#[derive(Debug, Args)]
pub(crate) struct TenantLs {
    #[arg(long, value_enum, default_value = "text")]
    pub(crate) format: Format,
    #[command(flatten)]
    pub(crate) place: Place,
}

/// With bounds: those named hold from now on, at every gateway, and no others. Without: shows them.
#[derive(Debug, Args)]
pub(crate) struct TenantQuota {
    /// Its id
    pub(crate) id: String,
    #[command(flatten)]
    pub(crate) bounds: QuotaBounds,
    /// Forget the bounds: those of the gateways' configuration hold again
    #[arg(long, conflicts_with = "bound")]
    pub(crate) clear: bool,
    #[arg(long, value_enum, default_value = "text")]
    pub(crate) format: Format,
    #[command(flatten)]
    pub(crate) place: Place,
}

#[derive(Debug, Args)]
#[group(id = "bound", multiple = true)]
pub(crate) struct QuotaBounds {
    /// Bytes of lines
    #[arg(long, value_name = "N")]
    pub(crate) bytes_per_second: Option<u64>,
    /// Bytes at once after a pause [default: those of ten seconds]
    #[arg(long, value_name = "N")]
    pub(crate) burst_bytes: Option<u64>,
    /// Lines
    #[arg(long, value_name = "N")]
    pub(crate) events_per_second: Option<u64>,
    /// Lines at once after a pause [default: those of ten seconds]
    #[arg(long, value_name = "N")]
    pub(crate) burst_events: Option<u64>,
    /// Requests that are taken at once
    #[arg(long, value_name = "N")]
    pub(crate) concurrent_requests: Option<u64>,
    /// Largest body of a request
    #[arg(long, value_name = "N")]
    pub(crate) max_body_bytes: Option<u64>,
    /// Longest line
    #[arg(long, value_name = "N")]
    pub(crate) max_line_bytes: Option<u64>,
    /// Streams that are written to within a day
    #[arg(long, value_name = "N")]
    pub(crate) max_streams: Option<u64>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Key {
    /// Make a key; it is shown this once
    Create(KeyCreate),
    /// List keys, without their secrets
    Ls(OfTenant),
    /// Revoke a key: within a second it opens nothing
    Revoke(KeyRevoke),
}

#[derive(Debug, Args)]
pub(crate) struct KeyCreate {
    /// Whose it is
    #[arg(long, value_name = "ID")]
    pub(crate) tenant: String,
    /// What it allows; may be given several times
    #[arg(long = "role", value_name = "ROLE", required = true, value_parser = ["ingest", "read", "admin"])]
    pub(crate) roles: Vec<String>,
    /// Which streams it may write to: any, which makes them, or existing ones, that `millrace stream create` made
    #[arg(long, value_name = "WHICH", default_value = "any", value_parser = ["any", "existing"])]
    pub(crate) streams: String,
    /// How long it is valid: 90d. Without: until it is revoked
    #[arg(long, value_name = "SPAN")]
    pub(crate) expires: Option<String>,
    /// What it is for
    #[arg(long, value_name = "TEXT")]
    pub(crate) note: Option<String>,
    /// Configuration of a relay: the key is added there, and to nothing else
    #[arg(long, value_name = "FILE")]
    pub(crate) relay: Option<PathBuf>,
    /// Print it as an entry of a seed, and the key to standard error; nothing is written
    #[arg(long, conflicts_with = "relay")]
    pub(crate) print_seed: bool,
    #[arg(long, value_enum, default_value = "text")]
    pub(crate) format: Format,
    #[command(flatten)]
    pub(crate) place: Place,
}

#[derive(Debug, Args)]
pub(crate) struct KeyRevoke {
    /// Its id: the part between the underscores
    pub(crate) id: String,
    #[command(flatten)]
    pub(crate) place: Place,
}
