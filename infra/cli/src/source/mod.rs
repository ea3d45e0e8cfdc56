//! `millrace source`: sources of the parse job as records of `millrace.control`, over those of the configuration's files.

pub(crate) mod args;
mod draft;
pub(crate) mod live;

use std::collections::BTreeMap;

use millrace_runtime::kafka::read_to_mark;
use millrace_runtime::service::Service;
use millrace_runtime::sink::now_micros;
use millrace_schemas::control::ControlRecord;
use millrace_schemas::source::SourceEntry;
use millrace_schemas::topics;
use serde_json::{Value, json};

use crate::args::Format;
use crate::control::Control;
use crate::output::{Answer, minute, print_rows};
use crate::place;
use args::{Ls, Rm, Set, Show, Sources};
use draft::Draft;

pub(crate) fn run(command: &Sources) -> anyhow::Result<Answer> {
    match command {
        Sources::Ls(args) => ls(args),
        Sources::Show(args) => show(args),
        Sources::Set(args) => set(args),
        Sources::Rm(args) => rm(args),
    }
}

/// What is set, by name.
fn known(service: &Service) -> anyhow::Result<BTreeMap<String, SourceEntry>> {
    let mut known = BTreeMap::new();
    read_to_mark(&service.config.kafka, topics::CONTROL, &[0], |_, _, key, value| {
        let Some(name) = ControlRecord::source_name(key) else { return Ok(()) };
        let record = value.and_then(|value| service.codecs.control().decode::<ControlRecord>(value).ok());
        match record.and_then(|record| record.as_source()) {
            Some(entry) => drop(known.insert(name.to_owned(), entry)),
            None => drop(known.remove(name)),
        }
        Ok(())
    })?;
    Ok(known)
}

fn set(args: &Set) -> anyhow::Result<Answer> {
    let service = place::service(&args.place)?;
    let drafts = draft::read(&args.file, now_micros())?;
    let control = if args.dry_run { None } else { Some(Control::open(&service)?) };
    let known = known(&service)?;
    let faults: Vec<String> = drafts.iter().flat_map(|draft| draft.faults(&known, &drafts)).collect();
    if !faults.is_empty() {
        faults.iter().for_each(|fault| println!("{fault}"));
        return Ok(Answer::No);
    }
    let (same, new): (Vec<&Draft>, Vec<&Draft>) = drafts.iter().partition(|draft| draft.is_set(&known));
    for draft in same {
        println!("source {} {} is set already", draft.name(), draft.entry.version);
    }
    let n_examples = |draft: &Draft| match draft.source.examples().len() {
        0 => "it has no examples".to_owned(),
        1 => "its example holds".to_owned(),
        n => format!("{n} examples hold"),
    };
    let said = if control.is_some() { "is set" } else { "can be set" };
    if let (Some(control), false) = (control, new.is_empty()) {
        let record = |draft: &&Draft| {
            (ControlRecord::source_key(draft.name()), Some(ControlRecord::source(draft.name(), &draft.entry)))
        };
        control.write(&service, &new.iter().map(record).collect::<Vec<_>>())?;
    }
    for draft in new {
        println!("source {} {} {said}: {}", draft.name(), draft.entry.version, n_examples(draft));
    }
    Ok(Answer::Yes)
}

fn ls(args: &Ls) -> anyhow::Result<Answer> {
    let service = place::service(&args.place)?;
    let known = known(&service)?;
    let mut rows: Vec<Value> = Vec::new();
    for (name, entry) in &known {
        let streams = draft::compile(entry).map(|source| source.streams().join(","));
        rows.push(json!({"name": name, "version": entry.version, "set": minute(entry.set),
                         "streams": streams.unwrap_or_else(|what| format!("not read: {what}"))}));
    }
    for source in crate::parse::load(&service.config.parse, args.place.config.as_deref())? {
        if live::counts(&source, known.get(source.name()).map(|entry| entry.version)) {
            rows.retain(|row| row["name"] != source.name());
            rows.push(json!({"name": source.name(), "version": source.version(), "set": "by a file",
                             "streams": source.streams().join(",")}));
        }
    }
    print_rows(args.format, &["name", "streams", "set"], &["version"], &rows)?;
    Ok(Answer::Yes)
}

fn show(args: &Show) -> anyhow::Result<Answer> {
    let known = known(&place::service(&args.place)?)?;
    let Some(entry) = known.get(&args.name) else { return missing(&args.name) };
    match args.format {
        Format::Json => println!("{}", serde_json::to_string_pretty(entry)?),
        Format::Text => println!("{}", entry.toml.trim_end()),
    }
    Ok(Answer::Yes)
}

fn rm(args: &Rm) -> anyhow::Result<Answer> {
    let service = place::service(&args.place)?;
    let control = Control::open(&service)?;
    if !known(&service)?.contains_key(&args.name) {
        return missing(&args.name);
    }
    control.write(&service, &[(ControlRecord::source_key(&args.name), None)])?;
    println!("source {} is removed", args.name);
    Ok(Answer::Yes)
}

fn missing(name: &str) -> anyhow::Result<Answer> {
    println!("no source {name} is set; `millrace source ls` lists them");
    Ok(Answer::No)
}
