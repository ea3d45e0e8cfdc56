//! Runs a real Apache Kafka (KRaft, one node) and a real Apicurio Registry as child processes.
//!
//! `millrace up`, the tests and the benches share it. It must not know what the topics hold, and it talks to the
//! broker only to ask whether it answers.
//!
//! *Owns*: a cache folder with the jars that the embedded `pom.xml` pins ([`Jars`]), and the two children with their
//! data and log folders ([`Broker`], [`Registry`]). Jars are fetched by Maven once per version of the pom, into
//! `$MILLRACE_CACHE/kafka-local/<hash>` (default `$XDG_CACHE_HOME/millrace` or `~/.cache/millrace`), under a file
//! lock, and appear there by one rename.
//!
//! *Blocks*: every call blocks. [`Jars::fetch`] waits for Maven (and for another process that is fetching);
//! [`Broker::start`] and [`Registry::start`] until the child answers a real request, it exits, or the deadline
//! passes; `stop` and `Drop` until the child has gone. Call them from a thread of their own when async code runs.
//!
//! *Fails how*: each [`Error`] says what was tried, on what, why it did not work, and what to do. Nothing is retried
//! inside. A child that fails to start leaves no process behind and its log file in place.
//!
//! *Lifetime of the children*: they end on `stop` and on `Drop`, and the kernel kills them when this process dies in
//! any other way, SIGKILL included. They have a process group of their own, so Ctrl-C in a terminal reaches only the
//! parent, which can then drain its services before it stops the broker.

mod archive;
mod broker;
mod child;
mod error;
mod jars;
mod ports;
mod probe;
mod programs;
mod registry;
mod storage;

pub use broker::{Broker, BrokerOptions, SETTINGS};
pub use child::{mortal, spawn};
pub use error::Error;
pub use jars::{FetchOptions, Jars};
pub use ports::free_port;
pub use registry::{Registry, RegistryOptions};
