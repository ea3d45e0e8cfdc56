//! `fuzz/` is outside the workspace, so nothing compiles it in passing: its targets are held to the tests' here.

use std::collections::BTreeSet;

use regex::Regex;

use crate::checkout::{files, none, read, root};

/// The functions that targets call, and the tests that call them, too.
const CALLED: [(&str, &str, &str); 3] = [
    ("millrace_gateway::targets", "producers/gateway/src/targets.rs", "producers/gateway/src/fuzz.rs"),
    (
        "targets",
        "stream-jobs/jobs/src/parse/source/targets.rs",
        "stream-jobs/jobs/src/parse/source/tests/steps.rs",
    ),
    ("targets", "producers/spool/tests/targets/mod.rs", "producers/spool/tests/kill_points.rs"),
];

#[test]
fn every_fuzz_target_has_its_file_and_its_seeds() {
    let manifest: toml::Table = read("fuzz/Cargo.toml").parse().unwrap();
    let listed: BTreeSet<(String, String)> = manifest["bin"]
        .as_array()
        .unwrap()
        .iter()
        .map(|bin| (bin["name"].as_str().unwrap().to_owned(), bin["path"].as_str().unwrap().to_owned()))
        .collect();
    let path = Regex::new(r"^fuzz/(fuzz_targets/(\w+)\.rs)$").unwrap();
    let there: BTreeSet<(String, String)> = files()
        .iter()
        .filter_map(|file| path.captures(&file.path).map(|own| (own[2].to_owned(), own[1].to_owned())))
        .collect();
    assert_eq!(listed, there, "fuzz/Cargo.toml lists other targets than there are files");
    let seeds = |name: &str| {
        root().join("fuzz/seeds").join(name).read_dir().is_ok_and(|mut own| own.next().is_some())
    };
    let bare = listed.into_iter().map(|(name, _)| name).filter(|name| !seeds(name));
    none("nothing in fuzz/seeds for:", &bare.collect::<Vec<String>>());
}

#[test]
fn a_fuzz_target_calls_what_a_test_calls() {
    let call = Regex::new(r"\b([\w:]*targets)::(\w+)\(").unwrap();
    let targets = files().into_iter().filter(|file| file.path.starts_with("fuzz/fuzz_targets/"));
    let mut offences = Vec::new();
    for target in targets {
        let calls: Vec<(String, String)> =
            call.captures_iter(&target.text).map(|own| (own[1].to_owned(), own[2].to_owned())).collect();
        let known = |(module, name): &(String, String)| {
            CALLED.iter().any(|(own, functions, tests)| {
                own == module
                    && Regex::new(&format!(r"\bpub(?:\(crate\))? fn {name}\("))
                        .unwrap()
                        .is_match(&read(functions))
                    && read(tests).contains(&format!("targets::{name}("))
            })
        };
        if calls.is_empty() || !calls.iter().all(known) {
            offences.push(format!("{}: {calls:?}", target.path));
        }
    }
    none("these call what no test calls, or nothing:", &offences);
}
