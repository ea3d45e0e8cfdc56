//! Topic parsed_logs: a peer's rules, read from the corpus, run on our patterns; the captures of each line that the corpus
//! names are compared (it does not name all).
//!
//! A rule is a tree of nodes: a filter, a pattern, values that are set, and further nodes of which the first counts that
//! holds. Names of patterns that the peer ships are defined in `parsed_logs.patterns`.

use std::collections::BTreeMap;
use std::path::Path;

use millrace_jobs::grok::{Grok, Library};
use millrace_schemas::Value as Field;
use serde_json::{Value, json};

use crate::expression::{self, Event};
use crate::{Cases, named_by, objects, text};

pub(crate) fn cases(folder: &Path) -> Cases {
    let mut rules: BTreeMap<String, Option<Value>> = BTreeMap::new();
    let (mut all, mut judged, mut meta) = (Vec::new(), 0, 0);
    for case in &objects(&folder.join("cases.jsonl")) {
        let parser = text(case, "parser");
        let rule = rules.entry(parser.to_owned()).or_insert_with(|| {
            let file = std::fs::read_to_string(folder.join("rules").join(format!("{parser}.yaml"))).ok()?;
            Some(serde_yaml_ng::from_str(&file).expect("a rule of the corpus is YAML"))
        });
        let Some(rule) = rule else { continue };
        let mut event = start(case);
        let mut library = Library::base();
        library.add_file(include_str!("parsed_logs.patterns"));
        let done = node(rule, &mut event, &library);
        let id = named_by(&format!("{}{}{}", case["line"], case["message"], case["expected"]));
        all.push((format!("{parser}/{id}"), done.and_then(|matched| judge(case, &event, matched))));
        for (name, wanted) in case["meta"].as_object().into_iter().flatten() {
            judged += 1;
            meta += usize::from(
                event.meta.get(name).is_some_and(|is| expression::plain(is) == expression::plain(wanted)),
            );
        }
    }
    println!("parsed_logs: meta {meta}/{judged} values (no floor)");
    all
}

fn start(case: &Value) -> Event {
    let mut parsed = case["header"].as_object().cloned().unwrap_or_default();
    // What came without a header is the message as a whole.
    let message = if case["message"].is_string() { "message" } else { "line" };
    parsed.insert("message".into(), case[message].clone());
    if let Some(program) = case["log_type"].as_str().filter(|_| !parsed.contains_key("program")) {
        parsed.insert("program".into(), json!(program));
    }
    let line = if case["line"].is_string() { text(case, "line") } else { text(case, "message") };
    Event {
        parsed,
        meta: Default::default(),
        unmarshaled: Default::default(),
        line: line.to_owned(),
        kind: text(case, "log_type").to_owned(),
    }
}

/// Runs a node; false where its filter or its pattern does not hold.
fn node(node: &Value, event: &mut Event, outer: &Library) -> Result<bool, String> {
    let mut library = outer.clone();
    for (name, pattern) in node["pattern_syntax"].as_object().into_iter().flatten() {
        library.add(name, pattern.as_str().unwrap_or_default());
    }
    if let Some(filter) = node["filter"].as_str() {
        // What the corpus does not carry (labels of the source) holds.
        let unknown = filter.contains("evt.Line.Labels") || filter.contains("datasource_type");
        // So does not what asks for something that other lines have left behind.
        if !unknown && !expression::evaluate(filter, event).is_ok_and(|value| expression::truth(&value)) {
            return Ok(false);
        }
    }
    if node["grok"].is_object() && !grok(&node["grok"], event, &library)? {
        return Ok(false);
    }
    let mut held = node["nodes"].as_array().is_none_or(Vec::is_empty);
    for inner in node["nodes"].as_array().into_iter().flatten() {
        if self::node(inner, event, &library)? {
            held = true;
            break;
        }
    }
    if !held && !node["grok"].is_object() {
        return Ok(false);
    }
    statics(&node["statics"], event);
    Ok(true)
}

fn grok(own: &Value, event: &mut Event, library: &Library) -> Result<bool, String> {
    let expression = match (own["pattern"].as_str(), own["name"].as_str()) {
        (Some(pattern), _) => pattern.to_owned(),
        (None, Some(name)) => format!("%{{{name}}}"),
        (None, None) => return Err("a grok without pattern and name".into()),
    };
    let input = match (own["expression"].as_str(), text(own, "apply_on")) {
        (Some(expression), _) => expression::plain(&expression::evaluate(expression, event)?),
        (None, "Line.Raw") => event.line.clone(),
        (None, field) => event.parsed.get(field).map(expression::plain).unwrap_or_default(),
    };
    let (grok, pattern) = Grok::new(&expression, library, false).map_err(|error| error.to_string())?;
    let captures = pattern.captures(&input).map_err(|_| "too complex".to_owned())?;
    let Some(captures) = captures else { return Ok(false) };
    for (name, value) in grok.fields(&input, &captures) {
        let Field::String(value) = value else { continue };
        let several: Option<Vec<String>> =
            grok.is_repeated(name).then(|| serde_json::from_str(&value).ok()).flatten();
        let value = several.and_then(|mut all| all.pop()).unwrap_or_else(|| value.into_owned());
        event.parsed.insert(name.to_owned(), json!(value));
    }
    statics(&own["statics"], event);
    Ok(true)
}

fn statics(all: &Value, event: &mut Event) {
    for own in all.as_array().into_iter().flatten() {
        let value = match (own["expression"].as_str(), &own["value"]) {
            (Some(expression), _) => expression::evaluate(expression, event).unwrap_or(Value::Null),
            (None, value) => value.clone(),
        };
        if value.is_null() {
            continue;
        }
        let target = own["target"].as_str().and_then(|target| target.strip_prefix("evt.Parsed."));
        if let Some(name) = own["parsed"].as_str().or(target) {
            event.parsed.insert(name.to_owned(), value);
        } else if let Some(name) = own["meta"].as_str().filter(|_| value != "") {
            event.meta.insert(name.to_owned(), value);
        }
    }
}

fn judge(case: &Value, event: &Event, matched: bool) -> Result<(), String> {
    let expected = case["expected"].as_object().cloned().unwrap_or_default();
    if !matched && !expected.is_empty() {
        return Err("does not match".into());
    }
    for (name, wanted) in &expected {
        let is = event.parsed.get(name).map(expression::plain);
        if is.as_deref() != Some(expression::plain(wanted).as_str()) {
            return Err(format!("{name} is {is:?}, not {wanted}"));
        }
    }
    Ok(())
}
