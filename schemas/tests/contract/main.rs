//! The contract of what flows: schemas, examples and Rust types say the same, and the fast codec writes what the
//! reference implementation writes.

#![allow(clippy::unwrap_used, reason = "helpers of tests, outside of test functions")]

mod compatibility;
mod encoding;
mod examples;
mod framing;
mod reference;

#[test]
fn topics_file_parses() {
    use millrace_schemas::topics;
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../infra/topics.toml");
    let specs = topics::parse(&std::fs::read_to_string(path).unwrap()).unwrap();
    let find = |name: &str| specs.iter().find(|spec| spec.name == name);
    let changelog = topics::changelog("parse");
    let wanted = [
        topics::RAW,
        topics::PARSED,
        topics::DEAD,
        topics::CONTROL,
        topics::POSITIONS,
        topics::BATCHES,
        topics::SPLITS,
        topics::FILES,
        topics::LEDGER,
        topics::LEDGER_FOLDED,
        &changelog,
    ];
    for name in wanted {
        assert!(find(name).is_some_and(|spec| spec.partitions > 0), "{name}");
    }
    let mut names: Vec<&str> = specs.iter().map(|spec| spec.name.as_str()).collect();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), specs.len(), "a topic is listed twice");
    // A record keeps its partition number from raw on.
    for name in [topics::RAW, topics::PARSED, topics::DEAD, topics::REDRIVE, &changelog] {
        let spec = find(name).unwrap();
        assert_eq!(Some(spec.partitions), find(topics::RAW).map(|spec| spec.partitions), "{name}");
        assert_eq!((spec.clone().scaled(Some(9)).partitions, spec.clone().scaled(None)), (9, spec.clone()));
    }
    assert_eq!(find(topics::SPLITS).map(|spec| spec.clone().scaled(Some(9)).partitions), Some(2));
    assert_eq!(
        find(topics::LEDGER_FOLDED).map(|spec| spec.partitions),
        find(topics::LEDGER).map(|spec| spec.partitions)
    );
}

#[test]
fn topics_file_with_a_wrong_key_is_refused() {
    use millrace_schemas::topics;
    let text =
        "[[topic]]\nname = \"a\"\nabout = \"\"\npartitions = 1\ncleanup = \"delete\"\nretention_days = 1\n";
    assert!(topics::parse(text).unwrap_err().contains("retention_days"));
}
