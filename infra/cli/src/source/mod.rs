//! `millrace source`: sources of the parse job as records of `millrace.control`, over those of the configuration's files.

pub(crate) mod args;
pub(crate) mod live;

use std::path::Path;

use anyhow::Context;
use millrace_admin::sources::{self, Draft};
use millrace_admin::{Expected, control};
use millrace_runtime::sink::now_micros;
use serde_json::json;

use crate::args::Format;
use crate::output::{Answer, answered, print_rows};
use crate::place;
use args::{Ls, Rm, Set, Show, Sources};

pub(crate) fn run(command: &Sources) -> anyhow::Result<Answer> {
    match command {
        Sources::Ls(args) => ls(args),
        Sources::Show(args) => show(args),
        Sources::Set(args) => set(args),
        Sources::Rm(args) => rm(args),
    }
}

/// The sources of `file`, as they would be set now.
pub(crate) fn drafts(file: &Path) -> anyhow::Result<Vec<Draft>> {
    let text = std::fs::read_to_string(file)
        .with_context(|| format!("could not read the sources in {}", file.display()))?;
    let drafts = sources::drafts(&text, now_micros(), |folder| crate::parse::patterns(file, folder));
    drafts.map_err(anyhow::Error::msg).with_context(|| format!("in {}", file.display()))
}

fn set(args: &Set) -> anyhow::Result<Answer> {
    let service = place::service(&args.place)?;
    let drafts = drafts(&args.file)?;
    let set = control::change(&service, args.dry_run, |known| sources::set(known, &drafts, Expected::Any));
    answered(set, |rows| {
        let said = if args.dry_run { "can be set" } else { "is set" };
        for (draft, (_, new)) in drafts.iter().zip(rows) {
            let examples = match draft.source.examples().len() {
                0 => "it has no examples".to_owned(),
                1 => "its example holds".to_owned(),
                n => format!("{n} examples hold"),
            };
            let (name, version) = (draft.name(), draft.entry.version);
            match new {
                true => println!("source {name} {version} {said}: {examples}"),
                false => println!("source {name} {version} is set already"),
            }
        }
        Ok(())
    })
}

fn ls(args: &Ls) -> anyhow::Result<Answer> {
    let service = place::service(&args.place)?;
    let known = control::read(&service)?;
    let mut rows = known.source_rows();
    for source in crate::parse::load(&service.config.parse, args.place.config.as_deref())? {
        if live::counts(&source, known.sources.get(source.name()).map(|entry| entry.version)) {
            rows.retain(|row| row["name"] != source.name());
            rows.push(json!({"name": source.name(), "version": source.version(), "set": "by a file",
                             "streams": source.streams().join(",")}));
        }
    }
    print_rows(args.format, &["name", "streams", "set"], &["version"], &rows)?;
    Ok(Answer::Yes)
}

fn show(args: &Show) -> anyhow::Result<Answer> {
    let known = control::read(&place::service(&args.place)?)?;
    answered(known.source(&args.name).map_err(control::Error::from), |entry| {
        match args.format {
            Format::Json => println!("{}", serde_json::to_string_pretty(entry)?),
            Format::Text => println!("{}", entry.toml.trim_end()),
        }
        Ok(())
    })
}

fn rm(args: &Rm) -> anyhow::Result<Answer> {
    let service = place::service(&args.place)?;
    let removed = control::change(&service, false, |known| sources::remove(known, &args.name, Expected::Any));
    answered(removed, |()| {
        println!("source {} is removed", args.name);
        Ok(())
    })
}
