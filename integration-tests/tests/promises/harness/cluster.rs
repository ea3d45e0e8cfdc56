//! The one place that gives a broker and a registry: an address that is given, child processes, or containers.

use std::path::Path;
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

use millrace_kafka_local::{Broker, BrokerOptions, Jars, Registry, RegistryOptions};

use super::containers::{self, Boxed};
use super::{scratch, shared};

/// A cluster that is a test's own for as long as this value lives.
pub(crate) struct Cluster {
    /// Where clients connect.
    pub(crate) brokers: String,
    /// Base of the registry's Confluent-compatible API.
    pub(crate) registry: String,
    kafka: Kafka,
    direct: Option<String>,
}

enum Kafka {
    /// One for all: whoever has it, has it alone, and its topics are made anew.
    Given {
        _turn: MutexGuard<'static, ()>,
    },
    /// A child that serves another test afterwards; there until this is dropped.
    Shared(Option<Box<Broker>>),
    Child(Box<Broker>),
    /// As `Shared`, in a container.
    Boxed(Option<Box<Boxed>>),
}

enum Provider {
    Given { brokers: String, registry: String },
    Children,
    Containers,
}

fn provider() -> Provider {
    let set = |name| std::env::var(name).ok().filter(|value: &String| !value.is_empty());
    if let Some(brokers) = set("MILLRACE_TEST_BROKERS") {
        let registry =
            set("MILLRACE_TEST_REGISTRY").expect("MILLRACE_TEST_BROKERS goes with MILLRACE_TEST_REGISTRY");
        return Provider::Given { brokers, registry };
    }
    match set("MILLRACE_TEST_PROVIDER").as_deref() {
        Some("children") => Provider::Children,
        Some("containers") => Provider::Containers,
        Some(other) => panic!("MILLRACE_TEST_PROVIDER={other} is neither `children` nor `containers`"),
        None if jars().is_ok() || !engine_answers() => Provider::Children,
        None => Provider::Containers,
    }
}

fn jars() -> Result<&'static Jars, String> {
    static JARS: OnceLock<Result<Jars, String>> = OnceLock::new();
    let jars =
        JARS.get_or_init(|| Jars::fetch(&mut |line| println!("{line}")).map_err(|error| error.to_string()));
    jars.as_ref().map_err(Clone::clone)
}

fn own_jars() -> &'static Jars {
    jars().unwrap_or_else(|error| panic!("kafka cannot be started: {error}"))
}

fn engine_answers() -> bool {
    let mut docker = std::process::Command::new("docker");
    docker.args(["version", "--format", "{{.Server.Version}}"]);
    docker.output().is_ok_and(|output| output.status.success())
}

impl Cluster {
    /// A cluster from whichever provider there is. Topics of ours that a given one has are removed.
    pub(crate) fn start() -> Cluster {
        match provider() {
            Provider::Given { brokers, registry } => {
                static TURN: Mutex<()> = Mutex::new(());
                let turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
                shared::remove_own_topics(&brokers);
                Cluster { brokers, registry, kafka: Kafka::Given { _turn: turn }, direct: None }
            }
            Provider::Children => {
                let broker = shared::take(own_jars());
                Cluster::of_child(
                    &broker.address(),
                    &broker.direct_address(),
                    Kafka::Shared(Some(Box::new(broker))),
                )
            }
            Provider::Containers => {
                let registry = containers::registry();
                let boxed = containers::take();
                let brokers = boxed.brokers.clone();
                Cluster { brokers, registry, kafka: Kafka::Boxed(Some(Box::new(boxed))), direct: None }
            }
        }
    }

    /// A broker of our own as a child, for tests that kill it or stand between it and its clients.
    pub(crate) fn start_own(dir: &Path, change: impl FnOnce(&mut BrokerOptions)) -> Cluster {
        let mut options = BrokerOptions::new(dir.join("kafka"), dir.join("log"));
        shared::for_minutes(&mut options);
        change(&mut options);
        let broker = Broker::start(own_jars(), options)
            .unwrap_or_else(|error| panic!("kafka cannot be started: {error}"));
        Cluster::of_child(&broker.address(), &broker.direct_address(), Kafka::Child(Box::new(broker)))
    }

    fn of_child(brokers: &str, direct: &str, kafka: Kafka) -> Cluster {
        Cluster {
            brokers: brokers.to_owned(),
            registry: child_registry(own_jars()),
            kafka,
            direct: Some(direct.to_owned()),
        }
    }

    /// The broker, where it is our child.
    pub(crate) fn broker(&mut self) -> &mut Broker {
        match &mut self.kafka {
            Kafka::Child(broker) => broker,
            Kafka::Given { .. } | Kafka::Shared(_) | Kafka::Boxed(_) => {
                panic!("this cluster's broker is not ours to touch")
            }
        }
    }

    /// An address that never leads through a proxy.
    pub(crate) fn direct(&self) -> String {
        self.direct.clone().unwrap_or_else(|| self.brokers.clone())
    }

    /// The inter-broker listener advertises another address than its own: clients keep away from it.
    pub(crate) fn forget_direct(&mut self) {
        self.direct = None;
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        match &mut self.kafka {
            Kafka::Shared(broker) => broker.take().into_iter().for_each(|broker| shared::give_back(*broker)),
            Kafka::Boxed(boxed) => boxed.take().into_iter().for_each(|boxed| containers::give_back(*boxed)),
            Kafka::Given { .. } | Kafka::Child(_) => {}
        }
    }
}

/// One registry for all tests: schemas are the same for all of them. It dies with this process.
fn child_registry(jars: &Jars) -> String {
    static REGISTRY: OnceLock<Registry> = OnceLock::new();
    let start = || {
        let dir = scratch::folder("registry");
        Registry::start(jars, RegistryOptions::new(dir.join("data"), dir.join("log")))
            .unwrap_or_else(|error| panic!("the schema registry cannot be started: {error}"))
    };
    REGISTRY.get_or_init(start).url()
}
