//! `millrace status`: lag, disk, and what is wrong with the command that mends it.

use std::path::Path;

use millrace_runtime::kafka::admin::Admin;
use millrace_runtime::kafka::frontier::sink_frontier;
use millrace_runtime::service::Service;
use millrace_schemas::topics;
use serde_json::json;

use crate::args::{Format, Status};
use crate::output::{Answer, grouped, size, table};
use crate::place;

/// What each stage reads.
const STAGES: [(&str, &str); 5] = [
    ("parse", topics::RAW),
    ("index", topics::PARSED),
    ("index", topics::DEAD),
    ("archive", topics::PARSED),
    ("archive", topics::DEAD),
];
/// More than this behind is worth a word.
const MUCH: i64 = 1_000_000;

struct Lag {
    stage: &'static str,
    topic: &'static str,
    partition: i32,
    committed: Option<i64>,
    end: i64,
    lag: i64,
}

pub(crate) fn run(args: &Status) -> anyhow::Result<Answer> {
    let service = place::service(&args.place)?;
    let admin = Admin::open(&service.config.kafka)?;
    let lags = lags(&service, &admin)?;
    let oldest = oldest_not_found(&service, &admin)?;
    let disks = disks(&service);
    let slots = idle_slots(&service.config.data_dir);
    let wrong = wrong(&service, &lags, &slots);
    match args.format {
        Format::Json => {
            let lags: Vec<_> = lags
                .iter()
                .map(|own| {
                    json!({ "stage": own.stage, "topic": own.topic, "partition": own.partition,
                                   "committed": own.committed, "end": own.end, "lag": own.lag })
                })
                .collect();
            let disks: Vec<_> =
                disks.iter().map(|(name, bytes)| json!({ "store": name, "bytes": bytes })).collect();
            let all = json!({ "lag": lags, "oldest_not_found": oldest, "disk": disks,
                              "slots_without_owner": slots, "wrong": wrong });
            println!("{}", serde_json::to_string_pretty(&all)?);
        }
        Format::Text => {
            let rows = lags.iter().map(|own| {
                let committed = own.committed.map_or("-".to_owned(), grouped);
                vec![
                    own.stage.into(),
                    own.topic.into(),
                    own.partition.to_string(),
                    committed,
                    grouped(own.end),
                    grouped(own.lag),
                ]
            });
            println!("{}", table(&["stage", "topic", "partition", "committed", "end", "lag"], 2, rows));
            match &oldest {
                Some(text) => println!("oldest line not yet found: {text}"),
                None => println!("every parsed line can be found"),
            }
            let rows = disks.iter().map(|(name, bytes)| vec![name.clone(), size(*bytes)]);
            println!("{}", table(&["store", "disk"], 1, rows));
            if !slots.is_empty() {
                println!("slots without owner: {}", slots.join(", "));
            }
            for own in &wrong {
                println!("wrong: {own}");
            }
            if wrong.is_empty() {
                println!("nothing is wrong");
            }
        }
    }
    Ok(if wrong.is_empty() { Answer::Yes } else { Answer::No })
}

/// Records behind, less what are only transaction markers: an upper bound by the stable end.
fn lags(service: &Service, admin: &Admin) -> anyhow::Result<Vec<Lag>> {
    let mut lags = Vec::new();
    let parsed = admin.committed("parse", topics::RAW)?;
    for (stage, topic) in STAGES {
        let committed = admin.committed(stage, topic)?;
        let caught_up = if stage == "parse" {
            None
        } else {
            Some(sink_frontier(&service.config.kafka, admin, &service.codecs, stage, topic, &parsed)?)
        };
        for partition in 0..admin.partitions(topic)? {
            let (low, _) = admin.watermarks(topic, partition)?;
            let end = admin.stable(topic, partition)?;
            let own = committed.get(&partition).copied();
            let behind = end - own.unwrap_or(low).max(low);
            let whole = caught_up.as_ref().is_some_and(|all| all.get(&partition) == parsed.get(&partition));
            // The marker that ends a transaction takes an offset of its own and is nobody's to read.
            let lag = if whole || behind <= 1 { 0 } else { behind };
            lags.push(Lag { stage, topic, partition, committed: own, end, lag });
        }
    }
    Ok(lags)
}

/// Raw partition and offset of the first line that the index does not hold yet.
fn oldest_not_found(service: &Service, admin: &Admin) -> anyhow::Result<Option<String>> {
    let parsed = admin.committed("parse", topics::RAW)?;
    let found =
        sink_frontier(&service.config.kafka, admin, &service.codecs, "index", topics::PARSED, &parsed)?;
    let first = found.iter().find(|(partition, own)| parsed.get(*partition).is_some_and(|all| all > *own));
    Ok(first.map(|(partition, offset)| format!("{}/{partition} offset {offset}", topics::RAW)))
}

/// Bytes on this machine's disk.
fn disks(service: &Service) -> Vec<(String, u64)> {
    let data = &service.config.data_dir;
    let mut disks = Vec::new();
    for (name, folder) in [("kafka", data.join("kafka")), ("query cache", data.join("query-cache"))] {
        if folder.exists() {
            disks.push((name.to_owned(), folder_bytes(&folder)));
        }
    }
    if let Some(root) = service.store.local_file("") {
        for part in ["bundles", "index", "events", "dead"] {
            disks.push((format!("objects: {part}"), folder_bytes(&root.join(part))));
        }
    }
    disks
}

fn folder_bytes(folder: &Path) -> u64 {
    let Ok(entries) = std::fs::read_dir(folder) else { return 0 };
    let size = |entry: std::fs::DirEntry| match entry.metadata() {
        Ok(meta) if meta.is_dir() => folder_bytes(&entry.path()),
        Ok(meta) => meta.len(),
        Err(_) => 0,
    };
    entries.flatten().map(size).sum()
}

/// Slots that were once taken and are not held now: their next owner ends what they left open.
fn idle_slots(data: &Path) -> Vec<String> {
    let Ok(entries) = std::fs::read_dir(data.join("slots")) else { return Vec::new() };
    let idle = entries
        .flatten()
        .filter(|entry| std::fs::File::open(entry.path()).is_ok_and(|file| file.try_lock_shared().is_ok()));
    let mut names: Vec<String> = idle.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    names
}

fn wrong(service: &Service, lags: &[Lag], slots: &[String]) -> Vec<String> {
    let mut wrong = Vec::new();
    for (stage, command) in
        [("parse", "millrace job parse"), ("index", "millrace index"), ("archive", "millrace archive")]
    {
        let own: Vec<&Lag> = lags.iter().filter(|lag| lag.stage == stage).collect();
        let behind: i64 = own.iter().map(|lag| lag.lag).sum();
        let free = slots.iter().any(|slot| slot.starts_with(&format!("{stage}-slot-")));
        if behind > 0 && free {
            wrong.push(format!(
                "{stage} is {} records behind and a slot of it has no owner: start `{command}`",
                grouped(behind)
            ));
        } else if behind > MUCH {
            wrong.push(format!("{stage} is {} records behind: start one more `{command}`", grouped(behind)));
        }
    }
    if let Ok(mut gate) = millrace_runtime::flow::Gate::open(service)
        && matches!(gate.may_write(), Ok(false))
    {
        wrong.push("a topic is over its bound, producers wait: start `millrace archive`, or raise bound_mib in infra/topics.toml".to_owned());
    }
    wrong
}
