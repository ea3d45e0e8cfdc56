//! Topic field_parsers: one text to fields, by the function of a peer. Where names differ, ours are renamed.

use std::path::Path;

use serde_json::{Map, Value, json};

use crate::chain::{RECEIVED, Read, micros, quoted, read};
use crate::{Cases, objects, same, text};

pub(crate) fn cases(folder: &Path) -> Cases {
    let mut skipped = std::collections::BTreeMap::<String, usize>::new();
    let mut all = Vec::new();
    for case in objects(&folder.join("cases.jsonl")) {
        let function = text(&case, "fn");
        match judge(function, &case) {
            Some(result) => all.push((format!("{function}/{}", text(&case, "case")), result)),
            None => *skipped.entry(function.to_owned()).or_default() += 1,
        }
    }
    let skipped: Vec<String> = skipped.iter().map(|(name, count)| format!("{name} {count}")).collect();
    println!("field_parsers: not ours: {}", skipped.join(", "));
    all
}

/// `None`: there is no such function here.
fn judge(function: &str, case: &Value) -> Option<Result<(), String>> {
    let args = &case["args"];
    let value = match &args["value"] {
        Value::Array(bytes) => {
            let bytes: Vec<u8> = bytes.iter().filter_map(Value::as_u64).map(|byte| byte as u8).collect();
            String::from_utf8_lossy(&bytes).into_owned()
        }
        Value::Number(number) => number.to_string(),
        other => other.as_str().unwrap_or_default().to_owned(),
    };
    let chain = chain(function, case)?;
    let zone = match text(case, "default_timezone").trim_start_matches("Tz/") {
        "" => "UTC",
        zone => zone,
    };
    let toml = chain.and_then(|steps| {
        let toml = format!("name = \"case\"\ntimezone = {}\nsteps = {steps}", quoted(zone));
        crate::chain::source(&toml, &millrace_jobs::grok::Library::base())
    });
    let is = toml.and_then(|source| {
        if args["value"].is_null() {
            Err("there is no text".to_owned())
        } else {
            read(&source, &prepared(function, &value), RECEIVED)
        }
    });
    Some(match (is, case.get("error")) {
        (Err(_), Some(_)) => Ok(()),
        (Ok(is), Some(_)) if is.fields.contains_key("value_text") => Ok(()),
        (Ok(is), Some(_)) => Err(format!("is read as {is:?}, and should be refused")),
        (Err(error), None) => Err(error),
        (Ok(is), None) => compare(function, args, &is, &case["expected"]),
    })
}

/// The text that our steps read.
fn prepared(function: &str, value: &str) -> String {
    match function {
        "to_syslog_facility" => {
            value.parse::<u32>().map_or(format!("<{value}>x"), |code| format!("<{}>x", code * 8))
        }
        "to_syslog_level" if matches!(value.parse(), Ok(0..=7)) => format!("<{value}>x"),
        _ => value.to_owned(),
    }
}

