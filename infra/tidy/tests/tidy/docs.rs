//! What the docs name exists: paths, tasks, metrics, topics, benchmarks.

use std::collections::BTreeSet;

use regex::Regex;

use crate::checkout::{File, files, none, read, root};

/// README, ARCHITECTURE, CHANGELOG, and docs/.
fn pages() -> Vec<File> {
    let is_page = |path: &str| path.ends_with(".md") && (!path.contains('/') || path.starts_with("docs/"));
    let pages: Vec<File> = files().into_iter().filter(|file| is_page(&file.path)).collect();
    assert!(pages.len() > 8, "only {} pages", pages.len());
    pages
}

/// Each match of the first group of `pattern` for which `is` an offence.
fn offences(pages: &[File], pattern: &str, is: impl Fn(&File, &str) -> bool) -> Vec<String> {
    let pattern = Regex::new(pattern).unwrap();
    let mut found = BTreeSet::new();
    for page in pages {
        for captures in pattern.captures_iter(&page.text) {
            if is(page, &captures[1]) {
                found.insert(format!("{}: {}", page.path, &captures[1]));
            }
        }
    }
    found.into_iter().collect()
}

#[test]
fn paths_in_docs_exist() {
    let tops = "schemas|producers|stream-jobs|consumers|infra|integration-tests|docs|\\.ci";
    let pattern = format!(r"[`(\s]((?:{tops})/[A-Za-z0-9_./-]*[A-Za-z0-9_/])");
    let missing = offences(&pages(), &pattern, |_, path| !root().join(path).exists());
    none("these do not exist:", &missing);
}

#[test]
fn links_between_pages_lead_somewhere() {
    let broken = offences(&pages(), r"\]\(([^)#\s]+)(?:#[^)]*)?\)", |page, link| {
        let folder = root().join(&page.path).parent().unwrap().to_owned();
        !link.contains("://") && !folder.join(link).exists()
    });
    none("these links lead nowhere:", &broken);
}

#[test]
fn every_page_is_reached_from_the_readme() {
    let readme = read("README.md");
    let lost =
        pages().into_iter().filter(|page| page.path.starts_with("docs/") && !readme.contains(&page.path));
    none("README.md does not lead to:", &lost.map(|page| page.path).collect::<Vec<String>>());
}

#[test]
fn tasks_in_docs_are_in_the_makefile() {
    let makefile = read("Makefile");
    let unknown = offences(&pages(), r"(?:`|^|\n|    )make ([a-z]+)", |_, task| {
        !makefile.contains(&format!("\n{task}:"))
    });
    none("no such task:", &unknown);
}

#[test]
fn metrics_in_docs_and_alarms_exist() {
    let source = read("infra/runtime/src/metrics.rs");
    let mut texts = pages();
    texts.extend(files().into_iter().filter(|file| file.path.starts_with("infra/prometheus/")));
    let pattern = r"\b(millrace_[a-z_]+_(?:total|seconds|records|bytes|wait|assigned))\b";
    let unknown = offences(&texts, pattern, |_, name| !source.contains(&format!("\"{name}\"")));
    none("infra/runtime/src/metrics.rs has no such metric:", &unknown);
}

#[test]
fn every_metric_is_documented() {
    let page = read("docs/operate.md");
    let name = Regex::new(r#"describe_\w+!\("(\w+)""#).unwrap();
    let source = read("infra/runtime/src/metrics.rs");
    let missing =
        name.captures_iter(&source).map(|own| own[1].to_owned()).filter(|name| !page.contains(name.as_str()));
    none("docs/operate.md does not say what these are:", &missing.collect::<Vec<String>>());
}

#[test]
fn topics_in_docs_exist() {
    let topics = read("infra/topics.toml");
    let unknown = offences(&pages(), r"`((?:logs|millrace)\.[a-z.-]+)`", |_, topic| {
        !topics.contains(&format!("\"{topic}\""))
    });
    none("infra/topics.toml has no such topic:", &unknown);
}
