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
fn a_time_with_a_point_or_an_exponent_is_read_by_its_size() {
    for (time, nanos) in [
        ("1686026123.62", "1686026123620000000"),
        ("147.78369e9", "147783690000000000"),
        ("1686026123620.5", "1686026123620500000"),
        ("1686026123620000.25", "1686026123620000250"),
        ("1.68602612362e18", "1686026123620000000"),
        ("1686026123620000001.0", "1686026123620000001"),
        ("-1.5", "-1500000000"),
        ("1686026123", "1686026123"),
    ] {
        let body = format!(r#"{{"streams":[{{"values":[["{time}","a"]]}}]}}"#);
        assert_eq!(show(&body), format!("loki - millrace-time={nanos} a"), "{time}");
    }
}

#[test]
fn labels_that_are_no_text_are_taken_as_they_are_written() {
    let body = r#"{"streams":[{"stream":{"a":null,"b":true,"c":[1,"d"]},"values":[["1","x"]]}]}"#;
    assert_eq!(show(body), r#"loki - a=null,b=true,c=[1,"d"],millrace-time=1 x"#);
}

#[test]
fn lines_are_not_copied_but_where_they_are_escaped() {
    let body =
        br#"{"streams":[{"stream":{"app":"a","n":1.50},"values":[["1","plain"],["2","es\u0063aped"]]}]}"#;
    let taken = read("application/json", "loki", body, 1 << 20).unwrap();
    let is_borrowed = |at: usize| matches!(taken.items[at].body, Cow::Borrowed(_));
    assert_eq!(
        (is_borrowed(0), is_borrowed(1), taken.items[1].body.as_ref()),
        (true, false, &b"escaped"[..])
    );
    assert_eq!(taken.items[0].attributes[1], ("n".into(), "1.50".into()));
}

#[test]
fn a_line_with_too_much_beside_it_is_refused_alone() {
    let pairs: Vec<String> = (0..100_000).map(|n| format!(r#""k{n}":"v""#)).collect();
    let many = format!(r#"["1","a",{{{}}}]"#, pairs.join(","));
    let body = format!(r#"{{"streams":[{{"values":[{many},["2","b"]]}}]}}"#);
    let taken = read("application/json", "loki", body.as_bytes(), 32 << 20).unwrap();
    assert_eq!((taken.items.len(), taken.refused[0].at), (1, 0));
}

#[test]
fn what_is_no_push_is_refused() {
    for body in [
        "",
        "{}",
        "[]",
        r#"{"streams":[{}]}"#,
        r#"{"streams":[{"values":[["1.5x","a"]]}]}"#,
        r#"{"streams":[{"values":[["1e999","a"]]}]}"#,
        r#"{"streams":[{"values":[[".5","a"]]}]}"#,
        r#"{"streams":[{"values":[["1"]]}]}"#,
        r#"{"streams":[{"values":[["1","a",{"k":1}]]}]}"#,
        r#"{"streams":[{"values":[["1","a",{},0]]}]}"#,
        r#"{"streams":[{"values":[["1","\ud800"]]}]}"#,
        r#"{"streams":[{"stream":[],"values":[]}]}"#,
        r#"{"streams":[]} x"#,
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
