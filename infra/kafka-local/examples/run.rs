//! Runs a broker and a registry below a folder until the input ends: `cargo run --example run -- DIR`.

use std::env;
use std::io::{self, Read};
use std::path::PathBuf;
use std::time::Instant;

use millrace_kafka_local::{Broker, BrokerOptions, Error, Jars, Registry, RegistryOptions};

fn main() -> Result<(), Error> {
    let dir = PathBuf::from(env::args_os().nth(1).unwrap_or_else(|| "kafka-local-data".into()));
    let start = Instant::now();
    let jars = Jars::fetch(&mut |line| eprintln!("{line}"))?;
    eprintln!("jars ready after {:.1?}", start.elapsed());
    let start = Instant::now();
    let broker = Broker::start(&jars, BrokerOptions::new(dir.join("kafka"), dir.join("log")))?;
    println!("kafka {} process {} after {:.1?}", broker.address(), broker.pid(), start.elapsed());
    let start = Instant::now();
    let registry = Registry::start(&jars, RegistryOptions::new(dir.join("registry"), dir.join("log")))?;
    println!("registry {} process {} after {:.1?}", registry.url(), registry.pid(), start.elapsed());
    if let Err(error) = io::stdin().read_to_end(&mut Vec::new()) {
        eprintln!("could not read the input: {error}");
    }
    Ok(())
}
