//! From what is written to what is meant, with every fault named.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use millrace_schemas::id::valid_id;
use millrace_schemas::topics;

use super::{
    Config, ForwardConfig, Output, ParseConfig, QueryConfig, SinkConfig, gateway, inputs, raw, relay,
    upstream,
};
use crate::kafka::Kafka;
use crate::log::Format;
use crate::store::StoreOptions;

/// librdkafka keys that the runtime owns: exactly-once depends on them.
const OWNED: [&str; 16] = [
    "bootstrap.servers",
    "group.id",
    "group.instance.id",
    "group.protocol",
    "enable.auto.commit",
    "enable.auto.offset.store",
    "auto.offset.reset",
    "isolation.level",
    "transactional.id",
    "transaction.timeout.ms",
    "enable.idempotence",
    "acks",
    "partitioner",
    "retry.backoff.ms",
    "retry.backoff.max.ms",
    "partition.assignment.strategy",
];

/// Longest time for which lines are remembered: 31 days.
const MAX_DEDUP_WINDOW: Duration = Duration::from_secs(31 * 86_400);

/// Formats that the parse job knows.
const FORMATS: [&str; 19] = [
    "auto",
    "json",
    "apache",
    "apache_error",
    "nginx_error",
    "rfc5424",
    "rfc3164",
    "syslog",
    "logfmt",
    "ltsv",
    "cef",
    "leef",
    "cri",
    "docker",
    "glog",
    "access",
    "netfilter",
    "mysql_slow",
    "plain",
];

/// The transaction time-out less what sending takes: a bundle must be committed well within `max.poll.interval.ms`.
const MAX_COMMIT_INTERVAL: Duration = Duration::from_secs(120);

/// The setting for which librdkafka needs OpenSSL, if there is one.
fn needs_tls(client: &BTreeMap<String, toml::Value>) -> Option<&'static str> {
    let names = |key: &str, prefixes: &[&str]| {
        let value = client.get(key).and_then(toml::Value::as_str).unwrap_or_default().to_uppercase();
        prefixes.iter().any(|prefix| value.starts_with(prefix))
    };
    if names("security.protocol", &["SSL", "SASL_SSL"]) {
        return Some("security.protocol");
    }
    ["sasl.mechanism", "sasl.mechanisms"].into_iter().find(|key| names(key, &["SCRAM", "OAUTH"]))
}

