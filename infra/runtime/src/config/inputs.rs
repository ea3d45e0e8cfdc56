//! What the forwarder follows: `[[forward.input]]`. Patterns and expressions are checked by the forwarder, which has them.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use millrace_schemas::id::valid_id;

use super::raw;

/// Names of encodings that the forwarder knows.
const ENCODINGS: [&str; 5] = ["utf-8", "latin-1", "utf-16", "utf-16le", "utf-16be"];

/// Formats of container runtimes that the forwarder knows.
const CONTAINERS: [&str; 3] = ["auto", "cri", "docker"];
/// Rules for stack traces that the forwarder knows.
const PRESETS: [&str; 4] = ["java", "python", "go", "ruby"];

/// A set of files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InputConfig {
    /// Tenant.
    pub tenant: String,
    /// Stream.
    pub stream: String,
    /// Files.
    pub globs: Vec<String>,
    /// Of these, what is left out.
    pub exclude: Vec<String>,
    /// Where to begin in files that were never seen.
    pub start: StartConfig,
    /// How characters are written.
    pub encoding: String,
    /// Added to every line.
    pub attributes: Vec<(String, String)>,
    /// Expressions, and what stands in the place of what they match.
    pub redact: Vec<(String, String)>,
    /// How a container runtime wraps the lines, where it does.
    pub container: Option<String>,
    /// Which lines belong together.
    pub multiline: Option<MultilineConfig>,
    /// Lines of one entry.
    pub entry_max_lines: usize,
    /// Silence after which an entry is complete.
    pub entry_timeout: Duration,
}

/// Which lines belong together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MultilineConfig {
    /// An entry begins at each line that matches.
    Start(String),
    /// A line that matches belongs to the entry before it.
    Continuation(String),
    /// The line after one that matches belongs to its entry.
    Continued(String),
    /// A line that matches is the last of its entry.
    End(String),
    /// An indented line belongs to the entry before it.
    Indentation,
    /// Stack traces of a language.
    Preset(String),
}

/// Where to begin in files that were never seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StartConfig {
    /// At their beginning.
    Beginning,
    /// At their end.
    End,
    /// At their beginning, if they were changed at or after this time, µs since the epoch.
    Since(i64),
}

/// Checks one; `fault` takes a path and what is wrong with it.
pub(super) fn check(input: raw::Input, path: &str, fault: &mut dyn FnMut(&str, String)) -> InputConfig {
    let tenant = input.tenant.unwrap_or_else(|| "default".to_owned());
    let stream = input.stream.unwrap_or_else(|| "default".to_owned());
    for (name, id) in [("tenant", &tenant), ("stream", &stream)] {
        if !valid_id(id) {
            fault(&format!("{path}.{name}"), format!("{id:?} is not [a-z0-9-]{{1,64}}"));
        }
    }
    if input.globs.is_empty() {
        fault(&format!("{path}.globs"), "is empty: name the files to follow".into());
    }
    let start = start(input.start.as_deref().unwrap_or("beginning")).unwrap_or_else(|text| {
        fault(&format!("{path}.start"), text);
        StartConfig::Beginning
    });
    let encoding = input.encoding.unwrap_or_else(|| "utf-8".to_owned());
    if !ENCODINGS.contains(&encoding.as_str()) {
        fault(&format!("{path}.encoding"), format!("{encoding:?} is not one of {}", ENCODINGS.join(", ")));
    }
    let mut redact = Vec::new();
    for (at, rule) in input.redact.into_iter().enumerate() {
        if rule.pattern.is_empty() {
            fault(&format!("{path}.redact[{at}].pattern"), "is empty: name what is to be masked".into());
        }
        redact.push((rule.pattern, rule.mask.unwrap_or_else(|| "***".to_owned())));
    }
    if let Some(container) = input.container.as_ref().filter(|own| !CONTAINERS.contains(&own.as_str())) {
        fault(&format!("{path}.container"), format!("{container:?} is not one of {}", CONTAINERS.join(", ")));
    }
    let multiline = input
        .multiline
        .and_then(|raw| multiline(raw).map_err(|text| fault(&format!("{path}.multiline"), text)).ok());
    let entry_max_lines = input.entry_max_lines.unwrap_or(1_000);
    if !(1..=100_000).contains(&entry_max_lines) {
        fault(&format!("{path}.entry_max_lines"), format!("{entry_max_lines} is not in 1..=100000"));
    }
    InputConfig {
        tenant,
        stream,
        globs: input.globs,
        exclude: input.exclude,
        start,
        encoding,
        attributes: input.attributes.into_iter().collect(),
        redact,
        container: input.container,
        multiline,
        entry_max_lines,
        entry_timeout: Duration::from_millis(input.entry_timeout_ms.unwrap_or(1_000)),
    }
}

