//! Who may depend on whom. A new edge is a line here and a decision in docs/decisions.md.

use std::collections::BTreeSet;

use crate::bill::{Package, packages, short};
use crate::checkout::{files, none, read};

/// Crate → crates of the project that it may need. What is not listed may need none.
const EDGES: &[(&str, &[&str])] = &[
    ("schemas", &[]),
    ("loadgen", &[]),
    ("kafka-local", &[]),
    ("jobs", &["schemas"]),
    ("formats", &["schemas"]),
    ("runtime", &["schemas"]),
    ("runner", &["schemas", "jobs", "runtime"]),
    ("admin", &["schemas", "jobs", "runtime"]),
    ("spool", &["schemas"]),
    ("uplink", &["schemas", "spool"]),
    ("forwarder", &["schemas", "runtime", "spool"]),
    ("gateway", &["schemas", "runtime", "spool"]),
    ("indexer", &["schemas", "runtime", "formats"]),
    ("archiver", &["schemas", "runtime", "formats"]),
    ("query", &["schemas", "runtime", "admin", "formats"]),
];

/// These see everything.
const TOP: [&str; 3] = ["cli", "integration-tests", "tidy"];

/// Third-party crate → the crates that may need it: each heavy one has a home.
const HOMES: &[(&str, &[&str])] = &[
    ("rdkafka", &["runtime", "integration-tests"]),
    ("tantivy", &["formats", "indexer", "query"]),
    ("parquet", &["formats", "archiver", "query"]),
    ("axum", &["runtime", "query", "gateway", "uplink", "cli"]),
    ("metrics", &["runtime"]),
    ("metrics-exporter-prometheus", &["runtime"]),
    ("schema_registry_converter", &["runtime"]),
    ("clap", &["cli"]),
];

/// Crates without I/O, clock, randomness or threads of their own, and what would bring it in.
const PURE: [&str; 4] = ["schemas", "jobs", "formats", "loadgen"];
const IMPURE: [&str; 9] = [
    "tokio",
    "rdkafka",
    "reqwest",
    "axum",
    "object_store",
    "tracing",
    "metrics",
    "rand",
    "schema_registry_converter",
];

fn ours() -> Vec<Package> {
    packages().into_iter().filter(Package::is_ours).collect()
}

#[test]
fn crates_depend_one_way() {
    let mut offences = Vec::new();
    for package in ours() {
        let from = package.short();
        if TOP.contains(&from) {
            continue;
        }
        let Some((_, allowed)) = EDGES.iter().find(|(name, _)| *name == from) else {
            offences.push(format!("{from} is new: say in infra/tidy what it may need"));
            continue;
        };
        // Tests may need more, as long as it is below: lines to read, mostly.
        for dependency in package.dependencies.iter().filter(|own| own.name.starts_with("millrace-")) {
            let to = short(&dependency.name);
            let in_tests = dependency.dev && (to == "loadgen" || to == "kafka-local");
            if !allowed.contains(&to) && !in_tests {
                offences.push(format!("{from} → {to}"));
            }
        }
    }
    none(
        "these edges are not allowed (design: schemas ← jobs ← runner → runtime; services see no other service):",
        &offences,
    );
}

#[test]
fn heavy_dependencies_have_one_home() {
    let mut offences = Vec::new();
    for package in ours() {
        for (heavy, homes) in HOMES {
            let needs = package.dependencies.iter().any(|own| own.name == *heavy);
            if needs && !homes.contains(&package.short()) {
                offences.push(format!(
                    "{} needs {heavy}, whose home is {}",
                    package.short(),
                    homes.join(", ")
                ));
            }
        }
    }
    none("a heavy dependency strays:", &offences);
}

#[test]
fn pure_crates_stay_pure() {
    let mut offences = Vec::new();
    for package in ours().iter().filter(|package| PURE.contains(&package.short())) {
        for dependency in package.dependencies.iter().filter(|own| !own.dev) {
            if IMPURE.contains(&dependency.name.as_str()) {
                offences.push(format!("{} needs {}", package.short(), dependency.name));
            }
        }
    }
    none("a pure crate reaches for the world:", &offences);
}

#[test]
fn every_dependency_is_used() {
    let files = files();
    let packages = ours();
    let folders: BTreeSet<&str> = packages.iter().map(|package| package.folder.as_str()).collect();
    let mut offences = Vec::new();
    for package in &packages {
        let inside =
            |path: &str| path.strip_prefix(package.folder.as_str()).is_some_and(|rest| rest.starts_with('/'));
        // The crate's own files, not those of a crate that lies within its folder.
        let own = |path: &str| {
            let deeper = folders.iter().any(|other| {
                other.len() > package.folder.len() && inside(other) && path.starts_with(&format!("{other}/"))
            });
            inside(path) && path.ends_with(".rs") && !deeper
        };
        let code: Vec<&str> =
            files.iter().filter(|file| own(&file.path)).map(|file| file.text.as_str()).collect();
        for dependency in &package.dependencies {
            let name = dependency.name.replace('-', "_");
            let word = regex::Regex::new(&format!(r"\b{name}\b")).unwrap();
            if !code.iter().any(|text| word.is_match(text)) {
                offences.push(format!("{}: {} is not used", package.folder, dependency.name));
            }
        }
    }
    none("take these lines out of Cargo.toml:", &offences);
}

#[test]
fn every_dependency_is_explained() {
    let page = read("ARCHITECTURE.md");
    let list = page.split("\n## Dependencies").nth(1).unwrap();
    let mut offences = BTreeSet::new();
    for package in ours() {
        for dependency in package.dependencies {
            let word = regex::Regex::new(&format!(r"(?:^|[^\w-]){}(?:$|[^\w-])", dependency.name)).unwrap();
            if !dependency.name.starts_with("millrace-") && !word.is_match(list) {
                offences.insert(dependency.name);
            }
        }
    }
    let offences: Vec<String> = offences.into_iter().collect();
    none("a new dependency is a line in ARCHITECTURE.md: what for, who keeps it:", &offences);
}
