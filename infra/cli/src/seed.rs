//! `millrace seed`: what a file says there is to be, as records of `millrace.control`.

use std::path::Path;

use anyhow::Context;
use millrace_admin::control;
use millrace_admin::seed::{self, Deed, Entry};
use millrace_runtime::config::ConfigError;
use millrace_runtime::service::Service;
use millrace_runtime::sink::now_micros;
use serde_json::json;

use crate::args::{Format, Seed};
use crate::output::{Answer, answered, chain};
use crate::place;

pub(crate) fn run(args: &Seed) -> anyhow::Result<Answer> {
    let seed = read(&args.file)?;
    let service = place::service(&args.place)?;
    let planned = control::change(&service, args.dry_run, |known| {
        let (changes, entries) = seed.plan(known, args.overwrite, now_micros())?;
        if args.format == Format::Text {
            // Before anything is written.
            entries.iter().filter(|own| own.deed != Deed::Same).for_each(show);
        }
        Ok((changes, entries))
    });
    let mut is_left = false;
    let answer = answered(planned, |entries| {
        is_left = count(&entries, Deed::Leave) > 0;
        match args.format {
            Format::Json => {
                let told = json!({"dry_run": args.dry_run, "entries": entries});
                println!("{}", serde_json::to_string_pretty(&told)?);
            }
            Format::Text => println!("{}", summary(&entries, args.dry_run)),
        }
        Ok(())
    })?;
    Ok(if is_left { Answer::No } else { answer })
}

/// The file, with what it names beside it. All faults at once.
pub(crate) fn read(file: &Path) -> Result<seed::Seed, ConfigError> {
    let wrong = |faults| ConfigError { file: file.display().to_string(), faults };
    let text = std::fs::read_to_string(file)
        .map_err(|error| wrong(vec![format!("could not read the seed: {error}")]))?;
    let beside = file.parent().unwrap_or(Path::new(""));
    let sources = |name: &str| crate::source::drafts(&beside.join(name)).map_err(|error| chain(&error));
    let patterns = |folder: &str| crate::parse::patterns(file, folder);
    seed::Seed::read(&text, now_micros(), sources, patterns).map_err(wrong)
}

/// Makes what the file says and is not there; what differs stays, and is said.
pub(crate) fn apply(service: &Service, file: &Path) -> anyhow::Result<()> {
    let seed = read(file)?;
    let planned = control::change(service, false, |known| seed.plan(known, false, now_micros()));
    for Entry { kind, id, deed, differences } in
        planned.with_context(|| format!("could not apply the seed {}", file.display()))?
    {
        match deed {
            Deed::Make => tracing::info!(kind, id, "made as the seed says"),
            Deed::Leave => tracing::warn!(kind, id, ?differences, "differs from the seed, and stays"),
            Deed::Change | Deed::Same => {}
        }
    }
    Ok(())
}

fn count(entries: &[Entry], deed: Deed) -> usize {
    entries.iter().filter(|own| own.deed == deed).count()
}

fn show(Entry { kind, id, deed, differences }: &Entry) {
    let deed = match deed {
        Deed::Make => "make",
        Deed::Change => "change",
        Deed::Leave => "leave",
        Deed::Same => "same",
    };
    let why = if differences.is_empty() { String::new() } else { format!(": {}", differences.join("; ")) };
    println!("{deed:<6}  {kind} {id}{why}");
}

fn summary(entries: &[Entry], dry_run: bool) -> String {
    let [made, changed, left, same] =
        [Deed::Make, Deed::Change, Deed::Leave, Deed::Same].map(|deed| count(entries, deed));
    if made + changed + left == 0 {
        return format!("nothing to change: {same} entries are as the file says");
    }
    let stays = if left > 0 { "; `--overwrite` changes what differs, but for revoked keys" } else { "" };
    let checked = if dry_run { "only checked: " } else { "" };
    format!(
        "{checked}{made} made, {changed} changed, {left} differ and stay, {same} are as the file says{stays}"
    )
}
