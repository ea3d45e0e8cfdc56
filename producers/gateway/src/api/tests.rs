use super::*;

/// Method, path with query, headers, body, to `status body` with the items before it.
fn show(method: &str, target: &str, headers: &[(&str, &str)], body: &str) -> String {
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let request = Request { method, path, query, headers, nonce: "n" };
    match read(&request, body.as_bytes(), 1 << 20) {
        Reply::Now(answer) => format!("{} {}", answer.status, String::from_utf8_lossy(&answer.body)),
        Reply::Commit(items, promise) => {
            let answer = promise.keep(items.len(), 0);
            let show = |item: &Item<'_>| {
                let host = item.host.as_deref().unwrap_or("-");
                format!("{}/{host}:{}|", item.stream, String::from_utf8_lossy(&item.body))
            };
            let items: String = items.iter().map(show).collect();
            format!("{items}{} {}", answer.status, String::from_utf8_lossy(&answer.body))
        }
    }
}

const JSON: &[(&str, &str)] = &[("content-type", "application/json")];

#[test]
fn lines_go_where_their_path_says() {
    for (target, headers, body, wanted) in [
        ("/v1/logs/web", &[][..], "a\nb\n", r#"web/-:a|web/-:b|200 {"accepted":2}"#),
        ("/v1/logs/web?host=h%201", &[], "a", r#"web/h 1:a|200 {"accepted":1}"#),
        ("/v1/logs/Web", &[], "a", "400"),
        ("/v1/logs/web", &[("content-type", "application/x-ndjson; charset=utf-8")], "x", "400"),
        ("/_bulk", JSON, "{\"index\":{\"_index\":\"i\"}}\n{}\n", "i/-:{}|200 "),
        ("/i/_bulk?refresh=true", JSON, "{\"index\":{}}\n{}\n", "i/-:{}|200 "),
        ("/i/_bulk?refresh=maybe", JSON, "{\"index\":{}}\n{}\n", "400"),
        ("/loki/api/v1/push", JSON, r#"{"streams":[{"values":[["1","a"]]}]}"#, "loki/-:a|204 "),
        ("/v1/logs", JSON, "{}", "200 {}"),
        ("/v1/logs", &[], "{}", r#"415 {"code":3"#),
        ("/services/collector", &[], r#"{"event":"a"}"#, r#"main/-:a|200 {"text":"Success","code":0}"#),
        ("/services/collector/raw?host=h&index=i", &[], "a", "i/h:a|200 "),
        ("/services/collector/ack", &[], r#"{"acks":[0,3]}"#, r#"200 {"acks":{"0":true,"3":true}}"#),
        ("/store/batch", JSON, "[]", r#"200 {"stored":0,"duplicate":0}"#),
        (
            "/message/send",
            JSON,
            r#"{"timestamp":1,"severity":"a","source":"b","message":"c"}"#,
            "messages/-:{",
        ),
        ("/nowhere", &[], "", "404"),
    ] {
        let shown = show("POST", target, headers, body);
        assert!(shown.starts_with(wanted), "{target}: {shown}");
    }
}

#[test]
fn senders_of_elasticsearch_find_what_they_ask_for() {
    for path in
        ["/", "/_license", "/_xpack", "/_ilm/policy/filebeat", "/_index_template/logs", "/_template/x"]
    {
        let request = Request { method: "GET", path, query: "", headers: &[], nonce: "n" };
        let Reply::Now(answer) = read(&request, b"", 1) else { panic!("{path} commits something") };
        assert_eq!(answer.status, 200, "{path}");
        assert_eq!(answer.headers, [("x-elastic-product", "Elasticsearch".to_owned())], "{path}");
    }
    assert_eq!(show("PUT", "/_index_template/x", JSON, "{}"), r#"200 {"acknowledged":true}"#);
    assert!(show("GET", "/_bulk", &[], "").starts_with("405"));
}

#[test]
fn refusals_are_in_the_clients_words() {
    let refuse = |path: &str| {
        let request = Request { method: "POST", path, query: "", headers: &[], nonce: "n" };
        let answer = Dialect::of(path).refuse(&request, 503, "later", Some(2));
        assert!(answer.headers.contains(&("retry-after", "2".to_owned())), "{path}");
        String::from_utf8_lossy(&answer.body).into_owned()
    };
    assert_eq!(refuse("/v1/logs/web"), r#"{"error":"later"}"#);
    assert_eq!(refuse("/loki/api/v1/push"), "later");
    assert_eq!(refuse("/services/collector/raw"), r#"{"text":"later","code":9}"#);
    assert_eq!(refuse("/v1/logs"), r#"{"code":14,"message":"later"}"#);
    assert!(refuse("/i/_bulk").contains("es_rejected_execution_exception"));
}

#[test]
fn a_bomb_gets_413() {
    let headers = [("content-encoding", "gzip")];
    let request = Request { method: "POST", path: "/v1/logs/web", query: "", headers: &headers, nonce: "n" };
    let mut writer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    std::io::Write::write_all(&mut writer, &vec![b'a'; 1 << 20]).unwrap();
    let packed = writer.finish().unwrap();
    assert_eq!(unpack(&request, &packed, 1 << 19).unwrap_err().status, 413);
    assert_eq!(unpack(&request, b"junk", 1 << 19).unwrap_err().status, 400);
}

proptest::proptest! {
    #[test]
    fn any_request_is_answered(path in "/[a-z0-9_/%]{0,20}", query in "[a-z=&%+0-9]{0,20}", body: Vec<u8>) {
        for method in ["GET", "POST", "PUT"] {
            let request = Request { method, path: &path, query: &query, headers: &[], nonce: "n" };
            if let Reply::Now(answer) = read(&request, &body, 1_000) {
                proptest::prop_assert!((200..600).contains(&answer.status));
            }
        }
    }
}
