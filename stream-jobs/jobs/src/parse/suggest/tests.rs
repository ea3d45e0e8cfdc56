use super::*;

#[track_caller]
fn check(lines: &[&str], steps: &str, read: usize) {
    let found = suggest(lines).map(|own| (own.steps, own.read, own.of));
    assert_eq!(found, Some((steps.into(), read, lines.len())));
}

#[test]
fn formats_are_proposed_by_name() {
    check(&[r#"{"a":1}"#, r#"{"b":2}"#], r#"["json"]"#, 2);
    check(&["level=info msg=a", "level=warn msg=\"b c\""], r#"["logfmt"]"#, 2);
    check(&["Jan  1 00:00:01 h a[1]: x", "Jan  1 00:00:02 h b: y"], r#"["rfc3164"]"#, 2);
    check(
        &[
            "[Sat Dec 28 09:18:05 2013] [error] [client 192.0.2.1] no",
            "[Sat Dec 28 09:18:05 2013] [notice] yes",
        ],
        r#"["apache_error"]"#,
        2,
    );
}

#[test]
fn what_lines_share_becomes_an_expression() {
    check(
        &[
            "2026-01-01 10:00:00,123 INFO [worker-1] took 15 ms for /a from 10.0.0.1",
            "2026-01-01 10:00:01,456 WARN [worker-1] took 7 ms for /b/c from 10.0.0.2",
            "2026-01-01 10:00:02,789 INFO [worker-1] took 999 ms for /d from 10.0.0.3",
        ],
        r#"[{ grok = { match = '^%{TIMESTAMP_ISO8601:timestamp} %{LOGLEVEL:level} \[worker\-1\] took %{INT:number} ms for %{NOTSPACE:path} from %{IP:address}$' } }]"#,
        3,
    );
    check(
        &["A 1: one thing", "A 2: and another one", "A 3: third"],
        "[{ grok = { match = \"^A %{INT:number}: %{GREEDYDATA:message}\" } }]",
        3,
    );
}

#[test]
fn a_time_a_level_and_a_message_are_plain() {
    let lines = [
        "2026-01-01 10:00:00,123 INFO [worker-1] a.B - took 15 ms",
        "2026-01-01 10:00:01,456 WARN [main] a.b.C - could not, again",
        "2026-01-01 10:00:02,789 INFO [main] d - started",
    ];
    check(&lines, r#"["plain"]"#, 3);
    assert_eq!(suggest(&lines).map(|own| own.timed), Some(3));
    assert_eq!(suggest(&["A 1: one", "A 2: and more"]).map(|own| own.timed), Some(0));
}

#[test]
fn a_time_in_brackets_is_not_apaches_alone() {
    check(
        &[
            "[2018-06-13T07:44:22+0000][32376][gc] Using CMS",
            "[2018-06-13T07:44:23+0000][32376][gc,age  ] GC(0) age",
        ],
        r#"["plain"]"#,
        2,
    );
    check(&["[1234] 2020/05/18 14:38:34 [INF] up", "[7] 2020/05/18 14:38:35 [ERR] no"], r#"["plain"]"#, 2);
}

#[test]
fn nothing_is_proposed_for_nothing() {
    assert_eq!(suggest(&["", "  "]), None);
}

#[test]
fn columns_are_those_that_the_lines_name() {
    let lines = [
        "#Version: 1.0",
        "#Fields:  date time c-ip\tsc-status",
        "2026-01-01 00:00:01 192.0.2.1 200",
        "2026-01-01 00:00:02 192.0.2.2 404",
    ];
    check(&lines, r#"[{ w3c = { columns = "date time c-ip sc-status" } }]"#, 4);
}

#[test]
fn objects_behind_a_beginning_are_read() {
    check(
        &[r#"web-1  | {"a":1}"#, r#"web-2  | {"b":"{"}"#],
        r#"[{ grok = { match = '^%{NOTSPACE:word1}  \| (?<json>\{.*)$' } }, { json = { field = "json", remove = true } }]"#,
        2,
    );
    check(
        &[r#"a: {"a":1}"#, r#"b c {"b":2}"#],
        r#"[{ grok = { match = '^%{DATA:head}(?<json>\{.*)$' } }, { json = { field = "json", remove = true } }]"#,
        2,
    );
}

#[test]
fn lines_of_two_kinds_are_read_in_two_ways() {
    let lines = [r#"{"a":1}"#, r#"{"a":2}"#, r#"{"a":3}"#, "took 1 ms", "took 2 ms", "took 3 ms"];
    let both = r#"[{ first_of = [["json"], [{ grok = { match = "^took %{INT:number} ms$" } }]] }]"#;
    check(&lines, both, 6);
    check(&lines[..4], r#"["json"]"#, 3);
}

#[test]
fn what_is_proposed_reads_the_lines() {
    // Longer than is looked at.
    let long = |n: usize| (0..60).map(|at| format!("[{} {at}] ", n + at)).collect::<String>();
    let found = suggest(&[&long(1), &long(2)]).unwrap();
    assert!(found.read == 2 && found.steps.contains("%{GREEDYDATA:message}"), "{found:?}");
}

proptest::proptest! {
    #[test]
    fn of_any_lines_more_than_half_are_read(lines in proptest::collection::vec("[a-c0-2{}\\[\\]\":= ]{0,12}|\\PC{0,30}", 1..12)) {
        let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
        if let Some(found) = suggest(&lines) {
            proptest::prop_assert!(found.read * 2 >= found.of, "{:?}", found);
        }
    }
}
