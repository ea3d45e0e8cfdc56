//! What every promise needs: a broker and a registry, processes of the binary, lines, and the equality.

pub(crate) mod cluster;
pub(crate) mod containers;
pub(crate) mod equality;
pub(crate) mod http;
pub(crate) mod lines;
pub(crate) mod log;
pub(crate) mod markers;
pub(crate) mod process;
pub(crate) mod proxy;
pub(crate) mod relay;
pub(crate) mod scratch;
pub(crate) mod seed;
pub(crate) mod shared;
pub(crate) mod spawn;
pub(crate) mod tls;
pub(crate) mod tmpfs;
pub(crate) mod tools;
pub(crate) mod until;
pub(crate) mod world;

pub(crate) use equality::Source;
pub(crate) use lines::{Lines, Writer};
pub(crate) use process::Service;
pub(crate) use seed::Seed;
pub(crate) use until::until;
pub(crate) use world::World;