/// Our steps for a function.
fn chain(function: &str, case: &Value) -> Option<Result<String, String>> {
    let args = &case["args"];
    let layout = text(args, "timestamp_format");
    let time = if layout.is_empty() { "%t".to_owned() } else { format!("[%{{{layout}}}t]") };
    let apache =
        |format: &str| format!("[{{ apache = {{ format = {} }} }}]", quoted(&format.replace("%t", &time)));
    let common = r#"%h %l %u %t "%r" %>s %b"#;
    let nginx = |format: &str| format!("{{ nginx = {{ format = {} }} }}", quoted(format));
    let combined = r#"$remote_addr - $remote_user [$time_local] "$request" $status $body_bytes_sent "$http_referer" "$http_user_agent""#;
    let cast = |to: &str| {
        format!("[{{ dissect = {{ pattern = \"%{{value}}\" }} }}, {{ cast = {{ value = \"{to}\" }} }}]")
    };
    Some(Ok(match (function, text(args, "format")) {
        ("parse_common_log", _) | ("parse_apache_log", "common") => apache(common),
        ("parse_apache_log", "combined") => {
            apache(&format!("{common} \"%{{Referer}}i\" \"%{{User-Agent}}i\""))
        }
        ("parse_apache_log", "error") => r#"["apache_error"]"#.into(),
        ("parse_nginx_log", "combined") => {
            format!(
                "[{{ first_of = [[{}], [{}]] }}]",
                nginx(combined),
                nginx(&format!("{combined} \"$gzip_ratio\""))
            )
        }
        ("parse_nginx_log", "main") => format!("[{}]", nginx("main")),
        ("parse_nginx_log", "ingress_upstreaminfo") => {
            let rest = "$request_length $request_time [$proxy_upstream_name] [$proxy_alternative_upstream_name] $upstream_addr $upstream_response_length $upstream_response_time $upstream_status $req_id";
            format!("[{}]", nginx(&format!("{combined} {rest}")))
        }
        ("parse_nginx_log", "error") => r#"["nginx_error"]"#.into(),
        ("parse_bytes", _) if power(args).is_none() => return Some(Err("there is no such unit".into())),
        ("parse_bytes", _) => cast(if args["base"] == "10" { "bytes" } else { "bytes_binary" }),
        ("parse_duration", _) => cast(&format!("duration_{}", text(args, "unit"))),
        ("parse_int", _) if args["base"].is_null() => cast("long"),
        ("parse_float", _) => cast("double"),
        ("parse_csv", _) => {
            let separator = if args["delimiter"].is_string() { text(args, "delimiter") } else { "," };
            format!("[{{ csv = {{ separator = {} }} }}]", quoted(separator))
        }
        ("parse_glog" | "parse_klog", _) => r#"["glog"]"#.into(),
        ("parse_json", _) if args["max_depth"].is_null() => r#"["json"]"#.into(),
        ("parse_cef", _) => {
            format!("[{{ cef = {{ labels = {} }} }}]", args["translate_custom_fields"] == true)
        }
        ("parse_key_value" | "parse_logfmt", _) => {
            let given = |name: &str, usual: &str| quoted(args[name].as_str().unwrap_or(usual));
            let only = args["accept_standalone_key"] == false;
            format!(
                "[{{ key_value = {{ pair_separator = {}, field_separator = {}, pairs_only = {only} }} }}]",
                given("key_value_delimiter", "="),
                given("field_delimiter", " "),
            )
        }
        ("parse_syslog" | "parse_linux_authorization" | "to_syslog_facility" | "to_syslog_level", _) => {
            r#"["syslog"]"#.into()
        }
        ("parse_query_string", _) => r#"["query_string"]"#.into(),
        ("parse_regex", _) if args["numeric_groups"].is_null() => {
            format!("[{{ regex = {{ pattern = {} }} }}]", quoted(text(args, "pattern")))
        }
        ("parse_timestamp", format) => {
            let zone = args["timezone"]
                .as_str()
                .map_or(String::new(), |zone| format!(", timezone = {}", quoted(zone)));
            format!("[{{ timestamp = {{ field = \"message\", format = {}{zone} }} }}]", quoted(format))
        }
        ("parse_url", _) => r#"[{ url = { parameters = true } }]"#.into(),
        ("parse_user_agent", _) => r#"["user_agent"]"#.into(),
        ("strip_ansi_escape_codes", _) => r#"["strip_ansi"]"#.into(),
        _ => return None,
    }))
}

fn compare(function: &str, args: &Value, is: &Read, expected: &Value) -> Result<(), String> {
    let close = |is: Option<&Value>, wanted: f64| match is.and_then(Value::as_f64) {
        Some(is) if (is - wanted).abs() <= wanted.abs() * 1e-12 => Ok(()),
        is => Err(format!("is {is:?}, not {wanted}")),
    };
    match function {
        "parse_bytes" => {
            let base = if args["base"] == "10" { 1000.0_f64 } else { 1024.0 };
            let power = power(args).unwrap_or_default();
            close(is.fields.get("value"), expected.as_f64().unwrap_or_default() * base.powi(power))
        }
        "parse_duration" | "parse_float" | "parse_int" => {
            close(is.fields.get("value"), expected.as_f64().unwrap_or_default())
        }
        "parse_timestamp" => same("the time", &is.time, &micros(expected.as_str().unwrap_or_default())),
        "strip_ansi_escape_codes" => {
            let message = is.message.clone().map_or_else(|| args["value"].clone(), Value::String);
            same("the text", &message, expected)
        }
        "to_syslog_facility" => same("the facility", &is.get("facility"), &Some(expected.clone())),
        "to_syslog_level" => same("the severity", &is.get("severity"), &Some(expected.clone())),
        "parse_csv" => {
            let values = (1..).map_while(|at| is.fields.get(&format!("column_{at}")).cloned());
            same("the columns", &Value::Array(values.collect()), expected)
        }
        _ => objects_equal(function, is, expected),
    }
}

/// Of the unit that a number of bytes is wanted in: 0 for B, 1 for kB and KiB.
fn power(args: &Value) -> Option<i32> {
    let own = text(args, "unit").chars().next()?.to_ascii_lowercase();
    "bkmgtpe".find(own).map(|at| at as i32)
}

