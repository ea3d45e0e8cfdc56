use super::{Format, check};

#[track_caller]
fn json(body: &str, expected: &str) {
    check(Format::Json, body, expected);
    check(Format::Auto, body, expected);
}

#[test]
fn values_keep_their_types() {
    json(
        r#"{"s":"x","i":-3,"d":1.5,"e":2e3,"t":true,"n":null,"big":18446744073709551615}"#,
        "json s=x i=-3L d=1.5D e=2000.0D t=true big=1.8446744073709552e19D #no_time",
    );
}

#[test]
fn nested_objects_get_dots_and_arrays_stay_text() {
    json(
        r#" {"a":{"b":{"c":1},"d":"x"},"l":[1, "z", {"k":[]}],"o":{}} "#,
        r#"json a.b.c=1L a.d=x l=[1,"z",{"k":[]}] #no_time"#,
    );
}

#[test]
fn escapes_are_undone() {
    json(r#"{"na\u006de":"a\tb\u00e4\ud83d\ude00"}"#, "json name=a\tb\u{e4}\u{1f600} #no_time");
}

#[test]
fn time_is_found_in_its_usual_keys() {
    for (body, time) in [
        (r#"{"time":"2015-05-17T10:05:03.123456789+02:00"}"#, "2015-05-17T08:05:03.123456Z"),
        (r#"{"timestamp":"2015-05-17 10:05:03,5"}"#, "2015-05-17T10:05:03.500000Z"),
        (r#"{"@timestamp":"2015-05-17t10:05:03z"}"#, "2015-05-17T10:05:03Z"),
        (r#"{"ts":1431857103}"#, "2015-05-17T10:05:03Z"),
        (r#"{"ts":1431857103.25}"#, "2015-05-17T10:05:03.250000Z"),
        (r#"{"ts":"1431857103.25"}"#, "2015-05-17T10:05:03.250000Z"),
        (r#"{"ts":1431857103123}"#, "2015-05-17T10:05:03.123000Z"),
        (r#"{"ts":1431857103123456}"#, "2015-05-17T10:05:03.123456Z"),
        (r#"{"ts":1431857103123456789}"#, "2015-05-17T10:05:03.123456Z"),
    ] {
        json(body, &format!("json {time}"));
    }
}

#[test]
fn first_usable_key_counts_and_others_stay_fields() {
    json(
        r#"{"ts":1431857103,"time":0.25,"msg":"m","message":7,"user":{"id":3},"user_id":42,"userid":"z"}"#,
        "json 2015-05-17T10:05:03Z user<42> message<m> time=0.25D message=7L user.id=3L userid=z",
    );
    json(r#"{"time":"yesterday","level":true}"#, "json time=yesterday level=true #no_time");
}

#[test]
fn severity_is_lower_case() {
    for (body, severity) in [
        (r#"{"level":"WARN"}"#, "warn"),
        (r#"{"severity":"Error"}"#, "error"),
        (r#"{"lvl":"info"}"#, "info"),
        (r#"{"log":{"level":"debug"}}"#, "debug"),
        (r#"{"level":3}"#, "err"),
        (r#"{"level":50}"#, "error"),
    ] {
        json(body, &format!("json severity<{severity}> #no_time"));
    }
    json(r#"{"level":99}"#, "json level=99L #no_time");
}

#[test]
fn programs_have_other_names_for_these() {
    let at = "json 2020-05-18T14:38:34.123000Z";
    for (body, found) in [
        (r#"{"t":1589812714.123,"a":1}"#, "t=1589812714.123D a=1L"),
        (r#"{"date":1589812714.123,"log":"x"}"#, "date=1589812714.123D log=x"),
        (r#"{"datetime":"2020-05-18 14:38:34.123"}"#, "datetime=2020-05-18 14:38:34.123"),
        (
            r#"{"eventTime":"2020-05-18T14:38:34.123Z","userIdentity":{"userName":"al"}}"#,
            "user<al> eventTime=2020-05-18T14:38:34.123Z userIdentity.userName=al",
        ),
        (
            r#"{"t":{"$date":"2020-05-18T14:38:34.123+00:00"},"s":"D2","c":"N","msg":"m"}"#,
            "severity<debug> message<m> t.$date=2020-05-18T14:38:34.123+00:00 c=N",
        ),
        (
            r#"{"__REALTIME_TIMESTAMP":"1589812714123000","MESSAGE":"m","PRIORITY":"3"}"#,
            "severity<err> message<m> __REALTIME_TIMESTAMP=1589812714123000",
        ),
        (
            r#"{"@t":"2020-05-18T14:38:34.123Z","@mt":"Hi {N}","@l":"Warning","N":"x"}"#,
            "severity<warning> message<Hi {N}> @t=2020-05-18T14:38:34.123Z N=x",
        ),
        (
            r#"{"instant":{"epochSecond":1589812714,"nanoOfSecond":123000000},"level":"INFO"}"#,
            "severity<info> instant.epochSecond=1589812714L instant.nanoOfSecond=123000000L",
        ),
        (
            r#"{"timestamp":"1589812714123","levelname":"INFO","username":"al"}"#,
            "severity<info> user<al> username=al",
        ),
        (
            r#"{"date":"soon","eventTime":1589812714123,"ts":1589812714.123}"#,
            "date=soon eventTime=1589812714123L",
        ),
    ] {
        json(body, format!("{at} {found}").trim_end());
    }
    json(r#"{"time":"15","s":"small","t":5}"#, "json time=15 s=small t=5L #no_time");
}

#[test]
fn last_of_equal_names_counts() {
    json(r#"{"a":1,"b":2,"a":3,"c":{"d":4},"c.d":5}"#, "json a=3L b=2L c.d=5L #no_time #duplicate_key");
    let many: Vec<String> = (0..60).map(|n| format!(r#""k{}":{n}"#, n % 30)).collect();
    let last: Vec<String> = (30..60).map(|n| format!("k{}={n}L", n % 30)).collect();
    json(&format!("{{{}}}", many.join(",")), &format!("json {} #no_time #duplicate_key", last.join(" ")));
}

#[test]
fn deep_objects_stay_text() {
    let deep = format!("{}1{}", r#"{"a":"#.repeat(20), "}".repeat(20));
    let names = ["a"; 16].join(".");
    json(&deep, &format!(r#"json {names}={{"a":{{"a":{{"a":{{"a":1}}}}}}}} #no_time"#));
    let endless = r#"{"a":"#.repeat(100_000);
    json(&endless, "!json no_match: expected valid JSON (recursion limit exceeded) at byte 635");
}

#[test]
fn long_names_do_not_multiply() {
    let leaves: Vec<String> = (0..2000).map(|n| format!(r#""k{n}":1"#)).collect();
    let name = "n".repeat(500);
    let body = format!(r#"{{"{name}":{{{}}}}}"#, leaves.join(","));
    let plan = super::plan_lines(Format::Json, &[super::line(body.as_bytes())]);
    let shown = super::show_plan(&plan);
    assert!(shown.ends_with("#fields_cut") && shown.len() < 4 * body.len() + (64 << 10), "{}", shown.len());
}

#[test]
fn what_is_not_an_object_says_where_it_stopped() {
    let stops =
        |body: &str, detail: &str| check(Format::Json, body, &format!("!json no_match: expected {detail}"));
    stops("[1]", "a JSON object at byte 0");
    stops("caddy | {}", "a JSON object at byte 0");
    stops(r#"{"a":}"#, "valid JSON (expected value) at byte 5");
    stops(r#"{"a":1"#, "valid JSON (EOF while parsing an object) at byte 5");
    stops(r#"{"a":1} x"#, "valid JSON (trailing characters) at byte 8");
    stops("{\"a\":1,\n\"b\":x}", "valid JSON (expected value) at byte 12");
}
