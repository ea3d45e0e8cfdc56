//! The one loop that runs any job: read, plan, and commit all effects of a batch in one Kafka transaction (I2).
#![warn(missing_docs)]

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

pub use error::{Class, Error};
pub use session::Session;
pub use transact::transact;
