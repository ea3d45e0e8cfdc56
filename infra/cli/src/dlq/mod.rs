//! `millrace dlq`: lines that no parser could read, looked at, counted, and sent again.

pub(crate) mod args;
mod choice;
mod letters;
mod redrive;

use std::collections::BTreeMap;

use anyhow::Context;
use millrace_jobs::parse::source::rfc3339_text as time;
use millrace_runtime::service::Service;
use millrace_schemas::dead::undecodable;
use millrace_schemas::{RawEvent, topics};
use serde_json::{Map, Value, json};

use crate::args::Format;
use crate::output::{Answer, grouped, table};
use crate::place;
use args::{Count, Dlq, Ls, Show};
use choice::{Choice, Field};
use letters::{Letter, Letters, State};

/// Characters of a line and of a detail in a table.
const MOST_SHOWN: usize = 60;

pub(crate) fn run(command: &Dlq) -> anyhow::Result<Answer> {
    match command {
        Dlq::Ls(args) => list(args),
        Dlq::Show(args) => show(args),
        Dlq::Count(args) => count(args),
        Dlq::Redrive(args) => redrive::run(args),
    }
}

/// Whether a letter stands for a debt: a line that is dead still, or what a parser never saw.
fn counts(letter: &Letter<'_>) -> bool {
    matches!(letter.state, State::Owed | State::Foreign)
}

fn list(args: &Ls) -> anyhow::Result<Answer> {
    let choice = Choice::read(&args.letters.conditions)?;
    let service = place::service(&args.letters.place)?;
    let mut newest: BTreeMap<(i64, String), Value> = BTreeMap::new();
    let mut total = 0;
    Letters::open(&service)?.each(&service, |letter| {
        if counts(&letter) && choice.fits(&letter.letter) {
            total += 1;
            newest.insert((letter.died, id(&letter)), object(&service, &letter));
            if newest.len() > args.limit {
                newest.pop_first();
            }
        }
        Ok(())
    })?;
    let letters: Vec<Value> = newest.into_values().rev().collect();
    match args.letters.format {
        Format::Json => {
            println!("{}", serde_json::to_string_pretty(&json!({"total": total, "letters": letters}))?)
        }
        Format::Text => {
            let columns = ["id", "received", "tenant", "stream", "reason", "parser", "detail", "line"];
            let cell = |letter: &Value, column: &str| {
                let text = letter[column].as_str().unwrap_or_default();
                text.chars().take(MOST_SHOWN).collect::<String>().escape_debug().to_string()
            };
            let rows = letters.iter().map(|letter| columns.map(|column| cell(letter, column)).to_vec());
            println!("{}", table(&columns, columns.len(), rows));
            println!("{} of {} dead letters", grouped(letters.len() as i64), grouped(total));
        }
    }
    Ok(Answer::Yes)
}

/// What names the record that died: partition and offset, behind its topic where that is not `logs.raw`.
fn id(letter: &Letter<'_>) -> String {
    let own = &letter.letter;
    let at = format!("{}/{}", own.partition, own.offset);
    if own.topic == topics::RAW { at } else { format!("{}/{at}", own.topic) }
}

fn object(service: &Service, letter: &Letter<'_>) -> Value {
    let own = &letter.letter;
    let raw = service.codecs.raw().decode::<RawEvent<'_>>(letter.value);
    let raw = raw.unwrap_or_else(|_| undecodable(letter.key, letter.value, letter.received));
    json!({
        "id": id(letter), "topic": own.topic, "partition": own.partition, "offset": own.offset,
        "received": time(letter.received), "died": time(letter.died), "tenant": own.tenant, "stream": own.stream,
        "host": raw.host, "file": raw.file, "stage": own.stage, "reason": own.reason, "detail": own.detail,
        "source": Field::Source.of(own), "parser": Field::Parser.of(own), "letter": letter.offset,
        "line": String::from_utf8_lossy(raw.body),
    })
}

fn show(args: &Show) -> anyhow::Result<Answer> {
    let service = place::service(&args.place)?;
    let mut found = Vec::new();
    Letters::open(&service)?.each(&service, |letter| {
        if id(&letter) == args.id {
            let mut shown = object(&service, &letter);
            shown["state"] = json!(match letter.state {
                State::Owed => "dead",
                State::Settled => "repaired",
                State::Replaced => "sent again, see the next letter",
                State::Foreign => "not of a producer",
            });
            found.push(shown);
        }
        Ok(())
    })?;
    match args.format {
        Format::Json => println!("{}", serde_json::to_string_pretty(&found)?),
        Format::Text => {
            for shown in found.iter().filter_map(Value::as_object) {
                for (name, value) in shown.iter().filter(|(_, value)| !value.is_null()) {
                    println!(
                        "{name:<10} {}",
                        value.as_str().map_or_else(|| value.to_string(), str::to_owned)
                    );
                }
                println!();
            }
        }
    }
    if found.is_empty() {
        eprintln!("logs.dead has no letter of {}; ids are those of `millrace dlq ls`", args.id);
        return Ok(Answer::No);
    }
    Ok(Answer::Yes)
}

fn count(args: &Count) -> anyhow::Result<Answer> {
    let by: Vec<Field> = args.by.iter().map(|name| Field::named(name)).collect::<Result<_, _>>()?;
    let choice = Choice::read(&args.letters.conditions)?;
    let service = place::service(&args.letters.place)?;
    let mut counts_by: BTreeMap<Vec<String>, i64> = BTreeMap::new();
    Letters::open(&service)?.each(&service, |letter| {
        if counts(&letter) && choice.fits(&letter.letter) {
            let key = by.iter().map(|field| field.of(&letter.letter).into_owned()).collect();
            *counts_by.entry(key).or_default() += 1;
        }
        Ok(())
    })?;
    let total: i64 = counts_by.values().sum();
    let mut rows: Vec<(Vec<String>, i64)> = counts_by.into_iter().collect();
    rows.sort_by(|(key, a), (other, b)| b.cmp(a).then_with(|| key.cmp(other)));
    match args.letters.format {
        Format::Json => {
            let named = |(key, count): &(Vec<String>, i64)| {
                let fields = by.iter().zip(key).map(|(field, text)| (field.name().to_owned(), json!(text)));
                Value::Object(fields.chain([("count".to_owned(), json!(count))]).collect::<Map<_, _>>())
            };
            let counts: Vec<Value> = rows.iter().map(named).collect();
            println!("{}", serde_json::to_string_pretty(&json!({"total": total, "counts": counts}))?);
        }
        Format::Text => {
            let headers: Vec<&str> = by.iter().map(|field| field.name()).chain(["letters"]).collect();
            let rows = rows.into_iter().map(|(mut key, count)| {
                key.push(grouped(count));
                key
            });
            println!("{}", table(&headers, by.len(), rows));
            println!("{} dead letters", grouped(total));
        }
    }
    Ok(Answer::Yes)
}

fn span(wait: Option<&str>) -> anyhow::Result<Option<std::time::Duration>> {
    wait.map(place::duration).transpose().context("could not read --wait")
}