pub(super) fn check(raw: raw::Config) -> Result<Config, Vec<String>> {
    let mut faults = Vec::new();
    let mut fault = |path: &str, text: String| faults.push(format!("{path}: {text}"));

    let prefix = raw.kafka.prefix.unwrap_or_else(|| "millrace".to_owned());
    if !valid_id(&prefix) {
        fault("kafka.prefix", format!("{prefix:?} is not [a-z0-9-]{{1,64}}"));
    }
    let brokers = raw.kafka.brokers.unwrap_or_else(|| "127.0.0.1:19092".to_owned());
    for broker in brokers.split(',') {
        let port = broker.rsplit_once(':').and_then(|(_, port)| port.parse::<u16>().ok());
        if port.is_none() {
            fault("kafka.brokers", format!("{broker:?} is not host:port"));
        }
    }
    if let Some(key) = needs_tls(&raw.kafka.client).filter(|_| !cfg!(feature = "tls")) {
        fault(
            &format!("kafka.client.{key}"),
            "this binary was built without TLS; build one with `cargo build --release -p millrace-cli`"
                .into(),
        );
    }
    let mut client = Vec::new();
    for (key, value) in raw.kafka.client {
        if OWNED.contains(&key.as_str()) {
            fault(
                &format!("kafka.client.{key}"),
                "is owned by millrace, since exactly-once depends on it; remove it".into(),
            );
        }
        let value = match value {
            toml::Value::String(text) => text,
            other => other.to_string(),
        };
        client.push((key, value));
    }
    let replication = raw.kafka.replication.unwrap_or(1);
    if !(1..=9).contains(&replication) {
        fault("kafka.replication", format!("{replication} is not in 1..=9"));
    }
    let partitions = raw.kafka.partitions;
    if let Some(number) = partitions.filter(|number| !(1..=1_000).contains(number)) {
        fault("kafka.partitions", format!("{number} is not in 1..=1000"));
    }

    for (topic, mib) in &raw.kafka.bound_mib {
        let known = [topics::RAW, topics::PARSED, topics::DEAD].contains(&topic.as_str());
        if !known || *mib < 1 {
            fault(
                &format!("kafka.bound_mib.{topic:?}"),
                "is not logs.raw, logs.parsed or logs.dead with 1 MiB or more".into(),
            );
        }
    }

    let format = match raw.log.format.as_deref() {
        None | Some("text") => Format::Text,
        Some("json") => Format::Json,
        Some(other) => {
            fault("log.format", format!("{other:?} is neither \"text\" nor \"json\""));
            Format::Text
        }
    };

    let forward = {
        let inputs = raw.forward.input.into_iter().enumerate();
        let inputs =
            inputs.map(|(at, input)| inputs::check(input, &format!("forward.input[{at}]"), &mut fault));
        ForwardConfig {
            inputs: inputs.collect(),
            host: raw.forward.host.unwrap_or_else(host_name),
            partial_line_timeout: Duration::from_millis(raw.forward.partial_line_timeout_ms.unwrap_or(5_000)),
            max_line_bytes: raw.forward.max_line_bytes.unwrap_or(1 << 20),
            once: raw.forward.once.unwrap_or(false),
            output: output("forward.output", raw.forward.output.as_deref(), &mut fault),
        }
    };
    let upstream = upstream::check(raw.upstream, &mut fault);
    if forward.host.is_empty() || forward.host.contains('/') {
        fault("forward.host", format!("{:?} must not be empty or contain a slash", forward.host));
    }
    if !(1_024..=1 << 20).contains(&forward.max_line_bytes) {
        fault("forward.max_line_bytes", format!("{} is not in 1024..=1048576", forward.max_line_bytes));
    }

    let mut known = |path: String, format: String| {
        if !FORMATS.contains(&format.as_str()) {
            fault(&path, format!("{format:?} is not one of {}", FORMATS.join(", ")));
        }
        format
    };
    let parse = ParseConfig {
        default_format: known(
            "parse.default_format".into(),
            raw.parse.default_format.unwrap_or_else(|| "auto".into()),
        ),
        streams: raw
            .parse
            .streams
            .into_iter()
            .map(|(stream, format)| (stream.clone(), known(format!("parse.streams.{stream}"), format)))
            .collect(),
        sources: raw.parse.sources.into_iter().map(Into::into).collect(),
        dedup_window: Duration::from_secs(60 * raw.parse.dedup_window_minutes.unwrap_or(24 * 60)),
        dedup_bytes: raw.parse.dedup_mib.unwrap_or(32) << 20,
        loops: raw.parse.loops.unwrap_or(1),
    };
    if !(Duration::from_secs(60)..=MAX_DEDUP_WINDOW).contains(&parse.dedup_window) {
        fault("parse.dedup_window_minutes", "is not in 1..=44640".into());
    }
    if !(1 << 20..=1 << 30).contains(&parse.dedup_bytes) {
        fault("parse.dedup_mib", "is not in 1..=1024".into());
    }
    if !(1..=16).contains(&parse.loops) {
        fault("parse.loops", format!("{} is not in 1..=16", parse.loops));
    }

    let mut sink = |name: &str, section: raw::Sink, interval: u64, mib: usize| {
        let config = SinkConfig {
            commit_interval: Duration::from_millis(section.commit_interval_ms.unwrap_or(interval)),
            max_buffer_bytes: section.max_buffer_mib.unwrap_or(mib) << 20,
            delete_after: Duration::from_secs(section.delete_after_seconds.unwrap_or(60)),
        };
        if config.commit_interval.is_zero() || config.commit_interval > MAX_COMMIT_INTERVAL {
            let most = MAX_COMMIT_INTERVAL.as_millis();
            fault(
                &format!("{name}.commit_interval_ms"),
                format!("is not in 1..={most} (max.poll.interval.ms is 300000)"),
            );
        }
        if !(1 << 20..=1 << 30).contains(&config.max_buffer_bytes) {
            fault(&format!("{name}.max_buffer_mib"), "is not in 1..=1024".into());
        }
        config
    };
    let index = sink("index", raw.index, 1_000, 128);
    let archive = sink("archive", raw.archive, 5_000, 32);

    let fold_after = raw.ledger.fold_after_seconds.unwrap_or(600);
    if !(1..=604_800).contains(&fold_after) {
        fault("ledger.fold_after_seconds", format!("{fold_after} is not in 1..=604800"));
    }

    let query = QueryConfig {
        listen: raw.query.listen.unwrap_or_else(|| "127.0.0.1:8090".to_owned()),
        anonymous: raw.query.anonymous,
        insecure: raw.query.insecure.unwrap_or(false),
        cache_bytes: raw.query.cache_mib.unwrap_or(1_024) << 20,
    };
    match query.listen.parse::<std::net::SocketAddr>() {
        Err(_) => fault("query.listen", format!("{:?} is not address:port", query.listen)),
        Ok(address) if query.anonymous.is_some() && !address.ip().is_loopback() && !query.insecure => fault(
            "query.anonymous",
            format!("{address} can be reached by others; remove anonymous, or set query.insecure = true"),
        ),
        Ok(_) => {}
    }
    if let Some(tenant) = query.anonymous.as_deref().filter(|tenant| !valid_id(tenant)) {
        fault("query.anonymous", format!("{tenant:?} is not a tenant id, [a-z0-9-]{{1,64}}"));
    }

    let gateway = gateway::check(raw.gateway, &query.listen, &mut fault);
    relay::check(&gateway, &upstream, &forward.host, &mut fault);

    let ops_listen = match raw.ops.listen.as_deref() {
        None => Some("127.0.0.1:9464".to_owned()),
        Some("off") => None,
        Some(address) => {
            if address.parse::<std::net::SocketAddr>().is_err() {
                fault("ops.listen", format!("{address:?} is neither address:port nor \"off\""));
            }
            Some(address.to_owned())
        }
    };
    let registry_url =
        raw.registry.url.unwrap_or_else(|| "http://127.0.0.1:18081/apis/ccompat/v7".to_owned());
    if !registry_url.starts_with("http://") && !registry_url.starts_with("https://") {
        fault("registry.url", format!("{registry_url:?} is not an http address"));
    }
    let data_dir = PathBuf::from(raw.data_dir.unwrap_or_else(|| "millrace-data".to_owned()));
    let store_url = raw.store.url.unwrap_or_else(|| data_dir.join("objects").display().to_string());
    let config = Config {
        instance: raw.instance,
        kafka: Kafka { brokers, prefix, client, replication, partitions },
        bound_mib: raw.kafka.bound_mib.into_iter().collect(),
        registry_url,
        control_seed: raw.control.seed.map(PathBuf::from),
        store: StoreOptions {
            url: store_url,
            options: raw.store.options.into_iter().collect(),
            deadline: Duration::from_secs(raw.store.deadline_seconds.unwrap_or(30)),
        },
        log: (format, raw.log.level.unwrap_or_else(|| "info".to_owned())),
        ops_listen,
        forward,
        upstream,
        parse,
        index,
        archive,
        ledger_fold_after: Duration::from_secs(fold_after),
        query,
        gateway,
        data_dir,
    };
    if faults.is_empty() { Ok(config) } else { Err(faults) }
}

