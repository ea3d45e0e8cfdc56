use super::*;

fn show(form: Form, body: &[u8]) -> String {
    match read(form, "otlp", body, 1 << 20) {
        Err(error) => format!("!{error}"),
        Ok(taken) => {
            let items = taken
                .items
                .iter()
                .map(|item| format!("{} {}", item.stream, String::from_utf8_lossy(&item.body)));
            let refused = taken.refused.iter().map(|own| format!("!{}", own.at));
            items.chain(refused).collect::<Vec<_>>().join("|")
        }
    }
}

fn records(records: &str) -> String {
    let resource = r#"{"attributes":[{"key":"service.name","value":{"stringValue":"Shop"}}]}"#;
    let body = format!(
        r#"{{"resourceLogs":[{{"resource":{resource},"scopeLogs":[{{"logRecords":[{records}]}}]}}]}}"#
    );
    show(Form::Json, body.as_bytes())
}

#[test]
fn a_record_becomes_a_document() {
    let record = r#"{"timeUnixNano":"1544712660300000001","severityNumber":10,"traceId":"5B8EFFF798038103D269B633813FC60C",
        "body":{"stringValue":"hello"},"attributes":[{"key":"n","value":{"intValue":"7"}},{"key":"l","value":{"arrayValue":{"values":[{"boolValue":true}]}}}]}"#;
    let wanted = concat!(
        r#"shop {"time":1544712660300000001,"severity":"info","severity_number":10,"message":"hello","#,
        r#""attributes":{"n":7,"l":[true]},"trace_id":"5b8efff798038103d269b633813fc60c","resource":{"service.name":"Shop"}}"#
    );
    assert_eq!(records(record), wanted);
}

#[test]
fn null_in_an_array_is_a_value_that_is_empty() {
    let record = r#"{"body":{"arrayValue":{"values":[null,{},{"intValue":1}]}}}"#;
    assert_eq!(records(record), r#"shop {"body":[null,null,1],"resource":{"service.name":"Shop"}}"#);
    assert!(records(r#"{"attributes":[null]}"#).starts_with('!'));
}

#[test]
fn a_record_with_a_wrong_id_is_refused_alone() {
    let good = r#"{"body":{"stringValue":"a"}}"#;
    let all = format!(r#"{good},{{"spanId":"12"}},{{"traceId":"zz"}},{good}"#);
    let document = r#"shop {"message":"a","resource":{"service.name":"Shop"}}"#;
    assert_eq!(records(&all), format!("{document}|{document}|!1|!2"));
}

#[test]
fn what_has_another_form_is_refused() {
    for record in [
        r#"7"#,
        r#"{"timeUnixNano":{}}"#,
        r#"{"attributes":{"a":1}}"#,
        r#"{"body":[]}"#,
        r#"{"severityNumber":"x"}"#,
    ] {
        assert!(records(record).starts_with('!'), "{record}: {}", records(record));
    }
    assert_eq!(show(Form::Json, b"{}"), "");
    assert_eq!(show(Form::Protobuf, b""), "");
    assert!(show(Form::Protobuf, b"{}").starts_with('!'));
}

#[test]
fn a_resource_is_not_copied_without_bound() {
    let resource =
        format!(r#"{{"attributes":[{{"key":"a","value":{{"stringValue":"{}"}}}}]}}"#, "x".repeat(1_000));
    let body = |n: usize| {
        let records = vec!["{}"; n].join(",");
        format!(
            r#"{{"resourceLogs":[{{"resource":{resource},"scopeLogs":[{{"logRecords":[{records}]}}]}}]}}"#
        )
    };
    assert_eq!(read(Form::Json, "otlp", body(90).as_bytes(), 50_000).unwrap().items.len(), 90);
    let refused = read(Form::Json, "otlp", body(110).as_bytes(), 50_000);
    assert!(matches!(refused, Err(ReadError::TooMany(_))));
}

#[test]
fn a_part_is_read_as_a_tree_and_is_bounded() {
    let long = "x".repeat(MAX_PART);
    let [good, large] = ["a", &long].map(|text| format!(r#"{{"body":{{"stringValue":"{text}"}}}}"#));
    let shown = records(&format!("{good},{large},{good}"));
    assert!(shown.ends_with("|!1") && shown.matches("message").count() == 2, "{:.99}", shown);
    let resource = format!(r#"{{"resourceLogs":[{{"resource":{{"attributes":["{long}"]}}}}]}}"#);
    assert!(show(Form::Json, resource.as_bytes()).starts_with("!a part of the request"));
}

#[test]
fn deep_values_are_refused() {
    let deep = format!("{}{}", r#"{"arrayValue":{"values":["#.repeat(200), "]}}".repeat(200));
    assert!(records(&format!(r#"{{"body":{deep}}}"#)).starts_with('!'));
}

#[test]
fn answers_have_the_form_of_the_request() {
    assert_eq!(answer(Form::Json, 0, ""), b"{}");
    assert_eq!(answer(Form::Protobuf, 0, ""), b"");
    assert_eq!(answer(Form::Protobuf, 2, "x"), [0x0a, 5, 8, 2, 0x12, 1, b'x']);
    assert_eq!(refusal(Form::Protobuf, 3, "x"), [8, 3, 0x12, 1, b'x']);
}

proptest::proptest! {
    #[test]
    fn any_bytes_are_records_or_a_refusal(body: Vec<u8>, text in "[{}\\[\\]\":,0-9a-z ]{0,60}") {
        for form in [Form::Json, Form::Protobuf] {
            drop(read(form, "otlp", &body, 1 << 20));
            drop(read(form, "otlp", text.as_bytes(), 1 << 20));
        }
        drop(read(Form::Json, "otlp", format!(r#"{{"resourceLogs":[{text}]}}"#).as_bytes(), 1 << 20));
    }
}
