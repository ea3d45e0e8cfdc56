use super::*;

fn show(body: &str) -> String {
    match read("application/json", "loki", body.as_bytes(), 1 << 20) {
        Err(error) => format!("!{error}"),
        Ok(taken) => {
            let show = |item: &Item<'_>| {
                let attributes: Vec<_> =
                    item.attributes.iter().map(|(name, value)| format!("{name}={value}")).collect();
                let host = item.host.as_deref().unwrap_or("-");
                format!(
                    "{} {host} {} {}",
                    item.stream,
                    attributes.join(","),
                    String::from_utf8_lossy(&item.body)
                )
            };
            taken.items.iter().map(show).collect::<Vec<_>>().join("|")
        }
    }
}

#[test]
fn labels_name_stream_and_host() {
    let body = r#"{"streams":[{"stream":{"app":"My App!","host":"h1"},"values":[["7","a b"],["8","c",{"k":"v"}]]}]}"#;
    let wanted = "my-app h1 app=My App!,host=h1,millrace-time=7 a b|my-app h1 app=My App!,host=h1,k=v,millrace-time=8 c";
    assert_eq!(show(body), wanted);
    assert_eq!(show(r#"{"streams":[{"values":[["7",""]]}]}"#), "loki - millrace-time=7 ");
}

#[test]
fn what_is_no_push_is_refused() {
    for body in [
        "",
        "{}",
        "[]",
        r#"{"streams":[{}]}"#,
        r#"{"streams":[{"values":[["1.5","a"]]}]}"#,
        r#"{"streams":[{"values":[["1"]]}]}"#,
    ] {
        assert!(show(body).starts_with('!'), "{body}");
    }
    for header in ["", "application/jsonn", "application/json; charsetutf-8", "text/plain"] {
        let refused = read(header, "loki", br#"{"streams":[]}"#, 99);
        assert!(matches!(refused, Err(PushError::MediaType(_))), "{header}");
    }
}

#[test]
fn labels_are_not_copied_without_bound() {
    let body = |n: usize| {
        let values = vec![r#"["1",""]"#; n].join(",");
        format!(r#"{{"streams":[{{"stream":{{"a":"{}"}},"values":[{values}]}}]}}"#, "x".repeat(999))
    };
    assert_eq!(read("application/json", "loki", body(100).as_bytes(), 50_000).unwrap().items.len(), 100);
    let body = body(101);
    let refused = read("application/json", "loki", body.as_bytes(), 50_000);
    assert!(matches!(refused, Err(PushError::TooMany(_))));
}

proptest::proptest! {
    #[test]
    fn any_bytes_are_lines_or_a_refusal(body: Vec<u8>, text in "[{}\\[\\]\":,0-9a-z ]{0,60}") {
        for header in ["application/json", "application/x-protobuf"] {
            drop(read(header, "loki", &body, 1_000));
            drop(read(header, "loki", text.as_bytes(), 1_000));
        }
        let block = snap::raw::Encoder::new().compress_vec(&body).unwrap();
        drop(read("application/x-protobuf", "loki", &block, 100_000));
    }
}
