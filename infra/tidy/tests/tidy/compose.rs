//! The compose file: every command of millrace in it is one that the binary takes, with the configuration it names.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::Command;

use serde_yaml_ng::Value;

use crate::checkout::{none, read, root};

const FILE: &str = "infra/docker-compose.yml";

/// Services that take `--check`.
const SERVICES: [&str; 5] = ["forward", "job", "index", "archive", "query"];

/// Those that may run more than once in the compose file.
const SCALABLE: [&str; 3] = ["parse", "index", "archive"];

/// A service of the compose file that runs the binary.
struct Service {
    name: String,
    command: Vec<String>,
    environment: BTreeMap<String, String>,
    /// (here, in the container), as they are written.
    volumes: Vec<(String, String)>,
    fixed: bool,
}

fn document() -> Value {
    let mut document: Value = serde_yaml_ng::from_str(&read(FILE)).unwrap();
    document.apply_merge().unwrap();
    document
}

/// `${NAME:-default}` → `default`, as when nothing is set; `$$` → `$`.
fn interpolate(text: &str) -> String {
    let variable = regex::Regex::new(r"\$\{\w+:-([^}]*)\}").unwrap();
    variable.replace_all(text, "$1").replace("$$", "$")
}

fn texts(value: &Value) -> Vec<String> {
    value.as_sequence().into_iter().flatten().filter_map(Value::as_str).map(interpolate).collect()
}

fn services() -> Vec<Service> {
    let document = document();
    let mut services = Vec::new();
    for (name, service) in document["services"].as_mapping().unwrap() {
        if service.get("image").and_then(Value::as_str).is_none_or(|image| !image.contains("MILLRACE_IMAGE"))
        {
            continue;
        }
        let scalar = |value: &Value| match value {
            Value::String(text) => interpolate(text),
            other => serde_yaml_ng::to_string(other).unwrap().trim().to_owned(),
        };
        let environment = service["environment"].as_mapping().into_iter().flatten();
        let split =
            |volume: String| volume.split_once(':').map(|(here, there)| (here.to_owned(), there.to_owned()));
        services.push(Service {
            name: name.as_str().unwrap().to_owned(),
            command: texts(&service["command"]),
            environment: environment.map(|(key, value)| (scalar(key), scalar(value))).collect(),
            volumes: service
                .get("volumes")
                .map(texts)
                .unwrap_or_default()
                .into_iter()
                .filter_map(split)
                .collect(),
            fixed: service.get("ports").is_some() || service.get("container_name").is_some(),
        });
    }
    services
}

/// The binary beside this test.
fn binary() -> PathBuf {
    let beside = || std::env::current_exe().unwrap().ancestors().nth(2).unwrap().join("millrace");
    let path = std::env::var_os("MILLRACE_BIN").map_or_else(beside, PathBuf::from);
    let shown = path.display();
    assert!(
        path.is_file(),
        "{shown} is not there: run `cargo build -p millrace-cli` first (`make tidy` does), or set MILLRACE_BIN"
    );
    path
}

/// The command as it runs outside of a container: paths in a mounted folder become those of the checkout.
fn outside(service: &Service) -> Vec<String> {
    let mounted = |argument: &String| {
        for (here, there) in &service.volumes {
            let there = there.trim_end_matches(":ro");
            if let (Some(rest), Some(here)) = (argument.strip_prefix(there), here.strip_prefix("./")) {
                return root()
                    .join("infra")
                    .join(here)
                    .join(rest.trim_start_matches('/'))
                    .display()
                    .to_string();
            }
        }
        argument.clone()
    };
    service.command.iter().map(mounted).collect()
}

#[test]
fn every_command_and_configuration_passes_the_check() {
    let binary = binary();
    let mut offences = Vec::new();
    for service in services() {
        let mut args = outside(&service);
        let first = args.first().cloned().unwrap_or_default();
        // What is no service has nothing to check but its configuration: let the same file pass through a service.
        if !SERVICES.contains(&first.as_str()) {
            let help = Command::new(&binary)
                .args(args.iter().take_while(|own| !own.starts_with('-')))
                .arg("--help")
                .output();
            let help = help.unwrap();
            if !help.status.success() || !String::from_utf8_lossy(&help.stdout).contains("--config") {
                offences
                    .push(format!("{}: {:?} is no subcommand with --config", service.name, service.command));
            }
            let config = args.iter().position(|own| own == "--config").map(|at| args.split_off(at));
            args = std::iter::once("query".to_owned()).chain(config.unwrap_or_default()).collect();
        }
        let mut command = Command::new(&binary);
        for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("MILLRACE_")) {
            command.env_remove(name);
        }
        let output = command.args(&args).arg("--check").envs(&service.environment).output().unwrap();
        if !output.status.success() {
            let reason = String::from_utf8_lossy(&output.stderr);
            offences.push(format!(
                "{}: {args:?} --check: {}: {}",
                service.name,
                output.status,
                reason.trim()
            ));
        }
        let shown = String::from_utf8_lossy(&output.stdout);
        for secret in service.environment.iter().filter(|(name, _)| name.contains("SECRET")) {
            if shown.contains(secret.1.as_str()) {
                offences.push(format!("{}: --check shows {}", service.name, secret.0));
            }
        }
    }
    none(&format!("{FILE} does not run:"), &offences);
}