/// Where lines go, as it stands at `path`.
pub(super) fn output(path: &str, text: Option<&str>, fault: &mut dyn FnMut(&str, String)) -> Output {
    match text {
        None | Some("kafka") => Output::Kafka,
        Some("http") => Output::Http,
        Some(other) => {
            fault(path, format!("{other:?} is neither \"kafka\" nor \"http\""));
            Output::Kafka
        }
    }
}

fn host_name() -> String {
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let name = name.trim();
    if name.is_empty() { "localhost".to_owned() } else { name.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::super::Config;

    fn load(text: &str, env: &[(&str, &str)]) -> Result<Config, Vec<String>> {
        let tree: toml::Table = text.parse().unwrap();
        let env = env.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned()));
        Config::load_with(None, env, |own| own.extend(tree)).map_err(|error| error.faults)
    }

    #[test]
    fn all_faults_are_reported_at_once() {
        let text = "[kafka]\nbrokers = \"nowhere\"\nprefix = \"A B\"\n[kafka.client]\nacks = 1\n[log]\nformat = \"xml\"\n\
                    [[forward.input]]\ntenant = \"T\"\n[query]\nlisten = \"0.0.0.0:80\"\nanonymous = \"default\"\n";
        let faults = load(text, &[]).unwrap_err();
        let paths: Vec<&str> = faults.iter().filter_map(|fault| fault.split(": ").next()).collect();
        let wanted = [
            "kafka.prefix",
            "kafka.brokers",
            "kafka.client.acks",
            "log.format",
            "forward.input[0].tenant",
            "forward.input[0].globs",
            "query.anonymous",
        ];
        assert_eq!(paths, wanted);
    }

    #[test]
    fn unknown_keys_are_faults_in_every_section() {
        let faults = load("[kafka]\nbroker = \"a:1\"\n[store]\nulr = \"x\"\n", &[]).unwrap_err();
        assert!(faults[0].contains("broker") && faults[1].contains("ulr"), "{faults:?}");
    }

    #[test]
    fn a_gateway_without_keys_stays_on_loopback() {
        let text = "[gateway]\nlisten = \"0.0.0.0:80\"\nanonymous = \"default\"\nmax_body_mib = 200\nmax_memory_mib = 300\n";
        let faults = load(text, &[]).unwrap_err();
        assert!(
            faults[0].starts_with("gateway.anonymous") && faults[1].starts_with("gateway.max_memory_mib"),
            "{faults:?}"
        );
        assert!(load(&format!("{text}insecure = true\n").replace("300", "400"), &[]).is_ok());
        let text = "[gateway]\notlp_listen = \"0.0.0.0:4317\"\nanonymous = \"default\"\n";
        let faults = load(text, &[]).unwrap_err();
        assert!(faults[0].starts_with("gateway.anonymous: 0.0.0.0:4317 can be reached"), "{faults:?}");
    }

    #[test]
    fn otlp_over_grpc_is_off_until_it_has_an_address() {
        let listen = |text: &str| load(text, &[]).map(|config| config.gateway.otlp_listen);
        assert_eq!(listen(""), Ok(None));
        assert_eq!(listen("[gateway]\notlp_listen = \"off\"\n"), Ok(None));
        let on = listen("[gateway]\notlp_listen = \"127.0.0.1:4317\"\n");
        assert_eq!(on, Ok(Some("127.0.0.1:4317".to_owned())));
        let faults = listen("[gateway]\notlp_listen = \"4317\"\n").unwrap_err();
        assert!(faults[0].starts_with("gateway.otlp_listen: \"4317\" is neither"), "{faults:?}");
    }

    #[test]
    fn quotas_are_of_tenants_and_not_nothing() {
        let text = "[gateway.quotas.\"*\"]\nevents_per_second = 5\n[gateway.quotas.acme]\nmax_streams = 2\n";
        let quotas = load(text, &[]).unwrap().gateway.quotas;
        assert_eq!((quotas["*"].events(), quotas["acme"].max_streams), (Some((5, 50)), Some(2)));
        let text = "[gateway.quotas.ACME]\nburst_bytes = 5\n[gateway.quotas.b]\nmax_line_bytes = 0\n";
        let faults = load(text, &[]).unwrap_err();
        let paths: Vec<&str> = faults.iter().filter_map(|fault| fault.split(": ").next()).collect();
        let wanted =
            ["gateway.quotas.ACME", "gateway.quotas.ACME.burst_bytes", "gateway.quotas.b.max_line_bytes"];
        assert_eq!(paths, wanted);
    }

    #[test]
    fn tls_needs_a_certificate_and_brings_syslog_with_it() {
        let text = "[gateway.tls]\ncertificate = \"c\"\nkey = \"k\"\n";
        let gateway = load(text, &[]).unwrap().gateway;
        assert_eq!(gateway.syslog_tls_listen.as_deref(), Some("127.0.0.1:6514"));
        assert_eq!(load("", &[]).unwrap().gateway.syslog_tls_listen, None);
        let faults = load("[gateway]\nsyslog_tls_listen = \"127.0.0.1:1\"\n", &[]).unwrap_err();
        assert!(faults[0].starts_with("gateway.syslog_tls_listen: needs gateway.tls"), "{faults:?}");
        let text = "[gateway.tls]\ncertificate = \"c\"\ntenants = { a = \"A\" }\n";
        let faults = load(text, &[]).unwrap_err();
        let paths: Vec<&str> = faults.iter().filter_map(|fault| fault.split(": ").next()).collect();
        assert_eq!(paths, ["gateway.tls.key", "gateway.tls.client_ca", "gateway.tls.tenants.\"a\""]);
    }

    #[test]
    fn the_environment_wins() {
        let config =
            load("", &[("MILLRACE__KAFKA__BROKERS", "b:1"), ("MILLRACE__INDEX__MAX_BUFFER_MIB", "7")])
                .unwrap();
        assert_eq!((config.kafka.brokers.as_str(), config.index.max_buffer_bytes), ("b:1", 7 << 20));
    }

    #[test]
    fn client_keys_come_by_environment_as_text_with_dots() {
        let config = load("", &[("MILLRACE__KAFKA__CLIENT__SASL_PASSWORD", "12345")]).unwrap();
        assert_eq!(config.kafka.client, [("sasl.password".to_owned(), "12345".to_owned())]);
    }

    #[test]
    fn secrets_are_not_shown() {
        let config = load("[kafka.client]\n\"sasl.password\" = \"geheim\"\n", &[]).unwrap();
        assert!(!config.describe().contains("geheim"));
    }
}
