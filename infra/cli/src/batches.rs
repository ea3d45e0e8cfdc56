//! `millrace batches`: the minutes that came by `PUT /v1/batches/…`, and which attempt of each counts.

use clap::Args;
use millrace_runtime::batches;
use millrace_runtime::sink::now_micros;
use millrace_schemas::attempt::{BatchAttempt, BatchState};
use serde_json::json;

use crate::args::{Format, Place};
use crate::output::{Answer, grouped, minute, table};
use crate::place;

const MINUTE_MICROS: i64 = 60_000_000;

#[derive(Debug, Args)]
pub(crate) struct Batches {
    #[arg(long, default_value = "default")]
    tenant: String,
    /// Of this stream only
    #[arg(long)]
    stream: Option<String>,
    /// Of this host only
    #[arg(long)]
    host: Option<String>,
    /// Minutes from so long ago on: 30m, 1h, 7d
    #[arg(long)]
    since: Option<String>,
    /// Only those of which an attempt was replaced
    #[arg(long)]
    replaced: bool,
    #[arg(long, value_enum, default_value = "text")]
    format: Format,
    #[command(flatten)]
    place: Place,
}

impl Batches {
    fn wants(&self, state: &BatchState, from: i64) -> bool {
        let is = |wanted: &Option<String>, own: &str| wanted.as_deref().is_none_or(|wanted| wanted == own);
        state.tenant == self.tenant
            && is(&self.stream, &state.stream)
            && is(&self.host, &state.host)
            && state.minute >= from
            && (!self.replaced || !state.superseded().is_empty())
    }
}

pub(crate) fn ls(args: &Batches) -> anyhow::Result<Answer> {
    let since = args.since.as_deref().map(place::duration).transpose()?;
    let from = since.map_or(i64::MIN, |span| {
        (now_micros() - span.as_micros().min(i64::MAX as u128) as i64).div_euclid(MINUTE_MICROS)
    });
    let service = place::service(&args.place)?;
    // The last record of each counts.
    let mut found = std::collections::HashMap::new();
    batches::read(&service, |key, state| match state.filter(|state| args.wants(state, from)) {
        Some(state) => drop(found.insert(key.to_vec(), state)),
        None => drop(found.remove(key)),
    })?;
    let mut states: Vec<BatchState> = found.into_values().collect();
    states.sort_by_key(|state| (state.minute, state.key()));
    if args.format == Format::Json {
        let shown: Vec<_> = states.iter().map(json).collect();
        println!("{}", serde_json::to_string_pretty(&shown)?);
        return Ok(Answer::Yes);
    }
    let rows = states.iter().map(|state| {
        let number =
            |of: fn(BatchAttempt) -> i64| state.counts().map_or_else(String::new, |own| grouped(of(own)));
        vec![
            minute(state.minute.saturating_mul(MINUTE_MICROS)),
            state.stream.clone(),
            state.host.clone(),
            state.source.clone().unwrap_or_default(),
            if state.open.is_some() { "growing" } else { "whole" }.to_owned(),
            number(|attempt| attempt.number),
            number(|attempt| attempt.count),
        ]
    });
    let columns = ["minute", "stream", "host", "source", "state", "attempt", "lines"];
    println!("{}", table(&columns, 5, rows));
    Ok(Answer::Yes)
}

fn json(state: &BatchState) -> serde_json::Value {
    json!({
        "minute": minute(state.minute.saturating_mul(MINUTE_MICROS)),
        "stream": state.stream,
        "host": state.host,
        "source": state.source,
        "scope": state.scope(),
        "open": state.open,
        "ended": state.ended,
        "counts": state.counts().map(|own| own.number),
    })
}
