//! Topic parsed_logs: a peer's rules, read from the corpus, run on our patterns; the captures of each line that the corpus
//! names are compared (it does not name all).
//!
//! A rule is a tree of nodes: a filter, a pattern, values that are set, and further nodes: all of them, or those up to the
//! first that holds where the node is the last of its stage then. A file may have several rules. Names of patterns that the
//! peer ships are defined in `parsed_logs.patterns`.

use std::collections::BTreeMap;
use std::path::Path;

use millrace_jobs::grok::{Grok, Library};
use millrace_schemas::Value as Field;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::expression::{self, Event};
use crate::{Cases, named_by, objects, text};

pub(crate) fn cases(folder: &Path) -> Cases {
    let rules = rules(&folder.join("rules"));
    let library = library(&rules);
    let (mut all, mut judged, mut meta) = (Vec::new(), 0, 0);
    for case in &objects(&folder.join("cases.jsonl")) {
        let parser = text(case, "parser");
        let Some(rule) = rules.get(parser) else { continue };
        let mut event = start(case);
        let done =
            rule.as_ref().map_err(Clone::clone).and_then(|rule| stage(parser, rule, &mut event, &library));
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

/// The documents of each rule by the name of its file, or why it cannot be read.
type Rules = BTreeMap<String, Result<Vec<Value>, String>>;

fn rules(folder: &Path) -> Rules {
    let mut rules = Rules::new();
    for file in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let name = file.file_name().to_string_lossy().into_owned();
        if let (Some(name), Ok(text)) = (name.strip_suffix(".yaml"), std::fs::read_to_string(file.path())) {
            let documents = serde_yaml_ng::Deserializer::from_str(&text).map(Value::deserialize);
            let documents = documents.collect::<Result<_, _>>().map_err(|error| error.to_string());
            rules.insert(name.to_owned(), documents);
        }
    }
    rules
}

/// The names of the peer's library, and those that any of the rules defines: they are common to all, as with the peer. A
/// rule's own come first.
fn library(rules: &Rules) -> Library {
    fn add(node: &Value, library: &mut Library) {
        for (name, pattern) in node["pattern_syntax"].as_object().into_iter().flatten() {
            if library.find(name).is_none() {
                library.add(name, pattern.as_str().unwrap_or_default());
            }
        }
        node["nodes"].as_array().into_iter().flatten().for_each(|inner| add(inner, library));
    }
    let mut library = Library::base();
    library.add_file(include_str!("parsed_logs.patterns"));
    rules.values().flatten().flatten().for_each(|document| add(document, &mut library));
    library
}

/// Runs the documents of a rule up to the one that has the parser's name, or to one that holds and is the last then.
fn stage(parser: &str, rule: &[Value], event: &mut Event, library: &Library) -> Result<bool, String> {
    let mut matched = false;
    for document in rule {
        let held = node(document, event, library)?;
        matched |= held;
        let named = document["name"].as_str().is_some_and(|name| name.rsplit('/').next() == Some(parser));
        if named || held && is_last(document) {
            break;
        }
    }
    Ok(matched)
}

/// What holds ends the stage it stands in, or its parent's nodes.
fn is_last(node: &Value) -> bool {
    node["onsuccess"] == "next_stage"
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
    // A pattern that holds keeps its node so, whatever the nodes within say; without one the last of them that ran decides.
    let mut held = true;
    for inner in node["nodes"].as_array().into_iter().flatten() {
        if self::node(inner, event, &library)? {
            held = true;
            if is_last(node) {
                break;
            }
        } else {
            held &= node["grok"].is_object();
        }
    }
    if held {
        statics(&node["statics"], event);
    }
    Ok(held)
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
        (None, field) => match event.parsed.get(field) {
            Some(value) => expression::plain(value),
            None => return Ok(false),
        },
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
        if own["method"] == "UnmarshalJSON" {
            let text = expression::evaluate(text(own, "expression"), event).unwrap_or(Value::Null);
            let object = serde_json::from_str::<Value>(&expression::plain(&text)).unwrap_or(Value::Null);
            event.unmarshaled.extend(object.as_object().cloned().unwrap_or_default());
            continue;
        }
        let value = match (own["expression"].as_str(), &own["value"]) {
            (Some(expression), _) => expression::evaluate(expression, event).unwrap_or(Value::Null),
            (None, value) => value.clone(),
        };
        if value.is_null() {
            continue;
        }
        let target = |part| own["target"].as_str().and_then(|target| target.strip_prefix(part));
        if let Some(name) = own["parsed"].as_str().or(target("evt.Parsed.")) {
            event.parsed.insert(name.to_owned(), value);
        } else if let Some(name) = own["meta"].as_str().or(target("evt.Meta.")).filter(|_| value != "") {
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
