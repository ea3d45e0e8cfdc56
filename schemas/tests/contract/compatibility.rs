//! I6: today's reader reads every registered version, yesterday's reader reads today's data.

use apache_avro::Schema;
use apache_avro::schema::RecordSchema;
use apache_avro::schema_compatibility::SchemaCompatibility;
use millrace_schemas::Subject;

#[test]
fn every_pair_of_versions_reads_each_other() {
    for subject in Subject::ALL {
        let versions: Vec<Schema> =
            subject.versions().iter().map(|text| Schema::parse_str(text).unwrap()).collect();
        for (w, writer) in versions.iter().enumerate() {
            for (r, reader) in versions.iter().enumerate() {
                let verdict = SchemaCompatibility::can_read(writer, reader);
                assert!(
                    verdict.is_ok(),
                    "{}: v{} as reader of v{}: {verdict:?}",
                    subject.folder(),
                    r + 1,
                    w + 1
                );
            }
        }
    }
}

#[test]
fn folders_hold_the_versions_and_no_others() {
    for subject in Subject::ALL {
        let folder = format!("{}/avro/{}", env!("CARGO_MANIFEST_DIR"), subject.folder());
        let names = std::fs::read_dir(&folder)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap());
        let mut schemas: Vec<String> = names.filter(|name| name.ends_with(".avsc")).collect();
        schemas.sort_by_key(|name| name.trim_matches(|c: char| !c.is_ascii_digit()).parse::<u32>().unwrap());
        assert_eq!(schemas.len(), subject.versions().len(), "{folder}");
        for (name, text) in schemas.iter().zip(subject.versions()) {
            assert_eq!(
                std::fs::read_to_string(format!("{folder}/{name}")).unwrap(),
                *text,
                "{folder}/{name}"
            );
        }
    }
}

fn record(subject: Subject) -> RecordSchema {
    match Schema::parse_str(subject.schema()).unwrap() {
        Schema::Record(record) => record,
        other => panic!("{other:?}"),
    }
}

/// What lets a parser copy the raw datum into the event.
#[test]
fn event_begins_with_exactly_the_fields_of_the_raw_event() {
    let (raw, event) = (record(Subject::Raw), record(Subject::Parsed));
    assert!(event.fields.len() > raw.fields.len());
    for (own, copied) in raw.fields.iter().zip(&event.fields) {
        assert_eq!((&own.name, &own.schema, &own.default), (&copied.name, &copied.schema, &copied.default));
    }
}
