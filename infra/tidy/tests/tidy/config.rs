//! The files of infra/config load, and up.toml is complete: every key, each with its true default.

use std::collections::BTreeSet;

use millrace_runtime::config::Config;

use crate::checkout::{files, none, read, root};

/// `up.toml` with every setting that is commented out put in: `#key = value` and `#[[table]]`; prose has a blank first.
fn uncommented() -> toml::Table {
    let text = read("infra/config/up.toml");
    let active = text.lines().map(|line| match line.strip_prefix('#') {
        Some(rest)
            if rest.starts_with(|char: char| char.is_ascii_lowercase() || char == '"' || char == '[') =>
        {
            rest
        }
        _ => line,
    });
    active.collect::<Vec<_>>().join("\n").parse().expect("up.toml with its settings put in is TOML")
}

fn load(tree: toml::Table) -> Config {
    let loaded = Config::load_with(None, std::iter::empty(), |own| *own = tree);
    loaded.unwrap_or_else(|error| panic!("up.toml with its settings put in: {error}"))
}

#[test]
fn every_configuration_loads() {
    let mut offences = Vec::new();
    let mut n_files = 0;
    for file in files() {
        if !file.path.starts_with("infra/config/") || !file.path.ends_with(".toml") {
            continue;
        }
        n_files += 1;
        if let Err(error) = Config::load_with(Some(&root().join(&file.path)), std::iter::empty(), |_| {}) {
            offences.push(error.to_string());
        }
    }
    assert!(n_files >= 2, "only {n_files} files in infra/config");
    none("these do not load:", &offences);
}

#[test]
fn the_complete_configuration_has_every_key() {
    // The fields of the types that serde fills, as they are written.
    let source = read("infra/runtime/src/config/raw.rs");
    let field = regex::Regex::new(r"(?m)^    pub\(super\) (\w+):").unwrap();
    let wanted: BTreeSet<&str> =
        field.captures_iter(&source).map(|own| own.get(1).unwrap().as_str()).collect();
    assert!(wanted.len() > 30, "only {} keys: has raw.rs changed its form?", wanted.len());
    let mut named = BTreeSet::new();
    names(&toml::Value::Table(uncommented()), &mut named);
    let missing: Vec<String> =
        wanted.iter().filter(|key| !named.contains(**key)).map(|key| (*key).to_owned()).collect();
    none("infra/config/up.toml does not explain:", &missing);
}

fn names(value: &toml::Value, named: &mut BTreeSet<String>) {
    match value {
        toml::Value::Table(table) => {
            for (key, value) in table {
                named.insert(key.clone());
                names(value, named);
            }
        }
        toml::Value::Array(values) => values.iter().for_each(|value| names(value, named)),
        _ => {}
    }
}

#[test]
fn the_complete_configuration_names_true_defaults() {
    let mut tree = uncommented();
    // Marked as examples in the file: these have no default that could be written down.
    for (section, key) in [
        ("", "instance"),
        ("kafka", "client"),
        ("kafka", "partitions"),
        ("kafka", "bound_mib"),
        ("control", "seed"),
        ("store", "options"),
        ("forward", "host"),
        ("forward", "input"),
        ("parse", "sources"),
        ("upstream", "key"),
        ("upstream", "key_file"),
        ("upstream", "key_files"),
        ("upstream", "ca_file"),
        ("parse", "streams"),
        ("query", "anonymous"),
        ("gateway", "anonymous"),
        ("gateway", "quotas"),
        ("gateway", "keys"),
        ("gateway", "tls"),
    ] {
        let table = if section.is_empty() { &mut tree } else { tree[section].as_table_mut().unwrap() };
        assert!(table.remove(key).is_some(), "up.toml has no example of {section}.{key}");
    }
    let (written, real) = (load(tree).describe(), load(toml::Table::new()).describe());
    let differ = |(written, real): (&str, &str)| {
        (written != real).then(|| format!("up.toml has {}, the default is {}", written.trim(), real.trim()))
    };
    none("defaults differ:", &written.lines().zip(real.lines()).filter_map(differ).collect::<Vec<String>>());
}

#[test]
fn no_configuration_holds_a_secret() {
    let secret = regex::Regex::new(r#"(?im)^#?"?[\w.]*(?:password|secret)[\w.]*"?\s*="#).unwrap();
    let held = files()
        .into_iter()
        .filter(|file| file.path.starts_with("infra/config/") && secret.is_match(&file.text));
    none("give secrets by the environment:", &held.map(|file| file.path).collect::<Vec<String>>());
}
