use std::time::Instant;

use millrace_runtime::keys::Keyring;
use millrace_schemas::access::Streams;
use millrace_schemas::control::ControlRecord;
use millrace_schemas::quota::Quota;
use millrace_schemas::stream::StreamEntry;

use super::*;
use crate::access::{Access, Caller};
use crate::quota::Account;

/// Method, path with query, headers, body, to `status body` with the items before it.
fn show(method: &str, target: &str, headers: &[(&str, &str)], body: &str) -> String {
    metered(method, target, headers, body, &Meter::open())
}

fn metered(method: &str, target: &str, headers: &[(&str, &str)], body: &str, meter: &Meter<'_>) -> String {
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let request = Request { method, path, query, headers, nonce: "n" };
    match read(&request, body.as_bytes(), 1 << 20, meter) {
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
        ("/i/_doc/_bulk", JSON, "{\"index\":{\"_type\":\"_doc\"}}\n{}\n", "i/-:{}|200 "),
        ("/i/logevent/_bulk", JSON, "{\"index\":{}}\n{}\n", "i/-:{}|200 "),
        ("/i/_bulk?refresh=maybe", JSON, "{\"index\":{}}\n{}\n", "400"),
        ("/i/_doc", JSON, "{\n\"host\": \"h\"}\n", "i/h:{\n\"host\": \"h\"}|201 {"),
        ("/i/_doc/a%2Fb", JSON, "{}", "i/-:{}|201 {"),
        ("/i/_create/7", JSON, "{}", "i/-:{}|201 {"),
        ("/i/_doc", JSON, "x", "400 {"),
        ("/I/_doc", JSON, "{}", "400 {"),
        ("/i/_doc/1/2", JSON, "{}", "404"),
        ("/v1/logs/web", JSON, "\u{feff}{\"a\":1}", r#"web/-:{"a":1}|200"#),
        ("/v1/logs/web", &[("content-type", "text/plain")], "\u{feff}{}", "web/-:\u{feff}{}|200"),
        ("/i/_bulk", &[], "\u{feff}{\"index\":{}}\n{}\n", "i/-:{}|200 "),
        ("/loki/api/v1/push", JSON, r#"{"streams":[{"values":[["1","a"]]}]}"#, "loki/-:a|204 "),
        ("/v1/logs", JSON, "{}", "200 {}"),
        ("/v1/logs", &[], "{}", r#"415 {"code":12"#),
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
        let Reply::Now(answer) = read(&request, b"", 1, &Meter::open()) else {
            panic!("{path} commits something")
        };
        assert_eq!(answer.status, 200, "{path}");
        assert_eq!(answer.headers, [("x-elastic-product", "Elasticsearch".to_owned())], "{path}");
    }
    assert_eq!(show("PUT", "/_index_template/x", JSON, "{}"), r#"200 {"acknowledged":true}"#);
    assert!(show("PUT", "/web", JSON, "{}").contains(r#""shards_acknowledged":true"#));
    let one = show("PUT", "/i/_doc/a%2Fb", JSON, "{}");
    assert!(one.contains(r#""_id":"a/b""#) && !one.contains("status"), "{one}");
    assert!(show("POST", "/I/_doc", JSON, "{}").contains("Invalid index name [I]"));
    assert!(show("HEAD", "/web", &[], "").starts_with("200"));
    assert!(show("HEAD", "/Web", &[], "").starts_with("404"));
    assert!(show("POST", "/web/_refresh", &[], "").starts_with(r#"200 {"_shards""#));
    let nodes = |host| show("GET", "/_nodes/_all/http", &[("host", host)], "");
    assert!(nodes("[::1]:8080").contains(r#""publish_address":"[::1]:8080""#));
    assert!(nodes("logs.example.org").contains(r#""nodes":{}"#));
    let eight = [("content-type", "application/vnd.elasticsearch+x-ndjson;compatible-with=8")];
    let beside = "{\"index\":{},\"attempts\":0}\n{}\n";
    assert!(show("POST", "/i/_bulk", &eight, beside).starts_with("i/-:{}|200"));
    assert!(show("POST", "/i/_bulk", JSON, beside).starts_with("400"));
    assert!(show("GET", "/_bulk", &[], "").starts_with("405"));
    assert!(show("POST", "/web/events", JSON, "{}").contains(r#""status":404"#));
    assert!(show("POST", "/v1/events", JSON, "{}").starts_with(r#"404 {"error":"no such path"#));
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
    assert_eq!((refuse("/i/_bulk"), refuse("/i/_doc")), ("later".to_owned(), "later".to_owned()));
}

#[test]
fn over_a_quota_nothing_is_taken_but_of_bulk_what_fits() {
    let quota = Quota {
        events_per_second: Some(1),
        burst_events: Some(2),
        max_line_bytes: Some(9),
        ..Quota::default()
    };
    let post = |target: &str, headers: &[(&str, &str)], body: &str| {
        let account = Account::new(quota, Instant::now());
        let meter = Meter::new(Some(&account), None, Instant::now());
        // One of the two is spent.
        assert!(metered("POST", "/v1/logs/web", &[], "a", &meter).starts_with("web/-:a|200"));
        metered("POST", target, headers, body, &meter)
    };
    let bulk = post("/i/_bulk", JSON, &"{\"index\":{}}\n{}\n".repeat(3));
    assert!(bulk.starts_with("i/-:{}|200") && bulk.contains(r#""errors":true"#), "{bulk}");
    assert_eq!(
        (bulk.matches(r#""status":201"#).count(), bulk.matches(r#""status":429"#).count()),
        (1, 2),
        "{bulk}"
    );
    let long = format!("{{\"index\":{{}}}}\n{{\"a\":\"{}\"}}\n{{\"index\":{{}}}}\n{{}}\n", "x".repeat(9));
    let bulk = post("/i/_bulk", JSON, &long);
    assert!(bulk.starts_with("i/-:{}|200") && bulk.contains(r#""status":413"#), "{bulk}");
    assert!(post("/v1/logs/web", &[], "0123456789\na").contains(r#""accepted":1,"rejected":1"#));
    for (target, headers, body, wanted) in [
        ("/v1/logs/web", &[][..], "a\nb", r#"429 {"error":"the quota"#),
        ("/loki/api/v1/push", JSON, r#"{"streams":[{"values":[["1","a"],["2","b"]]}]}"#, "429 the quota"),
        ("/services/collector/raw", &[], "a\nb", r#"429 {"text":"the quota"#),
        ("/services/collector/raw", &[], "0123456789", r#"413 {"text":"a line has 10 bytes"#),
    ] {
        let answer = post(target, headers, body);
        assert!(answer.starts_with(wanted), "{target}: {answer}");
    }
}

#[test]
fn a_key_that_makes_no_streams_writes_to_those_there_are() {
    let access = Access { anonymous: None, keys: Keyring::default() };
    for tenant in ["acme", "other"] {
        let name = if tenant == "acme" { "web" } else { "app" };
        let record = ControlRecord::stream(tenant, name, &StreamEntry { source: None, note: None, set: 0 });
        access.keys.note(record.key().as_bytes(), &record);
    }
    let caller = Caller { tenant: "acme".to_owned(), streams: Streams::Existing };
    let post = |target: &str, headers: &[(&str, &str)], body: &str| {
        let meter = Meter::new(None, access.existing(&caller), Instant::now());
        metered("POST", target, headers, body, &meter)
    };
    assert!(post("/v1/logs/web", &[], "a").starts_with("web/-:a|200"));
    let bulk = "{\"index\":{\"_index\":\"app\"}}\n{}\n{\"create\":{\"_index\":\"web\"}}\n{}\n";
    let bulk = post("/_bulk", JSON, bulk);
    assert!(bulk.starts_with("web/-:{}|200") && bulk.contains(r#""errors":true"#), "{bulk}");
    let reason = r#"there is no stream \"app\", and this key may not make one: `millrace stream create app --tenant acme` does"#;
    assert!(bulk.contains(reason) && bulk.contains("security_exception"), "{bulk}");
    assert_eq!(bulk.matches(r#""status":403"#).count(), 1, "{bulk}");
    let loki = |names: &[&str]| {
        let stream = |name: &&str| format!(r#"{{"stream":{{"app":"{name}"}},"values":[["1","a"]]}}"#);
        let streams: Vec<String> = names.iter().map(stream).collect();
        post("/loki/api/v1/push", JSON, &format!(r#"{{"streams":[{}]}}"#, streams.join(",")))
    };
    assert!(loki(&["web", "app"]).starts_with("web/-:a|400 1 lines refused, the others taken: there is no"));
    assert!(loki(&["app", "db"]).starts_with("403 there is no stream \"app\""));
    for (target, headers, body, wanted) in [
        ("/v1/logs/app", &[][..], "a", r#"403 {"error":"there is no stream"#),
        ("/v1/logs", JSON, r#"{"resourceLogs":[{"scopeLogs":[{"logRecords":[{}]}]}]}"#, r#"403 {"code":7"#),
        ("/services/collector/raw?index=app", &[], "a", r#"403 {"#),
        ("/store/batch", &[], r#"[{"uuid":"u","host":"h","file":"f","line-num":1,"content":"c"}]"#, "403 {"),
    ] {
        let answer = post(target, headers, body);
        assert!(answer.starts_with(wanted), "{target}: {answer}");
    }
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

#[test]
fn a_block_of_snappy_that_lokis_form_has_anyway_is_undone_once() {
    let undone = |path, media_type| {
        let headers = [("content-type", media_type), ("content-encoding", "Snappy")];
        let request = Request { method: "POST", path, query: "", headers: &headers, nonce: "n" };
        let block = b"\x02\x04ab";
        unpack(&request, block, 99).map(|body| body.to_vec()) == Ok(b"ab".to_vec())
    };
    assert!(!undone("/loki/api/v1/push", "application/x-protobuf; charset=utf-8"));
    assert!(undone("/loki/api/v1/push", "application/json"));
    assert!(undone("/v1/logs", "application/x-protobuf"));
}

proptest::proptest! {
    #[test]
    fn any_request_is_answered(path in "/[a-z0-9_/%]{0,20}", query in "[a-z=&%+0-9]{0,20}", body: Vec<u8>) {
        for method in ["GET", "POST", "PUT"] {
            let request = Request { method, path: &path, query: &query, headers: &[], nonce: "n" };
            if let Reply::Now(answer) = read(&request, &body, 1_000, &Meter::open()) {
                proptest::prop_assert!((200..600).contains(&answer.status));
            }
        }
    }
}
