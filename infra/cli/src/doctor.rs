//! `millrace doctor`: is everything there that millrace needs?

use std::time::Duration;

use millrace_runtime::config::Config;
use millrace_runtime::kafka::admin::Admin;
use millrace_runtime::registry::Registry;
use millrace_runtime::service::topic_specs;
use millrace_runtime::store::{Store, StoreOptions};

use crate::args::{Doctor, Format, Place};
use crate::limits;
use crate::output::Answer;
use crate::place;

struct Finding {
    what: &'static str,
    well: bool,
    text: String,
}

pub(crate) fn run(args: &Doctor) -> anyhow::Result<Answer> {
    let mut findings = programs(&args.place);
    findings.push(match limits::open_files() {
        Ok(n) => good("open files", format!("up to {n}")),
        Err(reason) => bad("open files", reason),
    });
    match place::config(&args.place) {
        Ok(config) => {
            findings.push(Finding { what: "configuration", well: true, text: "no fault".to_owned() });
            let kafka = broker(&config);
            let reachable = kafka.well;
            findings.push(kafka);
            if reachable {
                findings.push(topics(&config));
            }
            findings.push(registry(&config));
            findings.push(store(&config));
        }
        Err(error) => findings.push(bad("configuration", crate::output::chain(&error))),
    }
    let well = findings.iter().all(|finding| finding.well);
    match args.format {
        Format::Json => {
            let all: Vec<_> = findings
                .iter()
                .map(|own| serde_json::json!({ "what": own.what, "ok": own.well, "text": own.text }))
                .collect();
            println!("{}", serde_json::to_string_pretty(&all)?);
        }
        Format::Text => {
            for finding in &findings {
                println!(
                    "{} {:<14} {}",
                    if finding.well { "ok  " } else { "BAD " },
                    finding.what,
                    finding.text
                );
            }
        }
    }
    Ok(if well { Answer::Yes } else { Answer::No })
}

fn good(what: &'static str, text: String) -> Finding {
    Finding { what, well: true, text }
}

fn bad(what: &'static str, text: String) -> Finding {
    Finding { what, well: false, text }
}

/// What `millrace up` runs; a configuration file names brokers that somebody else runs.
fn programs(place: &Place) -> Vec<Finding> {
    if place.config.is_some() && place.data.is_none() {
        return Vec::new();
    }
    vec![
        program(
            "java",
            &["-version"],
            "Java 17 or newer, for the local Kafka (apt install openjdk-17-jre-headless)",
        ),
        program("mvn", &["-v"], "Maven, fetches the local Kafka once (apt install maven)"),
        program(
            "setpriv",
            &["--version"],
            "util-linux, so that no child outlives millrace (apt install util-linux)",
        ),
    ]
}

fn program(name: &'static str, args: &[&str], wanted: &str) -> Finding {
    match std::process::Command::new(name).args(args).output() {
        Ok(output) => {
            let text = if output.stdout.is_empty() { output.stderr } else { output.stdout };
            let text = String::from_utf8_lossy(&text);
            good(name, anstream::adapter::strip_str(text.lines().next().unwrap_or_default()).to_string())
        }
        Err(error) => bad(name, format!("{error}: install {wanted}")),
    }
}

fn broker(config: &Config) -> Finding {
    let pinged = Admin::open(&config.kafka).and_then(|admin| admin.ping(Duration::from_secs(3)));
    match pinged {
        Ok(n_brokers) => good("broker", format!("{n_brokers} at {}", config.kafka.brokers)),
        Err(error) => bad("broker", error.to_string()),
    }
}

fn topics(config: &Config) -> Finding {
    let specs = match topic_specs(config.kafka.partitions) {
        Ok(specs) => specs,
        Err(error) => return bad("topics", error.to_string()),
    };
    match Admin::open(&config.kafka).and_then(|admin| admin.check(&specs)) {
        Ok(differences) if differences.is_empty() => good("topics", format!("{} as wanted", specs.len())),
        Ok(differences) => {
            let list: Vec<String> = differences.iter().map(ToString::to_string).collect();
            bad("topics", format!("{}; run `millrace topics apply`", list.join("; ")))
        }
        Err(error) => bad("topics", error.to_string()),
    }
}

fn registry(config: &Config) -> Finding {
    match Registry::new(&config.registry_url, Duration::from_secs(3)).ping() {
        Ok(n_subjects) => good("registry", format!("{n_subjects} subjects at {}", config.registry_url)),
        Err(error) => bad("registry", error.to_string()),
    }
}

/// Writes, reads and deletes a small object.
fn store(config: &Config) -> Finding {
    let options = StoreOptions { deadline: Duration::from_secs(5), ..config.store.clone() };
    let path = format!("doctor/{}", uuid::Uuid::new_v4().simple());
    let tried = Store::open(&options).and_then(|store| {
        store.put_new(&path, b"millrace".to_vec())?;
        let read = store.read(&path)?;
        store.delete(&path)?;
        Ok(read.as_ref() == b"millrace")
    });
    match tried {
        Ok(true) => good("store", format!("writes, reads and deletes at {}", config.store.url)),
        Ok(false) => bad("store", format!("{} gave back other bytes than were written", config.store.url)),
        Err(error) => bad("store", error.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn programs_of_the_local_kafka_are_wanted_where_there_is_one() {
        let names = |data: Option<&str>, config: Option<&str>| -> Vec<&str> {
            let place = Place { data: data.map(Into::into), config: config.map(Into::into) };
            programs(&place).iter().map(|finding| finding.what).collect()
        };
        assert_eq!(names(None, None), ["java", "mvn", "setpriv"]);
        assert_eq!(names(Some("data"), Some("millrace.toml")), ["java", "mvn", "setpriv"]);
        assert!(names(None, Some("millrace.toml")).is_empty());
    }
}
