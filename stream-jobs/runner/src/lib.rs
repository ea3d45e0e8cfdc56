//! The one loop that runs any job: read, plan, and commit all effects of a batch in one Kafka transaction (I2).
#![warn(missing_docs)]

#[cfg(any(test, feature = "conformance"))]
pub mod conformance;
mod error;
pub mod kafka;
mod session;
mod transact;

#[cfg(test)]
mod scripted;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod tests_classes;
#[cfg(test)]
mod tests_conformance;

pub use error::{Class, Error};
pub use session::{Session, Turn};
pub use transact::{transact, transact_renewed};
