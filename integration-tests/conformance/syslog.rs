//! Topic syslog: how many messages a stream holds, which host each names, and which of them the parse job takes for
//! RFC 5424.

use std::path::Path;

use millrace_gateway::item::Item;
use millrace_gateway::protocol::syslog::{Fault, Frame, Framer, item};
use millrace_jobs::parse::Format;
use serde_json::Value;

use crate::gateway::decode;
use crate::parsed::parse;
use crate::{Cases, named_by, objects, same, text};

pub(crate) fn cases(folder: &Path) -> Cases {
    let mut all = Vec::new();
    let mut add = |file: &str, judge: fn(&Value) -> Result<(), String>| {
        for case in objects(&folder.join(format!("{file}.jsonl"))) {
            // Input that is not UTF-8 is a kind of its own, and so is an id of structured data that comes again.
            let kind = match case["input"].is_string() {
                true if text(&case, "error").starts_with("duplicate structured data") => "repeated-",
                true => "",
                false => "bytes-",
            };
            all.push((format!("{file}-{kind}{}", named_by(&case["input"].to_string())), judge(&case)));
        }
    };
    add("framing", framing);
    add("rfc_examples", named);
    add("lenient", named);
    add("rsyslog_parse", named);
    add("rfc5424_strict", strict);
    all
}

fn input(case: &Value) -> Vec<u8> {
    match &case["input"] {
        Value::String(text) => text.clone().into_bytes(),
        other => decode(text(other, "base64")),
    }
}

/// As many messages as a best-effort reader finds, each with its text.
fn framing(case: &Value) -> Result<(), String> {
    let mut framer = Framer::default();
    framer.push(&input(case));
    let mut frames: Vec<Frame> = std::iter::from_fn(|| framer.take()).collect();
    frames.extend(std::iter::from_fn(|| framer.take_last()));
    let results = case["best_effort"].as_array().ok_or("the case has no results")?;
    let wanted: Vec<&Value> =
        results.iter().map(|own| &own["message"]).filter(|own| !own.is_null()).collect();
    // Stray bytes are kept as a message of their own; a reader of the corpus stops there.
    let is: Vec<&Frame> = frames.iter().filter(|frame| frame.fault != Some(Fault::Stray)).collect();
    same("the number of messages", &is.len(), &wanted.len())?;
    for (frame, message) in is.iter().zip(wanted) {
        let body = String::from_utf8_lossy(&frame.body);
        same("the priority", &body.starts_with(&format!("<{}>", message["priority"])), &true)?;
        same("the text", &body.ends_with(text(message, "message")), &true)?;
    }
    Ok(())
}

/// The host that the message names, if it is known which.
fn named(case: &Value) -> Result<(), String> {
    let input = input(case);
    let item: Item<'_> = item("syslog", &input);
    same("the message, kept as it came,", &(*item.body == *input), &true)?;
    let hostname = &case["expected"]["hostname"];
    if case["expected"].get("hostname").is_none() || hostname == "<RECEIVER>" {
        return Ok(());
    }
    same("the host", &item.host.as_deref(), &hostname.as_str())
}

/// Valid messages are read, with their host; others go to the dead letters with their bytes.
fn strict(case: &Value) -> Result<(), String> {
    let input = input(case);
    let item = item("syslog", &input);
    let valid = case["valid"] == true;
    same("taken for valid", &parse(&item, Format::Rfc5424).is_ok(), &valid)?;
    if valid {
        same("the host", &item.host.as_deref(), &case["expected"]["hostname"].as_str())?;
    }
    Ok(())
}
