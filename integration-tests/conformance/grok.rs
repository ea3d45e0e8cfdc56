//! Topic grok: every pattern compiles with its fields, and every expression captures exactly what it should.

use std::collections::BTreeMap;
use std::path::Path;

use millrace_jobs::grok::{Grok, Library};
use millrace_jobs::pattern::Pattern;
use millrace_schemas::Value as Field;
use serde_json::{Map, Value, json};

use crate::{Cases, objects, same, text};

pub(crate) fn cases(folder: &Path) -> Cases {
    let mut sets = BTreeMap::new();
    for mode in ["legacy", "ecs-v1"] {
        sets.insert(
            mode,
            Expressions { library: library(&folder.join("patterns").join(mode)), compiled: BTreeMap::new() },
        );
    }
    let mut all = Vec::new();
    for case in objects(&folder.join("pattern_index.jsonl")) {
        let id = format!("pattern_index/{}/{}", text(&case, "mode"), text(&case, "pattern"));
        all.push((id, compiles(&case, &sets[text(&case, "mode")].library)));
    }
    for file in ["cases", "reference_runs"] {
        for (at, case) in objects(&folder.join(format!("{file}.jsonl"))).iter().enumerate() {
            let id = case["id"].as_str().map_or_else(|| format!("{file}/{at}"), |id| format!("{file}/{id}"));
            let set = sets.get_mut(text(case, "mode")).expect("a mode of the corpus is known");
            all.push((id, captures(case, set)));
        }
    }
    for case in objects(&folder.join("aliases_cases.jsonl")) {
        all.push((format!("aliases/{}", text(&case, "id")), aliases(&case)));
    }
    all
}

/// Files in the usual form.
pub(crate) fn library(folder: &Path) -> Library {
    let mut library = Library::empty();
    for entry in std::fs::read_dir(folder).expect("the folder of patterns is there") {
        let file = std::fs::read_to_string(entry.expect("an entry of it").path());
        library.add_file(&file.expect("a file of patterns is text"));
    }
    library
}

struct Expressions {
    library: Library,
    compiled: BTreeMap<String, (Grok, Pattern)>,
}

fn compiles(case: &Value, library: &Library) -> Result<(), String> {
    let expression = format!("%{{{}}}", text(case, "pattern"));
    let (grok, _) = Grok::new(&expression, library, false).map_err(|error| error.to_string())?;
    let dotted =
        |field: &str| field.split(['[', ']']).filter(|part| !part.is_empty()).collect::<Vec<_>>().join(".");
    let mut wanted: Vec<String> =
        case["fields"].as_array().into_iter().flatten().filter_map(Value::as_str).map(dotted).collect();
    let mut is: Vec<String> = grok.names().map(str::to_owned).collect();
    wanted.sort();
    wanted.dedup();
    is.sort();
    same("the fields", &is, &wanted)
}

fn captures(case: &Value, set: &mut Expressions) -> Result<(), String> {
    let expression = text(case, "match");
    if !set.compiled.contains_key(expression) {
        let compiled = Grok::new(expression, &set.library, false).map_err(|error| error.to_string())?;
        set.compiled.insert(expression.to_owned(), compiled);
    }
    let (grok, pattern) = &set.compiled[expression];
    let is = read(grok, pattern, text(case, "line"))?;
    same("what is captured", &is, &case["expected"])
}

/// What an expression captures, in the form of the corpus: nested objects, without `@metadata`.
fn read(grok: &Grok, pattern: &Pattern, line: &str) -> Result<Value, String> {
    let Some(captures) = pattern.captures(line).map_err(|_| "too complex".to_owned())? else {
        return Ok(Value::Null);
    };
    let mut object = Map::new();
    for (name, value) in grok.fields(line, &captures) {
        let value = match value {
            Field::String(text) => array(&text, grok, name).unwrap_or_else(|| json!(text)),
            Field::Long(number) => json!(number),
            Field::Double(number) => json!(number),
            Field::Boolean(truth) => json!(truth),
        };
        let path: Vec<&str> = name.split('.').collect();
        if path[0] != "@metadata" {
            insert(&mut object, &path, value);
        }
    }
    Ok(Value::Object(object))
}

/// Several captures of a field are JSON text.
fn array(text: &str, grok: &Grok, name: &str) -> Option<Value> {
    let several = grok.is_repeated(name) && text.starts_with('[');
    several.then(|| serde_json::from_str(text).ok()).flatten()
}

fn insert(object: &mut Map<String, Value>, path: &[&str], value: Value) {
    match path {
        [] => {}
        [name] => drop(object.insert((*name).to_owned(), value)),
        [name, rest @ ..] => {
            let inner = object.entry((*name).to_owned()).or_insert_with(|| json!({}));
            if let Value::Object(inner) = inner {
                insert(inner, rest, value);
            }
        }
    }
}

/// `anchored` rules are tried one after the other; the first that matches the whole line counts.
fn aliases(case: &Value) -> Result<(), String> {
    let is = aliased(case);
    match (is, &case["expected"]) {
        (Ok(is), Value::Null) => Err(format!("captured {is}, and should be refused")),
        (Ok(is), wanted) => same("what is captured", &is, wanted),
        (Err(_), Value::Null) => Ok(()),
        (Err(error), _) => Err(error),
    }
}

fn aliased(case: &Value) -> Result<Value, String> {
    let mut library = Library::base();
    for (name, pattern) in case["aliases"].as_object().into_iter().flatten() {
        library.add(name, pattern.as_str().ok_or("an alias is not a text")?);
    }
    for rule in case["patterns"].as_array().into_iter().flatten().filter_map(Value::as_str) {
        let rule = if case["anchored"] == true { format!(r"\A(?:{rule})\z") } else { rule.to_owned() };
        let (grok, pattern) = Grok::new(&rule, &library, false).map_err(|error| error.to_string())?;
        let found = read(&grok, &pattern, text(case, "line"))?;
        if !found.is_null() {
            return Ok(found);
        }
    }
    Err("no rule matches".into())
}
