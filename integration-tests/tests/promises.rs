//! What millrace promises, proven against a real Kafka and a real schema registry with the real binary: a module per
//! promise. A test that needs Kafka fails where it cannot be started; it is never skipped.
//!
//! Knobs: `SEED` repeats a run, `MINUTES` makes the kill tests longer (`make soak`), `MILLRACE_BIN` names the binary,
//! `MILLRACE_TEST_BROKERS` with `MILLRACE_TEST_REGISTRY` an address that is given, `MILLRACE_TEST_PROVIDER` one of
//! `children`, `containers`. Containers need the command `docker` or `podman`; with podman, `DOCKER_HOST` names its socket.
#![allow(clippy::unwrap_used, clippy::expect_used)]

#[path = "promises/admin.rs"]
mod admin;
#[path = "promises/bad_input.rs"]
mod bad_input;
#[path = "promises/batches.rs"]
mod batches;
#[path = "promises/damaged_objects.rs"]
mod damaged_objects;
#[path = "promises/feeds.rs"]
mod feeds;
#[path = "promises/gateway.rs"]
mod gateway;
#[path = "promises/grpc.rs"]
mod grpc;
#[path = "promises/harness/mod.rs"]
mod harness;
#[path = "promises/keys.rs"]
mod keys;
#[path = "promises/kill.rs"]
mod kill;
#[path = "promises/late_end_txn.rs"]
mod late_end_txn;
#[path = "promises/ledger_folding.rs"]
mod ledger_folding;
#[path = "promises/load.rs"]
mod load;
#[path = "promises/others_read_us.rs"]
mod others_read_us;
#[path = "promises/partitions.rs"]
mod partitions;
#[path = "promises/rebalance.rs"]
mod rebalance;
#[path = "promises/redrive.rs"]
mod redrive;
#[path = "promises/refuse_to_start.rs"]
mod refuse_to_start;
#[path = "promises/refused_record.rs"]
mod refused_record;
#[path = "promises/relay_chain.rs"]
mod relay_chain;
#[path = "promises/relay_site.rs"]
mod relay_site;
#[path = "promises/relay_syslog.rs"]
mod relay_syslog;
#[path = "promises/relays.rs"]
mod relays;
#[path = "promises/restore.rs"]
mod restore;
#[path = "promises/rotation.rs"]
mod rotation;
#[path = "promises/s3_faults.rs"]
mod s3_faults;
#[path = "promises/seeds.rs"]
mod seeds;
#[path = "promises/senders.rs"]
mod senders;
#[path = "promises/session_conformance.rs"]
mod session_conformance;
#[path = "promises/stalls.rs"]
mod stalls;
#[path = "promises/store_faults.rs"]
mod store_faults;
#[path = "promises/streams.rs"]
mod streams;
#[path = "promises/tls.rs"]
mod tls;
