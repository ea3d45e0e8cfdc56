//! Brokers that serve one test after the other, each alone: a JVM costs more when it starts than most tests ask of it.
//! Groups and transactional ids carry the name of their test; topics are removed in between.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use millrace_kafka_local::{Broker, BrokerOptions, Jars};
use millrace_runtime::service::topic_specs;
use rdkafka::admin::{AdminClient, AdminOptions};
use rdkafka::client::DefaultClientContext;
use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};

use super::scratch;

const CALL: Duration = Duration::from_secs(30);

static IDLE: Mutex<Vec<Broker>> = Mutex::new(Vec::new());

/// A broker whom nobody else uses, without topics.
pub(crate) fn take(jars: &Jars) -> Broker {
    let idle = idle().pop();
    idle.map_or_else(
        || start(jars),
        |broker| {
            remove_topics(&broker.address(), |name| !name.starts_with("__"));
            broker
        },
    )
}

/// For the next test; after one that failed a broker is stopped, so that no other test meets what is left of it.
pub(crate) fn give_back(broker: Broker) {
    if !std::thread::panicking() {
        idle().push(broker);
    }
}

/// A broker for minutes: its compiler makes quick work of it.
pub(crate) fn for_minutes(options: &mut BrokerOptions) {
    options.java_flags.push("-XX:TieredStopAtLevel=1".to_owned());
}

fn idle() -> MutexGuard<'static, Vec<Broker>> {
    IDLE.lock().unwrap_or_else(PoisonError::into_inner)
}

fn start(jars: &Jars) -> Broker {
    let dir = scratch::own_folder("broker");
    let mut options = BrokerOptions::new(dir.join("kafka"), dir.join("log"));
    for_minutes(&mut options);
    Broker::start(jars, options).unwrap_or_else(|error| panic!("kafka cannot be started: {error}"))
}

/// Removes the topics of ours that a cluster has which somebody gave us.
pub(crate) fn remove_own_topics(brokers: &str) {
    let specs = topic_specs(None).unwrap();
    remove_topics(brokers, |name| specs.iter().any(|spec| spec.name == name));
}

/// Removes the topics of these names, and waits until they are gone.
pub(crate) fn remove_topics(brokers: &str, is_one: impl Fn(&str) -> bool) {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", brokers);
    let consumer: BaseConsumer = config.create().unwrap();
    let there = || -> Result<Vec<String>, String> {
        let metadata = consumer.fetch_metadata(None, CALL).map_err(|error| error.to_string())?;
        Ok(metadata
            .topics()
            .iter()
            .map(|topic| topic.name())
            .filter(|name| is_one(name))
            .map(str::to_owned)
            .collect())
    };
    let topics = there().expect("the broker does not answer");
    let names: Vec<&str> = topics.iter().map(String::as_str).collect();
    if names.is_empty() {
        return;
    }
    let admin: AdminClient<DefaultClientContext> = config.create().unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(admin.delete_topics(&names, &AdminOptions::new())).expect("the broker does not answer");
    super::until("the topics of an earlier test are gone", Duration::from_secs(60), || {
        match there()?.pop() {
            Some(topic) => Err(topic),
            None => Ok(()),
        }
    });
}