#[test]
fn every_service_of_the_design_is_there() {
    let names: Vec<String> = services().into_iter().map(|service| service.name).collect();
    assert_eq!(names, ["topics", "seed", "forward", "gateway", "parse", "index", "archive", "query"]);
}

#[test]
fn scaled_services_share_slots_and_nothing_else() {
    let mut offences = Vec::new();
    for service in services().iter().filter(|service| SCALABLE.contains(&service.name.as_str())) {
        if service.fixed {
            offences.push(format!("{}: a fixed name or port lets only one replica run", service.name));
        }
        if !service.volumes.contains(&(service.name.clone(), "/data".to_owned())) {
            offences.push(format!("{}: the volume {0} must be at /data, for its slots", service.name));
        }
        if service.command.iter().any(|own| own == "--instance") {
            offences.push(format!("{}: replicas cannot all have one --instance", service.name));
        }
    }
    none("--scale would break:", &offences);
}

#[test]
fn every_service_tells_whether_it_lives() {
    let document = document();
    let mut offences = Vec::new();
    for (name, service) in document["services"].as_mapping().unwrap() {
        let Some(check) = service.get("healthcheck") else {
            offences.push(format!("{name:?}"));
            continue;
        };
        let off = check.get("disable").and_then(Value::as_bool) == Some(true);
        // A list becomes other arguments with podman 4, which takes it apart at each blank.
        if !off && !check["test"].is_string() {
            offences.push(format!("{name:?}: `test` must be a text"));
        }
    }
    none("no healthcheck that every engine understands:", &offences);
}

/// The three places that name versions of Kafka and of the registry.
#[test]
fn versions_are_those_of_kafka_local() {
    let pom = read("infra/kafka-local/pom.xml");
    let pinned = |name: &str| {
        let of = |rest: &str| rest.split_once('<').map(|(version, _)| version.to_owned());
        pom.split_once(&format!("<{name}>")).and_then(|(_, rest)| of(rest)).unwrap()
    };
    let (kafka, registry) = (pinned("kafka.version"), pinned("registry.version"));
    let document = document();
    let mut offences = Vec::new();
    for (service, version) in [("kafka", &kafka), ("registry", &registry)] {
        let image = document["services"][service]["image"].as_str().unwrap();
        if image.rsplit_once(':').map(|(_, tag)| tag) != Some(version) {
            offences.push(format!("{FILE}: {image}, and {version} in infra/kafka-local"));
        }
    }
    let harness = "integration-tests/tests/promises/harness/containers.rs";
    let text = read(harness);
    for (image, version) in [("apache/kafka", &kafka), ("apicurio/apicurio-registry-mem", &registry)] {
        if !text.contains(&format!("(\"{image}\", \"{version}\")")) {
            offences.push(format!("{harness}: {image} is not {version}, as in infra/kafka-local"));
        }
    }
    none("versions differ:", &offences);
}

#[test]
fn the_broker_is_set_up_as_in_kafka_local() {
    let document = document();
    let environment = document["services"]["kafka"]["environment"].as_mapping().unwrap();
    let set: BTreeMap<String, String> = environment
        .iter()
        .map(|(key, value)| {
            let value =
                value.as_str().map_or_else(|| serde_yaml_ng::to_string(value).unwrap(), str::to_owned);
            (key.as_str().unwrap().to_owned(), value.trim().to_owned())
        })
        .collect();
    let source = read("infra/kafka-local/src/broker.rs");
    let table = source.split("const SETTINGS").nth(1).and_then(|rest| rest.split("];").next()).unwrap();
    let pair = regex::Regex::new(r#"\(\s*"([a-z._]+)",\s*"([^"]*)",?\s*\)"#).unwrap();
    let mut n_settings = 0;
    let mut offences = Vec::new();
    for own in pair.captures_iter(table) {
        n_settings += 1;
        let name = format!("KAFKA_{}", own[1].replace('.', "_").to_uppercase());
        // Listeners have names of their own here.
        if !own[1].contains("listener") && set.get(&name).map(String::as_str) != Some(&own[2]) {
            offences.push(format!("{name} is {:?}, and {:?} in infra/kafka-local", set.get(&name), &own[2]));
        }
    }
    assert!(n_settings > 10, "only {n_settings} settings: has broker.rs changed its form?");
    none("the broker differs:", &offences);
}
