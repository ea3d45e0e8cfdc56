//! The house rules that no compiler knows: edges between crates, licences, texts, docs, configurations.
//!
//! Each test reads the checkout and names every offence with its place. What it needs besides: `cargo metadata`, `git`,
//! and for the compose file the binary `millrace`, which `make check` and `make test` build first.
#![allow(clippy::unwrap_used, clippy::expect_used)]

#[path = "tidy/bill.rs"]
mod bill;
#[path = "tidy/checkout.rs"]
mod checkout;
#[path = "tidy/compose.rs"]
mod compose;
#[path = "tidy/config.rs"]
mod config;
#[path = "tidy/docs.rs"]
mod docs;
#[path = "tidy/edges.rs"]
mod edges;
#[path = "tidy/fuzz.rs"]
mod fuzz;
#[path = "tidy/licence.rs"]
mod licence;
#[path = "tidy/text.rs"]
mod text;
