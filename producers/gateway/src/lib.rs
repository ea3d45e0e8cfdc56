//! Takes lines from the network: what every protocol's requests hold, without any I/O.
#![warn(missing_docs)]

pub mod api;
pub mod encoding;
pub mod item;
mod json;
mod lines;
pub mod protocol;
