//! Every step under any bytes: an event or one dead letter (I1), and never a panic.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::*;
use crate::parse::Format;
use crate::parse::source::reader::Reader;
use crate::parse::source::targets::{self, STEPS, compiled};

/// Number of each kind of step. A new one does not compile until it has one, and a line above.
fn kind(step: &Step) -> usize {
    match step {
        Step::Timestamp { .. } => 0,
        Step::Severity { .. } => 1,
        Step::Lift { .. } => 2,
        Step::Rename(_) => 3,
        Step::Drop(_) => 4,
        Step::Cast(_) => 5,
        Step::Add(_) => 6,
        Step::StripAnsi => 7,
        Step::FirstOf { .. } => 8,
        Step::When { .. } => 9,
        Step::Read { reader, .. } => match reader {
            Reader::KeyValue(_) => 10,
            Reader::Delimited(_) => 11,
            Reader::AccessLog(_) => 12,
            Reader::W3c(_) => 13,
            Reader::Dissect(_) => 14,
            Reader::Regex { .. } => 15,
            Reader::Grok { .. } => 16,
            Reader::Url { .. } => 17,
            Reader::Query => 18,
            Reader::Agent => 19,
            Reader::Peer => 20,
            Reader::LabelledCef => 21,
            Reader::Format(format) => 22 + Format::ALL.iter().position(|own| own == format).unwrap(),
        },
    }
}

fn add_kinds(steps: &[Step], kinds: &mut BTreeSet<usize>) {
    for step in steps {
        kinds.insert(kind(step));
        match step {
            Step::FirstOf { branches, .. } => branches.iter().for_each(|branch| add_kinds(branch, kinds)),
            Step::When { then, otherwise, .. } => {
                [then, otherwise].into_iter().for_each(|own| add_kinds(own, kinds))
            }
            _ => {}
        }
    }
}

#[test]
fn every_kind_of_step_is_fuzzed() {
    let sources = compiled();
    let mut kinds = BTreeSet::new();
    sources.iter().for_each(|source| add_kinds(&source.steps, &mut kinds));
    assert_eq!(kinds, (0..22 + Format::ALL.len()).collect());
    // What is changed is read as it is, so that the changes reach further than the first byte.
    for (source, (steps, lines)) in sources.iter().zip(&STEPS) {
        assert!(lines.iter().any(|line| source.read(line, RECEIVED).is_ok()), "{steps}");
    }
}

/// Bytes that formats are made of.
const TOKENS: [&[u8]; 24] = [
    b"\"",
    b"\\",
    b"[",
    b"]",
    b"{",
    b"}",
    b"=",
    b":",
    b"|",
    b"%",
    b" ",
    b"\t",
    b"\n",
    b"\0",
    b"-",
    b"0",
    b"9999999999",
    b"\x1b[",
    b"\xff",
    "\u{e4}".as_bytes(),
    "\u{feff}".as_bytes(),
    b"<",
    b"'",
    b"&",
];

/// A step, and one of its lines with bytes changed, put in, doubled and taken away, or plain noise.
fn tried() -> impl Strategy<Value = (usize, Vec<u8>)> {
    let edits = prop::collection::vec((any::<prop::sample::Index>(), any::<u8>(), 0..6_u8), 0..8);
    let edited = (0..STEPS.len(), any::<prop::sample::Index>(), edits).prop_map(|(step, seed, edits)| {
        let lines = STEPS[step].1;
        let mut bytes = lines[seed.index(lines.len())].as_bytes().to_vec();
        for (at, byte, edit) in edits {
            let at = at.index(bytes.len() + 1);
            let token = TOKENS[usize::from(byte) % TOKENS.len()];
            match edit {
                0 if at < bytes.len() => bytes[at] = byte,
                1 => drop(bytes.splice(at..at, token.iter().copied())),
                2 => drop(bytes.splice(at.., token.iter().copied())),
                3 => bytes.extend_from_within(at..),
                4 => drop(bytes.drain(..at)),
                _ => bytes.truncate(at),
            }
            bytes.truncate(4_000);
        }
        (step, bytes)
    });
    let noise = (0..STEPS.len(), prop::collection::vec(any::<u8>(), 0..120));
    prop_oneof![6 => edited, 1 => noise]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4_000))]

    #[test]
    fn any_bytes_are_an_event_or_one_dead_letter((step, body) in tried(), received in prop_oneof![3 => Just(RECEIVED), 1 => any::<i64>()]) {
        thread_local!(static SOURCES: Vec<Arc<Source>> = compiled());
        SOURCES.with(|sources| targets::step(sources, step, &body, received));
    }
}
