//! Topic loghub: lines of real systems against a table of their parts. The formats are the sources in `loghub.toml`, named
//! like the systems, their fields like the columns; a system without a source is skipped, and named.

use std::path::Path;

use millrace_jobs::grok::Library;
use serde_json::Value;

use crate::Cases;
use crate::chain::{RECEIVED, quoted, read, source, steps};

pub(crate) fn cases(folder: &Path) -> Cases {
    let formats: toml::Table = include_str!("loghub.toml").parse().expect("the formats are TOML");
    let mut all = Vec::new();
    let mut systems: Vec<_> = std::fs::read_dir(folder)
        .into_iter()
        .flatten()
        .map(|entry| entry.expect("an entry").path())
        .collect();
    systems.sort();
    for system in systems.into_iter().filter(|path| path.is_dir()) {
        let name = system.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let Some(steps) = formats.get(&name) else {
            println!("loghub: there is no source for {name}");
            continue;
        };
        let mut table = toml::Table::new();
        table.insert("name".into(), name.to_lowercase().into());
        table.insert("steps".into(), steps.clone());
        let source = source(&table.to_string(), &Library::base()).expect("a format is a source");
        let log = std::fs::read_to_string(system.join(format!("{name}_2k.log"))).expect("a log is there");
        let rows = rows(
            &std::fs::read_to_string(system.join(format!("{name}_2k.log_structured.csv")))
                .expect("a table is there"),
        );
        for (number, (line, row)) in log.lines().zip(rows).enumerate() {
            all.push((format!("{name}/{}", number + 1), judge(&source, line, &row)));
        }
    }
    all
}

fn judge(source: &millrace_jobs::parse::Source, line: &str, row: &[(String, String)]) -> Result<(), String> {
    let is = read(source, line, RECEIVED)?;
    for (column, wanted) in
        row.iter().filter(|(column, _)| !matches!(column.as_str(), "LineId" | "EventId" | "EventTemplate"))
    {
        let own = match is.fields.get(column) {
            Some(Value::String(text)) => text.clone(),
            Some(other) => other.to_string(),
            None => String::new(),
        };
        if own.trim() != wanted.trim() {
            return Err(format!("{column} is {own:?}, not {wanted:?}"));
        }
    }
    Ok(())
}

/// Rows of a table with quotes, by our own step.
fn rows(table: &str) -> Vec<Vec<(String, String)>> {
    let mut lines = table.lines();
    let columns: Vec<&str> = lines.next().unwrap_or_default().split(',').collect();
    let names: Vec<String> = columns.iter().map(|name| quoted(name)).collect();
    let csv =
        steps(&format!("[{{ csv = {{ columns = [{}] }} }}]", names.join(", "))).expect("a step is known");
    lines
        .map(|line| {
            let row = read(&csv, line, RECEIVED).expect("a row is CSV");
            let value = |name: &str| {
                row.get(name).map(|own| own.as_str().unwrap_or_default().to_owned()).unwrap_or_default()
            };
            columns.iter().map(|name| ((*name).to_owned(), value(name))).collect()
        })
        .collect()
}
