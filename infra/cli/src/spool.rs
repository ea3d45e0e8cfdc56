//! `millrace spool`: what waits for a gateway on this host, and what the gateway refused.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use millrace_runtime::config::Config;
use millrace_spool::{Name, Overview, drop_parked, look, retry_parked};
use serde_json::{Value, json};

use crate::args::{Format, SpoolLs, SpoolMove, SpoolPlace};
use crate::output::{Answer, grouped, minute, size, table};
use crate::upstream::folders;

const MINUTE: i64 = 60_000_000;

/// A spool by the name of its folder.
type Spools = Vec<(String, PathBuf)>;

pub(crate) fn ls(args: &SpoolLs) -> anyhow::Result<Answer> {
    let mut rows = Vec::new();
    let mut wrong = false;
    for (spool, dir) in spools(&args.place)? {
        let overview = look(&dir)?;
        wrong |= !overview.parked.is_empty() || !overview.damaged.is_empty();
        rows.extend(of(&spool, &overview));
    }
    match args.format {
        Format::Json => println!("{}", serde_json::to_string_pretty(&Value::Array(rows))?),
        Format::Text if rows.is_empty() => println!("nothing waits, nothing is parked"),
        Format::Text => {
            let columns =
                ["spool", "state", "id", "tenant", "stream", "host", "minute", "reason", "batches", "lines"];
            let text = |value: &Value| match value {
                Value::String(text) => text.clone(),
                Value::Number(number) => number.as_i64().map_or_else(String::new, grouped),
                _ => String::new(),
            };
            let lines = rows.iter().map(|row| {
                let mut line: Vec<String> = columns.iter().map(|column| text(&row[column])).collect();
                line.push(size(row["bytes"].as_u64().unwrap_or_default()));
                line
            });
            println!("{}", table(&[&columns[..], &["size"]].concat(), 8, lines));
        }
    }
    Ok(if wrong { Answer::No } else { Answer::Yes })
}

/// What waits as a sum for each name, the rest batch by batch.
fn of(spool: &str, overview: &Overview) -> Vec<Value> {
    let mut waiting: BTreeMap<&Name, (i64, u64, u64, u64)> = BTreeMap::new();
    for own in &overview.waiting {
        let (first, n_batches, n_lines, bytes) = waiting.entry(&own.name).or_insert((own.minute, 0, 0, 0));
        *first = own.minute.min(*first);
        (*n_batches, *n_lines, *bytes) = (*n_batches + 1, *n_lines + own.n_records, *bytes + own.bytes);
    }
    let row = |state: &str, name: &Name, first: i64| {
        let Name { tenant, stream, host } = name;
        json!({ "spool": spool, "state": state, "tenant": tenant, "stream": stream, "host": host,
                "minute": minute(first.saturating_mul(MINUTE)) })
    };
    let mut rows = Vec::new();
    for (name, (first, n_batches, n_lines, bytes)) in waiting {
        let mut row = row("waiting", name, first);
        (row["batches"], row["lines"], row["bytes"]) = (n_batches.into(), n_lines.into(), bytes.into());
        rows.push(row);
    }
    for own in &overview.parked {
        let mut row = row("parked", &own.name, own.minute);
        (row["id"], row["batches"]) = (own.id.clone().into(), 1.into());
        (row["lines"], row["bytes"]) = (own.n_records.into(), own.bytes.into());
        row["reason"] = own.reason.clone().into();
        rows.push(row);
    }
    for (path, bytes) in &overview.damaged {
        let id = path.file_stem().unwrap_or_default().to_string_lossy();
        rows.push(json!({ "spool": spool, "state": "damaged", "id": id, "bytes": bytes,
                          "reason": format!("kept as {}", path.display()) }));
    }
    rows
}

pub(crate) fn retry(args: &SpoolMove) -> anyhow::Result<Answer> {
    each(args, "sent again", retry_parked)
}

pub(crate) fn drop(args: &SpoolMove) -> anyhow::Result<Answer> {
    each(args, "deleted", drop_parked)
}

fn each(
    args: &SpoolMove,
    done: &str,
    act: impl Fn(&Path, &str) -> Result<(), millrace_spool::Error>,
) -> anyhow::Result<Answer> {
    let spools = spools(&args.place)?;
    let mut chosen: Vec<(&Path, String)> = Vec::new();
    for (_, dir) in &spools {
        let overview = look(dir)?;
        let parked = overview.parked.into_iter().map(|own| own.id);
        let damaged = overview
            .damaged
            .iter()
            .filter_map(|(path, _)| Some(path.file_stem()?.to_string_lossy().into_owned()));
        let ids: Vec<String> = if args.all { parked.collect() } else { parked.chain(damaged).collect() };
        let wanted = |id: &String| args.all || args.ids.contains(id);
        chosen.extend(ids.into_iter().filter(wanted).map(|id| (dir.as_path(), id)));
    }
    for id in &args.ids {
        let n_spools = chosen.iter().filter(|(_, own)| own == id).count();
        let names = || spools.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>().join(", ");
        anyhow::ensure!(n_spools > 0, "no batch {id} is parked in {}; see `millrace spool ls`", names());
        anyhow::ensure!(n_spools == 1, "batch {id} is in several spools; say which by --spool: {}", names());
    }
    for (dir, id) in &chosen {
        act(dir, id)?;
        println!("{id} {done}");
    }
    Ok(if chosen.is_empty() { Answer::No } else { Answer::Yes })
}

/// The spools of the data folder; that of standard input is one for each run at once.
fn spools(place: &SpoolPlace) -> anyhow::Result<Spools> {
    let data = match &place.data {
        Some(data) => data.clone(),
        None => Config::load(place.config.as_deref())?.data_dir,
    };
    let mut found = folders(&data);
    found.retain(|(name, _)| place.spool.as_ref().is_none_or(|own| own == name));
    anyhow::ensure!(!found.is_empty(), "there is no spool in {}; check --config or --data", data.display());
    Ok(found)
}
