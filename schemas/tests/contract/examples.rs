//! Every example of every subject goes through the reference implementation, the fast codec and the Rust type.

use apache_avro::Schema;
use apache_avro::types::Value;
use millrace_schemas::attempt::BatchState;
use millrace_schemas::control::ControlRecord;
use millrace_schemas::ledger::Delta;
use millrace_schemas::manifest::ManifestRecord;
use millrace_schemas::position::FilePosition;
use millrace_schemas::progress::Progress;
use millrace_schemas::{Codec, Event, RawEvent, Subject};

use crate::reference;

const ID: u32 = 77;

/// Decodes and encodes a framed value as the subject's Rust type.
fn through_rust(subject: Subject, framed: &[u8]) -> Vec<u8> {
    let codec = Codec::new(subject.folder(), ID, subject.schema()).unwrap();
    let mut out = Vec::new();
    macro_rules! again {
        ($type:ty) => {
            codec.encode(&codec.decode::<$type>(framed).unwrap(), &mut out).unwrap()
        };
    }
    match subject {
        Subject::Raw => again!(RawEvent<'_>),
        Subject::Parsed => again!(Event<'_>),
        Subject::Ledger => again!(Delta),
        Subject::Position => again!(FilePosition),
        Subject::Manifest => again!(ManifestRecord),
        Subject::Progress => again!(Progress),
        Subject::Control => again!(ControlRecord),
        Subject::Batches => again!(BatchState),
    }
    out
}

#[test]
fn every_example_survives_the_rust_type() {
    for subject in Subject::ALL {
        let folder = format!("{}/avro/{}/examples", env!("CARGO_MANIFEST_DIR"), subject.folder());
        let schema = Schema::parse_str(subject.schema()).unwrap();
        let mut n_examples = 0;
        for entry in std::fs::read_dir(&folder).unwrap_or_else(|_| panic!("{folder} is missing")) {
            let path = entry.unwrap().path();
            let text = std::fs::read_to_string(&path).unwrap();
            let json: serde_json::Value = serde_json::from_str(&text).unwrap();
            let value = Value::try_from(json)
                .and_then(|value| value.resolve(&schema))
                .unwrap_or_else(|error| panic!("{path:?}: {error}"));
            let datum = reference::write(&schema, &value);
            let framed = [&[0, 0, 0, 0, ID as u8][..], &datum].concat();

            let again = through_rust(subject, &framed);
            assert_eq!(again.len(), framed.len(), "{path:?}");
            let read = reference::read(&schema, &again[5..]);
            assert_eq!(read, value, "{path:?}");
            n_examples += 1;
        }
        assert!(n_examples >= 2, "{folder} has {n_examples} examples");
    }
}
