//! Takes lines from the network and answers when they are committed in Kafka (I11); a relay, when they are on its disk.
//!
//! `protocol`, `item`, `encoding` and `api` are pure: bytes of a request in, items and answers out. The rest carries:
//! listeners, the committing thread, and what they share.
#![warn(missing_docs)]

mod access;
pub mod api;
mod attempts;
mod batch;
mod budget;
mod commit;
pub mod encoding;
#[cfg(test)]
mod fuzz;
mod group;
mod grpc;
pub mod item;
mod json;
mod lines;
mod patient;
mod places;
mod prepare;
pub mod protocol;
mod proxy;
pub mod quota;
mod recent;
mod run;
mod server;
mod shared;
mod spooled;
mod syslog;
mod take;
#[cfg(any(test, feature = "fuzz"))]
pub mod targets;
mod tls;
mod waiting;

pub use run::{Relay, relay, run};
