//! How any process of millrace reads its configuration, talks to Kafka, the registry and the store, logs, measures and
//! stops.
#![warn(missing_docs)]

pub mod batches;
pub mod config;
pub mod flow;
pub mod folder;
pub mod follow;
pub mod http;
pub mod kafka;
pub mod keeper;
pub mod keys;
pub mod log;
pub mod memory;
pub mod metrics;
pub mod ops;
pub mod owner;
pub mod registry;
pub mod service;
pub mod sink;
pub mod stop;
pub mod store;
