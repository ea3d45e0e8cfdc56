//! How files are written: length, texts for people, and what must not stand in them.

use regex::Regex;

use crate::checkout::{File, files, none, read, rust_files};

/// Where a file must be cut in two.
const WALL: usize = 500;
/// Where it should be thought about.
const LONG: usize = 300;

/// A text in which something failed.
const FAILED: &str = r#"(?i)("[^"\n]*failed to [^"\n]*")"#;
/// The text of an error.
const ERROR: &str = r#"#\[error\(\s*"([^"]*)""#;
/// The message of a log call: its last text.
const LOG: &str = r#"(?s)\b(?:error|warn|info|debug|trace)!\((?:[^()]|\([^()]*\))*?"([^"\n]*)"\s*,?\s*\);"#;

/// `path:line` of each match of `pattern`, for matches that `is` an offence.
fn find(files: &[File], pattern: &str, is: impl Fn(&str) -> bool) -> Vec<String> {
    let pattern = Regex::new(pattern).unwrap();
    let mut found = Vec::new();
    for file in files {
        for captures in pattern.captures_iter(&file.text) {
            let own = captures.get(1).unwrap_or_else(|| captures.get(0).unwrap());
            if is(own.as_str()) {
                let line = file.text[..own.start()].matches('\n').count() + 1;
                found.push(format!("{}:{line}: {}", file.path, own.as_str()));
            }
        }
    }
    found
}

#[test]
fn no_source_file_is_longer_than_the_wall() {
    let mut offences = Vec::new();
    for file in rust_files() {
        let n_lines = file.text.lines().count();
        if n_lines > WALL {
            offences.push(format!("{}: {n_lines} lines", file.path));
        } else if n_lines > LONG {
            println!("long: {}: {n_lines} lines", file.path);
        }
    }
    none("a file has one idea and at most 500 lines:", &offences);
}

/// Texts that people read: of errors and of log lines.
fn told() -> Vec<File> {
    // This crate quotes what it forbids.
    rust_files().into_iter().filter(|file| !file.path.starts_with("infra/tidy/")).collect()
}

#[test]
fn texts_say_what_could_not_be_done() {
    let offences = find(&told(), FAILED, |_| true);
    none("say `could not`, once: the cause prints itself:", &offences);
}

#[test]
fn errors_begin_lower_case_and_end_without_a_stop() {
    let offences = find(&told(), ERROR, misfit);
    none("errors are parts of a sentence:", &offences);
}

#[test]
fn log_messages_begin_lower_case_and_end_without_a_stop() {
    let offences = find(&told(), LOG, misfit);
    none("log messages are constant, lower-case, without a stop:", &offences);
}

fn misfit(text: &str) -> bool {
    let mut chars = text.chars();
    let first = chars.next().is_some_and(|char| char.is_ascii_uppercase());
    // A name in capitals (S3, UTF-8) may stand first.
    let name = chars.next().is_some_and(|char| char.is_ascii_uppercase() || char.is_ascii_digit());
    (first && !name) || (text.ends_with('.') && !text.ends_with("..."))
}

#[test]
fn nothing_names_the_machine_it_was_written_on() {
    let pattern = of_one_machine();
    let mut offences = Vec::new();
    for file in files().iter().filter(|file| file.path != "Cargo.lock") {
        for (number, line) in file.text.lines().enumerate() {
            // A request line or an agent may well have such a path: examples of lines are not the machine's.
            let example =
                file.path.contains("/examples/") || file.path.contains("loadgen") || line.contains("GET /");
            if pattern.is_match(line) && !example {
                offences.push(format!("{}:{}: {}", file.path, number + 1, line.trim()));
            }
        }
    }
    none("paths and hosts of one machine mean nothing on another:", &offences);
}

/// Folders of a machine, and hosts that packages come from. In pieces, or this file would be the first offence.
fn of_one_machine() -> Regex {
    let folders = ["work", "root", "home"].map(|name| format!("/{name}/")).join("|");
    let hosts = [
        ["static.crates", "io"],
        ["index.crates", "io"],
        ["pypi", "org"],
        ["pythonhosted", "org"],
        ["registry.npmjs", "org"],
        ["repo1.maven", "org"],
        ["repo.maven.apache", "org"],
        ["proxy.golang", "org"],
        ["deb.debian", "org"],
    ];
    let hosts = hosts.map(|host| host.join("\\.")).join("|");
    Regex::new(&format!(r#"(?:^|[\s"'`=(:\[]|//)(?:{folders})|(?:{hosts})"#)).unwrap()
}

#[test]
fn the_rules_find_what_they_are_for() {
    let found = |pattern: &str, text: &str| {
        let file = File { path: "a.rs".to_owned(), text: text.to_owned() };
        !find(&[file], pattern, |text| pattern == FAILED || misfit(text)).is_empty()
    };
    assert!(found(FAILED, r#"anyhow!("Failed to open")"#));
    assert!(!found(FAILED, "// it failed to open"));
    assert!(found(ERROR, r#"#[error("Could not open {path}")]"#));
    assert!(found(ERROR, "#[error(\n    \"could not open.\"\n)]"));
    assert!(!found(ERROR, r#"#[error("could not open {path}: {source}")]"#));
    assert!(!found(ERROR, r#"#[error("S3 is away")]"#));
    assert!(found(LOG, r#"info!(n = f(1), "Opened");"#));
    assert!(found(LOG, "warn!(\n    %error,\n    \"trying again.\"\n);"));
    assert!(!found(LOG, r#"info!(name = "Anna", n, "opened");"#));
    let machine = of_one_machine();
    for bad in ["see /ro#ot/x", "\"/wo#rk/main\"", "https://static.crates.#io/x", "file:///ho#me/x"] {
        assert!(machine.is_match(&bad.replace('#', "")), "{bad}");
    }
    for good in ["target/wo#rk/x", "a/ho#me/b", "the ro#ot/leaf"] {
        assert!(!machine.is_match(&good.replace('#', "")), "{good}");
    }
}

#[test]
fn every_crate_takes_the_lints_of_the_workspace() {
    let manifests = files().into_iter().filter(|file| file.path.ends_with("/Cargo.toml"));
    let offences = manifests.filter(|file| {
        let manifest: toml::Table = file.text.parse().unwrap();
        // One with a workspace of its own has no other to take them from.
        !manifest.contains_key("workspace")
            && manifest.get("lints").and_then(|lints| lints.get("workspace")).and_then(toml::Value::as_bool)
                != Some(true)
    });
    none("add `[lints] workspace = true`:", &offences.map(|file| file.path).collect::<Vec<String>>());
}

#[test]
fn the_jobs_repeat_the_lints_of_the_root() {
    let parse = |path: &str| -> toml::Table { read(path).parse().unwrap() };
    let (root, jobs) = (parse("clippy.toml"), parse("stream-jobs/jobs/clippy.toml"));
    let mut offences = Vec::new();
    for (key, value) in &root {
        let same = match (value, jobs.get(key)) {
            (toml::Value::Array(wanted), Some(toml::Value::Array(own))) => {
                let path = |entry: &toml::Value| entry.get("path").cloned();
                wanted.iter().all(|entry| own.iter().any(|other| path(other) == path(entry)))
            }
            (wanted, own) => own == Some(wanted),
        };
        if !same {
            offences.push(format!("{key} = {value}"));
        }
    }
    none("clippy does not merge files; add to stream-jobs/jobs/clippy.toml:", &offences);
}
