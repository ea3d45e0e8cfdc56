//! The TOML file as it is written, before it is checked.

use std::collections::BTreeMap;

use serde::Deserialize;

/// What `up` follows when nothing is configured, relative to its data folder.
pub const FORWARD_DEFAULT_GLOBS: &str = "logs/*.log";

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Config {
    pub(super) data_dir: Option<String>,
    pub(super) instance: Option<u32>,
    pub(super) kafka: KafkaSection,
    pub(super) registry: Registry,
    pub(super) control: Control,
    pub(super) store: Store,
    pub(super) log: Log,
    pub(super) ops: Ops,
    pub(super) forward: Forward,
    pub(super) upstream: Upstream,
    pub(super) parse: Parse,
    pub(super) index: Sink,
    pub(super) archive: Sink,
    pub(super) ledger: Ledger,
    pub(super) query: Query,
    pub(super) gateway: Gateway,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct KafkaSection {
    pub(super) brokers: Option<String>,
    pub(super) prefix: Option<String>,
    pub(super) replication: Option<i32>,
    pub(super) partitions: Option<i32>,
    pub(super) bound_mib: BTreeMap<String, i64>,
    pub(super) client: BTreeMap<String, toml::Value>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Registry {
    pub(super) url: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Control {
    pub(super) seed: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Store {
    pub(super) url: Option<String>,
    pub(super) deadline_seconds: Option<u64>,
    pub(super) options: BTreeMap<String, String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Log {
    pub(super) format: Option<String>,
    pub(super) level: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Ops {
    pub(super) listen: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Forward {
    pub(super) host: Option<String>,
    pub(super) partial_line_timeout_ms: Option<u64>,
    pub(super) max_line_bytes: Option<usize>,
    pub(super) once: Option<bool>,
    pub(super) output: Option<String>,
    pub(super) input: Vec<Input>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Upstream {
    pub(super) url: Option<String>,
    pub(super) key: Option<String>,
    pub(super) key_file: Option<String>,
    pub(super) key_files: BTreeMap<String, String>,
    pub(super) ca_file: Option<String>,
    pub(super) parallel: Option<usize>,
    pub(super) spool_mib: Option<u64>,
    pub(super) parked_mib: Option<u64>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Input {
    pub(super) tenant: Option<String>,
    pub(super) stream: Option<String>,
    pub(super) globs: Vec<String>,
    pub(super) exclude: Vec<String>,
    pub(super) start: Option<String>,
    pub(super) encoding: Option<String>,
    pub(super) attributes: BTreeMap<String, String>,
    pub(super) redact: Vec<Redact>,
    pub(super) container: Option<String>,
    pub(super) multiline: Option<Multiline>,
    pub(super) entry_max_lines: Option<usize>,
    pub(super) entry_timeout_ms: Option<u64>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Multiline {
    pub(super) rule: String,
    pub(super) pattern: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Redact {
    pub(super) pattern: String,
    pub(super) mask: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Parse {
    pub(super) default_format: Option<String>,
    pub(super) streams: BTreeMap<String, String>,
    pub(super) sources: Vec<String>,
    pub(super) dedup_window_minutes: Option<u64>,
    pub(super) dedup_mib: Option<usize>,
    pub(super) loops: Option<u32>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Sink {
    pub(super) commit_interval_ms: Option<u64>,
    pub(super) max_buffer_mib: Option<usize>,
    pub(super) delete_after_seconds: Option<u64>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Ledger {
    pub(super) fold_after_seconds: Option<u64>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Query {
    pub(super) listen: Option<String>,
    pub(super) anonymous: Option<String>,
    pub(super) insecure: Option<bool>,
    pub(super) cache_mib: Option<u64>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Gateway {
    pub(super) listen: Option<String>,
    pub(super) output: Option<String>,
    pub(super) anonymous: Option<String>,
    pub(super) insecure: Option<bool>,
    pub(super) query: Option<String>,
    pub(super) syslog_listen: Option<String>,
    pub(super) syslog_tenant: Option<String>,
    pub(super) syslog_stream: Option<String>,
    pub(super) group_wait_ms: Option<u64>,
    pub(super) max_body_mib: Option<usize>,
    pub(super) max_memory_mib: Option<usize>,
    pub(super) max_connections: Option<usize>,
    pub(super) batches_kept: Option<usize>,
    pub(super) client_timeout_seconds: Option<u64>,
    pub(super) syslog_tls_listen: Option<String>,
    pub(super) otlp_listen: Option<String>,
    pub(super) tls: Option<Tls>,
    pub(super) quotas: BTreeMap<String, Quota>,
    pub(super) keys: BTreeMap<String, Key>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Tls {
    pub(super) certificate: String,
    pub(super) key: String,
    pub(super) client_ca: Option<String>,
    pub(super) client_required: Option<bool>,
    pub(super) tenants: BTreeMap<String, String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Key {
    pub(super) tenant: String,
    pub(super) hash: String,
    pub(super) roles: Option<Vec<String>>,
    pub(super) expires: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Quota {
    pub(super) bytes_per_second: Option<u64>,
    pub(super) burst_bytes: Option<u64>,
    pub(super) events_per_second: Option<u64>,
    pub(super) burst_events: Option<u64>,
    pub(super) concurrent_requests: Option<u64>,
    pub(super) max_body_bytes: Option<u64>,
    pub(super) max_line_bytes: Option<u64>,
    pub(super) max_streams: Option<u64>,
}

/// Sets `section.key` for each `MILLRACE__SECTION__KEY`; a value that reads as TOML is taken as such, else as text.
pub(super) fn apply_env(
    tree: &mut toml::Table,
    env: impl Iterator<Item = (String, String)>,
) -> Result<(), String> {
    for (name, value) in env {
        let Some(path) = name.strip_prefix("MILLRACE__") else { continue };
        let keys: Vec<String> = path.split("__").map(str::to_lowercase).collect();
        let Some((last, sections)) = keys.split_last() else { continue };
        let mut table = &mut *tree;
        for section in sections {
            let entry =
                table.entry(section.clone()).or_insert_with(|| toml::Value::Table(toml::Table::new()));
            table = entry.as_table_mut().ok_or_else(|| format!("{name}: {section} is not a section"))?;
        }
        let typed =
            format!("v = {value}").parse::<toml::Table>().ok().and_then(|mut parsed| parsed.remove("v"));
        let typed = typed.filter(|value| !matches!(value, toml::Value::Datetime(_)));
        // librdkafka's and the store's keys are texts; librdkafka's have dots, which no variable's name can have.
        let texts =
            ["client", "options"].iter().any(|section| sections.last().is_some_and(|own| own == section));
        let typed = typed.filter(|_| !texts).unwrap_or(toml::Value::String(value));
        let dotted = sections.last().is_some_and(|own| own == "client");
        table.insert(if dotted { last.replace('_', ".") } else { last.clone() }, typed);
    }
    Ok(())
}

/// Reads section by section, so that one unknown key does not hide another section's faults.
pub(super) fn read(tree: toml::Table) -> Result<Config, Vec<String>> {
    let whole = toml::Value::Table(tree.clone()).try_into::<Config>();
    let Err(first) = whole else { return whole.map_err(|error| vec![error.to_string()]) };
    let mut faults = Vec::new();
    for (key, value) in tree {
        let alone = toml::Table::from_iter([(key.clone(), value)]);
        if let Err(error) = toml::Value::Table(alone).try_into::<Config>() {
            faults.push(format!("{key}: {}", error.message()));
        }
    }
    if faults.is_empty() {
        faults.push(first.to_string());
    }
    Err(faults)
}
