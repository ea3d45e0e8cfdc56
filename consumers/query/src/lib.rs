//! Reading what is stored: search over the index, files rebuilt from the archive, and the server in front of them.
#![warn(missing_docs)]

mod admin;
pub mod cat;
mod missing;
pub mod search;
pub mod server;
pub mod store_log;
pub mod superseded;

pub use missing::Missing;