fn multiline(raw: raw::Multiline) -> Result<MultilineConfig, String> {
    let raw::Multiline { rule, pattern } = raw;
    match (rule.as_str(), pattern) {
        ("start", Some(pattern)) => Ok(MultilineConfig::Start(pattern)),
        ("continuation", Some(pattern)) => Ok(MultilineConfig::Continuation(pattern)),
        ("continued", Some(pattern)) => Ok(MultilineConfig::Continued(pattern)),
        ("end", Some(pattern)) => Ok(MultilineConfig::End(pattern)),
        ("start" | "continuation" | "continued" | "end", None) => {
            Err(format!("rule {rule:?} needs a pattern"))
        }
        ("indentation", None) => Ok(MultilineConfig::Indentation),
        (name, None) if PRESETS.contains(&name) => Ok(MultilineConfig::Preset(rule)),
        (name, Some(_)) if PRESETS.contains(&name) || name == "indentation" => {
            Err(format!("rule {rule:?} takes no pattern"))
        }
        (_, _) => Err(format!(
            "rule {rule:?} is not one of start, continuation, continued, end, indentation, {}",
            PRESETS.join(", ")
        )),
    }
}

fn start(text: &str) -> Result<StartConfig, String> {
    let micros = |time: SystemTime| time.duration_since(UNIX_EPOCH).unwrap_or_default().as_micros() as i64;
    match text {
        "beginning" => return Ok(StartConfig::Beginning),
        "end" => return Ok(StartConfig::End),
        _ => {}
    }
    let since = text.strip_prefix("since ").map(str::trim).unwrap_or_default();
    if let Ok(time) = humantime::parse_rfc3339_weak(since) {
        return Ok(StartConfig::Since(micros(time)));
    }
    let ago = humantime::parse_duration(since).ok().and_then(|ago| SystemTime::now().checked_sub(ago));
    ago.map(|time| StartConfig::Since(micros(time))).ok_or_else(|| {
        format!("{text:?} is none of \"beginning\", \"end\", \"since 24h\", \"since 2026-01-31T00:00:00Z\"")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rule_has_a_pattern_where_it_needs_one() {
        let read = |rule: &str, pattern: Option<&str>| {
            multiline(raw::Multiline { rule: rule.into(), pattern: pattern.map(str::to_owned) })
        };
        assert_eq!(read("start", Some("x")), Ok(MultilineConfig::Start("x".into())));
        assert_eq!(read("indentation", None), Ok(MultilineConfig::Indentation));
        assert!(PRESETS.iter().all(|name| read(name, None).is_ok()));
        for (rule, pattern) in [("start", None), ("java", Some("x")), ("indentation", Some("x")), ("", None)]
        {
            assert!(read(rule, pattern).is_err(), "{rule}");
        }
    }

    #[test]
    fn a_start_is_a_place_or_a_time() {
        assert_eq!(start("end"), Ok(StartConfig::End));
        assert_eq!(start("since 1970-01-01T00:00:01Z"), Ok(StartConfig::Since(1_000_000)));
        let Ok(StartConfig::Since(time)) = start("since 1h") else { panic!("a time") };
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_micros() as i64;
        assert!((3_599_000_000..3_601_000_000).contains(&(now - time)));
        for wrong in ["", "since", "since yesterday", "1h", "middle"] {
            assert!(start(wrong).is_err(), "{wrong}");
        }
    }
}
