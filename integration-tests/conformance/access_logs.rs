//! Topic access_logs: totals of a whole file of real lines.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use serde_json::{Value, json};

use crate::chain::{RECEIVED, Read, read, steps};
use crate::{Cases, same};

pub(crate) fn cases(folder: &Path) -> Cases {
    let mut all = Vec::new();
    let entries =
        std::fs::read_dir(folder).into_iter().flatten().map(|entry| entry.expect("an entry").path());
    for log in entries.filter(|path| path.extension().is_some_and(|own| own == "log")) {
        let summary =
            std::fs::read_to_string(log.with_extension("summary.json")).expect("a log has a summary");
        let summary: Value = serde_json::from_str(&summary).expect("a summary is JSON");
        let text = std::fs::read(&log).expect("a log is there");
        let name = log.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        let totals = totals(&String::from_utf8_lossy(&text));
        for (key, wanted) in summary.as_object().into_iter().flatten() {
            if let Some(is) = totals.get(key.as_str()) {
                all.push((format!("{name}/{key}"), judge(key, is, wanted)));
            }
        }
    }
    all
}

/// The order among equals is free, and so is who comes last of a list of the first ones.
fn judge(key: &str, is: &Value, wanted: &Value) -> Result<(), String> {
    let (Some(wanted_top), true) = (wanted.as_array(), key.starts_with("top_")) else {
        return same(key, is, wanted);
    };
    let counts: Vec<Value> =
        is.as_array().into_iter().flatten().take(wanted_top.len()).map(|own| own[1].clone()).collect();
    same("the counts", &counts, &wanted_top.iter().map(|own| own[1].clone()).collect())?;
    match wanted_top.iter().find(|own| !is.as_array().is_some_and(|is| is.contains(own))) {
        None => Ok(()),
        Some(missing) => Err(format!("{missing} is missing")),
    }
}

fn totals(text: &str) -> BTreeMap<&'static str, Value> {
    let combined = steps(r#"[{ apache = { format = "combined" } }]"#).expect("the format is known");
    let (mut refused, mut read_lines) = (Vec::new(), Vec::new());
    for (number, line) in (1..).zip(text.lines()) {
        match read(&combined, line, RECEIVED) {
            Ok(own) => read_lines.push(own),
            Err(_) => refused.push(number),
        }
    }
    let field = |own: &Read, name: &str| {
        own.fields
            .get(name)
            .map_or("-".to_owned(), |value| value.as_str().map_or_else(|| value.to_string(), str::to_owned))
    };
    let count = |name: &str| {
        let mut counts: BTreeMap<String, u64> = BTreeMap::new();
        read_lines.iter().for_each(|own| *counts.entry(field(own, name)).or_default() += 1);
        counts
    };
    let top = |name: &str| {
        let mut all: Vec<_> = count(name).into_iter().map(|(name, count)| json!([name, count])).collect();
        all.sort_by_key(|own| std::cmp::Reverse(own[1].as_u64()));
        json!(all)
    };
    let hours = read_lines.iter().filter_map(|own| own.time).map(|time| time.div_euclid(3_600_000_000));
    let mut per_hour: BTreeMap<String, u64> = BTreeMap::new();
    hours.for_each(|hour| *per_hour.entry(hour_name(hour)).or_default() += 1);
    let distinct = |name: &str| read_lines.iter().map(|own| field(own, name)).collect::<BTreeSet<_>>().len();
    let bytes: i64 = read_lines.iter().filter_map(|own| own.fields.get("bytes")?.as_i64()).sum();
    BTreeMap::from([
        ("lines", json!(text.lines().count())),
        ("lines_not_in_combined_form", json!(refused)),
        ("status", json!(count("status"))),
        ("verb", json!(count("method"))),
        ("per_hour", json!(per_hour)),
        ("bytes_total", json!(bytes)),
        ("distinct_clients", json!(distinct("client"))),
        ("top_clients", top("client")),
        ("distinct_paths", json!(distinct("path"))),
        ("top_paths", top("path")),
        ("distinct_user_agents", json!(distinct("agent"))),
    ])
}

/// Hours since the epoch as `17/May/2015:10`, by counting days.
fn hour_name(hour: i64) -> String {
    let (mut day, hour) = (hour.div_euclid(24), hour.rem_euclid(24));
    let leap = |year: i64| (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
    let mut year = 1970;
    while day >= 365 + i64::from(leap(year)) {
        day -= 365 + i64::from(leap(year));
        year += 1;
    }
    let months = [31, 28 + i64::from(leap(year)), 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
    let mut month = 0;
    while day >= months[month] {
        day -= months[month];
        month += 1;
    }
    let names = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    format!("{:02}/{}/{year}:{hour:02}", day + 1, names[month])
}
