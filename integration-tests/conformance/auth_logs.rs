//! Topic auth_logs: lines of many services. When they were written and who came must be found in all of them; whether they
//! are a failure is said by the rules in `auth_logs.toml`, for some services, and reported without a floor.

use std::collections::BTreeMap;
use std::path::Path;

use millrace_jobs::grok::Library;
use millrace_jobs::parse::Source;

use crate::chain::{micros, read, source, steps};
use crate::{Cases, named_by, objects, same, text};

/// The peer's tests are at this time; dates without a year are of the year before it.
const NOW: &str = "2005-08-14T12:00:00Z";

pub(crate) fn cases(folder: &Path) -> Cases {
    let rules: toml::Table = include_str!("auth_logs.toml").parse().expect("the rules are TOML");
    let rules: BTreeMap<String, Source> = rules["source"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|own| {
            let table = own.as_table()?.clone();
            let source =
                source(&toml::to_string(&table).ok()?, &Library::base()).expect("a rule is a source");
            Some((source.name().to_owned(), source))
        })
        .collect();
    let times = [
        steps(r#"[{ timestamp = { timezone = "UTC" } }]"#),
        steps(r#"[{ timestamp = { timezone = "+05:00" } }]"#),
    ];
    let [utc, east] = times.map(|own| own.expect("a step is known"));
    let peer = steps(r#"["peer"]"#).expect("a step is known");
    let now = micros(NOW).expect("a time");
    let mut all = Vec::new();
    let mut verdicts: BTreeMap<String, (usize, usize)> = BTreeMap::new();
    for case in &objects(&folder.join("cases.jsonl")) {
        let (service, line) = (text(case, "service"), text(case, "line"));
        let id = format!("{service}/{}", named_by(line));
        if let Some(wanted) = case["time"].as_str() {
            let is = read(&utc, line, now).ok().and_then(|own| own.time);
            // A time with a zone of its own is the same everywhere: those of the corpus are in the peer's zone.
            let zoned = is.is_some() && is == read(&east, line, now).ok().and_then(|own| own.time);
            if !zoned {
                all.push((format!("{id}/time"), same("the time", &whole(is), &whole(micros(wanted)))));
            }
        }
        // Some failures are known by another line of the same session.
        let named = case["host"].as_str().filter(|host| case["match"] == true && line.contains(host));
        if let Some(wanted) = named {
            let is = read(&peer, line, now).map(|own| own.get("peer"));
            let is = is.unwrap_or_default();
            all.push((format!("{id}/host"), same("the host", &is, &Some(wanted.into()))));
        }
        if let Some(rule) = rules.get(service) {
            let verdict = read(rule, line, now).ok();
            let right = match &verdict {
                Some(own) => {
                    case["match"] == true && named.is_none_or(|wanted| own.get("peer") == Some(wanted.into()))
                }
                None => case["match"] == false,
            };
            let count = verdicts.entry(service.to_owned()).or_default();
            *count = (count.0 + usize::from(right), count.1 + 1);
        }
    }
    for (service, (right, total)) in verdicts {
        println!("auth_logs: failures of {service}: {right}/{total} (no floor)");
    }
    all
}

fn whole(micros: Option<i64>) -> Option<i64> {
    micros.map(|micros| micros.div_euclid(1_000_000))
}
