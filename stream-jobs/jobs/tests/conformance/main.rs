//! Other people's lines and what must come of them, from the folder that `CORPORA` names; without it, nothing is run.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod access_logs;
mod auth_logs;
mod chain;
mod expression;
mod field_parsers;
mod format_samples;
mod grok;
mod loghub;
mod parsed_logs;
mod regex_formats;
mod timestamps;

use std::path::{Path, PathBuf};

use serde_json::Value;

/// A case by id, and what is wrong with it.
pub(crate) type Cases = Vec<(String, Result<(), String>)>;

pub(crate) fn objects(path: &Path) -> Vec<Value> {
    let text = std::fs::read_to_string(path).unwrap_or_default();
    text.lines().map(|line| serde_json::from_str(line).expect("a line of a corpus is JSON")).collect()
}

pub(crate) fn text<'v>(case: &'v Value, name: &str) -> &'v str {
    case[name].as_str().unwrap_or_default()
}

pub(crate) fn same<T: PartialEq + std::fmt::Debug>(what: &str, is: &T, wanted: &T) -> Result<(), String> {
    if is == wanted { Ok(()) } else { Err(format!("{what} is {is:?}, not {wanted:?}")) }
}

fn topic(name: &str, floor: f64, cases: fn(&Path) -> Cases) {
    #[allow(clippy::disallowed_methods)] // a test is no job
    let Some(corpora) = std::env::var_os("CORPORA") else { return };
    let folder = PathBuf::from(corpora).join(name);
    let differences: toml::Table = include_str!("differences.toml").parse().unwrap();
    let differs = |id: &str| differences.get(name).and_then(|own| own.get(id)).is_some();
    let all = cases(&folder);
    let counted: Vec<_> = all.iter().filter(|(id, _)| !differs(id)).collect();
    let failing: Vec<_> =
        counted.iter().filter_map(|(id, own)| Some(format!("{id}: {}", own.as_ref().err()?))).collect();
    println!(
        "{name} {}/{} ({} differ)",
        counted.len() - failing.len(),
        counted.len(),
        all.len() - counted.len()
    );
    for (id, _) in all.iter().filter(|(id, own)| differs(id) && own.is_ok()) {
        println!("  {id} is listed as a difference, and is none");
    }
    failing.iter().for_each(|own| println!("  {own}"));
    let share = (counted.len() - failing.len()) as f64 / counted.len().max(1) as f64 * 100.0;
    assert!(share >= floor && !counted.is_empty(), "{name} is at {share:.1} %");
}

macro_rules! topics {
    ($($name:ident: $floor:literal;)*) => {$(
        #[test]
        fn $name() {
            topic(stringify!($name), $floor, $name::cases);
        }
    )*};
}

topics! {
    grok: 98.0;
    field_parsers: 98.0;
    format_samples: 98.0;
    regex_formats: 98.0;
    parsed_logs: 95.0;
    access_logs: 98.0;
    auth_logs: 98.0;
    loghub: 98.0;
    timestamps: 98.0;
}
