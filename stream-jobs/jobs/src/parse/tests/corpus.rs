//! The job on a corpus: every example of the raw schema, and lines of each format that are as they come, as they should
//! not come, and nearly right. What it makes of them is kept as snapshots: a change of an answer shows as a change of a file,
//! and wants a new version of the format. To accept one: `INSTA_UPDATE=always cargo test --workspace --lib corpus`.

use std::fmt::Write;

use apache_avro::Schema;
use apache_avro::types::Value as Avro;
use apache_avro::writer::datum::GenericDatumWriter;

use super::*;

/// Each line, and below it what each reading of it gives.
fn read_corpus(format: Format, lines: &str) -> String {
    let mut shown = String::new();
    for body in lines.lines() {
        writeln!(shown, "{body}").unwrap();
        let own = show_plan(&plan_lines(format, &[line(body.as_bytes())]));
        let auto = show_plan(&plan_lines(Format::Auto, &[line(body.as_bytes())]));
        writeln!(shown, "    {own}").unwrap();
        if auto != own {
            writeln!(shown, "    as auto: {auto}").unwrap();
        }
    }
    shown
}

macro_rules! corpus {
    ($($name:ident: $format:expr, $file:literal;)*) => {$(
        #[test]
        fn $name() {
            insta::assert_snapshot!(stringify!($name), read_corpus($format, include_str!($file)));
        }
    )*};
}

corpus! {
    corpus_of_apache_lines: Format::Apache, "corpus/apache.log";
    corpus_of_json_lines: Format::Json, "corpus/json.log";
    corpus_of_rfc5424_lines: Format::Rfc5424, "corpus/rfc5424.log";
    corpus_of_rfc3164_lines: Format::Rfc3164, "corpus/rfc3164.log";
}

/// Every example of every version of the raw schema, encoded by the reference implementation.
#[test]
fn corpus_of_raw_examples() {
    let avro = format!("{}/../../schemas/avro", env!("CARGO_MANIFEST_DIR"));
    let schema = Schema::parse_str(Subject::Raw.schema()).unwrap();
    let mut shown = String::new();
    let mut n_examples = 0;
    for folder in sorted(&avro).iter().filter(|folder| name(folder).starts_with("logs.raw")) {
        for path in sorted(&format!("{folder}/examples")) {
            let json: serde_json::Value =
                serde_json::from_str(&std::fs::read_to_string(&path).unwrap()).unwrap();
            let value = Avro::try_from(json).and_then(|value| value.resolve(&schema)).unwrap();
            let writer = GenericDatumWriter::builder(&schema).build().unwrap();
            let datum = writer.write_value_to_vec(value).unwrap();
            let framed = [&[0, 0, 0, 0, RAW_ID as u8][..], &datum].concat();
            let plan = plan(&job(Format::Auto), &batch(&[framed], 40), &Table::default(), None);
            writeln!(shown, "{}/{}", name(folder), name(&path)).unwrap();
            for output in plan.outputs() {
                let event: Event<'_> = event_codec().decode(output.value).unwrap();
                writeln!(shown, "{event:#?}").unwrap();
            }
            for dead in plan.dead() {
                writeln!(shown, "{:#?}", dead.letter).unwrap();
            }
            for delta in plan.deltas() {
                writeln!(shown, "{delta:?}\n").unwrap();
            }
            n_examples += 1;
        }
    }
    assert!(n_examples >= 3, "{n_examples} examples below {avro}");
    insta::assert_snapshot!("corpus_of_raw_examples", shown);
}

fn sorted(folder: &str) -> Vec<String> {
    let entries = std::fs::read_dir(folder).unwrap_or_else(|error| panic!("{folder}: {error}"));
    let mut paths: Vec<String> = entries.map(|entry| entry.unwrap().path().display().to_string()).collect();
    paths.sort();
    paths
}

fn name(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}
