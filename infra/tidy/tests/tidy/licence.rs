//! Licences, bans and sources, by what deny.toml says: the same answer as cargo-deny's, without compiling it.

use std::collections::{BTreeMap, BTreeSet};

use crate::bill::packages;
use crate::checkout::{none, read};

struct Rules {
    allowed: BTreeSet<String>,
    exceptions: BTreeMap<String, BTreeSet<String>>,
    banned: BTreeSet<String>,
}

fn rules() -> Rules {
    let deny: toml::Table = read("deny.toml").parse().unwrap();
    let texts = |value: &toml::Value| -> BTreeSet<String> {
        value.as_array().unwrap().iter().map(|text| text.as_str().unwrap().to_owned()).collect()
    };
    let name = |value: &toml::Value| value["crate"].as_str().unwrap().to_owned();
    let exceptions = deny["licenses"]["exceptions"].as_array().unwrap();
    Rules {
        allowed: texts(&deny["licenses"]["allow"]),
        exceptions: exceptions.iter().map(|own| (name(own), texts(&own["allow"]))).collect(),
        banned: deny["bans"]["deny"].as_array().unwrap().iter().map(name).collect(),
    }
}

/// Whether an SPDX expression can be met by licences for which `allowed` holds. `/` is the old way to write OR.
fn met(expression: &str, allowed: &impl Fn(&str) -> bool) -> bool {
    let spaced = expression.replace('/', " OR ").replace('(', " ( ").replace(')', " ) ");
    let tokens: Vec<&str> = spaced.split_whitespace().collect();
    let mut at = 0;
    let answer = either(&tokens, &mut at, allowed);
    answer && at == tokens.len()
}

fn either(tokens: &[&str], at: &mut usize, allowed: &impl Fn(&str) -> bool) -> bool {
    let mut answer = both(tokens, at, allowed);
    while tokens.get(*at) == Some(&"OR") {
        *at += 1;
        answer |= both(tokens, at, allowed);
    }
    answer
}

fn both(tokens: &[&str], at: &mut usize, allowed: &impl Fn(&str) -> bool) -> bool {
    let mut answer = one(tokens, at, allowed);
    while tokens.get(*at) == Some(&"AND") {
        *at += 1;
        answer &= one(tokens, at, allowed);
    }
    answer
}

fn one(tokens: &[&str], at: &mut usize, allowed: &impl Fn(&str) -> bool) -> bool {
    let Some(token) = tokens.get(*at) else {
        return false;
    };
    *at += 1;
    if *token == "(" {
        let answer = either(tokens, at, allowed);
        *at += 1;
        return answer;
    }
    let mut id = (*token).to_owned();
    if tokens.get(*at) == Some(&"WITH") {
        id = format!("{id} WITH {}", tokens.get(*at + 1).unwrap_or(&""));
        *at += 2;
    }
    allowed(&id)
}

#[test]
fn licences_are_allowed() {
    let rules = rules();
    let mut offences = Vec::new();
    for package in packages().iter() {
        let licence = package.licence.as_deref().unwrap_or("");
        let exception = rules.exceptions.get(&package.name);
        let allowed = |id: &str| rules.allowed.contains(id) || exception.is_some_and(|own| own.contains(id));
        if !met(licence, &allowed) {
            offences.push(format!("{} {}: {licence:?}", package.name, package.version));
        }
    }
    none("deny.toml allows none of these licences:", &offences);
}

#[test]
fn exceptions_are_still_needed() {
    let used: BTreeSet<String> = packages().into_iter().map(|package| package.name).collect();
    let stale: Vec<String> = rules().exceptions.into_keys().filter(|name| !used.contains(name)).collect();
    none("take these exceptions out of deny.toml:", &stale);
}

#[test]
fn banned_crates_are_absent() {
    let banned = rules().banned;
    let found = packages().into_iter().filter(|package| banned.contains(&package.name));
    let offences: Vec<String> =
        found.map(|package| format!("{} {}", package.name, package.version)).collect();
    none("deny.toml bans these:", &offences);
}

#[test]
fn everything_comes_from_one_registry() {
    let foreign = packages().into_iter().filter_map(|package| {
        let source = package.source?;
        let known = source.starts_with("registry+") && source.ends_with("/crates.io-index");
        (!known).then(|| format!("{} {}: {source}", package.name, package.version))
    });
    none("these come from elsewhere:", &foreign.collect::<Vec<String>>());
}

#[test]
fn expressions_are_read_as_spdx_has_them() {
    let allowed = |id: &str| ["MIT", "ISC", "Apache-2.0 WITH LLVM-exception"].contains(&id);
    for (expression, answer) in [
        ("MIT", true),
        ("GPL-3.0-only", false),
        ("", false),
        ("GPL-3.0-only OR MIT", true),
        ("MIT/Apache-2.0", true),
        ("GPL-3.0-only AND MIT", false),
        ("(GPL-3.0-only OR MIT) AND ISC", true),
        ("ISC AND (BSD-3-Clause OR Zlib)", false),
        ("Apache-2.0 WITH LLVM-exception OR GPL-3.0-only", true),
        ("MIT GPL-3.0-only", false),
    ] {
        assert_eq!(met(expression, &allowed), answer, "{expression}");
    }
}
