//! One module a protocol: the bytes of a request in, items or the protocol's own refusals out. No I/O, no clock.

pub mod bulk;
pub mod loki;
pub mod native;
pub mod otlp;
pub mod splunk;
pub mod store;
pub mod syslog;
mod wire;