/// Every field of the corpus is there, and no other.
fn objects_equal(function: &str, is: &Read, expected: &Value) -> Result<(), String> {
    let mut flat = Map::new();
    flatten("", expected, &mut flat);
    let mut used = Vec::new();
    let (first, second) = (flat.remove("message1"), flat.remove("message2"));
    if let (Some(Value::String(first)), Some(Value::String(second))) = (first, second) {
        flat.insert("message".into(), json!(format!("{first}{second}")));
    }
    for (name, wanted) in &flat {
        if wanted == "-" || wanted.is_null() || *wanted == json!([]) || *wanted == json!({}) {
            continue;
        }
        let own = ours(function, name);
        if name == "version" && function == "parse_syslog" {
            continue;
        }
        if name == "timestamp" {
            let wanted = wanted.as_str().unwrap_or_default().replace("<YEAR>", "2026");
            same("the time", &is.time, &micros(&wanted))?;
            continue;
        }
        let request = (name == "message" && is.fields.contains_key("method")) || name == "request";
        let value = if request { request_of(is) } else { is.get(own) };
        let value =
            if name == "@timestamp" && value.is_none() { is.time.map(|_| wanted.clone()) } else { value };
        if wanted == "" && value.is_none() {
            continue;
        }
        if !alike(value.as_ref(), wanted) {
            return Err(format!("{name} is {value:?}, not {wanted}"));
        }
        used.push(own);
    }
    let parts = ["method", "path", "protocol", "request"];
    let more = |name: &&String| !used.contains(&name.as_str()) && !parts.contains(&name.as_str());
    // We tell more: a port that is not written, a query as it is written, the header that stands before a CEF message.
    let told = |name: &&String| {
        matches!(
            (function, name.as_str()),
            ("parse_url", "port" | "query") | ("parse_cef", "hostname" | "appname")
        )
    };
    match is.fields.keys().find(|name| more(name) && !told(name)) {
        None => Ok(()),
        Some(name) => Err(format!("{name} is {}, and should be missing", is.fields[name])),
    }
}

fn flatten(prefix: &str, value: &Value, flat: &mut Map<String, Value>) {
    let Value::Object(members) = value else { return };
    for (name, value) in members {
        let name = if prefix.is_empty() { name.clone() } else { format!("{prefix}.{name}") };
        match value {
            Value::Object(inner) if !inner.is_empty() => flatten(&name, value, flat),
            _ => drop(flat.insert(name, value.clone())),
        }
    }
}

/// Our name for a field of the corpus.
fn ours<'n>(function: &str, name: &'n str) -> &'n str {
    match (function, name) {
        ("parse_apache_log" | "parse_common_log", "host") => "client",
        ("parse_apache_log" | "parse_common_log", "identity") => "ident",
        ("parse_apache_log" | "parse_common_log", "user") => "auth",
        ("parse_apache_log" | "parse_common_log", "size") => "bytes",
        ("parse_apache_log", "referrer") => "referer",
        ("parse_apache_log", "thread") => "tid",
        ("parse_nginx_log", "remote_addr") => "client",
        ("parse_nginx_log", "user" | "remote_user") => "auth",
        ("parse_nginx_log", "size" | "body_bytes_size") => "bytes",
        ("parse_nginx_log", "http_referer") => "referer",
        ("parse_nginx_log", "http_user_agent") => "agent",
        ("parse_nginx_log", "compression") => "gzip_ratio",
        ("parse_glog" | "parse_klog", "id") => "thread",
        (_, other) => other,
    }
}

/// The request put together again.
fn request_of(is: &Read) -> Option<Value> {
    if let Some(whole) = is.fields.get("request") {
        return Some(whole.clone());
    }
    let parts =
        ["method", "path", "protocol"].iter().filter_map(|name| is.fields.get(*name).and_then(Value::as_str));
    let parts: Vec<&str> = parts.collect();
    (!parts.is_empty()).then(|| json!(parts.join(" ")))
}

/// Equal, or the same number or list as text.
fn alike(is: Option<&Value>, wanted: &Value) -> bool {
    let Some(is) = is else { return false };
    let as_text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    match (is, wanted) {
        (Value::String(is), Value::Array(_)) => {
            serde_json::from_str::<Value>(is).ok().as_ref() == Some(wanted)
        }
        (Value::Number(is), Value::Number(wanted)) => is.as_f64() == wanted.as_f64(),
        (is, wanted) => as_text(is) == as_text(wanted),
    }
}
