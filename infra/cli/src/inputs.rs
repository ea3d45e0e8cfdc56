//! From `[[forward.input]]` to what the forwarder is told.

use std::path::Path;

use millrace_forwarder::{
    Container, Encoding, Input, Join, Limits, Mode, Options, Redaction, Start, join_preset,
};
use millrace_runtime::config::{ConfigError, ForwardConfig, InputConfig, MultilineConfig, StartConfig};

/// What the configuration itself cannot check: patterns and expressions. All faults at once, with their paths.
pub(crate) fn check(config: &ForwardConfig, file: Option<&Path>) -> Result<(), ConfigError> {
    let options = Options {
        host: config.host.clone(),
        forwarder_id: "check".to_owned(),
        schema_id: 0,
        inputs: config.inputs.iter().map(input).collect(),
        scratch: std::path::PathBuf::new(),
        limits: Limits::USUAL,
        once: true,
    };
    let Err(millrace_forwarder::Error::Options { faults }) = options.check() else { return Ok(()) };
    let named = |fault: String| fault.replacen("inputs", "forward.input", 1);
    let file = file.map_or("defaults".to_owned(), |file| file.display().to_string());
    Err(ConfigError { file, faults: faults.into_iter().map(named).collect() })
}

pub(crate) fn input(config: &InputConfig) -> Input {
    let encoding = Encoding::NAMES.iter().find(|(name, _)| *name == config.encoding);
    let redaction =
        |(pattern, mask): &(String, String)| Redaction { pattern: pattern.clone(), mask: mask.clone() };
    Input {
        globs: config.globs.iter().map(|glob| absolute(glob)).collect(),
        // Without a slash it is of names.
        exclude: config
            .exclude
            .iter()
            .map(|own| if own.contains('/') { absolute(own) } else { own.clone() })
            .collect(),
        attributes: config.attributes.clone(),
        start: match config.start {
            StartConfig::Beginning => Start::Beginning,
            StartConfig::End => Start::End,
            StartConfig::Since(time) => Start::Since(time),
        },
        encoding: encoding.map(|(_, encoding)| *encoding).unwrap_or_default(),
        redact: config.redact.iter().map(redaction).collect(),
        container: Container::NAMES
            .iter()
            .find(|(name, _)| config.container.as_deref() == Some(name))
            .map(|(_, container)| *container),
        join: config.multiline.as_ref().and_then(join),
        entry_max_lines: config.entry_max_lines,
        entry_timeout: config.entry_timeout,
        ..Input::new(&config.tenant, &config.stream, Vec::new())
    }
}

fn join(config: &MultilineConfig) -> Option<Join> {
    let condition = |start: &str, mode, condition: &String| {
        Some(Join::Condition { start: start.to_owned(), mode, condition: condition.clone() })
    };
    match config {
        MultilineConfig::Start(pattern) => Some(Join::start(pattern)),
        MultilineConfig::Continuation(pattern) => Some(Join::continuation(pattern)),
        MultilineConfig::Continued(pattern) => condition(pattern, Mode::ContinuePast, pattern),
        MultilineConfig::End(pattern) => condition("", Mode::HaltWith, pattern),
        MultilineConfig::Indentation => Some(Join::indentation()),
        MultilineConfig::Preset(name) => join_preset(name),
    }
}

/// Globs are matched as absolute paths: what a line says of its file does not depend on where the process was started.
fn absolute(glob: &str) -> String {
    if glob.starts_with('/') {
        return glob.to_owned();
    }
    let here = std::env::current_dir().unwrap_or_default();
    here.join(glob).display().to_string()
}

#[cfg(test)]
mod tests {
    use millrace_runtime::config::Config;

    use super::*;

    fn load(text: &str) -> Config {
        let tree: toml::Table = text.parse().unwrap();
        Config::load_with(None, std::iter::empty(), |own| own.extend(tree)).unwrap()
    }

    #[test]
    fn patterns_and_expressions_are_checked_before_anything_starts() {
        let text = "[[forward.input]]\nglobs = [\"/a***\"]\nredact = [{ pattern = \"(\" }]\n";
        let error = check(&load(text).forward, None).unwrap_err();
        let paths: Vec<&str> = error.faults.iter().filter_map(|fault| fault.split(' ').next()).collect();
        assert_eq!(paths, ["forward.input[0].redact[0].pattern", "forward.input[0].globs[0]"]);
    }

    #[test]
    fn every_rule_of_the_configuration_is_known() {
        for preset in millrace_forwarder::JOIN_PRESETS {
            let text = format!("[[forward.input]]\nglobs = [\"a\"]\nmultiline = {{ rule = {preset:?} }}\n");
            assert!(input(&load(&text).forward.inputs[0]).join.is_some(), "{preset}");
        }
        for (name, container) in Container::NAMES {
            let text = format!("[[forward.input]]\nglobs = [\"a\"]\ncontainer = {name:?}\n");
            assert_eq!(input(&load(&text).forward.inputs[0]).container, Some(container));
        }
        let rules = |rule: &str| {
            let text = format!("[[forward.input]]\nglobs = [\"a\"]\nmultiline = {{ {rule} }}\n");
            let joiner = input(&load(&text).forward.inputs[0]).join.unwrap().compile().unwrap();
            joiner.entries(&[b"1 a", b" b\\", b"c;", b"2 d"])
        };
        assert_eq!(rules("rule = 'start', pattern = '^[0-9]'"), [0..3, 3..4]);
        assert_eq!(rules("rule = 'continuation', pattern = '^[ c]'"), [0..3, 3..4]);
        assert_eq!(rules(r"rule = 'continued', pattern = '\\$'"), [0..1, 1..3, 3..4]);
        assert_eq!(rules("rule = 'end', pattern = ';$'"), [0..3, 3..4]);
        assert_eq!(rules("rule = 'indentation'"), [0..2, 2..3, 3..4]);
    }

    #[test]
    fn every_encoding_of_the_configuration_is_known() {
        for (name, encoding) in Encoding::NAMES {
            let text = format!("[[forward.input]]\nglobs = [\"a\"]\nencoding = {name:?}\n");
            assert_eq!(input(&load(&text).forward.inputs[0]).encoding, encoding);
        }
    }
}
